"""The compilers of this machine, and the library with the shims."""

import pytest

from python_tsan.console import make_console
from python_tsan.paths import Layout
from python_tsan.running.companion import obtain_companion
from python_tsan.toolchain import survey


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    return Layout(root=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def toolchains(layout):
    found = survey(layout=layout, console=make_console(quiet=True)).probes
    return {probe.toolchain.candidate.family.value: probe.toolchain for probe in reversed(found) if probe.toolchain}


@pytest.fixture(scope="session")
def companion(layout, toolchains):
    compiler = next(iter(toolchains.values())).candidate
    built = obtain_companion(interpreter=None, compiler=compiler, layout=layout, console=make_console(quiet=True))
    assert built is not None
    return built
