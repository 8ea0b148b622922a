"""Reports to be rendered: the golden logs, and one whose every name would break a page that does not escape it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from python_tsan.detect.reading import read_logs
from python_tsan.result.build import Facts, build_result
from python_tsan.tsan.finding import Kind

# Kinds that the runtime prints.
OF_THE_RUNTIME = frozenset(kind for kind in Kind if not kind.is_recorded) - {Kind.UNRECOGNISED}
GOLDEN = Path(__file__).parent / "tsan" / "golden"
NASTY = "std::vector<int>::push_back(std::map<std::string, \"a\" & 'b'>, `x`|y*_z_, $HOME, [a](b), </script><b>)"


def report_on(*paths, **facts):
    """Return the result of some logs; further facts, or parts of the result, by name."""
    known = {name: facts.pop(name) for name in list(facts) if name in Facts.__struct_fields__}
    reading = read_logs([str(path) for path in paths])
    return replace(build_result(reading.digest, Facts(inputs=tuple(reading.inputs), **known)), **facts)


def renamed(report, symbol, file="/src/golden/race_global.cpp"):
    """Return the report with every frame of every access called ``symbol``, in ``file``."""

    def frames(stack):
        return replace(stack, frames=tuple(replace(each, symbol=symbol, file=file) for each in stack.frames))

    def finding(each):
        accesses = tuple(replace(access, stack=frames(access.stack)) for access in each.accesses)
        origins = tuple(
            replace(origin, frame=replace(origin.frame, symbol=symbol, file=file), yours=None)
            if origin.frame
            else origin
            for origin in each.origins
        )
        location = each.location and replace(each.location, name=symbol)
        return replace(each, accesses=accesses, origins=origins, location=location, raw=f"raw {symbol}\n")

    return replace(report, findings=tuple(finding(each) for each in report.findings))


@pytest.fixture
def golden():
    """Return paths of golden logs of clang, by name."""
    return lambda *names: [str(GOLDEN / "clang-19" / f"{name}.log") for name in names]


@pytest.fixture
def report_of(golden):
    """Return the report of some golden logs of clang; further facts by name."""
    return lambda *names, **facts: report_on(*golden(*names), **facts)


@pytest.fixture
def everything():
    """Return the report of all golden logs of both compilers."""
    return report_on(GOLDEN)


@pytest.fixture(scope="session")
def one_race():
    """Return a small report that all examples of a property share."""
    return report_on(GOLDEN / "gcc-12" / "race_tls.log")


@pytest.fixture
def nasty(report_of):
    """Return a report of one race between functions whose name is full of markup."""
    return renamed(report_of("race_global"), NASTY)
