import argparse
import errno
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from python_tsan import __version__
from python_tsan.cli import failures, main
from python_tsan.errors import (
    BuildError,
    ExitCode,
    FetchError,
    PythonTsanError,
    SubjectError,
    ToolchainError,
    UsageError,
)


def raising(error):
    def action():
        raise error

    return action


def python(*arguments, **more):
    return python_to(subprocess.PIPE, *arguments, **more)


def python_to(stdout, *arguments, **more):
    command = [sys.executable, *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=60, **more)


@pytest.mark.parametrize(
    ("kind", "code"), [(UsageError, 2), (ToolchainError, 3), (FetchError, 4), (BuildError, 5), (SubjectError, 6)]
)
def test_each_error_has_its_exit_code_and_is_reported_whole(kind, code, capsys):
    error = kind("it broke", evidence=Path("/tmp/x.log"), advice="fix it")
    assert failures.as_exit_code(raising(error)) == code
    assert capsys.readouterr().err.splitlines() == [
        "python-tsan: error: it broke",
        "  evidence:   /tmp/x.log",
        "  what to do: fix it",
        f"  read more:  docs/errors.md#{kind.default_page}",
    ]


def test_the_code_of_an_action_is_the_code_of_the_process():
    assert failures.as_exit_code(lambda: ExitCode.FINDINGS) == 1
    assert failures.as_exit_code(lambda: ExitCode.CLEAN) == 0


def test_help_that_nobody_reads_ends_by_sigpipe(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # argparse ignores what fails at once
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        ended = python_to(theirs, "-m", "python_tsan", "--help")
    finally:
        os.close(theirs)
    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, "")


def test_a_pipe_of_another_kind_that_breaks_is_an_error(capsys):
    assert failures.as_exit_code(raising(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))) == 6
    assert "an error inside python-tsan: BrokenPipeError" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["run"], ["gil", "trace"], ["gil", "trace", "--engine", "gdb"], ["imports", "watch"]])
@pytest.mark.parametrize("name", ["./missing", "no-such-program", "./folder", "./text"])
def test_a_command_that_cannot_be_started_is_6_for_each_verb(verb, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no program\n")
    assert main.main([*verb, "--", name]) == 6
    said = capsys.readouterr().err
    assert "docs/errors.md#command" in said
    assert Path(name).name in said


def test_ctrl_c_is_one_line_and_130(capsys):
    assert failures.as_exit_code(raising(KeyboardInterrupt())) == 130
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_termination_ends_as_an_interrupt(number):
    before = signal.getsignal(number)

    def action():
        os.kill(os.getpid(), number)
        time.sleep(5)
        return ExitCode.CLEAN

    assert failures.as_exit_code(action) == 130
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interrupt_is_taken_for_the_first_one(number, monkeypatch):
    answered = []

    def action():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
        except KeyboardInterrupt:
            os.kill(os.getpid(), number)
            answered.append(True)
            raise

    assert failures.as_exit_code(action) == 130
    assert answered == [True]
    monkeypatch.setattr(failures, "AGAIN_SECONDS", 0.0)
    assert failures.as_exit_code(action) == 130
    assert answered == [True], "who asks again later is obeyed"


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert failures.as_exit_code(lambda: os.kill(os.getpid(), signal.SIGINT) or ExitCode.CLEAN) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_signals_are_left_alone():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(failures.as_exit_code(lambda: ExitCode.CLEAN)))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.ENOSPC, 6, "the disk is full: cannot write /cache/x"),
        (errno.EDQUOT, 6, "the disk is full: cannot write /cache/x"),
        (errno.EROFS, 2, "cannot read or write /cache/x: Read-only file system"),
        (errno.EACCES, 2, "cannot read or write /cache/x: Permission denied"),
    ],
)
def test_storage_trouble_is_explained(number, code, words, capsys):
    assert failures.as_exit_code(raising(OSError(number, os.strerror(number), "/cache/x"))) == code
    said = capsys.readouterr().err
    assert words in said
    assert "--cache" in said
    assert "Traceback" not in said


def test_a_full_disk_without_a_name_is_reported_without_one(capsys):
    assert failures.as_exit_code(raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))) == 6
    assert "error: the disk is full (`df` shows which)\n" in capsys.readouterr().err


def test_what_nobody_foresaw_is_6_with_a_saved_traceback(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert failures.as_exit_code(raising(ZeroDivisionError("oops"))) == 6
    (saved,) = tmp_path.iterdir()
    assert "ZeroDivisionError: oops" in saved.read_text()
    said = capsys.readouterr().err
    assert str(saved) in said
    assert "Traceback" not in said


def test_a_traceback_that_cannot_be_saved_is_printed(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert failures.as_exit_code(raising(OSError(errno.EDOM, "odd"))) == 6
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_went_away_makes_no_noise():
    code = (
        "import os, sys\n"
        "from python_tsan.cli.failures import as_exit_code\n"
        "from python_tsan.errors import ExitCode\n"
        "read, write = os.pipe(); os.dup2(write, 1); os.close(read); os.close(write)\n"
        "sys.exit(as_exit_code(lambda: print('x' * 100000) or ExitCode.CLEAN))\n"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_version_is_answered_without_the_heavy_imports():
    code = (
        "import sys\n"
        "from python_tsan.cli.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'rich', 'msgspec', 'networkx', 'tomllib', 'subprocess', 'jinja2'} & set(sys.modules)))\n"
    )
    assert python("-c", code).stdout.splitlines() == [f"python-tsan {__version__}", "[]"]


def test_module_and_function_are_one_program():
    done = python("-m", "python_tsan", "--version")
    assert (done.returncode, done.stdout) == (0, f"python-tsan {__version__}\n")


def test_no_verb_prints_the_help_and_is_a_usage_error(capsys):
    assert main.main([]) == 2
    help_text = capsys.readouterr().out
    assert all(f"\n  {verb.name} " in help_text for verb in main.VERBS)


def test_an_unknown_verb_is_a_usage_error(capsys):
    assert main.main(["biuld"]) == 2
    assert capsys.readouterr().err.splitlines()[:2] == [
        "python-tsan: error: unknown verb 'biuld'",
        "  what to do: did you mean build?",
    ]


@pytest.mark.parametrize(
    ("words", "message", "advice"),
    [
        (["run", "--repaet", "3", "--", "p"], "run: unknown option --repaet", "did you mean --repeat?"),
        (["report", "--formt=html", "log"], "report: unknown option --formt", "did you mean --format?"),
        (["imports", "scan", "--cofirm", "json"], "imports scan: unknown option --cofirm", "did you mean --confirm?"),
        (["imports", "scna"], "imports: unknown verb 'scna'", "did you mean scan?"),
        (["--verison"], "unknown option --verison", "did you mean --version?"),
        (["report", "--format", "htm", "log"], "report: unknown --format htm", "did you mean html?"),
        (["verify", "--lane", "slow"], "verify: unknown --lane slow", "choose from fast, full, both"),
        (["doctor", "--xyz"], "doctor: unknown option --xyz", "`python-tsan doctor --help` lists the options"),
        (["replay", "a", "b"], "replay: unexpected argument 'b'", "`python-tsan replay --help` lists the options"),
        (["imports"], "imports: the following arguments are required: VERB", "see `python-tsan imports --help`"),
        (["run", "--repeat"], "run: argument --repeat: expected one argument", "see `python-tsan run --help`"),
        (["run", "--format", "htlm", "--", "p"], "unknown format 'htlm'", "did you mean html?"),
    ],
)
def test_a_wrong_command_line_names_the_verb_and_what_was_probably_meant(words, message, advice, capsys):
    assert main.main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"python-tsan: error: {message}",
        f"  what to do: {advice}",
        "  read more:  docs/errors.md#usage",
    ]


def test_words_after_two_dashes_are_never_options(monkeypatch):
    asked = []
    monkeypatch.setattr("python_tsan.cli.run.run", lambda arguments: asked.append(arguments.command) or ExitCode.CLEAN)
    assert main.main(["run", "--", "program", "--repaet", "3"]) == 0
    assert asked[0][-3:] == ["program", "--repaet", "3"]


WITHOUT_THE_EXTRA = (
    "import sys\n"
    "for name in ('pytest', 'redis'): sys.modules[name] = None\n"
    "from python_tsan.cli import main\n"
    "for verb in main.VERBS:\n"
    "    try: main.main([verb.name, '--help'])\n"
    "    except SystemExit as end: assert end.code == 0, verb\n"
    "assert main.main(['completion', 'bash']) == 0\n"
    "sys.exit(main.main(['verify', '--output', sys.argv[1]]))\n"
)


def test_without_the_extra_there_are_help_and_completion_and_checks_say_what_is_missing(tmp_path):
    done = python("-c", WITHOUT_THE_EXTRA, tmp_path / "runs")
    assert done.returncode == 6, done.stderr
    assert done.stderr.startswith("python-tsan: error: the package pytest is not installed for ")
    assert not (tmp_path / "runs").exists()


def test_a_package_of_its_own_that_is_missing_is_an_error_inside():
    text = (
        "import sys; sys.modules['python_tsan.cli.report'] = None; "
        "from python_tsan.cli.main import main; main(['report'])"
    )
    assert "an error inside python-tsan: ModuleNotFoundError" in python("-c", text).stderr


@pytest.mark.parametrize("verb", main.VERBS, ids=lambda verb: verb.name)
def test_each_verb_loads_and_its_help_fits_80_columns(verb, capsys):
    assert callable(verb.load().run)
    with pytest.raises(SystemExit) as caught:
        main.main([verb.name, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80


def test_the_top_help_fits_80_columns(capsys):
    with pytest.raises(SystemExit):
        main.main(["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("columns", ["many", "-3", "0", "5", "1000", "²", "9" * 5000])
def test_help_is_printed_for_every_value_of_columns(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as caught:
        main.main(["imports", "scan", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "Predict imports that are hazards" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_the_exit_codes_in_the_help_are_those_of_the_program():
    words = main.EXIT_CODES.split()
    assert [str(int(code)) for code in sorted(ExitCode)] == sorted((w for w in words if w.isdigit()), key=int)


def test_a_verb_behind_an_option_is_found(monkeypatch):
    ran = []
    module = argparse.Namespace(
        add_arguments=lambda parser: parser.add_argument("--cache"),
        run=lambda arguments: ran.append(arguments.verb) or ExitCode.CLEAN,
    )
    monkeypatch.setattr(importlib, "import_module", lambda _: module)
    assert main.main(["doctor", "--cache", "x"]) == 0
    assert ran == ["doctor"]


def test_bad_settings_end_with_2_and_their_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "python-tsan.toml").write_text("jbos = 2\n")
    monkeypatch.chdir(tmp_path)
    assert main.main(["doctor"]) == 2
    said = capsys.readouterr().err
    assert "python-tsan.toml:1: jbos: unknown setting" in said
    assert "did you mean jobs?" in said


def test_every_error_class_has_a_page():
    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    anchors = {line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")}
    assert {kind.default_page for kind in PythonTsanError.__subclasses__()} | {"storage", "internal"} <= anchors
