"""Decide whose code a finding is, by its stacks alone.

``own`` holds what the user calls theirs: folders and files as the log's frames spell them, or bare names of
modules. With none given, what the program itself was compiled from counts as theirs, and no shared object does.
``extensions`` are names of loaded objects that a Python package brought, as far as they are known.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from python_tsan.result.finding import Attribution, Origin
from python_tsan.tsan.frames import REMEMBERED, identifying_stacks, is_interceptor, is_plumbing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import SharedObject
    from python_tsan.tsan.finding import Finding, Frame, Stack

# libpython3.12d.so.1.0, libpython3.14.dylib, python3, python3.13t; macOS calls the image of its framework Python
_LIBPYTHON_MODULE = re.compile(r"(?:lib)?python(?:\d+(?:\.\d+)*)?[a-z]*(?:\.so[\d.]*|\.dylib)?$|Python$")
# ./Objects/dictobject.c, /build/Python-3.12.11/Include/internal/pycore_dict.h
_LIBPYTHON_FILE = re.compile(
    r"(?:^|/)(?:Objects|Python|Modules|Parser|Programs|Include)/(?:(?:clinic|internal|cpython|mimalloc|stringlib|_\w+)/)*\w+\.[ch]$"
)
# An embedder may hold libpython in itself; so these two say more than the module's name.
_LIBPYTHON_SYMBOL = re.compile(r"_?Py[A-Z]\w+_|_Py_|pythread_wrapper$|thread_run$")
# _multiarray_umath.cpython-313-x86_64-linux-gnu.so, libscipy_openblas64_-fdde5778.so
_NUMPY_MODULE = re.compile(
    r"(?:_multiarray_umath|_multiarray_tests|_umath_\w+|_simd|_pocketfft_umath|lapack_lite|mtrand|bit_generator"
    r"|_generator|_mt19937|_philox|_pcg64|_sfc64|_bounded_integers)\.[\w.-]*so$|libscipy_openblas"
)
# ../numpy/_core/src/multiarray/alloc.c
_NUMPY_FILE = re.compile(r"(?:^|/)numpy/")
_NUMPY_SYMBOL = re.compile(r"_?Py(?:Array|UFunc)_|npy_")
# mine.cpython-312d-x86_64-linux-gnu.so, mine.abi3.so
_EXTENSION_MODULE = re.compile(r"\.(?:cpython-\w[\w-]*|abi3t?|pypy\w[\w-]*)\.so$")
_EXTENSION_FILE = re.compile(r"/(?:site|dist)-packages/")
# What auditwheel bundles has eight digits of a hash in its name: libgfortran-040039e1.so.5.0.0; pyarrow's has none
_BUNDLED_MODULE = re.compile(r"[\w.+-]+-[0-9a-f]{8}(?:-[0-9a-f]{8})?\.so(?:\.|$)|lib(?:arrow|parquet)\w*\.so(?:\.|$)")
# The interpreter's loop: what is called from there was called by Python code.
_LOOP = frozenset({"_PyEval_EvalFrameDefault", "_PyEval_EvalFrame", "_PyEval_Vector"})
# /usr/lib/python3.13/threading.py, <frozen importlib._bootstrap>
_STANDARD_LIBRARY = re.compile(r"/lib(?:64)?/python3\.\d+t?/|^<frozen ")
# libc.so.6, ld-linux-x86-64.so.2, libstdc++.so.6, libtsan.so.2, [vdso], libpython_tsan_companion.so
# libsystem_pthread.dylib, libc++.1.dylib, libclang_rt.tsan_osx_dynamic.dylib, libswiftCore.dylib, dyld
_RUNTIME_MODULE = re.compile(
    r"(?:lib(?:c|m|dl|rt|pthread|gcc_s|stdc\+\+|c\+\+(?:abi)?|unwind|tsan|python_tsan_\w+|dispatch"
    r"|clang_rt[\w.-]*)|ld-[\w-]+|ld)(?:-[\d.]+)?(?:\.so[\d.]*|(?:\.\d+)*\.dylib)$|\[vdso\]$"
    r"|lib(?:system_\w+|System(?:\.\w+)?|objc(?:\.A)?|swift\w+|xpc|os_\w+|Block\w*)\.dylib$|dyld(?:_sim)?$"
)
# Frameworks of macOS, which are images without an ending
_FRAMEWORK = re.compile(
    r"(?:CoreFoundation|Foundation|AppKit|UIKit|UIKitCore|CFNetwork|Security|QuartzCore|CoreGraphics|CoreData|CoreText"
    r"|CoreServices|CoreAudio|CoreMedia|AudioToolbox|AVFoundation|AVFAudio|Accelerate|vecLib|IOKit|Metal|SwiftUI|Combine"
    r"|Network|HIToolbox|GraphicsServices|BoardServices|FrontBoardServices|XCTest|XCTestCore|JavaScriptCore|WebKit"
    r"|SystemConfiguration|LaunchServices)$"
)
# /System/Library/Frameworks/Foundation.framework/Foundation, /usr/lib/libobjc.A.dylib
_SYSTEM_PATH = re.compile(r"/System/Library/|/usr/lib/(?:system/)?lib[\w.+-]+\.dylib$|/usr/lib/dyld$")
# csu/../sysdeps/nptl/libc_start_call_main.h, /rustc/90b35a62/library/core/src/ops/function.rs, go/src/runtime/proc.go
_RUNTIME_FILE = re.compile(
    r"(?:^|/)(?:csu|nptl|sysdeps|libsanitizer|compiler-rt)/|(?:^|/)rustc/\w+/|/library/(?:std|core|alloc)/src/"
    r"|/go[\d.]*/src/(?:runtime|sync|internal|testing)/"
)
_SHARED = re.compile(r"\.so(?:\.|$)|\.(?:dylib|dll|pyd|bundle)$")
_WEIGHT = tuple(Attribution)


def extension_objects(objects: Iterable[SharedObject]) -> frozenset[str]:
    """Return the names of the loaded objects that are below a folder of Python packages."""
    return frozenset(each.path.rpartition("/")[2] for each in objects if _EXTENSION_FILE.search(each.path))


def attribute(
    finding: Finding | DistinctFinding, own: tuple[str, ...] = (), extensions: frozenset[str] = frozenset()
) -> tuple[Attribution, tuple[Origin, ...]]:
    """Return whose a finding is: its weightiest origin, and the origin of each of its identifying stacks in order."""
    origins = tuple(origin(stack, own, extensions) for stack in identifying_stacks(finding))
    weights = [_WEIGHT.index(each.attribution) for each in origins]
    return _WEIGHT[min(weights)] if weights else Attribution.UNKNOWN, origins


def origin(stack: Stack | None, own: tuple[str, ...] = (), extensions: frozenset[str] = frozenset()) -> Origin:
    """Return whose code a stack is: that of its first frame which is no interceptor, plumbing or runtime.

    A frame of another owner below one of yours is *reached from yours*, unless Python code between the two called it:
    below the ``main`` of an embedder lies everything. CPython's own frames are reached through Python code too, because
    a thread that runs without the GIL races there.
    """
    frames = stack.frames if stack else ()
    first = yours = None
    by_python = False
    for frame in frames:
        if is_interceptor(frame) or is_plumbing(frame):
            continue
        mine = owner(frame, own, extensions)
        if mine is Attribution.RUNTIME:
            continue
        first = first or (frame, mine)
        if mine is Attribution.YOURS:
            yours = frame
            break
        by_python = by_python or frame.symbol in _LOOP
    if first is None:
        return _inlined(frames, own, extensions)
    frame, whose = first
    if by_python and whose is not Attribution.LIBPYTHON:
        yours = None
    reached = yours is not None and whose is not Attribution.YOURS
    return Origin(attribution=Attribution.REACHED if reached else whose, frame=frame, yours=yours)


def _inlined(frames: Sequence[Frame], own: tuple[str, ...], extensions: frozenset[str]) -> Origin:
    """Return whose a stack without such a frame is: that of the object with a function of the C++ library inside.

    Without debug information, that is all that is left of a lambda in ``std::thread::_State_impl<...>::_M_run()``.
    """
    for frame in frames:
        whose = owner(frame, own, extensions)
        # The table of symbols has names of files, debug information has paths.
        if frame.module and "/" not in frame.file and is_plumbing(frame) and whose is not Attribution.RUNTIME:
            return Origin(attribution=whose, frame=frame)
    return Origin(
        attribution=Attribution.RUNTIME if frames else Attribution.UNKNOWN, frame=frames[0] if frames else None
    )


@lru_cache(REMEMBERED)
def owner(frame: Frame, own: tuple[str, ...] = (), extensions: frozenset[str] = frozenset()) -> Attribution:
    """Return whose code one frame is, without a look at its neighbours; never REACHED."""
    module = frame.module.rpartition("/")[2]
    if any(_is_in(frame, module, mine) for mine in own):
        return Attribution.YOURS
    if frame.python and (whose := _owner_of_python(frame.file)):
        return whose
    ranks = _rank_of_module(frame.module), _rank_of_file(frame.file), _rank_of_symbol(frame.symbol)
    rank = min(*ranks, _EXTENSION if module in extensions else _NOBODY)
    if rank < _NOBODY:
        return _OWNERS[rank]
    program = bool(module or frame.file) and not _SHARED.search(module)
    return Attribution.YOURS if program and not own else Attribution.UNKNOWN


def _owner_of_python(file: str) -> Attribution | None:
    """Return whose a file of Python code is, None where its folder does not say."""
    if _EXTENSION_FILE.search(file):
        return Attribution.NUMPY if "/numpy/" in file else Attribution.EXTENSION
    return Attribution.LIBPYTHON if _STANDARD_LIBRARY.search(file) else None


# The first of these that a frame's module, file or symbol names
_OWNERS = (Attribution.RUNTIME, Attribution.NUMPY, Attribution.LIBPYTHON, Attribution.EXTENSION)
_RUNTIME, _NUMPY, _LIBPYTHON, _EXTENSION = range(len(_OWNERS))
_NOBODY = len(_OWNERS)


# There are far fewer modules and files than frames.
@lru_cache(REMEMBERED)
def _rank_of_module(path: str) -> int:
    module = path.rpartition("/")[2]
    if _RUNTIME_MODULE.match(module) or _FRAMEWORK.match(module) or _SYSTEM_PATH.match(path):
        return _RUNTIME
    if _NUMPY_MODULE.match(module):
        return _NUMPY
    if _LIBPYTHON_MODULE.match(module):
        return _LIBPYTHON
    of_python = _EXTENSION_MODULE.search(module) or _EXTENSION_FILE.search(path)
    return _EXTENSION if of_python or _BUNDLED_MODULE.match(module) else _NOBODY


@lru_cache(REMEMBERED)
def _rank_of_file(file: str) -> int:
    if _RUNTIME_FILE.search(file):
        return _RUNTIME
    if _NUMPY_FILE.search(file):
        return _NUMPY
    return _LIBPYTHON if _LIBPYTHON_FILE.search(file) else _NOBODY


def _rank_of_symbol(symbol: str) -> int:
    if _NUMPY_SYMBOL.match(symbol):
        return _NUMPY
    return _LIBPYTHON if _LIBPYTHON_SYMBOL.match(symbol) else _NOBODY


def _is_in(frame: Frame, module: str, mine: str) -> bool:
    if mine == module:
        return True
    folder = mine.rstrip("/")
    return any(path == folder or path.startswith(folder + "/") for path in (frame.file, frame.module))
