"""Own the options that every verb shares and how they become settings; leave a verb's own options to its module."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.config import OPTIONS, Settings, load_settings
from python_tsan.console import make_console
from python_tsan.paths import Layout
from python_tsan.setting_values import Kind

if TYPE_CHECKING:
    from python_tsan.console import Console
    from python_tsan.pipeline import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a verb starts from: the settings in force, the cache's layout and the terminal."""

    settings: Settings
    layout: Layout
    console: Console


def settings_parser(*, without: tuple[str, ...] = ()) -> argparse.ArgumentParser:
    """Return the parent parser with one option for each setting, except those ``without``, and ``--quiet``."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group(
        "settings", "read also from PYTHON_TSAN_<NAME>, python-tsan.toml and [tool.python-tsan]"
    )
    for option in OPTIONS:
        if option.name in without:
            continue
        text = f"{option.summary} ({option.default})"
        if option.kind is Kind.FLAG:
            group.add_argument(option.flag, dest=option.field, action="store_true", default=None, help=option.summary)
        else:
            group.add_argument(option.flag, dest=option.field, metavar=option.metavar, help=text)
    parent.add_argument("--quiet", action="store_true", help="print results only, no progress")
    return parent


def open_context(arguments: argparse.Namespace) -> Context:
    """Load the settings of this invocation and make its console.

    Raises :class:`python_tsan.errors.UsageError` for settings that cannot be used.
    """
    overrides = {option.field: getattr(arguments, option.field, None) for option in OPTIONS}
    settings = load_settings(overrides, env=os.environ, cwd=Path.cwd())
    console = make_console(quiet=bool(getattr(arguments, "quiet", False)))
    return Context(settings=settings, layout=Layout(root=settings.cache), console=console)


def open_pipeline(arguments: argparse.Namespace) -> Pipeline:
    """Return the stages that act on this invocation's settings; nothing is built yet."""
    from python_tsan.pipeline import Pipeline  # noqa: PLC0415 -- `doctor` needs none of the stages

    context = open_context(arguments)
    return Pipeline(settings=context.settings, layout=context.layout, console=context.console)
