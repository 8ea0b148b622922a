import re
import subprocess
from pathlib import Path

import pytest

from python_tsan.cli.main import VERBS
from python_tsan.config import OPTIONS
from python_tsan.errors import ExitCode

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def settings_table():
    rows = ["| setting | default | means |", "|---|---|---|"]
    rows += [f"| `{option.name}` | {option.default} | {option.summary} |" for option in OPTIONS]
    return "\n".join(rows)


def commands(session):
    return re.findall(rf"^python3 -m venv .* && \S*nox -s {session}$", README, flags=re.MULTILINE)


def test_the_settings_table_is_that_of_the_program():
    table = README.split("<!-- settings:")[1].split("-->\n", 1)[1].split("\n<!-- end of settings", 1)[0]
    assert table == settings_table()


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


def test_every_verb_and_exit_code_is_in_the_readme():
    assert [verb.name for verb in VERBS if f"`{verb.name}`" not in README] == []
    codes = README.split("## Exit codes")[1].split("##")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", codes, flags=re.MULTILINE)] == sorted(ExitCode)


def test_links_to_files_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    broken = [
        (page.name, link)
        for page in pages
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_every_page_is_in_its_index(folder):
    index = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / folder).glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
