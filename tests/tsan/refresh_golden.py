"""Write the golden logs again: compile and run every program of native/golden with each toolchain named.

    python tests/tsan/refresh_golden.py clang-19 gcc-12

Logs differ from run to run in addresses and pids only; the folder of the programs is spelled ``/opt/golden``. A
program that a toolchain cannot link is reported and left out: older runtimes lack some interfaces.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = REPOSITORY / "native" / "golden"
LOGS = Path(__file__).parent / "golden"
OPTIONS = "second_deadlock_stack=1:atexit_sleep_ms=50:exitcode=66"
EXTRA = {
    "race_unrestored": "history_size=0",
    "suppressed": f"print_suppressions=1:suppressions={PROGRAMS / 'suppressed.txt'}",
}
# Variants of one program: other options, another log.
VARIANTS = {"deadlock": {"deadlock_plain": "second_deadlock_stack=0", "deadlock_colour": "color=always"}}
TIMEOUT_SECONDS = 120


def compiler_of(toolchain: str) -> str:
    """Return the C++ driver of ``clang-19`` or ``gcc-12``."""
    return toolchain.replace("clang-", "clang++-").replace("gcc-", "g++-")


def build(program: Path, toolchain: str, folder: Path) -> Path | None:
    """Compile one program; None if this toolchain cannot."""
    binary = folder / program.stem
    flags = ["-std=c++17", "-g", "-O1", "-fsanitize=thread", "-pthread", f"-ffile-prefix-map={PROGRAMS}=/src/golden"]
    command = [compiler_of(toolchain), *flags, str(program), "-o", str(binary)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(f"{toolchain}: {program.name}: left out: {done.stderr.strip().splitlines()[-1]}\n")
    return None if done.returncode else binary


def record(binary: Path, options: str, log: Path) -> None:
    """Run one program and keep what its runtime printed."""
    env = dict(os.environ, TSAN_OPTIONS=options, DEBUGINFOD_URLS="")
    done = subprocess.run([binary], env=env, stderr=subprocess.PIPE, check=False, timeout=TIMEOUT_SECONDS)
    log.write_bytes(done.stderr.replace(str(binary.parent).encode(), b"/opt/golden"))
    sys.stderr.write(f"{log.relative_to(LOGS)}: exit {done.returncode}, {done.stderr.count(b'WARNING: ')} blocks\n")


def main(toolchains: list[str]) -> None:
    """Refresh the logs of each toolchain."""
    for toolchain in toolchains:
        (LOGS / toolchain).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            for program in sorted(PROGRAMS.glob("*.cpp")):
                binary = build(program, toolchain, Path(folder))
                if binary is None:
                    continue
                runs = {program.stem: EXTRA.get(program.stem, "")} | VARIANTS.get(program.stem, {})
                for name, extra in runs.items():
                    record(binary, f"{OPTIONS}:{extra}", LOGS / toolchain / f"{name}.log")


if __name__ == "__main__":
    main(sys.argv[1:] or ["clang-19", "gcc-12"])
