"""A runner for our own workflows and actions: real shells on the real `run:` blocks, without containers or GitHub.

What is real: the YAML, expressions, `env`, `if`, `outputs`, the shells with the options that GitHub gives them, and
the files GITHUB_OUTPUT, GITHUB_ENV, GITHUB_PATH and GITHUB_STEP_SUMMARY. What is stood in: actions of others (`uses:`
with a commit), each by a function that does to files what that action does; a test hands in programs that would take
hours or root through PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from expressions import condition, fill, text_of
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SHELLS = {
    # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
    None: ["bash", "-e"],
    "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
}
SECONDS = 100


def load(path):
    """Return a YAML file as plain values."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


class UnknownActionError(Exception):
    """An action that has no stand-in here."""


@dataclass
class Step:
    """What became of one step."""

    name: str
    outcome: str
    code: int = 0
    said: str = ""


@dataclass
class Machine:
    """One GitHub-hosted machine. ``store`` holds caches and artifacts, which outlive it."""

    folder: Path
    store: Path
    path: list = field(default_factory=list)
    env: dict = field(default_factory=dict)
    steps: list = field(default_factory=list)
    summary: str = ""
    sarif: list = field(default_factory=list)

    def __post_init__(self):
        for name in ("workspace", "temp", "files"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def workspace(self):
        return self.folder / "workspace"

    def contexts(self, **more):
        github = {"workspace": str(self.workspace), "workflow": "w", "ref": "refs/heads/main", "event_name": "push"}
        runner = {"temp": str(self.folder / "temp"), "os": "Linux", "arch": "X64"}
        return {"github": github, "runner": runner, "env": {}, "job": WORKFLOW, "steps": {}} | more

    def step(self, name):
        """Return the step of that name."""
        (found,) = (step for step in self.steps if step.name == name)
        return found


WORKFLOW = {"workflow_repository": "owner/python-tsan", "workflow_sha": "0" * 40}


def run_job(machine, job, *, inputs=None, matrix=None, needs=None):
    """Run a job's steps; return its result and its outputs."""
    contexts = machine.contexts(inputs=inputs or {}, matrix=matrix or {}, needs=needs or {})
    contexts["env"] = {key: text_of(value) for key, value in fill(job.get("env", {}), contexts).items()}
    status = run_steps(machine, job["steps"], contexts)
    return status, {name: text_of(value) for name, value in fill(job.get("outputs", {}), contexts).items()}


def run_action(machine, folder, given, *, env=None):
    """Run a composite action with the inputs ``given``; return its result and its outputs.

    As the runner does, inputs that the action does not declare are there too; it only warns of them.
    """
    action = load(folder / "action.yml")
    declared = {name: text_of(fill(each.get("default", ""), {})) for name, each in action["inputs"].items()}
    contexts = machine.contexts(inputs=declared | {name: text_of(value) for name, value in given.items()})
    contexts["env"] = env or {}
    contexts["github"]["action_path"] = str(folder)
    status = run_steps(machine, action["runs"]["steps"], contexts)
    outputs = {name: text_of(fill(each["value"], contexts)) for name, each in action["outputs"].items()}
    return status, outputs


def run_steps(machine, steps, contexts):
    """Run steps in order; after one that failed, only those that ask for it run."""
    status = "success"
    for number, step in enumerate(steps, start=1):
        name = step.get("name") or step.get("id") or step.get("uses") or f"step {number}"
        if not condition(step.get("if"), contexts, status=status):
            machine.steps.append(Step(name=name, outcome="skipped"))
            continue
        done, outputs = _run_step(machine, step, contexts, status)
        done.name = name
        machine.steps.append(done)
        if "id" in step:
            contexts["steps"][step["id"]] = {"outputs": outputs, "outcome": done.outcome}
        if done.outcome == "failure" and not step.get("continue-on-error"):
            status = "failure"
    return status


def _run_step(machine, step, contexts, status):
    env = contexts["env"] | {key: text_of(value) for key, value in fill(step.get("env", {}), contexts).items()}
    if "run" in step:
        return _run_script(machine, step, contexts, env, status)
    given = {name: text_of(value) for name, value in fill(step.get("with", {}), contexts).items()}
    uses = step["uses"]
    if uses.startswith(("$/", "./")):
        result, outputs = run_action(machine, ROOT / uses[2:], given, env=env)
        return Step(name="", outcome=result), outputs
    name = uses.partition("@")[0]
    if name not in STAND_INS:
        raise UnknownActionError(uses)
    return Step(name="", outcome="success"), STAND_INS[name](machine, given) or {}


def _run_script(machine, step, contexts, env, status):
    files = {name: machine.folder / "files" / name for name in ("output", "env", "path", "step_summary")}
    for file in files.values():
        file.write_text("")
    script = machine.folder / "files" / "script.sh"
    script.write_text(text_of(fill(step["run"], contexts, status=status)))
    where = machine.workspace / text_of(fill(step.get("working-directory", "."), contexts))
    told = {f"GITHUB_{name.upper()}": str(file) for name, file in files.items()}
    told["GITHUB_ACTION_PATH"] = contexts["github"].get("action_path", "")
    done = subprocess.run(
        [*SHELLS[step.get("shell")], str(script)],
        cwd=where,
        env={**os.environ, **machine.env, "PATH": os.pathsep.join([*machine.path, os.environ["PATH"]]), **env, **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    machine.summary += files["step_summary"].read_text()
    machine.env |= read_pairs(files["env"].read_text())
    machine.path[:0] = files["path"].read_text().split()
    outcome = "failure" if done.returncode else "success"
    return Step(name="", outcome=outcome, code=done.returncode, said=done.stdout), read_pairs(
        files["output"].read_text()
    )


def read_pairs(text):
    """Read ``name=value`` lines and ``name<<END`` blocks, as GITHUB_OUTPUT takes them; anything else is an error."""
    pairs, lines = {}, iter(text.splitlines())
    for line in lines:
        if block := re.fullmatch(r"([^=<]+)<<(.+)", line):
            inside = []
            for inner in lines:
                if inner == block[2]:
                    break
                inside.append(inner)
            pairs[block[1]] = "\n".join(inside)
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"GitHub cannot read {line!r}")
        pairs[name] = value
    return pairs


# What the actions of others do to files.


def _checkout(machine, given):
    """Put the sources where they are asked for: of this project if its repository is named, else leave the caller's."""
    if given.get("repository") == WORKFLOW["workflow_repository"]:
        target = machine.workspace / given["path"]
        target.symlink_to(ROOT)


def _restore(machine, given):
    kept = machine.store / "cache" / given["key"]
    if kept.is_file():
        shutil.copy(kept, given["path"])
    return {"cache-hit": "true" if kept.is_file() else ""}


def _save(machine, given):
    kept = machine.store / "cache" / given["key"]
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(given["path"], kept)


def _cache(_machine, given):
    assert given["key"]
    assert given["path"]
    return {"cache-hit": ""}


def _upload(machine, given):
    target = machine.store / "artifacts" / given["name"]
    assert not target.exists(), "the names of artifacts are unique in a run of a workflow"
    target.mkdir(parents=True)
    for name in given["path"].split():
        path = machine.workspace / name
        if path.is_dir() and len(given["path"].split()) == 1:
            shutil.copytree(path, target, symlinks=False, dirs_exist_ok=True)
        elif path.is_dir():
            shutil.copytree(path, target / path.name)
        elif path.is_file():
            shutil.copy(path, target)


def _download(machine, given):
    for found in (machine.store / "artifacts").glob(given["pattern"]):
        shutil.copytree(found, machine.workspace / given["path"] / found.name)


def _sarif(machine, given):
    machine.sarif.append(Path(given["sarif_file"]).read_text())


STAND_INS = {
    "actions/checkout": _checkout,
    "actions/setup-python": lambda *_: None,
    "actions/cache": _cache,
    "actions/cache/restore": _restore,
    "actions/cache/save": _save,
    "actions/upload-artifact": _upload,
    "actions/download-artifact": _download,
    "github/codeql-action/upload-sarif": _sarif,
}
