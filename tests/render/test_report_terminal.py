from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from report_samples import GOLDEN, renamed, report_on

from python_tsan.plain_text import WIDTH
from python_tsan.render.lines import Style, as_text
from python_tsan.render.terminal import render_failure, render_finding, render_lines
from python_tsan.result.build import Standing
from python_tsan.result.finding import FindingStatus, PythonFrame, PythonStack
from python_tsan.tsan.finding import Kind

DESTROYED = """\
==================
WARNING: ThreadSanitizer: destroy of a locked mutex (pid=5)
    #0 pthread_mutex_destroy <null> (app+0x10)
    #1 gate_close /src/gate.c:9 (app+0x20)

  and:
    #0 pthread_mutex_lock <null> (app+0x30)
    #1 gate_enter /src/gate.c:5 (app+0x40)

  Location is heap block of size 64 at 0x7b0400000000 allocated by main thread:
    #0 malloc <null> (app+0x50)
    #1 gate_new /src/gate.c:2 (app+0x60)

  Mutex M1 (0x7b0400000010) created at:
    #0 pthread_mutex_init <null> (app+0x70)
    #1 gate_new /src/gate.c:3 (app+0x80)

SUMMARY: ThreadSanitizer: destroy of a locked mutex /src/gate.c:9 in gate_close
==================
"""


def plain_lines(report, **how):
    return as_text(render_lines(report, **how)).splitlines()


def test_a_table_then_a_block_then_the_conclusion(report_of):
    key = report_of("race_global").findings[0].fingerprint
    assert plain_lines(report_of("race_global")) == [
        "finding           times  status  whose  what",
        f"{key}      1  new     yours  data race on g_total",
        "    careless and careful, race_global.cpp:25",
        "",
        "data race on (anonymous namespace)::g_total (global of 8 bytes)",
        f"  {key}, yours, 1 time",
        "  read of 8 bytes by thread T2 'careless', holding no mutex",
        "    (anonymous namespace)::careless(int, char const*)",
        "        /src/golden/race_global.cpp:25:12",
        "    … 6 frames of libraries",
        "  earlier write of 8 bytes by thread T1 'careful one', holding M0",
        "    (anonymous namespace)::careful()  /src/golden/race_global.cpp:17:9",
        "    … 6 frames of libraries",
        "  mutex M0, created in careful race_global.cpp:16",
        "  thread T2 'careless' (running), created by main thread",
        "  thread T1 'careful one' (finished), created by main thread",
        "  how to fix it: Let both sides hold the same mutex, or make the variable",
        "    std::atomic, or give each thread its own copy. A sleep or volatile orders",
        "    nothing.",
        f"  log: {report_of('race_global').findings[0].sources[0].file}:2",
        "",
        "1 distinct finding in 1 block of 1 file",
        "NOT clean: 1 finding",
    ]


def test_no_line_but_a_path_is_wider_than_a_terminal(everything):
    for verbose in (False, True):
        for line in plain_lines(everything, verbose=verbose):
            assert len(line) <= WIDTH or max(map(len, line.split())) > WIDTH - 30


def test_quiet_leaves_out_the_blocks(everything):
    lines = [line.text for line in render_lines(everything, quiet=True)]
    assert not any("by thread" in line for line in lines)
    assert lines[-1].startswith("NOT clean: ")


def test_verbose_shows_whole_stacks_and_where_things_come_from(report_of):
    brief, long = (plain_lines(report_of("race_global"), verbose=verbose) for verbose in (False, True))
    assert not any("std::thread::_State_impl" in line for line in brief)
    assert any("std::thread::_State_impl" in line for line in long)
    assert "  mutex M0, created" in long


def test_advice_is_given_once_for_each_kind(report_of):
    lines = plain_lines(report_of("race_global", "race_tls"))
    assert sum("how to fix it: " in line for line in lines) == 1


def test_findings_that_do_not_fail_are_in_the_table_only(report_of):
    key = report_of("race_global").findings[0].fingerprint
    standing = Standing(status=FindingStatus.KNOWN, reason="issue 7", link="https://x", expires="2027-01-01")
    report = report_of("race_global", standings={key: standing})
    assert not any("by thread" in line for line in plain_lines(report))
    assert any("known, issue 7, https://x, until 2027-01-01" in line for line in plain_lines(report, verbose=True))


def test_styles_follow_the_verdict(report_of):
    styles = {line.text: line.style for line in render_lines(report_of("race_global"))}
    assert styles["NOT clean: 1 finding"] is Style.BAD
    assert [line.style for line in render_lines(report_of("suppressed"))][-1] is Style.GOOD


def test_a_stack_that_is_lost_is_reported(report_of):
    (finding,) = report_of("race_global").findings
    lost = replace(finding.accesses[1], stack=replace(finding.accesses[1].stack, frames=(), restored=False))
    lines = [line.text for line in render_finding(replace(finding, accesses=(finding.accesses[0], lost)))]
    assert "    the runtime could not restore the stack (history_size=7 may help)" in lines


def test_python_frames_are_shown(report_of):
    key = report_of("race_global").findings[0].fingerprint
    stack = PythonStack(frames=(PythonFrame(function="work", file="work.py", line=7),))
    lines = plain_lines(report_of("race_global", python_stacks={key: stack}))
    assert lines[lines.index("  Python, innermost first") + 1] == "    work work.py:7"


def test_kinds_with_no_stack_but_an_origin_show_it(report_of):
    for name, words in (("thread_leak", "created by main thread"), ("mutex_destroy_locked", "mutex M0")):
        report = report_of(name)
        assert any(words in line for line in plain_lines(report)), name
    assert report_of("thread_leak").findings[0].kind is Kind.THREAD_LEAK


def test_last_words_and_strange_lines_are_shown(report_of):
    report = report_of("segv")
    report = replace(report, unparsed=replace(report.unparsed, count=4, samples=tuple(f"line {n}" for n in range(4))))
    lines = plain_lines(report)
    assert any("SEGV on unknown address" in line for line in lines)
    start = lines.index("4 lines not understood, such as")
    assert lines[start + 1 : start + 5] == ["  line 0", "  line 1", "  line 2", ""]
    assert lines[-1].strip()


@settings(deadline=None, max_examples=60)
@given(symbol=st.text(max_size=80), file=st.text(max_size=40))
def test_any_name_can_be_shown(one_race, symbol, file):
    for line in plain_lines(renamed(one_race, symbol, file), verbose=True):
        assert "\n" not in line


def test_a_sleep_between_the_accesses_is_shown(report_of):
    lines = plain_lines(report_of("race_sleep"))
    start = lines.index("  as if synchronized via sleep: only this sleep orders the two")
    assert any("wait_a_little()" in line for line in lines[start : start + 4])


def test_a_deadlock_shows_where_the_held_locks_were_acquired(report_of):
    lines = plain_lines(report_of("deadlock"))
    assert [line for line in lines if line.endswith("had been acquired")] == [
        f"  M{number} had been acquired" for number in range(3)
    ]


def test_threads_of_a_race_with_a_lost_stack_show_their_creation(report_of):
    brief = plain_lines(report_of("race_global"))
    lost = plain_lines(report_on(GOLDEN / "gcc-12" / "race_unrestored.log"))
    at = next(number for number, line in enumerate(lost) if "created by main thread" in line)
    assert lost[at + 1].startswith("    ")
    at = next(number for number, line in enumerate(brief) if "created by main thread" in line)
    assert not brief[at + 1].startswith("    ")


def test_a_stack_is_shown_once(tmp_path):
    log = tmp_path / "x.log"
    log.write_text(DESTROYED)
    text = as_text(render_lines(report_on(log)))
    assert text.count("allocated by main thread") == 1
    assert [text.count(words) for words in ("the mutex is destroyed", "it was locked", "mutex M1, created")] == [
        1,
        1,
        1,
    ]


PYBIND = "/home/me/.venv/lib/python3.13/site-packages/pybind11/include/pybind11/"
HEADERS = f"""\
==================
WARNING: ThreadSanitizer: data race (pid=5)
  Write of size 8 at 0x7b0400000000 by thread T1:
    #0 count /src/histogram.cpp:18:9 (histogram.so+0x10)
    #1 count_racy(std::string const&, {", ".join(["unsigned long"] * 8)}) /src/histogram.cpp:27:5 (histogram.so+0x11)
    #2 call_impl<long, std::string const&> {PYBIND}cast.h:1631:16 (histogram.so+0x12)
    #3 pybind11::cpp_function::dispatcher(_object*) {PYBIND}pybind11.h:971:30 (histogram.so+0x13)
    #4 callback /src/other.cpp:5:1 (histogram.so+0x14)

  Previous write of size 8 at 0x7b0400000000 by main thread:
    #0 internals_pp_manager<long> {PYBIND}internals.h:55:16 (histogram.so+0x22)
    #1 get_internals {PYBIND}internals.h:971:30 (histogram.so+0x23)

SUMMARY: ThreadSanitizer: data race /src/histogram.cpp:18:9 in count
==================
"""


def test_headers_of_libraries_are_folded_except_where_the_access_is(tmp_path):
    (tmp_path / "log.1").write_text(HEADERS)
    report = report_on(tmp_path / "log.1")
    lines = plain_lines(report)
    start = lines.index("  write of 8 bytes by thread T1")
    assert lines[start + 1 : start + 9] == [
        "    count  /src/histogram.cpp:18:9",
        "    count_racy  /src/histogram.cpp:27:5",
        "    … 2 frames of libraries",
        "    callback  /src/other.cpp:5:1",
        "  earlier write of 8 bytes by main thread",
        "    internals_pp_manager<long>",
        f"        {PYBIND}internals.h:55:16",
        "    … 1 frame of libraries",
    ]
    whole = "\n".join(plain_lines(report, verbose=True))
    assert "cpp_function::dispatcher(_object*)" in whole
    assert "unsigned long, unsigned long" in whole


def test_a_failing_test_shows_its_findings_and_not_how_it_was_run(report_of):
    result = report_of("race_global")
    whole = plain_lines(result)
    lines = as_text(render_failure(result)).splitlines()
    block = whole[whole.index("data race on (anonymous namespace)::g_total (global of 8 bytes)") :]
    assert lines == block[: block.index("1 distinct finding in 1 block of 1 file")]


def test_several_findings_of_a_failing_test_begin_with_their_table(report_of):
    lines = as_text(render_failure(report_of("race_global", "race_tls"))).splitlines()
    assert lines[0].startswith("finding ")
    assert sum("by thread" in line for line in lines) >= 2
