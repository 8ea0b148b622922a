"""Read a baseline, with every mistake at its line; compare findings with it; write one. Pure, no I/O."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from python_tsan.errors import UsageError
from python_tsan.result.build import Standing
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import Baseline, BaselineEntry, BaselineResult, BaselineState, KnownFinding
from python_tsan.toml_file import parse
from python_tsan.tsan.legacy import legacy_fingerprints

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from python_tsan.result.finding import DistinctFinding


class HasRaw(Protocol):
    """A finding with the text of its block."""

    @property
    def raw(self) -> str: ...  # noqa: D102 -- as of Finding


VERSION = 1
VALID_DAYS = 90
_FILE_KEYS = ("version", "enough-runs", "finding")
_ENTRY_KEYS = ("fingerprint", "reason", "link", "expires", "title")
_NEEDED = ("fingerprint", "reason", "link", "expires")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}$")
_HEADER = re.compile(r"\s*\[\[\s*finding\s*\]\]")


def parse_baseline(text: str, file: str) -> Baseline:
    """Read a baseline in TOML.

    Raises :class:`UsageError` that names file and line for TOML that cannot be read, a key that is unknown or comes
    twice, one that is missing or empty, an invalid or repeated fingerprint, and an invalid date.
    """
    table = parse(text, file, page="baseline")
    lines = text.split("\n")
    for key in table:
        if key not in _FILE_KEYS:
            raise _wrong(file, _line_of(lines, key, 0), f"unknown key {key!r}", f"known keys: {', '.join(_FILE_KEYS)}")
    if table.get("version") != VERSION:
        raise _wrong(
            file,
            _line_of(lines, "version", 0),
            f"version must be {VERSION}",
            "write it again with --write-baseline",
        )
    enough = table.get("enough-runs", 1)
    if not isinstance(enough, int) or isinstance(enough, bool) or enough < 1:
        raise _wrong(file, _line_of(lines, "enough-runs", 0), "enough-runs must be a positive integer")
    entries = table.get("finding", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _wrong(file, _line_of(lines, "finding", 0), "each known finding is a table headed [[finding]]")
    starts = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    starts += [_line_of(lines, "finding", 0) - 1] * (len(entries) - len(starts))  # written inline
    known = tuple(_entry(entry, lines, start, file) for entry, start in zip(entries, starts, strict=False))
    _refuse_twice(known, file)
    return Baseline(file=file, enough_runs=enough, known=known)


def _entry(entry: Mapping[str, Any], lines: list[str], start: int, file: str) -> KnownFinding:
    for key in entry:
        if key not in _ENTRY_KEYS:
            raise _wrong(
                file, _line_of(lines, key, start), f"unknown key {key!r}", f"known keys: {', '.join(_ENTRY_KEYS)}"
            )
    for key in _NEEDED:
        if key not in entry:
            raise _wrong(file, start + 1, f"this finding has no {key}", f"every entry has {', '.join(_NEEDED)}")
    for key in ("fingerprint", "reason", "link"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise _wrong(file, _line_of(lines, key, start), f"{key} is empty", "write it, or fix the defect")
    if not _FINGERPRINT.match(entry["fingerprint"]):
        raise _wrong(file, _line_of(lines, "fingerprint", start), f"{entry['fingerprint']!r} is not a fingerprint")
    if not isinstance(entry["expires"], dt.date) or isinstance(entry["expires"], dt.datetime):
        raise _wrong(
            file, _line_of(lines, "expires", start), "expires must be a date such as 2026-12-31, without quotes"
        )
    return KnownFinding(
        fingerprint=entry["fingerprint"],
        reason=entry["reason"],
        link=entry["link"],
        expires=entry["expires"],
        title=str(entry.get("title", "")),
        line=start + 1,
    )


def _refuse_twice(known: tuple[KnownFinding, ...], file: str) -> None:
    first: dict[str, int] = {}
    for entry in known:
        if entry.fingerprint in first:
            raise _wrong(
                file,
                entry.line,
                f"{entry.fingerprint} is already in line {first[entry.fingerprint]}",
                "keep one of them",
            )
        first[entry.fingerprint] = entry.line


def _line_of(lines: list[str], key: str, start: int) -> int:
    """Return the line, from 1, that sets a key at or after index ``start``; that of ``start`` if none does."""
    setting = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
    return next((number + 1 for number in range(start, len(lines)) if setting.match(lines[number])), start + 1)


def _wrong(file: str, line: int, what: str, advice: str = "") -> UsageError:
    return UsageError(f"{file}:{line}: {what}", advice=advice, page="baseline")


def standings(baseline: Baseline, *, today: dt.date) -> dict[str, Standing]:
    """Return the standing of each finding that has an entry, by fingerprint."""
    return {
        entry.fingerprint: Standing(
            status=FindingStatus.EXPIRED if entry.expires < today else FindingStatus.KNOWN,
            reason=entry.reason,
            link=entry.link,
            expires=entry.expires.isoformat(),
        )
        for entry in baseline.known
    }


def with_current_fingerprints(baseline: Baseline, findings: Mapping[str, HasRaw]) -> Baseline:
    """Return a baseline whose entries from an older release have today's fingerprints of the findings they are about.

    ``findings`` are those of the run, by fingerprint. One old entry may be about several of them.
    """
    if all(entry.fingerprint in findings for entry in baseline.known):
        return baseline
    old: dict[str, list[str]] = {}
    for fingerprint, finding in findings.items():
        for legacy in legacy_fingerprints(finding.raw):
            old.setdefault(legacy, []).append(fingerprint)
    known: dict[str, KnownFinding] = {}
    for entry in baseline.known:
        current = [] if entry.fingerprint in findings else old.get(entry.fingerprint, [])
        known |= {
            fingerprint: replace(entry, fingerprint=fingerprint) for fingerprint in current or [entry.fingerprint]
        }
    return replace(baseline, known=tuple(known.values()))


def compare_baseline(baseline: Baseline, seen: Collection[str], *, runs: int, today: dt.date) -> BaselineResult:
    """Return the state of each entry when ``runs`` runs showed the fingerprints ``seen``."""
    return BaselineResult(
        file=baseline.file,
        entries=tuple(
            BaselineEntry(
                fingerprint=entry.fingerprint,
                state=_state(entry, entry.fingerprint in seen, enough=runs >= baseline.enough_runs, today=today),
                reason=entry.reason,
                link=entry.link,
                expires=entry.expires.isoformat(),
            )
            for entry in baseline.known
        ),
    )


def _state(entry: KnownFinding, was_seen: bool, *, enough: bool, today: dt.date) -> BaselineState:  # noqa: FBT001 -- named at its one call
    if entry.expires < today:
        return BaselineState.EXPIRED
    if was_seen:
        return BaselineState.SEEN
    return BaselineState.GONE if enough else BaselineState.UNSEEN


def complaints(result: BaselineResult) -> Iterator[str]:
    """Describe each entry that makes the run fail."""
    for entry in result.entries:
        if entry.state is BaselineState.EXPIRED:
            yield f"baseline entry {entry.fingerprint} expired on {entry.expires}"
        elif entry.state is BaselineState.GONE:
            yield f"baseline entry {entry.fingerprint} no longer occurs; take it out of {result.file}"


def write_baseline(findings: Iterable[DistinctFinding], old: Baseline | None, *, today: dt.date) -> str:
    """Return a baseline of what was found: old entries as they were, new ones with reason and link to be filled in.

    A reader refuses an empty reason, so that no finding is accepted without a reason.
    """
    kept = {entry.fingerprint: entry for entry in old.known} if old else {}
    until = today + dt.timedelta(days=VALID_DAYS)
    heading = "# Findings that are accepted for now. Each needs a reason and a link before this file can be used."
    blocks = [f"{heading}\nversion = {VERSION}\nenough-runs = {old.enough_runs if old else 1}\n"]
    for finding in findings:
        entry = kept.get(finding.fingerprint) or KnownFinding(
            fingerprint=finding.fingerprint, reason="", link="", expires=until, title=finding.summary or finding.title
        )
        blocks.append(
            "[[finding]]\n"
            f"fingerprint = {_quoted(entry.fingerprint)}\n"
            f"title = {_quoted(entry.title)}\n"
            f"reason = {_quoted(entry.reason)}\n"
            f"link = {_quoted(entry.link)}\n"
            f"expires = {entry.expires.isoformat()}\n"
        )
    return "\n".join(blocks)


def _quoted(text: str) -> str:
    """Write a TOML basic string: quotes, backslashes and control characters escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in escaped) + '"'
