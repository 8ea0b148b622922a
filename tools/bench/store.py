"""Keep measurements in a file between runs, so that a bench can continue; read the machine's facts."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

import msgspec

from tools.bench.model import Machine, Report

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path, *, subject: str, machine: Machine) -> Report:
    """Return the kept report if it is of the same subject and machine, else an empty one."""
    empty = Report(machine=machine, subject=subject)
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return empty
    same = (kept.subject, kept.machine.cpu, kept.machine.cores) == (subject, machine.cpu, machine.cores)
    return kept if same and kept.schema == empty.schema else empty


def save(report: Report, path: Path) -> None:
    """Write a report by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    partial.rename(path)


def this_machine(cpu_info: str = "") -> Machine:
    """Return the facts of this machine; ``cpu_info`` is the text of ``/proc/cpuinfo``, which names the processor."""
    names = [line.partition(":")[2].strip() for line in cpu_info.splitlines() if line.startswith("model name")]
    return Machine(
        cpu=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        load=round(os.getloadavg()[0], 2),
    )
