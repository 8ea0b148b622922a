"""Plan an instrumented numpy and compute the key of the interpreter that holds it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from python_tsan.cpython.plan import KEPT_CALLS, LINE_TABLES, SANITIZER
from python_tsan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from python_tsan.cpython.numpy.wheel import NumpyChoice
    from python_tsan.toolchain.model import Toolchain

# Raised whenever the same inputs are built in another way.
NUMPY_SCHEMA = 1
VIRTUAL_ROOT = "/numpy"

# No BLAS: that of the wheels is an uninstrumented binary, and numpy's own routines are instrumented. One code path
# for all processors: the others do the same to the same memory, and there are dozens of them to compile.
OPTIONS = (
    "-Dblas=none",
    "-Dlapack=none",
    "-Dallow-noblas=true",
    "-Dcpu-dispatch=none",
    "-Dbuildtype=plain",
    "-Doptimization=1",
    "-Db_sanitize=thread",
    "-Db_lundef=false",  # the sanitizer's functions are the program's
    "-Dpython.bytecompile=-1",  # by the interpreter that imports it, not by the one that builds
)
# What is installed: neither tests nor what only they need.
TAGS = ("runtime", "python-runtime", "devel")
_HASH = re.compile(r"--hash=sha256:(?P<digest>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyPlan:
    """Everything that decides what an instrumented numpy is. ``interpreter`` is the key of the one it is built for.

    ``hashes`` are the SHA-256 of every file of the locked release, of which the source is one.
    """

    version: str
    hashes: tuple[str, ...]
    interpreter: str
    flags: str
    options: tuple[str, ...] = OPTIONS
    tools: str
    schema: int = NUMPY_SCHEMA

    @property
    def key(self) -> str:
        """Key of the interpreter that has this numpy."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.interpreter}-numpy-{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def archive(self) -> str:
        """Name of the source archive."""
        return f"numpy-{self.version}.tar.gz"


def plan_numpy(choice: NumpyChoice, interpreter: str, toolchain: Toolchain, *, tools: str) -> NumpyPlan:
    """Return the plan for ``choice`` in the interpreter with that key; ``tools`` is the text of Cython's lock.

    Raises ``UsageError`` for a version that is not locked: its source could not be checked.
    """
    if not choice.hashed:
        raise UsageError(
            f"numpy {choice.version} is not locked, so its source cannot be checked before it is built",
            advice="leave --numpy out: the locked version is built",
        )
    family = toolchain.candidate.family
    return NumpyPlan(
        version=choice.version,
        hashes=tuple(sorted(match["digest"] for match in _HASH.finditer(choice.requirements))),
        interpreter=interpreter,
        flags=f"-fno-omit-frame-pointer {LINE_TABLES[family]}{KEPT_CALLS[family]} -w",
        tools=hashlib.sha256(tools.encode()).hexdigest(),
    )


def native_file(binaries: Mapping[str, list[str]]) -> str:
    """Return Meson's description of the programs that the build uses: https://mesonbuild.com/Native-environments.html."""
    quoted = {name: ", ".join(f"'{word}'" for word in command) for name, command in binaries.items()}
    return "[binaries]\n" + "".join(f"{name} = [{words}]\n" for name, words in quoted.items())


def interpreter_script(*, target: list[str], host: list[str]) -> str:
    """Return the program that Meson takes for the interpreter which numpy is built for.

    Meson asks it about itself once, with a script of its own, and that question goes to the instrumented interpreter.
    All other starts generate source code, which any Python can do, and an ordinary one faster.
    """
    return (
        "#!/bin/sh\n"
        "case $1 in\n"
        f'  */python_info.py) exec {" ".join(target)} "$@" ;;\n'
        f'  *) exec {" ".join(host)} "$@" ;;\n'
        "esac\n"
    )


def setup_command(python: list[str], source: Path, build: Path, plan: NumpyPlan) -> list[str | Path]:
    """Return the command that configures the build: the Meson that numpy brings, which knows numpy's own module."""
    options = setup_options(plan, source=f"../{source.name}")
    return [*meson(python, source), "setup", *options, "--prefix=/", "--native-file=native.ini", build, source]


def setup_options(plan: NumpyPlan, *, source: str | None) -> list[str]:
    """Return the options of Meson for numpy and the compiler; debug information names ``source`` by another path."""
    mapped = f" -ffile-prefix-map={source}={VIRTUAL_ROOT}" if source else ""
    flags = f"{plan.flags}{mapped} {SANITIZER}"
    return [*plan.options, f"-Dc_args={flags}", f"-Dcpp_args={flags}"]


def needed_targets(install_plan: bytes, build: Path) -> list[str]:
    """Return what ninja has to build for what is installed: numpy has six extensions that only its own tests use.

    ``install_plan`` is Meson's own list, https://mesonbuild.com/IDE-integration.html#install-plan.
    """
    targets: dict[str, dict[str, str]] = json.loads(install_plan)["targets"]
    return [str(PurePath(name).relative_to(build)) for name, target in targets.items() if target["tag"] in TAGS]


def meson(python: list[str], source: Path) -> list[str | Path]:
    """Return the command line of numpy's own Meson."""
    return [*python, source / "vendored-meson" / "meson" / "meson.py"]
