"""Who may build, and what is swept."""

from __future__ import annotations

import os
import threading
import time

import pytest
from filelock import FileLock

from python_tsan.artifact import artifact, discard, exclusive, sweep, work_folder, writable
from python_tsan.errors import BuildError, UsageError
from python_tsan.paths import Layout


@pytest.fixture
def layout(tmp_path):
    return Layout(root=tmp_path)


def test_a_free_lock_is_taken_in_silence_and_given_back(layout, console):
    with exclusive(layout, "key", console) as waited:
        assert not waited
        assert (layout.locks / "key.holder").exists()
    assert not (layout.locks / "key.holder").exists()
    with FileLock(layout.locks / "key.lock").acquire(timeout=0):
        assert console.notes == ""


def test_a_taken_lock_is_waited_for_and_its_holder_named(layout, console):
    inside, leave, done = threading.Event(), threading.Event(), []

    def hold():
        with exclusive(layout, "key", console):
            inside.set()
            leave.wait(10)

    def follow():
        with exclusive(layout, "key", console) as waited:
            done.append(waited)

    first, second = threading.Thread(target=hold), threading.Thread(target=follow)
    first.start()
    assert inside.wait(10)
    second.start()
    while f"waiting for process {os.getpid()} on" not in console.notes:
        assert second.is_alive()
    assert done == []
    leave.set()
    first.join(10)
    second.join(10)
    assert done == [True]


def test_a_holder_without_a_note_is_another_process(layout, console):
    writable(layout.locks)
    (layout.locks / "key.holder").write_text("not json")
    held = threading.Event()

    def hold():
        with FileLock(layout.locks / "key.lock"):
            held.set()
            time.sleep(0.3)

    threading.Thread(target=hold).start()
    assert held.wait(10)
    with exclusive(layout, "key", console) as waited:
        assert waited
    assert "waiting for another process" in console.notes


def test_sweep_takes_dead_builds_and_leaves_live_ones(layout):
    for name in ("dead", "dead~123", "alive"):
        (work_folder(layout) / name / "build").mkdir(parents=True)
    writable(layout.locks)
    with FileLock(layout.locks / "alive.lock").acquire():
        assert sweep(layout) == ("dead", "dead~123")
    assert [path.name for path in work_folder(layout).iterdir()] == ["alive"]


def test_sweep_of_nothing(layout):
    assert sweep(layout) == ()


def test_sweep_leaves_other_parts_work_alone(layout):
    (layout.work / "source-abc").mkdir(parents=True)
    (work_folder(layout) / "dead").mkdir(parents=True)
    writable(layout.locks)
    sweep(layout)
    assert (layout.work / "source-abc").is_dir()


def test_discard_of_what_is_not_there(tmp_path):
    discard(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_writable_says_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write .*: Not a directory") as caught:
        writable(tmp_path / "file" / "below")
    assert "--cache" in caught.value.advice


def test_an_artifact_is_made_once_and_appears_by_rename(layout, console):
    target = layout.root / "things" / "key"
    calls = []

    def fill(work):
        assert target.exists() == bool(calls)
        assert list(work.iterdir()) == []
        calls.append(work)
        (work / "made").mkdir()
        (work / "made" / "file").write_text(str(len(calls)))
        return work / "made"

    def ready(folder):
        return (folder / "file").read_text() if (folder / "file").exists() else None

    def make(*, refresh=False):
        return artifact(target, fill, key="key", ready=ready, layout=layout, console=console, refresh=refresh)

    assert make() == ("1", True)
    assert make() == ("1", False)
    assert make(refresh=True) == ("2", True)
    assert len(calls) == 2
    assert list(work_folder(layout).iterdir()) == []
    assert [path.name for path in target.parent.iterdir()] == ["key"]


def test_an_artifact_that_fails_leaves_the_older_one(layout, console):
    target = layout.root / "key"
    target.mkdir()

    def fill(work):
        (work / "half").touch()
        raise BuildError("no")

    with pytest.raises(BuildError):
        artifact(target, fill, key="key", ready=lambda _: None, layout=layout, console=console)
    assert list(target.iterdir()) == []
    assert list(work_folder(layout).iterdir()) == []


def test_with_refresh_what_was_made_while_waiting_is_fresh_enough(layout, console):
    target = layout.root / "key"
    inside = threading.Event()

    def fill(work):
        inside.set()
        time.sleep(0.3)
        (work / "file").touch()
        return work

    def make():
        return artifact(
            target,
            fill,
            key="key",
            ready=lambda folder: folder if (folder / "file").exists() else None,
            layout=layout,
            console=console,
            refresh=True,
        )

    first = threading.Thread(target=make)
    first.start()
    assert inside.wait(10)
    assert make() == (target, False)
    first.join(10)
