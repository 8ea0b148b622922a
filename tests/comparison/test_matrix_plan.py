from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_tsan.binding import BINDINGS, parse_binding
from python_tsan.matrix.model import Available, Axes, Combination, LeftOut
from python_tsan.matrix.plan import plan_matrix, refusal_of

HERE = Available(pythons=("3.11.2", "3.13.5"), toolchains=("clang-19", "gcc-12"), bindings=BINDINGS)
AXES = ("python", "free_threaded", "toolchain", "binding")


def names(available=HERE, **axes):
    return [each.slug for each in plan_matrix(available, Axes(**axes)).combinations]


def test_the_plan_of_a_machine():
    assert names() == [
        "3.11.2-clang-19-pybind11-2.13.6",
        "3.13.5-clang-19-pybind11-2.13.6",
        "3.13.5-clang-19-pybind11-3.0.4",
        "3.13.5-clang-19-nanobind-3.1.0",
        "3.13.5-gcc-12-pybind11-2.13.6",
        "3.13.5t-clang-19-pybind11-2.13.6",
        "3.13.5t-clang-19-pybind11-3.0.4",
        "3.13.5t-clang-19-nanobind-3.1.0",
        "3.13.5t-gcc-12-pybind11-2.13.6",
    ]


def test_what_a_binding_does_not_support_is_combined_with_one_that_does():
    newer = Available(pythons=("3.13.5", "3.14.1", "3.16.0"), toolchains=("clang-19",), bindings=BINDINGS[:2])
    plan = plan_matrix(newer, Axes())
    assert "3.14.1-clang-19-pybind11-3.0.4" in [each.slug for each in plan.combinations]
    assert not [each for each in plan.combinations if each.python == "3.16.0"]
    assert ("3.16.0, clang-19, pybind11 2.13.6", "pybind11 2 supports CPython up to 3.13") in [
        (each.what, each.reason) for each in plan.left_out
    ]


def test_an_axis_can_be_narrowed():
    assert all("t-" not in slug.split("clang")[0].split("gcc")[0] for slug in names(threading=(False,)))
    assert names(threading=(True,)) == ["3.13.5t-clang-19-pybind11-2.13.6", "3.13.5t-clang-19-pybind11-3.0.4",
                                        "3.13.5t-clang-19-nanobind-3.1.0",
                                        "3.13.5t-gcc-12-pybind11-2.13.6"]  # fmt: skip


def test_the_whole_matrix_is_every_combination_that_can_be():
    assert len(names(whole=True)) == 3 * 2 * 3


def test_what_is_left_out_has_its_reason():
    missing = LeftOut(what="CPython 3.12", reason="unavailable")
    without = Available(pythons=("3.11.2",), toolchains=(), bindings=BINDINGS[:1], missing=(missing,))
    plan = plan_matrix(without, Axes(threading=(False,)))
    assert plan.combinations == ()
    assert [each.what for each in plan.left_out] == ["CPython 3.12", "everything", "free-threaded builds"]


@pytest.mark.parametrize(
    ("python", "free", "binding", "words"),
    [
        ("3.12.11", True, "pybind11==3.0.4", "no free-threaded build"),
        ("3.14.0", False, "pybind11==2.13.6", "pybind11 2 supports CPython up to 3.13"),
        ("3.14.0rc1", True, "pybind11==3.0.4", ""),
        ("3.13.5", True, "pybind11==2.13.6", ""),
        ("3.16.0", False, "pybind11==3.0.4", "pybind11 3 supports CPython up to 3.15"),
        ("3.15.0", False, "pybind11==4.0.0", ""),
        ("3.15.0", True, "nanobind", ""),
    ],
)
def test_why_there_can_be_no_such_build(python, free, binding, words):
    made = refusal_of(
        Combination(python=python, free_threaded=free, toolchain="clang-19", binding=parse_binding(binding))
    )
    assert bool(made) is bool(words)
    assert words in made


SUBSETS = st.builds(
    Available,
    pythons=st.lists(st.sampled_from(["3.11.2", "3.12.11", "3.13.5", "3.14.10"]), min_size=1, unique=True).map(tuple),
    toolchains=st.lists(st.sampled_from(["clang-19", "gcc-12"]), min_size=1, unique=True).map(tuple),
    bindings=st.lists(st.sampled_from(BINDINGS), min_size=1, unique=True).map(tuple),
)


@settings(deadline=None)
@given(SUBSETS)
def test_every_combination_is_one_step_from_another(available):
    """Only then can a comparison say what makes a difference."""
    made = plan_matrix(available, Axes()).combinations
    for one in made:
        apart = [sum(getattr(one, axis) != getattr(other, axis) for axis in AXES) for other in made if other != one]
        assert not apart or min(apart) == 1


@settings(deadline=None)
@given(SUBSETS, st.booleans())
def test_nothing_is_planned_twice_or_that_cannot_be_and_all_of_it_was_available(available, whole):
    made = plan_matrix(available, Axes(whole=whole)).combinations
    assert len(set(made)) == len(made)
    for each in made:
        assert refusal_of(each) == ""
        assert each.python in available.pythons
        assert each.toolchain in available.toolchains
        assert each.binding in available.bindings
    assert all(one != two for one, two in pairwise(made))
