"""Compose the environment variables of every program under test, which is called a subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_tsan.toolchain.model import Family
from python_tsan.tsan.options import Options, merge_options, parse_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.toolchain.model import Toolchain

# What a verdict needs of the runtime; each can be overridden by the user's own TSAN_OPTIONS.
DEFAULT_OPTIONS = {
    "halt_on_error": "0",
    "exitcode": "66",
    # A program may have other defaults compiled in (__tsan_default_options), which this overrides.
    "report_bugs": "1",
    "second_deadlock_stack": "1",
    # 7 keeps the longest history, so that the stack of the earlier access can mostly be restored.
    "history_size": "7",
    # A second of sleep at exit, by default, for threads that are still racing; the scenarios join theirs.
    "atexit_sleep_ms": "20",
}
# Options that the user cannot change, and why.
_RESERVED = {
    "log_path": "every subject has a log folder of its own",
    "report_bugs": "the verdict rests on what the runtime reports",
    "print_suppressions": "the verdict rests on what suppressions hid",
}
# A symbolizer that asks a server which does not answer hangs for ever; OpenBLAS' own threads are not under test; and
# a caller's PYTHONDONTWRITEBYTECODE makes every import of an instrumented interpreter three times as slow.
_SET = {"DEBUGINFOD_URLS": "", "OPENBLAS_NUM_THREADS": "1"}
_UNSET = ("PYTHONDONTWRITEBYTECODE", "LD_PRELOAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectEnvironment:
    """The whole environment of a subject. ``notes`` list which of the user's own options are used or ignored."""

    variables: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def tsan_options(self) -> str:
        """The value of ``TSAN_OPTIONS``, without the log folder, which differs from subject to subject."""
        return self.variables.get("TSAN_OPTIONS", "")


def compose_environment(
    base: Mapping[str, str],
    *,
    toolchain: Toolchain | None = None,
    extra: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> SubjectEnvironment:
    """Return the environment for subjects: ``base`` (the caller's), what a sound verdict needs, then ``extra``.

    ``options`` are further ones of the runtime. The user's own ``TSAN_OPTIONS`` win over these and the project's, but
    not over those that a verdict rests on. Clang's runtime gets the path of its symbolizer; GCC's has its own.
    """
    ours = dict(DEFAULT_OPTIONS)
    if toolchain and toolchain.symbolizer and toolchain.candidate.family is Family.CLANG:
        ours["external_symbolizer_path"] = str(toolchain.symbolizer)
    ours |= dict(options or {})
    theirs = parse_options(base.get("TSAN_OPTIONS", ""))
    kept = {name: value for name, value in theirs.values.items() if name not in _RESERVED}
    merged, overrides = merge_options(ours, str(Options(values=kept)))
    ignored = [
        f"TSAN_OPTIONS: {name}={theirs.values[name]} is ignored; {why}"
        for name, why in _RESERVED.items()
        if name in theirs.values
    ]
    wrong = [f"TSAN_OPTIONS: {word!r} is not an option and is left out" for word in theirs.wrong]
    added = [f"TSAN_OPTIONS: {name}={value} is yours" for name, value in kept.items() if name not in ours]
    variables = {name: value for name, value in base.items() if name not in _UNSET}
    variables |= _SET | {"TSAN_OPTIONS": str(merged)} | dict(extra or {})
    return SubjectEnvironment(
        variables=variables, notes=(*(str(override) for override in overrides), *added, *ignored, *wrong)
    )
