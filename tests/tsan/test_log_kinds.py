"""Logs as people and collectors have them: each kind that was once misread, with its right value."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from python_tsan.tsan.digest import Digest
from python_tsan.tsan.finding import Dialect
from python_tsan.tsan.fingerprint import fingerprint, identity
from python_tsan.tsan.parser import parse_log

KINDS = Path(__file__).with_name("kinds")
REFERENCE = ("v1", "data race", "bump b.c", "show s.c")
WITHOUT_PLACE = ("v1", "data race", "bump app", "show app")


def kind(name):
    return (KINDS / f"{name}.log").read_text()


def parsed(text):
    return parse_log(text)


def only(text):
    log = parse_log(text)
    assert (log.unparsed, log.missing) == (0, 0)
    (finding,) = log.findings
    return finding


LINES = kind("reference").splitlines()


@pytest.mark.parametrize(
    "name",
    [
        "reference",
        "heading_with_words",
        "frames_hash_blank",
        "frames_no_hash",
        "no_pid",
        "no_tid",
        "docker_json",
        "place_blank_relative",
        "place_discriminator",
    ],
)
def test_one_race_has_one_fingerprint_in_every_spelling(name):
    finding = only(kind(name))
    assert identity(finding) == REFERENCE
    assert [len(access.stack.frames) for access in finding.accesses] == [2, 2]
    assert len(finding.threads) == 1
    assert not finding.truncated


@pytest.mark.parametrize(
    "heading",
    [
        "WARNING: ThreadSanitizer: data race (pid=100) in test 3",
        "WARNING: ThreadSanitizer: data race (pid=100): see below",
        'WARNING: ThreadSanitizer: data race (pid=100)"',
        "WARNING: ThreadSanitizer: data race",
        "WARNING: ThreadSanitizer: data race [worker 3]",
        "WARNING: ThreadSanitizer: data race (pid 100)",
        f"WARNING: ThreadSanitizer: data race (pid={'9' * 5000})",
    ],
)
def test_headings(heading):
    finding = only(kind("reference").replace(LINES[1], heading))
    assert (finding.title, identity(finding)) == ("data race", REFERENCE)


@pytest.mark.parametrize(
    "line",
    [
        "  Thread T1 (running) created by main thread at:",
        "  Thread T1 (tid=101) created by main thread at:",
        "  Thread T1 created by main thread at:",
        "  Thread T1 'w (1)' (running) created by main thread at:",
        "  Thread T1 (tid=101, finished) created at:",
        f"  Thread T1 (tid={'1' * 5000}, running) created by main thread at:",
    ],
)
def test_threads_without_all_of_their_fields(line):
    finding = only(kind("reference").replace("  Thread T1 (tid=101, running) created by main thread at:", line))
    assert [thread.id for thread in finding.threads] == [1]
    assert finding.threads[0].stack.frames[0].symbol == "pthread_create"


@pytest.mark.parametrize(
    ("old", "new"),
    [("    #", "    "), ("    #", "    # "), ("    #", "#"), ("    #", "   *#"), ("    #", "    frame #")]
    + [("    #", f"{indent}#0") for indent in ("", "  ", "\t")],
)
def test_frames_in_every_numbering(old, new):
    assert identity(only(kind("reference").replace(old, new))) == REFERENCE


@pytest.mark.parametrize("new", ["", "[{}] ", "{}: ", "{}) ", "#{}: ", "#{} 0x7f00 in "])
def test_frames_with_other_numbers_or_none(new):
    text = kind("reference")
    for number in (0, 1):
        text = text.replace(f"    #{number} ", "    " + new.format(number))
    assert identity(only(text)) == REFERENCE


@pytest.mark.parametrize(
    "place",
    [
        "<null>",
        "??",
        "??:?",
        "??:0",
        ":?",
        ":0",
        "<null>:0",
        "<null>:95860036",
        "<null>:2",
        "<unknown>:0",
        "??:? (discriminator 3)",
        "app.7rcbfp3g-cgu.0:?",
        "app.7rcbfp3g-cgu.0",
        "4kfsjo5dl3d0bk8j:?",
        "src/main.rs/@/4kfsjo5dl3d0bk8j:?",
        "src/main.rs/@/4kfsjo5dl3d0bk8j",
        "<compiler-generated>:0",
    ],
)
def test_no_place_is_no_place_in_every_spelling(place):
    finding = only(kind("reference").replace("b.c:4", place).replace("s.c:5", place))
    assert identity(finding) == WITHOUT_PLACE
    assert {frame.file for access in finding.accesses for frame in access.stack.frames} == {"", "/src/w.c", "/src/m.c"}


@pytest.mark.parametrize("name", ["place_null_line", "place_question_marks"])
def test_logs_without_places_are_one_race(name):
    assert fingerprint(only(kind(name))) == fingerprint(
        only(kind("reference").replace("b.c:4", "<null>").replace("s.c:5", "<null>"))
    )


def test_an_interceptor_without_a_place_is_one():
    text = kind("reference").replace("    #0 bump b.c:4", "    #0 memcpy <null>:95860036 (app+0x1)\n    #1 bump b.c:4")
    assert identity(only(text.replace("    #1 worker", "    #2 worker"))) == REFERENCE


@pytest.mark.parametrize(
    ("line", "symbol", "file"),
    [
        ("#0 bump my src/b.c:4:2 (app+0x1)", "bump", "my src/b.c"),
        ("#0 bump a b c/d e.c:4 (app+0x1)", "bump", "a b c/d e.c"),
        ("#0 f(int, char) const my src/b.c:4 (app+0x1)", "f(int, char) const", "my src/b.c"),
        ("#0 operator new(unsigned long) my src/b.c:4 (app+0x1)", "operator new(unsigned long)", "my src/b.c"),
    ],
)
def test_relative_paths_with_blanks(line, symbol, file):
    frame = only(kind("reference").replace("#0 bump b.c:4 (app+0x1000)", line)).accesses[0].stack.frames[0]
    assert (frame.symbol, frame.file, frame.line) == (symbol, file, 4)


@pytest.mark.parametrize("name", ["mixed_ctest", "mixed_compose"])
def test_mixed_sources_are_kept_apart(name):
    first, second = parse_log(kind(name)).findings
    assert identity(first) == ("v1", "data race", "alpha_read alpha.c", "alpha_write alpha.c")
    assert identity(second) == ("v1", "data race", "beta_read beta.c", "beta_write beta.c")
    assert (first.source.first_line, first.source.last_line) == (3, 17)
    assert not first.unparsed + second.unparsed


PREFIXES = [
    ("3: ", "12: "),
    ("1: ", "2: "),
    ("[rank 1] ", "[rank 2] "),
    ("[0] ", "[1] "),
    ("[1,0]<stderr>:", "[1,1]<stderr>:"),
    ("web-1  | ", "web-2  | "),
    ("[node-1] ", "[node-2] "),
    ("Nov 23 01:02:03 host app[9]: ", "Nov 23 01:02:03 host app[10]: "),
    ("[pod/web-1/app] ", "[pod/web-2/app] "),
    ("2026-11-23T01:02:03.1234567Z a ", "2026-11-23T01:02:03.1234567Z b "),
    ("", "12: "),
    ("#8 0.245 ", "#9 0.312 "),
]


@pytest.mark.parametrize("prefixes", PREFIXES)
@pytest.mark.parametrize("step", [1, 3, 7])
def test_every_prefix_is_a_source_of_its_own(prefixes, step):
    one, other = LINES, [line.replace("bump", "tick").replace("show", "see") for line in LINES]
    texts = [[prefix + line for line in lines] for prefix, lines in zip(prefixes, (one, other), strict=True)]
    mixed = []
    while any(texts):
        for text in texts:
            mixed += text[:step]
            del text[:step]
    found = sorted(identity(finding) for finding in parse_log(mixed).findings)
    assert found == [REFERENCE, ("v1", "data race", "see s.c", "tick b.c")]


@pytest.mark.parametrize(
    "dress",
    [
        lambda line, n: f"2026-01-02T03:04:{n % 60:02}.{n:09}Z stderr F {line}",
        lambda line, n: f"2026-01-02T03:04:{n % 60:02}.{n:06}Z 01E {line}",
        lambda line, n: f"[{n:6}] {line}",
        lambda line, n: f"run.log:{n + 7}:{line}",
        lambda line, n: f"[rank 1] {n + 7}: {line}",
        lambda line, n: f"Nov 23 01:02:{n:02} host app[9]: {line}",
        lambda line, n: f"[00:{n:02}] {line}",
        lambda line, n: f"{1764550800 + n} {line}",
        lambda line, n: f"[node-1] [ERROR] [{1764550800 + n}.123456789] [app]: {line}",
        lambda line, _: f"^[[1m{line}^[[0m",
        lambda line, _: f"[1m[31m{line}[0m",
        lambda line, _: f"<span style='color:red'>{line.replace('<', '&lt;')}</span><br>",
        lambda line, _: line.replace(" ", "\xa0"),
        lambda line, n: json.dumps({"log": line + "\n", "stream": "stderr", "time": f"2026-01-02T03:04:{n:02}Z"}),
        lambda line, n: json.dumps({"ts": 1.5 + n, "level": "error", "msg": line, "id": f"a1b2c3{n}"}),
        lambda line, n: json.dumps({"__CURSOR": f"s={n}", "_PID": "9", "MESSAGE": list(line.encode())}),
        lambda line, n: json.dumps({"version": "1.1", "host": "h", "short_message": line, "timestamp": n + 0.5}),
        lambda line, n: json.dumps({"Time": str(n), "Action": "output", "Test": "T", "Output": line + "\n"}),
        lambda line, _: "web-1  | " + json.dumps({"message": line}),
        lambda line, _: f"  {json.dumps(line + chr(10))},",
        lambda line, n: json.dumps({"a": {"b": {"text": line}}, "n": n}),
        lambda line, _: json.dumps({"log": line}) + ",",
        lambda line, n: f'time="2026-01-02T03:04:{n:02}Z" level=error msg="{line}"',
        lambda line, n: f'level=error msg="{line}" time=2026-01-02T03:04:{n:02}Z pid=9',
        lambda line, n: f"[+{n * 13}ms] {line}",
        lambda line, n: f"{n * 0.5:.1f}s {line}",
        lambda line, n: f"[{n * 0.53:.2f}] {line}",
    ],
)
def test_collectors(dress):
    assert identity(only([dress(line, number) for number, line in enumerate(LINES)])) == REFERENCE


def test_records_of_two_processes_in_logfmt_are_two_sources():
    lines = [f'msg="{line}" pid={pid}' for line in LINES for pid in (1, 2)]
    assert [identity(finding) for finding in parse_log(lines).findings] == [REFERENCE, REFERENCE]


@pytest.mark.parametrize(
    "who", ["thread T1 'w'", "thread T1 (tid=101)", "thread T1 'w' (tid=101, running)", "thread 1"]
)
def test_threads_of_accesses(who):
    assert only(kind("reference").replace("by thread T1:", f"by {who}:")).accesses[0].thread == 1


@pytest.mark.parametrize("end", ["\r", "\\n", "&#10;", "&#xA;", "%0A", "\\r\\n", "<br>"])
def test_a_report_in_one_line(end):
    assert identity(only(['  "longrepr": "E  failed' + end + end.join(LINES) + '"'])) == REFERENCE


def test_a_report_in_one_record():
    text = json.dumps({"level": "error", "message": "stderr:\n" + "\n".join(LINES)})
    finding = only(["start", text, "end"])
    assert identity(finding) == REFERENCE
    assert (finding.source.first_line, finding.source.last_line) == (2, 2)


def test_records_of_two_containers_are_two_sources():
    def record(line, container):
        return json.dumps({"log": line, "container": container})

    other = [line.replace("bump", "tick") for line in LINES]
    mixed = [record(*each) for pair in zip(LINES, other, strict=True) for each in zip(pair, "ab", strict=True)]
    assert len(parse_log(mixed).findings) == 2
    assert {identity(finding)[2] for finding in parse_log(mixed).findings} == {"bump b.c", "show s.c"}


def test_a_path_of_windows_is_not_several_lines():
    text = kind("reference").replace("data race in bump", r"data race C:\new\b.c:4 in bump")
    assert only(text).summary == r"data race C:\new\b.c:4 in bump"


def test_a_logger_puts_its_prefix_before_the_heading_alone():
    finding = only(["ERROR:root:" + LINES[1], *LINES[2:]])
    assert identity(finding) == REFERENCE


def test_a_prefix_seen_again_is_no_logger():
    log = parse_log(["3: " + LINES[1], *LINES[2:5], "3: " + LINES[2], "3: " + LINES[3], "3: " + LINES[-2]])
    (finding,) = log.findings
    assert [len(access.stack.frames) for access in finding.accesses] == [1]


@pytest.mark.parametrize("name", ["go_without_fences", "go_indented"])
def test_go(name):
    finding = only(kind(name))
    assert finding.dialect is Dialect.GO
    assert identity(finding) == ("v1", "data race", "main.get m.go", "main.put m.go")
    assert not finding.truncated
    assert len(finding.threads) == 1


def test_go_before_1_7_prints_no_addresses():
    text = kind("go_without_fences").replace(" at 0x00c000000010", "").replace("main.put()", "main.func·001()")
    assert identity(only(text)) == ("v1", "data race", "main.func·001 m.go", "main.get m.go")


def test_html_entities():
    assert identity(only(kind("html_entities"))) == ("v1", "data race", "put app", "global table")


def test_images_of_macos_have_no_architecture():
    frames = only(kind("mac_images")).accesses[0].stack.frames
    assert [frame.module for frame in frames] == ["libpython3.14.dylib", "libother.dylib"]


def test_several_fatal_ends():
    assert len(parse_log(kind("several_fatals")).fatal) == 2
    crash = ["ThreadSanitizer:DEADLYSIGNAL"] * 2 + ["==4==ERROR: ThreadSanitizer: SEGV on x"]
    assert len(parse_log(crash).fatal) == 1
    assert len(parse_log(crash * 2).fatal) == 2
    assert len(parse_log(["FATAL: ThreadSanitizer: a", "FATAL: ThreadSanitizer: b"]).fatal) == 2


def test_summaries_of_two_races_are_two_findings():
    first, second = parse_log(kind("two_summaries")).findings
    assert identity(first) == ("v1", "data race", "alpha alpha.c")
    assert identity(second) == ("v1", "data race", "beta beta.c")
    assert first.stacks[0].caption == "only the summary of this report is left"
    assert not first.truncated


@pytest.mark.parametrize(
    ("summary", "name"),
    [
        ("/src/alpha.c:4:2 in alpha(int)", "alpha alpha.c"),
        ("in alpha", "alpha "),
        ("(app+0x10) in alpha", "alpha app"),
        ("??:? in alpha", "alpha "),
        ("/my src/alpha.c:4 alpha", "alpha alpha.c"),
        ("/src/alpha.c:4", "alpha.c"),
        ("/src/alpha.c:4 in operator new(unsigned long)", "operator{new} alpha.c"),
    ],
)
def test_places_of_summaries(summary, name):
    finding = only([LINES[1], f"SUMMARY: ThreadSanitizer: data race {summary}"])
    assert identity(finding) == ("v1", "data race", name)


@pytest.mark.parametrize(
    "line",
    [
        "==4711==WARNING: ThreadSanitizer: memory layout is incompatible, possibly due to high-entropy ASLR.",
        "==4711==WARNING: Program is run with unlimited stack size, which wouldn't work with ThreadSanitizer.",
        "***** Running under ThreadSanitizer v3 (pid 4711) *****",
        "ThreadSanitizer: failed to intercept 'xdr_destroy'",
        "ThreadSanitizer report breakpoint hit. Use 'thread info -s' to get extended information about the report.",
        "ThreadSanitizer: Matched 3 suppressions (pid=4711):",
    ],
)
def test_remarks_are_known(line):
    log = parse_log(["hello", line])
    assert (log.unparsed, log.missing, log.findings, log.fatal) == (0, 0, (), ())
    assert parse_log([*LINES[:3], line, *LINES[3:]]).unparsed == 0


def missing(lines):
    digest = Digest()
    digest.add(lines, "log")
    return digest.blocks, sum(each.missing for each in digest.shortfalls)


@pytest.mark.parametrize(
    ("lines", "blocks", "count"),
    [
        (["ThreadSanitizer: reported 3 warnings"], 0, 3),
        (["SUMMARY: ThreadSanitizer: data race b.c:4 in bump"], 0, 1),
        (["SUMMARY: ThreadSanitizer: data race b.c:4 in bump", "ThreadSanitizer: reported 3 warnings"], 0, 3),
        ([*LINES, "ThreadSanitizer: reported 5 warnings"], 1, 4),
        ([*LINES, "ThreadSanitizer: reported 1 warnings", *LINES, "ThreadSanitizer: reported 1 warnings"], 2, 0),
        ([*LINES, *LINES, "ThreadSanitizer: reported 2 warnings"], 2, 0),
        (["WARNING: ThreadSanitizer: data ra"], 0, 1),
        (LINES[2:6], 0, 1),
        (["Found 2 data race(s)"], 0, 2),
        (["testing.go:1152: race detected during execution of test"], 0, 1),
        ([json.dumps({"log": "ThreadSanitizer: reported 3 warnings\n"})], 0, 3),
        (["3: ThreadSanitizer: reported 3 warnings"], 0, 3),
        ([f"ThreadSanitizer: reported {'3' * 5000} warnings"], 0, 1),
        (["hello", "==4711== reading at 0x10 bytes"], 0, 0),
    ],
)
def test_reports_that_the_log_speaks_of_are_counted(lines, blocks, count):
    assert missing(lines) == (blocks, count)


@pytest.mark.parametrize(
    "line",
    [
        *("  Thread T1 (tid=101, running) created by main thread at:", "Goroutine 7 (running) created at:"),
        "  Location is heap block of size 64 at 0x721000000040 allocated by main thread:",
        *("  Location is stack of main thread.", "  Location is file descriptor 4 created by main thread at:"),
        *("  Mutex M1 acquired here while holding mutex M0 in main thread:", "  Mutex M1 (0x7b0c00000000) created at:"),
        *(
            "  Mutex M1 created at:",
            "  Mutex M1 (<addr>) created at:",
            "  Thread 'w' (running) created by main thread at:",
        ),
        *("  Write of size 8 at 0x7b04 by thread 'w':", "  Previous read of size 8 at 0xXXXX by thread T?:"),
        "  Location is heap block of size 64 at <addr> allocated by main thread:",
        *("ThreadSanitizer can not provide additional info.", "race detected outside of test execution"),
        *(
            "1 ThreadSanitizer warning was found",
            "ThreadSanitizer detected a data race in worker()",
            "a race by ThreadSanitizer",
        ),
        "CI: ThreadSanitizer found 3 errors",
        *("Error: Process completed with exit code 66.", "make: *** [Makefile:7: check] Error 66", "exited with 66"),
        *("returned non-zero exit status 66", "program failed (rc=66)", "exit status: 66"),
    ],
)
def test_what_is_left_of_a_report_counts(line):
    assert missing(["hello", line, "bye"]) == (0, 1)
    assert missing([*LINES, line]) == (1, 0)


@pytest.mark.parametrize(
    "line",
    [
        *("ThreadSanitizer: no data races detected", "0 ThreadSanitizer warnings", "built with ThreadSanitizer"),
        *("process 66 exited with code 0", "exit code: 0; 66 tests", "exit code 66.5", "66 of 66 passed", "Error 166"),
        *("status: 66% done", "exit code 660", "ended at 66:10"),
        *(
            "Thread pool created by worker at: noon",
            "Location is Berlin",
            "race by bike",
            "the file was read by thread 1",
        ),
    ],
)
def test_words_that_are_of_no_report_do_not_count(line):
    assert missing(["hello", line, "bye"]) == (0, 0)


@pytest.mark.parametrize(
    ("line", "tool"),
    [
        ("BUG: KCSAN: data-race in do_page_fault / spectre_v4_enable_task", "KCSAN"),
        ("[  1.5] BUG: KASAN: slab-out-of-bounds in f", "KASAN"),
        ("==4711== Helgrind, a thread error detector", "Helgrind"),
        ("==4711== Possible data race during write of size 4 at 0x30A040 by thread #2", "Helgrind"),
        ("==4711== drd, a thread error detector", "DRD"),
        ("==4711== Conflicting store by thread 2 at 0x0060103c size 4", "DRD"),
        ("==4711==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010", "AddressSanitizer"),
        ("==4711==WARNING: MemorySanitizer: use-of-uninitialized-value", "MemorySanitizer"),
        ("==4711==ERROR: LeakSanitizer: detected memory leaks", "LeakSanitizer"),
        ("race.c:4:2: runtime error: signed integer overflow", "UndefinedBehaviorSanitizer"),
    ],
)
def test_logs_of_other_tools_are_named(line, tool):
    digest = Digest()
    digest.add(["hello", line], "log")
    assert list(digest.other_tools) == [tool]
    assert not digest.shortfalls or tool == "Helgrind"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pid=100", f"pid={'1' * 5000}"),
        ("tid=101", f"tid={'1' * 5000}"),
        ("b.c:4", f"b.c:{'4' * 5000}"),
        ("0x7b0400000000", f"0x{'f' * 5000}"),
        ("app+0x1000", f"app+0x{'f' * 5000}"),
        ("thread T1", f"thread T{'1' * 5000}"),
        ("size 4", f"size {'4' * 5000}"),
        ("#0", f"#{'0' * 5000}9"),
    ],
)
def test_a_field_of_too_many_digits_is_unknown_and_the_rest_is_read(old, new):
    finding = only(kind("reference").replace(old, new))
    assert identity(finding)[1] == "data race"
    assert len(finding.accesses) == 2


def test_base64_is_not_decoded():
    text = base64.b64encode("\n".join(LINES).encode()).decode()
    assert parse_log([text]).findings == ()
