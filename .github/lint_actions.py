"""Lint composite actions with actionlint, which reads only workflows: convert each action to a workflow first.

Scripts, expressions, contexts and outputs of steps are checked; what a workflow cannot contain is left out.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML


def as_workflow(action: dict) -> dict:
    """Return a workflow with the steps and the inputs of an action, its outputs as those of the job."""
    kept = ("description", "required", "default")
    inputs = {
        name: {"type": "string", **{key: each[key] for key in kept if key in each}}
        for name, each in action["inputs"].items()
    }
    job = {
        "runs-on": "ubuntu-24.04",
        "outputs": {name: each["value"] for name, each in action["outputs"].items()},
        "steps": action["runs"]["steps"],
    }
    return {"on": {"workflow_call": {"inputs": inputs}}, "permissions": {}, "jobs": {"action": job}}


def main(paths: list[str]) -> int:
    """Lint each action; return 1 if anything is wrong with one of them."""
    wrong = 0
    for path in paths:
        action = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder:
            workflow = Path(folder) / "workflow.yml"
            YAML().dump(as_workflow(action), workflow)
            done = subprocess.run(["actionlint", str(workflow)], check=False)  # noqa: S607 -- the session's own
        if done.returncode:
            sys.stderr.write(f"{path}: see above; the lines are those of the workflow that it was turned into\n")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
