"""python_tsan.safe_import, copied as one file into a folder, on every interpreter at hand."""

import os
import shutil
import subprocess

import pytest
from cycling import CYCLE, SYNC, THREADS, write_files
from lazy_python import LAZY

from python_tsan import safe_import as module
from tools.pythons import pythons_at_hand

PYTHONS = list({python.version: python for python in [*pythons_at_hand(), *filter(None, [LAZY])]}.values())


@pytest.fixture(params=PYTHONS, ids=[python.text for python in PYTHONS])
def play(request, tmp_path):
    shutil.copy(module.__file__, tmp_path)

    def run(files, code):
        write_files(tmp_path, files)
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env |= {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*request.param.command, "-c", code]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=20).stdout.split()

    run.version = request.param.version
    return run


def test_a_cycle_that_breaks_plain_imports_is_imported_whole(play):
    if play.version < module.FIXED_IN:
        plain = THREADS.format(module="importlib", function="import_module", names=["a", "b"])
        assert "_DeadlockError" in play(CYCLE, plain)
    safe = THREADS.format(module="safe_import", function="safe_import", names=["a", "b"])
    assert play(CYCLE, safe) == ["a", "b"]


def test_parents_come_first_and_the_leaf_is_returned(play):
    files = {"p/__init__.py": "print('p')\n", "p/q/__init__.py": "print('q')\n", "p/q/r.py": "print('r')\n"}
    code = "from safe_import import safe_import; print(safe_import('p.q.r').__name__)"
    assert play(files, code) == ["p", "q", "r", "p.q.r"]


def test_a_thread_inside_an_import_waits_for_nobodys_turn(play):
    files = {
        "sync.py": SYNC,
        "outer.py": "import safe_import, sync\nsync.A.set()\nsync.B.wait(9)\nsafe_import.safe_import('inner')\n",
        "inner.py": "",
        "other.py": "import sync\nsync.A.wait(9)\nsync.B.set()\nimport outer\n",
    }
    code = (
        "import safe_import, threading\n"
        "one = threading.Thread(target=__import__, args=('outer',))\n"
        "two = threading.Thread(target=safe_import.safe_import, args=('other',))\n"
        "one.start(); two.start(); one.join(); two.join(); print('through')\n"
    )
    assert play(files, code) == ["through"]


def test_errors_are_pythons_own_and_leave_the_turn_free(play):
    code = (
        "from safe_import import safe_import\n"
        "for name in ('', '.x', 'missing', 'missing.x', 'bad', 'os.nothing'):\n"
        "    try:\n"
        "        safe_import(name)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
        "print(safe_import('csv').__name__)\n"
    )
    missing = "ModuleNotFoundError"
    told = play({"bad.py": "1 / 0\n"}, code)
    assert told == ["ValueError", "TypeError", missing, missing, "ZeroDivisionError", missing, "csv"]


def test_a_forbidden_import_stays_forbidden(play):
    code = (
        "import sys\nfrom safe_import import safe_import\nsys.modules['csv'] = None\n"
        "try:\n    safe_import('csv')\nexcept ImportError as error:\n    print(type(error).__name__)\n"
    )
    assert play({}, code) == ["ModuleNotFoundError"]


def test_a_child_of_a_fork_can_import(play):
    code = (
        "import os, threading\nfrom safe_import import safe_import, is_needed\n"
        "import sync\n"
        "thread = threading.Thread(target=safe_import, args=('slow',))\nthread.start()\nsync.A.wait()\n"
        "child = os.fork() if is_needed() else 0\n"
        "if child == 0 and is_needed():\n    safe_import('slow'); os._exit(0)\n"
        "print(os.waitpid(child, 0)[1] if child else 0)\n"
    )
    files = {"sync.py": SYNC, "slow.py": "import sync, time\nsync.A.set()\ntime.sleep(0.3)\n"}
    assert play(files, code) == ["0"]


def test_it_needs_nothing_but_the_standard_library(play):
    code = (
        "import sys\nbefore = set(sys.modules)\nimport safe_import\n"
        "names = getattr(sys, 'stdlib_module_names', sys.modules)\n"
        "print(*sorted(n for n in set(sys.modules) - before if n.partition('.')[0] not in names))\n"
    )
    assert play({}, code) in (["safe_import"], [])  # 3.9 has no list of its own modules


@pytest.mark.parametrize(
    ("version", "name", "needed"),
    [((3, 9, 18), "cpython", True), ((3, 15, 1), "cpython", True), ((3, 15, 2), "cpython", False),
     ((3, 16, 0), "cpython", False), ((3, 11, 13), "pypy", False)],
)  # fmt: skip
def test_it_is_needed_where_cpython_is_not_fixed(monkeypatch, version, name, needed):
    monkeypatch.setattr(module.sys, "version_info", (*version, "final", 0))
    monkeypatch.setattr(module.sys.implementation, "name", name)
    assert module.is_needed() is needed


def test_where_it_is_not_needed_it_does_nothing(monkeypatch):
    monkeypatch.setattr(module, "is_needed", lambda: False)
    monkeypatch.setattr(module, "_turn", None)
    monkeypatch.setattr(module, "_complete", None)
    assert module.safe_import("csv").__name__ == "csv"


def test_the_lazy_names_of_a_module_are_imported_and_only_those(play):
    """Before 3.15 a program may use the words of the syntax, and nothing is lazy."""
    lazy = "lazy " if play.version >= (3, 15) else ""
    files = {
        "m.py": f"{lazy}import q\n{lazy}from r import V as W\nX = 1\n",
        "q.py": "print('q')\n",
        "r.py": "V = print('r')\n",
    }
    code = (
        "import m, safe_import\n"
        "print('imported')\n"
        "safe_import.import_lazy_names(m)\n"
        "print(*(type(each).__name__ for each in (vars(m)['q'], vars(m)['W'])))\n"
        "safe_import.import_lazy_names(m)\n"
    )
    before, after = (["imported", "q", "r"], []) if lazy else (["q", "r", "imported"], [])
    assert play(files, code) == [*before, "module", "NoneType", *after]


def test_a_submodule_that_a_lazy_name_reaches_is_imported_too(play):
    """The name ``p`` of ``lazy import p.m`` is the package alone, and the attribute another use."""
    if play.version < (3, 15):
        pytest.skip("there are no lazy names")
    files = {
        "m.py": "lazy import p.a\nlazy import p.b.c\nlazy import p.d as d\nlazy from q import V\n",
        "other.py": "lazy import p.missing\nlazy import r.s\n",
        **{f"{name}.py": f"print({name!r})\n" for name in ("p/a", "p/b/c", "p/d", "r/s")},
        **{f"{name}/__init__.py": "" for name in ("p", "p/b", "r")},
        "q.py": "V = 1\n",
    }
    code = (
        "import m, other, safe_import\n"
        "safe_import.import_lazy_names(m)\n"
        "print('imported')\n"
        "m.p.a, m.p.b.c, m.d, m.V\n"
        "safe_import.import_lazy_names(m)\n"
    )
    printed = play(files, code)
    assert sorted(printed[:-1]) == ["p/a", "p/b/c", "p/d"]
    assert printed[-1] == "imported"


def test_a_lazy_name_that_fails_raises_its_own_error(play):
    if play.version < (3, 15):
        pytest.skip("there are no lazy names")
    code = (
        "import m, safe_import\n"
        "try:\n"
        "    safe_import.import_lazy_names(m)\n"
        "except LookupError as error:\n"
        "    print(type(error).__name__, 'q' in vars(m))\n"
    )
    assert play({"m.py": "lazy import q\n", "q.py": "raise LookupError\n"}, code) == ["LookupError", "True"]


def test_the_file_itself_works_where_all_imports_are_lazy(play):
    if play.version < (3, 15):
        pytest.skip("there are no lazy imports")
    code = (
        "import sys\n"
        "sys.set_lazy_imports('all')\n"
        "from safe_import import import_lazy_names, safe_import\n"
        "module = safe_import('m')\n"
        "print(type(module).__name__, type(vars(module)['q']).__name__)\n"
        "import_lazy_names(module)\n"
        "print(type(vars(module)['q']).__name__)\n"
    )
    assert play({"m.py": "import q\n", "q.py": ""}, code) == ["module", "lazy_import", "module"]
