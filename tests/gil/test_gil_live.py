"""The engines on real interpreters."""

import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from python_tsan.errors import SubjectError, UsageError
from python_tsan.gil.analysis import explain_process, explain_trace, holders, imports_of
from python_tsan.gil.debugger import GDB, LLDB
from python_tsan.gil.engine_diff import calls, compare
from python_tsan.gil.phases import Phase
from python_tsan.gil.preload import FRAMES_BY_API, SPOOL, NothingSeenError, trace_preloaded
from python_tsan.gil.summary import count_phases
from python_tsan.gil.trace import GilCall

pytestmark = pytest.mark.compiler

TWO_WORKERS = """
import _thread, os, sys
import pair
def work():
    for _ in range(5):
        os.stat("/")
    done.release()
done = _thread.allocate_lock()
for _ in range(2):
    done.acquire()
    _thread.start_new_thread(work, ())
    done.acquire()
    done.release()
"""


@pytest.fixture
def pair(tmp_path):
    """A package of two files."""
    folder = tmp_path / "pair"
    folder.mkdir()
    (folder / "__init__.py").write_text("import os; os.stat('/'); from . import second\n")
    (folder / "second.py").write_text("VALUE = 1\n")


@pytest.mark.usefixtures("pair")
def test_an_import_is_recorded_phase_by_phase_cold_and_warm(run_traced):
    cold = count_phases(imports_of(explain_trace(run_traced("import pair")), "pair"))
    warm = count_phases(imports_of(explain_trace(run_traced("import pair")), "pair"))
    assert cold[".pyc write"] > 0
    assert ".pyc write" not in warm
    for counts in (cold, warm):
        assert counts["body"] == 1, "the body calls os.stat once"
        assert {"path stat", "open", "read", "directory listing"} <= set(counts)
        assert "dlopen" not in counts
        assert "other" not in counts


@pytest.mark.usefixtures("pair")
def test_a_second_import_releases_nothing(run_traced):
    trace = run_traced("import os, pair; os.getpid(); os.stat('/'); import pair; import pair.second")
    (main,) = trace.processes
    last = max(index for index, event in enumerate(main.events) if event.node and event.released)
    frames = main.stack(main.events[last].node)
    assert frames[0].function == "<module>", "the last release is os.stat's"
    assert not any(frame.imports for frame in frames)


def test_the_module_path_with_the_working_directory_needs_getcwd(tracer, stock_python, environment):
    command = [stock_python, "-S", "-c", "import pathlib"]
    (found,) = trace_preloaded(command, library=tracer, env=environment).processes
    assert any(one.phase is Phase.GETCWD for one in explain_process(found))


@pytest.mark.usefixtures("pair")
def test_imports_are_nested_in_the_stacks(run_traced):
    found = imports_of(explain_trace(run_traced("import pair")), "pair.second")
    chains = {tuple(frame.imports for frame in one.process.stack(one.event.node) if frame.imports) for one in found}
    assert chains == {("pair.second", "pair")}
    assert {one.meaning.module for one in found} == {"pair.second"}


def test_waiting_for_another_threads_import_is_a_module_lock_wait(run_traced, tmp_path):
    # The module's body goes on once the main thread is about to wait for it.
    (tmp_path / "slow.py").write_text(
        "import _frozen_importlib, threading, time\n"
        "while not _frozen_importlib._blocking_on.get(threading.main_thread().ident): time.sleep(0.001)\n"
        "time.sleep(0.2)\n"
    )
    trace = run_traced(
        "import sys, threading, time\n"
        "thread = threading.Thread(target=lambda: __import__('slow')); thread.start()\n"
        "while 'slow' not in sys.modules: time.sleep(0.001)\n"
        "import slow\n"
        "thread.join()\n"
    )
    waits = [one for one in explain_trace(trace) if one.phase is Phase.MODULE_LOCK]
    assert [(one.event.thread, one.meaning.module) for one in waits] == [(0, "slow")]
    assert waits[0].away > 100_000_000
    # What the worker's body did, and not the wait, is what the import was about for the worker.
    assert any(one.phase is Phase.BODY and one.event.thread == 1 for one in explain_trace(trace))


def test_waiting_for_the_import_system_is_the_global_lock(run_traced):
    trace = run_traced(
        "import _imp, sys, threading, time\n"
        "ready = threading.Event()\n"
        "main = threading.get_ident()\n"
        "def hold():\n"
        "    _imp.acquire_lock(); ready.set()\n"
        "    while 'importlib' not in sys._current_frames()[main].f_code.co_filename: time.sleep(0.001)\n"
        "    time.sleep(0.1); _imp.release_lock()\n"
        "threading.Thread(target=hold).start(); ready.wait()\n"
        "import colorsys\n"
    )
    waits = [one for one in explain_trace(trace) if one.phase is Phase.GLOBAL_LOCK]
    assert (waits[0].event.thread, waits[0].meaning.module) == (0, "colorsys")
    assert waits[0].away > 50_000_000


def test_loading_an_extension_keeps_the_gil_once_it_is_found(run_traced):
    trace = run_traced("import importlib.machinery as m, _ctypes\nassert _ctypes.__file__.endswith('.so')")
    found = imports_of(explain_trace(trace), "_ctypes")
    assert count_phases(found).keys() <= {"path stat", "directory listing", "getcwd"}
    functions = [frame.function for frame in found[-1].process.stack(found[-1].event.node)]
    assert functions[:3] == ["_path_stat", "_path_is_mode_type", "_path_isfile"]


def test_one_thread_holds_the_gil_at_a_time_and_forced_switches_are_counted(run_traced):
    trace = run_traced(
        "import threading, time, os\n"
        "def spin():\n"
        "    end = time.monotonic() + 0.2\n"
        "    while time.monotonic() < end: pass\n"
        "threads = [threading.Thread(target=spin) for _ in range(2)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "os._exit(7)\n"
    )
    (main,) = trace.processes
    assert trace.exit_code == 7
    assert main.record.sees_internal
    forced = [one for one in explain_process(main) if one.phase is Phase.FORCED]
    assert {one.event.thread for one in forced} == {1, 2}
    assert all(one.taken_by_other for one in forced)
    # At most one switch in each interval of 5 ms, and a loaded machine may make far fewer.
    assert 2 <= len(forced) <= 100
    spans = holders(main)
    assert all(0 < end <= start for (_, _, end), (_, start, _) in pairwise(spans))


def test_a_thread_that_ends_releases_the_gil(run_traced):
    trace = run_traced("import threading\nt = threading.Thread(target=int); t.start(); t.join()")
    events = [event for event in trace.processes[0].events if event.thread == 1]
    assert events[0].acquire_call == GilCall.ACQUIRE_RELEASE
    assert (events[-1].release_call, events[-1].acquired) == (GilCall.INTERNAL, 0)


def test_a_child_of_fork_is_a_process_of_its_own(run_traced):
    trace = run_traced(
        "import os\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    for _ in range(3): os.stat('/')\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    main, child = trace.processes
    assert child.record.parent == main.record.pid
    functions = Counter(child.sites[event.site].name for event in child.events if event.released)
    assert functions["posix_do_stat"] == 3
    calls = [event for event in child.events if event.release_call == GilCall.SAVE_RESTORE]
    assert all(child.stack(event.node)[0].function == "<module>" for event in calls)


def test_a_program_that_is_killed_leaves_what_it_did(run_traced):
    trace = run_traced("import os, signal\nos.stat('/')\nos.kill(os.getpid(), signal.SIGKILL)")
    assert trace.exit_code == 137
    (main,) = trace.processes
    last = [event for event in main.events if event.released][-1]
    assert main.sites[last.site].name == "posix_do_stat"


def test_memory_is_bounded_and_the_oldest_go(run_traced):
    count = 60_000
    trace = run_traced(f"import os\nfor _ in range({count}): os.stat('/')\nos.getcwd()", memory=1 << 20)
    (main,) = trace.processes
    assert len(main.events) * 40 < 1 << 20
    assert main.record.dropped > count // 2
    assert main.record.dropped + len(main.events) >= count
    assert main.record.lost == 0
    names = [main.sites[event.site].name for event in main.events if event.released]
    assert "getcwd" in names[-1] or "getcwd" in names[-2], "the newest are kept"
    assert set(names[:100]) == {"posix_do_stat"}


def test_many_threads_come_and_go(run_traced):
    trace = run_traced(
        "import os, threading\n"
        "for _ in range(100):\n"
        "    t = threading.Thread(target=os.stat, args=('/',)); t.start(); t.join()\n"
    )
    (main,) = trace.processes
    assert len(main.record.threads) == 101
    stats = [event.thread for event in main.events if main.sites[event.site].name == "posix_do_stat"]
    assert set(range(1, 101)) <= set(stats)


@pytest.mark.parametrize("by_api", ["", "1"], ids=["table", "api"])
def test_names_in_any_alphabet_are_kept(by_api, run_traced, environment, tmp_path):
    (tmp_path / "größe.py").write_text("import os\ndef 尺寸(): os.stat('/')\n尺寸()\n", encoding="utf-8")
    if by_api:
        environment[FRAMES_BY_API] = by_api
    found = imports_of(explain_trace(run_traced("import größe")), "größe")
    assert found[-1].process.stack(found[-1].event.node)[0].function == "尺寸"


def test_errors_and_error_numbers_survive_the_tracer(run_traced):
    trace = run_traced(
        "import os, sys\n"
        "for _ in range(1000):\n"
        "    try:\n"
        "        os.stat('/nonexistent')\n"
        "    except FileNotFoundError as error:\n"
        "        if error.errno != 2: sys.exit(1)\n"
        "    else: sys.exit(1)\n"
        "sys.exit(5)\n"
    )
    assert trace.exit_code == 5


@pytest.fixture(params=[GDB, LLDB], ids=lambda engine: engine.name)
def debugger(request):
    if not request.param.is_installed(os.environ):
        pytest.skip(f"{request.param.name} is not installed")
    return request.param


@pytest.mark.usefixtures("pair")
def test_both_engines_see_the_same_releases_in_the_same_order(
    run_traced, debugger, environment, stock_python, tmp_path
):
    run_traced(TWO_WORKERS)  # writes the .pyc files
    preloaded = run_traced(TWO_WORKERS)
    environment[FRAMES_BY_API] = "1"
    by_api = run_traced(TWO_WORKERS)
    command = [stock_python, "-S", str(tmp_path / "program.py")]
    debugged = debugger.trace(command, env=environment)
    assert debugged.exit_code == preloaded.exit_code == 0
    assert debugged.processes[0].record.python == preloaded.processes[0].record.python
    assert all(one.holds for one in compare(by_api.processes[0], preloaded.processes[0]))
    agreements = compare(by_api.processes[0], debugged.processes[0])
    assert [one.difference for one in agreements] == ["", "", ""]
    assert [one.equal for one in agreements[1:]] == [5, 5]
    assert agreements[0].equal > 100
    assert all(one.frames for one in agreements), "the newest stock Python is 3.13 or later"
    ours, theirs = (count_phases(calls(trace.processes[0])) for trace in (preloaded, debugged))
    assert ours == theirs
    assert ours["read"] > 0


@pytest.mark.parametrize(
    ("program", "code"), [("raise SystemExit(9)", 9), ("import os; os.kill(os.getpid(), 15)  # 'a \"b'", 143)]
)
def test_under_a_debugger_arguments_and_exit_code_are_the_commands_own(
    program, code, debugger, stock_python, environment
):
    trace = debugger.trace([stock_python, "-S", "-c", program], env=environment)
    assert trace.exit_code == code
    assert trace.processes[0].events


def test_under_a_debugger_streams_and_environment_are_the_commands_own(debugger, stock_python, environment, capfd):
    text = "import os, sys; print(*[n for n in os.environ if 'GIL' in n]); print('aside', file=sys.stderr)"
    home = {"PYTHONHOME": str(Path(stock_python).parents[1])}  # would mislead the Python inside the debugger
    debugger.trace([stock_python, "-S", "-c", text], env={**environment, **home})
    printed = capfd.readouterr()
    assert printed.out == "\n"
    assert printed.err == "aside\n"


def test_a_debugger_that_sees_no_python_keeps_the_exit_code(debugger):
    with pytest.raises(NothingSeenError, match="saw no call") as caught:
        debugger.trace(["sh", "-c", "exit 4"], env=os.environ)
    assert caught.value.command_exit == 4


def test_a_program_with_a_python_inside_is_refused_before_it_runs(compile_program, tracer, capfd):
    program = compile_program(
        '#include <stdio.h>\nvoid* PyEval_SaveThread(void) { return 0; }\nint main(void) { puts("ran"); return 3; }\n',
        "-rdynamic",
    )
    with pytest.raises(SubjectError, match="nothing was run") as caught:
        trace_preloaded([program], library=tracer, env=os.environ)
    assert "--engine debugger" in caught.value.advice
    assert "ran" not in capfd.readouterr().out


def test_a_library_whose_calls_cannot_be_seen_is_refused(compile_program, tracer, capfd, tmp_path):
    python = "void* PyEval_SaveThread(void) { return 0; }\nvoid* inner(void) { return PyEval_SaveThread(); }\n"
    bound = ("-shared", "-fPIC", "-Wl,-Bsymbolic-functions", "-fno-semantic-interposition")
    library = compile_program(python, *bound, name="libpython3.99.so")
    text = '#include <stdio.h>\nvoid* inner(void);\nint main(void) { puts("ran"); return inner() != 0; }\n'
    program = compile_program(text, library, f"-Wl,-rpath,{tmp_path}")
    with pytest.raises(SubjectError, match="nothing was run"):
        trace_preloaded([program], library=tracer, env=os.environ)
    assert "ran" not in capfd.readouterr().out


def test_a_static_program_is_refused(compile_program, tracer):
    program = compile_program("int main(void) { return 3; }\n", "-static")
    with pytest.raises(SubjectError, match="statically linked") as caught:
        trace_preloaded([program], library=tracer, env=os.environ)
    assert "--engine debugger" in caught.value.advice


def test_a_program_without_python_is_run_and_then_named(tracer):
    with pytest.raises(NothingSeenError, match="no Python was loaded by") as caught:
        trace_preloaded(["sh", "-c", "exit 4"], library=tracer, env=os.environ)
    assert caught.value.command_exit == 4


def test_without_space_the_program_runs_untraced(run_traced):
    with pytest.raises(NothingSeenError, match="nothing could be recorded") as caught:
        run_traced("raise SystemExit(9)", memory=1 << 60)
    assert caught.value.command_exit == 9


def test_a_command_that_does_not_exist_is_refused(tracer):
    with pytest.raises(SubjectError, match="no such program in PATH"):
        trace_preloaded(["no-such-command"], library=tracer, env=os.environ)


def test_a_program_in_the_working_directory_is_run_by_its_relative_path(
    tracer, stock_python, environment, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "prog"
    program.write_text(f"#!{stock_python} -S\nraise SystemExit(7)\n")
    program.chmod(0o755)
    assert trace_preloaded(["./prog"], library=tracer, env=environment).exit_code == 7


def test_two_tracers_at_once_are_refused(tracer):
    with pytest.raises(UsageError, match="already being traced"):
        trace_preloaded(["sh"], library=tracer, env={**os.environ, SPOOL: "/somewhere"})


def test_other_preloads_are_kept(tracer, stock_python, environment, capfd):
    command = [stock_python, "-S", "-c", "import os; print(os.environ['LD_PRELOAD'])"]
    trace_preloaded(command, library=tracer, env={**environment, "LD_PRELOAD": "libm.so.6"})
    assert capfd.readouterr().out.strip() == f"{tracer}:libm.so.6"
