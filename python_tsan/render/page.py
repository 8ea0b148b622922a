"""Make offline pages: the template environment, and what every page shares.

A page is one file that needs no network. Its template extends ``page.html.j2`` and is in the folder ``templates`` of
the package whose page it is; the style sheet ``looks.css`` and the macros of ``pieces.html.j2`` are here.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from markupsafe import escape as entities

from python_tsan.render import escape

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def page_template(package: str, name: str) -> Template:
    """Return the template ``name`` of ``package``.

    Every text is escaped unless it is :class:`markupsafe.Markup`, and its control characters are shown as codes; a name
    that is not given is an error.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("python_tsan.render")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def _shown(value: object) -> object:
    # Markup, a subclass, is made here; only its texts are others', and they are escaped where it is made.
    if type(value) is not str:
        return value
    return Markup(escape.no_command(entities(escape.block(value))))  # noqa: S704 -- escaped here
