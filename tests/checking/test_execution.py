import resource
import sys
import time
from pathlib import Path

import pytest
from observed import race_log

from python_tsan.checking.execution import observe
from python_tsan.errors import SubjectError

PYTHON = (sys.executable, "-IS", "-c")
FIND_LOG = "import os,re; log=re.search(\"log_path='(.*?)'\", os.environ['TSAN_OPTIONS'])[1] + '.1'\n"


def shown(tmp_path, code, *arguments, deadline=20.0, env=None, **more):
    command = [*PYTHON, code, *arguments]
    return observe(command, folder=tmp_path / "x" / "1", env={} if env is None else env, deadline=deadline, **more)


def test_a_quiet_subject(tmp_path):
    seen = shown(tmp_path, "print('hello')")
    assert (seen.exit_code, seen.timed_out, seen.findings, seen.problem, seen.report) == (0, False, (), "", {})
    assert (seen.folder / "stdout.txt").read_text() == "hello\n"
    assert seen.command[0] == sys.executable
    assert seen.max_rss_bytes > 1_000_000


def test_findings_come_from_the_log_files(tmp_path):
    code = FIND_LOG + "open(log,'w').write(" + repr(race_log()) + "); raise SystemExit(0)"
    seen = shown(tmp_path, code)
    assert [one.kind.value for one in seen.findings] == ["data race"]
    assert [path.name for path in seen.logs] == ["tsan.1"]
    assert seen.unparsed.count == 0


def test_every_process_of_the_subject_counts(tmp_path):
    code = FIND_LOG + f"[open(log + str(n),'w').write({race_log()!r}) for n in range(2)]"
    assert len(shown(tmp_path, code).findings) == 2


def test_a_path_with_spaces_and_colons_is_one_path(tmp_path):
    folder = tmp_path / "a b:c" / "1"
    seen = observe([*PYTHON, FIND_LOG + "open(log,'w').close()"], folder=folder, env={}, deadline=20)
    assert [path.parent for path in seen.logs] == [folder / "logs"]


def test_the_folder_must_be_new(tmp_path):
    shown(tmp_path, "")
    with pytest.raises(SubjectError, match="must be new"):
        shown(tmp_path, "")


def test_a_log_folder_that_is_gone_is_a_problem(tmp_path):
    seen = shown(tmp_path, FIND_LOG + "os.rmdir(os.path.dirname(log))")
    assert "log folder is gone" in seen.problem


@pytest.mark.parametrize(
    "line",
    ["WARNING: ThreadSanitizer: data race (pid=1)", "ERROR: Can't open file: /x/tsan.1", "FATAL: ThreadSanitizer: x"],
)
def test_a_runtime_that_writes_elsewhere_is_a_problem(tmp_path, line):
    seen = shown(tmp_path, "import sys; print(sys.argv[1], file=sys.stderr)", line)
    assert seen.problem.endswith(f"standard error: {line}")


def test_fatal_lines_and_crashes_are_distinguished(tmp_path):
    fatal = "FATAL: ThreadSanitizer: unexpected memory mapping 0x1-0x2\n"
    crash = "ThreadSanitizer:DEADLYSIGNAL\n==7==ERROR: ThreadSanitizer: SEGV on unknown address 0x0 (pc 0x1 T0)\n"
    seen = shown(tmp_path, FIND_LOG + f"open(log,'w').write({fatal!r}); open(log+'2','w').write({crash!r})")
    assert len(seen.fatal) == 1
    assert "unexpected memory mapping" in seen.fatal[0]
    assert len(seen.crashes) == 1
    assert "SEGV" in seen.crashes[0]
    assert seen.findings == ()


def test_the_last_words_of_one_that_dies_of_a_signal_are_kept(tmp_path):
    code = "import os,sys; print(*range(40), sep='\\n', file=sys.stderr, flush=True); os.{}"
    dead = observe([*PYTHON, code.format("abort()")], folder=tmp_path / "dead", env={}, deadline=20)
    assert (dead.exit_code, dead.last_words.split()) == (-6, [str(number) for number in range(20, 40)])
    ended = observe([*PYTHON, code.format("_exit(3)")], folder=tmp_path / "ended", env={}, deadline=20)
    assert (ended.exit_code, ended.last_words) == (3, "")


def test_the_report_is_read(tmp_path):
    seen = shown(tmp_path, 'import sys; open(sys.argv[1],"w").write(\'{"values": {"n": 1}}\')', "{report}")
    assert seen.report == {"values": {"n": 1}}


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_an_invalid_report_is_a_problem(tmp_path, text):
    seen = shown(tmp_path, "import sys; open(sys.argv[1],'w').write(sys.argv[2])", "{report}", text)
    assert "report is not" in seen.problem


def test_a_program_that_is_not_there_is_a_problem(tmp_path):
    seen = observe(["/no/such/program"], folder=tmp_path / "1", env={}, deadline=20)
    assert seen.problem.startswith("the subject could not be executed")
    assert "/no/such/program" in seen.problem


def test_limits(tmp_path):
    code = "import resource as r; print(r.getrlimit(r.RLIMIT_AS)[0], r.getrlimit(r.RLIMIT_STACK)[0])"
    seen = shown(tmp_path, code)
    space, stack = map(int, (seen.folder / "stdout.txt").read_text().split())
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    assert space == resource.getrlimit(resource.RLIMIT_AS)[1]
    assert stack == (64 << 20 if hard == resource.RLIM_INFINITY else min(64 << 20, hard))


def test_the_environment_is_the_one_given(tmp_path):
    seen = shown(tmp_path, "import os; print(sorted(os.environ))", env={"ONLY": "this"})
    names = (seen.folder / "stdout.txt").read_text()
    assert "'ONLY'" in names
    assert "'HOME'" not in names


def test_the_launcher_comes_first(tmp_path):
    seen = shown(tmp_path, "import os; print(os.environ['MARK'])", launcher=("/usr/bin/env", "MARK=launched"))
    assert (seen.folder / "stdout.txt").read_text() == "launched\n"


def test_a_deadline_saves_stacks_and_ends_the_group(tmp_path):
    pids = tmp_path / "pids"
    code = (
        "import subprocess,sys,os,time\n"
        "child = subprocess.Popen(['/bin/sleep','60'])\n"
        f"open({str(pids)!r},'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(60)"
    )
    started = time.monotonic()
    seen = shown(tmp_path, code, deadline=1.0)
    assert seen.timed_out
    assert time.monotonic() - started < 40
    _, child = pids.read_text().split()
    assert [path.name for path in seen.stacks] == ["stacks-native.txt", f"stacks-native.{child}.txt"]
    assert "Thread" in seen.stacks[0].read_text()
    for pid in pids.read_text().split():
        assert not Path(f"/proc/{pid}").exists() or "(zombie)" in Path(f"/proc/{pid}/status").read_text()


NOTE = "import time; open('waits.txt', 'w').write('T1 waits for a, held by T2\\n'); time.sleep(30)"


def test_a_hang_ends_when_the_subject_has_noted_what_is_expected(tmp_path):
    seen = shown(tmp_path, NOTE, waits=["T1 waits for a, held by T2"])
    assert (seen.timed_out, seen.waits) == (True, ("T1 waits for a, held by T2",))
    assert seen.seconds < 15
    assert seen.stacks


def test_a_hang_that_notes_something_else_has_its_whole_deadline(tmp_path):
    seen = shown(tmp_path, NOTE, waits=["T2 is at b.py:1"], deadline=1.5)
    assert (seen.timed_out, seen.waits) == (True, ("T1 waits for a, held by T2",))
    assert seen.seconds >= 1.5


def test_python_stacks_are_asked_for_with_the_agreed_signal(tmp_path):
    code = (
        "import faulthandler,os,signal,time\n"
        "file = open(os.environ['PYTHON_TSAN_STACKS'],'a'); file.write('Thread 1 is main\\n'); file.flush()\n"
        "faulthandler.register(signal.SIGUSR1, file=file, all_threads=True)\n"
        "def waits_for_ever(): time.sleep(60)\n"
        "waits_for_ever()"
    )
    seen = shown(tmp_path, code, deadline=1.5)
    (python,) = [path for path in seen.stacks if path.name == "stacks-python.txt"]
    assert "in waits_for_ever" in python.read_text()
    assert python.read_text().startswith("Thread 1 is main")
