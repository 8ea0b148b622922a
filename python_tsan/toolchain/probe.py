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

from python_tsan.plain_text import last_line
from python_tsan.storage import sha256_of
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
from python_tsan.toolchain.runtime import find_runtime, is_zig
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
    with probe_folder(layout) as folder:
        build = ProbeBuild(candidate, folder, find_symbolizer(candidate, folders))
        try:
            toolchain, detected = _test(candidate, build)
        except (NotStartedError, _RejectedError) as error:
            why = error if isinstance(error, _RejectedError) else _RejectedError(Rejection.CRASHED, str(error))
            return Probe(
                candidate=candidate,
                rejection=why.rejection,
                detail=why.detail,
                evidence=build.save_transcript(layout.logs / "toolchain"),
                detected=why.detected,
                runs=why.runs,
                seconds=time.monotonic() - started,
            )
    return Probe(
        candidate=candidate,
        toolchain=toolchain,
        detected=detected,
        runs=RACY_RUNS,
        seconds=time.monotonic() - started,
    )


def _test(candidate: Candidate, build: ProbeBuild) -> tuple[Toolchain, int]:
    """Return the working toolchain and in how many runs its race was found, or raise the reason against it."""
    architecture = candidate.architecture
    here = _SAME_ARCHITECTURE.get(platform.machine(), platform.machine())
    if architecture != here or architecture not in ARCHITECTURES:
        raise _RejectedError(Rejection.FOREIGN, f"for {architecture}, this machine is {here}")
    cxx = candidate.cxx
    if cxx is None:
        raise _RejectedError(Rejection.NO_CXX)
    for source in SOURCES:
        _require_built(build.compile(cxx if source.suffix == ".cpp" else candidate.cc, source))
    runtime = find_runtime(candidate)
    if runtime is None:
        raise _RejectedError(Rejection.OWN_RUNTIMES if is_zig(candidate) else Rejection.NO_RUNTIME)
    for name in ("racy", "safe"):
        _require_built(build.link(cxx, name, "threads", name))
    is_clang = candidate.family is Family.CLANG
    if is_clang and build.symbolizer is None:
        raise _RejectedError(Rejection.NO_SYMBOLIZER, "no llvm-symbolizer found")
    _settle_address_space(build)
    safe = build.run("safe")
    if _FINDING in safe.log:
        raise _RejectedError(Rejection.FALSE_ALARM)
    if not safe.completed.ok:
        raise _RejectedError(Rejection.CRASHED, _why_crashed(candidate, safe))
    detected = _count_races(build)
    has_lld = is_clang and build.link(cxx, "racy-lld", "threads", "racy", options=["-fuse-ld=lld"]).ok
    toolchain = Toolchain(
        candidate=candidate,
        runtime=runtime,
        runtime_id=sha256_of(runtime),
        symbolizer=build.symbolizer,
        linker="lld" if has_lld else None,
        launcher=build.launcher,
    )
    return toolchain, detected


def _settle_address_space(build: ProbeBuild) -> None:
    """Find the launcher under which an instrumented program starts, none if it starts as it is."""
    if not _ADDRESS_SPACE.search(build.run("safe").text):
        return
    setarch = shutil.which("setarch")
    if setarch is None:
        raise _RejectedError(Rejection.ADDRESS_SPACE, "and setarch, which would help, is not installed")
    build.launcher = (setarch, platform.machine(), "-R")
    ran = build.run("safe")
    # setarch -R ends with "failed to set personality" where a container's filter forbids the call.
    if "setarch" in ran.text and not ran.completed.ok:
        raise _RejectedError(Rejection.ADDRESS_SPACE, "and a system call filter forbids setarch -R")
    if _ADDRESS_SPACE.search(ran.text):
        raise _RejectedError(Rejection.ADDRESS_SPACE, "and setarch -R does not help")


def _why_crashed(candidate: Candidate, ran: Ran) -> str:
    if "-musl" in candidate.target:
        return "the runtime does not start under musl, llvm/llvm-project #78452"
    if ran.completed.timed_out:
        return f"it did not end within {RUN_SECONDS:.0f} s"
    if address_space_limit() is not None:
        return "the address space is limited: ulimit -v unlimited"
    last = last_line(ran.text)
    return f"exit code {ran.completed.exit_code}{f': {last}' if last else ''}"


def _count_races(build: ProbeBuild) -> int:
    """Return in how many runs the race was found."""
    detected = 0
    for _ in range(RACY_RUNS):
        ran = build.run("racy")
        if ran.completed.timed_out:
            # The safe twin has just ended, so what hangs is the printing of the finding.
            detail = f"{build.symbolizer or 'the runtime'} took more than {RUN_SECONDS:.0f} s"
            raise _RejectedError(Rejection.SYMBOLIZER_HUNG, detail)
        if _RACE not in ran.log:
            continue
        if not _SYMBOLIZED.search(ran.log):
            raise _RejectedError(Rejection.NO_SYMBOLIZER, f"{build.symbolizer or 'its own'} gave no names")
        detected += 1
    # One miss is within what TSan promises (google/sanitizers #1576); more is a detector that cannot be trusted.
    if detected < RACY_RUNS - 1:
        detail = f"seen in {detected} of {RACY_RUNS} runs"
        raise _RejectedError(Rejection.MISSED_RACE, detail, detected=detected, runs=RACY_RUNS)
    return detected


def _require_built(done: Completed) -> None:
    """Raise the reason against a compiler that did not compile, ``OSError`` when the disk is to blame."""
    if done.ok:
        return
    text = done.stdout + done.stderr
    # g++: fatal error: error writing to /tmp/x.s: No space left on device
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in text:
            raise OSError(number, os.strerror(number), str(Path(done.command[-1]).parent))
    if _NO_RUNTIME.search(text):
        raise _RejectedError(Rejection.NO_RUNTIME)
    if done.timed_out:
        raise _RejectedError(Rejection.COMPILE_FAILED, f"not done after {COMPILE_SECONDS:.0f} s")
    error = next((line for line in text.splitlines() if "error:" in line), last_line(text))
    raise _RejectedError(Rejection.COMPILE_FAILED, error.strip())
