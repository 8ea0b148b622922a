"""Processes: ends, deadlines, groups and what is measured of them. Every child here is a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from python_tsan import process
from python_tsan.process import end_group, group, group_members, run

PYTHON = [sys.executable, "-I", "-S", "-c"]
MEGABYTE = 1 << 20


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie that nobody has collected yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def wait_for(condition, seconds: float = 5.0) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return True
        time.sleep(0.01)
    return False


def pid_in(path: Path) -> int:
    assert wait_for(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def test_output_is_captured_apart_and_exit_zero_is_ok():
    done = run([*PYTHON, "import sys; print('out'); print('err', file=sys.stderr)"])
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert done.ok
    assert done.command == (*PYTHON, "import sys; print('out'); print('err', file=sys.stderr)")


def test_bytes_that_are_no_text_are_replaced_and_much_output_is_kept():
    done = run([*PYTHON, r"import os; os.write(1, b'\xff' + b'x' * 300_000)"])
    assert done.stdout == "\N{REPLACEMENT CHARACTER}" + "x" * 300_000


def test_a_file_for_standard_output_takes_both_streams(tmp_path):
    log = tmp_path / "log"
    done = run(["sh", "-c", "echo out; echo err >&2"], stdout=log)
    assert log.read_text() == "out\nerr\n"
    assert (done.stdout, done.stderr) == ("", "")


def test_each_stream_can_have_its_own_file(tmp_path):
    run(["sh", "-c", "echo out; echo err >&2"], stdout=tmp_path / "o", stderr=tmp_path / "e")
    assert (tmp_path / "o").read_text() == "out\n"
    assert (tmp_path / "e").read_text() == "err\n"


def test_a_file_for_standard_error_leaves_standard_output_captured(tmp_path):
    done = run(["sh", "-c", "echo out; echo err >&2"], stderr=tmp_path / "e")
    assert done.stdout == "out\n"
    assert (tmp_path / "e").read_text() == "err\n"


def test_standard_input_is_empty():
    assert run(["cat"], timeout=5).ok


def test_folder_and_environment_are_the_callers(tmp_path):
    done = run(["/bin/sh", "-c", "pwd; echo $SEEN-$HOME"], cwd=tmp_path, env={"SEEN": "yes"})
    assert done.stdout == f"{tmp_path}\nyes-\n"


def test_exit_codes_and_signals_are_distinguished():
    assert run(["sh", "-c", "exit 66"]).exit_code == 66
    killed = run(["sh", "-c", "kill -SEGV $$"])
    assert killed.exit_code == -signal.SIGSEGV
    assert not killed.ok


def test_a_program_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        run([tmp_path / "nothing"])


def test_what_is_run_before_the_program_starts_holds_in_the_child(tmp_path):
    assert run(["pwd"], preexec=lambda: os.chdir(tmp_path)).stdout == f"{tmp_path}\n"


def test_a_deadline_ends_the_child_and_is_not_taken_for_its_own_end():
    done = run(["sleep", "30"], timeout=0.1)
    assert done.timed_out
    assert not done.ok
    assert done.exit_code == -signal.SIGTERM
    assert done.seconds < 20


def test_a_child_that_exits_zero_on_the_deadlines_signal_is_still_late():
    program = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); time.sleep(30)"
    )
    done = run([*PYTHON, program], timeout=0.5)
    assert (done.exit_code, done.timed_out, done.stdout) == (0, True, "up\n")
    assert not done.ok


def test_the_deadlines_hook_sees_a_living_child():
    seen = []
    run(["sleep", "30"], timeout=0.1, on_deadline=lambda pid: seen.append((pid, alive(pid))))
    assert [state for _, state in seen] == [True]


def test_a_deadline_may_come_early(tmp_path):
    note = tmp_path / "note"
    seen = []
    child = f"import pathlib, time; pathlib.Path({str(note)!r}).touch(); time.sleep(60)"
    done = run([sys.executable, "-c", child], timeout=50, until=note.exists, on_deadline=seen.append)
    assert (done.timed_out, len(seen)) == (True, 1)
    assert done.seconds < 40


def test_a_child_that_ends_before_it_is_asked_for_is_not_late():
    done = run([sys.executable, "-c", ""], timeout=50, until=lambda: False)
    assert done.ok


def test_the_child_is_ended_when_the_deadlines_hook_fails():
    pids = []

    def fail(pid: int) -> None:
        pids.append(pid)
        raise ValueError("no debugger")

    with pytest.raises(ValueError, match="no debugger"):
        run(["sleep", "30"], timeout=0.1, on_deadline=fail)
    assert not alive(pids[0])


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(monkeypatch):
    monkeypatch.setattr(group, "TERM_GRACE_SECONDS", 0.3)
    done = run(["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"], timeout=0.3)
    assert done.exit_code == -signal.SIGKILL
    assert done.seconds > 0.5


def test_grandchildren_end_with_the_deadline_even_if_they_ignore_sigterm(tmp_path, monkeypatch):
    monkeypatch.setattr(group, "TERM_GRACE_SECONDS", 0.3)
    script = f"(trap '' TERM; echo $$ > {tmp_path}/shell; exec sleep 30) & echo $! > {tmp_path}/pid; sleep 30"
    pids = []
    done = run(["sh", "-c", script], timeout=0.5, on_deadline=lambda _: pids.append(pid_in(tmp_path / "pid")))
    assert done.timed_out
    assert wait_for(lambda: not alive(pids[0]))


def test_what_a_child_leaves_running_neither_holds_the_call_nor_survives_it(tmp_path):
    done = run(["sh", "-c", f"sleep 30 & echo $! > {tmp_path}/pid"], timeout=20)
    assert done.ok
    assert done.seconds < 5
    assert wait_for(lambda: not alive(pid_in(tmp_path / "pid")))


def test_a_zombie_in_the_group_costs_no_grace(monkeypatch):
    """A helper that has ended but that nobody has collected, as a symbolizer is when init is slow."""
    monkeypatch.setattr(group, "TERM_GRACE_SECONDS", 60)
    with subprocess.Popen(["/bin/true"], process_group=0) as leader:
        assert wait_for(lambda: not alive(leader.pid))
        started = time.monotonic()
        end_group(leader.pid)
        assert time.monotonic() - started < 30


def test_a_group_is_given_the_grace_where_there_is_no_proc(monkeypatch):
    monkeypatch.setattr(group, "TERM_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(group.Path, "iterdir", lambda _: (_ for _ in ()).throw(FileNotFoundError()))
    started = time.monotonic()
    done = run(["sh", "-c", "sleep 30 & exit 0"])
    assert done.ok
    assert time.monotonic() - started < 5


def test_the_start_hook_gets_the_pid_of_a_group_leader():
    groups = []
    run(["sleep", "0.2"], on_start=lambda pid: groups.append((pid, os.getpgid(pid))))
    assert groups[0][0] == groups[0][1] != os.getpgid(0)


def test_an_interrupt_ends_the_group_at_once_and_goes_on_up(tmp_path):
    def interrupt(_: int) -> None:
        pid_in(tmp_path / "pid")
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", f"sleep 30 & echo $! > {tmp_path}/pid; sleep 30"], on_start=interrupt)
    assert time.monotonic() - started < 5
    assert wait_for(lambda: not alive(pid_in(tmp_path / "pid")))


def test_ctrl_c_in_a_program_that_waits_leaves_no_orphan(tmp_path):
    # A shell ignores Ctrl-C for what it runs in the background, and programs inherit that; ours is to hear it.
    program = textwrap.dedent(f"""
        import signal
        from python_tsan.process import run
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run(["sh", "-c", "echo $$ > {tmp_path}/pid; sleep 30"])
    """)
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as parent:
        child = pid_in(tmp_path / "pid")
        parent.send_signal(signal.SIGINT)
        _, error = parent.communicate(timeout=10)
    assert "KeyboardInterrupt" in error
    assert wait_for(lambda: not alive(child))


def test_an_interrupt_while_the_child_is_started_leaves_no_orphan(monkeypatch, tmp_path):
    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, **keywords)
            pid_in(tmp_path / "pid")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)  # the handler runs at the next opportunity

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(process.subprocess, "Popen", Interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 30"])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert wait_for(lambda: not alive(pid_in(tmp_path / "pid")))


def test_an_interrupt_within_the_grace_still_kills(monkeypatch):
    with subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM; echo; while :; do sleep 0.05; done"], stdout=subprocess.PIPE, process_group=0
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()

        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(process.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            end_group(child.pid)
        monkeypatch.undo()
        assert child.wait(timeout=5) == -signal.SIGKILL


def test_a_process_that_ends_while_its_threads_are_listed_has_none(monkeypatch):
    monkeypatch.setattr(group, "group_members", lambda _: [os.getpid()])
    assert group.group_waits(0)
    monkeypatch.setattr("os.scandir", lambda _: (_ for _ in ()).throw(FileNotFoundError()))
    monkeypatch.setattr("os.listdir", lambda _: (_ for _ in ()).throw(FileNotFoundError()))
    assert group.group_waits(0) == {}


def test_a_group_that_is_gone_is_no_error():
    with subprocess.Popen(["/bin/true"], process_group=0) as child:
        pass
    end_group(child.pid)


def test_memory_is_that_of_the_one_child():
    # Linux counts the parent's own size until exec for the child's, and these tests' process may be large.
    program = textwrap.dedent(f"""
        import sys
        from python_tsan.process import run
        for text in ("x = b'1' * (300 * {MEGABYTE})", "pass"):
            print(run([sys.executable, "-I", "-S", "-c", text]).max_rss_bytes)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    grown, small = map(int, done.stdout.split())
    assert grown > 300 * MEGABYTE
    assert small < grown - 100 * MEGABYTE


def test_processor_time_is_that_of_the_one_child():
    busy = run([*PYTHON, "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"])
    idle = run(["sleep", "0.3"])
    assert busy.cpu_seconds > 0.29
    assert idle.cpu_seconds < busy.cpu_seconds / 2
    assert idle.seconds > 0.29


@pytest.mark.parametrize("missing", [None, OSError("ENOSYS")])
def test_deadlines_hold_where_the_kernel_has_no_pidfd(monkeypatch, missing):
    def absent(_: int) -> int:
        raise missing

    if missing is None:
        monkeypatch.delattr(os, "pidfd_open")
    else:
        monkeypatch.setattr(os, "pidfd_open", absent)
    assert run(["sleep", "30"], timeout=0.1).timed_out
    assert run(["true"], timeout=5).ok


def test_the_members_of_a_group_are_those_that_run() -> None:
    with subprocess.Popen(
        ["/bin/sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, process_group=0
    ) as leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        try:
            assert group_members(leader.pid) == tuple(sorted((leader.pid, child)))
        finally:
            os.killpg(leader.pid, signal.SIGKILL)
    assert leader.pid not in group_members(leader.pid)


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_an_attached_child_ends_as_a_shell_says(script, code):
    assert process.run_attached(["sh", "-c", script], env={"PATH": "/usr/bin:/bin"}).exit_code == code


def test_an_attached_child_has_our_streams_and_only_its_environment(capfd):
    ended = process.run_attached(["sh", "-c", "echo $WORD $$; echo odd >&2"], env={"WORD": "one"})
    assert capfd.readouterr() == (f"one {ended.pid}\n", "odd\n")


def test_what_ends_us_ends_an_attached_child():
    def interrupt(*_):
        raise KeyboardInterrupt

    on_interrupt = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        assert process.run_attached(["sleep", "60"], env={"PATH": "/usr/bin:/bin"}).exit_code == 143
    finally:
        signal.signal(signal.SIGALRM, before)
    assert signal.getsignal(signal.SIGINT) is on_interrupt
