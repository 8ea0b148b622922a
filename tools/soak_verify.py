"""Run ``verify`` several times under a CPU load and print in how many runs all checks were as expected.

Each run prints the machine's load and the count so far: of an interrupted soak, the runs that ended still count.
Settings of ``verify`` follow ``--``: ``python -m tools.soak_verify --runs 20 -- --toolchain gcc-12 --lane full``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.plain_text import counted
from python_tsan.rate import describe_rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORKERS = 6  # a load of about 9 on two cores, together with the checks
SECONDS = 3 * 3600.0  # for one run
EXPECTED = ("passed", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """One run of ``verify``: its exit code, and one line for each unexpected verdict and each check with repeats."""

    exit_code: int
    seconds: float
    unexpected: tuple[str, ...]
    repeated: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether every check was as expected."""
        return self.exit_code == 0 and not self.unexpected


def read_verdicts(document: dict[str, list[dict[str, str]]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the unexpected verdicts of a run.json, and the checks with repeated runs, one line for each."""
    lines = [(f"{one['lane']} {one['check']}: {one['reason']}", one) for one in document["verdicts"]]
    unexpected = tuple(line for line, one in lines if one["status"] not in EXPECTED)
    return unexpected, tuple(line for line, one in lines if " repeated: " in one["reason"])


def run_once(options: Sequence[str]) -> Soaked:
    """Run ``verify`` with these options and read its run.json."""
    with tempfile.TemporaryDirectory(prefix="soak-verify-") as folder:
        command = [sys.executable, "-m", "python_tsan", "verify", "--quiet", "--output", folder, *options]
        ended = process.run(command, timeout=SECONDS)
        files = list(Path(folder).glob("*/run.json"))
        if not files:
            why = ended.stderr.strip().rpartition("\n")[2] or ended.how
            return Soaked(exit_code=ended.exit_code, seconds=ended.seconds, unexpected=(why,), repeated=())
        unexpected, repeated = read_verdicts(json.loads(files[0].read_bytes()))
    return Soaked(exit_code=ended.exit_code, seconds=ended.seconds, unexpected=unexpected, repeated=repeated)


@contextlib.contextmanager
def cpu_load(workers: int) -> Iterator[None]:
    """Keep ``workers`` processes of stress-ng computing."""
    if workers == 0:
        yield
        return
    program = shutil.which("stress-ng")
    if program is None:
        raise SystemExit("stress-ng was not found; install it, as with: apt-get install stress-ng")
    # With a timeout, in case this process is killed.
    command = [program, "--cpu", str(workers), "--timeout", f"{SECONDS:.0f}", "--quiet"]
    with subprocess.Popen(command) as load:
        try:
            yield
        finally:
            load.terminate()


def main(words: list[str] | None = None) -> int:
    """Run, print a line for each run and the rate, and return 0 if every run was as expected."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak_verify", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs of verify (%(default)s)")
    parser.add_argument("--load", type=int, default=WORKERS, help="processes of stress-ng, 0 for none (%(default)s)")
    parser.add_argument("options", nargs="*", help="options of verify, after --")
    arguments = parser.parse_args(words)
    if any(option.partition("=")[0] == "--output" for option in arguments.options):
        parser.error("--output cannot be given: results are read from a folder of this program's, and deleted")
    met = 0
    with cpu_load(arguments.load):
        for number in range(1, arguments.runs + 1):
            one = run_once(arguments.options)
            met += one.as_expected
            state = "as expected" if one.as_expected else f"exit {one.exit_code}"
            repeats = counted(len(one.repeated), "check") + " repeated"
            facts = f"after {one.seconds:.0f} s, load {os.getloadavg()[2]:.0f}, {repeats}"
            print(f"run {number}: {state} {facts}; {met} of {number} so far", flush=True)  # noqa: T201 -- output
            for line in (*one.unexpected, *one.repeated):
                print(f"  {line}", flush=True)  # noqa: T201 -- the command's output
    print(f"as expected: {describe_rate(met, arguments.runs)}")  # noqa: T201 -- the command's output
    return 0 if met == arguments.runs else 1


if __name__ == "__main__":
    raise SystemExit(main())
