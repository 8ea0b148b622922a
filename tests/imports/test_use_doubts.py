"""What module locks do not explain: an import with a lock held, after a fork, in a signal handler, in a ``__del__``."""

import json
import sys

import pytest
from lazy_python import LAZY, needs_lazy, tree

from python_tsan.cli.main import main
from python_tsan.imports.cases.import_cases.further_locks import FORK, USER_LOCK
from python_tsan.imports.cases.import_cases.lazy_rows import LAZY_FINALIZER, LAZY_FORK, LAZY_USER_LOCK
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.preimport import plan
from python_tsan.imports.scan import scan

HERE = identify([sys.executable])
SHARED = "import threading\n\nLOCK = threading.Lock()\nOTHER = threading.Lock()\n"
SERVICE = "import shared\n\nwith shared.LOCK:\n    VALUE = 1\n"


def write(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Probe(python=HERE, path=(folder,))


def doubts_of(probe, *entries, main=()):
    found = scan(probe, entries or ("user",), calls=True, main=main)
    assert found.problems == {}
    return [(each.entry, each.module, int(each.where.rpartition(":")[2])) for each in found.doubts]


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ("import shared\ndef f():\n    with shared.LOCK:\n        import service\n", 4),
        ("from shared import LOCK\ndef f():\n    with LOCK:\n        from service import VALUE\n", 4),
        ("from shared import LOCK as guard\ndef f():\n    with guard: import service\n", 3),
        (
            "import shared\nclass C:\n    def f(self):\n        with shared.OTHER, shared.LOCK: import service\n",
            4,
        ),
        ("import shared\ndef f():\n    shared.LOCK.acquire()\n    import service\n    shared.LOCK.release()\n", 4),
        ("import shared, importlib\ndef f():\n    with shared.LOCK:\n        importlib.import_module('service')\n", 4),
    ],
)
def test_an_import_with_a_lock_held_that_the_body_takes(user, line, tmp_path):
    probe = write(tmp_path, {"shared.py": SHARED, "service.py": SERVICE, "user.py": user})
    call = "user:C.f" if "class" in user else "user:f"
    assert doubts_of(probe) == [(call, "service", line)]
    assert doubts_of(probe, main=("service",)) == []


PACKAGE = {"pkg/__init__.py": "", "pkg/part.py": SERVICE, "shared.py": SHARED}
IN_PACKAGE = "import pkg, shared\ndef f():\n    with shared.LOCK:\n        from pkg import part\n"


def test_a_part_of_a_package_that_is_there(tmp_path):
    probe = write(tmp_path, {**PACKAGE, "user.py": IN_PACKAGE})
    assert doubts_of(probe) == [("user:f", "pkg.part", 4)]
    assert doubts_of(probe, main=("pkg",)) == [("user:f", "pkg.part", 4)]
    assert doubts_of(probe, main=("pkg.part",)) == []


def test_a_package_that_is_there_takes_no_lock_again(tmp_path):
    files = {**PACKAGE, "pkg/__init__.py": SERVICE, "pkg/part.py": "", "user.py": IN_PACKAGE}
    assert doubts_of(write(tmp_path, files)) == []


def test_a_list_for_the_main_thread_has_the_module(tmp_path):
    assert plan(write(tmp_path, {**PACKAGE, "user.py": IN_PACKAGE}), ["user"], runs=1).modules == ("pkg.part",)


@pytest.mark.parametrize(
    "user",
    [
        "import shared\ndef f():\n    import service\n    with shared.LOCK:\n        import service\n",
        "import shared\ndef f():\n    with shared.OTHER:\n        import service\n",
        "import shared\ndef f():\n    with shared.LOCK:\n        pass\n    import service\n",
        "import shared\ndef f():\n    shared.LOCK.acquire()\n    shared.LOCK.release()\n    import service\n",
        "import shared, service\ndef f():\n    with shared.LOCK:\n        import service\n",
        "import threading\nLOCK = threading.Lock()\ndef f():\n    with LOCK:\n        import service\n",
    ],
)
def test_a_harmless_twin_has_no_doubt(user, tmp_path):
    assert doubts_of(write(tmp_path, {"shared.py": SHARED, "service.py": SERVICE, "user.py": user})) == []


@pytest.mark.parametrize(
    "service",
    [
        "import inner\n",
        "from pkg import part\n",
        "import shared\ndef register():\n    with shared.LOCK:\n        pass\nregister()\n",
        "import shared\ntry:\n    shared.LOCK.acquire()\nfinally:\n    shared.LOCK.release()\n",
    ],
)
def test_the_lock_may_be_taken_by_what_the_module_loads_or_calls(service, tmp_path):
    user = "import shared\ndef f():\n    with shared.LOCK:\n        import service\n"
    files = {"shared.py": SHARED, "inner.py": SERVICE, "pkg/__init__.py": "", "pkg/part.py": SERVICE}
    assert doubts_of(write(tmp_path, {**files, "service.py": service, "user.py": user})) == [("user:f", "service", 4)]


REGISTRY = """\
import threading

class Registry:
    shared = threading.RLock()
    def __init__(self): self.lock = threading.RLock()
    def get(self):
        with self.lock: {0}
    @classmethod
    def find(cls):
        with cls.shared: {0}
    def put(self, value):
        with self.lock: pass
    def add(self, value): self.put(value)

REGISTRY = Registry()
LOCK = REGISTRY.lock
OTHER = threading.RLock()

def register(function):
    guard = Registry.shared
    with guard: return function
"""


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("import user\nuser.REGISTRY.put(1)\n", "user:Registry.get"),
        ("from user import REGISTRY as held\nheld.add(1)\n", "user:Registry.get"),
        ("import user\nwith user.LOCK: pass\n", "user:Registry.get"),
        ("import again\nwith again.kept: pass\n", "user:Registry.get"),
        ("import user\nuser.register(len)\n", "user:Registry.find"),
        ("from user import register\n@register\ndef f(): pass\n", "user:Registry.find"),
        ("import user\nclass K:\n    def __init__(self): user.register(1)\nK()\n", "user:Registry.find"),
        (("import contextlib, user\nwith contextlib.ExitStack() as stack:\n"
         "    stack.enter_context(user.Registry.shared)\n"), "user:Registry.find"),
        ("import user\nwith user.OTHER: pass\n", ""),
        ("from user import register\ndef f(): register(1)\n", ""),
    ],
)  # fmt: skip
def test_a_lock_is_known_by_its_class_its_object_and_every_name_of_it(service, call, tmp_path):
    files = {"user.py": REGISTRY.format("import service"), "again.py": "from user import LOCK as kept\n"}
    found = doubts_of(write(tmp_path, {**files, "service.py": service}))
    assert [(entry, module) for entry, module, _ in found] == ([(call, "service")] if call else [])


def test_a_lock_is_held_round_a_call_of_a_function_that_imports(tmp_path):
    user = "import shared\ndef load(): import service\ndef f():\n    with shared.LOCK:\n        load()\n"
    files = {"shared.py": SHARED, "service.py": SERVICE, "user.py": user}
    assert doubts_of(write(tmp_path, files)) == [("user:f", "service", 5)]


def test_names_that_mean_each_other_come_to_an_end(tmp_path):
    files = {"a.py": "import b\nx = b.x\nb.x = 1\n", "b.py": "x = 1\nimport a\nfrom a import x\nx = a.x\n"}
    user = "import shared\ndef f():\n    with shared.LOCK:\n        import service\n"
    service = "import b\nwith b.x.lock: pass\n"
    files = {"a.py": "x = 1\nfrom b import x\n", "b.py": "class x: lock = __import__('shared').LOCK\nfrom a import x\n"}
    write(tmp_path, {**files, "shared.py": SHARED, "service.py": service, "user.py": user})
    assert doubts_of(Probe(python=HERE, path=(tmp_path,))) == []


def test_a_function_of_the_service_that_nothing_calls_takes_no_lock(tmp_path):
    user = "import shared\ndef f():\n    with shared.LOCK:\n        import service\n"
    service = "import shared\ndef register():\n    with shared.LOCK:\n        pass\n"
    assert doubts_of(write(tmp_path, {"shared.py": SHARED, "service.py": service, "user.py": user})) == []


def test_every_form_shows_it_and_the_exit_code_is_that_of_a_doubt(tmp_path, capsys):
    user = "import shared\ndef f():\n    with shared.LOCK:\n        import service\n"
    write(tmp_path, {"shared.py": SHARED, "service.py": SERVICE, "user.py": user})
    words = ["imports", "scan", "user", "--python", sys.executable, "--path", str(tmp_path)]
    for form in ("terminal", "markdown", "html", "json"):
        assert main([*words, "--format", form]) == 6
        out = " ".join(capsys.readouterr().out.split())
        assert "shared.LOCK held" in out.replace("\\", "")
        assert "import service on the main thread first" in out
    assert main([*words, "--format", "json"]) == 6
    (doubt,) = json.loads(capsys.readouterr().out)["doubts"]
    assert (doubt["entry"], doubt["module"], doubt["statement"]) == ("user:f", "service", "import service")


LAZILY = {
    "lock": "import shared\nlazy import service\ndef f():\n    with shared.LOCK:\n        return service.VALUE\n",
    "finalizer": "lazy import service\nclass C:\n    def __del__(self):\n        service.VALUE\n",
    "handler": "import signal\nlazy import service\ndef h(*_):\n    service.VALUE\nsignal.signal(signal.SIGUSR1, h)\n",
    "fork": "import os\nlazy import service\ndef f():\n    if not os.fork():\n        service.VALUE\n",
}
TWINS = {
    "lock": "import shared\nlazy import service\ndef f():\n    service.VALUE\n    with shared.LOCK: return 1\n",
    "finalizer": "lazy import service\nclass C:\n    def close(self):\n        service.VALUE\n",
    "handler": "import signal\nlazy import service\ndef h(*_):\n    service.VALUE\nprint(h)\n",
    "fork": "import os\nlazy import service\ndef f():\n    service.VALUE\n    os.fork()\n",
}


@needs_lazy
@pytest.mark.parametrize("kind", list(LAZILY))
def test_a_use_of_a_lazy_name_where_nobody_may_wait(kind, tmp_path):
    files = {"shared.py": SHARED, "service.py": SERVICE}
    probe = tree(tmp_path, {**files, "user.py": LAZILY[kind]})
    assert [module for _, module, _ in doubts_of(probe)] == ["service"]
    assert doubts_of(probe, main=("service",)) == []
    assert doubts_of(tree(tmp_path / "twin", {**files, "user.py": TWINS[kind]})) == []


@needs_lazy
def test_the_same_program_under_mode_all(tmp_path):
    files = {"shared.py": SHARED, "service.py": SERVICE, "user.py": LAZILY["finalizer"].replace("lazy ", "")}
    assert [call for call, _, _ in doubts_of(tree(tmp_path, files, lazy="all"))] == ["user:C.__del__"]
    assert doubts_of(tree(tmp_path, files)) == []
    assert LAZY is not None


@needs_lazy
@pytest.mark.parametrize(
    ("row", "call"), [(LAZY_USER_LOCK, "user:one"), (LAZY_FORK, "forker:fork"), (LAZY_FINALIZER, "user:Last.__del__")]
)
def test_rows_of_the_table_are_predicted(row, call, tmp_path):
    assert call in [each for each, _, _ in doubts_of(tree(tmp_path, dict(row.tree)), call.partition(":")[0])]


@pytest.mark.parametrize(
    ("row", "entries", "doubt"),
    [
        (USER_LOCK, ("client", "service"), ("client", "service", 4)),
        (FORK, ("forker", "slow"), ("forker:fork", "slow", 11)),
    ],
)
def test_rows_without_lazy_imports_are_predicted_too(row, entries, doubt, tmp_path):
    # A plain lock that the trace's one thread takes twice would end it.
    files = {path: text.replace("Lock()", "RLock()") for path, text in row.tree.items()}
    assert doubts_of(write(tmp_path, files), *entries) == [doubt]
