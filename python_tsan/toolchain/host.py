"""Collect facts about this machine that decide whether and how fast TSan programs run; `doctor` judges them."""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cores import usable_cores
from python_tsan.process import find_installed, run
from python_tsan.result.model import Machine
from python_tsan.storage import is_folder
from python_tsan.toolchain.probe_cache import mmap_rnd_bits, number_in, seccomp_mode

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOLS = ("make", "git", "gdb", "cmake", "ninja", "ccache", "sccache", "uv")
ASK_SECONDS = 10.0
# The kernel's default before 6.6; runtimes older than LLVM 18.1 and GCC 14 cannot place their shadow above it.
SAFE_RND_BITS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What was found. Sizes in bytes; None where the system does not report it.

    ``address_space_limit`` is RLIMIT_AS, None if unlimited. ``no_aslr_works`` says whether ``setarch -R`` may be used.
    ``ptrace_scope`` is Yama's: above 0, a debugger may only attach to its own children. ``tools`` maps a program's name
    to its path, None if it is missing.
    """

    kernel: str
    architecture: str
    libc: str
    cores: int
    memory: int | None
    disk_free: int | None
    cache: Path
    cache_writable: bool
    mmap_rnd_bits: int | None
    no_aslr_works: bool
    seccomp: int | None
    container: str
    ptrace_scope: int | None
    overcommit: int | None
    address_space_limit: int | None
    tools: Mapping[str, Path | None]


def inspect_host(cache: Path, *, root: Path = Path("/")) -> HostFacts:
    """Return the facts about this machine; ``root`` is where ``/proc`` and ``/run`` are looked for."""
    # The nearest folder that exists, for the cache may not be made yet.
    existing = next(folder for folder in (cache, *cache.parents) if is_folder(folder))
    proc = root / "proc"
    machine = this_machine()
    return HostFacts(
        kernel=f"{machine.system} {machine.kernel}",
        architecture=machine.architecture,
        libc=machine.libc,
        cores=usable_cores(root),
        memory=_memory(proc),
        disk_free=shutil.disk_usage(existing).free,
        cache=cache,
        cache_writable=os.access(existing, os.W_OK),
        mmap_rnd_bits=mmap_rnd_bits(proc),
        no_aslr_works=no_aslr_works(),
        seccomp=seccomp_mode(proc),
        container=container(root),
        ptrace_scope=number_in(proc / "sys/kernel/yama/ptrace_scope"),
        overcommit=number_in(proc / "sys/vm/overcommit_memory"),
        address_space_limit=address_space_limit(),
        tools={name: find_installed(name) for name in TOOLS},
    )


def this_machine(launcher: tuple[str, ...] = ()) -> Machine:
    """Return what a result depends on of this machine; ``launcher`` is the prefix of the programs under test."""
    return Machine(
        system=platform.system(),
        kernel=platform.release(),
        architecture=platform.machine(),
        libc=_libc(),
        cores=os.cpu_count() or 1,
        mmap_rnd_bits=mmap_rnd_bits(),
        launcher=launcher,
    )


def no_aslr_works() -> bool:
    """Return whether a program may be started without address space randomisation here, by trying it."""
    setarch = shutil.which("setarch")
    if setarch is None:
        return False
    return run([setarch, platform.machine(), "-R", "true"], timeout=ASK_SECONDS).ok


def container(root: Path = Path("/")) -> str:
    """Return the name of the container technology this process runs in, or nothing if no sign of one is there."""
    signs = {".dockerenv": "docker", "run/.containerenv": "podman", "proc/vz": "openvz"}
    for path, name in signs.items():
        if (root / path).exists():
            return name
    try:
        cgroups = (root / "proc/1/cgroup").read_text()
    except OSError:
        return ""
    match = re.search(r"docker|kubepods|lxc|containerd|libpod", cgroups)
    return match[0] if match else ""


def address_space_limit() -> int | None:
    """Return RLIMIT_AS in bytes, None if unlimited, as ThreadSanitizer needs it."""
    import resource  # noqa: PLC0415 -- absent on Windows, where logs can still be read

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def _libc() -> str:
    name, version = platform.libc_ver()
    if name:
        return f"{name} {version}"
    return "musl" if any(Path("/lib").glob("ld-musl-*")) else "unknown"


def _memory(proc: Path) -> int | None:
    try:
        text = (proc / "meminfo").read_text()
    except OSError:
        return None
    match = re.search(r"^MemTotal:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None
