import pytest
from msgspec.structs import replace
from runs import LOG, interpreter, run, verdict

from python_tsan.errors import ExitCode
from python_tsan.expectation import Lane, Outcome
from python_tsan.render.escape import markdown
from python_tsan.render.lines import as_text
from python_tsan.render.markdown import render_checks as render_markdown
from python_tsan.render.registry import RENDERINGS
from python_tsan.render.terminal import conclusion_lines, render_checks
from python_tsan.result.model import KnownRace, LaneRecord, Status
from python_tsan.tsan.parser import parse_log

LONG = "locks/mutex_wrong_order: stacks show who waits for the mutex"
MIXED = run(
    verdict("canary/race", outcome=Outcome.RACE, runs=3, met=3),
    verdict("gil/counter_unguarded", Status.FAILED, Outcome.RACE, runs=3, met=2, reason="expected a race, " * 9),
    verdict(LONG, outcome=Outcome.HANG),
    verdict("numpy/sum", Status.SKIPPED, runs=0, met=0, reason="needs numpy"),
    verdict("numpy/other", Status.SKIPPED, runs=0, met=0, reason="needs numpy"),
    verdict("gil/lost", Status.COULD_NOT_JUDGE, met=0, reason="the log folder is gone"),
    replaces="3.12.11",
)


def render_run(result):
    return as_text(render_checks(result)).splitlines()


def render_conclusion(result):
    return as_text(conclusion_lines(result)).splitlines()


def text(lines):
    return "\n".join(lines)


def test_nothing_is_wider_than_80_columns():
    assert max(map(len, render_run(MIXED))) <= 80


def test_a_row_says_what_was_expected_and_seen():
    (row,) = [line for line in render_run(MIXED) if line.endswith("  canary/race")]
    assert row.split() == ["passed", "race", "3", "of", "3", "3.8", "canary/race"]


def test_a_long_name_takes_two_lines_in_its_column():
    lines = render_run(MIXED)
    (number,) = [number for number, line in enumerate(lines) if line.startswith("  passed           hang")]
    assert lines[number].split()[:6] == ["passed", "hang", "1", "of", "1", "1.2"]
    column = lines[number].index("locks/")
    assert lines[number][column:] + " " + lines[number + 1].strip() == LONG
    assert lines[number + 1].index(lines[number + 1].strip()) == column


def test_columns_are_aligned():
    lines = render_run(MIXED)
    heading = next(line for line in lines if line.strip().startswith("verdict"))
    names = ("canary/race", "gil/counter_unguarded", "numpy/sum", "numpy/other", "gil/lost")
    rows = [line for line in lines if line.endswith(names) and ":" not in line]
    assert len(rows) == 5
    assert {row.index(row.split()[-1]) for row in rows} == {heading.index("check")}


def test_what_went_wrong_is_shown_with_its_evidence():
    shown = text(render_run(MIXED))
    assert "gil/counter_unguarded: FAILED" in shown
    assert "    expected a race, expected a race" in shown
    assert "/full/gil/counter_unguarded/1" in shown
    assert "the log folder is gone" in shown


def test_what_was_set_aside_is_reported_of_a_check_that_passed():
    passed = verdict("imports/x", reason="set aside in 1 of 2 runs, known upstream: race:f")
    (known,) = parse_log(LOG, "tsan.1").findings
    race = KnownRace(finding=known, suppression="race:f", reason="an issue")
    aside = replace(passed, observations=(replace(passed.observations[0], exit_code=66, known=(race,)),))
    assert "  imports/x: passed\n    set aside in 1 of 2 runs" in text(render_run(run(aside)))
    assert "- **imports/x**: set aside in 1 of 2 runs" in render_markdown(run(aside))
    assert "set aside" not in text(render_run(run(passed)))


def test_skips_of_one_reason_share_a_line():
    assert "  skipped, needs numpy: numpy/sum, numpy/other" in render_run(MIXED)


def test_the_lane_says_what_it_cannot_see():
    assert render_run(MIXED)[:2] == [
        "full lane: CPython under ThreadSanitizer 3.13.5, clang-19",
        "  cannot see: accesses inside numpy",
    ]


def test_the_replaced_version_is_in_every_rendering():
    line = "CPython 3.12.11 is unavailable; using 3.13.5"
    assert line in render_run(MIXED)
    assert line in render_conclusion(MIXED)
    assert f"> {line}" in render_markdown(MIXED).splitlines()
    for rendering in (text(render_run(run(verdict()))), render_markdown(run(verdict()))):
        assert "unavailable" not in rendering


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ([Status.PASSED], "clean: 1 check as expected"),
        ([Status.PASSED] * 2 + [Status.SKIPPED], "clean: 2 checks as expected"),
        ([Status.PASSED, Status.FAILED], "NOT clean: 1 of 2 checks not met"),
        ([Status.FAILED, Status.COULD_NOT_JUDGE], "could not judge: 1 of 2 checks"),
        ([Status.SKIPPED], "could not judge: no check was run"),
        ([], "could not judge: no check was run"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_the_conclusion(statuses, words):
    done = run(*(verdict(f"gil/{number}", status) for number, status in enumerate(statuses)))
    assert render_conclusion(done) == [words]
    assert words in render_markdown(done)


def test_an_unfinished_run_is_never_clean():
    done = replace(run(verdict()), unfinished="KeyboardInterrupt")
    assert done.exit_code is ExitCode.SUBJECT
    words = "unfinished after 1 check, so nothing is concluded: KeyboardInterrupt"
    assert render_conclusion(done) == [words]
    assert words in render_markdown(done)


def test_detection_is_pooled_and_bounded():
    done = run(verdict("a", outcome=Outcome.RACE, runs=3, met=3), verdict("b", outcome=Outcome.RACE, runs=3, met=2))
    assert any(line.strip().startswith("runs that showed the expected race: 5 of 6") for line in render_run(done))
    assert "5 of 6" in render_markdown(done)


def test_runs_that_two_checks_look_at_count_once():
    one = verdict("a", outcome=Outcome.RACE, runs=3, met=3)
    assert "expected race: 3 of 3" in text(render_run(run(one, one)))


def test_lanes_in_order_and_why_one_was_skipped():
    fast = LaneRecord(lane=Lane.FAST, skipped="no shared libpython was found")
    full = LaneRecord(lane=Lane.FULL, interpreter=interpreter("3.14.1", free_threaded=True), toolchain="gcc-12")
    shown = text(render_run(run(verdict(), lanes=(fast, full))))
    assert "fast lane: skipped, no shared libpython was found" in shown
    assert "full lane: CPython under ThreadSanitizer 3.14.1, free-threaded, gcc-12" in shown
    assert shown.index("fast lane") < shown.index("full lane")


def test_a_stock_interpreter_is_called_so():
    fast = LaneRecord(lane=Lane.FAST, interpreter=interpreter("3.11.7", instrumented=False), toolchain="clang-19")
    assert "fast lane: stock CPython 3.11.7, clang-19" in render_run(run(verdict(lane=Lane.FAST), lanes=(fast,)))


def test_markdown_is_a_table_that_github_shows_as_it_is():
    done = run(verdict("gil/x", Status.FAILED, reason="a race in std::vector<int>::push_back\n| *here* @you"))
    lines = render_markdown(done).splitlines()
    assert "| gil/x | clean | 1 of 1 | 1.2 | **failed** |" in lines
    (reason,) = [line for line in lines if line.startswith("- **")]
    assert r"std::vector\<int\>::push\_back \| \*here\* \@you" in reason


def test_escape_keeps_one_line():
    assert markdown("a\n\n  b") == "a b"


def test_the_terminal_markdown_and_page_show_checks_and_findings():
    result = replace(MIXED, lanes=(LaneRecord(lane=Lane.FULL, skipped="", blind_spot="numpy <inside>"),))
    pages = {name: RENDERINGS[name].render(result).decode() for name in ("terminal", "markdown", "html")}
    for name, page in pages.items():
        assert page.replace("\\", "").count("gil/counter") >= 2, name
        assert "the log folder is gone" in page, name
    assert "numpy &lt;inside&gt;" in pages["html"]
    assert "  cannot see: numpy <inside>" in pages["terminal"].splitlines()
