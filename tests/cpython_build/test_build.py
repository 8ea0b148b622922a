"""Carrying out a plan, on a source tree whose configure and make are tiny scripts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_build
import pytest

from python_tsan import artifact
from python_tsan.cpython.build import interpreter as build
from python_tsan.cpython.build import makefile
from python_tsan.cpython.build.build_dirs import build_environment
from python_tsan.cpython.compiler_cache.choose import CacheProgram
from python_tsan.cpython.manifest import read_manifest
from python_tsan.errors import BuildError, UsageError
from python_tsan.toolchain.package_names import Manager

ALL = ["configure", "compile", "install"]


def start(root, **env):
    command = [sys.executable, fake_build.__file__, str(root)]
    return subprocess.Popen(
        command,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(path, seconds=20):
    limit = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < limit, f"{path} did not appear"
        time.sleep(0.02)


def test_a_build_leaves_a_complete_interpreter_and_nothing_else(fake, trace, tmp_path):
    built = fake()
    assert trace() == ALL
    assert read_manifest(built.prefix) == built
    assert built.missing_modules == ("_dbm",)
    assert (built.prefix / "lib" / "cflags").read_text() == "-O1 -fsanitize=thread\n"
    assert list((tmp_path / "cache" / "work" / "artifacts").iterdir()) == []
    logs = {path.name for path in (tmp_path / "cache" / "logs" / built.key).iterdir()}
    assert logs == {"configure.log", "compile.log", "install.log"}


def test_modules_that_were_not_built_come_with_what_brings_them(fake, console, monkeypatch):
    monkeypatch.setattr(makefile, "missing_modules", lambda *_texts: ("_dbm", "_ssl"))
    monkeypatch.setattr(build, "this_manager", lambda: Manager.APT)
    fake()
    told = console.notes.splitlines()
    assert any(line.endswith("missing: _dbm, _ssl") for line in told)
    (advice,) = (line for line in told if line.startswith("To add them"))
    assert "apt-get install" in advice
    assert advice.endswith("libssl-dev, and build again with --refresh")


def test_a_second_run_does_nothing_and_says_why(fake, trace, console):
    built = fake()
    assert fake() == built
    assert trace() == ALL
    last = console.notes.splitlines()[-1]
    assert "is up to date" in last
    assert built.key in last
    assert f"{built.built_at[:10]} {built.built_at[11:16]} UTC" in last
    assert str(built.prefix) in last


def test_a_changed_interpreter_is_noticed_and_built_again(fake, trace, console):
    built = fake()
    (built.prefix / "lib" / "cflags").write_text("changed\n")
    again = fake()
    assert trace() == [*ALL, *ALL[1:]]
    assert console.notes.count("was changed after it was built, so it is not used") == 1
    assert (again.prefix / "lib" / "cflags").read_text() == "-O1 -fsanitize=thread\n"


def test_byte_code_and_packages_are_no_change(fake, trace):
    built = fake()
    for name in ("site-packages/numpy/__init__.py", "__pycache__/x.pyc"):
        (built.prefix / "lib" / name).parent.mkdir(parents=True)
        (built.prefix / "lib" / name).touch()
    assert fake() == built
    assert trace() == ALL


def test_a_cache_that_everybody_may_write_is_refused(fake):
    built = fake()
    (built.prefix / "lib" / "cflags").chmod(0o666)
    with pytest.raises(UsageError, match=r"cflags may be written by every user"):
        fake()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_cache_of_another_user_is_refused(fake):
    built = fake()
    os.chown(built.prefix / "lib", 12345, -1)
    os.chown(built.prefix / "lib" / "cflags", 12345, -1)
    with pytest.raises(UsageError, match=r"cflags belongs to another user"):
        fake()


def test_refresh_builds_again_and_configures_again(fake, trace):
    first = fake()
    second = fake(refresh=True)
    assert second.built_at > first.built_at
    assert trace() == ALL * 2


def test_what_configure_found_out_is_used_again(fake, trace):
    first = fake()
    (first.prefix / "manifest.json").unlink()
    second = fake()
    assert trace() == [*ALL, "compile", "install"]
    # The state was kept before the edits, so they are in there once.
    assert (second.prefix / "lib" / "cflags").read_text() == "-O1 -fsanitize=thread\n"


def test_the_makefile_is_as_old_as_configure_left_it(fake, tmp_path, monkeypatch):
    """Were it newer, make would generate everything that depends on it once more."""
    monkeypatch.setattr(artifact, "discard", lambda _folder: None)  # so that the build folder stays
    fake()
    (kept,) = (tmp_path / "cache" / "configured").glob("*/*/Makefile")
    (edited,) = (tmp_path / "cache" / "work").glob("artifacts/*/build/Makefile")
    assert edited.stat().st_mtime_ns == kept.stat().st_mtime_ns
    assert edited.read_text() != kept.read_text()


def test_what_another_killed_build_left_is_swept(fake, tmp_path):
    left = tmp_path / "cache" / "work" / "artifacts" / "3.12.1-gcc-12-0123" / "build"
    left.mkdir(parents=True)
    fake()
    assert not left.parent.exists()


def test_each_step_is_shown_once(fake, console):
    fake()
    shown = [line for line in console.notes.splitlines() if line.endswith("...")]
    assert shown == ["[1/3] configure ...", "[2/3] compile ...", "[3/3] install ..."]
    assert console.notes.count(": done in ") == 3


def test_configure_runs_again_when_the_host_changed(fake, trace, monkeypatch):
    built = fake()
    (built.prefix / "manifest.json").unlink()
    monkeypatch.setenv("PKG_CONFIG_PATH", "/elsewhere")
    fake()
    assert trace() == ALL * 2


def test_a_folder_without_manifest_is_not_an_interpreter(fake, trace):
    built = fake()
    (built.prefix / "manifest.json").unlink()
    (built.prefix / "left-over").touch()
    assert not (fake().prefix / "left-over").exists()
    assert trace().count("install") == 2


@pytest.mark.parametrize("text", ["{", '{"schema": 1}', ""])
def test_a_damaged_manifest_is_not_believed(fake, trace, text):
    built = fake()
    (built.prefix / "manifest.json").write_text(text)
    fake()
    assert trace().count("install") == 2


def test_a_manifest_of_another_schema_is_not_believed(fake, trace):
    path = fake().prefix / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    fake()
    assert trace().count("install") == 2


def test_failure_names_log_and_cause_and_leaves_no_interpreter(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIL_COMPILE", "1")
    with pytest.raises(BuildError, match="No space left on device") as caught:
        fake()
    assert caught.value.evidence.name == "compile.log"
    assert "disk is full" in caught.value.advice
    assert list((tmp_path / "cache" / "interpreters").iterdir()) == []


def test_failed_configure_is_not_kept(fake, trace, monkeypatch):
    monkeypatch.setenv("FAIL_CONFIGURE", "1")
    with pytest.raises(BuildError, match="'configure' failed with exit code 77"):
        fake()
    monkeypatch.delenv("FAIL_CONFIGURE")
    fake()
    assert trace() == ["configure", *ALL]


def test_a_program_that_is_missing_is_named(fake, monkeypatch, tmp_path):
    fake_make = tmp_path / "bin"
    fake_make.mkdir()
    for name in ("sh", "cat", "dirname", "echo", "test"):
        source = next(Path(folder) / name for folder in ("/bin", "/usr/bin") if (Path(folder) / name).exists())
        (fake_make / name).symlink_to(source)
    monkeypatch.setenv("PATH", str(fake_make))
    with pytest.raises(BuildError, match="'compile' cannot start: make: No such file"):
        fake()


def test_a_new_interpreter_that_is_not_the_right_one_stays_out(fake, tmp_path, monkeypatch):
    def refuse(*_arguments, **_named):
        raise BuildError("not what the plan says")

    monkeypatch.setattr(build, "describe_built", refuse)
    with pytest.raises(BuildError, match="not what the plan says"):
        fake()
    assert list((tmp_path / "cache" / "interpreters").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_a_usage_error(fake, tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(UsageError, match=r"cannot write .*Permission denied"):
        fake()


def test_a_cache_that_is_a_file_is_a_usage_error(fake, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        fake()


def test_launcher_precedes_what_runs_instrumented_programs(fake, trace, tmp_path):
    launcher = tmp_path / "launch"
    launcher.write_text('#!/bin/sh\necho "launched-$1" >> "$TRACE"\nexec "$@"\n')
    launcher.chmod(0o755)
    fake(toolchain=fake_build.make_toolchain(launcher=(str(launcher),)))
    assert trace() == ["configure", "launched-make", "compile", "launched-make", "install"]


@pytest.mark.parametrize(("variable", "step"), [("SLOW", "compile"), ("SLOW_INSTALL", "install")])
def test_kill_leaves_nothing_that_is_taken_for_complete(fake, trace, tmp_path, variable, step):
    marker = tmp_path / "marker"
    killed = start(tmp_path, **{variable: str(marker)})
    wait_for(marker)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    interpreters = tmp_path / "cache" / "interpreters"
    assert list(interpreters.iterdir()) == []
    assert list((tmp_path / "cache" / "work" / "artifacts").iterdir()) != []
    built = fake()
    assert trace().count(step) == 2
    assert read_manifest(built.prefix) == built
    assert list((tmp_path / "cache" / "work" / "artifacts").iterdir()) == []


def test_kill_between_move_steps_leaves_the_old_or_the_new(fake, tmp_path, monkeypatch):
    """The rename is the last step: a failure before it leaves no folder under the final name."""
    seen = []

    def write_and_die(_interpreter, folder):
        seen.append(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "seal", write_and_die)
    with pytest.raises(KeyboardInterrupt):
        fake()
    assert "stage-" in str(seen[0])
    assert list((tmp_path / "cache" / "interpreters").iterdir()) == []


def test_two_runs_share_one_build(trace, tmp_path):
    marker = tmp_path / "marker"
    first = start(tmp_path, SLOW=str(marker))
    wait_for(marker)
    with start(tmp_path) as second:
        told = iter(second.stderr.readline, "")
        assert any(f"waiting for process {first.pid} on" in line for line in told)
        os.killpg(first.pid, signal.SIGKILL)  # the second takes over, and does not trust what the first left
        first.communicate()
        err, out = "".join(told), second.stdout.read()
    assert second.returncode == 0, err
    assert trace().count("install") == 1
    third = start(tmp_path)
    out_again, err = third.communicate(timeout=60)
    assert out_again == out
    assert "is up to date" in err


def test_environment_keeps_paths_and_drops_what_steers_a_build():
    base = {"PATH": "/bin", "CFLAGS": "-O3", "MAKEFLAGS": "-n", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/root"}
    cache = CacheProgram(path=Path("/bin/ccache"), env={"CCACHE_DIR": "/cache"})
    assert build_environment(base, cache) == {
        "PATH": "/bin",
        "HOME": "/root",
        "CCACHE_DIR": "/cache",
        "LC_ALL": "C.UTF-8",
    }
    assert "CCACHE_DIR" not in build_environment(base, None)
