"""The verbs: what they print, and where."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import subprocess
from types import SimpleNamespace

import fake_build
import pytest

from python_tsan.cli import build as verb
from python_tsan.cli import install_numpy as numpy_verb
from python_tsan.cli.main import main
from python_tsan.cpython.prebuilt import restore
from python_tsan.errors import ExitCode, UsageError
from python_tsan.paths import Layout


@pytest.fixture
def pipeline(fake, tmp_path, console, monkeypatch):
    built = fake()
    settings = fake_build.settings_for(tmp_path)
    layout = Layout(root=settings.cache)
    found = SimpleNamespace(
        settings=settings,
        layout=layout,
        console=console,
        toolchain=fake_build.make_toolchain(),
        interpreter=built,
        interpreter_with_numpy=built,
    )
    for module in (verb, numpy_verb):
        monkeypatch.setattr(module, "open_pipeline", lambda _arguments: found)
    return found


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args(words))


def test_build_prints_the_interpreter(pipeline):
    assert call(verb) is ExitCode.CLEAN
    assert pipeline.console.out.getvalue() == f"{pipeline.interpreter.executable}\n"


def test_install_numpy_prints_the_interpreter(pipeline):
    assert call(numpy_verb) is ExitCode.CLEAN
    assert pipeline.console.out.getvalue() == f"{pipeline.interpreter.executable}\n"


def test_print_key_is_the_key_alone(pipeline):
    del pipeline.interpreter  # building would need it
    assert call(verb, "--print-key") is ExitCode.CLEAN
    assert pipeline.console.out.getvalue().startswith("3.13.5-clang-19-")
    assert pipeline.console.out.getvalue().count("\n") == 1


def test_print_plan_is_json(pipeline):
    call(verb, "--print-plan")
    assert '"source_sha256"' in pipeline.console.out.getvalue()


def test_print_env_can_be_evaluated_and_leaves_the_library_path_alone(pipeline):
    call(verb, "--print-env")
    lines = pipeline.console.out.getvalue()
    script = (
        f'{lines}echo "$PYTHON_TSAN_PREFIX|$PYTHON_TSAN_CC|$PYTHON_TSAN_CXX|$PYTHON_TSAN_LIBRARY_PATH|$LD_LIBRARY_PATH"'
    )
    shown = subprocess.run(
        ["/bin/sh", "-c", script], env={"LD_LIBRARY_PATH": "/mine"}, capture_output=True, text=True, check=True
    ).stdout.strip()
    built = pipeline.interpreter
    assert shown == f"{built.prefix}|{built.cc}|{built.cxx}|{built.library.parent}|/mine"


def test_the_questions_exclude_each_other(pipeline):
    with pytest.raises(SystemExit):
        call(verb, "--print-env", "--print-key")
    assert pipeline.console.out.getvalue() == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--from", "a", "--export", "b"),
        ("--from", "a", "--print-key"),
        ("--export", "a", "--print-env"),
        ("--with-numpy",),
        ("--sha256", "00" * 32),
    ],
)
@pytest.mark.usefixtures("pipeline")
def test_options_of_archives_that_contradict_each_other_are_refused(words):
    with pytest.raises(UsageError):
        call(verb, *words)


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 65])
def test_what_is_no_hash_is_refused_before_anything_is_fetched(digest, capsys):
    with pytest.raises(SystemExit) as caught:
        call(verb, "--from", "http://127.0.0.1:9/a", "--sha256", digest)
    assert caught.value.code == 2
    assert f"must be 64 hexadecimal digits, not {digest!r}" in capsys.readouterr().err


def test_an_archive_goes_the_whole_way_by_the_verb(pipeline, tmp_path, monkeypatch):
    archive = tmp_path / "a.tar.zst"
    monkeypatch.setattr(restore, "describe_built", fake_build.describe)
    assert call(verb, "--export", str(archive)) is ExitCode.CLEAN
    assert pipeline.console.out.getvalue().strip() == hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(restore, "choose_toolchain", lambda *_arguments, **_named: pipeline.toolchain)
    pipeline.settings = fake_build.settings_for(tmp_path, cache=str(tmp_path / "elsewhere"))
    pipeline.layout = Layout(root=pipeline.settings.cache)
    assert call(verb, "--from", str(archive)) is ExitCode.CLEAN
    restored = pipeline.console.out.getvalue().split()[-1]
    assert restored == str(tmp_path / "elsewhere" / "interpreters" / pipeline.interpreter.key / "bin" / "python3.13")


def test_an_interpreter_that_the_settings_do_not_mean_is_named(pipeline):
    built = pipeline.interpreter
    plan = SimpleNamespace(key=built.key)
    copy = dataclasses.replace(built, key=f"{built.key}-numpy-2.5.5-abc")
    assert verb._other_options(built, plan, instrumented_numpy=False) == ""
    assert verb._other_options(copy, plan, instrumented_numpy=True) == ""
    assert verb._other_options(copy, plan, instrumented_numpy=False) == "--instrumented-numpy"
    threaded = dataclasses.replace(built, free_threaded=True)
    assert verb._other_options(threaded, None, instrumented_numpy=False) == (
        "--python 3.13.5 --free-threaded --toolchain clang-19"
    )


def test_an_empty_archive_is_not_passed_over(capsys):
    assert main(["build", "--from", ""]) == 2
    assert "--from is empty" in capsys.readouterr().err
