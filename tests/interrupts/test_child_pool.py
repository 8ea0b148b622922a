"""Work on several threads: its results in order, and its end when it is interrupted."""

import signal
import sys
import textwrap
import threading
import time

import pytest

from python_tsan.process import ChildPool, in_parallel, run

# Two children that end and two that would go on for a minute, on as many threads.
PROGRAM = textwrap.dedent("""
    import sys
    from python_tsan.cli.failures import as_exit_code
    from python_tsan.process import in_parallel, run
    def work(seconds):
        run(["sh", "-c", f"sleep {seconds} & wait; sleep {seconds}"])
        return seconds
    def seen(seconds):
        print("ended", seconds, flush=True)
    sys.exit(as_exit_code(lambda: in_parallel(work, [60, 0.01, 60, 0.02], jobs=4, on_result=seen), last=True))
""")


def both_have_ended(out, _):
    return out.count("ended") == 2


def test_results_are_in_the_order_of_the_items_and_reported_as_they_come():
    seen = []
    seconds = [0.2, 0.0, 0.1]
    assert in_parallel(lambda each: (time.sleep(each), each)[1], seconds, jobs=3, on_result=seen.append) == seconds
    assert seen == sorted(seconds)


def test_results_are_reported_on_the_callers_thread():
    threads = []
    in_parallel(abs, [1, 2], jobs=2, on_result=lambda _: threads.append(threading.current_thread()))
    assert set(threads) == {threading.current_thread()}


def test_nothing_to_do_is_no_work():
    assert in_parallel(abs, [], jobs=0) == []


def test_when_one_fails_the_others_are_ended():
    def work(command):
        if command is None:
            raise ValueError("broken")
        return run(command)

    started = time.monotonic()
    with pytest.raises(ValueError, match="broken"):
        in_parallel(work, [["sleep", "60"], None, ["sleep", "60"], ["sleep", "60"]], jobs=2)
    assert time.monotonic() - started < 10


def test_a_signal_that_wakes_no_wait_is_noticed(tmp_path):
    """As one that comes just before the main thread begins to wait: here another thread gets it."""
    whole, main = tmp_path / "whole", threading.main_thread()

    def waits():
        with open(f"/proc/self/task/{main.native_id}/stat") as file:  # noqa: PTH123 -- no Path: it is read often
            asleep = file.read().rpartition(")")[2].split()[0] == "S"
        return asleep and sys._current_frames()[main.ident].f_code.co_filename == threading.__file__

    def work(_):
        while not waits():
            pass
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        return run(["sh", "-c", f"sleep 30; touch {whole}"])

    with pytest.raises(KeyboardInterrupt):
        in_parallel(work, [1], jobs=1)
    assert not whole.exists(), "the child was ended, and not waited for"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("group", [True, False], ids=["group", "alone"])
def test_a_signal_ends_every_child_of_every_thread(interrupt, python, number, group):
    ended = interrupt([*python, PROGRAM], when=both_have_ended, number=number, group=group)
    assert ended.orphans == []
    assert sorted(ended.out.splitlines()) == ["ended 0.01", "ended 0.02"]
    assert "interrupted" in ended.err
    assert ended.seconds < 5


@pytest.mark.parametrize("gap", [0.001, 0.004, 0.01, 0.03, 0.1, 0.3])
def test_who_is_impatient_takes_nothing_away(interrupt, python, gap):
    again = [(gap, signal.SIGINT), (gap, signal.SIGTERM), (gap, signal.SIGINT)]
    ended = interrupt([*python, PROGRAM], when=both_have_ended, again=again)
    assert ended.code == 130
    assert ended.orphans == []
    assert sorted(ended.out.splitlines()) == ["ended 0.01", "ended 0.02"]
    assert ended.err.splitlines() == [
        "python-tsan: interrupted; finished stages are kept, the current stage will restart"
    ]


def test_what_had_ended_when_the_interrupt_came_is_reported_once():
    seen = []

    def note(number):
        seen.append(number)
        if len(seen) == 1:
            time.sleep(0.3)  # the others end meanwhile
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_parallel(abs, [1, 2, 3], jobs=3, on_result=note)
    assert sorted(seen) == [1, 2, 3]


def test_a_child_that_was_ended_is_no_result():
    with ChildPool(1) as pool:
        future = pool.submit(run, ["sleep", "60"])
        time.sleep(0.2)
        pool.stop()
        with pytest.raises(KeyboardInterrupt):
            future.result()


def test_after_the_end_nothing_is_begun():
    pool = ChildPool(1)
    blocked = pool.submit(run, ["sleep", "60"])
    waiting = pool.submit(run, ["sleep", "60"])
    time.sleep(0.2)
    pool.stop()
    assert waiting.cancelled()
    assert isinstance(blocked.exception(), KeyboardInterrupt)
