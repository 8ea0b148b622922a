"""What a program leaves in the folders of its own run may be anything: it is read at once, or named as not read."""

from __future__ import annotations

import os

import pytest
from hostile_files import CONTENTS, PLACES

from python_tsan.detect import capi, locks
from python_tsan.gil import preload
from python_tsan.running.companion import read_hook_output

pytestmark = pytest.mark.timeout(60)

# A name of its own is what makes these kinds.
KINDS = [*CONTENTS, *(kind for kind in PLACES if kind not in {"below_a_file", "long_name", "long_path", "missing"})]
STEMS = ("reports", "objects", "starts", "shims", "mappings", "execs")


def make(place, kind):
    if kind == "unreadable" and os.geteuid() == 0:
        pytest.skip("root reads everything")
    if kind in CONTENTS:
        place.write_bytes(CONTENTS[kind])
    else:
        PLACES[kind](place)


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_of_locks(tmp_path, kind):
    (tmp_path / "locks").mkdir()
    make(tmp_path / "locks" / "7.locks", kind)
    for detector in (locks, capi):
        (words,) = detector.gaps([tmp_path], alone=True)
        assert words.startswith("The recording 7.locks of a process cannot be read")
        assert detector.read(detector.files(tmp_path)).findings == ()
    assert not locks.hang(tmp_path).lines


@pytest.mark.parametrize("kind", KINDS)
def test_what_processes_noted(tmp_path, kind):
    (tmp_path / "locks").mkdir()
    make(tmp_path / "locks" / "processes", kind)
    found = list(locks.gaps([tmp_path], alone=False))
    if kind in CONTENTS or kind == "dangling":
        assert found == []
    else:
        (words,) = found
        assert words.startswith("What processes noted about their recordings cannot be read (")


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_companion_wrote(tmp_path, kind):
    for stem in STEMS:
        make(tmp_path / f"{stem}.7.jsonl", kind)
    read = read_hook_output(tmp_path)
    assert (read.starts, read.processes, read.mappings, read.bare, read.shims) == ((), (), (), (), ())
    assert read.reports == {7: ()}
    # A line at the end that was cut is the end of the process.
    cut = b"\n" not in CONTENTS.get(kind, b"\n")
    assert set(read.unread) == (set() if cut else {f"{stem}.7.jsonl" for stem in STEMS})


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_the_gil(tmp_path, kind):
    make(tmp_path / "7-1.gil", kind)
    read = preload._read(tmp_path / "7-1.gil")
    if kind.startswith(("sparse", "read_error")) or CONTENTS.get(kind, b"x")[:1] in {
        b"",
        b"\0",
    }:  # the process ended before it began
        assert read is None
    else:
        assert (read.pid, read.reason) == (7, "its recording cannot be read")
