import json

import pytest

from python_tsan import process
from python_tsan.process import Completed
from tools import soak_verify
from tools.soak_verify import main


def verdict(check, status="passed", reason=""):
    return {"lane": "full", "check": check, "status": status, "reason": reason}


@pytest.fixture
def runs(monkeypatch):
    """Replace `verify`: each run writes the next list of verdicts, None for no result at all."""
    left, commands = [], []

    def run(command, *, timeout):
        commands.append([str(word) for word in command])
        found = left.pop(0)
        if found is not None:
            folder = soak_verify.Path(command[command.index("--output") + 1]) / "run-1"
            folder.mkdir()
            (folder / "run.json").write_text(json.dumps({"verdicts": found}))
        bad = found is None or any(one["status"] == "failed" for one in found)
        return Completed(
            command=tuple(command),
            exit_code=1 if bad else 0,
            timed_out=False,
            seconds=timeout / 1000,
            cpu_seconds=1.0,
            max_rss_bytes=1,
            stderr="first\nno compiler\n",
        )

    monkeypatch.setattr(process, "run", run)
    return left, commands


def test_every_run_as_expected_is_counted_with_its_repeats(runs, capsys, monkeypatch):
    left, commands = runs
    left += [[verdict("a"), verdict("b", "skipped")], [verdict("a", reason="1 of 3 runs repeated: a deadline")]]
    monkeypatch.setattr(soak_verify.os, "getloadavg", lambda: (0.5, 4.0, 8.6))
    assert main(["--runs", "2", "--load", "0", "--", "--toolchain", "gcc-12"]) == 0
    out = capsys.readouterr().out
    assert "run 1: as expected after 11 s, load 9, 0 checks repeated; 1 of 1 so far\n" in out
    assert "run 2: as expected after 11 s, load 9, 1 check repeated; 2 of 2 so far\n  full a: 1 of 3 runs" in out
    assert "as expected: 2 of 2 (at least" in out
    assert all(command[-2:] == ["--toolchain", "gcc-12"] for command in commands)


@pytest.mark.parametrize("status", ["failed", "could not judge"])
def test_an_unexpected_verdict_is_named_and_fails(status, runs, capsys):
    left, _ = runs
    left += [[verdict("a"), verdict("b", status, "a thread leak")], [verdict("a")]]
    assert main(["--runs", "2", "--load", "0"]) == 1
    out = capsys.readouterr().out
    assert "; 0 of 1 so far\n  full b: a thread leak" in out
    assert "as expected: 1 of 2 (at least" in out


def test_a_run_without_a_result_fails_with_its_last_words(runs, capsys):
    runs[0].append(None)
    assert main(["--runs", "1", "--load", "0"]) == 1
    assert "  no compiler" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--output", "runs"], ["--lane", "full", "--output=runs"]])
def test_another_folder_for_results_is_refused_before_a_run(runs, options, capsys):
    """It would read no result, and count each run as failed."""
    with pytest.raises(SystemExit, match="2"):
        main(["--runs", "1", "--load", "0", "--", *options])
    assert "--output cannot be given" in capsys.readouterr().err
    assert runs[1] == []


def test_without_stress_ng_the_installation_is_explained(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get install stress-ng"):
        main(["--runs", "1"])


def test_the_load_ends_with_the_runs(monkeypatch, tmp_path):
    program = tmp_path / "stress-ng"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with soak_verify.cpu_load(6):
        while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text().strip():
            pass
    assert not soak_verify.Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
