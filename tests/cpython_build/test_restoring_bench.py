"""The bench of archives: what is run for a row, what is judged, and that a failure is no figure."""

from __future__ import annotations

import pytest
from fake_build import settings_for

from python_tsan import process
from python_tsan.errors import BuildError
from tools.bench import restoring
from tools.bench.restoring import exported, restored, rows


def ended(seconds, exit_code=0):
    return process.Completed(
        command=(), exit_code=exit_code, timed_out=False, seconds=seconds, cpu_seconds=seconds / 2, max_rss_bytes=0
    )


@pytest.mark.parametrize(("size", "met"), [(60_000_000, True), (60_000_001, False)])
def test_an_archive_has_a_largest_size(size, met):
    row = exported("export", size, ended(1.0), 60_000_000)
    assert (row.met, row.limit) == (met, "60 MB")
    assert exported("export", size, ended(1.0), None).met is None


@pytest.mark.parametrize(("best", "met"), [(5.0, True), (5.01, False)])
def test_the_best_restore_counts(best, met):
    row = restored("restore", [ended(9.0), ended(best), ended(8.0)], 5.0)
    assert (row.met, row.measured) == (met, f"{best:.2f} s")
    assert restored("restore", [ended(9.0)], None).met is None


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Replace the verb; note what it is asked for, and whether the cache had an interpreter then."""
    asked = []

    def run(command, *, stdout, **_named):
        words = command[command.index("build") + 1 :]
        cache = tmp_path / words[words.index("--cache") + 1]
        asked.append((words, (cache / "interpreters").exists()))
        if "--export" in words:
            (tmp_path / words[words.index("--export") + 1]).write_bytes(b"x" * 1000)
        else:
            (cache / "interpreters").mkdir(parents=True)
        stdout.write_text("")
        return ended(1.0, exit_code=0)

    monkeypatch.setattr(process, "run", run)
    return asked


def test_each_archive_is_restored_into_an_empty_cache(commands, tmp_path):
    settings = settings_for(tmp_path, python="3.13", free_threaded=True)
    made = list(rows(settings, tmp_path))
    assert [row.met for row in made] == [True, None, True, None, None, True]
    assert all({"--python", "3.13", "--free-threaded"} <= set(words) for words, _ in commands)
    restores = [there for words, there in commands if "--from" in words]
    assert restores == [False] * 2 * (1 + restoring.REPEATS)
    assert ["--with-numpy" in words for words, _ in commands if "--export" in words] == [False, True]


def test_a_restore_that_fails_is_no_figure(commands, tmp_path, monkeypatch):
    run = process.run

    def fail(command, **named):
        done = run(command, **named)
        return ended(1.0, exit_code=4) if "--from" in command else done

    monkeypatch.setattr(process, "run", fail)
    with pytest.raises(BuildError, match=r"python_tsan build .*--from .*failed with exit code 4"):
        list(rows(settings_for(tmp_path), tmp_path))
    assert len(commands) == 2
