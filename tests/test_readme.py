import re
import subprocess
from pathlib import Path

import pytest

from python_tsan.cli.main import VERBS, main
from python_tsan.errors import ExitCode

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(session):
    return re.findall(rf"^python3 -m venv .* && \S*nox -s {session}$", README, flags=re.MULTILINE)


def test_the_readme_is_short_and_comes_to_the_reader_s_program_early():
    lines = README.splitlines()
    assert len(lines) <= 120
    assert lines.index("## Your own program") < 40


def test_the_two_commands_are_one_line_each():
    assert [len(commands(session)) for session in ("verify", "tests")] == [1, 1]


def test_ci_runs_the_commands_as_printed():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    function = script[script.index("readme_command() {") : script.index("\n}\n") + 3]
    for session in ("verify", "tests"):
        done = subprocess.run(
            ["bash", "-euc", f"{function}readme_command {session}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == commands(session)[0]
        assert f'bash -c "$(readme_command {session})"' in script


def test_every_command_and_session_is_on_the_page_of_sessions():
    page = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")
    sessions = re.findall(
        r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [name for name in (*sessions, *(verb.name for verb in VERBS)) if f"`{name}`" not in page] == []


def test_every_exit_code_is_on_its_page():
    page = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)] == sorted(ExitCode)


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_every_page_is_in_its_index(folder):
    index = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / folder).glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()


def test_the_report_of_the_sample_log_is_as_shown(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["report", "examples/tally_racy.log"]) == 1
    shown = README.split("python-tsan report examples/tally_racy.log")[1].split("```text\n")[1].split("\n```")[0]
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in shown.splitlines() if line not in [*printed, "…"]] == []
