"""Own the choice among compilers: who is asked first, who is taken, what is said if nobody serves. Pure, no I/O."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import ToolchainError
from python_tsan.toolchain.hints import cure, describe, first_compiler, install_command
from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection
from python_tsan.toolchain.package_names import Manager, Missing, Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def rank(candidates: Iterable[Candidate], wanted: str | None = None) -> tuple[Candidate, ...]:
    """Return the candidates that ``wanted`` allows (all if None), most wanted first: clang before gcc, newest first."""
    allowed = (candidate for candidate in candidates if wanted is None or fits(candidate, wanted))
    return tuple(sorted(allowed, key=lambda each: (each.family is Family.CLANG, each.release), reverse=True))


def fits(candidate: Candidate, wanted: str) -> bool:
    """Return whether ``wanted`` means this compiler: ``clang``, ``clang-19``, ``clang-19.1``, a file name, a path."""
    if "/" in wanted:
        return candidate.cc.resolve() == Path(wanted).expanduser().resolve()
    full = f"{candidate.family.value}-{candidate.version}"
    return wanted in {candidate.family.value, candidate.cc.name} or f"{full}.".startswith(f"{wanted}.")


def first_working(probes: Iterable[Probe]) -> Probe | None:
    """Return the first probe with a toolchain; ``probes`` are in the order of :func:`rank` and may be made lazily."""
    return next((probe for probe in probes if probe.toolchain is not None), None)


def reason(chosen: Probe, probes: Sequence[Probe], wanted: str | None) -> str:
    """Say in one sentence why ``chosen`` was taken from ``probes``."""
    family = chosen.candidate.family
    if wanted is not None:
        return f"{wanted} was asked for"
    if family is Family.CLANG:
        return "the newest clang that works"
    clangs = [probe for probe in probes if probe.candidate.family is Family.CLANG]
    if not clangs:
        return "the newest gcc that works; there is no clang"
    refused = "; ".join(f"{probe.candidate.name}: {probe.rejection.value}" for probe in clangs if probe.rejection)
    return f"the newest gcc that works; no clang does ({refused})"


def refusal(
    probes: Sequence[Probe], known: Sequence[Candidate], wanted: str | None, manager: Manager | None
) -> ToolchainError:
    """Return the error that says what was found, why each compiler was rejected, and what to install.

    ``probes`` are those that ``wanted`` allows, ``known`` is every compiler of this machine.
    """
    if not probes and wanted is not None:
        found = ", ".join(describe(candidate) for candidate in known) or "no compiler at all"
        return ToolchainError(
            f"no toolchain {wanted!r} on this machine; found: {found}",
            advice=_how_to_get(wanted, known, manager),
            page="toolchain-unknown",
        )
    if not probes:
        return ToolchainError(
            "no C++ compiler on this machine: neither clang nor gcc is in PATH, in CC, or in /usr/lib/llvm-*/bin",
            advice=first_compiler(manager),
            page="toolchain-none",
        )
    lines = [f"  {describe(probe.candidate)}: {probe.verdict}" for probe in probes]
    subject = "no compiler on this machine serves" if wanted is None else f"the toolchain {wanted!r} does not serve"
    return ToolchainError(
        "\n".join([f"{subject}:", *lines]),
        evidence=next((probe.evidence for probe in probes if probe.evidence), None),
        advice=remedy(probes, manager),
        page="toolchain-rejected",
    )


def remedy(probes: Sequence[Probe], manager: Manager | None) -> str:
    """Return what to do about the first of the rejected ``probes`` for which something is known."""
    for probe in probes:
        if probe.rejection is Rejection.ADDRESS_SPACE and not cure(probe):
            return (
                "as root: sysctl vm.mmap_rnd_bits=28; in a container: start it with "
                "--security-opt seccomp=unconfined, so that setarch -R may be used"
            )
        if missing := cure(probe):
            return install_command(missing, manager)
    return "read the transcript of what was tried, and what `python -m python_tsan doctor` says under Take care"


def _how_to_get(wanted: str, known: Sequence[Candidate], manager: Manager | None) -> str:
    family, _, release = wanted.partition("-")
    if family in {each.value for each in Family} and (not release or release.isdecimal()):
        major = int(release) if release else 0
        needs = (Need.GCC,) if family == Family.GCC.value else (Need.CLANG, Need.CLANG_RUNTIME, Need.SYMBOLIZER)
        return install_command([Missing(need=need, major=major) for need in needs], manager)
    names = ", ".join(candidate.name for candidate in known)
    return f"choose one of: {names}; or give the path of a compiler" if names else first_compiler(manager)
