"""A further detector is a module and a name: nothing else has to know it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from observed import finding

from python_tsan.checking.execution import execute, observe
from python_tsan.detect import capi as capi_detector
from python_tsan.detect import locks as locks_detector
from python_tsan.detect import races, registry
from python_tsan.detect.reading import Reading
from python_tsan.detect.registry import Evidence, detectors
from python_tsan.locks.model import GilSight, LockTrace, Misuse, Rule, TracedThread
from python_tsan.result.model import Unparsed
from python_tsan.running.assembly import read_runs
from python_tsan.tsan.finding import Fatal, FatalKind, Kind

PYTHON = (sys.executable, "-IS", "-c")
NOTE = "import os; open(os.environ['LOCK_FILE'], 'w').write('cycle')"


@pytest.fixture
def locks(monkeypatch):
    """Register a detector whose raw evidence is one file of its own."""
    module = ModuleType("another")
    module.prepare = lambda folder, _env: {"LOCK_FILE": str(folder / "locks.txt")}
    module.files = lambda folder: tuple(folder.glob("locks.txt"))
    module.problem = lambda _folder, stderr: "the lock file is too old" if "old locks" in stderr else ""
    found = finding()

    def read(files):
        given_up = Fatal(kind=FatalKind.FATAL, message="locks gave up", pid=None, source=found.source, raw="")
        text = "".join(file.read_text() for file in files)
        return Evidence(
            findings=(found,) if text == "cycle" else (),
            fatal=(given_up,) if text == "broken" else (),
            unparsed=Unparsed(count=int(text == "odd"), samples=("odd",) * (text == "odd")),
        )

    def digest(files, reading):
        for each in read(files).findings:
            reading.digest.add(each.raw.splitlines(), "locks.txt")

    module.read, module.digest = read, digest
    monkeypatch.setattr(registry, "DETECTORS", ("races", "another"))
    monkeypatch.setitem(sys.modules, "python_tsan.detect.another", module)
    return found


def test_races_locks_and_calls_are_what_is_detected_today():
    assert detectors() == (races, locks_detector, capi_detector)
    assert detectors(["capi"]) == (capi_detector,)


def test_a_further_detector_reaches_the_process_and_its_findings_count(locks, tmp_path):
    seen = observe([*PYTHON, NOTE], folder=tmp_path / "1", env={}, deadline=20.0)
    assert seen.findings == (locks,)
    assert seen.logs == (), "the logs of a process are the sanitizer's, which are text"


def test_its_findings_are_in_the_result_of_a_program_too(locks, tmp_path):
    execution = execute([*PYTHON, NOTE], folder=tmp_path / "1", env={}, deadline=20.0)
    (group,) = read_runs([execution], ("races", "another")).digest.groups.values()
    assert group.finding.kind is locks.kind


@pytest.mark.usefixtures("locks")
def test_what_it_cannot_read_is_counted(tmp_path):
    seen = observe([*PYTHON, NOTE.replace("cycle", "odd")], folder=tmp_path / "1", env={}, deadline=20.0)
    assert seen.unparsed == Unparsed(count=1, samples=("odd",))
    broken = observe([*PYTHON, NOTE.replace("cycle", "broken")], folder=tmp_path / "2", env={}, deadline=20.0)
    assert broken.fatal == ("locks gave up",)


@pytest.mark.usefixtures("locks")
def test_its_problem_is_a_doubt_of_its_own(tmp_path):
    code = "import sys; sys.stderr.write('old locks')"
    assert observe([*PYTHON, code], folder=tmp_path / "1", env={}, deadline=20.0).problem == "the lock file is too old"


def test_both_ways_of_reading_find_the_same(golden):
    for path in map(Path, golden("race_heap", "deadlock")):
        reading = Reading()
        races.digest([path], reading)
        assert reading.digest.blocks == len(races.read([path]).findings)


def recording(monkeypatch, **parts):
    trace = LockTrace(pid=1, **parts)
    monkeypatch.setattr(locks_detector, "traces", lambda files: ((path, trace) for path in files))
    monkeypatch.setattr(locks_detector, "files", lambda folder: (folder / "1.locks",))


def test_calls_that_were_not_seen_are_named(monkeypatch, tmp_path):
    recording(monkeypatch, gil=GilSight.NOT_RECOGNISED, calls_not_seen={"functions of Python beyond the limit": 2})
    assert list(capi_detector.gaps([tmp_path, tmp_path], alone=False)) == [
        "Calls of Python's C API were not seen in this Python, so they were not judged.",
        "The recorder could not follow functions of Python beyond the limit (2 times).",
    ]


@pytest.mark.parametrize(("gil", "checks"), [(GilSight.NO_PYTHON, False), (GilSight.RECOGNISED, True)])
def test_without_python_or_with_its_calls_nothing_is_missing(monkeypatch, tmp_path, gil, checks):
    recording(monkeypatch, gil=gil, checks_calls=checks)
    assert list(capi_detector.gaps([tmp_path], alone=False)) == []


def test_that_there_was_no_python_matters_to_who_asked_for_its_calls(monkeypatch, tmp_path):
    words = ["No Python was seen, so calls of its C API were not judged."]
    recording(monkeypatch, gil=GilSight.NO_PYTHON)
    assert list(capi_detector.gaps([tmp_path], alone=True)) == words
    recording(monkeypatch, gil=GilSight.RECOGNISED, checks_calls=True)
    assert list(capi_detector.gaps([tmp_path], alone=True)) == []
    monkeypatch.setattr(locks_detector, "files", lambda _folder: ())
    assert list(capi_detector.gaps([tmp_path], alone=True)) == words


NOT_RECORDED = "so its locks and its calls of Python's C API were not judged."


@pytest.mark.parametrize("detector", [locks_detector, capi_detector])
@pytest.mark.parametrize("alone", [True, False])
def test_a_process_that_could_not_be_recorded_is_named_with_the_reason(tmp_path, detector, alone):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "processes").write_text("5\tloaded\t/bin/a\n5\tproblem\terror 28\n6\tproblem\terror x\n")
    words = [f"Process 5 could not be recorded (No space left on device), {NOT_RECORDED}"]
    assert list(detector.gaps([tmp_path], alone=alone)) == words


@pytest.mark.parametrize("detector", [locks_detector, capi_detector])
@pytest.mark.parametrize("content", [b"", b"PTLOCKS\n", bytes(100_000)])
def test_a_recording_that_cannot_be_read_is_named(tmp_path, detector, content):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "7.locks").write_bytes(content)
    words = f"The recording 7.locks of a process cannot be read, {NOT_RECORDED}"
    assert list(detector.gaps([tmp_path], alone=False)) == [words]


def test_a_broken_rule_counts_in_both_ways_of_reading(monkeypatch, tmp_path):
    broken = Misuse(rule=Rule.NO_THREAD_STATE, function="PyList_Size", thread=0, count=3)
    threads = (TracedThread(id=0, tid=1),)
    recording(monkeypatch, gil=GilSight.RECOGNISED, checks_calls=True, misuses=(broken,), threads=threads)
    (path,) = capi_detector.files(tmp_path)
    assert [each.kind for each in capi_detector.read([path]).findings] == [Kind.API_NOT_ATTACHED] * 3
    reading = Reading()
    capi_detector.digest([path], reading)
    (group,) = reading.digest.groups.values()
    assert (group.finding.title, group.occurrences) == ("PyList_Size called without the GIL", 3)


FENCE = "=" * 18 + "\n"
REPORT = f"{FENCE}WARNING: ThreadSanitizer: data race (pid=7)\nSUMMARY: ThreadSanitizer: data race a.c:3 in f\n{FENCE}"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", True),
        (FENCE, True),
        (REPORT + FENCE, True),
        (REPORT[:-1], True),
        (REPORT + "==================\nWARNING: Thr", True),
        (REPORT, False),
        (REPORT.replace("SUMMARY: ThreadSanitizer: data race a.c:3 in f", ""), False),  # print_summary=0
        (REPORT + "ThreadSanitizer: reported 1 warnings\n", False),
        ("ThreadSanitizer: Matched 1 suppressions (pid=7):\n1 race:f\n", False),
    ],
)
def test_a_log_that_could_not_be_written_to_its_end_is_a_doubt(tmp_path, text, cut):
    def subject(pause):
        path = "os.path.join(os.path.dirname(os.environ['PYTHON_TSAN_LOG_PATH']), 'tsan.7')"
        return (*PYTHON, f"import os, time; open({path}, 'w').write({text!r}); {pause}")

    words = "the log tsan.7 could not be written to its end, so findings may be missing"
    observed = observe(subject("0"), folder=tmp_path / "a", env={}, deadline=60)
    assert observed.problem.startswith(words) if cut else observed.problem == ""
    killed = observe(subject("os.kill(os.getpid(), 9)"), folder=tmp_path / "b", env={}, deadline=60)
    assert killed.problem == ""  # its death is the reason
