import pytest

from python_tsan.binding import BINDINGS, DEFAULT, Binding, Library, default_for, parse_binding
from python_tsan.cpython.locks import lock_named
from python_tsan.setting_values import NEWEST_MINOR


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pybind11==3.0.4", "pybind11 3.0.4"),
        ("pybind11 3.0.4", "pybind11 3.0.4"),
        ("nanobind==2.12.0", "nanobind 2.12.0"),
        ("nanobind==3.2.0rc1", "nanobind 3.2.0rc1"),
        ("pybind11", "pybind11 2.13.6"),
        ("nanobind", "nanobind 3.1.0"),
    ],
)
def test_a_binding_is_named_as_an_installer_names_it(text, name):
    assert str(parse_binding(text)) == name


@pytest.mark.parametrize(
    "text", ["", "boost", "3.0.4", "pybind11==", "pybind11==3", "pybind11>=3.0", "nanobind==../3.1.0",
             "nanobind==3.1.0 --index-url=x", "Nanobind"]
)  # fmt: skip
def test_what_names_none(text):
    assert parse_binding(text) is None


@pytest.mark.parametrize("binding", BINDINGS, ids=str)
def test_it_can_be_named_by_what_it_is_called(binding):
    assert parse_binding(binding.requirement) == parse_binding(str(binding)) == binding


@pytest.mark.parametrize("binding", BINDINGS, ids=str)
def test_what_a_matrix_is_made_of_is_locked(binding):
    lock = lock_named(binding.slug)
    assert lock is not None
    assert (lock.requirement, lock.version) == (binding.requirement, binding.version)


def test_the_default_comes_first_and_every_library_is_there():
    assert BINDINGS[0] == DEFAULT
    assert {binding.library for binding in BINDINGS} == set(Library)


def test_a_line_that_came_after_the_table_is_not_refused():
    later = Binding(library=Library.PYBIND11, version="4.0.0")
    assert later.line == "pybind11 4"
    assert later.newest_python == max(binding.newest_python for binding in BINDINGS)


@pytest.mark.parametrize("minor", range(11, NEWEST_MINOR + 1))
def test_every_supported_cpython_has_a_default_that_knows_it(minor):
    chosen = default_for((3, minor))
    assert chosen.newest_python >= (3, minor)
    assert not any(earlier.newest_python >= (3, minor) for earlier in BINDINGS[: BINDINGS.index(chosen)])


def test_a_cpython_that_none_knows_gets_one_of_the_newest():
    assert default_for((3, 99)).newest_python == max(binding.newest_python for binding in BINDINGS)


@pytest.mark.parametrize(
    ("version", "binding", "doubt"),
    [
        ("3.14.2", "pybind11==2.13.6", "pybind11 2 supports CPython up to 3.13"),
        ("3.16.0a0", "pybind11==3.0.4", "pybind11 3 supports CPython up to 3.15"),
        ("3.15.2", "nanobind==2.12.0", "nanobind 2 supports CPython up to 3.14"),
        ("3.15.2", "pybind11==3.0.1", ""),
        ("3.13.5", "pybind11==2.13.6", ""),
        ("3.11.2", "nanobind==3.1.0", ""),
    ],
)
def test_a_cpython_may_be_newer_than_a_binding_supports(version, binding, doubt):
    assert parse_binding(binding).doubt_about(version) == doubt
