"""Findings that have one cause are shown as one, in the terminal and on the page."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace
from report_samples import report_on

from python_tsan.plain_text import WIDTH
from python_tsan.render.causes import causes, fold, ordered
from python_tsan.render.registry import RENDERINGS, Context
from python_tsan.render.terminal import MAX_BLOCKS_OF_CAUSE
from python_tsan.result.finding import Attribution, FindingStatus

BLOCK = """\
==================
WARNING: ThreadSanitizer: data race (pid=7)
  Write of size 8 at 0x000000000010 by thread T1:
    #0 {write} /src/{file}.cpp:{line} (app+0x10)
    #1 {entry} /src/entry.cpp:20 (app+0x20)

  Previous read of size 8 at 0x000000000010 by main thread:
    #0 {read} /src/{file}.cpp:{line} (app+0x30)
    #1 main /src/main.cpp:4 (app+0x40)

{location}SUMMARY: ThreadSanitizer: data race /src/{file}.cpp:{line} in {write}
==================
"""


def block(write, read, *, line=1, name="", file="a", entry="run"):
    location = f"  Location is global '{name}' of size 8 at 0x000000000010 (app+0x99)\n\n" if name else ""
    return BLOCK.format(write=write, read=read, line=line, file=file, entry=entry, location=location)


@pytest.fixture
def report_of_blocks(tmp_path):
    def make(*blocks):
        path = tmp_path / "tsan.1"
        path.write_text("".join(blocks))
        return report_on(path)

    return make


def grouped(report):
    return [(cause.title, len(cause.findings)) for cause in causes(report.findings)]


def test_findings_on_one_object_have_one_cause(report_of_blocks):
    report = report_of_blocks(
        block("put", "get", name="table"), block("drop", "get", name="table"), block("x", "y", name="other")
    )
    assert grouped(report) == [("data race on table", 2), ("", 1)]


def test_findings_between_the_same_functions_have_one_cause(report_of_blocks):
    report = report_of_blocks(block("put", "get", name="a"), block("put", "get", name="b"), block("x", "y", name="c"))
    assert grouped(report) == [("data race in put and get", 2), ("", 1)]


def test_a_finding_alone_has_no_title(report_of_blocks):
    assert grouped(report_of_blocks(block("put", "get"))) == [("", 1)]
    assert grouped(report_of_blocks(block("a", "b"), block("c", "d"))) == [("", 1), ("", 1)]


def test_functions_of_one_name_in_other_files_are_others(report_of_blocks):
    report = report_of_blocks(block("run", "main", file="a"), block("run", "main", file="b"))
    assert [count for _, count in grouped(report)] == [1, 1]


@pytest.fixture
def twenty(report_of_blocks):
    """Return a report of twenty findings on one object and one other."""
    blocks = [block(f"put_{number}", "get", name="table", line=number) for number in range(1, 21)]
    return report_of_blocks(*blocks, block("x", "y", name="other"))


def test_the_terminal_shows_the_first_of_a_cause_in_full(twenty):
    text = RENDERINGS["terminal"].render(twenty).decode()
    assert text.count("20 findings: data race on table\n") == 1
    assert text.count("\n  log:") == MAX_BLOCKS_OF_CAUSE + 1
    assert f"{20 - MAX_BLOCKS_OF_CAUSE} more: data race on table (--verbose shows each)" in text
    assert RENDERINGS["terminal"].render(twenty, Context(verbose=True)).decode().count("\n  log:") == 21


def test_a_row_names_the_object_and_both_functions(twenty):
    lines = RENDERINGS["terminal"].render(twenty).decode().splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith(twenty.findings[4].fingerprint))
    assert lines[row].endswith("  data race on table")
    assert lines[row + 1] == "    put_5 and get, a.cpp:5"
    assert max(map(len, lines[: lines.index("")])) <= WIDTH


def test_the_page_has_one_row_for_a_cause_and_folded_cards(twenty):
    page = RENDERINGS["html"].render(twenty).decode()
    assert page.count('<details class="cause') == 1
    assert "<h2>data race on table</h2>" in page
    assert page.count('class="card finding') == 21
    assert not re.search(r'class="card finding[^>]* open>', page)


def test_the_only_card_of_a_page_is_open(report_of_blocks):
    page = RENDERINGS["html"].render(report_of_blocks(block("put", "get"))).decode()
    assert len(re.findall(r'class="card finding[^>]* open>', page)) == 1


def test_a_page_of_many_findings_names_those_without_a_card(twenty, monkeypatch):
    monkeypatch.setattr("python_tsan.render.html.MAX_CARDS", 5)
    page = RENDERINGS["html"].render(twenty).decode()
    assert page.count('class="card finding') == 5
    assert "16 more findings: this page shows the first 5; the JSON has every one in full" in page
    assert all(finding.fingerprint in page for finding in twenty.findings)


def test_sarif_of_many_findings_says_what_it_leaves_out(twenty, monkeypatch):
    monkeypatch.setattr("python_tsan.render.sarif.MAX_RESULTS", 5)
    text = RENDERINGS["sarif"].render(twenty).decode()
    assert text.count('"ruleId"') == 5
    assert "16 more findings: the JSON has every one" in text


def test_markdown_of_many_findings_says_what_it_leaves_out(twenty, monkeypatch):
    monkeypatch.setattr("python_tsan.render.markdown.MAX_ROWS", 5)
    text = RENDERINGS["markdown"].render(twenty).decode()
    assert text.count("**new**") == 5
    assert "16 more findings: the JSON has every one." in text


def with_statuses(report, *statuses, attribution=Attribution.EXTENSION):
    findings = [
        replace(
            finding,
            status=status,
            attribution=attribution,
            blind_spot="grpcio" if status is FindingStatus.SET_ASIDE else "",
        )
        for finding, status in zip(report.findings, statuses, strict=True)
    ]
    return replace(report, findings=tuple(findings))


def three(report_of_blocks):
    names = ("a", "b", "c")
    return report_of_blocks(*(block(f"put_{name}", f"get_{name}", name=name) for name in names))


def test_what_fails_comes_first_and_of_that_what_is_yours(report_of_blocks):
    aside, new, other = with_statuses(
        three(report_of_blocks), FindingStatus.SET_ASIDE, FindingStatus.NEW, FindingStatus.NEW
    ).findings
    yours = replace(other, attribution=Attribution.YOURS)
    assert ordered([aside, new, yours]) == [yours, new, aside]
    assert [cause.findings[0] for cause in causes([aside, new, yours])] == [yours, new, aside]


def test_what_is_set_aside_is_counted_by_library_and_shown_on_request(report_of_blocks):
    report = with_statuses(three(report_of_blocks), FindingStatus.SET_ASIDE, FindingStatus.NEW, FindingStatus.SET_ASIDE)
    short = RENDERINGS["terminal"].render(report, Context()).decode()
    assert "2 findings in grpcio: set aside (--verbose shows each)" in short
    assert "put_b" in short
    assert "put_a" not in short
    whole = RENDERINGS["terminal"].render(report, Context(verbose=True)).decode()
    assert "put_a" in whole
    assert "--verbose" not in whole


def test_of_one_library_that_is_not_yours_a_few_are_shown_and_of_yours_all(monkeypatch, report_of_blocks):
    monkeypatch.setattr("python_tsan.render.causes.MAX_OF_LIBRARY", 1)
    new = [FindingStatus.NEW] * 3
    shown, folded = fold(with_statuses(three(report_of_blocks), *new).findings)
    assert (len(shown), dict(folded)) == (1, {("app", "new"): 2})
    shown, folded = fold(with_statuses(three(report_of_blocks), *new, attribution=Attribution.YOURS).findings)
    assert (len(shown), dict(folded)) == (3, {})


@pytest.mark.parametrize("name", sorted(set(RENDERINGS) - {"terminal"}))
def test_every_rendering_has_the_status_and_the_reason(name, report_of_blocks):
    report = with_statuses(three(report_of_blocks), *[FindingStatus.SET_ASIDE] * 3)
    report = replace(report, findings=tuple(replace(each, reason="because of a futex") for each in report.findings))
    text = RENDERINGS[name].render(report, Context()).decode()
    assert "set aside" in text or "because of a futex" in text
