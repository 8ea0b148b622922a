"""Describe the run that a result comes from: program, rate, baseline, suppressions, loaded objects."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from python_tsan.plain_text import counted, some_of, span
from python_tsan.rate import excluded_rate, runs_needed
from python_tsan.result.model import BaselineState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.result.model import (
        BaselineResult,
        GilWait,
        Observation,
        Provenance,
        Rate,
        Result,
        SharedObject,
        Subject,
        SuppressionUse,
    )

# Names in one sentence; the JSON has them all.
MAX_NAMES = 5


def circumstances(result: Result) -> Iterator[tuple[str, str]]:
    """Yield label and sentence for all that is known of the run; nothing for a result of mere logs."""
    if result.subject:
        yield from _subject(result.subject, result.observations)
        # What the threads did at the deadline of the first run that passed it
        yield from (("thread", line) for line in next((each.hang for each in result.observations if each.hang), ()))
        yield from (("with the GIL", line) for line in _gil_waits(result))
        yield from (("advice", line) for line in _kept_references(result))
    if result.baseline:
        yield "baseline", _baseline(result.baseline)
    if result.suppressions and (words := _suppressions(result.suppressions)):
        yield "suppressions", words
    if result.subject and result.provenance and (words := _environment(result.provenance)):
        yield "environment", words
    if result.provenance and result.provenance.shims:
        yield "shims", f"{', '.join(result.provenance.shims)} (PYTHON_TSAN_SHIMS=0 switches them off)"
    if result.audit:
        yield "loaded", _audit(result.audit)


def rate_words(rate: Rate) -> str:
    """Return ``3 of 10 runs (95 %: 11 % to 60 %)``."""
    low, high = 100 * rate.low, 100 * rate.high
    return f"{rate.found} of {counted(rate.runs, 'run')} (95 %: {low:.0f} % to {high:.0f} %)"


def excluded_words(rate: Rate) -> str:
    """Return ``1 in 333 runs (95 %); 2,995 runs for 1 in 1,000`` if no run showed anything, else an empty text."""
    one_in = 0 if rate.found else excluded_rate(rate.runs)
    if not one_in:
        return ""
    further = 10 ** len(str(one_in))
    return f"1 in {one_in:,} runs (95 %); {runs_needed(further):,} runs for 1 in {further:,}"


def _subject(subject: Subject, observations: Sequence[Observation]) -> Iterator[tuple[str, str]]:
    yield "command", shlex.join(subject.command)
    codes = Counter(subject.exit_codes)
    ends = ", ".join(f"{_end(code)}{f' ({count} times)' if count > 1 else ''}" for code, count in codes.items())
    yield "ended", f"{ends or 'not at all'}, {subject.seconds:.1f} s, {subject.max_rss_bytes / 1e6:.0f} MB"
    if subject.timed_out:
        saved = f"; stacks in {some_of(subject.stacks, MAX_NAMES)}" if subject.stacks else ""
        stalled = next((each.stalled for each in observations if each.stalled), 0.0)
        words = f"nothing moved for {stalled:g} s, so it was ended" if stalled else "passed while it was still running"
        yield "stall" if stalled else "deadline", words + saved
    if subject.rate:
        yield "seen in", rate_words(subject.rate)
        if excluded := excluded_words(subject.rate):
            yield "rarer than", excluded


def _gil_waits(result: Result) -> Iterator[str]:
    """Yield the waits of all runs that were made with the GIL held, the longest total first."""
    together: dict[tuple[str, str], list[GilWait]] = {}
    for each in (wait for one in result.observations for wait in one.gil_waits):
        together.setdefault((each.callee, each.place), []).append(each)
    ranked = sorted(together.items(), key=lambda item: -sum(each.total for each in item[1]))
    for (callee, place), same in ranked[:MAX_NAMES]:
        total, longest = sum(each.total for each in same), max(each.longest for each in same)
        others = max(each.others for each in same)
        words = f"{callee} waited {span(total)} in {counted(sum(each.count for each in same), 'call')}"
        words += f" at {place}, longest {span(longest)}" if place else f", longest {span(longest)}"
        yield words + (f"; {counted(others, 'thread')} asked for the GIL meanwhile" if others else "")


def _kept_references(result: Result) -> Iterator[str]:
    """Yield the borrowed references that were kept over a release of the GIL, with what to call instead."""
    counts = Counter[tuple[str, ...]]()
    for each in (kept for one in result.observations for kept in one.kept_references):
        counts[each.function, each.place, each.used_by, each.used_at, each.instead] += each.count
    for (function, place, used_by, used_at, instead), count in counts.most_common(MAX_NAMES):
        yield (
            f"{function} at {place} returned a borrowed reference, which was kept over a release of the GIL and "
            f"passed to {used_by} at {used_at} ({counted(count, 'time')}); "
            f"use {instead}, or Py_INCREF before the release"
        )
    if len(counts) > MAX_NAMES:
        yield f"{counted(len(counts) - MAX_NAMES, 'more borrowed reference')} kept over a release of the GIL"


def _end(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _baseline(baseline: BaselineResult) -> str:
    counts = Counter(entry.state for entry in baseline.entries)
    states = ", ".join(f"{counts[state]} {state.value}" for state in BaselineState if counts[state]) or "no entries"
    gone = [entry.cause or entry.fingerprint for entry in baseline.entries if entry.state is BaselineState.GONE]
    return f"{baseline.file}: {states}{f'; gone: {some_of(gone, MAX_NAMES)}' if gone else ''}"


def _suppressions(uses: Sequence[SuppressionUse]) -> str:
    yours = [use for use in uses if not use.shipped]
    shipped = sum(use.matched for use in uses if use.shipped)
    unused = [use.entry for use in yours if not use.matched]
    parts = []
    if yours:
        times = counted(sum(use.matched for use in yours), "time")
        parts.append(f"{len(yours) - len(unused)} of {len(yours)} matched, {times} in all")
    if unused:
        parts.append(f"unused: {some_of(unused, MAX_NAMES)}")
    if shipped:
        parts.append(f"those of python-tsan matched {counted(shipped, 'time')}")
    return "; ".join(parts)


def _environment(provenance: Provenance) -> str:
    """Return which variables of the program differed from the caller's."""
    changed, removed = ", ".join(provenance.environment), ", ".join(provenance.removed)
    return "; ".join([*([f"{changed} set"] if changed else []), *([f"{removed} removed"] if removed else [])])


def _audit(objects: Sequence[SharedObject]) -> str:
    plain = [each.path.rpartition("/")[2] for each in objects if each.instrumented is False]
    unknown = sum(each.instrumented is None for each in objects)
    parts = [counted(len(objects), "object")]
    if plain:
        parts.append(f"{len(plain)} not instrumented ({some_of(plain, MAX_NAMES)})")
    if unknown:
        parts.append(f"{unknown} unreadable")
    return ", ".join(parts)
