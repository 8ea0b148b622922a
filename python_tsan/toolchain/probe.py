"""Own the canary pair: a race that a toolchain must find, its safe twin that must be clean; leave choosing to others.

The three sources in ``canary/`` use both compilers, threads, and the C++ library. Their order in time is fixed by a
barrier that the runtime does not see, so the race shows in every run.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.process import Completed, run
from python_tsan.toolchain.machine import address_space_limit
from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection, Toolchain
from python_tsan.toolchain.runtime import file_id, find_runtime
from python_tsan.toolchain.search import find_symbolizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.paths import Layout

CANARY = Path(__file__).with_name("canary")
SOURCES = tuple(CANARY / name for name in ("threads.c", "racy.cpp", "safe.cpp"))
RACY_RUNS = 3
COMPILE_SECONDS = 60.0
RUN_SECONDS = 20.0
# TSan exists for more; these are the ones for which CPython's and numpy's archives are known to work with it.
ARCHITECTURES = {"x86_64", "aarch64"}
_SAME_ARCHITECTURE = {"amd64": "x86_64", "arm64": "aarch64"}

# As ld prints: cannot find .../lib/clang/19/lib/linux/libclang_rt.tsan-x86_64.a: No such file or directory
# As ld prints: cannot find -ltsan, or cannot find libtsan_preinit.o; as clang prints for a target without a runtime:
# unsupported option '-fsanitize=thread' for target 'i386-pc-linux-gnu'
_NO_RUNTIME = re.compile(r"libclang_rt\.tsan|cannot find -ltsan|libtsan|unsupported option '-fsanitize=thread'")
# As TSan prints: FATAL: ThreadSanitizer: unexpected memory mapping 0x5f1e2a000000-0x5f1e2a0e4000
# As TSan prints since LLVM 18.1: WARNING: ThreadSanitizer: memory layout is incompatible, even though ASLR is disabled.
# As TSan prints where it may not change its personality: ThreadSanitizer: CHECK failed: tsan_platform_linux.cpp:303
# and then the call that failed, personality(old_personality | ADDR_NO_RANDOMIZE)
_ADDRESS_SPACE = re.compile(
    r"ThreadSanitizer: (?:unexpected memory mapping|memory layout is incompatible"
    r"|CHECK failed: tsan_platform_linux\.cpp:\d+ .*personality)"
)
_RACE = "WARNING: ThreadSanitizer: data race"
_FINDING = "WARNING: ThreadSanitizer:"
# A frame that has its symbol, file and line: "#0 canary_turn /.../racy.cpp:5:33 (racy+0xe68ae)"
_SYMBOLIZED = re.compile(r"#\d+ canary_turn\b.*racy\.cpp:\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """One run of a canary and what it wrote to its log files and its terminal."""

    completed: Completed
    log: str
    text: str


class _RejectedError(Exception):
    def __init__(self, rejection: Rejection, detail: str = "", *, detected: int = 0, runs: int = 0) -> None:
        super().__init__(rejection.value)
        self.rejection = rejection
        self.detail = detail
        self.detected = detected
        self.runs = runs


def probe(candidate: Candidate, folders: Sequence[Path], layout: Layout) -> Probe:
    """Compile and run the canary pair with ``candidate``; ``folders`` is where a symbolizer is looked for.

    On a rejection the transcript of everything that was tried is kept below ``layout.logs``. Raises ``OSError`` when
    the cache cannot be written.
    """
    started = time.monotonic()
    with _workshop(layout) as folder:
        trial = _Trial(candidate, folder)
        try:
            toolchain, detected = trial.conclude(find_symbolizer(candidate, folders))
        except _RejectedError as rejected:
            return Probe(
                candidate=candidate,
                rejection=rejected.rejection,
                detail=rejected.detail,
                evidence=trial.save_transcript(layout.logs / "toolchain"),
                detected=rejected.detected,
                runs=rejected.runs,
                seconds=time.monotonic() - started,
            )
    return Probe(
        candidate=candidate,
        toolchain=toolchain,
        detected=detected,
        runs=RACY_RUNS,
        seconds=time.monotonic() - started,
    )


@contextlib.contextmanager
def _workshop(layout: Layout) -> Iterator[Path]:
    # In the cache, not in the system's temporary folder, which may forbid to run what lies in it.
    layout.work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="canary-", dir=layout.work))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Trial:
    """One candidate put to the test in its own folder, with a transcript of every command."""

    def __init__(self, candidate: Candidate, folder: Path) -> None:
        self._candidate = candidate
        self._folder = folder
        self._launcher: tuple[str, ...] = ()
        self._symbolizer: Path | None = None
        self._transcript: list[str] = []
        self._count = 0

    def conclude(self, symbolizer: Path | None) -> tuple[Toolchain, int]:
        """Return the working toolchain and in how many runs its race was found, or raise the reason against it."""
        self._symbolizer = symbolizer
        cxx = self._require_partner()
        self._compile(cxx)
        runtime = find_runtime(self._candidate)
        if runtime is None:
            raise _RejectedError(Rejection.NO_RUNTIME)
        for name in ("racy", "safe"):
            self._link(cxx, name)
        if self._candidate.family is Family.CLANG and symbolizer is None:
            raise _RejectedError(Rejection.NO_SYMBOLIZER, "no llvm-symbolizer found")
        self._settle_address_space()
        self._expect_clean()
        detected = self._expect_race()
        toolchain = Toolchain(
            candidate=self._candidate,
            runtime=runtime,
            runtime_id=file_id(runtime),
            symbolizer=symbolizer,
            linker=self._find_linker(cxx),
            launcher=self._launcher,
        )
        return toolchain, detected

    def save_transcript(self, folder: Path) -> Path:
        """Write every command with its outcome to a file in ``folder`` and return it."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._candidate.name}-{os.getpid()}.log"
        path.write_text("\n".join(self._transcript) or "no command was run\n", encoding="utf-8")
        final = folder / f"{self._candidate.name}.log"
        return path.replace(final)

    def _require_partner(self) -> Path:
        architecture = self._candidate.architecture
        here = _SAME_ARCHITECTURE.get(platform.machine(), platform.machine())
        if architecture != here or architecture not in ARCHITECTURES:
            raise _RejectedError(Rejection.FOREIGN, f"for {architecture}, this machine is {here}")
        if self._candidate.cxx is None:
            raise _RejectedError(Rejection.NO_CXX)
        return self._candidate.cxx

    def _compile(self, cxx: Path) -> None:
        for source in SOURCES:
            compiler = cxx if source.suffix == ".cpp" else self._candidate.cc
            command: list[str | Path] = [
                compiler,
                "-fsanitize=thread",
                "-O1",
                "-g1",
                "-c",
                source,
                "-o",
                self._object(source.stem),
            ]
            done = self._execute(command, COMPILE_SECONDS)
            if not done.ok:
                raise _RejectedError(*_why_not_built(done))

    def _link(self, cxx: Path, name: str, *options: str) -> None:
        done = self._execute(self._link_command(cxx, name, self._folder / name, *options), COMPILE_SECONDS)
        if not done.ok:
            raise _RejectedError(*_why_not_built(done))

    def _link_command(self, cxx: Path, name: str, output: Path, *options: str) -> list[str | Path]:
        objects = [self._object("threads"), self._object(name)]
        return [cxx, "-fsanitize=thread", "-pthread", *options, *objects, "-o", output]

    def _object(self, stem: str) -> Path:
        return self._folder / f"{stem}.o"

    def _settle_address_space(self) -> None:
        """Find the launcher under which an instrumented program starts, none if it starts as it is."""
        if not _ADDRESS_SPACE.search(self._run("safe").text):
            return
        setarch = shutil.which("setarch")
        if setarch is None:
            raise _RejectedError(Rejection.ADDRESS_SPACE, "and setarch, which would help, is not installed")
        self._launcher = (setarch, platform.machine(), "-R")
        ran = self._run("safe")
        # setarch -R ends with "failed to set personality" where a container's filter forbids the call.
        if "setarch" in ran.text and not ran.completed.ok:
            raise _RejectedError(Rejection.ADDRESS_SPACE, "and a system call filter forbids setarch -R")
        if _ADDRESS_SPACE.search(ran.text):
            raise _RejectedError(Rejection.ADDRESS_SPACE, "and setarch -R does not help")

    def _expect_clean(self) -> None:
        ran = self._run("safe")
        if _FINDING in ran.log:
            raise _RejectedError(Rejection.FALSE_ALARM)
        if not ran.completed.ok:
            raise _RejectedError(Rejection.CRASHED, self._why_crashed(ran))

    def _expect_race(self) -> int:
        detected = 0
        for _ in range(RACY_RUNS):
            ran = self._run("racy")
            if ran.completed.timed_out:
                raise _RejectedError(*self._why_late())
            if _RACE not in ran.log:
                continue
            if not _SYMBOLIZED.search(ran.log):
                raise _RejectedError(Rejection.NO_SYMBOLIZER, f"{self._symbolizer or 'its own'} gave no names")
            detected += 1
        # One miss is within what TSan promises (google/sanitizers #1576); more is a detector that cannot be trusted.
        if detected < RACY_RUNS - 1:
            detail = f"seen in {detected} of {RACY_RUNS} runs"
            raise _RejectedError(Rejection.MISSED_RACE, detail, detected=detected, runs=RACY_RUNS)
        return detected

    def _why_late(self) -> tuple[Rejection, str]:
        # The safe twin has just ended, so what hangs is the printing of the finding.
        detail = f"{self._symbolizer or 'the runtime'} took more than {RUN_SECONDS:.0f} s"
        return Rejection.SYMBOLIZER_HUNG, detail

    def _why_crashed(self, ran: _Ran) -> str:
        if "-musl" in self._candidate.target:
            return "the runtime does not start under musl, llvm/llvm-project #78452"
        if ran.completed.timed_out:
            return f"it did not end within {RUN_SECONDS:.0f} s"
        if address_space_limit() is not None:
            return "the address space is limited: ulimit -v unlimited"
        last = _last_line(ran.text)
        return f"exit code {ran.completed.exit_code}{f': {last}' if last else ''}"

    def _find_linker(self, cxx: Path) -> str | None:
        if self._candidate.family is not Family.CLANG:
            return None
        command = self._link_command(cxx, "racy", self._folder / "racy-lld", "-fuse-ld=lld")
        return "lld" if self._execute(command, COMPILE_SECONDS).ok else None

    def _run(self, name: str) -> _Ran:
        self._count += 1
        logs = self._folder / f"logs-{self._count}"
        logs.mkdir()
        done = self._execute([*self._launcher, self._folder / name], RUN_SECONDS, env=self._run_environment(logs))
        log = "".join(path.read_text(errors="replace") for path in sorted(logs.iterdir()))
        self._transcript.append(log)
        return _Ran(completed=done, log=log, text=f"{log}{done.stderr}")

    def _run_environment(self, logs: Path) -> dict[str, str]:
        # Quoted: a colon or a blank in a path would end the option.
        options = [f'log_path="{logs}/tsan"', "exitcode=66", "halt_on_error=0", "atexit_sleep_ms=0"]
        if self._symbolizer is not None:
            options.append(f'external_symbolizer_path="{self._symbolizer}"')
        # A symbolizer that asks a debug information server may wait for it for ever.
        return {**os.environ, "TSAN_OPTIONS": ":".join(options), "DEBUGINFOD_URLS": "", "LC_ALL": "C"}

    def _execute(self, command: Sequence[str | Path], seconds: float, env: dict[str, str] | None = None) -> Completed:
        words = " ".join(str(part) for part in command)
        try:
            done = run(command, env=env or {**os.environ, "LC_ALL": "C"}, timeout=seconds, cwd=self._folder)
        except OSError as error:
            self._transcript.append(f"$ {words}\n{error}\n")
            raise _RejectedError(Rejection.CRASHED, str(error)) from error
        outcome = "deadline passed" if done.timed_out else f"exit code {done.exit_code}"
        self._transcript.append(f"$ {words}\n{done.stdout}{done.stderr}[{outcome}, {done.seconds:.2f} s]\n")
        return done


def _why_not_built(done: Completed) -> tuple[Rejection, str]:
    text = done.stdout + done.stderr
    if _NO_RUNTIME.search(text):
        return Rejection.NO_RUNTIME, ""
    if done.timed_out:
        return Rejection.COMPILE_FAILED, f"not done after {COMPILE_SECONDS:.0f} s"
    error = next((line for line in text.splitlines() if "error:" in line), _last_line(text))
    return Rejection.COMPILE_FAILED, error.strip()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
