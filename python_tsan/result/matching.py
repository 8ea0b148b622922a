"""Compare every finding with the expected ones. Pure, no I/O."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from python_tsan.tsan.frames import frame_function, identifying_stacks, plain_symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from python_tsan.expectation import Expectation, ExpectedFinding
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.tsan.finding import Finding


def compare_findings(expected: Sequence[ExpectedFinding], seen: Sequence[Finding]) -> str:
    """Return how the findings differ from the expected ones, or an empty string when they match one to one.

    An expected finding of which there may be ``several`` is met by one, and takes all others that are like it.
    """
    left = list(seen)
    for sought in expected:
        hit = next((finding for finding in left if matches(sought, finding)), None)
        if hit is None:
            return f"expected {describe_expected(sought)}, {_shown(left)}"
        left = [each for each in left if each is not hit and not (sought.several and matches(sought, each))]
    return f"unexpected: {_shown_list(left)}" if left else ""


def matches(sought: ExpectedFinding, finding: Finding | DistinctFinding) -> bool:
    """Return whether a finding is the expected one: its kind, the global, the accessing functions and the sides."""
    if finding.kind.value != sought.kind:
        return False
    if sought.location and not any(_names(sought.location, location.name) for location in finding.locations):
        return False
    if sought.function and not _is_in(sought.function, finding):
        return False
    return not sought.accesses or Counter(sought.accesses) == Counter(access.side for access in finding.accesses)


def _names(sought: str, printed: str) -> bool:
    """Return whether a printed global is the expected one, which may be written without its namespace."""
    return printed == sought or plain_symbol(printed).endswith(f"::{sought}")


def _is_in(function: str, finding: Finding | DistinctFinding) -> bool:
    """Return whether each access is made by this function; of what the recorder found, whether it is on a stack."""
    if not finding.kind.is_recorded:
        return bool(finding.accesses) and all(function in frame_function(access) for access in finding.accesses)
    return any(function in frame.symbol for stack in identifying_stacks(finding) if stack for frame in stack.frames)


def describe_expected(sought: ExpectedFinding) -> str:
    """Write an expected finding in words: ``a data race (read, write) on g_racy_counter in bump``."""
    sides = f" ({', '.join(sought.accesses)})" if sought.accesses else ""
    where = f" on {sought.location}" if sought.location else ""
    function = f" in {sought.function}" if sought.function else ""
    return f"a {sought.kind}{sides}{where}{function}"


def describe_finding(finding: Finding | DistinctFinding) -> str:
    """Write a finding in words, as :func:`describe_expected` does; without accesses, by the tops of its stacks."""
    sides = ", ".join(access.side for access in finding.accesses)
    names = [location.name or location.kind.value for location in finding.locations]
    symbols = dict.fromkeys(plain_symbol(frame_function(access)) or "?" for access in finding.accesses)
    return (
        f"a {finding.title}"
        + (f" ({sides})" if sides else "")
        + (f" on {', '.join(names)}" if names else "")
        + (f" in {', '.join(symbols)}" if symbols else "")
    )


def _shown(findings: Sequence[Finding]) -> str:
    return f"saw {_shown_list(findings)}" if findings else "saw none"


def _shown_list(findings: Sequence[Finding]) -> str:
    words = Counter(describe_finding(finding) for finding in findings)
    return "; ".join(text if times == 1 else f"{text} ({times} times)" for text, times in words.items())


def covered(
    expectation: Expectation, findings: Mapping[str, Finding] | Mapping[str, DistinctFinding]
) -> tuple[frozenset[str], ...]:
    """Return, for each expected finding, the fingerprints of the ``findings`` that are it."""
    return tuple(
        frozenset(key for key, finding in findings.items() if matches(sought, finding))
        for sought in expectation.findings
    )


def missing(expectation: Expectation, findings: Iterable[Finding | DistinctFinding]) -> Iterator[str]:
    """Describe each expected finding that none of the findings is."""
    seen = tuple(findings)
    for sought in expectation.findings:
        if not any(matches(sought, finding) for finding in seen):
            yield describe_expected(sought)
