"""The page of a scan, and the picture of locks in it."""

from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from import_samples import CONFIRMED, HAZARD, REFUTED, document

from python_tsan.imports import html
from python_tsan.imports.lock_graph import lock_graph
from python_tsan.imports.renderings import RENDERINGS
from python_tsan.imports.search.schedules import Link


def rendered(document, name):
    return RENDERINGS[name].render(document).decode().rstrip("\n")


SVG = "{http://www.w3.org/2000/svg}"
NASTY = '</script><b onload="x">&'


class Reader(HTMLParser):
    """Collects what is opened, closed and shown."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.references = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_shows_chains_graph_stacks_and_fix_and_needs_no_network():
    page = read(rendered(document(CONFIRMED, REFUTED, problems={"c": "no such module"}), "html"))
    text = " ".join(" ".join(page.text).split())
    for words in (
        "1 hazard between 2 entries",
        "How to read this",
        "T1 holds a and waits for b",
        "import c # asks",
        "site/a.py:3",
        "confirmed 2 of 3 (at least 13 % with 95 % confidence)",
        "Stack of T2 at that moment",
        "own import",
        "Import a (or b) on the main thread",
        "refuted: in 3 directed runs",
        "no such module",
    ):
        assert words in text
    assert page.references == []
    assert page.tags.count("svg") == 2


def test_names_from_outside_stay_text():
    hazard = replace(
        HAZARD, first=NASTY, awaited=NASTY, chains=((Link(module=NASTY, where=f"{NASTY}:3"),), HAZARD.chains[1])
    )
    proof = replace(CONFIRMED, error=NASTY)
    page = read(rendered(document(proof, hazards=[hazard], problems={NASTY: NASTY}), "html"))
    assert "script" not in page.tags
    assert "b" not in [tag for tag in page.tags if tag == "b"][2:]  # the two of the wait-for graph are ours
    assert "".join(page.text).count(NASTY) > 4


@pytest.mark.parametrize(
    ("proofs", "tone"), [((CONFIRMED,), "bad"), ((None,), "doubt"), ((REFUTED,), "good"), ((), "good")]
)
def test_the_colour_says_how_bad_it_is(proofs, tone):
    assert f'class="banner {tone}"' in rendered(document(*proofs), "html")


def test_beyond_what_a_browser_supports_cycles_are_counted(monkeypatch):
    monkeypatch.setattr(html, "MOST_CARDS", 1)
    hazards = [HAZARD, replace(HAZARD, awaited="other")]
    told = rendered(document(None, None, hazards=hazards), "html")
    assert told.count("<svg") == 1
    assert "1 more hazard: all are in the JSON." in told


def shapes(hazard):
    root = ET.fromstring(lock_graph(document(None, hazards=[hazard]).hazards[0]))  # noqa: S314 -- our own text
    kinds = {"held": "rect", "lock": "rect", "edge": "path", "then": "path", "caption": "text"}
    return {
        kind: [each for each in root.iter(f"{SVG}{tag}") if each.get("class") == kind] for kind, tag in kinds.items()
    }


def test_the_picture_has_every_lock_both_held_ones_and_two_arrows():
    found = shapes(HAZARD)
    assert [each.find(f"{SVG}title").text for each in found["held"]] == ["a", "b"]
    assert [each.find(f"{SVG}title").text for each in found["lock"]] == ["c"]
    assert len(found["edge"]) == 2
    assert len(found["then"]) == 1


def test_a_long_chain_gives_way_in_the_middle_but_keeps_the_held_lock_and_its_ends():
    chain = (Link(module="start", where=""), *(Link(module=f"m{number}", where="") for number in range(60)))
    found = shapes(replace(HAZARD, awaited="m30", chains=(chain, HAZARD.chains[1])))
    names = [each.find(f"{SVG}title").text for each in [*found["held"], *found["lock"]]]
    assert {"start", "m30", "m59", "b"} <= set(names)
    assert len(names) < 12
    assert "… 29 more" in [each.text for each in found["caption"]]
    drawn = sum(int(each.text.split()[1]) for each in found["caption"] if each.text.startswith("…")) + len(names)
    assert drawn == 61 + 1


def test_a_held_lock_that_is_not_in_the_chain_is_drawn_all_the_same():
    found = shapes(replace(HAZARD, closing="elsewhere"))
    assert "elsewhere" in [each.find(f"{SVG}title").text for each in found["held"]]
    assert len(found["edge"]) == 2
