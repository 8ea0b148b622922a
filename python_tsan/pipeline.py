"""Order the stages of a run: what needs what, each done at most once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from python_tsan.cpython.build.interpreter import build_interpreter, plan_offline
from python_tsan.cpython.numpy.from_source import build_numpy, find_with_numpy
from python_tsan.cpython.numpy.wheel import install_numpy
from python_tsan.cpython.stock import find_stock
from python_tsan.harness.build import build_harness
from python_tsan.toolchain import choose_toolchain

if TYPE_CHECKING:
    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.harness.build import Harness
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The stages of one invocation. Each property does its stage, and those before it, when it is first read.

    A stage whose result is already in the cache reports that it is up to date. Every property raises the
    :class:`python_tsan.errors.PythonTsanError` of its stage.
    """

    settings: Settings
    layout: Layout
    console: Console

    @cached_property
    def toolchain(self) -> Toolchain:
        """The selected compiler, with its runtime."""
        return choose_toolchain(self.settings.toolchain, layout=self.layout, console=self.console)

    @cached_property
    def interpreter(self) -> Interpreter:
        """CPython built under ThreadSanitizer."""
        return build_interpreter(self.settings, toolchain=self.toolchain, layout=self.layout, console=self.console)

    @cached_property
    def interpreter_with_numpy(self) -> Interpreter:
        """The same interpreter, once the locked numpy wheel is in it; or its copy with an instrumented numpy."""
        if self.settings.instrumented_numpy:
            return self._instrumented_numpy()
        install_numpy(
            self.interpreter,
            self.settings,
            layout=self.layout,
            console=self.console,
            launcher=self.toolchain.launcher,
        )
        return self.interpreter

    def _instrumented_numpy(self) -> Interpreter:
        # The copy may have come in an archive, without the interpreter that it was copied from.
        settings, toolchain, layout = self.settings, self.toolchain, self.layout
        plan = None if settings.refresh else plan_offline(settings, toolchain=toolchain, layout=layout)
        found = find_with_numpy(plan, settings, toolchain=toolchain, layout=layout) if plan else None
        if found:
            self.console.note(f"CPython {found.version} with an instrumented numpy is up to date: {found.key}")
            return found
        return build_numpy(self.interpreter, settings, toolchain=toolchain, layout=layout, console=self.console)

    @cached_property
    def harness(self) -> Harness:
        """The C++ program that embeds the built interpreter (the full lane)."""
        interpreter = self.interpreter_with_numpy if self.settings.instrumented_numpy else self.interpreter
        return self._harness_for(interpreter)

    @cached_property
    def stock(self) -> Interpreter | None:
        """A shared libpython found on this machine, or None."""
        return find_stock(self.settings, toolchain=self.toolchain, console=self.console)

    @cached_property
    def stock_harness(self) -> Harness | None:
        """The C++ program that embeds the stock interpreter (the fast lane), or None without one."""
        return None if self.stock is None else self._harness_for(self.stock)

    def _harness_for(self, interpreter: Interpreter) -> Harness:
        return build_harness(
            interpreter, self.settings, toolchain=self.toolchain, layout=self.layout, console=self.console
        )
