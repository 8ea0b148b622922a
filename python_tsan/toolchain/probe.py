"""Run the canary pair: a race that a toolchain must find, and its safe twin that must be clean.

The three sources in ``canary/`` use both compilers, threads, and the C++ library. Their order in time is fixed by a
barrier that the runtime does not see, so the race shows in every run.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.toolchain.host import address_space_limit
from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection, Toolchain
from python_tsan.toolchain.probe_build import (
    COMPILE_SECONDS,
    RUN_SECONDS,
    NotStartedError,
    ProbeBuild,
    Ran,
    probe_folder,
)
from python_tsan.toolchain.runtime import file_id, find_runtime
from python_tsan.toolchain.search import find_symbolizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.paths import Layout
    from python_tsan.process import Completed

CANARY = Path(__file__).with_name("canary")
SOURCES = tuple(CANARY / name for name in ("threads.c", "racy.cpp", "safe.cpp"))
RACY_RUNS = 3
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
    symbolizer = find_symbolizer(candidate, folders)
    with probe_folder(layout) as folder:
        build = ProbeBuild(candidate, folder, symbolizer)
        try:
            toolchain, detected = _CanaryTest(candidate, build).conclude()
        except _RejectedError as rejected:
            return Probe(
                candidate=candidate,
                rejection=rejected.rejection,
                detail=rejected.detail,
                evidence=build.save_transcript(layout.logs / "toolchain"),
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


class _CanaryTest:
    """One candidate put to the test in its build; every step of it raises the reason against the candidate."""

    def __init__(self, candidate: Candidate, build: ProbeBuild) -> None:
        self._candidate = candidate
        self._build = build

    def conclude(self) -> tuple[Toolchain, int]:
        """Return the working toolchain and in how many runs its race was found, or raise the reason against it."""
        try:
            return self._conclude()
        except NotStartedError as error:
            raise _RejectedError(Rejection.CRASHED, str(error)) from error

    def _conclude(self) -> tuple[Toolchain, int]:
        cxx = self._require_cxx()
        for source in SOURCES:
            _require_built(self._build.compile(cxx if source.suffix == ".cpp" else self._candidate.cc, source))
        runtime = find_runtime(self._candidate)
        if runtime is None:
            raise _RejectedError(Rejection.NO_RUNTIME)
        for name in ("racy", "safe"):
            _require_built(self._build.link(cxx, name, "threads", name))
        if self._candidate.family is Family.CLANG and self._build.symbolizer is None:
            raise _RejectedError(Rejection.NO_SYMBOLIZER, "no llvm-symbolizer found")
        self._settle_address_space()
        self._expect_clean()
        detected = self._expect_race()
        toolchain = Toolchain(
            candidate=self._candidate,
            runtime=runtime,
            runtime_id=file_id(runtime),
            symbolizer=self._build.symbolizer,
            linker=self._find_linker(cxx),
            launcher=self._build.launcher,
        )
        return toolchain, detected

    def _require_cxx(self) -> Path:
        architecture = self._candidate.architecture
        here = _SAME_ARCHITECTURE.get(platform.machine(), platform.machine())
        if architecture != here or architecture not in ARCHITECTURES:
            raise _RejectedError(Rejection.FOREIGN, f"for {architecture}, this machine is {here}")
        if self._candidate.cxx is None:
            raise _RejectedError(Rejection.NO_CXX)
        return self._candidate.cxx

    def _settle_address_space(self) -> None:
        """Find the launcher under which an instrumented program starts, none if it starts as it is."""
        if not _ADDRESS_SPACE.search(self._build.run("safe").text):
            return
        setarch = shutil.which("setarch")
        if setarch is None:
            raise _RejectedError(Rejection.ADDRESS_SPACE, "and setarch, which would help, is not installed")
        self._build.launcher = (setarch, platform.machine(), "-R")
        ran = self._build.run("safe")
        # setarch -R ends with "failed to set personality" where a container's filter forbids the call.
        if "setarch" in ran.text and not ran.completed.ok:
            raise _RejectedError(Rejection.ADDRESS_SPACE, "and a system call filter forbids setarch -R")
        if _ADDRESS_SPACE.search(ran.text):
            raise _RejectedError(Rejection.ADDRESS_SPACE, "and setarch -R does not help")

    def _expect_clean(self) -> None:
        ran = self._build.run("safe")
        if _FINDING in ran.log:
            raise _RejectedError(Rejection.FALSE_ALARM)
        if not ran.completed.ok:
            raise _RejectedError(Rejection.CRASHED, self._why_crashed(ran))

    def _expect_race(self) -> int:
        detected = 0
        for _ in range(RACY_RUNS):
            ran = self._build.run("racy")
            if ran.completed.timed_out:
                raise _RejectedError(*self._why_late())
            if _RACE not in ran.log:
                continue
            if not _SYMBOLIZED.search(ran.log):
                raise _RejectedError(Rejection.NO_SYMBOLIZER, f"{self._build.symbolizer or 'its own'} gave no names")
            detected += 1
        # One miss is within what TSan promises (google/sanitizers #1576); more is a detector that cannot be trusted.
        if detected < RACY_RUNS - 1:
            detail = f"seen in {detected} of {RACY_RUNS} runs"
            raise _RejectedError(Rejection.MISSED_RACE, detail, detected=detected, runs=RACY_RUNS)
        return detected

    def _why_late(self) -> tuple[Rejection, str]:
        # The safe twin has just ended, so what hangs is the printing of the finding.
        detail = f"{self._build.symbolizer or 'the runtime'} took more than {RUN_SECONDS:.0f} s"
        return Rejection.SYMBOLIZER_HUNG, detail

    def _why_crashed(self, ran: Ran) -> str:
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
        return "lld" if self._build.link(cxx, "racy-lld", "threads", "racy", options=["-fuse-ld=lld"]).ok else None


def _require_built(done: Completed) -> None:
    """Raise the reason against a compiler that did not compile, ``OSError`` when the disk is to blame."""
    if done.ok:
        return
    # g++: fatal error: error writing to /tmp/x.s: No space left on device
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in done.stdout + done.stderr:
            raise OSError(number, os.strerror(number), str(Path(done.command[-1]).parent))
    raise _RejectedError(*_why_not_built(done))


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
