"""Write the parts that all pictures are made of, as SVG.

Colours are the page's, by class, so that one picture serves light and dark. Pure, no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render.escape import html

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTH = 760
# Heads of arrows: the id that a path names, the class and the size.
ARROW = ("arrow", "arrow", 8)


def svg(
    height: int,
    title: str,
    parts: Iterable[str],
    *,
    style: str = "picture",
    heads: Iterable[tuple[str, str, int]] = (ARROW,),
) -> str:
    """Return a picture of these parts as one element."""
    arrows = "".join(_head(*head) for head in heads)
    return (
        f'<svg class="{style}" role="img" viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html(title)}</title>{arrows}{''.join(parts)}</svg>"
    )


def _head(name: str, style: str, size: int) -> str:
    return (
        f'<defs><marker id="{name}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="{size}" markerHeight="{size}" '
        f'orient="auto"><path class="{style}" d="M0 0 L10 5 L0 10 z"/></marker></defs>'
    )


def label(x: int, y: int, text: str, style: str, *, anchor: str = "start") -> str:
    """Return a line of text whose ``anchor`` (start, middle or end) is at ``x``."""
    return f'<text class="{style}" x="{x}" y="{y}" text-anchor="{anchor}">{html(text)}</text>'
