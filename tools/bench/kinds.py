"""List the benches, each with its option and the function that makes its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.bench import (
    building,
    capi_calls,
    cluster,
    comparing,
    gil_run,
    imports,
    lock_recorder,
    logs,
    numpy_build,
    restoring,
    shims,
    watch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.bench.order import Order
    from tools.bench.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One bench: the option that asks for it, what its help says, and what measures. A table is yielded when made."""

    flag: str
    summary: str
    tables: Callable[[Order], Iterator[Table]]


# Measured where no option asks for another.
DEFAULT = building.tables

KINDS = (
    Kind(flag="--logs", summary="measure the reading of logs, up to 1 GiB, instead", tables=logs.tables),
    Kind(flag="--cluster", summary="measure a cluster on this machine, instead", tables=cluster.tables),
    Kind(flag="--compare", summary="measure the comparison of 50 runs, instead", tables=comparing.tables),
    Kind(flag="--watch", summary="measure what the watch over imports costs, instead", tables=watch.tables),
    Kind(flag="--imports", summary="measure the scan of imports, instead", tables=imports.tables),
    Kind(
        flag="--numpy-build", summary="build numpy as the guides do, and as we do, instead", tables=numpy_build.tables
    ),
    Kind(
        flag="--restore", summary="measure archives: their size, and restoring them, instead", tables=restoring.tables
    ),
    Kind(flag="--gil", summary="measure the GIL tracer and other tracers, instead", tables=gil_run.tables),
    Kind(flag="--locks", summary="measure the lock recorder, instead", tables=lock_recorder.tables),
    Kind(flag="--capi", summary="measure the checks of the C API, instead", tables=capi_calls.tables),
    Kind(flag="--shims", summary="measure the shims of a program that uses none, instead", tables=shims.tables),
)
