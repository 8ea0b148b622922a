"""Explain at length what a kind of finding, a word of a result or an error means."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from python_tsan.paths import errors_page
from python_tsan.tsan.finding import Kind

_HEADING = re.compile(r"^#{2,3} (?P<name>.+)$", re.MULTILINE)


class KindText(Struct, frozen=True, kw_only=True):
    """What one kind means. ``slug`` is its name in formats that require one, and never changes.

    ``fix_python`` and ``fix_openmp`` add to ``fix`` for such programs, ``fix_go`` replaces it for Go.
    """

    kind: Kind
    slug: str
    short: str
    what: str
    read: str
    fix: str
    fix_python: str = ""
    fix_openmp: str = ""
    fix_go: str = ""


class Answer(Struct, frozen=True, kw_only=True):
    """A long answer: a title, a sentence, and paragraphs each with a heading (empty for none)."""

    title: str
    short: str
    paragraphs: tuple[tuple[str, str], ...]


@cache
def kind_text(kind: Kind) -> KindText:
    """Return what ``kind`` means."""
    table = tomllib.loads(_section("kinds.toml", kind.name))
    return KindText(kind=kind, **({"slug": kind.rule} | {name: _joined(text) for name, text in table.items()}))


def lock_advice(kind: str) -> str:
    """Return how to avoid a deadlock between the GIL and a lock of such a kind."""
    text = _table("locks.toml").get(_plain(kind), "")
    return _joined(text) if isinstance(text, str) else ""


def explain_kind(kind: Kind) -> Answer:
    """Return the long answer about a kind."""
    text = kind_text(kind)
    return Answer(
        title=kind.value,
        short=text.short,
        paragraphs=(
            ("What happened", text.what),
            ("How to read it", text.read),
            ("How to fix it", " ".join(filter(None, (text.fix, text.fix_python, text.fix_openmp)))),
            *([("How to fix it in Go", text.fix_go)] if text.fix_go else []),
        ),
    )


def explain_word(word: str) -> Answer | None:
    """Return the answer about a kind (by slug, name or printed title), a topic or a page of errors; None if unknown."""
    plain = _plain(word)
    for kind in Kind:
        if plain in {
            _plain(kind.value),
            _plain(kind.name),
            kind_text(kind).slug,
            _plain(kind.value.partition(" (")[0]),
        }:
            return explain_kind(kind)
    topic = _table("topics.toml").get(plain)
    if topic:
        return Answer(title=plain, short=topic["short"], paragraphs=(("", _joined(topic["text"])),))
    return error_pages().get(plain)


def known_words() -> tuple[str, ...]:
    """Return everything that can be explained, kinds first."""
    return (*(kind_text(kind).slug for kind in Kind), *_table("topics.toml"), *error_pages())


@cache
def error_pages() -> dict[str, Answer]:
    """Return the sections of the page about errors by anchor; none where the page is missing."""
    page = errors_page().read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(page))
    ends = [heading.start() for heading in headings[1:]] + [len(page)]
    pages = {}
    for heading, end in zip(headings, ends, strict=True):
        paragraphs = [_joined(part) for part in page[heading.end() : end].strip().split("\n\n") if part.strip()]
        if paragraphs:
            name = _plain(heading["name"])
            pages[name] = Answer(
                title=heading["name"], short=paragraphs[0], paragraphs=tuple(("", text) for text in paragraphs[1:])
            )
    return pages


def _section(name: str, heading: str) -> str:
    """Return the lines of one table: to parse the whole file takes longer than to read a short log."""
    text = _text(name)
    start = text.index(f"[{heading}]\n") + len(f"[{heading}]\n")
    end = text.find("\n[", start)
    return text[start:] if end < 0 else text[start:end]


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(_text(name))


@cache
def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _joined(text: str) -> str:
    return " ".join(text.split())


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")
