"""Concurrent imports: each deadlock, with its message and the thread that gets it, and its mitigation.

The expectation depends on the Python version; ``python_tsan/imports/outcomes.toml`` has the table. A hang must also
show who waits for whom, in agreement with the saved stacks.
"""

import re

import pytest

pytestmark = pytest.mark.scenarios("imports")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()


def _one_imports_and_one_waits(subject):
    """Assert that the Python stacks show one worker inside an import, and the other at the native lock."""
    for observation in subject.observations:
        blocks = _python_stacks(observation).split("hread 0x")
        waiting = [block for block in blocks if "in wait_for_native_lock" in block]
        importing = [block for block in blocks if "in exec_module" in block]
        assert len(waiting) == 1, "no thread waits for the native lock"
        assert len(importing) == 1, "no thread is inside an import"


def _python_stacks(observation):
    (python,) = [path for path in observation.stacks if path.name == "stacks-python.txt"]
    return python.read_text(encoding="utf-8")


@pytest.mark.scenarios("imports", name="imports_global_lock_wrong_order")
def test_stacks_show_the_mutex(subject):
    """The stacks of the hang lead to the thread that waits with the GIL held, and to the import."""
    _one_imports_and_one_waits(subject)


@pytest.mark.scenarios("imports", name="imports_call_once")
def test_stacks_show_call_once(subject):
    """The stacks of the hang lead to the thread that waits with the GIL held, and to the import."""
    _one_imports_and_one_waits(subject)


@pytest.mark.scenarios("imports", name="imports_static_guard")
def test_stacks_show_the_static_guard(subject):
    """The stacks of the hang lead to the thread that waits with the GIL held, and to the import."""
    _one_imports_and_one_waits(subject)


@pytest.mark.scenarios("imports", name="imports_fork")
def test_stacks_show_the_child(subject):
    """The child waits in its import. Under the sanitizer a forked child answers no signal: it has no Python stack."""
    for observation in subject.observations:
        child = [path for path in observation.stacks if re.fullmatch(r"stacks-native\.\d+\.txt", path.name)]
        assert len(child) == 1, "the subject's process group has no child"
        text = child[0].read_text(encoding="utf-8")
        # Without permission to attach, the kernel shows only that the child exists and waits.
        assert "PyImport_ImportModuleLevelObject" in text or text.startswith("# /proc"), "the child does not import"
