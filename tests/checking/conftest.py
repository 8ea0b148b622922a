"""A harness without a compiler: a shell of the real one's command line that plays canned logs."""

import stat
import sys
from pathlib import Path

import pytest
from observed import race_log
from staged import CANARY

from python_tsan.checking.subjects import Bench
from python_tsan.expectation import Lane

PROGRAM = """#!{python} -IS
import json, os, pathlib, re, sys, time
RACE = {race!r}
name, report = sys.argv[2], pathlib.Path(sys.argv[4])
log = pathlib.Path(re.search("log_path='(.*?)'", os.environ["TSAN_OPTIONS"])[1] + "." + str(os.getpid()))
plays = json.loads(pathlib.Path(__file__).with_name("plays.json").read_text())
play = plays.get(name, {{}})
(pathlib.Path(__file__).parent / "started").open("a").write(name + "\\n")
if "error" in play or "values" in play:
    report.write_text(json.dumps({{"values": play.get("values", {{}}), "error": play.get("error")}}))
if play.get("race"):
    log.write_text(RACE)
time.sleep(play.get("sleep", 0))
sys.exit(play.get("exit", 66 if play.get("race") else 0))
"""


@pytest.fixture
def make_bench(tmp_path):
    """Return a function that makes a bench whose program does as it is told for each scenario."""
    import json  # noqa: PLC0415 -- the program above has an import line of its own

    def make(*scenarios, plays=None, canary=CANARY, **settings):
        program = tmp_path / "bin" / "harness"
        program.parent.mkdir(exist_ok=True)
        program.write_text(PROGRAM.format(python=sys.executable, race=race_log()))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        (program.parent / "plays.json").write_text(json.dumps({"canary_race": {"race": True}} | (plays or {})))
        defaults = {
            "lane": Lane.FULL,
            "executable": program,
            "scenarios": (*canary, *scenarios),
            "folder": tmp_path / "run",
            "variables": {"PATH": "/usr/bin:/bin", "TSAN_OPTIONS": "exitcode=66"},
            "expected": lambda one: one.expect,
            "have": frozenset({"gil"}),
            "jobs": 2,
        }
        return Bench(**(defaults | settings))

    return make


@pytest.fixture
def started(tmp_path):
    """Return a function that lists the scenarios whose program was started, in order."""

    def names():
        file = Path(tmp_path) / "bin" / "started"
        return file.read_text().split() if file.is_file() else []

    return names
