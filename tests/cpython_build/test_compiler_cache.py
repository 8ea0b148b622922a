"""Which compiler cache is used, and with which settings."""

from __future__ import annotations

import pytest
from fake_build import make_toolchain, settings_for

from python_tsan import process
from python_tsan.cpython.compiler_cache.choose import choose_cache
from python_tsan.cpython.locks import CCACHE
from python_tsan.cpython.tools import lock_slug
from python_tsan.errors import BuildError, UsageError
from python_tsan.paths import Layout

SLUG = lock_slug(CCACHE)


def program(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)
    return folder / name


@pytest.fixture
def choose(tmp_path, console):
    def call(setting, **env):
        settings = settings_for(tmp_path, compiler_cache=setting)
        env = {"PATH": str(tmp_path / "bin"), **env}
        layout = Layout(root=tmp_path / "cache")
        return choose_cache(settings, toolchain=make_toolchain(), layout=layout, env=env, console=console)

    return call


def test_off_uses_no_cache_even_if_there_is_one(choose, tmp_path):
    program(tmp_path / "bin", "ccache")
    assert choose("off") is None


def test_auto_without_any_uses_no_cache(choose):
    assert choose("auto") is None


def test_auto_prefers_ccache(choose, tmp_path):
    sccache = program(tmp_path / "bin", "sccache")
    assert choose("auto").path == sccache
    ccache = program(tmp_path / "bin", "ccache")
    assert choose("auto").path == ccache


def test_auto_uses_what_was_installed_before(choose, tmp_path):
    installed = program(tmp_path / "cache" / "tools" / SLUG / "bin", "ccache")
    assert choose("auto").path == installed
    assert choose("ccache").path == installed


@pytest.mark.parametrize("name", ["ccache", "sccache"])
def test_a_named_one_has_to_be_there(choose, name):
    with pytest.raises(UsageError, match=f"{name} not found on PATH"):
        choose(name)


def test_install_puts_ccache_into_our_own_folder(choose, tmp_path, monkeypatch):
    commands = []

    def run(command, **_named):
        commands.append([str(part) for part in command])
        target = command[command.index("--target") + 1]
        program(target / "bin", "ccache")
        return process.Completed(command=(), exit_code=0, timed_out=False, seconds=0, cpu_seconds=0, max_rss_bytes=0)

    monkeypatch.setattr(process, "run", run)
    found = choose("install")
    assert found.path == tmp_path / "cache" / "tools" / SLUG / "bin" / "ccache"
    assert "--require-hashes" in commands[0]
    assert choose("install") == found
    assert len(commands) == 1


def test_install_that_fails_leaves_nothing(choose, tmp_path, monkeypatch):
    def run(command, *, stdout, **_named):
        stdout.write_text("error: no such host\n")
        (command[command.index("--target") + 1]).mkdir(parents=True)
        return process.Completed(command=(), exit_code=2, timed_out=False, seconds=0, cpu_seconds=0, max_rss_bytes=0)

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(BuildError, match="no such host"):
        choose("install")
    assert not (tmp_path / "cache" / "tools").exists()
    assert not any((tmp_path / "cache" / "work" / "artifacts").iterdir())


def test_settings_outlive_the_build_folder_and_the_users_win(choose, tmp_path):
    program(tmp_path / "bin", "ccache")
    env = choose("auto").env
    assert env["CCACHE_DIR"] == str(tmp_path / "cache" / "compiler-cache" / "ccache")
    assert env["CCACHE_NOHASHDIR"] == "1"
    assert "f" * 64 in env["CCACHE_COMPILERCHECK"]
    assert choose("auto", CCACHE_DIR="/mine").env["CCACHE_DIR"] == "/mine"


def test_sccache_has_settings_of_its_own(choose, tmp_path):
    program(tmp_path / "bin", "sccache")
    assert choose("sccache").env == {
        "SCCACHE_DIR": str(tmp_path / "cache" / "compiler-cache" / "sccache"),
        "SCCACHE_IDLE_TIMEOUT": "60",
    }
