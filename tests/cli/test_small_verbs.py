"""The verbs that print what a stage made: `install-numpy`, `build-harness`, `interpreter`, `cmake-dir`."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from python_tsan.cli import build_harness, install_numpy, interpreter
from python_tsan.cli.main import main
from python_tsan.console import make_console
from python_tsan.errors import SubjectError, ToolchainError
from python_tsan.paths import native_folder

SCENARIOS = [SimpleNamespace(name="counter_guarded", group="gil", summary="two threads, one lock")]


class Pipeline:
    """Stages that record when they run."""

    def __init__(self):
        self.ran = []

    @property
    def console(self):
        return make_console()

    @property
    def interpreter_with_numpy(self):
        self.ran.append("numpy")
        return SimpleNamespace(executable=Path("/cache/bin/python3"))

    @property
    def harness(self):
        self.ran.append("harness")
        return SimpleNamespace(scenarios=SCENARIOS)


@pytest.fixture
def pipeline(monkeypatch):
    made = Pipeline()
    for module in (build_harness, install_numpy):
        monkeypatch.setattr(module, "open_pipeline", lambda _: made)
    return made


def test_install_numpy_prints_the_interpreter(pipeline, capsys):
    assert main(["install-numpy"]) == 0
    assert capsys.readouterr().out == "/cache/bin/python3\n"
    assert pipeline.ran == ["numpy"]


def test_build_harness_prints_the_scenarios_on_request(pipeline, capsys):
    assert main(["build-harness"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["build-harness", "--list"]) == 0
    assert "counter_guarded" in capsys.readouterr().out
    assert pipeline.ran == ["harness", "harness"]


@pytest.fixture
def found(monkeypatch):
    """Return the interpreters that are found, by lane; empty at first."""
    made = {}
    monkeypatch.setattr(interpreter, "choose_toolchain", lambda *_, **__: "clang")
    monkeypatch.setattr(interpreter, "find_built", lambda *_, **__: made.get("full"))
    monkeypatch.setattr(interpreter, "find_stock", lambda *_, **__: made.get("fast"))
    monkeypatch.setattr(interpreter, "MANIFESTS", SimpleNamespace(encode=str.encode))
    return made


@pytest.mark.parametrize("lane", ["full", "fast"])
def test_interpreter_prints_the_one_of_the_lane(lane, found, capsys):
    found[lane] = f"the {lane} one"
    assert main(["interpreter", "--lane", lane]) == 0
    assert capsys.readouterr().out == f"the {lane} one\n"


@pytest.mark.parametrize(("lane", "words"), [("full", "python-tsan build"), ("fast", "--lane full")])
@pytest.mark.usefixtures("found")
def test_an_interpreter_that_is_not_there_says_how_to_get_it(lane, words, capsys):
    assert main(["interpreter", "--lane", lane]) == SubjectError.exit_code
    shown = capsys.readouterr().err
    assert words in shown
    assert "docs/errors.md#no-interpreter" in shown


@pytest.mark.usefixtures("found")
def test_an_interpreter_of_other_settings_is_named(monkeypatch, capsys):
    monkeypatch.setattr(interpreter, "built_differently", lambda version, _: f"{version} from elsewhere")
    assert main(["interpreter", "--python", "3.14.7"]) == SubjectError.exit_code
    assert "build it with `python-tsan build`; 3.14.7 from elsewhere" in " ".join(capsys.readouterr().err.split())


@pytest.mark.usefixtures("found")
def test_without_a_compiler_it_is_a_toolchain_error(monkeypatch, capsys):
    def missing(*_, **__):
        raise ToolchainError("no compiler")

    monkeypatch.setattr(interpreter, "choose_toolchain", missing)
    assert main(["interpreter"]) == 3
    assert "no compiler" in capsys.readouterr().err


def test_cmake_dir_is_the_folder_of_the_package(capsys):
    assert main(["cmake-dir"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder == native_folder() / "package"
    assert (folder / "toolchain.cmake").is_file()
