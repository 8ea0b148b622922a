"""The composite action, step by step, on real programs; `build` and `install-numpy` are stood in."""

import importlib.util
import json
import os
import re
import subprocess

import pytest
from runner import ROOT, load, run_action

FOLDER = ROOT / ".github" / "actions" / "run"
ACTION = load(FOLDER / "action.yml")


def checker():
    """Import the script that checks the inputs."""
    spec = importlib.util.spec_from_file_location("check_inputs", FOLDER / "check_inputs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_checker_knows_the_inputs_of_the_action_and_their_defaults_pass():
    assert list(checker().INPUTS) == list(ACTION["inputs"])
    defaults = {name: each.get("default", "") for name, each in ACTION["inputs"].items()}
    assert checker().complaints(defaults | {"command": "./x"}) == []


def test_every_input_and_output_is_documented():
    page = (ROOT / "docs" / "github-actions.md").read_text()
    rows = set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE))
    workflow = load(ROOT / ".github" / "workflows" / "reusable-verify.yml")["on"]["workflow_call"]
    wanted = {*ACTION["inputs"], *ACTION["outputs"], *workflow["inputs"], *workflow["outputs"]}
    assert wanted - rows == set()
    assert rows - wanted == set()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"comand": "./x"}, "there is no input 'comand', did you mean 'command'?; command is needed"),
        ({"command": "./x", "python": "2.7"}, "python: '2.7' cannot be used"),
        ({"command": "./x", "free-threaded": "yes"}, "free-threaded: 'yes' cannot be used"),
        ({"command": "./x", "repeat": "0"}, "repeat: '0' cannot be used"),
        ({"command": "./x", "shard": "1"}, "shard: '1' cannot be used"),
        ({"command": "./x", "artifact": "a/b"}, "artifact: 'a/b' cannot be used"),
        ({"command": " \n"}, "command: ' \\n' cannot be used"),
        ({"command": "./x", "binding": "nanobind==3; rm"}, "binding: 'nanobind==3; rm' cannot be used"),
    ],
)
def test_inputs_that_mean_nothing_are_one_message_before_anything_happens(place, asked, given, words):
    machine = place()
    result, _ = run_action(machine, FOLDER, given)
    assert result == "failure"
    (first,) = (step for step in machine.steps if step.outcome == "failure" and step.said)
    assert first.name == "Check the inputs"
    assert first.said.startswith("::error title=python-tsan::")
    assert words in first.said
    assert first.said.count("\n") == 1
    assert (first.code, asked("pip"), asked("python-tsan")) == (2, [], [])


@pytest.mark.compiler
def test_a_racy_program_is_built_run_shown_and_fails_the_step(place, asked, racy):
    machine = place()
    build = racy(machine)
    given = {"command": "./racy 'two words' $HOME", "build": build, "repeat": "2", "own": "racy.cpp\n\nother.cpp",
             "binding": "", "upload-sarif": "true", "toolchain": ""}  # fmt: skip
    result, outputs = run_action(machine, FOLDER, given)
    assert result == "failure", [step.said for step in machine.steps]
    assert (outputs["verdict"], outputs["exit-code"], outputs["cache-hit"]) == ("findings", "1", "false")
    assert machine.step("Judge").code == 1
    assert "### " in machine.summary
    assert "racy.cpp" in machine.summary
    assert "::error" in machine.step("Run the program").said
    document = json.loads(machine.sarif[0])
    assert document["runs"][0]["results"][0]["ruleId"] == "data-race"
    kept = machine.store / "artifacts" / "python-tsan"
    assert {"report.html", "report.sarif", "junit.xml", "run.json"} <= {path.name for path in kept.rglob("*")}
    (asked_run,) = (line for line in asked("python-tsan") if line[0] == "run")
    assert asked_run[asked_run.index("--") + 1 :] == ["./racy", "two words", "$HOME"]
    assert asked_run.count("--own") == 2
    assert asked("pip") == [["--quiet", f"{ROOT}[verify]"]]


@pytest.mark.compiler
def test_the_interpreter_is_built_once_and_then_restored_by_its_key(place, asked, racy):
    codes = []
    for name in ("first", "second"):
        machine = place(name)
        build = racy(machine).replace("racy.cpp -o racy", "-x c++ - -o racy <<<'int main(){}'")
        given = {"command": "./racy", "build": build, "numpy": "true", "artifact": name}
        result, outputs = run_action(machine, FOLDER, given)
        codes.append((result, outputs["verdict"], outputs["cache-hit"]))
    assert codes == [("success", "clean", "false"), ("success", "clean", "true")]
    assert [line[1] for line in asked("python-tsan") if line[0] == "build"] == [
        "--print-key", "--export", "--print-env", "--print-key", "--from", "--print-env",
    ]  # fmt: skip
    assert [line for line in asked("python-tsan") if line[0] == "install-numpy"] == [["install-numpy"]] * 2


@pytest.mark.compiler
def test_settings_reach_the_program_through_the_environment_only(place, racy, monkeypatch):
    machine = place()
    poison = "$(touch poisoned); `touch poisoned`"
    given = {"command": f"./racy '{poison}'", "build": racy(machine), "own": poison, "expect": "race", "artifact": ""}
    result, outputs = run_action(machine, FOLDER, given)
    assert (result, outputs["verdict"]) == ("success", "clean")
    assert not list(machine.folder.rglob("poisoned"))
    assert machine.step("Upload the run").outcome == "skipped"
    monkeypatch.undo()


@pytest.mark.compiler
@pytest.mark.parametrize(("library", "version"), [("pybind11", "2.13.6"), ("nanobind", "3.1.0")])
@pytest.mark.usefixtures("with_compiler")
def test_a_binding_is_installed_found_by_cmake_and_recorded(place, asked, library, version):
    pytest.importorskip(library)
    machine = place()
    build = f'test -f "${library}_DIR/{library}-config.cmake" || test -f "${library}_DIR/{library}Config.cmake"'
    given = {"command": "true", "build": build, "binding": f"{library}=={version}"}
    run_action(machine, FOLDER, given)
    step = machine.step("Build the program")
    assert step.code == 0, step.said
    assert ["--quiet", f"{library}=={version}"] in asked("pip")
    (ran,) = (line for line in asked("python-tsan") if line[0] == "run")
    assert ran[ran.index("--fact") + 1] == f"binding={library} {version}"


@pytest.mark.compiler
def test_a_build_that_fails_fails_there_and_uploads_nothing(place, with_compiler):
    machine = place()
    result, outputs = run_action(machine, FOLDER, {"command": "./racy", "build": "exit 7"})
    assert result == "failure"
    assert machine.step("Build the program").code == 7
    assert outputs["verdict"] == ""
    assert machine.step("Upload the run").outcome == "skipped"
    assert with_compiler


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"command": "./missing"}, 6, "missing"),
        ({"command": "./racy 'open"}, 2, "cannot be split into words"),
        ({"command": "./racy", "expect": "nothing.toml"}, 2, "cannot read the expectation"),
        ({"command": "./racy", "shard": "2/2"}, 2, "leaves no run for shard 2/2"),
    ],
)
def test_a_run_that_cannot_be_is_one_message_with_the_designs_code(place, racy, given, code, words):
    machine = place()
    result, outputs = run_action(machine, FOLDER, {"build": racy(machine)} | given)
    step = machine.step("Run the program")
    assert result == "failure"
    assert (outputs["exit-code"], outputs["run"]) == (str(code), "")
    assert words in step.said
    assert step.said.count("error:") <= 1


def test_no_run_block_holds_an_expression():
    """What a caller gives reaches a shell through variables alone."""
    assert [step["name"] for step in ACTION["runs"]["steps"] if "${{" in step.get("run", "")] == []


def test_every_script_is_sound(tmp_path):
    for number, step in enumerate(step for step in ACTION["runs"]["steps"] if "run" in step):
        script = tmp_path / f"{number}.sh"
        script.write_text(step["run"])
        assert step["shell"] == "bash"
        subprocess.run(["bash", "-n", str(script)], check=True, env=os.environ)
