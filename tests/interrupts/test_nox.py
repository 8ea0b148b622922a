"""A session of nox that is ended: its verb ends, too."""

import ast
import signal
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "noxfile.py"
PROGRAM = """
from __future__ import annotations
import contextlib, os, signal, subprocess, sys, time
from pathlib import Path
{function}
with termination_passed_on():
    child = subprocess.Popen([sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"])
    try:
        time.sleep(60)
    except KeyboardInterrupt:  # as nox waits
        print("ended by", -child.wait(), flush=True)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""


def test_what_ends_nox_alone_reaches_the_verb(interrupt, python):
    tree = ast.parse(SOURCE.read_text())
    (function,) = (each for each in tree.body if getattr(each, "name", "") == "termination_passed_on")
    program = PROGRAM.format(function=ast.unparse(function))
    ended = interrupt([*python, program], when=lambda out, _: "begun" in out, number=signal.SIGTERM, group=False)
    assert ended.out.splitlines() == ["begun", f"ended by {signal.SIGTERM.value}", "True"]
    assert ended.orphans == []


def test_every_verb_is_run_so():
    tree = ast.parse(SOURCE.read_text())
    (product,) = (each for each in tree.body if getattr(each, "name", "") == "product")
    (inside,) = (each for each in product.body if isinstance(each, ast.With))
    assert ast.unparse(inside.items[0].context_expr) == "termination_passed_on()"
    assert "session.run" in ast.unparse(inside.body[0])
