"""Compile, link and run a compiler's test programs in a private folder, with a transcript."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.process import Completed, run
from python_tsan.storage import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Candidate

COMPILE_SECONDS = 60.0
RUN_SECONDS = 20.0


class NotStartedError(Exception):
    """A compiler, or a program that it made, could not be started at all; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of a program: ``log`` is what it wrote to its log files, ``text`` that and its standard error."""

    completed: Completed
    log: str
    text: str


@contextlib.contextmanager
def probe_folder(layout: Layout) -> Iterator[Path]:
    """Yield a private folder that is gone afterwards. Raises ``OSError`` when the cache cannot be written."""
    # In the cache, not in the system's temporary folder, which may forbid to run what lies in it.
    layout.work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="canary-", dir=layout.work))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class ProbeBuild:
    """Compiles, links and runs with one compiler; each of the three raises :class:`NotStartedError`.

    ``launcher`` is the command prefix under which programs are run. ``symbolizer`` finds the names of their frames;
    None leaves that to the runtime.
    """

    def __init__(self, candidate: Candidate, folder: Path, symbolizer: Path | None) -> None:
        self.launcher: tuple[str, ...] = ()
        self.symbolizer = symbolizer
        self._candidate = candidate
        self._folder = folder
        self._transcript: list[str] = []
        self._runs = 0

    def compile(self, compiler: Path, source: Path) -> Completed:
        """Compile one file with the sanitizer."""
        command: list[str | Path] = [compiler, "-fsanitize=thread", "-O1", "-g1", "-c", source]
        return self._execute([*command, "-o", self._object(source.stem)], COMPILE_SECONDS)

    def link(self, cxx: Path, program: str, *stems: str, options: Sequence[str] = ()) -> Completed:
        """Link ``program`` of the objects of these files with the sanitizer."""
        objects = [self._object(stem) for stem in stems]
        command: list[str | Path] = [cxx, "-fsanitize=thread", "-pthread", *options, *objects]
        return self._execute([*command, "-o", self._folder / program], COMPILE_SECONDS)

    def run(self, program: str) -> Ran:
        """Run what was linked, with a log folder of its own."""
        self._runs += 1
        logs = self._folder / f"logs-{self._runs}"
        logs.mkdir()
        done = self._execute([*self.launcher, self._folder / program], RUN_SECONDS, env=self._environment(logs))
        log = "".join(path.read_text(errors="replace") for path in sorted(logs.iterdir()))
        self._transcript.append(log)
        return Ran(completed=done, log=log, text=f"{log}{done.stderr}")

    def save_transcript(self, folder: Path) -> Path:
        """Write every command with its outcome to a file in ``folder`` and return it."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._candidate.name}.log"
        write_whole(path, ("\n".join(self._transcript) or "no command was run\n").encode(errors="replace"))
        return path

    def _object(self, stem: str) -> Path:
        return self._folder / f"{stem}.o"

    def _environment(self, logs: Path) -> dict[str, str]:
        # Quoted: a colon or a blank in a path would end the option.
        options = [f'log_path="{logs}/tsan"', "exitcode=66", "halt_on_error=0", "atexit_sleep_ms=0"]
        if self.symbolizer is not None:
            options.append(f'external_symbolizer_path="{self.symbolizer}"')
        # A symbolizer that asks a debug information server may wait for it for ever.
        return {**os.environ, "TSAN_OPTIONS": ":".join(options), "DEBUGINFOD_URLS": "", "LC_ALL": "C"}

    def _execute(self, command: Sequence[str | Path], seconds: float, env: dict[str, str] | None = None) -> Completed:
        words = " ".join(str(part) for part in command)
        try:
            done = run(command, env=env or {**os.environ, "LC_ALL": "C"}, timeout=seconds, cwd=self._folder)
        except OSError as error:
            self._transcript.append(f"$ {words}\n{error}\n")
            raise NotStartedError(str(error)) from error
        outcome = "deadline passed" if done.timed_out else f"exit code {done.exit_code}"
        self._transcript.append(f"$ {words}\n{done.stdout}{done.stderr}[{outcome}, {done.seconds:.2f} s]\n")
        return done
