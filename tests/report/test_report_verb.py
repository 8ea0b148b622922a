from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from report_samples import report_on

from python_tsan.cli.main import main
from python_tsan.render.registry import RENDERINGS, Context
from python_tsan.render.source import source_reader
from python_tsan.result.build import Standing
from python_tsan.result.codec import encode_result
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import VerdictStatus


def shown(capsys, *arguments):
    code = main(["report", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_findings_answer_1_and_none_0(golden, capsys):
    code, out, err = shown(capsys, *golden("race_global"))
    assert (code, err) == (1, "")
    assert out.splitlines()[-1] == "NOT clean: 1 finding"
    code, out, _ = shown(capsys, *golden("suppressed"))
    assert (code, out.splitlines()[-1]) == (0, "clean: no finding")


def test_what_proves_nothing_answers_6(golden, capsys, tmp_path):
    (tmp_path / "hello.log").write_text("hello\n")
    for path in (tmp_path / "hello.log", tmp_path, *golden("segv")):
        code, out, _ = shown(capsys, path)
        assert code == 6
        assert "could not judge" in out


def test_the_user_may_vouch_for_a_silent_log(capsys, tmp_path):
    (tmp_path / "hello.log").write_text("hello\n")
    assert shown(capsys, tmp_path / "hello.log", "--silent-is-clean")[0] == 0
    assert shown(capsys, tmp_path / "gone.log", "--silent-is-clean")[0] == 2


def test_the_runtime_writes_no_log_without_a_finding(capsys, tmp_path):
    assert shown(capsys, tmp_path)[0] == 2
    assert shown(capsys, tmp_path, "--silent-is-clean")[0] == 0


@pytest.mark.parametrize("content", [None, b"\x7fELF\2\1\1", b"\0\1\2\3"])
def test_input_that_is_no_log_answers_2_with_a_reason(capsys, tmp_path, content):
    path = tmp_path / "thing"
    if content is not None:
        path.write_bytes(content)
    code, out, err = shown(capsys, path)
    assert (code, out) == (2, "")
    assert str(path) in err
    assert "docs/errors.md#logs" in err


def test_an_empty_folder_answers_2(capsys, tmp_path):
    code, _, err = shown(capsys, tmp_path)
    assert code == 2
    assert "no file in this folder has the name of a log" in err


def test_bad_input_next_to_a_good_log_is_reported_and_counts_when_nothing_was_found(golden, capsys, tmp_path):
    code, out, _ = shown(capsys, tmp_path / "gone", *golden("race_global"))
    assert code == 1
    assert "warning:" in out
    code, out, err = shown(capsys, tmp_path / "gone", *golden("suppressed"), "--format", "json")
    assert code == 2
    assert json.loads(out)["verdicts"][0]["status"] == "passed"
    assert "cannot be read: No such file or directory" in err


@pytest.mark.parametrize("rendering", RENDERINGS.values(), ids=RENDERINGS)
def test_every_format_is_the_rendering_of_the_report(golden, report_of, capsysbinary, rendering):
    assert main(["report", "--format", rendering.name, *golden("race_global")]) == 1
    out = capsysbinary.readouterr().out
    assert out == rendering.render(
        report_of("race_global"), Context(root=str(Path.cwd()), source_lines=source_reader([Path.cwd()]))
    )


@pytest.mark.parametrize("rendering", RENDERINGS.values(), ids=RENDERINGS)
def test_every_format_can_be_written_to_a_file(golden, capsys, tmp_path, rendering):
    target = tmp_path / rendering.file_name
    code, out, _ = shown(capsys, *golden("race_global"), "--format", rendering.name, "--output", target)
    assert (code, out) == (1, "")
    assert target.stat().st_size > 300
    assert [path.name for path in tmp_path.iterdir()] == [rendering.file_name]


def test_a_place_that_cannot_be_written_is_reported(golden, capsys, tmp_path):
    code, _, err = shown(capsys, *golden("race_global"), "--format", "json", "--output", tmp_path / "no" / "x.json")
    assert code == 2
    assert "cannot write" in err


def test_a_saved_report_is_shown_again(golden, report_of, capsys, tmp_path):
    (tmp_path / "run.json").write_bytes(encode_result(report_of("race_global")))
    (tmp_path / "tsan.1").write_text("not looked at")
    first = shown(capsys, *golden("race_global"))
    assert shown(capsys, tmp_path) == first
    assert shown(capsys, tmp_path / "run.json") == first
    (tmp_path / "run.json").write_text("{}")
    code, _, err = shown(capsys, tmp_path)
    assert code == 6
    assert "not a run.json of python-tsan" in err


def test_a_report_of_an_older_version_is_refused_in_one_line(capsys, tmp_path):
    (tmp_path / "report.json").write_text('{\n "version": 1,\n "findings": []\n}')
    for path in (tmp_path, tmp_path / "report.json"):
        code, _, err = shown(capsys, path)
        assert code == 6
        assert "report.json is a report of an older python-tsan, which is not supported" in err


def test_a_saved_report_can_be_attributed_again(report_of, capsys, tmp_path):
    (tmp_path / "run.json").write_bytes(encode_result(report_of("race_global")))
    for own, whose in (("/src/golden", "yours"), ("/elsewhere", "unknown")):
        _, out, _ = shown(capsys, tmp_path, "--own", own, "--format", "json")
        (finding,) = json.loads(out)["findings"]
        assert finding["attribution"] == whose
        assert finding["origins"][0]["attribution"] == whose


def test_own_paths_are_believed_relative_and_absolute(golden, capsys, tmp_path, monkeypatch):
    log = Path(*golden("race_global")).read_text().replace("/src/golden", str(tmp_path / "src"))
    (tmp_path / "tsan.1").write_text(log)
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    for own, whose in (("src", "yours"), (str(tmp_path / "src"), "yours"), ("elsewhere", "unknown")):
        _, out, _ = shown(capsys, "tsan.1", "--own", own, "--format", "json")
        assert json.loads(out)["findings"][0]["attribution"] == whose


def test_no_interpreter_and_no_settings_are_needed(golden, tmp_path):
    (tmp_path / "python-tsan.toml").write_text("this is = no [settings file")
    done = subprocess.run(
        [sys.executable, "-m", "python_tsan", "report", *golden("race_global")],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")


def test_a_reader_that_goes_away_ends_it_as_any_other_program(golden, tmp_path):
    command = [sys.executable, "-m", "python_tsan", "report", "--verbose", *golden("race_global", "deadlock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as started:
        started.stdout.close()
        assert started.stderr.read() == b""
    assert started.returncode == -signal.SIGPIPE


def test_a_small_log_is_shown_at_once(golden):
    command = [sys.executable, "-m", "python_tsan", "report", *golden("race_global")]
    best = 9.0
    for _ in range(3):
        before = os.times()
        started = time.monotonic()
        subprocess.run(command, capture_output=True, check=False)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, used, time.monotonic() - started)
    assert best < 0.5


KINDS = Path(__file__).parents[1] / "tsan" / "kinds"
REFERENCE = (KINDS / "reference.log").read_text()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("only_tail", 6, "could not judge: the log says 3 warnings, 0 blocks could be read"),
        ("only_reported", 6, "could not judge: the log says 3 warnings, 0 blocks could be read"),
        ("heading_with_words", 1, "NOT clean: 1 finding"),
        ("docker_json", 1, "NOT clean: 1 finding"),
        ("no_pid", 1, "NOT clean: 1 finding"),
        ("reports_missing", 1, "4 reports are missing from this log"),
        ("two_summaries", 1, "alpha.c:4"),
        ("several_fatals", 6, "2 fatal ends"),
    ],
)
@pytest.mark.parametrize("vouched", [[], ["--silent-is-clean"]])
def test_a_log_that_says_that_something_was_found_is_never_clean(capsys, name, code, words, vouched):
    found, out, _ = shown(capsys, KINDS / f"{name}.log", *vouched)
    assert found == code
    assert words in " ".join(out.split())


def test_reports_that_are_missing_outweigh_findings_that_do_not_fail(tmp_path):
    (tmp_path / "tsan.1").write_text(REFERENCE + "ThreadSanitizer: reported 2 warnings\n")
    (finding,) = report_on(tmp_path).findings
    known = {finding.fingerprint: Standing(status=FindingStatus.KNOWN)}
    verdict = report_on(tmp_path, standings=known).verdict
    assert (verdict.status, verdict.reason) == (VerdictStatus.COULD_NOT_JUDGE, "1 report is missing from the log")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("BUG: KCSAN: data-race in a / b", "this is a KCSAN log, which is not supported"),
        ("==7== Helgrind, a thread error detector", "this is a Helgrind log, which is not supported"),
        ("==7==ERROR: AddressSanitizer: x", "this is an AddressSanitizer log, which is not supported"),
    ],
)
def test_a_log_of_another_tool_is_named(capsys, tmp_path, line, words):
    (tmp_path / "x.log").write_text(f"hello\n{line}\n")
    for vouched in ([], ["--silent-is-clean"]):
        code, out, _ = shown(capsys, tmp_path / "x.log", *vouched)
        assert (code, words in " ".join(out.split())) == (6, True)
    (tmp_path / "x.log").write_text(f"{line}\n{REFERENCE}")
    assert shown(capsys, tmp_path / "x.log")[0] == 1


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_fields_of_too_many_digits_break_no_rendering(capsysbinary, tmp_path, rendering):
    text = REFERENCE
    for old, new in (
        ("pid=100", f"pid={'1' * 5000}"),
        ("tid=101", f"tid={'1' * 5000}"),
        ("0x7b0400000000", f"0x{'f' * 5000}"),
        ("b.c:4", f"b.c:{'4' * 5000}"),
        ("app+0x1000", f"app+0x{'f' * 5000}"),
        ("size 4", f"size {'4' * 5000}"),
    ):
        text = text.replace(old, new)
    (tmp_path / "x.log").write_text(text)
    assert main(["report", "--format", rendering, str(tmp_path / "x.log")]) == 1
    assert b"show" in capsysbinary.readouterr().out
