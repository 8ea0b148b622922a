"""Compilers that are shell scripts: each answers as a real one would, and "links" the script that the test gives it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 -- used by every helper's signature

import pytest

from python_tsan.paths import Layout
from python_tsan.toolchain.model import Candidate, Family

TARGET = f"{platform.machine()}-pc-linux-gnu"
LOG = 'log=${TSAN_OPTIONS#*log_path=\\"}; log=${log%%\\"*}.$$'
RACE = (
    'echo "WARNING: ThreadSanitizer: data race (pid=1)" > $log; '
    'echo "    #0 canary_turn /c/racy.cpp:5:33 (racy+0x1)" >> $log; exit 66'
)
SAFE = "exit 0"
COMPILER = """#!/bin/sh
echo "$0 $*" >> {folder}/calls
compile=; out=; previous=
for word; do
  case $word in
    --version) {version} exit 0 ;;
    -dumpfullversion) echo {number}; exit 0 ;;
    -dumpmachine) echo {target}; exit 0 ;;
    -print-file-name={runtime_name}) echo {runtime}; exit 0 ;;
    -print-file-name=*) echo "${{word#*=}}"; exit 0 ;;
    -print-resource-dir|-print-runtime-dir) echo {folder}/lib; exit 0 ;;
    -print-libgcc-file-name) echo {folder}/lib/libgcc.a; exit 0 ;;
    -fuse-ld=lld) exit 1 ;;
    -c) compile=1 ;;
  esac
  [ "$previous" = -o ] && out=$word
  previous=$word
done
if [ "$compile" ]; then {compile} touch "$out"; exit 0; fi
{link}
cp {folder}/programs/"$(basename "$out")" "$out" && chmod +x "$out"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fake:
    """A made-up compiler in its own folder."""

    folder: Path
    candidate: Candidate

    @property
    def calls(self) -> list[str]:
        """Every command line it was started with."""
        log = self.folder / "calls"
        return log.read_text().splitlines() if log.exists() else []


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def make_fake(tmp_path):
    """Return a maker of compilers; what it is given replaces one answer of a compiler that works."""

    def make(
        name="clang-19",
        *,
        number="19.1.7",
        racy=RACE,
        safe=SAFE,
        runtime=True,
        of_zig=False,
        cxx=True,
        symbolizer=True,
        compile_error="",
        link_error="",
        target=TARGET,
    ) -> Fake:
        folder = tmp_path / f"fake-{name}"
        family = Family.CLANG if name.startswith("clang") else Family.GCC
        library = folder / "lib" / "runtime"
        library.parent.mkdir(parents=True)
        if runtime:
            library.write_bytes(b"\x7fELF runtime")
        if of_zig:
            script(folder / "zig", "#!/bin/sh\n")
        if family is Family.CLANG:
            version = f"echo clang version {number}; echo Target: {target}; echo InstalledDir: {folder};"
            runtime_name = f"libclang_rt.tsan-{platform.machine()}.a"
        else:
            version = f'echo "gcc {number}"; echo "Free Software Foundation";'
            runtime_name = "libtsan.so"
        text = COMPILER.format(
            folder=folder,
            version=version,
            number=number,
            target=target,
            runtime_name=runtime_name,
            runtime=library if runtime else runtime_name,
            compile=f'echo "{compile_error}" >&2; exit 1;' if compile_error else "",
            link=f'echo "{link_error}" >&2; exit 1' if link_error else "",
        )
        partner = name.replace("clang", "clang++").replace("gcc", "g++")
        for each in (name, partner) if cxx else (name,):
            script(folder / "bin" / each, text)
        if symbolizer and family is Family.CLANG:
            script(folder / "bin" / "llvm-symbolizer", "#!/bin/sh\n")
        for program, body in (("racy", racy), ("safe", safe)):
            script(folder / "programs" / program, f"#!/bin/sh\n{LOG}\n{body}\n")
        candidate = Candidate(
            family=family,
            cc=folder / "bin" / name,
            cxx=folder / "bin" / partner if cxx else None,
            version=number,
            target=target,
        )
        return Fake(folder=folder, candidate=candidate)

    return make


@pytest.fixture
def layout(tmp_path) -> Layout:
    return Layout(root=tmp_path / "cache")
