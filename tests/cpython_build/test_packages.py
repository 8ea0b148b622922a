"""Numpy: which one, where, and when it is up to date."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_build import RECORD, describe, make_toolchain, settings_for

from python_tsan import process
from python_tsan.cpython.locks import LOCKS, numpy_lock
from python_tsan.cpython.numpy import wheel
from python_tsan.cpython.numpy.wheel import RECORD_NAME, choose_numpy, install_numpy, package_folder
from python_tsan.cpython.planning import make_plan
from python_tsan.errors import BuildError, UsageError
from python_tsan.paths import Layout
from python_tsan.setting_values import NEWEST_MINOR, OLDEST_MINOR


@pytest.fixture
def interpreter(tmp_path):
    prefix = tmp_path / "prefix"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python3.13").touch()
    (prefix / "lib" / "python3.13" / "site-packages").mkdir(parents=True)
    toolchain = make_toolchain()
    plan = make_plan(settings_for(tmp_path), RECORD, toolchain, libc="glibc-2.36")
    return describe(plan, RECORD, toolchain, staged=prefix, final=prefix)


@pytest.fixture
def runs(monkeypatch, interpreter):
    """Replace uv and the interpreter; note the commands and their environments."""
    calls = []

    def run(command, *, env=None, stdout=None, **_named):
        command = [str(part) for part in command]
        calls.append((command, dict(env or {})))
        if "--target" in command:
            package = Path(command[command.index("--target") + 1]) / "numpy"
            package.mkdir(parents=True)
            (package / "__init__.py").write_text("")
            stdout.write_text("")
        else:
            cache = interpreter.prefix / "lib" / "python3.13" / "json" / "__pycache__"
            cache.mkdir(parents=True, exist_ok=True)
            (cache / "decoder.cpython-313.pyc").write_text("made")
            stdout.write_text(f"{calls.version}\n")
        return process.Completed(
            command=(), exit_code=calls.exit_code, timed_out=False, seconds=0, cpu_seconds=0, max_rss_bytes=0
        )

    class Calls(list):
        exit_code = 0
        version = numpy_lock("3.13", free_threaded=False).version

    calls = Calls()
    monkeypatch.setattr(wheel.process, "run", run)
    return calls


@pytest.fixture
def install(interpreter, tmp_path, console):
    layout = Layout(root=tmp_path / "cache")

    def call(subject=interpreter, **changes):
        launcher = changes.pop("launcher", ())
        settings = settings_for(tmp_path, **changes)
        return install_numpy(subject, settings, layout=layout, console=console, launcher=launcher)

    return call


def test_each_lock_pins_one_version_with_hashes():
    for lock in LOCKS:
        text = lock.file.read_text()
        assert lock.version in text
        # One wheel and the source where nothing is compiled; else a wheel for each kind of machine.
        assert text.count("--hash=sha256:") >= (2 if lock.name.startswith(("nanobind", "pybind11")) else 5)
        assert f"python -m tools.locks {lock.name}" in text
        assert "://" not in text


@pytest.mark.parametrize("minor", [f"3.{minor}" for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1)])
def test_every_supported_python_has_a_lock(minor):
    assert numpy_lock(minor, free_threaded=False)


def test_free_threaded_3_13_keeps_the_last_numpy_with_wheels_for_it():
    assert numpy_lock("3.13", free_threaded=True).version == "2.3.5"
    assert numpy_lock("3.12", free_threaded=True) is None


def test_numpy_is_installed_from_outside_with_hashes_and_no_build(install, runs, interpreter, console):
    folder = install()
    assert folder == interpreter.prefix / "lib" / "python3.13" / "site-packages"
    assert (folder / "numpy" / "__init__.py").exists()
    assert (folder / RECORD_NAME).exists()
    command, _ = runs[0]
    assert "--require-hashes" in command
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert command[command.index("--python-version") + 1] == "3.13"
    assert str(interpreter.executable) not in command
    assert f"numpy {runs.version}: installed" in console.notes
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".numpy-")] == []


def test_bytecode_is_made_for_every_setting_of_the_caller(install, runs, interpreter, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "/elsewhere")
    install(launcher=("setarch", "-R"))
    command, env = runs[1]
    assert command[:3] == ["setarch", "-R", str(interpreter.executable)]
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"} & env.keys()
    assert "report_bugs=0" in env["TSAN_OPTIONS"]


def test_a_second_run_does_nothing_and_says_why(install, runs, console):
    folder = install()
    assert install() == folder
    assert len(runs) == 2
    last = console.notes.splitlines()[-1]
    assert f"numpy {runs.version} is up to date" in last
    assert str(folder) in last


@pytest.mark.parametrize("damage", ["record", "package", "other"])
def test_what_is_damaged_is_installed_again(install, runs, damage):
    folder = install()
    if damage == "package":
        (folder / "numpy" / "__init__.py").unlink()
        (folder / "numpy").rmdir()
    else:
        text = (
            "{"
            if damage == "record"
            else (folder / RECORD_NAME).read_text().replace('"pinned_by": "', '"pinned_by": "0')
        )
        (folder / RECORD_NAME).write_text(text)
    install()
    assert len(runs) == 4


def test_a_named_version_is_not_hashed_and_that_is_reported(install, runs, console):
    runs.version = "2.1.0"
    install(numpy="2.1.0")
    assert "--require-hashes" not in runs[0][0]
    assert "not pinned by hash" in console.notes


def test_another_numpy_in_the_way_is_an_error(install, runs):
    runs.version = "1.0"
    with pytest.raises(BuildError, match="another one is imported"):
        install()


def test_a_failed_install_leaves_no_record(install, runs, interpreter):
    runs.exit_code = 1
    with pytest.raises(BuildError, match="'install numpy' failed"):
        install()
    assert not (interpreter.prefix / "lib" / "python3.13" / "site-packages" / RECORD_NAME).exists()


@pytest.mark.usefixtures("runs")
def test_bytecode_survives_the_interpreter(install, interpreter):
    install()
    made = interpreter.prefix / "lib" / "python3.13" / "json" / "__pycache__" / "decoder.cpython-313.pyc"
    os.utime(made, ns=(1_000, 1_000))
    made.write_text("kept")
    install(refresh=True)
    stored = Path(str(made)).read_text()
    made.unlink()
    seen = []
    original = wheel.process.run

    def look(command, **named):
        seen.append(made.exists())
        return original(command, **named)

    wheel.process.run = look
    install(refresh=True)
    assert stored == "made"
    assert seen == [False, True]  # brought back after the wheel is placed and before the interpreter starts


def test_a_stock_python_is_not_touched(install, runs, interpreter, tmp_path):
    stock = dataclasses.replace(interpreter, instrumented=False, key="stock-3.13.0-abc", source=None)
    folder = install(stock, launcher=("setarch", "-R"))
    assert folder.is_relative_to(tmp_path / "cache" / "packages" / "stock-3.13.0-abc")
    command, env = runs[1]
    assert command[0] == str(interpreter.executable)
    assert env["PYTHONPATH"] == str(folder)


def test_free_threaded_wheels_are_chosen_by_the_interpreter_itself(install, runs, interpreter):
    threaded = dataclasses.replace(interpreter, free_threaded=True)
    runs.version = "2.3.5"
    install(threaded)
    command, _ = runs[0]
    assert command[command.index("--python") + 1] == str(interpreter.executable)


def test_a_python_without_lock_needs_a_named_numpy(interpreter, tmp_path):
    unknown = dataclasses.replace(interpreter, version=f"3.{NEWEST_MINOR + 1}.0")
    with pytest.raises(UsageError, match=rf"no numpy is locked for Python 3\.{NEWEST_MINOR + 1}"):
        choose_numpy(unknown, settings_for(tmp_path))
    wanted = choose_numpy(unknown, settings_for(tmp_path, numpy="3.0.0"))
    assert wanted.requirements == "numpy==3.0.0\n"
    assert package_folder(unknown, wanted, Layout(root=tmp_path)).name == "site-packages"


def test_the_record_of_an_earlier_numpy_goes_before_the_next_one_is_moved_in(tmp_path, monkeypatch):
    """A kill between two entries leaves parts of both installations: no record may call either of them whole."""
    folder = tmp_path / "site-packages"
    (folder / "numpy").mkdir(parents=True)
    (folder / wheel.RECORD_NAME).write_text("{}")

    def unpack(command, **_named):
        (command[command.index("--target") + 1] / "numpy").mkdir(parents=True)
        return SimpleNamespace(ok=True)

    def killed(_entry, _place):
        assert not (folder / wheel.RECORD_NAME).exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(wheel.process, "run", unpack)
    monkeypatch.setattr(Path, "rename", killed)
    choice = wheel.NumpyChoice(version="2", requirements="numpy==2\n", hashed=False)
    with pytest.raises(KeyboardInterrupt):
        wheel.place_wheel(SimpleNamespace(free_threaded=False, version="3.13.5"), choice, folder, tmp_path / "log")
