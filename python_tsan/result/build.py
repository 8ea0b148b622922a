"""Make a result of a digest of logs and of what else is known. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from typing import TYPE_CHECKING, cast, overload

from msgspec import Struct, field
from msgspec.structs import replace

from python_tsan import __version__
from python_tsan.expectation import Outcome
from python_tsan.result.attribution import attribute, extension_objects
from python_tsan.result.finding import (
    Attribution,
    DirectedRuns,
    DistinctFinding,
    FindingStatus,
    Occurrence,
    PythonStack,
)
from python_tsan.result.judge.logs import doubts_about_logs, judge_logs, shortfalls_of_logs
from python_tsan.result.model import Input, Result, ResultKind, Status, Subject, Unparsed, Verdict
from python_tsan.tsan.digest import Digest
from python_tsan.tsan.finding import Finding
from python_tsan.tsan.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from python_tsan.result.model import Observation, Rate
    from python_tsan.tsan.digest import Group


class Standing(Struct, frozen=True, kw_only=True):
    """Whether a finding is known by a baseline, an expectation or a suppression, and why."""

    status: FindingStatus
    reason: str = ""
    link: str = ""
    expires: str = ""
    blind_spot: str = ""


class Facts(Struct, frozen=True, kw_only=True):
    """What is known beyond the logs. ``standings``, ``python_stacks`` and ``directed`` are by fingerprint.

    ``extensions`` are names of objects that Python packages brought, as of :mod:`.attribution`.
    ``verdict`` is that on a program which was run; without one the logs decide, ``silent_is_clean`` if the program is
    known to have run under the sanitizer.
    """

    own: tuple[str, ...] = ()
    extensions: frozenset[str] = frozenset()
    silent_is_clean: bool = False
    standings: Mapping[str, Standing] = field(default_factory=dict)
    python_stacks: Mapping[str, PythonStack] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    verdict: Verdict | None = None
    directed: Mapping[str, DirectedRuns] = field(default_factory=dict)


NOTHING_KNOWN = Facts()
NEW = Standing(status=FindingStatus.NEW)


class _Unmade(Sequence[DistinctFinding]):
    """The findings of groups, each of which is made when it is read, and not kept."""

    def __init__(self, groups: Sequence[Group], facts: Facts) -> None:
        self._groups, self._facts = groups, facts

    def __len__(self) -> int:
        return len(self._groups)

    @overload
    def __getitem__(self, index: int) -> DistinctFinding: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DistinctFinding]: ...
    def __getitem__(self, index: int | slice) -> DistinctFinding | Sequence[DistinctFinding]:
        if isinstance(index, slice):
            return _Unmade(self._groups[index], self._facts)
        return _finding(self._groups[index], self._facts)


def build_result(digest: Digest, facts: Facts = NOTHING_KNOWN, *, once: bool = False) -> Result:
    """Return the result of all that ``digest`` has read: findings in order of first appearance.

    If its findings are read ``once``, each is made at that moment: all of them may be too large for the memory.
    """
    unmade = _Unmade(tuple(digest.groups.values()), facts)
    findings = cast("tuple[DistinctFinding, ...]", unmade) if once else tuple(unmade)
    verdict = facts.verdict or judge_logs(
        [facts.standings.get(key, NEW).status for key in digest.groups],
        digest.fatal,
        facts.inputs,
        silent_is_clean=facts.silent_is_clean,
        doubts=doubts_about_logs(digest),
        shortfalls=shortfalls_of_logs(digest),
    )
    return Result(
        package=__version__,
        kind=ResultKind.PROGRAM if facts.verdict else ResultKind.LOGS,
        verdicts=(verdict,),
        findings=findings,
        fatal=tuple(digest.fatal),
        unparsed=Unparsed(count=digest.unparsed, samples=tuple(digest.samples)),
        blocks=digest.blocks,
        outside=digest.outside,
        inputs=facts.inputs,
    )


def result_of_checks(run: Result, earlier: Sequence[DistinctFinding] = ()) -> Result:
    """Return ``run``, of which only the verdicts are filled, with their findings and subjects, each once.

    A finding that a passed check exists to show is *expected*; a race of CPython itself that was set aside is
    *suppressed*. A finding that one check expects and another does not is *new*. ``earlier`` are the findings of
    verdicts that were taken from a saved result.
    """
    digest = Digest()
    standings: dict[str, Standing] = {}
    counted: set[Path] = set()
    for verdict in run.verdicts:
        for observation in verdict.observations:
            # Several checks may judge the same runs of a subject; those are counted once.
            _collect(verdict, observation, digest, standings, again=observation.folder in counted)
            counted.add(observation.folder)
    built = build_result(digest, Facts(standings=standings))
    return replace(
        run,
        package=__version__,
        kind=ResultKind.CHECKS,
        subjects=_subjects(run.verdicts),
        verdicts=tuple(
            replace(
                verdict,
                observations=tuple(
                    replace(each, findings=(), seen=each.seen | frozenset(map(fingerprint, each.findings)))
                    for each in verdict.observations
                ),
            )
            for verdict in run.verdicts
        ),
        findings=merge_findings((*earlier, *built.findings)),
        unparsed=built.unparsed,
        blocks=built.blocks + sum(each.occurrences for each in earlier),
    )


def _collect(
    verdict: Verdict, observation: Observation, digest: Digest, standings: dict[str, Standing], *, again: bool
) -> None:
    expected = verdict.expectation.outcome is Outcome.RACE and verdict.status is Status.PASSED
    standing = (
        Standing(status=FindingStatus.EXPECTED, reason=f"expected by {verdict.check}")
        if expected
        else Standing(status=FindingStatus.NEW, reason=f"seen by {verdict.check}")
    )
    shown = [(finding, standing) for finding in observation.findings]
    shown += [
        (race.finding, Standing(status=FindingStatus.SUPPRESSED, reason=race.reason)) for race in observation.known
    ]
    for finding, how in shown:
        key = fingerprint(finding)
        if key not in standings or how.status.fails:
            standings[key] = how
        if not again:
            digest.add_finding(finding, key)
    if not again:
        digest.unparsed += observation.unparsed.count
        digest.samples += observation.unparsed.samples


def subject_of(command: tuple[str, ...], observations: Sequence[Observation], rate: Rate) -> Subject:
    """Return the program that was run, with what its processes came to."""
    return Subject(
        command=command,
        exit_codes=tuple(each.exit_code for each in observations),
        timed_out=any(each.timed_out for each in observations),
        # fsum rounds once, so that no order of adding gives another total.
        seconds=fsum(each.seconds for each in observations),
        max_rss_bytes=max((each.max_rss_bytes for each in observations), default=0),
        rate=rate,
        stacks=tuple(str(path) for each in observations for path in each.stacks),
    )


def _subjects(verdicts: Iterable[Verdict]) -> tuple[Subject, ...]:
    """Return what was run. A scenario's folder has a folder for each of its runs, by their number."""
    runs: dict[str, dict[str, Observation]] = {}
    for verdict in verdicts:
        for one in verdict.observations:
            numbered = one.folder.name[:1].isdigit()
            runs.setdefault(str(one.folder.parent if numbered else one.folder), {})[one.folder.name] = one
    return tuple(
        Subject(
            name=folder.rpartition("/")[2],
            command=next(iter(each.values())).command,
            exit_codes=tuple(one.exit_code for one in each.values()),
            timed_out=any(one.timed_out for one in each.values()),
            seconds=sum(one.seconds for one in each.values()),
            max_rss_bytes=max(one.max_rss_bytes for one in each.values()),
        )
        for folder, each in runs.items()
    )


# Where results disagree (one was made a day later, and an entry had expired), the first of these counts.
_WEIGHT = (
    FindingStatus.NEW,
    FindingStatus.EXPIRED,
    FindingStatus.KNOWN,
    FindingStatus.EXPECTED,
    FindingStatus.SUPPRESSED,
    FindingStatus.SET_ASIDE,
)


def merge_findings(findings: Iterable[DistinctFinding]) -> tuple[DistinctFinding, ...]:
    """Return each distinct finding once, in order of first appearance, its occurrences added up."""
    together: dict[str, list[DistinctFinding]] = {}
    for finding in findings:
        together.setdefault(finding.fingerprint, []).append(finding)
    return tuple(_merged(each) for each in together.values())


def _merged(same: Sequence[DistinctFinding]) -> DistinctFinding:
    weightiest = min(same, key=lambda finding: _WEIGHT.index(finding.status))
    return replace(
        same[0],
        occurrences=sum(finding.occurrences for finding in same),
        sources=tuple(place for finding in same for place in finding.sources),
        python_stack=next((finding.python_stack for finding in same if finding.python_stack), None),
        truncated=all(finding.truncated for finding in same),
        notes=next((finding.notes for finding in same if finding.notes), ()),
        directed=_all_directed([finding.directed for finding in same if finding.directed]),
        status=weightiest.status,
        reason=weightiest.reason,
        link=weightiest.link,
        expires=weightiest.expires,
        blind_spot=weightiest.blind_spot,
    )


def _all_directed(parts: Sequence[DirectedRuns]) -> DirectedRuns | None:
    outcomes = tuple(outcome for part in parts for outcome in part.outcomes)
    hang = next((part.hang for part in parts if part.hang), ())
    return DirectedRuns(outcomes=outcomes, hang=hang) if parts else None


def attributed(result: Result, own: tuple[str, ...]) -> Result:
    """Return ``result`` with the attribution of every finding decided by ``own``; nothing else of it changes."""
    findings = []
    for finding in result.findings:
        whose, origins = attribute(finding, own, extension_objects(result.audit or ()))
        findings.append(replace(finding, attribution=_whose(whose, finding.blind_spot), origins=origins))
    return replace(result, findings=tuple(findings))


def _whose(attribution: Attribution, blind_spot: str) -> Attribution:
    """Return whose a finding is: what is set aside is the library's, also where CPython or nothing is on its stack."""
    return Attribution.EXTENSION if blind_spot else attribution


# What a finding and its first block have in common, spelled alike
_SHARED = [name for name in Finding.__struct_fields__ if name in DistinctFinding.__struct_fields__]


def _finding(group: Group, facts: Facts) -> DistinctFinding:
    first = group.finding
    attribution, origins = attribute(first, facts.own, facts.extensions)
    standing = facts.standings.get(group.fingerprint, NEW)
    return DistinctFinding(
        **{name: getattr(first, name) for name in _SHARED},
        fingerprint=group.fingerprint,
        occurrences=group.occurrences,
        attribution=_whose(attribution, standing.blind_spot),
        status=standing.status,
        origins=origins,
        reason=standing.reason,
        link=standing.link,
        expires=standing.expires,
        blind_spot=standing.blind_spot,
        location=first.location,
        more_locations=first.locations[1:],
        python_stack=facts.python_stacks.get(group.fingerprint),
        sources=tuple(Occurrence(file=name, line=line) for name, line in group.sources()),
        directed=facts.directed.get(group.fingerprint),
    )
