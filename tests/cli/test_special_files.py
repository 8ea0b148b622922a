"""A file that the user names may be a pipe, a device or far too large: one clear error, at once, and no hang."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.toml_file import MOST_BYTES

pytestmark = pytest.mark.timeout(60)  # to open a pipe would wait for ever

WORDS = [
    ["report", "{}"],
    ["explain", "abcd1234", "--log", "{}"],
    ["compare", "{}"],
    ["merge", "{}"],
    ["replay", "{}"],
    ["imports", "show", "{}"],
    ["imports", "preimport", "colorsys", "--check", "{}"],
    ["gil", "summary", "{}"],
    ["gil", "trace", "--", "./{}"],
    ["gil", "trace", "--output", "{}", "--", "true"],
    ["run", "--baseline", "{}", "--", "true"],
    ["run", "--expect", "{}", "--", "true"],
    ["run", "--suppressions", "{}", "--", "true"],
    ["run", "--", "./{}"],
    ["build", "--from", "{}"],
    ["build", "--print-key", "--source", "{}"],
    ["matrix", "--resume", "{}"],
    ["test-python", "--resume", "{}"],
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o755)
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("run.json", "matrix.json", "replay.json"):
        os.mkfifo(tmp_path / "folder" / name)
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("file", ["pipe", "zero"])
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_pipe_or_a_device_is_refused_at_once(words, file, capsys):
    assert main([word.format(file) for word in words]) in {2, 6}
    shown = capsys.readouterr().err
    assert shown.count("python-tsan: error: ") == 1
    assert "an error inside python-tsan" not in shown


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("verb", ["report", "compare", "merge", "replay"])
def test_a_pipe_in_a_folder_is_not_opened(verb, capsys):
    assert main([verb, "folder"]) in {2, 6}
    assert "an error inside python-tsan" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--baseline", "--expect", "--suppressions"])
def test_a_file_beyond_the_limit_is_not_read(option, here, capsys):
    with (here / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert main(["run", option, "large", "--", "true"]) == 2
    assert "large: larger than 16 MB" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["python-tsan.toml", "pyproject.toml"])
def test_settings_are_a_regular_file(name, here, capsys):
    os.mkfifo(here / name)
    assert main(["interpreter"]) == 2
    assert "not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1), (0, 1, 2)])
def test_closed_standard_streams_change_no_exit_code(closed, here):
    redirections = " ".join(f"{number}<&-" if number == 0 else f"{number}>&-" for number in closed)
    command = f'"{sys.executable}" -m python_tsan cmake-dir {redirections}'
    done = subprocess.run(["sh", "-c", command], cwd=here, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_on_standard_output_is_one_error(here):
    command = [sys.executable, "-m", "python_tsan", "cmake-dir"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=here, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 6
    assert "the disk is full" in done.stderr
    assert "Exception ignored" not in done.stderr
