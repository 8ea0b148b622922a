"""One race in every dress that collectors, build servers, documents and symbolizers give it: it has one fingerprint."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from python_tsan.tsan.fingerprint import identity
from python_tsan.tsan.parser import parse_log

REFERENCE = Path(__file__).with_name("kinds") / "reference.log"
TEXT = REFERENCE.read_text()
LINES = TEXT.splitlines()
OTHER = TEXT.replace("bump", "tick").replace("show", "see").splitlines()
RACE = ("v1", "data race", "bump b.c", "show s.c")
OTHER_RACE = ("v1", "data race", "see s.c", "tick b.c")
WITHOUT_PLACE = ("v1", "data race", "bump app", "show app")


def only(lines):
    log = parse_log(lines)
    assert (log.unparsed, log.missing) == (0, 0), log.samples
    (finding,) = log.findings
    return finding


def assert_is_reference(lines):
    finding = only(lines)
    assert identity(finding) == RACE
    assert [len(access.stack.frames) for access in finding.accesses] == [2, 2]
    assert len(finding.threads) == 1
    assert not finding.truncated


# Prefixes with a number for each line
PREFIXES = {
    "kubernetes": lambda n: f"2026-11-23T01:02:{n:02}.123456789+01:00 stderr F ",
    "stern": lambda _: "web-5d9c7b-x2x4z app ",
    "github": lambda n: f"build / linux\tUNKNOWN STEP\t2026-11-23T01:02:{n:02}.1234567Z ",
    "github error": lambda n: f"2026-11-23T01:02:{n:02}.1234567Z ##[error]",
    "gitlab": lambda n: f"2026-11-23T01:02:{n:02}.123456Z 00E ",
    "journald monotonic": lambda n: f"[  {n + 12}.345678] host app[4711]: ",
    "journald unix": lambda n: f"17645508{n:02}.123456 host app[4711]: ",
    "syslog 5424": lambda n: f'<13>1 2026-11-23T01:02:{n:02}.000Z host app 4711 - [meta sequenceId="{n}"] ',
    "mpirun": lambda _: "[prterun-host-1234@1,0]<stderr>: ",
    "ros": lambda n: f"[talker-1] [INFO] [17645508{n:02}.123456789] [talker]: ",
    "adb threadtime": lambda n: f"11-23 01:02:{n:02}.123  4711  4712 E app     : ",
    "adb brief": lambda _: "E/app     ( 4711): ",
    "macos": lambda n: f"2026-11-23 01:02:{n:02}.123456+0100 App[4711:123456] ",
    "glog": lambda n: f"E1123 01:02:{n:02}.123456  4711 main.cc:{n + 10}] ",
    "teamcity": lambda n: f"[01:02:{n:02}]W:\t [Step 1/2] ",
    "buildkite": lambda n: f"\x1b_bk;t=17645508{n:02}123\x07",
    "foreman": lambda n: f"01:02:{n:02} web.1  | ",
    "ray": lambda _: "(worker pid=4711, ip=10.0.0.1) ",
    "grep": lambda n: f"test.log{':' if n == 1 else '-'}{n + 1}{':' if n == 1 else '-'}",
    "grep in one file": lambda n: f"{n + 1}{':' if n == 1 else '-'}",
    "compact time": lambda n: f"20261123T0102{n:02}Z ",
    "compact time without letters": lambda n: f"202611230102{n:02} ",
    "tai64": lambda n: f"@4000000065a1b2{n:02x}1234abcd ",
    "a number of the line's own": lambda n: f"1a2b3c{n:02x}-0000-1111-2222-333344445555 ",
    "a number in parentheses": lambda n: f"(req-{n * 7919:08x}) ",
    "a number of the request": lambda n: f"[req-{n * 7919:08x}] ",
    "mail": lambda _: "> > ",
    "diff": lambda _: "+",
    "tree": lambda _: "\x1b[2m│\x1b[0m  ",
    "invisible": lambda _: "\u200b\ufeff",
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_prefixes(prefix):
    dressed = [prefix(number) + line for number, line in enumerate(LINES)]
    assert_is_reference(dressed)
    assert_is_reference([line.rstrip() for line in dressed])
    assert_is_reference([prefix(number) + line.strip() for number, line in enumerate(LINES)])
    assert_is_reference([prefix(0) + "starting 3 of 4", *(prefix(n) + line for n, line in enumerate(LINES, 1))])


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_two_races_behind_one_prefix_are_two(prefix):
    log = parse_log([prefix(number) + line for number, line in enumerate(LINES + OTHER)])
    assert [identity(finding) for finding in log.findings] == [RACE, OTHER_RACE]


def test_a_source_of_which_the_heading_is_lost_is_not_joined_to_another():
    mine, theirs = [f"[node-15aaaaaa1111] {line}" for line in LINES], [f"[node-99bbbbbb2222] {line}" for line in OTHER]
    log = parse_log([*mine[:2], *theirs[2:6], *mine[2:], *theirs[6:]])
    assert RACE in map(identity, log.findings)
    assert not any("tick" in finding.raw and "bump" in finding.raw for finding in log.findings)


# What stands behind every line
SUFFIXES = {
    "pretty json": ('      "MESSAGE": "', '",'),
    "table": ("| ", " |"),
    "padded table": ("| ", " " * 9 + " |"),
    "box": ("│ ", "     │"),
    "csv": ('2026-11-23,host,"', '"'),
    "xml": ("<Event><Data>", "</Data></Event>"),
    "python": ("    '", "',"),
    "rtf": ("", r"\par"),
    "logfmt with other quotes": ("level=error msg='", "' component=a"),
    "escaped colours": (r"\u001b[31m", r"\u001b[0m"),
    "octal colours": (r"\033[31m", r"\033[0m"),
    "shown colours": ("␛[31m", "␛[0m"),
    "one-byte colours": ("\x9b31m", "\x9b0m"),
    "colours with colons": ("\x1b[38:2:255:0:0m", "\x1b[0m"),
    "zero bytes": ("", "\0"),
    "a thread's name": ("", " [worker 3]"),
}


@pytest.mark.parametrize("suffix", SUFFIXES.values(), ids=SUFFIXES)
def test_suffixes(suffix):
    assert_is_reference([line.join(suffix) for line in LINES])


def test_quotes_in_a_text_in_quotes_are_unescaped():
    lines = [json.dumps(line.replace("bump b.c", 'bump("x") b.c'))[1:] for line in LINES]
    assert only([f'"MESSAGE": "{line},' for line in lines]).accesses[0].stack.frames[0].symbol == 'bump("x")'


def test_the_number_of_a_row_is_not_part_of_its_line():
    assert_is_reference([f'{number},"{line}"' for number, line in enumerate(LINES)])


RECORDS = {
    "google": lambda n, line: {"insertId": f"a{n}b", "jsonPayload": {"message": line}, "timestamp": "t"},
    "elastic": lambda n, line: {"_id": f"x{n}", "_source": {"message": line}},
    "splunk": lambda n, line: {"offset": n, "result": {"_raw": line, "host": "h"}},
    "docker in kubernetes": lambda _, line: {"log": f"2026-11-23T01:02:03.1Z stderr F {line}", "pod": "a"},
    "three levels": lambda _, line: {"log": json.dumps({"msg": json.dumps({"message": line})}), "stream": "stderr"},
    "opentelemetry": lambda n, line: {
        "resourceLogs": [
            {"scopeLogs": [{"logRecords": [{"timeUnixNano": f"176{n:016}", "body": {"stringValue": line}}]}]}
        ]
    },
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_records(record):
    assert_is_reference([json.dumps(record(number, line)) for number, line in enumerate(LINES)])
    assert_is_reference(json.dumps([record(number, line) for number, line in enumerate(LINES)]))


DOCUMENTS = {
    "loki": {
        "data": {"result": [{"stream": {"app": "a"}, "values": [[f"1764{n:015}", x] for n, x in enumerate(LINES)]}]}
    },
    "cloudwatch": {
        "events": [{"timestamp": 1764550800000 + n, "message": x} for n, x in enumerate(LINES)],
        "token": "f/1",
    },
    "lines": {"stderr": LINES, "returncode": 66},
    "list": LINES,
    "whole": {"tests": [{"name": "t", "call": {"stderr": TEXT}}]},
    "sections": {"nodeid": "t.py::t", "sections": [["Captured stderr call", TEXT]]},
    "twice": json.dumps({"stderr": TEXT}),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents(document):
    assert_is_reference(json.dumps(document))
    if isinstance(document, dict | list):
        (finding,) = parse_log(json.dumps(document, indent=2)).findings
        assert identity(finding) == RACE


def test_records_of_two_pods_in_one_document_are_two_sources():
    entries = [
        {"pod": pod, "textPayload": line}
        for pair in zip(LINES, OTHER, strict=True)
        for pod, line in zip("ab", pair, strict=True)
    ]
    log = parse_log(json.dumps(entries))
    assert sorted(identity(finding) for finding in log.findings) == [RACE, OTHER_RACE]


def test_an_unnamed_field_that_comes_again_names_a_source():
    mixed = [
        json.dumps({"c": name, "message": line})
        for pair in zip(LINES, OTHER, strict=True)
        for name, line in zip(("web-1", "web-2"), pair, strict=True)
    ]
    assert sorted(identity(finding) for finding in parse_log(mixed).findings) == [RACE, OTHER_RACE]


ONE_LINE = {
    "literal": "\\n".join(LINES),
    "literal twice": "\\\\n".join(LINES),
    "rsyslog": "#012".join(LINES),
    "octal": "\\012".join(LINES),
    "unicode escape": "\\u000a".join(LINES),
    "line separator": "\u2028".join(LINES),
    "next line": "\x85".join(LINES),
    "zero": "\0".join(LINES),
    "pilcrow": "¶".join(LINES),
    "blanks": " ".join(line.strip() for line in LINES),
    "bars": " | ".join(line.strip() for line in LINES),
    "repr": repr(LINES),
    "divs": "".join(f"<div>{html.escape(line)}</div>" for line in LINES),
    "paragraphs": "".join(f"<p>{html.escape(line)}</p>" for line in LINES),
    "items": "<ol>" + "".join(f"<li><code>{html.escape(line)}</code></li>" for line in LINES) + "</ol>",
}


@pytest.mark.parametrize("line", ONE_LINE.values(), ids=ONE_LINE)
def test_whole_reports_in_one_line(line):
    assert_is_reference(["start", line, "end"])


def frames(spell):
    lines = []
    for line in LINES:
        if line.lstrip().startswith("#") and "<null>" not in line:
            index, symbol, place, module = line.split()
            lines.append(spell(index[1:], symbol, place, module.strip("()")))
        else:
            lines.append(line)
    return lines


FRAMES = {
    "llvm-symbolizer": lambda i, s, p, m: f"    #{i} {s} at {p} ({m})",
    "gdb": lambda i, s, p, _: f"    #{i}  0x000055d0e0a in {s} (x=1, y=0x0) at {p}",
    "gdb without arguments": lambda i, s, p, _: f"    #{i}  0x000055d0e0a in {s} () at {p}",
    "lldb": lambda i, s, p, _: f"  * frame #{i}: 0x000055d0e0a app`{s} at {p}",
    "atos": lambda i, s, p, m: f"    #{i} {s} (in App) ({p}) ({m})",
    "place in parentheses": lambda i, s, p, m: f"    #{i} {s} ({p}) ({m})",
    "distance": lambda i, s, p, m: f"    #{i} {s}+0x12 {p} ({m})",
    "distance in words": lambda i, s, p, m: f"    #{i} {s} + 18 {p} ({m})",
    "inlined": lambda i, s, p, m: f"    #{i} {s} {p} [inlined] ({m})",
    "upper case": lambda i, s, p, m: f"    #{i} {s} {p} ({m.replace('0x', '0X')})",
    "tabs": lambda i, s, p, m: f"\t#{i}\t{s}\t{p}\t({m})",
    "blanks": lambda i, s, p, m: f"    #{i}  {s}   {p}  ({m})",
    "markdown": lambda i, s, p, m: f"    \\#{i} `{s}` {p} ({m})",
    "overloaded": lambda i, s, p, m: f"    #{i} void {s}<int>(int) const {p} ({m})",
}


@pytest.mark.parametrize("spell", FRAMES.values(), ids=FRAMES)
def test_frames(spell):
    assert_is_reference(frames(spell))


@pytest.mark.parametrize(
    "place",
    [
        *("<unknown file>", "<unknown source>:0", "<built-in>", "<artificial>", "<autogenerated>:1", "<command line>"),
        *("<stripped>", "<optimized out>", "(unknown source)", "(nil):0", "[unknown]", "unknown:0", "Unknown Source"),
        *("null", "nil", "None", "n/a", "-", "?", "?:0", "???", ":-1", "??:-1", "/build/core.cgu.0:?", "<null>:?:?"),
    ],
)
def test_no_place(place):
    finding = only([line.replace("b.c:4", place).replace("s.c:5", place) for line in LINES])
    assert identity(finding) == WITHOUT_PLACE


@pytest.mark.parametrize(
    "heading",
    [
        *("WARNING:ThreadSanitizer: data race (pid=100)", "WARNING: ThreadSanitizer:data race(pid=100)"),
        *("WARNING:  ThreadSanitizer:  data race  (pid=100)", "Warning: ThreadSanitizer: Data race (pid=100)"),
        *("WARNING - ThreadSanitizer: data race (pid=100)", "ThreadSanitizer: data race (pid=100)"),
        *("ERROR: ThreadSanitizer: data race (pid=100)", "WARNING: ThreadSanitizer: data race (pid: 100)"),
        *("WARNING: ThreadSanitizer: data race on worker 3", "**WARNING: ThreadSanitizer: data race (pid=100)**"),
    ],
)
def test_headings(heading):
    assert_is_reference([heading if "WARNING" in line else line for line in LINES])


def test_a_heading_in_other_words_has_its_pid():
    assert only(["ThreadSanitizer: data race (pid: 100)", *LINES[2:]]).pid == 100


@pytest.mark.parametrize(
    ("access", "thread"),
    [
        ("Write of size 4 at <addr> by thread T1:", 1),
        ("Write of size 4 at (nil) by thread T1:", 1),
        ("Write of size 4 at 0x**** by T1:", 1),
        ("Write of size ? at 0x7b04 by thread T1 [pool]:", 1),
        ("Write of 4 bytes at 0x7b04 by thread T1:", 1),
        ("Write of size 4 at 0x7b04 by unknown thread:", 0),
        ("Write of size 4 at 0x7b04 by GCD worker thread", 0),
        ("Write of size 4 at 0x7b04 by thread worker:", 0),
        ("Write of size 4 at 0x7b04 by thread 'main::worker' (mutexes: write M3):", 0),
        ("Write of size 4 at 0x7b04 by thread T? (mutexes: write M3, read M4):", 0),
    ],
)
def test_accesses(access, thread):
    lines = [f"  {access}" if "Write of" in line else line for line in LINES]
    assert_is_reference(lines)
    assert only(lines).accesses[0].thread == thread


def test_threads_with_names_alone():
    text = TEXT.replace("by thread T1:", "by thread 'main::w' (mutexes: write M3):").replace(
        "Thread T1 (tid=101, running)", "Thread 'main::w' (running)"
    )
    assert_is_reference(text.splitlines())
    finding = only(text.splitlines())
    write, read = finding.accesses
    assert [(mutex.id, mutex.write) for mutex in write.mutexes] == [(3, True)]
    assert (write.main_thread, read.main_thread) == (False, True)
    assert [thread.name for thread in finding.threads] == ["main::w"]


EXTRA = """
  Location is heap block of size 16 at 0x7b0400000000 allocated by main thread:
    #0 malloc <null> (app+0x50)

  Location is global 'table' of size 4 at 0x7b0400000000 (app+0x20)

  Mutex M1 (0x7b0400000010) created at:
    #0 pthread_mutex_init <null> (app+0x70)
"""
ADDRESSES = {
    "upper case": lambda found: "0x" + found[0][2:].upper(),
    "stars": lambda _: "0x****",
    "letters": lambda _: "0xXXXXXXXX",
    "dots": lambda _: "0x...",
    "bare stars": lambda _: "********",
    "word": lambda _: "<ADDR>",
    "words": lambda _: "<hex address>",
    "brackets": lambda _: "[ADDRESS]",
}


@pytest.mark.parametrize("spell", ADDRESSES.values(), ids=ADDRESSES)
def test_addresses_that_were_removed_from_a_log(spell):
    lines = TEXT.replace("\n  Thread T1", f"{EXTRA}\n  Thread T1").splitlines()
    finding = only([re.sub("0x[0-9a-f]+", spell, line) for line in lines])
    assert identity(finding) == ("v1", "data race", "bump b.c", "show s.c", "global table")
    assert [access.size for access in finding.accesses] == [4, 4]
    assert [frame.module for access in finding.accesses for frame in access.stack.frames] == ["app"] * 4
    assert [mutex.stack.frames[0].symbol for mutex in finding.mutexes] == ["pthread_mutex_init"]
    assert [place.size for place in finding.locations] == [16, 4]


def test_a_mutex_of_old_runtimes_has_no_address():
    text = TEXT.replace("\n  Thread T1", "\n  Mutex M1 created at:\n    #0 lock <null> (app+0x70)\n\n  Thread T1")
    (mutex,) = only(text.splitlines()).mutexes
    assert (mutex.id, mutex.address) == (1, None)


@pytest.mark.parametrize(
    "record",
    [
        lambda line: {"MESSAGE": line, "_PID": "9"},
        lambda line: {"MESSAGE": list(line.encode()), "_PID": "9"},
        lambda line: {"log": line + "\n", "stream": "stderr"},
    ],
)
def test_records_of_a_report_without_its_heading_are_not_clean(record):
    rest = [json.dumps(record(line)) for line in LINES if "ThreadSanitizer" not in line]
    assert parse_log(rest).missing == 1
    before = [json.dumps({"MESSAGE": "WARNING: ThreadSanitizer: data race (pid=1)", "_PID": "1"})]
    assert parse_log(before + rest).missing == 0  # the report that was read has one of them
