"""Own putting a numpy that Meson has installed somewhere into the copied interpreter, which gets a place of its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_tsan.cpython.inspection import is_instrumented
from python_tsan.cpython.locking import writable
from python_tsan.cpython.packages import library_folder

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.numpy_source.plan import NumpyPlan


def place_numpy(installed: Path, site: Path, *, version: str, metadata: Path) -> bool:
    """Move numpy from below ``installed`` into ``site``, with its record; False when it is not instrumented."""
    made = next(installed.glob("lib*/**/site-packages/numpy"), None)
    core = None if made is None else next(made.glob("_core/_multiarray_umath*.so"), None)
    if made is None or core is None or not is_instrumented(core):
        return False
    writable(site)
    made.rename(site / "numpy")
    record = site / f"numpy-{version}.dist-info"
    record.mkdir()
    shutil.copyfile(metadata, record / "METADATA")
    (record / "INSTALLER").write_text("python-tsan\n", encoding="utf-8")
    return True


def site_of(interpreter: Interpreter, prefix: Path) -> Path:
    """Return the ``site-packages`` of ``interpreter``, were it at ``prefix``."""
    return library_folder(replace(interpreter, prefix=prefix)) / "site-packages"


def moved(base: Interpreter, plan: NumpyPlan, final: Path) -> Interpreter:
    """Return the record of the copy of ``base`` that has this numpy and is at ``final``."""

    def at(path: Path) -> Path:
        return final / path.relative_to(base.prefix)

    return replace(
        base,
        key=plan.key,
        prefix=final,
        executable=at(base.executable),
        library=at(base.library),
        include=at(base.include),
        built_at=datetime.now(tz=UTC).isoformat(timespec="microseconds"),
    )
