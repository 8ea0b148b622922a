"""Programs for `run` without a compiler: scripts that write the logs a sanitizer would write."""

import datetime as dt
import os
import sys

import pytest
from run_logs import golden

from python_tsan.console import make_console
from python_tsan.paths import Layout
from python_tsan.running import expected
from python_tsan.running.preflight import Prepared
from python_tsan.running.request import Request
from python_tsan.running.rules import Rules
from python_tsan.running.session import Session
from python_tsan.toolchain import survey

TODAY = dt.date(2026, 6, 1)
PROGRAM = """#!{python} -IS
import os, pathlib, re, sys
log = pathlib.Path(re.search("log_path='(.*?)'", os.environ["TSAN_OPTIONS"])[1] + "." + str(os.getpid()))
{code}
"""


@pytest.fixture
def program(tmp_path):
    """Return a function that writes a program: ``log`` is where its sanitizer's log would be."""

    def write(code, name="program"):
        path = tmp_path / name
        path.write_text(PROGRAM.format(python=sys.executable, code=code))
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def racy(program):
    """Return a program that shows the golden race on a global, and ends as the runtime does."""
    return program(f"log.write_text({golden('race_global')!r}); sys.exit(66)")


@pytest.fixture
def make_session(tmp_path):
    """Return a function that makes a session of a command, past the preflight."""

    def make(*command, rules=None, env=None, **request):
        argv = tuple(str(part) for part in command)
        asked = Request(command=argv, cwd=str(tmp_path), **({"timeout": 20.0} | request))
        return Session(
            request=asked,
            rules=rules or Rules(expectation=expected.CLEAN, today=TODAY),
            prepared=Prepared(command=argv, program=None),
            toolchain=None,
            companion=None,
            output=tmp_path / "runs",
            env=env or {"PATH": os.defpath},
            console=make_console(quiet=True),
        )

    return make


@pytest.fixture(scope="session")
def survey_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("survey")


@pytest.fixture(scope="session")
def of_family(survey_cache):
    """Return the toolchain of each compiler family that works on this machine."""
    probes = survey(layout=Layout(root=survey_cache), console=make_console(quiet=True)).probes
    return {probe.toolchain.candidate.family: probe.toolchain for probe in reversed(probes) if probe.toolchain}
