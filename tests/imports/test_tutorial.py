"""docs/tutorial-imports.md: its files are written, its commands are run as printed, and what they print is compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-imports.md"
PROMPT = "$ "
ANY = "…"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 15), reason="CPython fixes the tutorial's program from 3.15 on"),
]


def fences():
    tokens = MarkdownIt().parse(PAGE.read_text(encoding="utf-8"))
    return [(token.info.split(), token.content) for token in tokens if token.type == "fence"]


def steps(content):
    """Return the commands of a console block, each with what it is to print."""
    blocks = re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]
    return [(command, printed) for command, _, printed in (block.partition("\n") for block in blocks)]


def pattern(printed):
    """Return the regular expression of an output: a line that is an ellipsis is any number of lines."""
    lines = ["(?:.*\n)*" if line == ANY else re.escape(line).replace(ANY, ".*") + "\n" for line in printed.splitlines()]
    return "".join(lines)


@pytest.fixture
def shell(tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, arguments in {"python3": "", "python-tsan": "-m python_tsan "}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        (programs / name).chmod(0o755)
    folder = tmp_path / "walk"
    folder.mkdir()
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}

    def run(command, before):
        script = f"(exit {before}); {command}"
        out = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=100,
        )  # fmt: skip
        return out.stdout, out.returncode

    run.folder = folder
    return run


@pytest.mark.timeout(240)
def test_the_walk_goes_as_the_page_says(shell):
    code = 0
    commands = 0
    for info, content in fences():
        if info[0] == "console":
            for command, printed in steps(content):
                shown, code = shell(command, code)
                commands += 1
                assert re.fullmatch(pattern(printed), shown), f"$ {command}\n{shown}\nis not\n{printed}"
        else:
            (shell.folder / info[1]).parent.mkdir(exist_ok=True)
            (shell.folder / info[1]).write_text(content, encoding="utf-8")
    assert commands > 15


def test_every_block_is_a_file_or_a_console():
    assert all(info in ([], ["console"]) or len(info) == 2 for info, _ in fences())
    assert all(content.startswith(PROMPT) for info, content in fences() if info == ["console"])


def test_an_output_that_differs_is_seen():
    assert re.fullmatch(pattern("a … c\n…\nend\n"), "a b c\nx\ny\nend\n")
    assert not re.fullmatch(pattern("a … c\nend\n"), "a b c\nx\nend\n")
    assert not re.fullmatch(pattern("1\n"), "0\n")
