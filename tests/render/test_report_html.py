from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from report_samples import NASTY, renamed

from python_tsan.render.escape import block
from python_tsan.render.registry import RENDERINGS, Context, no_source
from python_tsan.result.build import Standing
from python_tsan.result.finding import FindingStatus, PythonFrame, PythonStack
from python_tsan.result.model import (
    BaselineEntry,
    BaselineResult,
    BaselineState,
    Provenance,
    Rate,
    SharedObject,
    Status,
    Subject,
    SuppressionUse,
    Verdict,
)

VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """Collects text and tags, and insists that every element is closed in order."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.texts.append(data)

    @property
    def text(self):
        return "\n".join(self.texts)

    def having(self, tag, **wanted):
        return [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]


def html_of(report, source_lines=no_source):
    return RENDERINGS["html"].render(report, Context(source_lines=source_lines)).decode()


def page_of(report, source_lines=no_source):
    return Page(html_of(report, source_lines))


def test_one_card_for_each_finding_with_what_the_filters_look_at(everything):
    page = page_of(everything)
    cards = [attrs for attrs in page.having("details") if "finding" in attrs.get("class", "")]
    assert [card["id"] for card in cards] == [f"f-{finding.fingerprint}" for finding in everything.findings]
    for name in ("kind", "whose", "status"):
        offered = {box["value"] for box in page.having("input", **{"data-filter": name})}
        assert offered == {card[f"data-{name}"] for card in cards}


def test_the_page_needs_no_network(everything):
    html = html_of(everything)
    assert "default-src 'none'" in html
    outside = [address for address in re.findall(r"https?://[^\s\"'<)]+", html) if "www.w3.org" not in address]
    assert outside == []
    assert not [attrs for _, attrs in Page(html).tags if {"src", "href"} & set(attrs)]


def test_names_full_of_markup_are_shown_as_they_are(nasty):
    page = page_of(nasty)
    assert page.texts.count(NASTY) >= 2
    assert not page.having("b")
    assert len(page.having("script")) == 1


def test_both_stacks_and_the_source_are_there(report_of):
    def source_lines(file, line):
        return ((line - 1, "before"), (line, f"{file} <hit>")) if file.endswith("race_global.cpp") else ()

    page = page_of(report_of("race_global"), source_lines)
    assert "read of 8 bytes by thread T2 'careless', holding no mutex" in page.texts
    assert "earlier write of 8 bytes by thread T1 'careful one', holding M0" in page.texts
    assert page.texts.count("/src/golden/race_global.cpp <hit>") == 3  # the mutex has a stack too
    assert len(page.having("span", **{"class": "hit"})) == 3
    assert "6 frames of libraries" in page.texts


def test_without_findings_there_is_nothing_to_filter(report_of):
    page = page_of(report_of("suppressed"))
    assert "clean: no finding" in page.texts
    assert not page.having("script")
    assert not page.having("form")


def test_last_words_and_strange_lines_are_shown(report_of):
    report = report_of("segv")
    report = replace(report, unparsed=replace(report.unparsed, count=2, samples=("<odd>",)))
    page = page_of(report)
    assert "SEGV on unknown address" in page.text
    assert "2 lines not understood" in page.text
    assert "<odd>" in page.text
    assert page.having("div", **{"class": "banner doubt"})


def test_everything_that_a_run_knows_is_shown(report_of):
    key = report_of("race_global").findings[0].fingerprint
    report = report_of(
        "race_global",
        standings={
            key: Standing(status=FindingStatus.KNOWN, reason="<why>", link="https-less link", expires="2027-01-01")
        },
        python_stacks={
            key: PythonStack(frames=(PythonFrame(function="<lambda>", file="work.py", line=7),), thread="T2")
        },
        verdict=Verdict(status=Status.PASSED, reason="only known ones", downgrades=("numpy is not <instrumented>",)),
        subjects=(
            Subject(
                command=("./embed", "<a>"),
                exit_codes=(66, 0),
                timed_out=True,
                rate=Rate(found=1, runs=2, low=0.09, high=0.91),
                stacks=("s.txt",),
            ),
        ),
        audit=(
            SharedObject(path="/x/<m>.so", instrumented=False, build_id="beef"),
            SharedObject(path="/y.so", instrumented=None),
        ),
        suppressions=(SuppressionUse(entry="race_top:<f>", matched=3, reason="upstream"),),
        baseline=BaselineResult(file="b.toml", entries=(BaselineEntry(fingerprint=key, state=BaselineState.GONE),)),
        provenance=Provenance(command=("python-tsan", "run"), facts={"kernel": "6.<1>"}, notes=("a note",)),
    )
    text = page_of(report).text
    for words in (
        "<why>",
        "until 2027-01-01",
        "<lambda>",
        "work.py:7",
        "numpy is not <instrumented>",
        "./embed '<a>'",
        "1 of 2 runs",
        "(95 %: 9 % to 91 %)",
    ):
        assert words in text
    for words in (
        "/x/<m>.so",
        "beef",
        "unknown",
        "race_top:<f>",
        "gone",
        "6.<1>",
        "a note",
        "passed while it was still running",
        "s.txt",
    ):
        assert words in text


@settings(deadline=None, max_examples=40)
@given(symbol=st.text(min_size=1, max_size=60), file=st.text(max_size=40))
def test_no_name_breaks_the_page(one_race, symbol, file):
    page = page_of(renamed(one_race, symbol, file))
    shown = "".join(page.texts)
    assert block(symbol) in shown
    assert len(page.having("script")) == 1
