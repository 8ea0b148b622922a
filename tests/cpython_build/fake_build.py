"""A CPython source tree whose configure and make are tiny scripts, and a way to build it in this or another process."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

from python_tsan.config import load_settings
from python_tsan.console import make_console
from python_tsan.cpython.build import interpreter as build
from python_tsan.cpython.manifest import Interpreter, SourceRecord
from python_tsan.cpython.sources.provider import SourceTree
from python_tsan.paths import Layout
from python_tsan.toolchain.model import Candidate, Family, Toolchain

RECORD = SourceRecord(version="3.13.5", origin="test", sha256="ab" * 32)

# Each script leaves a trace in $TRACE, so that a test can check what was run and how often.
CONFIGURE = """\
#!/bin/sh
echo configure >> "$TRACE"
echo "checking for a fake... yes"
test -z "$FAIL_CONFIGURE" || { echo "configure: error: C compiler cannot create executables"; exit 77; }
for argument; do case $argument in --prefix=*) prefix=${argument#--prefix=} ;; esac; done
{
    echo "prefix = $prefix"
    echo "CONFIGURE_CFLAGS= -O1"
    echo "CONFIGURE_LDFLAGS= -fuse-ld=lld"
    echo "LINKFORSHARED= -Xlinker -export-dynamic"
    echo "MODULE__DBM_STATE=missing"
    cat "$(dirname "$0")/rules"
} > Makefile
"""

RULES = """\
.PHONY: python sharedmods scripts checksharedmods commoninstall bininstall
python: Objects/one.o
Objects/one.o:
\t@echo compile >> "$$TRACE"
\t@echo "cc -c -o Objects/one.o one.c"
\t@test -z "$$SLOW" || { touch "$$SLOW"; sleep 60; }
\t@test -z "$$FAIL_COMPILE" || { echo "cc1: fatal error: error writing to x.s: No space left on device"; exit 1; }
\t@mkdir -p Objects && touch Objects/one.o
Modules/getpath.o:
\t@echo -DPREFIX='"$(prefix)"' -DEXEC_PREFIX='"$(exec_prefix)"'
sharedmods scripts checksharedmods:
commoninstall:
\t@echo install >> "$$TRACE"
\t@mkdir -p $(DESTDIR)$(prefix)/bin $(DESTDIR)$(prefix)/lib
\t@printf '%s\\n' '$(CONFIGURE_CFLAGS)' > $(DESTDIR)$(prefix)/lib/cflags
\t@printf '#!/bin/sh\\n' > $(DESTDIR)$(prefix)/bin/python3.13 && chmod +x $(DESTDIR)$(prefix)/bin/python3.13
\t@test -z "$$SLOW_INSTALL" || { touch "$$SLOW_INSTALL"; sleep 60; }
bininstall:
"""


def make_tree(folder: Path) -> Path:
    """Write the fake source tree."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "configure").write_text(CONFIGURE)
    (folder / "configure").chmod(0o755)
    (folder / "rules").write_text(textwrap.dedent(RULES))
    return folder


def make_toolchain(**changes: object) -> Toolchain:
    """Return a toolchain as the probe would describe it; nothing here runs it."""
    candidate = Candidate(
        family=Family.CLANG,
        cc=Path("/usr/bin/clang-19"),
        cxx=Path("/usr/bin/clang++-19"),
        version="19.1.7",
        target="x86_64-pc-linux-gnu",
    )
    values = {"candidate": candidate, "runtime": Path("/lib/rt.a"), "runtime_id": "f" * 64, "linker": "lld"}
    return Toolchain(**{"symbolizer": None, **values, **changes})


def settings_for(root: Path, **changes: object):
    """Return settings with their cache below ``root`` and no compiler cache."""
    if changes.get("free_threaded"):
        changes.setdefault("python", "3.13")
    overrides = {"cache": str(root / "cache"), "compiler_cache": "off", "jobs": "1", **changes}
    return load_settings(overrides, env={}, cwd=root)


def describe(plan, record, toolchain, *, staged: Path, final: Path) -> Interpreter:
    """Replace the inspection of a real interpreter, which a script cannot pass."""
    assert (staged / "bin" / "python3.13").exists()
    return Interpreter(
        key=plan.key,
        instrumented=True,
        version=plan.version,
        free_threaded=plan.free_threaded,
        debug=True,
        prefix=final,
        executable=final / "bin" / "python3.13",
        library=final / "lib" / "libpython3.13d.so.1.0",
        include=final / "include",
        cc=toolchain.candidate.cc,
        cxx=toolchain.candidate.cxx,
        toolchain=toolchain.name,
        runtime=toolchain.runtime,
        runtime_id=toolchain.runtime_id,
        source=record,
    )


def install(root: Path) -> None:
    """Put the fake tree in the place of sources and inspection."""
    tree = SourceTree(path=make_tree(root / "source"), record=RECORD)
    build.obtain_source = lambda *_arguments, **_named: tree
    build.resolve_record = lambda *_arguments: RECORD
    build.describe_built = describe


def run(root: Path, *, console=None, toolchain=None, **changes: object) -> Interpreter:
    """Build the fake tree below ``root``."""
    settings = settings_for(root, **changes)
    return build.build_interpreter(
        settings,
        toolchain=toolchain or make_toolchain(),
        layout=Layout(root=settings.cache),
        console=console or make_console(),
    )


if __name__ == "__main__":
    os.environ.setdefault("TRACE", os.devnull)
    install(Path(sys.argv[1]))
    print(run(Path(sys.argv[1])).key)  # noqa: T201 -- read by the test that started this process
