"""The verb ``doctor``: report what this machine has, what is selected and why, and how to get what is missing."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import TOOLCHAIN, add_settings, open_context
from python_tsan.errors import ExitCode, ToolchainError
from python_tsan.plain_text import wrapped
from python_tsan.toolchain import Survey, survey
from python_tsan.toolchain.choose import rank, refusal
from python_tsan.toolchain.hints import fix_for, install_command, this_manager, without_root
from python_tsan.toolchain.host import SAFE_RND_BITS, HostFacts, inspect_host
from python_tsan.toolchain.model import Family
from python_tsan.toolchain.package_names import Manager, Missing, Need

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.console import Console

LABEL = 10
GIGABYTE = 1 << 30
_plain = partial(msgspec.to_builtins, enc_hook=str)
# A build and its compiler cache; and what a link of libpython with debug information takes.
ENOUGH_DISK, ENOUGH_MEMORY = 3 * GIGABYTE, 2 * GIGABYTE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the format and the settings."""
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal", help="format (%(default)s)")
    add_settings(parser, *TOOLCHAIN)
    end_with(parser, "python-tsan doctor --format json")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the report; 0 if a toolchain works, 3 if none does."""
    context = open_context(arguments)
    console = context.console
    machine = inspect_host(context.layout.root)
    seen = survey(context.settings.toolchain, layout=context.layout, console=console)
    if arguments.format == "json":
        console.data(json.dumps(as_json(machine, seen, this_manager()), indent=2))
    else:
        report(machine, seen, this_manager(), console)
    return ExitCode.CLEAN if seen.chosen else ExitCode.TOOLCHAIN


def as_json(machine: HostFacts, seen: Survey, manager: Manager | None) -> dict[str, Any]:
    """Return the whole report as plain JSON types."""
    return {
        "machine": _plain(machine),
        "compilers": [_plain(probe) | {"verdict": probe.verdict} for probe in seen.probes],
        "chosen": _plain(seen.chosen) if seen.chosen else None,
        "why": seen.why if seen.chosen else _refusal(seen, manager).message,
        "missing": [{"what": what, "install": how} for what, how in shortages(machine, seen, manager)],
        "warnings": list(warnings_about(machine)),
    }


def report(machine: HostFacts, seen: Survey, manager: Manager | None, console: Console) -> None:
    """Print the report at 80 columns."""
    _section(console, "Compilers", _compilers(seen))
    _section(console, "Selected", _choice(seen, manager))
    _section(console, "Machine", _machine(machine))
    _section(console, "Tools", ((name, str(path or "missing")) for name, path in machine.tools.items()))
    if warnings := list(warnings_about(machine)):
        _section(console, "Warnings", (("", text) for text in warnings))
    if missing := list(shortages(machine, seen, manager)):
        _section(console, "Missing", missing)


def shortages(machine: HostFacts, seen: Survey, manager: Manager | None) -> Iterator[tuple[str, str]]:
    """Yield what is missing, each with the command that installs it; required tools come first."""
    for probe in seen.probes:
        if missing := fix_for(probe):
            yield f"{probe.candidate.name}", install_command(missing, manager)
    if not seen.probes:
        yield "a compiler", install_command([Missing(need=Need.GCC)], manager)
    if seen.chosen and seen.chosen.candidate.family is Family.CLANG and seen.chosen.linker is None:
        major = seen.chosen.candidate.major
        yield "lld", f"{install_command([Missing(need=Need.LLD, major=major)], manager)} (links faster)"
    for name, need, use in _USES:
        if machine.tools[name] is None:
            yield name, f"{_ways(need, manager)} ({use})"
    if machine.tools["ccache"] is None and machine.tools["sccache"] is None:
        yield "ccache", f"{_ways(Need.CCACHE, manager)} (builds again without compiling)"


def _ways(need: Need, manager: Manager | None) -> str:
    # uv comes from PyPI everywhere; few distributions package it.
    by_root = "" if need is Need.UV else install_command([Missing(need=need)], manager)
    return " or ".join(command for command in (by_root, without_root(need)) if command)


_USES = (
    ("make", Need.MAKE, "builds CPython"),
    ("cmake", Need.CMAKE, "builds the harness"),
    ("ninja", Need.NINJA, "builds the harness"),
    ("uv", Need.UV, "installs numpy"),
    ("git", Need.GIT, "fetches CPython by tag"),
    ("gdb", Need.GDB, "shows the stacks of a hang"),
)


def warnings_about(machine: HostFacts) -> Iterator[str]:
    """Yield what may fail on this machine, each in a sentence that says what to do."""
    if machine.mmap_rnd_bits is not None and machine.mmap_rnd_bits > SAFE_RND_BITS:
        way = "setarch -R works and is used when necessary" if machine.no_aslr_works else "setarch -R does not work"
        yield (
            f"vm.mmap_rnd_bits is {machine.mmap_rnd_bits}: runtimes before LLVM 18.1 and GCC 14 need "
            f"{SAFE_RND_BITS} or less ({way}); as root: sysctl vm.mmap_rnd_bits={SAFE_RND_BITS}"
        )
    if machine.address_space_limit is not None:
        yield "the address space is limited, and ThreadSanitizer maps terabytes: ulimit -v unlimited"
    if machine.ptrace_scope:
        yield f"kernel.yama.ptrace_scope is {machine.ptrace_scope}: gdb may not attach to a hanging subject"
    if machine.overcommit == 2:  # noqa: PLR2004 -- proc(5): never overcommit
        yield "vm.overcommit_memory is 2: ThreadSanitizer's mappings may fail; as root: sysctl vm.overcommit_memory=0"
    if not machine.cache_writable:
        yield f"the cache {machine.cache} cannot be written: choose another with --cache"
    if machine.disk_free is not None and machine.disk_free < ENOUGH_DISK:
        yield f"{_size(machine.disk_free)} free for the cache; a build needs {_size(ENOUGH_DISK)}"
    if machine.memory is not None and machine.memory < ENOUGH_MEMORY:
        yield f"{_size(machine.memory)} of memory; a build with several jobs needs {_size(ENOUGH_MEMORY)}"


def _compilers(seen: Survey) -> Iterator[tuple[str, str]]:
    for probe in seen.probes:
        candidate = probe.candidate
        yield candidate.name, f"{candidate.version} {candidate.cc}; {probe.verdict}"
        if probe.evidence:
            yield "", f"transcript: {probe.evidence}"
    if not seen.probes:
        yield "none", "neither clang nor gcc in PATH, CC or the LLVM folders"


def _choice(seen: Survey, manager: Manager | None) -> Iterator[tuple[str, str]]:
    if seen.chosen is None:
        error = _refusal(seen, manager)
        yield "none", error.message.splitlines()[0].rstrip(":")
        yield "what to do", error.advice
        return
    chosen = seen.chosen
    yield chosen.name, seen.why
    yield "runtime", f"{chosen.runtime}"
    yield "", f"SHA-256 {chosen.runtime_id[:16]}"
    yield "symbolizer", str(chosen.symbolizer or "built into the runtime")
    yield "linker", chosen.linker or "the compiler's default"
    if chosen.launcher:
        yield "launcher", f"{' '.join(chosen.launcher)} (the address space is too random here)"


def _machine(machine: HostFacts) -> Iterator[tuple[str, str]]:
    yield "system", f"{machine.kernel}, {machine.architecture}, {machine.libc}"
    if machine.container:
        yield "container", machine.container
    yield "cores", str(machine.cores)
    yield "memory", _size(machine.memory)
    yield "cache", f"{machine.cache} ({_size(machine.disk_free)} free)"
    bits = "unknown" if machine.mmap_rnd_bits is None else f"{machine.mmap_rnd_bits} bits"
    setarch = "works" if machine.no_aslr_works else "does not work"
    yield "ASLR", f"vm.mmap_rnd_bits {bits}; setarch -R {setarch}"
    if machine.seccomp:
        yield "seccomp", f"mode {machine.seccomp}: a filter decides on system calls"


def _section(console: Console, title: str, rows: Iterable[tuple[str, str]]) -> None:
    console.say(f"{title}")
    for label, text in rows:
        for line in _wrapped(label, text):
            console.say(line)
    console.say("")


def _wrapped(label: str, text: str) -> Sequence[str]:
    indent = " " * (LABEL + 4)
    head = f"  {label:{LABEL}}  "
    if len(label) > LABEL:
        return [f"  {label}", *_wrapped("", text)]
    return wrapped(text, head=head, indent=indent)


def _refusal(seen: Survey, manager: Manager | None) -> ToolchainError:
    """Return the error of a verb that needs a toolchain."""
    known = [probe.candidate for probe in seen.probes]
    allowed = rank(known, seen.requested)
    asked = [probe for probe in seen.probes if probe.candidate in allowed]
    return refusal(asked, known, seen.requested, manager)


def _size(count: int | None) -> str:
    return "unknown" if count is None else f"{count / GIGABYTE:.1f} GB"
