"""What is known of blind spots is read whole or refused, and an entry never matches by the user's frames alone."""

from pathlib import Path

import pytest

from python_tsan.errors import UsageError
from python_tsan.result.blind_spots import Treatment, blind_objects, blind_spots, module_name, parse_blind_spots
from python_tsan.result.model import SharedObject

ROOT = Path(__file__).parents[2]
ENTRY = """
[[blind_spot]]
name = "lib"
title = "Lib"
treatment = "set aside"
objects = ["liblocks.so*"]
false = "races"
why = "futexes"
helps = "nothing"
measured = [{ version = "1", runtime = "gcc 12", on = "2026-11-30", seen = "3 of 3" }]
"""


def loaded(*paths, instrumented=False):
    return [SharedObject(path=path, instrumented=instrumented) for path in paths]


def test_an_entry_is_read():
    (spot,) = parse_blind_spots(ENTRY, "x.toml")
    assert (spot.name, spot.treatment, spot.objects) == ("lib", Treatment.SET_ASIDE, ("liblocks.so*",))
    assert spot.measured[0].runtime == "gcc 12"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('name = "lib"', 'name = "lib"\ncolour = 1', "unknown field `colour`"),
        ('title = "Lib"', "", "missing required field `title`"),
        ('"set aside"', '"ignored"', "Invalid enum value 'ignored'"),
        ('objects = ["liblocks.so*"]', "", "nothing recognises what is set aside"),
        ('objects = ["liblocks.so*"]', 'variables = ["g_*"]', "the pattern 'g_*' would match the user's own"),
        (
            'objects = ["liblocks.so*"]',
            'inside = ["*::load"]',
            "the pattern '*::load' would match the user's own names",
        ),
        ('["liblocks.so*"]', '["*"]', "would match the user's own"),
        ('["liblocks.so*"]', '["*.so*"]', "would match the user's own"),
        ('["liblocks.so*"]', '["[a-z]*"]', "would match the user's own"),
        ("measured = [", "others = [", "unknown field `others`"),
        (
            'measured = [{ version = "1", runtime = "gcc 12", on = "2026-11-30", seen = "3 of 3" }]',
            "",
            "no measurement",
        ),
        ('name = "lib"', 'name = "lib', "x.toml:3"),
    ],
)
def test_an_entry_with_a_mistake_is_refused_with_the_file_and_the_reason(old, new, what):
    assert old in ENTRY
    with pytest.raises(UsageError, match=r"x\.toml") as caught:
        parse_blind_spots(ENTRY.replace(old, new), "x.toml")
    assert what in caught.value.message


def test_two_entries_of_one_name_are_refused():
    with pytest.raises(UsageError, match="two blind spots are named lib"):
        parse_blind_spots(ENTRY + ENTRY, "x.toml")


def test_each_known_blind_spot_names_a_program_that_is_here_and_what_was_measured():
    for spot in blind_spots():
        assert spot.program, spot.name
        assert (ROOT / spot.program).is_file(), spot.program
        assert all(each.version and each.runtime and each.on and each.seen for each in spot.measured)
        assert set(spot.runtimes) <= {"gcc", "clang"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/site/pyarrow/libarrow_compute.so.2600", "pyarrow"),
        ("/site/pyarrow/lib.cpython-313-x86_64-linux-gnu.so", "pyarrow"),
        ("/site/grpc/_cython/cygrpc.cpython-313-x86_64-linux-gnu.so", "grpcio"),
        ("/site/_polars_runtime_32/_polars_runtime.abi3.so", "polars"),
    ],
)
def test_the_objects_of_wheels_are_recognised_by_their_paths(path, name):
    assert blind_objects(loaded(path))[module_name(path)].name == name


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/mine.so",
        "/home/me/build/lib.cpython-313-x86_64-linux-gnu.so",
        "/home/me/cygrpc.so",
        "/usr/lib/libpython3.13d.so.1.0",
    ],
)
def test_an_object_of_the_users_is_not_recognised(path):
    assert blind_objects(loaded(path)) == {}


def test_an_instrumented_build_of_a_known_library_is_not_recognised():
    assert blind_objects(loaded("/site/pyarrow/libarrow.so.2600", instrumented=True)) == {}
    assert blind_objects(loaded("/site/pyarrow/libarrow.so.2600", instrumented=None)) == {}


def test_a_name_that_another_object_has_too_is_left_out():
    one, other = "/site/pyarrow/lib.cpython-313-x86_64-linux-gnu.so", "/mine/lib.cpython-313-x86_64-linux-gnu.so"
    assert blind_objects(loaded(one, other)) == {}
    assert len(blind_objects(loaded(one, one))) == 1


def test_a_link_and_its_target_are_one_name():
    assert module_name("/x/libarrow.so.2600.0.1") == module_name("libarrow.so.2600") == "libarrow.so"
    assert module_name("mine.cpython-313-x86_64-linux-gnu.so") == "mine.cpython-313-x86_64-linux-gnu.so"
