import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from python_tsan.cli import replay, run
from python_tsan.cli.main import build_parser, main
from python_tsan.errors import ExitCode, SubjectError, UsageError
from python_tsan.plain_text import counted
from python_tsan.running.environment import environment_for
from python_tsan.running.preflight import Prepared
from python_tsan.running.record import (
    Replay,
    difference,
    differences,
    encode_replay,
    is_ours,
    load_replay,
    relevant_variables,
    restored,
)
from python_tsan.running.request import Request


def parsed(*words):
    return build_parser("run").parse_args(["run", *words])


def asked(*words):
    return run.request_of(parsed(*words))


def test_everything_after_the_dashes_is_the_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = asked("--repeat", "3", "--timeout", "2.5", "--", "./p", "--repeat", "9", "--", "x")
    assert request.command == ("./p", "--repeat", "9", "--", "x")
    assert (request.repeat, request.timeout, request.cwd) == (3, 2.5, str(tmp_path))


def test_paths_become_absolute_and_repeatable_options_add_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    request = asked(
        "--baseline", "b.toml", "--suppressions", "one", "--suppressions", "two", "--own", "src", "--expect", "e.toml",
        "--format", "json,html", "--format", "sarif,json", "--python", "../i1", "--", "p",
    )  # fmt: skip
    assert request.baseline == str(tmp_path / "b.toml")
    assert request.suppressions == (str(tmp_path / "one"), str(tmp_path / "two"))
    assert request.expect == str(tmp_path / "e.toml")
    assert request.own == ("src", str(tmp_path / "src"))
    assert request.formats == ("json", "html", "sarif")
    assert request.python.endswith("/i1")
    assert asked("--expect", "clean", "--python", "3.13", "--", "p").python == "3.13"
    assert [asked("--expect", word, "p").expect for word in ("race", "hang")] == ["race", "hang"]
    assert asked("p").expect == "clean"


def test_facts_about_the_program_are_kept_and_a_half_one_is_refused():
    assert asked("--fact", "binding=pybind11 3.0.4", "--fact", "a=b=c", "--", "p").facts == {
        "binding": "pybind11 3.0.4",
        "a": "b=c",
    }
    for words in ("binding", "=3", "binding="):
        with pytest.raises(UsageError, match="must be NAME=TEXT"):
            asked("--fact", words, "--", "p")


def test_a_fact_never_replaces_what_was_found_out(make_session, racy):
    report, _ = make_session(racy, facts={"binding": "pybind11 3.0.4", "architecture": "z80"}).run()
    assert report.provenance.facts["binding"] == "pybind11 3.0.4"
    assert report.provenance.facts["architecture"] != "z80"


def test_a_shard_is_read_from_the_command_line():
    assert asked("--repeat", "8", "--shard", "2/4", "--", "p").numbers == range(2, 9, 4)
    assert list(asked("--repeat", "8", "--shard", "2/4", "--", "p").numbers) == [2, 6]


def test_an_unknown_format_and_no_command_are_usage_errors():
    with pytest.raises(UsageError, match="unknown format 'pdf'"):
        asked("--format", "pdf", "--", "p")
    with pytest.raises(UsageError, match="no command"):
        asked("--repeat", "2", "--")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run", "--", "./nothing-there"], ExitCode.SUBJECT),
        (["run", "--detect", "races", "--", "/bin/ls"], ExitCode.SUBJECT),
        (["run"], ExitCode.USAGE),
        (["run", "--baseline", "nothing.toml", "--", "/bin/ls"], ExitCode.USAGE),
        (["run", "--python", "/nowhere", "--", "/bin/ls"], ExitCode.USAGE),
        (["replay", "nothing"], ExitCode.USAGE),
    ],
)
def test_bad_input_has_its_own_exit_code_and_leaves_no_run(words, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("python_tsan.running.preparation._toolchain", lambda *_args, **_options: None)
    assert main(words) == code
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--repeat", "0"),
        ("--repeat", "many"),
        ("--timeout", "0"),
        ("--timeout", "nan"),
        ("--repeat", "9" * 20),
        ("--stall", "1e9"),
    ],
)
def test_numbers_are_positive(option, value, capsys):
    assert main(["run", option, value, "--", "/bin/ls"]) == ExitCode.USAGE
    assert f"argument {option}: must be a positive" in capsys.readouterr().err


def test_the_settings_that_mean_more_here_are_declared_once():
    text = build_parser("run").parse_args(["run", "--", "p"])
    assert text.timeout == 600.0
    assert text.interpreter == ""


def a_replay(**changes):
    request = Request(command=("./p",), cwd="/", repeat=2)
    return replace(
        Replay(
            request=request, ran=("/p",), given={"OMP_NUM_THREADS": "2"}, seeds={"PYTHONHASHSEED": 7}, facts={"a": "1"}
        ),
        **changes,
    )


def test_a_replay_is_read_back(tmp_path):
    (tmp_path / "replay.json").write_bytes(encode_replay(a_replay()))
    for path in (tmp_path, tmp_path / "replay.json"):
        assert replace(load_replay(path), seal="") == a_replay()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "is damaged"),
        (b'{"schema": 99}', "newer than this python-tsan"),
        (b'{"schema": 2}', "is damaged"),
        (encode_replay(a_replay()).replace(b'"/p"', b'"/\\u0000p"'), "is damaged: it has a zero byte"),
    ],
)
def test_what_is_no_replay_is_reported(tmp_path, data, words):
    (tmp_path / "replay.json").write_bytes(data)
    with pytest.raises(SubjectError, match=words):
        load_replay(tmp_path)


def test_differences_name_what_was_and_what_is():
    said = list(
        differences(a_replay(), facts={"a": "2", "b": "3"}, env={"OMP_NUM_THREADS": "4", "LANG": "C", "HOME": "/"})
    )
    assert said == [
        "a: 1 then, 2 now",
        "b: unknown then, 3 now",
        "LANG: not set then, 'C' now; then's is used",
        "OMP_NUM_THREADS: '2' then, '4' now; then's is used",
    ]
    assert not list(differences(a_replay(), facts={"a": "1"}, env={"OMP_NUM_THREADS": "2"}))


@pytest.fixture
def sealed(tmp_path, monkeypatch):
    """Return a function that writes a record and reads it back, with a key of this test."""
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path / "cache"))

    def make(**changes):
        (tmp_path / "replay.json").write_bytes(encode_replay(a_replay(**changes)))
        return load_replay(tmp_path)

    return make


def test_a_record_is_ours_until_it_is_changed_or_the_key_is_another(sealed, tmp_path):
    record = sealed()
    assert is_ours(record)
    assert not is_ours(replace(record, request=replace(record.request, command=("rm", "-rf", "/"))))
    assert not is_ours(replace(record, given={"LD_PRELOAD": "evil.so"}))
    assert not is_ours(replace(record, seal=""))
    key = tmp_path / "cache" / "seal.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.write_bytes(bytes(32))
    assert not is_ours(record)


@pytest.mark.parametrize("broken", [b"", b"short"])
def test_without_a_key_nothing_is_ours(sealed, tmp_path, broken):
    sealed()
    (tmp_path / "cache" / "seal.key").write_bytes(broken)
    assert not is_ours(sealed())


def test_a_cache_that_cannot_be_written_costs_the_seal_only(sealed, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path / "file" / "cache"))
    assert not is_ours(sealed())


ENV_OF_THEN = {"LD_PRELOAD": "x.so", "PYTHONPATH": "p", "TSAN_OPTIONS": "o", "OMP_NUM_THREADS": "2", "PATH": "evil"}


def test_from_elsewhere_no_variable_comes_back_that_loads_code(sealed):
    record = sealed(given=ENV_OF_THEN)
    now = {"PATH": "/bin", "LD_PRELOAD": "mine.so"}
    relevant = {name: value for name, value in ENV_OF_THEN.items() if name != "PATH"}
    assert restored(record, now) == {"PATH": "/bin", **relevant, "PYTHONHASHSEED": "7"}
    foreign = replace(record, seal="", seeds={"PYTHONHASHSEED": 7, "LD_AUDIT": 1})
    assert restored(foreign, now) == {**now, "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"}
    lines = list(differences(foreign, facts={"a": "1"}, env=now))
    assert "LD_PRELOAD: 'x.so' then, 'mine.so' now; now's is used" in lines
    assert "OMP_NUM_THREADS: '2' then, not set now; then's is used" in lines


def test_the_environment_of_then_is_restored_with_its_seed():
    now = {"HOME": "/home", "OMP_NUM_THREADS": "4", "LANG": "C"}
    assert restored(a_replay(), now) == {"HOME": "/home", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"}


def test_only_relevant_variables_are_kept_and_no_secret():
    env = {"TSAN_OPTIONS": "x", "LD_PRELOAD": "y", "HOME": "/", "PYTHON_KEYRING": "s", "LC_SECRET": "s"}
    assert relevant_variables(env) == {"LD_PRELOAD": "y", "TSAN_OPTIONS": "x"}


def test_a_difference_is_what_was_set_and_what_was_taken_away():
    assert difference({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}) == ({"b": "9", "d": "4"}, ("c",))


def test_a_run_is_replayed_after_what_differs_was_reported(make_session, racy, monkeypatch, capsys, tmp_path):
    first, folder = make_session(racy).run()
    saved = json.loads((folder / "replay.json").read_text())
    saved["facts"]["cores"] = "512"
    (folder / "replay.json").write_text(json.dumps(saved))
    monkeypatch.setattr(replay, "open_session", lambda request, *_args, **_options: make_session(*request.command))
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "--quiet", str(folder)]) == ExitCode.USAGE, "the record was changed"
    assert "was written by another user, on another machine, or changed since" in capsys.readouterr().err
    assert main(["replay", "--quiet", "--yes", str(folder)]) == ExitCode.FINDINGS
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == [f"command: {racy} (in {tmp_path})", "changed since the run:"]
    assert f"cores: 512 then, {os.cpu_count()} now" in out
    assert out.index("cores: 512") < out.index(first.findings[0].fingerprint)
    assert f"{len(first.findings)} of {counted(len(first.findings), 'finding')} recurred, 0 new findings" in out


@pytest.fixture
def elsewhere(make_session, racy, monkeypatch, tmp_path):
    """Return the folder of a run that is not ours, and what was run of it since."""
    _, folder = make_session(racy).run()
    saved = json.loads((folder / "replay.json").read_text())
    (folder / "replay.json").write_text(json.dumps({**saved, "seal": "00"}))
    monkeypatch.setattr(replay, "open_session", lambda request, *_args, **_options: make_session(*request.command))
    monkeypatch.chdir(tmp_path)
    return folder


def runs_of(folder):
    return len([path for path in folder.parent.iterdir() if not path.is_symlink()])


def test_a_command_from_elsewhere_is_shown_and_not_run_without_a_terminal(elsewhere, racy, capsys):
    assert main(["replay", str(elsewhere)]) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert f"command: {racy}" in shown.out
    assert "check the command above, then add --yes" in shown.err
    assert runs_of(elsewhere) == 1
    assert main(["replay", "--yes", str(elsewhere)]) == ExitCode.FINDINGS
    assert runs_of(elsewhere) == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [("y\n", ExitCode.FINDINGS), ("YES\n", ExitCode.FINDINGS), *((no, 2) for no in ("n\n", "\n", ""))],
)
def test_on_a_terminal_it_asks(answer, code, elsewhere, monkeypatch, capsys):
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdin, "readline", lambda: answer)
    assert main(["replay", str(elsewhere)]) == code
    assert "Run the command? [y/N] " in capsys.readouterr().err
    assert runs_of(elsewhere) == (2 if code == ExitCode.FINDINGS else 1)


def test_a_changed_program_is_asked_about(make_session, racy, monkeypatch, capsys, tmp_path):
    _, folder = make_session(racy).run()
    monkeypatch.setattr(replay, "open_session", lambda request, *_args, **_options: make_session(*request.command))
    monkeypatch.chdir(tmp_path)
    assert main(["replay", str(folder)]) == ExitCode.FINDINGS
    racy.write_text(racy.read_text() + "# changed\n")
    assert main(["replay", str(folder)]) == ExitCode.USAGE
    assert "the program has changed since the run" in capsys.readouterr().err


def test_control_characters_of_a_command_are_not_printed(elsewhere, capsys):
    saved = json.loads((elsewhere / "replay.json").read_text())
    saved["request"]["command"].append("\x1b[2J\u202e")
    (elsewhere / "replay.json").write_text(json.dumps(saved))
    assert main(["replay", str(elsewhere)]) == ExitCode.USAGE
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_replay_whose_folder_is_gone_is_reported(tmp_path):
    (tmp_path / "replay.json").write_bytes(encode_replay(a_replay(request=Request(command=("p",), cwd="/gone/away"))))
    with pytest.raises(SubjectError, match="no longer exists"):
        replay.run(argparse.Namespace(folder=tmp_path, repeat=None, verbose=False, quiet=True))


def test_the_callers_preload_comes_after_the_companion(tmp_path):
    prepared = Prepared(command=("p",), program=None)
    options = {"toolchain": None, "suppressions": None}
    caller = {"LD_PRELOAD": "/mine.so", "PYTHONHOME": "/theirs"}
    made = environment_for(prepared, caller=caller, companion=(Path("/c.so"), tmp_path), **options).variables
    assert made["LD_PRELOAD"] == "/c.so:/mine.so"
    assert made["PYTHON_TSAN_COMPANION"] == str(tmp_path)
    assert made["PYTHONHOME"] == "/theirs"
    assert "PYTHONHASHSEED" not in made
    alone = environment_for(prepared, caller=caller, companion=None, **options).variables
    assert alone["LD_PRELOAD"] == "/mine.so"
    assert "LD_PRELOAD" not in environment_for(prepared, caller={}, companion=None, **options).variables


def test_a_written_baseline_is_reported(make_session, racy, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "python_tsan.running.preparation.open_session",
        lambda request, *_args, **_options: make_session(*request.command),
    )
    assert main(["run", "--write-baseline", "known.toml", "--", str(racy)]) == ExitCode.FINDINGS
    assert 'reason = ""' in (tmp_path / "known.toml").read_text()
    assert "give each new one a reason" in capsys.readouterr().err


def test_a_run_for_machines_prints_no_report(make_session, racy, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "python_tsan.running.preparation.open_session",
        lambda request, *_args, **_options: make_session(*request.command, formats=request.formats),
    )
    assert main(["run", "--format", "sarif", "--", str(racy)]) == ExitCode.FINDINGS
    told = capsys.readouterr()
    assert told.out == ""
    assert "report.sarif" in told.err
