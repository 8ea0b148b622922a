"""Define the settings, their defaults and their sources; the stages act on them.

The value of a setting comes from the command line, else from the environment (``PYTHON_TSAN_*``), else from the nearest
``python-tsan.toml`` or ``[tool.python-tsan]`` in ``pyproject.toml``, else it is the default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan.binding import DEFAULT as DEFAULT_BINDING
from python_tsan.cores import usable_cores
from python_tsan.errors import UsageError
from python_tsan.paths import default_root
from python_tsan.plain_text import did_you_mean
from python_tsan.setting_values import (
    DEFAULT_PYTHON,
    NEWEST_MINOR,
    OLDEST_MINOR,
    CompilerCache,
    Kind,
    convert,
    rule_ids,
)
from python_tsan.toml_file import line_of, parse, read_text, table_at
from python_tsan.version import FIRST_FREE_THREADED, dotted, free_threading_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from python_tsan.binding import Binding

__all__ = ["DEFAULT_PYTHON", "OPTIONS", "CompilerCache", "Option", "Settings", "load_settings"]

ENVIRONMENT_PREFIX = "PYTHON_TSAN_"
FILE_NAME = "python-tsan.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a user can choose.

    ``python`` is None when the user named no version: then it is :data:`DEFAULT_PYTHON`, or the nearest available
    version. A minor such as ``3.13`` means its newest pinned release. ``binding`` is None when the user named none:
    then :func:`python_tsan.binding.default_for` names it. ``network_timeout`` is in seconds for each network request;
    ``output`` is the folder that receives one folder for each run.
    """

    python: str | None = None
    free_threaded: bool = False
    release: bool = False
    source: Path | None = None
    toolchain: str | None = None
    cache: Path = field(default_factory=default_root)
    jobs: int = field(default_factory=usable_cores)
    compiler_cache: CompilerCache = CompilerCache.AUTO
    compiler_cache_remote: str | None = None
    binding: Binding | None = None
    numpy: str | None = None
    instrumented_numpy: bool = False
    python_org: str = "https://www.python.org/ftp/python"
    git: str = "https://github.com/python/cpython.git"
    network_timeout: float = 20.0
    refresh: bool = False
    ignore_rules: tuple[str, ...] = ()
    output: Path = field(default_factory=lambda: Path.cwd() / "runs")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as the user knows it. ``name`` is its key in TOML; the properties are its other spellings.

    ``default`` is the default in words, ``metavar`` the placeholder of the value in the help.
    """

    name: str
    kind: Kind
    metavar: str
    default: str
    summary: str

    @property
    def field(self) -> str:
        """Name of the field in :class:`Settings`."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return ENVIRONMENT_PREFIX + self.field.upper()

    @property
    def flag(self) -> str:
        """Name on the command line."""
        return f"--{self.name}"


OPTIONS = (
    Option("python", Kind.VERSION, "VERSION", DEFAULT_PYTHON, "CPython version; an explicit one is never replaced"),
    Option("free-threaded", Kind.FLAG, "", "no", "use the build without the GIL, 3.13 and later"),
    Option("release", Kind.FLAG, "", "no", "use a release build, without CPython's debug checks and assertions"),
    Option("source", Kind.PATH, "PATH", "download", "CPython source on this machine: a tarball or a checkout"),
    Option("toolchain", Kind.TEXT, "NAME", "best found", "compiler, such as clang-19, gcc-12 or a path"),
    Option("cache", Kind.PATH, "DIR", "user's cache", "folder of sources and builds"),
    Option("jobs", Kind.COUNT, "N", "cores", "number of parallel processes"),
    Option("compiler-cache", Kind.CACHE, "KIND", "auto", "auto, off, ccache, sccache or install"),
    Option("compiler-cache-remote", Kind.TEXT, "URL", "none", "compiler cache shared by machines, as redis://HOST"),
    Option(
        "binding",
        Kind.BINDING,
        "NAME==VERSION",
        f"{DEFAULT_BINDING.requirement}, or the first that supports the CPython",
        "binding library of the harness: pybind11 or nanobind",
    ),
    Option("numpy", Kind.TEXT, "VERSION", "locked", "numpy version to install"),
    Option("instrumented-numpy", Kind.FLAG, "", "no", "use numpy built under ThreadSanitizer, not the wheel"),
    Option("python-org", Kind.TEXT, "URL", "www.python.org", "server of CPython's release files"),
    Option("git", Kind.TEXT, "URL", "python/cpython", "git repository of CPython"),
    Option("network-timeout", Kind.SECONDS, "SECONDS", "20", "limit of one network request"),
    Option("refresh", Kind.FLAG, "", "no", "ignore caches"),
    Option("ignore-rules", Kind.RULES, "RULE,...", "none", "rules of the C API and of locks that do not count"),
    Option("output", Kind.PATH, "DIR", "runs", "folder that receives one folder for each run"),
)
_BY_NAME = {option.name: option for option in OPTIONS}


def load_settings(overrides: Mapping[str, object], *, env: Mapping[str, str], cwd: Path) -> Settings:
    """Gather the settings of one invocation.

    ``overrides`` are the command line's values by field name; None means that the option was not given. Relative paths
    in a settings file are relative to that file, others to ``cwd``.

    Raises :class:`UsageError` with file, key and line for an unknown key, an invalid value or invalid TOML.
    """
    values: dict[str, Any] = {"output": cwd / "runs", **_from_file(cwd)}
    for option in OPTIONS:
        if text := env.get(option.variable, "").strip():
            values[option.field] = _convert(option, text, cwd, partial("environment: {}".format, option.variable))
        if (given := overrides.get(option.field)) is not None:
            values[option.field] = _convert(option, given, cwd, partial("command line: {}".format, option.flag))
    settings = Settings(**values)
    _refuse_conflicts(settings)
    return settings


def _refuse_conflicts(settings: Settings) -> None:
    # The version of a source on this machine is not known yet.
    if settings.free_threaded and settings.source is None:
        require_free_threading(settings.python or DEFAULT_PYTHON)


def require_free_threading(version: str) -> None:
    """Raise ``UsageError`` for a CPython version that has no free-threaded build."""
    if reason := free_threading_refusal(version):
        raise UsageError(
            reason, advice=f"name {dotted(FIRST_FREE_THREADED)} or later with --python, or drop --free-threaded"
        )


def _from_file(cwd: Path) -> dict[str, Any]:
    for folder in (cwd, *cwd.parents):
        for name, section in ((FILE_NAME, ()), ("pyproject.toml", ("tool", "python-tsan"))):
            file = folder / name
            # A link that leads nowhere is a mistake of the user; read_text says so.
            if not os.path.lexists(file):
                continue
            text = read_text(file)
            table = table_at(parse(text, file), section)
            if isinstance(table, dict):
                return dict(_checked(table, text, file, section))
            if table is not None:
                raise UsageError(f"{file}:{line_of(text, section)}: {'.'.join(section)} must be a table")
    return {}


def _checked(table: Mapping[str, object], text: str, file: Path, section: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():

        def where(key: str = key) -> str:
            return f"{file}:{line_of(text, (*section, key))}: {key}"

        option = _BY_NAME.get(key)
        if option is None:
            known = "known settings: " + ", ".join(_BY_NAME)
            advice = did_you_mean(key.replace("_", "-"), _BY_NAME, otherwise=known)
            raise UsageError(f"{where()}: unknown setting", advice=advice)
        if isinstance(value, str) is not option.kind.is_text:
            raise _invalid(option, value, where())
        yield option.field, _convert(option, value, file.parent, where)


def _convert(option: Option, value: object, base: Path, where: Callable[[], str]) -> object:
    """Return ``value``, text or already typed, as the option's type; an error names ``where`` it comes from."""
    converted = convert(option.kind, value, base)
    if converted is None:
        raise _invalid(option, value, where())
    return converted


def _invalid(option: Option, value: object, where: str) -> UsageError:
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    advice = f"{option.name}: {option.summary}"
    if option.kind is Kind.VERSION:
        minors = ", ".join(f"3.{minor}" for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1))
        advice = f"name one of {minors} for its newest release"
    elif option.kind is Kind.RULES:
        advice = f"rules: {', '.join(rule_ids())}"
    return UsageError(f"{where}: {shown} is not {option.kind.value}", advice=advice)
