"""Read a baseline, with every mistake at its line; compare findings with it; write one. Pure, no I/O."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from python_tsan.errors import UsageError
from python_tsan.result.attribution import attribute
from python_tsan.result.build import Standing
from python_tsan.result.finding import DistinctFinding, FindingStatus
from python_tsan.result.model import Baseline, BaselineEntry, BaselineResult, BaselineState, KnownFinding
from python_tsan.toml_file import parse
from python_tsan.tsan.frames import plain_symbol
from python_tsan.tsan.legacy import legacy_fingerprints

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from python_tsan.tsan.finding import Finding


VERSION = 1
VALID_DAYS = 90
_FILE_KEYS = ("version", "enough-runs", "finding")
_ENTRY_KEYS = ("fingerprint", "function", "object", "reason", "link", "expires", "title")
_CAUSE_KEYS = ("function", "object")
_NEEDED = ("reason", "link", "expires")
_SUBJECT = "every entry has a fingerprint, or a function, an object or both"
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
    causes = _causes(entry, lines, start, file)
    for key in _NEEDED:
        if key not in entry:
            raise _wrong(file, start + 1, f"this finding has no {key}", f"every entry has {', '.join(_NEEDED)}")
    for key in (*(causes or ["fingerprint"]), "reason", "link"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise _wrong(file, _line_of(lines, key, start), f"{key} is empty", "write it, or fix the defect")
    if not causes and not _FINGERPRINT.match(entry["fingerprint"]):
        raise _wrong(file, _line_of(lines, "fingerprint", start), f"{entry['fingerprint']!r} is not a fingerprint")
    if not isinstance(entry["expires"], dt.date) or isinstance(entry["expires"], dt.datetime):
        raise _wrong(
            file, _line_of(lines, "expires", start), "expires must be a date such as 2026-12-31, without quotes"
        )
    return KnownFinding(
        fingerprint=entry.get("fingerprint", ""),
        function=entry.get("function", ""),
        object=entry.get("object", ""),
        reason=entry["reason"],
        link=entry["link"],
        expires=entry["expires"],
        title=str(entry.get("title", "")),
        line=start + 1,
    )


def _causes(entry: Mapping[str, Any], lines: list[str], start: int, file: str) -> list[str]:
    """Return the keys that name a cause; an entry has those or a fingerprint."""
    causes = [key for key in _CAUSE_KEYS if key in entry]
    if "fingerprint" not in entry and not causes:
        raise _wrong(file, start + 1, "this finding has no fingerprint", _SUBJECT)
    if "fingerprint" in entry and causes:
        raise _wrong(file, _line_of(lines, causes[0], start), f"{causes[0]} in an entry with a fingerprint", _SUBJECT)
    return causes


def _refuse_twice(known: tuple[KnownFinding, ...], file: str) -> None:
    first: dict[str, int] = {}
    for entry in known:
        name = entry.cause or entry.fingerprint
        if name in first:
            raise _wrong(file, entry.line, f"{name} is already in line {first[name]}", "keep one of them")
        first[name] = entry.line


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


def with_current_fingerprints(
    baseline: Baseline, findings: Mapping[str, Finding] | Mapping[str, DistinctFinding], own: tuple[str, ...] = ()
) -> Baseline:
    """Return a baseline whose entries by cause or from an older release have the fingerprints that they are about.

    ``findings`` are those of the run, by fingerprint, and ``own`` is what the user calls theirs. One entry may be about
    several findings; an entry with a finding's own fingerprint comes before any by cause.
    """
    if all(entry.fingerprint in findings for entry in baseline.known):
        return baseline
    old: dict[str, list[str]] = {}
    for fingerprint, finding in findings.items():
        for legacy in legacy_fingerprints(finding.raw):
            if legacy not in findings:
                old.setdefault(legacy, []).append(fingerprint)
    known: dict[str, KnownFinding] = {}
    for entry in baseline.known:
        if entry.cause:
            continue
        current = old.get(entry.fingerprint, [entry.fingerprint])
        known |= {fingerprint: replace(entry, fingerprint=fingerprint) for fingerprint in current}
    unmatched = []
    for entry in baseline.known:
        if entry.cause:
            about = [each for each, finding in findings.items() if is_about(entry, finding, own)]
            for fingerprint in about:
                known.setdefault(fingerprint, replace(entry, fingerprint=fingerprint))
            unmatched += [] if about else [entry]
    return replace(baseline, known=(*known.values(), *unmatched))


def is_about(entry: KnownFinding, finding: Finding | DistinctFinding, own: tuple[str, ...] = ()) -> bool:
    """Return whether a finding has the cause of an entry: its function on one side, and its object."""
    origins = finding.origins if isinstance(finding, DistinctFinding) else attribute(finding, own)[1]
    frames = [frame for origin in origins for frame in (origin.yours, origin.frame) if frame]
    return (not entry.function or any(_is_named(entry.function, frame.symbol) for frame in frames)) and (
        not entry.object or any(_is_named(entry.object, location.name) for location in finding.locations)
    )


def _is_named(sought: str, printed: str) -> bool:
    """Return whether a printed name is the one of an entry, which may be written without types and namespaces."""
    plain = plain_symbol(printed)
    return bool(printed) and (sought in {printed, plain} or plain.endswith(f"::{plain_symbol(sought)}"))


def compare_baseline(baseline: Baseline, seen: Collection[str], *, runs: int, today: dt.date) -> BaselineResult:
    """Return the state of each entry when ``runs`` runs showed the fingerprints ``seen``."""
    return BaselineResult(
        file=baseline.file,
        entries=tuple(
            BaselineEntry(
                fingerprint=entry.fingerprint,
                cause=entry.cause,
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
    # An entry by cause is there once for each of its findings.
    yield from dict.fromkeys(words for entry in result.entries if (words := _complaint(entry, result.file)))


def _complaint(entry: BaselineEntry, file: str) -> str:
    name = entry.cause or entry.fingerprint
    match entry.state:
        case BaselineState.EXPIRED:
            return f"baseline entry {name} expired on {entry.expires}"
        case BaselineState.GONE:
            return f"baseline entry {name} no longer occurs; take it out of {file}"
        case _:
            return ""


def write_baseline(findings: Iterable[DistinctFinding], old: Baseline | None, *, today: dt.date) -> str:
    """Return a baseline of what was found: old entries as they were, new ones with reason and link to be filled in.

    A reader refuses an empty reason, so that no finding is accepted without a reason.
    """
    causes = [entry for entry in old.known if entry.cause] if old else []
    kept = {entry.fingerprint: entry for entry in old.known if not entry.cause} if old else {}
    until = today + dt.timedelta(days=VALID_DAYS)
    heading = "# Findings that are accepted for now. Each needs a reason and a link before this file can be used."
    blocks = [f"{heading}\nversion = {VERSION}\nenough-runs = {old.enough_runs if old else 1}\n"]
    entries = list(causes)
    for finding in findings:
        new = KnownFinding(
            fingerprint=finding.fingerprint, reason="", link="", expires=until, title=finding.summary or finding.title
        )
        if finding.fingerprint in kept or not any(is_about(entry, finding) for entry in causes):
            entries.append(kept.get(finding.fingerprint, new))
    for entry in entries:
        names = [name for name in ("fingerprint", "function", "object") if getattr(entry, name)]
        blocks.append(
            "[[finding]]\n"
            + "".join(f"{name} = {_quoted(getattr(entry, name))}\n" for name in names)
            + f"title = {_quoted(entry.title)}\n"
            f"reason = {_quoted(entry.reason)}\n"
            f"link = {_quoted(entry.link)}\n"
            f"expires = {entry.expires.isoformat()}\n"
        )
    return "\n".join(blocks)


def _quoted(text: str) -> str:
    """Write a TOML basic string: quotes, backslashes and control characters escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in escaped) + '"'
