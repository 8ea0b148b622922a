"""A harness without a compiler: a shell of the real one's command line that plays canned logs."""

import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest
from observed import race_log
from staged import CANARY

from python_tsan.checking.subjects import LaneSetup
from python_tsan.cpython.own_tests import SuiteHome
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

# A Python that plays CPython's own tests.
SUITE = """#!{python} -IS
import os, pathlib, re, sys, time
log = pathlib.Path(re.search("log_path='(.*?)'", os.environ["TSAN_OPTIONS"])[1] + ".1")
test = sys.argv[-1]
pathlib.Path("argv").write_text(" ".join(sys.argv[4:]))
if test in ("test_race", "test_race_odd"):
    log.write_text({race!r})
bad = dict(test_bad=["test_it"], test_two=["test_it", "test_other"]).get(test, ())
for name in bad:
    with open(sys.argv[3], "a") as file:
        print(f"test.test_x.Case.{{name}}", file=file)
print(dict(test_none="test_none skipped -- requires test modules\\nTotal tests: run=3 skipped=3", test_mute="").get(
    test, "Total tests: run=1,162 failures=0 skipped=6"))
time.sleep(30 if test == "test_hang" else 0)
sys.exit({{"test_race": 66, "test_bad": 1, "test_two": 1, "test_odd": 3, "test_race_odd": 3}}.get(test, 0))
"""


@pytest.fixture(autouse=True)
def idle_machine(monkeypatch):
    """Report a load of 0, so that no run of these tests is repeated."""
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))


@pytest.fixture
def suite_home(tmp_path):
    """Return where CPython's own tests are run, by a Python that plays them."""
    python = tmp_path / "python3"
    python.write_text(SUITE.format(python=sys.executable, race=race_log()))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return SuiteHome(python=python, suppressions=tmp_path / "with space.txt")


@pytest.fixture
def lane_setup(tmp_path):
    """Return a function that makes a setup whose program does what each scenario asks for."""
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
            "available": frozenset({"gil"}),
            "jobs": 2,
        }
        return LaneSetup(**(defaults | settings))

    return make


@pytest.fixture
def started(tmp_path):
    """Return a function that lists the scenarios whose program was started, in order."""

    def names():
        file = Path(tmp_path) / "bin" / "started"
        return file.read_text().split() if file.is_file() else []

    return names


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def signal_once(request):
    """Return a function that sends this process a signal, as a terminal or CI does, as soon as ``when()`` is true."""
    threads = []

    def prepare(when):
        def send():
            limit = time.monotonic() + 30
            while not when():
                if time.monotonic() > limit:
                    return
                time.sleep(0.02)
            os.kill(os.getpid(), request.param)

        threads.append(threading.Thread(target=send))
        threads[-1].start()

    yield prepare
    for thread in threads:
        thread.join()
