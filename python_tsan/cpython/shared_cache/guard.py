"""Own the script that passes sccache by once it does not serve any more."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from python_tsan.cpython.shared_cache.address import SCCACHE

if TYPE_CHECKING:
    from pathlib import Path

_GUARD = """\
#!/bin/sh
if [ ! -e {mark} ]; then
  case $1 in -*) exec {program} "$@" ;; esac
  before=$(date +%s)
  if {program} "$@"; then
    [ $(($(date +%s) - before)) -lt {seconds} ] || : >{mark}
    exit 0
  fi
  : >{mark}
fi
case $1 in -*) exit 1 ;; esac
exec "$@"
"""


def guarded_sccache(program: Path, folder: Path, compiler_seconds: int = 45) -> Path:
    """Write a script into ``folder`` that compiles by ``program`` as long as that serves, and return the script.

    sccache waits a minute for each object once its server is gone, and then fails; whoever builds would wait for
    hours, or see the build fail. What takes longer than any compiler, or fails, is the last that is tried.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / SCCACHE
    failed_mark(script).unlink(missing_ok=True)
    script.write_text(
        _GUARD.format(
            mark=shlex.quote(str(failed_mark(script))), program=shlex.quote(str(program)), seconds=compiler_seconds
        ),
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script


def failed_mark(script: Path) -> Path:
    """Return the file that a guarded sccache leaves when it does not serve any more."""
    return script.with_name("failed")
