import importlib
import platform
import sys
import types
from pathlib import Path

import gil_samples as samples
import pytest
from gil_samples import BOOTSTRAP, EXTERNAL, frame

from python_tsan.gil import phases
from python_tsan.gil.phases import MEANINGS, Phase, explain
from python_tsan.gil.trace import GilCall
from python_tsan.symbols import CFunction

IMPORT = frame("_find_and_load", file=BOOTSTRAP, imports="alpha")
BODY = frame("<module>", file="alpha.py", body="alpha")


def phase(*functions, frames, call=GilCall.SAVE_RESTORE, switched=True):
    names = [CFunction(name) for name in functions]
    return explain(call=call, switched=switched, functions=names, frames=frames).phase


@pytest.mark.parametrize(
    ("function", "c_functions", "expected"),
    [
        ("_path_stat", ["posix_do_stat", "os_stat_impl"], Phase.PATH_STAT),
        ("_path_stat", [], Phase.PATH_STAT),
        ("FileFinder._fill_cache", ["_posix_listdir", "os_listdir_impl"], Phase.LISTING),
        ("FileFinder._fill_cache", ["os_listdir"], Phase.LISTING),
        ("FileFinder._fill_cache", ["posix_getcwd"], Phase.GETCWD),
        ("FileFinder._fill_cache", [], Phase.LISTING),
        ("PathFinder._path_importer_cache", ["posix_getcwd", "os_getcwd_impl"], Phase.GETCWD),
        ("PathFinder._path_importer_cache", [], Phase.GETCWD),
        ("FileLoader.get_data", ["_io_FileIO___init___impl", "_io_FileIO___init__"], Phase.OPEN),
        ("FileLoader.get_data", ["_Py_read"], Phase.READ),
        ("FileLoader.get_data", ["internal_close", "_io_FileIO_close"], Phase.READ),
        ("FileLoader.get_data", [], Phase.READ),
        ("ExtensionFileLoader.create_module", ["_Py_fopen_obj"], Phase.OPEN),
        ("ExtensionFileLoader.create_module", ["some_init"], Phase.DLOPEN),
        ("_ModuleLock.acquire", ["acquire_timed"], Phase.MODULE_LOCK),
        ("_ModuleLockManager.__enter__", [], Phase.MODULE_LOCK),
        ("_ImportLockContext.__enter__", ["PyThread_acquire_lock_timed"], Phase.GLOBAL_LOCK),
        ("_get_module_lock", [], Phase.GLOBAL_LOCK),
        ("_something_new", ["a_function"], Phase.OTHER),
    ],
)
def test_importlib_frame_and_c_function_determine_the_phase(function, c_functions, expected):
    assert phase(*c_functions, frames=[frame(function), IMPORT]) is expected


@pytest.mark.parametrize("c_function", ["os_mkdir_impl", "os_open_impl", "_Py_write_impl", "posix_do_stat"])
def test_every_step_of_writing_a_pyc_is_one_phase(c_function):
    frames = [frame("_write_atomic"), frame("SourceFileLoader.set_data"), frame("SourceLoader.get_code"), IMPORT]
    assert phase(c_function, frames=frames) is Phase.PYC_WRITE


def test_an_extension_may_release_the_gil_in_its_initialisation():
    frames = [frame("_call_with_frames_removed", file=BOOTSTRAP), frame("ExtensionFileLoader.create_module"), IMPORT]
    assert phase("module_init", frames=frames) is Phase.DLOPEN


def test_every_call_of_a_module_body_is_the_body():
    frames = [frame("exists", file="genericpath.py"), BODY, frame("_load_unlocked", file=BOOTSTRAP), IMPORT]
    assert phase("posix_do_stat", frames=frames) is Phase.BODY


def test_a_finder_of_another_package_is_not_a_body():
    outer = [BODY, IMPORT]
    inner = frame("_find_and_load", file=BOOTSTRAP, imports="beta")
    assert phase("posix_do_stat", frames=[frame("find_spec", file="finder.py"), inner, *outer]) is Phase.OTHER


def test_the_innermost_import_is_named():
    frames = [frame("_path_stat"), frame("_find_and_load", imports="alpha.beta"), BODY, IMPORT]
    meaning = explain(call=GilCall.SAVE_RESTORE, switched=True, functions=[], frames=frames)
    assert meaning.module == "alpha.beta"


def test_outside_of_an_import_everything_is_other():
    assert phase("posix_do_stat", frames=[frame("_path_stat", file=EXTERNAL)]) is Phase.OTHER
    assert phase("posix_do_stat", frames=[]) is Phase.OTHER


def test_a_forced_switch_is_distinguished_from_an_end():
    assert phase("drop_gil", frames=[], call=GilCall.INTERNAL) is Phase.FORCED
    assert phase("drop_gil", frames=[], call=GilCall.INTERNAL, switched=False) is Phase.OTHER


def test_every_phase_has_a_meaning():
    assert set(MEANINGS) == set(Phase)
    assert samples.NODES[3].function == "_path_stat"


def names_in(code):
    """Yield the qualified names of a code object and of everything in it."""
    yield code.co_qualname
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def test_the_frames_that_decide_are_those_of_this_pythons_importlib():
    folder = Path(importlib.__file__).parent
    texts = [(folder / name).read_text() for name in ("_bootstrap.py", "_bootstrap_external.py")]
    names = {name for text in texts for name in names_in(compile(text, "importlib", "exec"))}
    decisive = {*phases._BY_FRAME, *phases._WRITERS, *phases._OTHERWISE}
    later = {"_path_abspath"} if sys.version_info < (3, 12) else set()
    assert decisive <= names | later, f"not in CPython {platform.python_version()}: {decisive - names}"


def test_no_frame_decides_twice():
    assert not {*phases._BY_FRAME} & {*phases._OTHERWISE}
    assert not phases._WRITERS & {*phases._BY_FRAME, *phases._OTHERWISE}
