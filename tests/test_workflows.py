import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
TEXT_FILES = {".py", ".toml", ".md", ".yml", ".yaml", ".cpp", ".hpp", ".cmake", ".txt", ".json", ".in", ""}

each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


def tracked_texts():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXT_FILES and path.is_file() and path != Path(__file__)]


def test_there_are_workflows():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "reusable-verify.yml", "verify.yml"]
    assert [path.parent.name for path in ACTIONS] == ["run"]


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_with_its_version_or_our_own(file):
    uses = [use for use in re.findall(r"uses: (.*)", file.read_text()) if not use.startswith("$/")]
    assert uses
    assert [use for use in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_one_action_has_one_pin():
    pins = {pin for path in [*WORKFLOWS, *ACTIONS] for pin in re.findall(r"uses: (\S+@\S+)", path.read_text())}
    assert len({pin.split("@")[0] for pin in pins}) == len(pins)


@each_workflow
def test_nothing_is_permitted_at_the_top_and_every_job_has_a_limit(workflow):
    text = workflow.read_text()
    assert "\npermissions: {}\n" in text
    # A workflow that is called runs in its caller's group: with one of its own, each would wait for the other.
    assert ("\nconcurrency:\n" in text) is ("workflow_call:" not in text)
    assert text.count("\n    runs-on:") == text.count("\n    timeout-minutes:") > 0


def test_the_files_of_a_run_are_kept_after_every_outcome():
    steps = (ROOT / ".github" / "workflows" / "verify.yml").read_text().split("\n      - ")
    (upload,) = (step for step in steps if "actions/upload-artifact@" in step)
    assert "if: always()" in upload
    assert "runs\n" in upload
    assert ".cache/logs\n" in upload


def test_the_cache_is_keyed_by_the_content_key():
    text = (ROOT / ".github" / "workflows" / "verify.yml").read_text()
    assert "build --print-key" in text
    assert "steps.plan.outputs.key" in text.split("actions/cache@")[1].split("- run")[0]


def test_no_file_names_a_folder_of_one_machine():
    machine = re.compile(r"(?<![\w.*])/(?:work|root)/[a-z]")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked_texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if machine.search(line)
    ]
    assert found == []
