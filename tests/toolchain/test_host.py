from __future__ import annotations

import os
import resource
import shutil
import sysconfig

import pytest

from python_tsan.cores import usable_cores
from python_tsan.toolchain import host as module
from python_tsan.toolchain.host import container, inspect_host, no_aslr_works


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_facts_are_read_from_where_the_kernel_shows_them(tmp_path):
    write(tmp_path / "proc/meminfo", "MemTotal:       2048 kB\nMemFree: 1 kB\n")
    write(tmp_path / "proc/sys/vm/mmap_rnd_bits", "32\n")
    write(tmp_path / "proc/sys/vm/overcommit_memory", "2\n")
    write(tmp_path / "proc/sys/kernel/yama/ptrace_scope", "1\n")
    write(tmp_path / "proc/self/status", "Seccomp:\t2\n")
    seen = inspect_host(tmp_path / "cache", root=tmp_path)
    assert (seen.memory, seen.mmap_rnd_bits, seen.overcommit) == (2048 * 1024, 32, 2)
    assert (seen.ptrace_scope, seen.seccomp) == (1, 2)


def test_what_the_kernel_does_not_show_is_missing(tmp_path):
    seen = inspect_host(tmp_path, root=tmp_path)
    assert (seen.memory, seen.mmap_rnd_bits, seen.overcommit, seen.ptrace_scope, seen.seccomp) == (None,) * 5
    assert seen.container == ""


def test_a_cache_that_does_not_exist_is_measured_where_it_would_be(tmp_path):
    seen = inspect_host(tmp_path / "a" / "b")
    assert seen.disk_free > 0
    assert seen.cache_writable
    assert not (tmp_path / "a").exists()


def test_cores_obey_affinity_and_quota(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert usable_cores(tmp_path) == 8
    write(tmp_path / "sys/fs/cgroup/cpu.max", "max 100000\n")
    assert usable_cores(tmp_path) == 8
    write(tmp_path / "sys/fs/cgroup/cpu.max", "250000 100000\n")
    assert usable_cores(tmp_path) == 2
    write(tmp_path / "sys/fs/cgroup/cpu.max", "50000 100000\n")
    assert usable_cores(tmp_path) == 1


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("proc/1/cgroup", "0::/kubepods/burstable/x\n", "kubepods"),
        ("proc/1/cgroup", "0::/init.scope\n", ""),
    ],
)
def test_containers_leave_signs(tmp_path, path, text, name):
    write(tmp_path / path, text)
    assert container(tmp_path) == name


def test_a_limit_of_the_address_space_is_seen(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 33, resource.RLIM_INFINITY))
    assert module.address_space_limit() == 1 << 33
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert module.address_space_limit() is None


def test_setarch_is_tried_not_trusted(monkeypatch, tmp_path):
    assert no_aslr_works() in {True, False}
    refusing = tmp_path / "setarch"
    write(refusing, "#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(refusing))
    assert not no_aslr_works()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert not no_aslr_works()


def test_programs_that_the_extras_installed_count(monkeypatch, tmp_path):
    tool = tmp_path / "ninja"
    write(tool, "#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    tools = inspect_host(tmp_path).tools
    assert tools["ninja"] == tool
    assert tools["make"] is None
