import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from runs import run, verdict

from python_tsan.errors import ExitCode, SubjectError, UsageError
from python_tsan.result.codec import decode_result, load_result
from python_tsan.result.store import open_run, save_run

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_folder_for_each_run(tmp_path):
    first, second = open_run(tmp_path / "runs", now=NOW), open_run(tmp_path / "runs", now=NOW)
    assert first.path != second.path
    assert first.id.startswith("20260102T030405Z-")
    assert first.subject("full", "gil/x", "1") == first.path / "full" / "gil-x" / "1"


def test_saved_and_loaded(tmp_path):
    folder = open_run(tmp_path)
    saved = save_run(folder, run(verdict()))
    assert saved == folder.path / "run.json"
    assert load_result(saved) == load_result(folder.path) == load_result(tmp_path / "latest") == run(verdict())
    assert sorted(path.name for path in folder.path.iterdir()) == ["run.json"]
    assert saved.stat().st_mode & 0o777 == 0o644


def test_latest_moves_on_and_is_relative(tmp_path):
    for _ in range(2):
        last = open_run(tmp_path)
        save_run(last, run(verdict()))
    assert os.readlink(tmp_path / "latest") == last.id  # noqa: PTH115 -- the text of the link, not its target


def test_without_links_there_is_no_latest(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    folder = open_run(tmp_path)
    save_run(folder, run(verdict()))
    assert not (tmp_path / "latest").exists()
    assert (folder.path / "run.json").is_file()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk is full"), (errno.EIO, "Input/output error")],
)
def test_a_disk_that_takes_nothing(tmp_path, monkeypatch, number, words):
    folder = open_run(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    with pytest.raises(SubjectError, match=words) as caught:
        save_run(folder, run(verdict()))
    assert str(folder.path / "run.json") in caught.value.message
    assert "--output" in caught.value.advice
    assert caught.value.exit_code is ExitCode.SUBJECT
    assert list(folder.path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    folder = open_run(tmp_path)
    save_run(folder, run(verdict()))

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_run(folder, run())
    assert load_result(folder.path) == run(verdict())
    assert [path.name for path in folder.path.iterdir()] == ["run.json"]


def test_a_reader_of_the_old_file_is_not_disturbed(tmp_path):
    folder = open_run(tmp_path)
    save_run(folder, run(verdict()))
    with (folder.path / "run.json").open("rb") as reader:
        save_run(folder, run())
        assert decode_result(reader.read()) == run(verdict())


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        open_run(tmp_path / "runs")


def test_no_such_run(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        load_result(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"run\.json"):
        load_result(tmp_path)
