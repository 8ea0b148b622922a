"""Choose among compilers: the order of probing, the choice, and the error if none works. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.errors import ToolchainError
from python_tsan.storage import expanded, real
from python_tsan.toolchain.hints import describe, first_compiler, fix_for, install_command
from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection
from python_tsan.toolchain.package_names import Manager, Missing, Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def rank(candidates: Iterable[Candidate], requested: str | None = None) -> tuple[Candidate, ...]:
    """Return the candidates that ``requested`` allows (all if None), best first.

    Those in ``PATH`` are before the others, then clang before gcc, then the newest first.
    """
    allowed = (candidate for candidate in candidates if requested is None or fits(candidate, requested))
    return tuple(
        sorted(allowed, key=lambda each: (each.in_path, each.family is Family.CLANG, each.release), reverse=True)
    )


def fits(candidate: Candidate, requested: str) -> bool:
    """Return whether ``requested`` means this compiler: ``clang``, ``clang-19``, ``clang-19.1``, file name or path."""
    if "/" in requested:
        return real(candidate.cc) == real(expanded(requested))
    full = f"{candidate.family.value}-{candidate.version}"
    return requested in {candidate.family.value, candidate.cc.name} or f"{full}.".startswith(f"{requested}.")


def first_working(probes: Iterable[Probe]) -> Probe | None:
    """Return the first probe with a toolchain; ``probes`` are in the order of :func:`rank` and may be made lazily."""
    return next((probe for probe in probes if probe.toolchain is not None), None)


def reason(chosen: Probe, probes: Sequence[Probe], requested: str | None) -> str:
    """Say in one sentence why ``chosen`` was taken from ``probes``."""
    family = chosen.candidate.family
    if requested is not None:
        return f"{requested} was requested"
    if not chosen.candidate.in_path:
        return f"no compiler in PATH works; the newest {family.value} outside PATH"
    if family is Family.CLANG:
        return "the newest clang in PATH that works"
    clangs = [probe for probe in probes if probe.candidate.family is Family.CLANG and probe.candidate.in_path]
    if not clangs:
        return "the newest gcc that works; no clang is in PATH"
    refused = "; ".join(f"{probe.candidate.name}: {probe.rejection.value}" for probe in clangs if probe.rejection)
    return f"the newest gcc that works; no clang does ({refused})"


def refusal(
    probes: Sequence[Probe], known: Sequence[Candidate], requested: str | None, manager: Manager | None
) -> ToolchainError:
    """Return the error that says what was found, why each compiler was rejected, and what to install.

    ``probes`` are those that ``requested`` allows, ``known`` is every compiler of this machine.
    """
    if not probes and requested is not None:
        found = ", ".join(describe(candidate) for candidate in known) or "no compiler at all"
        return ToolchainError(
            f"no toolchain {requested!r} on this machine; found: {found}",
            advice=_how_to_get(requested, known, manager),
            page="toolchain-unknown",
        )
    if not probes:
        return ToolchainError(
            "no C++ compiler on this machine: neither clang nor gcc is in PATH, in CC, or in /usr/lib/llvm-*/bin",
            advice=first_compiler(manager),
            page="toolchain-none",
        )
    lines = [f"  {describe(probe.candidate)}: {probe.verdict}" for probe in probes]
    subject = "no compiler on this machine works" if requested is None else f"the toolchain {requested!r} does not work"
    return ToolchainError(
        "\n".join([f"{subject}:", *lines]),
        evidence=next((probe.evidence for probe in probes if probe.evidence), None),
        advice=remedy(probes, manager),
        page="toolchain-rejected",
    )


def remedy(probes: Sequence[Probe], manager: Manager | None) -> str:
    """Return what to do about the first of the rejected ``probes`` for which something is known."""
    for probe in probes:
        if probe.rejection is Rejection.ADDRESS_SPACE and not fix_for(probe):
            return (
                "as root: sysctl vm.mmap_rnd_bits=28; in a container: start it with "
                "--security-opt seccomp=unconfined, so that setarch -R may be used"
            )
        if missing := fix_for(probe):
            return install_command(missing, manager)
    return "read the transcript of what was tried, and the warnings of `python-tsan doctor`"


def _how_to_get(requested: str, known: Sequence[Candidate], manager: Manager | None) -> str:
    family, _, release = requested.partition("-")
    if family in {each.value for each in Family} and (not release or release.isdecimal()):
        major = int(release) if release else 0
        needs = (Need.GCC,) if family == Family.GCC.value else (Need.CLANG, Need.CLANG_RUNTIME, Need.SYMBOLIZER)
        install = install_command([Missing(need=need, major=major) for need in needs], manager)
        others = " or ".join(candidate.name for candidate in known)
        return f"use {others}, or install it if your distribution has it: {install}" if others else install
    names = ", ".join(candidate.name for candidate in known)
    return f"choose one of: {names}; or give the path of a compiler" if names else first_compiler(manager)
