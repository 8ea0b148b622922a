"""Lines that a log driver has cut are joined, each in its stream; what never ends is a doubt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tsan_logs import DRIVERS, docker, parts_of, time_of

from python_tsan.tsan import partial
from python_tsan.tsan.digest import Digest
from python_tsan.tsan.fingerprint import identity
from python_tsan.tsan.parser import parse_log
from python_tsan.tsan.splitter import Splitter

TEXT = (Path(__file__).with_name("kinds") / "reference.log").read_text()
LINES = TEXT.splitlines()
OTHER = TEXT.replace("bump", "tick").replace("show", "see").splitlines()
RACE = ("v1", "data race", "bump b.c", "show s.c")
OTHER_RACE = ("v1", "data race", "see s.c", "tick b.c")
NAMES = ["cri in files", "cri", "docker", "fluentd", "fluent bit", "journald", "docker's journald"]
LONG = [line.replace("bump b.c", f"bump<{'int, ' * 8000}int> b.c") for line in LINES]


def read(lines):
    digest = Digest()
    digest.read(["\n".join(lines) + "\n"], "log")
    return digest


def races(lines):
    digest = read(lines)
    assert (digest.shortfalls, digest.unparsed, digest.unread) == ([], 0, []), digest.samples
    return sorted(identity(group.finding) for group in digest.groups.values())


def driven(driver, lines, sizes=(9, 12), name=1):
    written = []
    for line in lines:
        written += parts_of(driver, name, line, sizes, len(written))
    return written


def alternate(one, other):
    return [line for pair in zip(one, other, strict=True) for line in pair]


@pytest.mark.parametrize("driver", DRIVERS, ids=NAMES)
@pytest.mark.parametrize("sizes", [(), (9,), (9, 12), (0,), (20, 0)], ids=str)
def test_parts_of_a_line_are_joined(driver, sizes):
    start = driven(driver, ["it is up"], ())
    assert races(start + driven(driver, LINES, sizes)) == [RACE]
    assert races([line + "\r" for line in start + driven(driver, LINES, sizes)]) == [RACE]


@pytest.mark.parametrize("driver", DRIVERS, ids=NAMES)
def test_streams_stay_apart(driver):
    both = [driven(driver, ["it is up", *lines], name=name) for name, lines in ((1, LINES), (2, OTHER))]
    assert races(alternate(*both)) == [RACE, OTHER_RACE]


@pytest.mark.parametrize("driver", DRIVERS, ids=NAMES)
def test_a_frame_of_many_parts_is_that_of_a_plain_log(driver):
    (whole,) = parse_log(LONG).findings
    (joined,) = (group.finding for group in read(driven(driver, LONG, (16384, 16384))).groups.values())
    assert joined.accesses == whole.accesses


def test_a_full_buffer_of_docker_is_a_part_in_the_first_record():
    heading = f"{'.' * 16384}\n{LINES[1]}"
    first, *rest = [heading[:16384], heading[16384:].removeprefix("\n"), *LINES[2:]]
    lines = [docker(1, 0, first, end=False), *(docker(1, n, line, end=True) for n, line in enumerate(rest, 1))]
    assert races(lines) == [RACE]


def test_records_that_never_end_with_a_line_feed_are_whole():
    assert races([docker(1, n, line, end=False) for n, line in enumerate(LINES)]) == [RACE]


def test_what_a_program_printed_last_may_lack_its_line_feed():
    lines = driven(docker, ["it is up", *LINES[:-1]], ())
    lines[-1] = docker(1, 99, LINES[-2], end=False)
    assert races(lines) == [RACE]


UP = [docker(1, 0, "it is up", end=True)]


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ([f"{time_of(0)} stderr P WARNING: Thread"], 1),
        ([f"{time_of(0)} stderr P a", f"{time_of(1)} stdout P b"], 2),
        (['{"log": "a", "partial_message": "true", "container_id": "c"}'], 1),
        (['{"MESSAGE": "a", "_LINE_BREAK": "line-max", "_PID": "1"}'], 1),
        ([*UP, docker(1, 1, "x" * 16384, end=False)], 1),
        ([*UP, docker(1, 1, "bye", end=False)], 0),
    ],
)
def test_a_part_that_never_ends_is_a_doubt(lines, count):
    digest = read(["***** Running under ThreadSanitizer v3 (pid 1) *****", *lines])
    expected = {0: [], 1: ["a line that was cut"], 2: ["2 lines that were cut"]}[count]
    assert digest.unread == [f"log: the rest of {each} is not in the log" for each in expected]
    assert digest.blocks == 0


def test_the_heading_of_a_line_that_never_ends_is_read():
    cut = f"{time_of(0)} stderr P {LINES[1]}"
    digest = read([cut, *(f"{time_of(1)} stderr F {line}" for line in ())])
    assert digest.blocks == 1
    assert len(digest.unread) == 1


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(partial, "MAX_JOINED", 1000)
    monkeypatch.setattr(partial, "MAX_SOURCES", 4)
    splitter = Splitter()
    lines = [f"pod-{n % 9}x {time_of(n)} stderr P {'x' * 90}" for n in range(900)]
    list(splitter.split(lines, last=False))
    open_lines = splitter.joiner._partials.open
    assert len(open_lines) == 4
    assert max(len(part.text) for part in open_lines.values()) <= 1000 + 90


@pytest.mark.parametrize(("late", "doubts"), [("", 0), (LINES[1], 1)])
def test_the_rest_of_a_very_long_line_is_left_out_unless_it_matters(late, doubts, monkeypatch):
    monkeypatch.setattr(partial, "MAX_JOINED", 1000)
    half = len(late) // 2
    parts = ["x" * 900] * 3 + [late[:half], late[half:]] + ["x" * 900]
    lines = [f"{time_of(n)} stderr P {text}" for n, text in enumerate(parts)]
    digest = read([*lines, f"{time_of(9)} stderr F ", *(f"{time_of(9)} stderr F {line}" for line in LINES)])
    assert [identity(group.finding) for group in digest.groups.values()] == [RACE]
    assert len(digest.unread) == doubts


@pytest.mark.parametrize(
    "start",
    ["01E it is up", f"01E {LINES[1]}", f"01E {LINES[1]}\n{time_of(0)} 01E {LINES[2]}"],
    ids=["outside", "heading", "inside"],
)
def test_no_line_grows_without_end(start):
    splitter = Splitter()
    lines = [*f"{time_of(0)} {start}".split("\n"), *[f"{time_of(0)} 01E+{'x' * 100}"] * 200]
    seen = list(splitter.split(lines))
    kept = [splitter.blocks._latest, *(raw for block in seen for raw in block.raw)]
    assert max(map(len, kept)) <= partial.MAX_APPENDED + 200


def gitlab(lines, stream="01E", size=20):
    return [
        f"{time_of(n)} {stream}{'+' if part else ' '}{text}"
        for n, line in enumerate(lines)
        for part, text in enumerate([line[:size], line[size:]] if len(line) > size else [line])
    ]


@pytest.mark.parametrize("size", [4, 12, 20, 41])
def test_a_line_of_gitlab_goes_on_behind_a_plus_sign(size):
    assert races(gitlab(["it is up", *LINES], size=size)) == [RACE]
    assert races([f"{time_of(0)} 01E ...", f"{time_of(0)} 01E+{LINES[0]}", *gitlab(LINES[1:], size=99)]) == [RACE]


def test_a_plus_sign_joins_lines_of_one_stream_alone():
    both = gitlab(LINES, size=99), gitlab(OTHER, "01O", size=99)
    assert races(alternate(*both)) == [RACE, OTHER_RACE]
    lines = [f"{time_of(0)} 01O WARNING: Thread", f"{time_of(0)} 01E+Sanitizer: data race (pid=1)"]
    assert read(lines).blocks == 0


def exported(lines, pid):
    return [
        [f"__CURSOR=s=1;i={n}", f"__REALTIME_TIMESTAMP=17{n}", f"_PID={pid}", *message, "_COMM=app", ""]
        for n, line in enumerate(lines)
        for message in ([f"MESSAGE={line}"], ["MESSAGE", f"{chr(len(line) % 9)}{chr(0) * 7}{line}"])[n % 2 : n % 2 + 1]
    ]


def test_entries_of_the_journals_export_are_records_of_their_process():
    entries = alternate(exported(LINES, 1), exported(OTHER, 2))
    assert races([line for entry in entries for line in entry]) == [RACE, OTHER_RACE]
    assert races([line for entry in exported(LINES, 1) for line in entry][:-1]) == [RACE]


def sized(text):
    """Return the lines of a field with line ends, as a log's bytes are decoded."""
    data = len(text.encode()).to_bytes(8, "little") + text.encode()
    return ["MESSAGE", *data.decode(errors="backslashreplace").split("\n")]


@pytest.mark.parametrize("size", [700, 1000, 2000])
def test_a_whole_report_in_one_entry_is_read(size):
    text = TEXT + "x" * (size - len(TEXT))
    entry = ["__CURSOR=s=1", "_PID=1", *sized(text), "_COMM=app", ""]
    assert races(entry * 2) == [RACE]
    assert races([*entry[:-2], *LINES, *entry]) == [RACE]


def test_what_is_not_of_an_entry_is_read_as_a_line():
    assert races(["__CURSOR=s=1", *LINES]) == [RACE]
    assert races(["__CURSOR=s=1", "MESSAGE", *LINES]) == [RACE]
    assert races(["__CURSOR=s=1", "MESSAGE", "\\xff\\xff" + "\0" * 6, *LINES]) == [RACE]


def test_parts_of_go_tests_output_are_joined():
    def event(text):
        return json.dumps({"Time": time_of(1), "Action": "output", "Package": "a", "Output": text})

    lines = [event(part) for line in LINES for part in ((line[:30], line[30:] + "\n") if line[30:] else (line + "\n",))]
    assert races(lines) == [RACE]


def test_an_entry_of_many_fields_is_bounded():
    splitter = Splitter()
    list(splitter.split(["__CURSOR=1", *(f"F{n}=x" for n in range(5000))], last=False))
    assert len(splitter.joiner._entry.fields) == 200
    list(splitter.split([f"G{n}={'x' * 100_000}" for n in range(99)], last=False))
    assert len(splitter.joiner._entry.fields) == 200


def test_records_name_their_source_without_the_marks_of_parts():
    fields = {"container": "a", "stream": "stderr"}
    lines = [
        json.dumps({**fields, "logtag": tag, "partial_id": str(n), "log": text})
        for n, line in enumerate(LINES)
        for tag, text in (("P", line[:7]), ("F", line[7:]))
    ]
    assert races(lines) == [RACE]
