"""The measurement of what the shims cost: it runs both kinds, and it can fail."""

from pathlib import Path

import pytest

from python_tsan.console import make_console
from python_tsan.paths import Layout
from python_tsan.toolchain import choose_toolchain
from tools.bench import shims, watch

pytestmark = pytest.mark.compiler


@pytest.fixture
def toolchain(tmp_path):
    return choose_toolchain(None, layout=Layout(root=tmp_path / "cache"), console=make_console(quiet=True))


def test_the_program_is_run_without_and_with_the_shims(toolchain, tmp_path, monkeypatch):
    seen = []
    real = watch.process.run

    def run(command, **options):
        if "env" not in options:
            return real(command, **options)  # the compiler
        seen.append("companion.so" in options["env"].get("LD_PRELOAD", ""))
        return real(["true"], timeout=options["timeout"])

    monkeypatch.setattr(watch.process, "run", run)
    (row,) = shims.rows(toolchain, tmp_path / "companion.so", repeats=2)
    assert seen == [False, True] * 3
    assert row.cost.endswith(" x)")


def test_a_cost_beyond_the_limit_is_not_met(toolchain, monkeypatch):
    monkeypatch.setattr(shims, "LIMIT", 0.0001)
    monkeypatch.setattr(shims, "preloading", lambda _libraries, _env: {})
    (row,) = shims.rows(toolchain, Path("nothing.so"), repeats=1)
    assert row.met is False
    assert row.before != "failed"
