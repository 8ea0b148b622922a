"""Declare the options that verbs share, and turn them into settings; a verb's own options are in its module."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import add_quiet
from python_tsan.config import OPTIONS, Settings, load_settings
from python_tsan.console import make_console
from python_tsan.paths import Layout
from python_tsan.plain_text import one_line
from python_tsan.setting_values import Kind, convert

if TYPE_CHECKING:
    from collections.abc import Collection

    from python_tsan.console import Console
    from python_tsan.pipeline import Pipeline

# The settings that each stage reads. A verb declares those of the stages that it runs.
TOOLCHAIN = ("toolchain", "cache")
PLAN = ("python", "free-threaded", "release", "source", *TOOLCHAIN)
INTERPRETER = (
    *PLAN,
    "jobs",
    "compiler-cache",
    "compiler-cache-remote",
    "python-org",
    "git",
    "network-timeout",
    "refresh",
)
NUMPY = ("numpy", "instrumented-numpy")


@dataclass(frozen=True, kw_only=True)
class VerbContext:
    """What a verb starts from: the settings, the cache's layout and the terminal."""

    settings: Settings
    layout: Layout
    console: Console

    @cached_property
    def pipeline(self) -> Pipeline:
        """The stages for these settings; nothing is built yet."""
        from python_tsan.pipeline import Pipeline  # noqa: PLC0415 -- `doctor` needs none of the stages

        return Pipeline(settings=self.settings, layout=self.layout, console=self.console)


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add ``--quiet`` and an option for each of these settings, in the order of the list of all settings."""
    unknown = set(names) - {option.name for option in OPTIONS}
    if unknown:
        raise ValueError(f"unknown settings: {unknown}")
    add_quiet(parser)
    group = parser.add_argument_group(
        "settings", "also read from PYTHON_TSAN_<NAME>, python-tsan.toml and [tool.python-tsan]"
    )
    shown = [option for option in OPTIONS if option.name in names]
    for option in shown:
        if option.kind is Kind.FLAG:
            group.add_argument(option.flag, dest=option.field, action="store_true", default=None, help=option.summary)
        else:
            text = f"{option.summary} ({option.default})"
            group.add_argument(option.flag, dest=option.field, metavar=option.metavar, help=text)
    parser.set_defaults(settings=tuple(option.field for option in shown))


def count(text: str) -> int:
    """Return the value of an option that takes a positive integer."""
    return int(_converted(Kind.COUNT, text))


def count_or_zero(text: str) -> int:
    """Return the value of an option that takes a positive integer, or 0 for none."""
    return 0 if text == "0" else count(text)


def seconds(text: str) -> float:
    """Return the value of an option that takes a positive number of seconds."""
    return float(_converted(Kind.SECONDS, text))


def _converted(kind: Kind, text: str) -> float:
    value = convert(kind, text, Path())
    if not isinstance(value, int | float):
        raise argparse.ArgumentTypeError(f"must be {kind.value}, not {one_line(text)!r}")
    return value


def open_context(arguments: argparse.Namespace) -> VerbContext:
    """Load the settings of this invocation and make its console.

    Raises :class:`python_tsan.errors.UsageError` for invalid settings.
    """
    given = {name: getattr(arguments, name) for name in getattr(arguments, "settings", ())}
    settings = load_settings(given, env=os.environ, cwd=Path.cwd())
    console = make_console(quiet=bool(getattr(arguments, "quiet", False)))
    return VerbContext(settings=settings, layout=Layout(root=settings.cache), console=console)


def given_settings(arguments: argparse.Namespace, *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Return the settings that were given on the command line, as words of another command line."""
    shown = (option for option in OPTIONS if option.field in arguments.settings and option.name not in without)
    given = ((option.flag, getattr(arguments, option.field)) for option in shown)
    return tuple(flag if value is True else f"{flag}={value}" for flag, value in given if value is not None)


def open_pipeline(arguments: argparse.Namespace) -> Pipeline:
    """Return the stages for this invocation's settings; nothing is built yet."""
    return open_context(arguments).pipeline
