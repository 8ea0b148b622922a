"""Make the plan of a build from settings, source and toolchain; pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, assert_never

from python_tsan.config import require_free_threading
from python_tsan.cpython.plan import (
    BUILD_TSAN_OPTIONS,
    KEPT_CALLS,
    LINE_TABLES,
    PREFIX_ROOM,
    PYDEBUG,
    SANITIZER,
    VIRTUAL_ROOT,
    Append,
    BuildPlan,
    Placeholder,
    Room,
    Step,
)
from python_tsan.toolchain.model import Family
from python_tsan.version import release_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.config import Settings
    from python_tsan.cpython.manifest import SourceRecord
    from python_tsan.toolchain.model import Toolchain

# Raised whenever a change of this module makes a different interpreter out of the same inputs.
PLAN_SCHEMA = 1

# Until 3.11 the interpreter under construction builds and installs the extension modules itself (setup.py).
LAST_WITH_SETUP_PY = (3, 11)
# From 3.14 on the installation copies build-details.json (PEP 739), a part of `build_all`, which is not made here.
FIRST_WITH_BUILD_DETAILS = (3, 14)
# Until 3.12 frozen modules are also turned into static objects, by a script that needs a whole interpreter.
LAST_WITH_DEEPFREEZE = (3, 12)


def make_plan(settings: Settings, record: SourceRecord, toolchain: Toolchain, *, libc: str) -> BuildPlan:
    """Plan the build of ``record`` with ``toolchain``.

    The settings are those of the manual recipe: debug build (or release build, if requested), shared library, ``-O1``,
    frame pointers, sanitizer in the library, in every module and in ``sysconfig``. ``libc`` is a name and version such
    as ``glibc-2.36``.
    Raises ``UsageError`` for a free-threaded build of a version that has none.
    """
    version = release_of(record.version)
    if settings.free_threaded:
        require_free_threading(record.version)
    family = toolchain.candidate.family
    flags = {
        "cflags": f"-O1 -fno-omit-frame-pointer {LINE_TABLES[family]}{KEPT_CALLS[family]}",
        "ldflags": f"-fuse-ld={toolchain.linker}" if toolchain.linker else "",
        "sanitizer": SANITIZER,
        # Warnings about a released CPython are noise; -MD lists for a compiler cache what was included.
        "private": f"-w -MD {_virtual_paths(family)}",
    }
    parts: dict[str, Any] = {
        "version": record.version,
        "free_threaded": settings.free_threaded,
        "source_sha256": record.sha256,
        "compiler": f"{family.value} {toolchain.candidate.version} {toolchain.candidate.target}",
        "runtime_id": toolchain.runtime_id,
        "libc": libc,
        "flags": flags,
        "configure": _configure(flags, free_threaded=settings.free_threaded, debug=not settings.release),
        "edits": _EDITS,
        "make": _make_steps(version, flags),
    }
    return BuildPlan(key=_key(parts, toolchain.name), **parts)


def _virtual_paths(family: Family) -> str:
    """Return the flags that keep this machine's paths out of objects: traces say ``/cpython/Objects/abstract.c``."""
    sources = f"-ffile-prefix-map={{{Placeholder.SOURCE.value}}}={VIRTUAL_ROOT}"
    match family:
        case Family.CLANG:
            return f"{sources} -fdebug-compilation-dir={VIRTUAL_ROOT}"
        case Family.GCC:
            return f"{sources} -fdebug-prefix-map=$(abs_builddir)={VIRTUAL_ROOT}"
        case _:
            assert_never(family)


def _configure(flags: Mapping[str, str], *, free_threaded: bool, debug: bool) -> Step:
    """Configure without the sanitizer; see ``docs/decisions/configure-without-sanitizer.md``."""
    return Step(
        name="configure",
        argv=(
            "{source}/configure",
            "-q",
            "--prefix={prefix}",
            *((PYDEBUG,) if debug else ()),
            "--enable-shared",
            *(("--disable-gil",) if free_threaded else ()),
            "--disable-test-modules",
            "--without-static-libpython",
            "--without-ensurepip",
            "CC={cc}",
            "CXX={cxx}",
            f"CFLAGS={flags['cflags']}",
            f"LDFLAGS={flags['ldflags']}",
            "OPT=" if debug else "OPT=-DNDEBUG",  # else -g, -O3 or -Og and -Wall are appended
        ),
        env={"CONFIG_SITE": "{presets}"},
    )


# What the Makefile gets before the build, and through it ``sysconfig`` and every extension module.
_EDITS = (
    Append(variable="CONFIGURE_CFLAGS", text=SANITIZER),
    Append(variable="CONFIGURE_LDFLAGS", text=SANITIZER),
    # The program finds its own libpython wherever it lies; $$ is make's way to write $.
    Append(variable="LINKFORSHARED", text="-Wl,-rpath,'$$ORIGIN/../lib'"),
    # A program that embeds the library knows the standard library's place by what is compiled in.
    Room(size=PREFIX_ROOM),
)


def _make_steps(version: tuple[int, int], flags: Mapping[str, str]) -> tuple[Step, ...]:
    # What has to be there before modules are frozen.
    deep = "_bootstrap_python " if version <= LAST_WITH_DEEPFREEZE else ""
    # The same in each step: make would otherwise rebuild what depends on something else.
    common = (
        "CC={compile}",
        f"CFLAGS_NODIST={flags['private']}",
        # The C program freezes what it can itself, as on Windows: no need for a whole interpreter to start each time.
        "FREEZE_MODULE=./Programs/_freeze_module",
        f"FREEZE_MODULE_DEPS={deep}Programs/_freeze_module",
    )
    python = "PYTHON_FOR_BUILD=./$(BUILDPYTHON) -E -X pycache_prefix={bytecode}"
    targets: tuple[str, ...] = ("python", "oldsharedmods", "sharedmods", "python-config")
    if version > LAST_WITH_SETUP_PY:
        details = ("build-details.json",) if version >= FIRST_WITH_BUILD_DETAILS else ()
        targets = ("python", "sharedmods", "scripts", "checksharedmods", *details)
    compile_step = _make("compile", "-j{jobs}", *common, python, *targets)
    # Installing depends on `all`, which would also link a test program, hence -o. It byte-compiles the whole library
    # three times in the slow interpreter: `true` takes its place. -p keeps the files' times, and so byte-code's worth.
    install = (*common, "-o", "all", "-o", "build_all", "DESTDIR={stage}", "INSTALL=install -p")
    library = _make("install", *install, "PYTHON_FOR_BUILD=true", "commoninstall", "bininstall")
    if version > LAST_WITH_SETUP_PY:
        return (compile_step, library)
    return (compile_step, library, _make("install modules", *install, python, "sharedinstall"))


def _make(name: str, *arguments: str) -> Step:
    env = {"TSAN_OPTIONS": BUILD_TSAN_OPTIONS, "PYTHONPYCACHEPREFIX": "{bytecode}"}
    return Step(name=name, argv=("make", *arguments), env=env, instrumented=True)


def _key(parts: Mapping[str, Any], toolchain: str) -> str:
    """Name a plan: readable in front, then 80 bits of the SHA-256 over everything that is in it."""
    named = {"schema": PLAN_SCHEMA, **parts}
    canonical = json.dumps(named, default=asdict, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    kind = f"{'t' if parts['free_threaded'] else ''}{'' if PYDEBUG in parts['configure'].argv else '-release'}"
    return f"{parts['version']}{kind}-{toolchain}-{digest[:20]}"
