"""What the shells really complete: the script is read by each shell that is installed, and asked."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from python_tsan.cli.main import VERBS, main

PROGRAMS = Path(sys.executable).parent
CASES = [
    (["re"], {"replay", "report"}),
    (["cmake"], {"cmake-dir"}),
    (["run", "--exp"], {"--expect"}),
    (["verify", "--lane", ""], {"fast", "full", "both"}),
    (["imports", "sc"], {"scan"}),
    (["report", "--format", "s"], {"sarif"}),
    (["build", "--from", "pack"], {"packed.tar.zst"}),
]


@pytest.fixture
def script(tmp_path, capsys):
    """Return a function that writes a shell's script into a folder that holds one archive, and the folder's path."""

    def make(shell):
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        assert main(["completion", shell]) == 0
        path = tmp_path / f"completion.{shell}"
        path.write_text(capsys.readouterr().out)
        (tmp_path / "packed.tar.zst").touch()
        return path

    return make


def test_an_unknown_shell_is_a_wrong_option(capsys):
    assert main(["completion", "cmd"]) == 2
    assert "'cmd'" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_verb_is_in_the_script(script, shell):
    path = script(shell)
    subprocess.run([shell, "-n", path], check=True)
    text = path.read_text()
    assert [verb.name for verb in VERBS if verb.name not in text] == []


@pytest.mark.parametrize(("words", "wanted"), CASES)
def test_bash_completes(script, words, wanted):
    path = script("bash")
    ask = f"""
        source {path}
        [[ $(complete -p python-tsan) == *"-F _shtab_python_tsan python-tsan" ]] || exit 9
        COMP_WORDS=(python-tsan "$@"); COMP_CWORD=$#
        _shtab_python_tsan
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    command = ["bash", "-c", ask, "bash", *words]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == wanted, done.stderr


@pytest.mark.parametrize(("words", "wanted"), CASES)
def test_fish_completes(script, words, wanted):
    path = script("fish")
    ask = f"source {path}; complete --do-complete 'python-tsan {' '.join(words)}'"
    env = {**os.environ, "HOME": str(path.parent), "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    command = ["fish", "--no-config", "-c", ask]
    done = subprocess.run(command, cwd=path.parent, env=env, capture_output=True, text=True, check=True)
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == wanted, done.stderr


@pytest.mark.parametrize(("typed", "wanted"), [("expl", "explain "), ("run --exp", "--expect ")])
def test_zsh_completes_what_is_typed(script, typed, wanted):
    path = script("zsh")
    path.rename(path.with_name("_python-tsan"))
    setup = f"fpath=({path.parent} $fpath); autoload -Uz compinit; compinit -u; echo rea''dy\n"
    # At a terminal of its own, with Tab pressed: zsh completes nowhere else.
    terminal, inside = pty.openpty()
    env = {**os.environ, "TERM": "dumb", "ZDOTDIR": str(path.parent), "PS1": "> "}
    streams = {"stdin": inside, "stdout": inside, "stderr": inside, "start_new_session": True}
    with subprocess.Popen(["zsh", "-f", "-i"], cwd=path.parent, env=env, **streams) as shell:
        try:
            os.write(terminal, setup.encode())
            assert "ready" in read_until(terminal, "ready\r")
            os.write(terminal, f"python-tsan {typed}\t".encode())
            assert wanted in read_until(terminal, wanted)
        finally:
            shell.kill()
            os.close(inside)
            os.close(terminal)


def read_until(terminal, wanted, seconds=20):
    """Return what a terminal shows until it shows the expected text, or all that it showed in that time."""
    text, deadline = "", time.monotonic() + seconds
    while wanted not in text and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 4096).decode(errors="replace")
    return text
