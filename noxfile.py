"""The tasks of this checkout, one session each.

`nox -s verify` does everything. Arguments after `--` are passed to the command of the session:
`nox -s build_python -- --help` lists them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv"  # pip checks no hashes of constraints for an editable project
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "lint", "types"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
LOCK = ROOT / "requirements-lock.txt"
LOCKED = ("--constraint", LOCK.name, "--build-constraint", LOCK.name)
# nox would end a session 0.3 s after Ctrl-C; ending every child in good order takes longer.
INTERRUPT_SECONDS = 15.0


def install(session: nox.Session, *groups: str, resolution: tuple[str, ...] = LOCKED) -> None:
    """Install the project and these dependency groups, once per state of pyproject.toml and the lock.

    Versions and hashes come from the lock, those of the build back end too, unless ``resolution`` says otherwise.
    """
    requirements = ("--editable", ".[verify]", *nox.project.dependency_groups(PROJECT, *groups))
    arguments = (*resolution, *requirements)
    content = (ROOT / "pyproject.toml").read_bytes() + LOCK.read_bytes() + repr(arguments).encode()
    state = hashlib.sha256(content).hexdigest()
    stamp = Path(session.virtualenv.location) / "installed-for"
    if not stamp.is_file() or stamp.read_text() != state:
        stamp.unlink(missing_ok=True)
        session.install(*arguments)
        # Like the installation itself, this does nothing under --no-install.
        session.run_install("python", "-c", f"open({str(stamp)!r}, 'w').write({state!r})", log=False)


def cluster_group(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the dependency group of dask if arguments name a cluster."""
    return ("cluster",) if any(word.startswith("--cluster") for word in arguments) else ()


def product(session: nox.Session, verb: str, *arguments: str) -> None:
    """Run one verb of python-tsan."""
    install(session, *cluster_group(arguments))
    command = ("python", "-m", "python_tsan", verb, *arguments)
    with termination_passed_on():
        session.run(*command, interrupt_timeout=INTERRUPT_SECONDS, terminate_timeout=INTERRUPT_SECONDS)


@contextlib.contextmanager
def termination_passed_on() -> Iterator[None]:
    """Let SIGTERM, which ends nox alone, reach what nox has started; of itself nox would leave that running."""

    def end(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                os.kill(int(pid), number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@nox.session(tags=["look"])
def doctor(session: nox.Session) -> None:
    """Show what this machine offers, what is chosen, and how to get what is missing."""
    product(session, "doctor", *session.posargs)


@nox.session(tags=["build"])
def build_python(session: nox.Session) -> None:
    """Build CPython under ThreadSanitizer, or report that it is up to date."""
    product(session, "build", *session.posargs)


@nox.session(tags=["build"])
def install_numpy(session: nox.Session) -> None:
    """Install the locked numpy wheel into the built interpreter."""
    product(session, "install-numpy", *session.posargs)


@nox.session(tags=["build"])
def build_numpy(session: nox.Session) -> None:
    """Build numpy from source under ThreadSanitizer, into a copy of the interpreter."""
    product(session, "install-numpy", "--instrumented-numpy", *session.posargs)


@nox.session(tags=["build"])
def build_harness(session: nox.Session) -> None:
    """Build the C++ program that embeds the interpreter."""
    product(session, "build-harness", *session.posargs)


@nox.session(tags=["check"])
def check_gil(session: nox.Session) -> None:
    """Check that the GIL orders what it should, and nothing else."""
    product(session, "check-gil", *session.posargs)


@nox.session(tags=["check"])
def check_imports(session: nox.Session) -> None:
    """Check that importing threads do not deadlock, and how they can."""
    product(session, "check-imports", *session.posargs)


@nox.session(tags=["check"])
def verify(session: nox.Session) -> None:
    """Build what is missing, run every check, print one table of verdicts."""
    product(session, "verify", *session.posargs)


@nox.session(tags=["check"])
def verify_fast(session: nox.Session) -> None:
    """Run the checks that a stock libpython allows: seconds, nothing to build but the harness."""
    product(session, "verify", "--lane", "fast", *session.posargs)


@nox.session(tags=["check"])
def test_python(session: nox.Session) -> None:
    """Run CPython's own tests for ThreadSanitizer in the built interpreter."""
    product(session, "test-python", *session.posargs)


@nox.session(tags=["check"])
def soak_verify(session: nox.Session) -> None:
    """Run verify 20 times under a CPU load and print k of n; `-- --runs 3 -- --toolchain gcc-12` for other runs."""
    install(session)
    session.run("python", "-m", "tools.soak_verify", *session.posargs)


@nox.session(tags=["check"])
def kills(session: nox.Session) -> None:
    """Kill builds, installations, archives and results at 100 random moments; `-- 20` for another number."""
    install(session)
    session.run("pytest", "tests/kills", env={"KILLS": (session.posargs or ["100"])[0]})


@nox.session(tags=["check"])
def matrix(session: nox.Session) -> None:
    """Run every check on each combination that this machine can build, and compare them."""
    product(session, "matrix", *session.posargs)


def run_tests(session: nox.Session) -> None:
    """Run the project's own tests on all cores; `-- -n 0` runs them in one process."""
    session.run("pytest", "--numprocesses=logical", "--dist=worksteal", *session.posargs)


@nox.session(tags=["quality"])
def tests(session: nox.Session) -> None:
    """Run the project's own tests; those that need a compiler are skipped without one."""
    install(session, "test")
    run_tests(session)


@nox.session(tags=["quality"])
def tests_newest(session: nox.Session) -> None:
    """Run the same tests on the newest releases that the bounds allow, and show what differs from the lock."""
    install(session, "test", resolution=("--upgrade",))
    session.run("python", "-m", "tools.lock")
    run_tests(session)


@nox.session(tags=["quality"])
def tests_lowest(session: nox.Session) -> None:
    """Run the same tests on the lowest releases that the bounds allow, and show what differs from the lock."""
    install(session, "test", resolution=("--resolution", "lowest-direct"))
    session.run("python", "-m", "tools.lock")
    run_tests(session)


@nox.session(tags=["quality"])
def coverage(session: nox.Session) -> None:
    """Measure which branches the tests run, children included, and fail below the limit in pyproject.toml."""
    install(session, "test", "coverage")
    session.run("pytest", "--numprocesses=logical", "--cov", "--cov-report=term:skip-covered", *session.posargs)


@nox.session(tags=["quality"])
def mutants(session: nox.Session) -> None:
    """Change the rules that verdicts rest on one by one, and fail unless the tests notice; see tools/mutants.toml."""
    install(session, "test", "mutants")
    session.run("mutmut", "run", "--max-children", str(os.cpu_count() or 1), *session.posargs)
    session.run("python", "-m", "tools.mutants")


@nox.session(tags=["quality"])
def lock(session: nox.Session) -> None:
    """Resolve every dependency again and write requirements-lock.txt; `-- --upgrade` takes the newest releases."""
    session.install("--constraint", LOCK.name, "uv")
    groups = [f"--group={name}" for name in PROJECT["dependency-groups"]]
    options = ("--universal", "--python-version=3.11", "--generate-hashes", "--all-extras", "--quiet")
    output = f"--output-file={LOCK.name}"
    session.run("uv", "pip", "compile", *options, *groups, output, "pyproject.toml", *session.posargs)


def lint_github(session: nox.Session) -> None:
    """Check workflows and actions: syntax, expressions, scripts, and what could be turned against the project."""
    workflows = sorted(str(path) for path in ROOT.glob(".github/workflows/*.yml"))
    session.run("actionlint", *workflows)
    session.run("zizmor", "--offline", "--no-progress", ".github")
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    actions = sorted(str(path) for path in ROOT.glob(".github/actions/*/action.yml"))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-actions", *actions)
    session.run("python", ".github/lint_actions.py", *actions)


@nox.session(tags=["quality"])
def lint(session: nox.Session) -> None:
    """Check style, formatting, import contracts, C++ layout, scripts, workflows and actions."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache")
    session.run("python", "-m", "tools.prose")
    native = sorted(str(path) for suffix in ("hpp", "cpp", "c") for path in ROOT.glob(f"native/**/*.{suffix}"))
    session.run("clang-format", "--dry-run", "-Werror", *native)
    session.run("shellcheck", *sorted(str(path) for path in ROOT.glob("findings/*.sh")))
    lint_github(session)


@nox.session(tags=["quality"])
def types(session: nox.Session) -> None:
    """Check types: mypy, strict."""
    install(session, "test", "types")
    session.run("mypy")


@nox.session(tags=["quality"])
def docs(session: nox.Session) -> None:
    """Build the documentation as a site in build/site, strict about dead links; `-- serve` shows it in a browser."""
    install(session, "docs")
    session.run("python", "-m", "tools.docs_site")
    session.run("zensical", "build", "--strict", "--clean")
    if "serve" in session.posargs:
        session.run("python", "-m", "http.server", "--bind=127.0.0.1", "--directory=build/site", "8000")


@nox.session(tags=["look"])
def bench(session: nox.Session) -> None:
    """Measure the pipeline side by side with the manual recipe."""
    install(session, *cluster_group(session.posargs))
    session.run("python", "-m", "tools.bench", *session.posargs)


@nox.session(tags=["look"])
def gil_page(session: nox.Session) -> None:
    """Trace the original program and write docs/why-the-gil-is-released.md with its pictures."""
    install(session)
    session.run("python", "-m", "tools.gil_page", *session.posargs)


@nox.session(tags=["look"])
def import_atlas(session: nox.Session) -> None:
    """Survey the most used packages of PyPI for hazards between imports and write docs/import-atlas.md."""
    install(session, *cluster_group(session.posargs))
    session.run("python", "-m", "tools.import_atlas", "--output", "docs/import-atlas.md", *session.posargs)


@nox.session(tags=["look"])
def import_score(session: nox.Session) -> None:
    """Score the prediction of import hazards on every interpreter found here and write docs/import-scores.md."""
    install(session)
    session.run("python", "-m", "tools.import_score", "--output", "docs/import-scores.md", *session.posargs)


@nox.session(tags=["quality"])
def fuzz(session: nox.Session) -> None:
    """Feed the parser many more random logs than the tests do; `-- 500` for 500 times as many."""
    install(session, "test")
    session.env["PYTHON_TSAN_FUZZ_SCALE"] = next(iter(session.posargs), "20")
    session.run("pytest", "tests/tsan/test_tsan_properties.py", "tests/tsan/test_tsan_mixed.py", "--timeout=0")


@nox.session(tags=["quality"])
def cache_failures(session: nox.Session) -> None:
    """Build CPython while the shared compiler cache is killed or talks nonsense, by ccache and by sccache."""
    install(session, "test")
    session.run("pytest", "tests/cpython_build/test_cache_failures.py", "--builds", "--network", *session.posargs)


@nox.session(tags=["look"])
def golden(session: nox.Session) -> None:
    """Write the parser's golden logs again; name toolchains, as in `-- clang-19 gcc-12`."""
    install(session)
    session.run("python", "tests/tsan/refresh_golden.py", *session.posargs)


@nox.session(tags=["look"])
def cli_pages(session: nox.Session) -> None:
    """Write docs/cli.md and the manual page from the parser that reads the command line."""
    install(session)
    session.run("python", "-m", "tools.cli_pages")


@nox.session(tags=["look"])
def examples(session: nox.Session) -> None:
    """Write the renderings in docs/examples/ from the run that they show."""
    install(session)
    session.run("python", "-m", "tools.examples")


@nox.session(tags=["look"])
def schemas(session: nox.Session) -> None:
    """Write the published JSON schemas in docs/ from the dataclasses that they describe."""
    install(session)
    session.run("python", "-m", "tools.schemas")


@nox.session(tags=["look"])
def wheels(session: nox.Session) -> None:
    """Run the programs of tools/wheels under ThreadSanitizer and write docs/wheels.md; see `-- --help`."""
    install(session, *cluster_group(session.posargs))
    session.run("python", "-m", "tools.wheels", *session.posargs)


@nox.session(tags=["look"])
def peers(session: nox.Session) -> None:
    """Run pybind11's and nanobind's own thread tests under ThreadSanitizer, from checkouts; see `-- --help`."""
    install(session)
    session.run("python", "-m", "tools.peers", *session.posargs)


@nox.session(tags=["quality"])
def wheel(session: nox.Session) -> None:
    """Build wheel and sdist into dist/, and install them by uvx, uv, pipx and pip."""
    install(session, "test")
    session.run("python", "-m", "hatchling", "build")
    session.run("pytest", "tests/packaging", "--network", *session.posargs)
