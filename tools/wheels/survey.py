"""Run each program of ``programs/`` under ThreadSanitizer, from Python and from a C++ embedder."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.errors import BuildError
from python_tsan.result.codec import load_result
from python_tsan.result.finding import FindingStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.cpython.manifest import Interpreter

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
SECONDS = 300
COMPILE_SECONDS = 120.0
KINDS = ("Python", "C++")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The outcome of one wheel's program: ``kind`` is ``Python`` or ``C++``, ``verdict`` the sentence of the run."""

    wheel: str
    version: str
    toolchain: str
    kind: str
    findings: int
    aside: int
    kept: int
    verdict: str


def wheels() -> tuple[str, ...]:
    """Return the names of the surveyed wheels, in order."""
    return tuple(sorted(path.stem for path in PROGRAMS.glob("*.py")))


def survey(
    interpreter: Interpreter, *, site: Path, work: Path, only: Sequence[str] = (), kinds: Sequence[str] = ()
) -> Iterator[Row]:
    """Yield a row for each wheel and kind, as they end. ``site`` is the folder that the wheels are installed in."""
    embedder = build_embedder(HERE / "embedder.cpp", interpreter, work / f"embedder-{interpreter.key}")
    for wheel in wheels():
        if only and wheel not in only:
            continue
        program = PROGRAMS / f"{wheel}.py"
        commands = {"Python": ("python3", str(HERE / "four_threads.py")), "C++": (str(embedder),)}
        for kind, command in commands.items():
            if not kinds or kind in kinds:
                yield _run(wheel, kind, (*command, str(program)), interpreter, site=site, work=work)


def build_embedder(source: Path, interpreter: Interpreter, target: Path) -> Path:
    """Compile a program that embeds this interpreter, with its compiler. Raises :class:`BuildError`."""
    folder = interpreter.library.parent
    ended = process.run(
        [
            interpreter.cxx,
            *("-std=c++17", "-O1", "-g1", "-fsanitize=thread", "-pthread"),
            *("-isystem", interpreter.include, source),
            *(f"-L{folder}", f"-Wl,-rpath,{folder}", f"-l:{interpreter.library.name}", "-o", target),
        ],
        timeout=COMPILE_SECONDS,
    )
    if not ended.ok:
        raise BuildError(f"the embedder does not compile: {ended.stderr.strip()}")
    return target


def _run(wheel: str, kind: str, command: Sequence[str], interpreter: Interpreter, *, site: Path, work: Path) -> Row:
    output = work / f"{wheel}-{kind}-{interpreter.key}"
    options = ("--python", str(interpreter.prefix), "--timeout", str(SECONDS), "--output", str(output))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    ended = process.run(
        # Isolated: the wheels are of another Python than this one.
        [sys.executable, "-I", "-m", "python_tsan", "run", *options, "--", *command],
        env=environment,
        timeout=SECONDS + 120.0,
        cwd=work,
    )
    if not (output / "latest" / "run.json").is_file():
        verdict = (ended.stderr.strip().splitlines() or [f"exit {ended.exit_code}"])[0]
        return _row(wheel, kind, interpreter, site, statuses=(), verdict=verdict)
    result = load_result(output / "latest")
    statuses = tuple(finding.status for finding in result.findings)
    return _row(wheel, kind, interpreter, site, statuses=statuses, verdict=result.verdict.reason)


def _row(
    wheel: str, kind: str, interpreter: Interpreter, site: Path, *, statuses: Sequence[FindingStatus], verdict: str
) -> Row:
    return Row(
        wheel=wheel,
        version=version_of(wheel, site),
        toolchain=interpreter.toolchain,
        kind=kind,
        findings=len(statuses),
        aside=sum(status is FindingStatus.SET_ASIDE for status in statuses),
        kept=sum(status.fails for status in statuses),
        verdict=verdict,
    )


def version_of(wheel: str, site: Path) -> str:
    """Return the installed version of a wheel, empty if it is not there."""
    name = wheel.replace("-", "_")
    found = next((path for path in site.glob("*.dist-info") if path.name.lower().startswith(f"{name}-")), None)
    return found.name.removesuffix(".dist-info").partition("-")[2] if found else ""
