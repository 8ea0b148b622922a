from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from python_tsan.result.attribution import attribute, extension_objects, origin, owner
from python_tsan.result.finding import Attribution
from python_tsan.result.model import SharedObject
from python_tsan.tsan.finding import Frame, Stack
from python_tsan.tsan.parser import parse_log


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Forget what was decided about frames, so that each test asks the rules."""
    owner.cache_clear()


def frame(symbol="", file="", module="", index=0):
    return Frame(index=index, symbol=symbol, file=file, line=1 if file else 0, module=module)


MINE = frame("teller::serve()", "/home/me/bank/teller.cpp", "bank")
MEMCPY = frame("memcpy", "", "bank")
INVOKE = frame("std::__invoke<void (*)()>(void (*&&)())", "/usr/include/c++/12/bits/invoke.h", "bank")
DICT = frame("insertdict", "/build/Python-3.12.11/Objects/dictobject.c", "libpython3.12d.so.1.0")
STDLIB = frame("", "", "libstdc++.so.6")
ARRAY = frame(
    "array_dealloc", "../numpy/_core/src/multiarray/arrayobject.c", "_multiarray_umath.cpython-312-x86_64-linux-gnu.so"
)
OTHER_EXTENSION = frame("spin", "/tmp/other.cpp", "other.cpython-312d-x86_64-linux-gnu.so")


@pytest.mark.parametrize(
    ("one", "whose"),
    [
        (MINE, Attribution.YOURS),
        (DICT, Attribution.LIBPYTHON),
        (frame("PyDict_SetItem", "", "embedder"), Attribution.LIBPYTHON),
        (frame("_PyEval_EvalFrameDefault", "./Python/ceval.c", "python3"), Attribution.LIBPYTHON),
        (frame("thing", "", "python3.13t"), Attribution.LIBPYTHON),
        (frame("dict_get", "/b/Objects/clinic/dictobject.c.h", "embedder"), Attribution.YOURS),
        (frame("dict_get", "/b/Include/internal/pycore_dict.h", "embedder"), Attribution.LIBPYTHON),
        (ARRAY, Attribution.NUMPY),
        (frame("dgemm_", "", "libscipy_openblas64_-fdde5778.so"), Attribution.NUMPY),
        (frame("npy_alloc_cache", "", "_multiarray_umath.cpython-312-x86_64-linux-gnu.so"), Attribution.NUMPY),
        (OTHER_EXTENSION, Attribution.EXTENSION),
        (frame("f", "", "stable.abi3.so"), Attribution.EXTENSION),
        (STDLIB, Attribution.RUNTIME),
        (
            frame("__libc_start_call_main", "csu/../sysdeps/nptl/libc_start_call_main.h", "libc.so.6"),
            Attribution.RUNTIME,
        ),
        (frame("start", "", "libmine.so.2"), Attribution.UNKNOWN),
        (frame("start", "", "libmine.2.dylib"), Attribution.UNKNOWN),
        (frame("start", "/src/a.cpp", "libmine.dylib"), Attribution.UNKNOWN),
        (frame("start", "/src/a.cpp", "App"), Attribution.YOURS),
        (frame("slot", "", "libpython3.14.dylib"), Attribution.LIBPYTHON),
        (frame("slot", "", "Python"), Attribution.LIBPYTHON),
        (frame("_pthread_start", "", "libsystem_pthread.dylib"), Attribution.RUNTIME),
        (frame("dispatch", "", "libdispatch.dylib"), Attribution.RUNTIME),
        (frame("dispatch", "", "libdispatch.so"), Attribution.RUNTIME),
        (frame("flockfile", "", "libpython_tsan_companion.so"), Attribution.RUNTIME),
        (frame("run", "", "libc++.1.dylib"), Attribution.RUNTIME),
        (frame("run", "", "libobjc.A.dylib"), Attribution.RUNTIME),
        (frame("run", "", "libswiftCore.dylib"), Attribution.RUNTIME),
        (frame("run", "", "Foundation"), Attribution.RUNTIME),
        (frame("run", "", "/System/Library/PrivateFrameworks/X.framework/X"), Attribution.RUNTIME),
        (frame("start", "", "dyld"), Attribution.RUNTIME),
        (
            frame("call", "/rustc/90b35a6239c3d8bdabc530a6a0816f7ff89a0aaf/library/core/src/f.rs", "a"),
            Attribution.RUNTIME,
        ),
        (frame("goexit", "/usr/local/go/src/runtime/proc.go", ""), Attribution.RUNTIME),
        (frame("main.put", "/src/m.go", ""), Attribution.YOURS),
        (frame(), Attribution.UNKNOWN),
    ],
)
def test_a_frame_is_attributed_by_its_module_file_and_symbol(one, whose):
    assert owner(one) is whose


@pytest.mark.parametrize(
    ("file", "whose"),
    [
        ("/v/lib/python3.13/site-packages/torch/nn.py", Attribution.EXTENSION),
        ("/usr/lib/python3/dist-packages/numpy/linalg.py", Attribution.NUMPY),
        ("/usr/lib/python3.13/threading.py", Attribution.LIBPYTHON),
        ("/usr/lib64/python3.13t/threading.py", Attribution.LIBPYTHON),
        ("<frozen importlib._bootstrap>", Attribution.LIBPYTHON),
        ("/home/me/app/service.py", Attribution.YOURS),
    ],
)
def test_a_frame_of_python_code_is_attributed_by_its_folder(file, whose):
    assert owner(replace(frame("f", file), python=True)) is whose


@given(st.text(), st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_any_frame_can_be_attributed_and_is_never_reached(symbol, file, module, own):
    whose = owner(frame(symbol, file, module), tuple(own))
    assert whose in set(Attribution) - {Attribution.REACHED}
    assert owner(frame(symbol, file or "/x", module), (file or "/x",)) is Attribution.YOURS


@given(st.lists(st.sampled_from([MINE, MEMCPY, INVOKE, DICT, STDLIB, ARRAY, OTHER_EXTENSION])))
def test_your_frame_anywhere_makes_a_stack_yours_or_reached(frames):
    found = origin(Stack(frames=tuple(frames)))
    assert (found.yours is MINE) == (MINE in frames)
    assert (found.attribution in {Attribution.YOURS, Attribution.REACHED}) == (MINE in frames)


def test_own_folders_decide_first_and_end_at_a_folder():
    own = ("/home/me/bank",)
    assert owner(MINE, own) is Attribution.YOURS
    assert owner(frame("f", "/home/me/banker/x.cpp", "bank"), own) is Attribution.UNKNOWN
    assert owner(OTHER_EXTENSION, ("/tmp/",)) is Attribution.YOURS
    assert owner(DICT, ("/build/Python-3.12.11",)) is Attribution.YOURS


def test_only_slashes_are_dropped_at_the_end_of_an_own_folder():
    assert owner(frame("f", "/src/a.cpp", "m"), ("/srcX/",)) is Attribution.UNKNOWN


def test_a_bare_name_is_a_module_in_any_folder():
    assert owner(frame("f", "", "/opt/lib/libmine.so"), ("libmine.so",)) is Attribution.YOURS
    assert owner(frame("f", "", "/opt/lib/libpython3.13.so.1.0")) is Attribution.LIBPYTHON
    assert owner(frame("f", "../numpy/a.c", "m.so")) is Attribution.NUMPY
    assert owner(frame("PyArray_New", "", "m.so")) is Attribution.NUMPY


def test_a_bare_name_is_a_module():
    own = ("other.cpython-312d-x86_64-linux-gnu.so",)
    assert owner(OTHER_EXTENSION, own) is Attribution.YOURS
    assert owner(frame("f", "other.cpython-312d-x86_64-linux-gnu.so/x", "m"), ("x",)) is Attribution.UNKNOWN


def test_interceptors_plumbing_and_runtime_do_not_decide():
    found = origin(Stack(frames=(MEMCPY, INVOKE, STDLIB, MINE)))
    assert (found.attribution, found.frame, found.yours) == (Attribution.YOURS, MINE, MINE)


@pytest.mark.parametrize(
    ("module", "whose"),
    [
        ("bank", Attribution.YOURS),
        ("mine.cpython-313-x86_64-linux-gnu.so", Attribution.EXTENSION),
        ("libmine.so.2", Attribution.UNKNOWN),
        ("libstdc++.so.6", Attribution.RUNTIME),
    ],
)
def test_a_lambda_inside_a_function_of_the_cpp_library_is_its_objects(module, whose):
    run = frame(
        "std::thread::_State_impl<std::thread::_Invoker<std::tuple<main::{lambda()#1}> > >::_M_run()", "", module
    )
    found = origin(Stack(frames=(run, STDLIB)))
    assert found.attribution is whose
    assert found.frame == run


def test_a_library_below_your_frame_is_reached_from_yours():
    found = origin(Stack(frames=(DICT, MINE)))
    assert (found.attribution, found.frame, found.yours) == (Attribution.REACHED, DICT, MINE)


LOOP = frame("_PyEval_EvalFrameDefault", "/cpython/Python/generated_cases.c.h", "libpython3.12d.so.1.0")


@pytest.mark.parametrize("library", [OTHER_EXTENSION, ARRAY, frame("spawn", "", "libother.so.2")])
def test_a_library_that_python_code_called_is_not_reached_from_an_embedders_main(library):
    found = origin(Stack(frames=(library, LOOP, MINE)))
    assert found.attribution not in {Attribution.YOURS, Attribution.REACHED}
    assert (found.frame, found.yours) == (library, None)
    assert origin(Stack(frames=(library, MINE, LOOP))).attribution is Attribution.REACHED
    assert origin(Stack(frames=(library, DICT, MINE, LOOP))).attribution is Attribution.REACHED


def test_cpython_itself_is_reached_through_python_code_too():
    """A thread that runs Python code without the GIL races there, and it is yours."""
    assert origin(Stack(frames=(DICT, LOOP, MINE))).attribution is Attribution.REACHED
    assert origin(Stack(frames=(LOOP, MINE))).yours is MINE


@pytest.mark.parametrize(
    "module",
    [
        "libarrow.so.2600",
        "libarrow_compute.so.2600",
        "libparquet.so.2600",
        "libgfortran-040039e1-0352e75f.so.5.0.0",
        "libzmq-a430b4ce.so.5.2.5",
        "libgeos_c-a6cb8a2a.so.1.19.2",
    ],
)
def test_what_a_wheel_bundles_is_an_extension(module):
    assert owner(frame("f", "", module)) is Attribution.EXTENSION


@pytest.mark.parametrize(
    "module", ["libmine-12345678", "libmine-1234567.so", "libnarrow.so", "librarrow.so.1", "libzmq.so.5"]
)
def test_other_libraries_are_not(module):
    assert owner(frame("f", "", module)) is not Attribution.EXTENSION


def test_an_object_that_was_loaded_from_the_folder_of_packages_is_an_extension():
    objects = [
        SharedObject(path="/v/lib/python3.13/site-packages/torch/lib/libtorch_cpu.so", instrumented=False),
        SharedObject(path="/usr/lib/python3/dist-packages/x.so", instrumented=False),
        SharedObject(path="/usr/lib/libmine.so", instrumented=False),
    ]
    names = extension_objects(objects)
    assert names == {"libtorch_cpu.so", "x.so"}
    assert owner(frame("f", "", "libtorch_cpu.so"), (), names) is Attribution.EXTENSION
    assert owner(frame("f", "", "libtorch_cpu.so")) is Attribution.UNKNOWN
    assert owner(frame("f", "", "libtorch_cpu.so"), ("libtorch_cpu.so",), names) is Attribution.YOURS


def test_a_stack_and_a_finding_in_such_an_object_are_of_an_extension(golden):
    names, stack = frozenset({"libtorch_cpu.so"}), Stack(frames=(frame("f", "", "libtorch_cpu.so"),))
    assert origin(stack).attribution is Attribution.UNKNOWN
    assert origin(stack, (), names).attribution is Attribution.EXTENSION
    (path,) = golden("race_tls")
    finding = parse_log(Path(path).read_text()).findings[1]
    sides = tuple(replace(each, stack=stack) for each in finding.accesses)
    changed = replace(finding, accesses=sides, threads=(), mutexes=(), stacks=())
    assert attribute(changed, (), names)[0] is Attribution.EXTENSION


def test_a_library_that_you_did_not_call_is_its_own():
    assert origin(Stack(frames=(DICT,))).attribution is Attribution.LIBPYTHON
    assert origin(Stack(frames=(ARRAY, DICT))).attribution is Attribution.NUMPY
    assert origin(Stack(frames=(ARRAY, DICT)), ("/elsewhere",)).yours is None


def test_stacks_that_show_nothing():
    assert origin(Stack(frames=(MEMCPY, STDLIB))).attribution is Attribution.RUNTIME
    assert origin(Stack(frames=(MEMCPY, STDLIB))).frame is MEMCPY
    assert origin(Stack(restored=False)).attribution is Attribution.UNKNOWN
    assert origin(None).frame is None


def test_a_finding_is_as_weighty_as_its_weightiest_side(golden):
    (path,) = golden("race_tls")
    finding = parse_log(Path(path).read_text()).findings[1]
    whose, origins = attribute(finding)
    assert whose is Attribution.YOURS
    assert [each.attribution for each in origins] == [Attribution.YOURS, Attribution.RUNTIME]


@pytest.mark.parametrize(
    ("frames", "whose"),
    [
        ([STDLIB, MINE], Attribution.YOURS),
        ([MINE, STDLIB], Attribution.YOURS),
        ([STDLIB, DICT], Attribution.LIBPYTHON),
        ([DICT, ARRAY], Attribution.NUMPY),
        ([DICT, ARRAY, OTHER_EXTENSION], Attribution.EXTENSION),
        ([frame(), STDLIB], Attribution.RUNTIME),
        ([frame(), frame()], Attribution.UNKNOWN),
        ([], Attribution.UNKNOWN),
    ],
)
def test_the_weightiest_side_decides_in_any_order(frames, whose, golden):
    (path,) = golden("race_tls")
    finding = parse_log(Path(path).read_text()).findings[1]
    for order in (frames, frames[::-1]):
        sides = tuple(replace(finding.accesses[0], stack=Stack(frames=(each,))) for each in order)
        changed = replace(finding, accesses=sides, threads=(), mutexes=(), stacks=())
        assert attribute(changed)[0] is whose


def test_an_image_of_macos_is_yours_by_its_name():
    text = (Path(__file__).parents[1] / "tsan" / "kinds" / "mac_images.log").read_text()
    (finding,) = parse_log(text).findings
    whose, (first, second) = attribute(finding)
    assert (whose, first.attribution, second.attribution) == (
        Attribution.LIBPYTHON,
        Attribution.LIBPYTHON,
        Attribution.RUNTIME,
    )
    (elf,) = parse_log(text.replace(".dylib:arm64", ".so")).findings
    assert [each.attribution for each in attribute(elf)[1]] == [first.attribution, second.attribution]
    assert attribute(finding, ("libother.dylib",))[0] is Attribution.REACHED
    (app,) = parse_log(text.replace("libother.dylib:arm64", "App:x86_64")).findings
    assert attribute(app, ("App",))[0] is Attribution.REACHED


@pytest.mark.parametrize("name", ["deadlock", "errno_in_signal", "thread_leak", "mutex_double_lock"])
def test_kinds_without_accesses_are_attributed_by_their_other_stacks(report_of, name):
    (finding,) = report_of(name).findings
    assert finding.attribution is Attribution.YOURS
    assert finding.origins
    (finding,) = report_of(name, own=("/elsewhere",)).findings
    assert finding.attribution is Attribution.UNKNOWN
