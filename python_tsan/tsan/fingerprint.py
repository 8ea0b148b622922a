"""Compute the identity of a finding across runs, machines, builds and compilers.

What counts: the kind, the identifying frame of each stack (function and file name, no line), the global, and the names
of recorded locks, or where they were created. What does not: addresses, pids, thread and mutex numbers, build ids,
offsets, columns, lines, folders, the order of the two accesses, and whether they read or wrote. Lines are left out
because an edit above must not make an old finding new. Reads and writes are left out because one ``counter++`` is a
write to Clang, which drops the read before it, and a read or a write to GCC; they are circumstances of one race.
"""

from __future__ import annotations

import re
from _blake2 import blake2b  # hashlib loads OpenSSL
from functools import lru_cache
from typing import TYPE_CHECKING

from python_tsan.tsan.finding import Kind, LocationKind
from python_tsan.tsan.frames import REMEMBERED, identifying_frame, identifying_stacks, is_interceptor, plain_symbol

if TYPE_CHECKING:
    from python_tsan.tsan.finding import Finding, Frame, Stack

# Part of every fingerprint; raised when the rules change, so that old baselines are recognised as old.
VERSION = 1
# counter(.constprop.0), counter.lto_priv.0, counter.1234: a static that the compiler renamed
_RENAMED = re.compile(r"(?:\.(?:lto_priv|constprop|llvm|isra)?\.?\d+)+$")
_SONAME_VERSION = re.compile(r"(\.so)(?:\.\d+)+$")


def fingerprint(finding: Finding) -> str:
    """Return 16 hexadecimal digits that are the same for the same defect, see the module's docstring for the rules."""
    return blake2b("\n".join(identity(finding)).encode(errors="surrogatepass"), digest_size=8).hexdigest()


def identity(finding: Finding) -> tuple[str, ...]:
    """Return the lines that a fingerprint is made of: readable, so that two fingerprints can be compared."""
    title = finding.title if finding.kind is Kind.UNRECOGNISED else finding.kind.value
    return (f"v{VERSION}", title, *_stacks(finding), *_globals(finding), *_locks(finding))


def ways(finding: Finding) -> tuple[object, ...]:
    """Return through which modules the stacks of the accesses, the memory and the threads go, without repetitions."""
    made = [*(location.stack for location in finding.locations), *(thread.stack for thread in finding.threads)]
    stacks = [*(access.stack for access in finding.accesses), *filter(None, made)]
    return (
        finding.kind,
        *(tuple(dict.fromkeys(_module(frame.module) for frame in each.frames)) for each in stacks),
    )


def _stacks(finding: Finding) -> list[str]:
    """Spell the stacks that identify a finding, in an order that does not depend on which thread came first."""
    spelled = [_spell(stack) for stack in identifying_stacks(finding)]
    if finding.accesses or finding.acquisitions or not (finding.stacks or finding.threads):
        return sorted(spelled)
    return spelled if finding.stacks else sorted(set(spelled))


def _spell(stack: Stack | None) -> str:
    frame = identifying_frame(stack)
    return _frame(frame) if frame else "?"


def _frame(frame: Frame) -> str:
    """Spell a frame. Without a symbol it has nothing but its place in the module, which holds for one build only."""
    if is_interceptor(frame):
        return plain_symbol(frame.symbol)  # of the program's own module with Clang, of the runtime's with GCC
    if frame.symbol:
        return f"{plain_symbol(frame.symbol)} {base_name(frame.file) or _module(frame.module)}"
    return f"{_module(frame.module)}+{frame.offset or 0:#x}" if frame.module else base_name(frame.file)


def base_name(path: str) -> str:
    """Return the last part of a path."""
    return path.replace("\\", "/").rpartition("/")[2]


@lru_cache(REMEMBERED)
def _module(module: str) -> str:
    return _SONAME_VERSION.sub(r"\1", base_name(module))


def _globals(finding: Finding) -> list[str]:
    names = {place.name for place in finding.locations if place.kind is LocationKind.GLOBAL and place.name}
    return sorted(f"global {plain_symbol(_RENAMED.sub('', name))}" for name in names)


def _locks(finding: Finding) -> list[str]:
    """Spell the locks that were recorded; those that the runtime reports have neither kind nor name."""
    locks = (mutex for mutex in finding.mutexes if mutex.kind)
    return sorted(f"lock {mutex.kind} {plain_symbol(mutex.name) or _spell(mutex.stack)}" for mutex in locks)
