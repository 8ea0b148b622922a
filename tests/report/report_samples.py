"""Reports to be rendered: the golden logs, and one whose every name would break a page that does not escape it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from python_tsan.report.build import Facts, build_report
from python_tsan.report.reading import read_logs

GOLDEN = Path(__file__).parents[1] / "tsan" / "golden"
NASTY = "std::vector<int>::push_back(std::map<std::string, \"a\" & 'b'>, `x`|y*_z_, $HOME, [a](b), </script><b>)"


def report_on(*paths, **facts):
    """Return the report of some logs; further facts by name."""
    reading = read_logs([str(path) for path in paths])
    return build_report(reading.digest, Facts(inputs=tuple(reading.inputs), **facts))


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
