"""What is kept when an interrupt comes, and that nothing disturbs the keeping."""

import os
import signal
import textwrap

import pytest

from python_tsan.cli import failures
from python_tsan.errors import Interrupted
from python_tsan.process import keeping

# Kept slowly, so that a second signal comes while it is.
PROGRAM = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from python_tsan.cli.failures import as_exit_code
    from python_tsan.errors import Interrupted
    from python_tsan.process import keeping
    def keep():
        print("keeping", flush=True)
        for _ in range(200):
            time.sleep(0.005)
        print("kept", flush=True)
        return Interrupted("1 of 2 had ended", evidence=Path("/runs/1"), advice="the same with --resume")
    def act():
        with keeping(keep):
            print("begun", flush=True)
            time.sleep(60)
    sys.exit(as_exit_code(act))
""")
TOLD = """\
python-tsan: interrupted: 1 of 2 had ended
  evidence:   /runs/1
  to go on:   the same with --resume
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_is_reported_what_was_kept_where_and_how_to_continue(interrupt, python, number):
    ended = interrupt([*python, PROGRAM], when=lambda out, _: "begun" in out, number=number)
    assert (ended.code, ended.err) == (130, TOLD)
    assert ended.out.split() == ["begun", "keeping", "kept"]


def test_a_second_signal_takes_nothing_away(capsys):
    kept = []

    def keep():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        kept.append("all")
        return Interrupted("2 of 3", advice="again")

    def act():
        with keeping(keep):
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()

    assert failures.as_exit_code(act) == 130
    assert kept == ["all"]
    assert capsys.readouterr().err == "python-tsan: interrupted: 2 of 3\n  to go on:   again\n"


def test_without_an_interrupt_nothing_is_kept():
    with keeping(lambda: pytest.fail("kept")):
        pass


def test_an_error_is_no_interrupt():
    with pytest.raises(ValueError, match="broken"), keeping(lambda: pytest.fail("kept")):
        raise ValueError("broken")
