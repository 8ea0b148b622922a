import ast
import hashlib
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TREE = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
SESSIONS = [
    node
    for node in TREE.body
    if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(each) for each in node.decorator_list)
]
EXPECTED = [
    *("doctor", "build_python", "install_numpy", "build_harness", "check_gil", "check_imports"),
    *("verify", "verify_fast", "tests", "lint", "types", "bench", "gil_page", "fuzz", "golden", "wheel", "cli_pages"),
    *("coverage", "lock", "mutants", "tests_lowest", "tests_newest"),
    "cache_failures",
    "soak_verify",
    "kills",
    "examples",
    "schemas",
    "docs",
    "import_atlas",
    "import_score",
    "matrix",
    "test_python",
    "build_numpy",
    "wheels",
    "peers",
]


def test_every_session_is_there():
    assert sorted(node.name for node in SESSIONS) == sorted(EXPECTED)


def test_sessions_are_thin():
    long = [node.name for node in SESSIONS if len(node.body) > 12]
    assert long == []
    own_steps = {"cache_failures", "docs", "lint", "types", "fuzz", "wheel"}
    own_steps |= {"coverage", "lock", "mutants", "tests_lowest", "tests_newest"}
    assert all(node.end_lineno - node.lineno <= 3 for node in SESSIONS if node.name not in own_steps)


def test_each_session_says_what_it_is_for():
    assert all((ast.get_docstring(node) or "").endswith(".") for node in SESSIONS)


def test_words_after_the_dashes_are_read_in_sessions_only():
    readers = {node.name for node in TREE.body if isinstance(node, ast.FunctionDef) and ".posargs" in ast.unparse(node)}
    assert readers - {"run_tests"} <= set(EXPECTED)
    assert "requires=" not in ast.unparse(TREE), "nox hands these words to required sessions too"


class Session:
    """What `install` sees of a nox session."""

    def __init__(self, folder, *, no_install=False):
        self.virtualenv = type("Environment", (), {"location": str(folder)})
        self.installed = []
        self.no_install = no_install

    def install(self, *what):
        if not self.no_install:
            self.installed.append(what)

    def run_install(self, *command, log):
        assert log is False
        if not self.no_install:
            subprocess.run(command, check=True)


def install_of(tmp_path, pyproject, lock):
    """Return the noxfile's `install`, working on a pyproject.toml and a lock of the test."""
    (tmp_path / "pyproject.toml").write_text(pyproject)
    (tmp_path / "requirements-lock.txt").write_text(lock)
    (source,) = (node for node in TREE.body if isinstance(node, ast.FunctionDef) and node.name == "install")
    nox = type("nox", (), {"Session": Session, "project": type("p", (), {"dependency_groups": lambda _, *g: g})})
    scope = {"nox": nox, "hashlib": hashlib, "Path": Path, "ROOT": tmp_path, "PROJECT": {}}
    scope |= {"LOCK": tmp_path / "requirements-lock.txt", "LOCKED": ("--constraint", "requirements-lock.txt")}
    exec(compile(ast.Module([source], []), "noxfile.py", "exec"), scope)  # noqa: S102 -- the project's own noxfile
    return scope["install"]


def installs(tmp_path, session, *groups, pyproject="a = 1", lock="b==1"):
    install_of(tmp_path, pyproject, lock)(session, *groups)
    return len(session.installed)


def test_an_environment_is_filled_once(tmp_path):
    assert installs(tmp_path, Session(tmp_path), "test") == 1
    assert installs(tmp_path, Session(tmp_path), "test") == 0


def test_it_is_filled_again_when_the_project_the_lock_or_the_groups_change(tmp_path):
    assert installs(tmp_path, Session(tmp_path), "test") == 1
    assert installs(tmp_path, Session(tmp_path), "test", pyproject="a = 2") == 1
    assert installs(tmp_path, Session(tmp_path), "lint", pyproject="a = 2") == 1
    assert installs(tmp_path, Session(tmp_path), "lint", pyproject="a = 2", lock="b==2") == 1


def test_versions_and_build_tools_come_from_the_lock(tmp_path):
    session = Session(tmp_path)
    installs(tmp_path, session, "test")
    assert session.installed == [("--constraint", "requirements-lock.txt", "--editable", ".[verify]", "test")]
    (locked,) = (node for node in TREE.body if isinstance(node, ast.Assign) and ast.unparse(node).startswith("LOCKED"))
    assert "--build-constraint" in ast.unparse(locked)


def test_no_install_never_counts_as_installed(tmp_path):
    assert installs(tmp_path, Session(tmp_path, no_install=True)) == 0
    assert installs(tmp_path, Session(tmp_path)) == 1


def test_an_installation_that_was_cut_short_is_done_again(tmp_path):
    class Cut(Session):
        def install(self, *_what):
            raise KeyboardInterrupt

    assert installs(tmp_path, Session(tmp_path)) == 1
    with pytest.raises(KeyboardInterrupt):
        installs(tmp_path, Cut(tmp_path), pyproject="a = 2")
    assert installs(tmp_path, Session(tmp_path)) == 1
