"""Read what ``--expect`` takes, a word or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from python_tsan.errors import UsageError
from python_tsan.expectation import Expectation, ExpectedFinding, Outcome
from python_tsan.plain_text import did_you_mean
from python_tsan.result.model import CLEAN
from python_tsan.toml_file import parse, read_text
from python_tsan.tsan.finding import RULES, Kind


def _finding(kind: Kind) -> Expectation:
    return Expectation(outcome=Outcome.RACE, findings=(ExpectedFinding(kind=kind.value),))


# Expectations that are one word. ``race`` is any data race at all, the id of a rule anything that breaks it. Which one
# it must be takes a file.
WORDS = {
    "clean": CLEAN,
    "race": _finding(Kind.RACE),
    "hang": Expectation(outcome=Outcome.HANG),
    **{name: _finding(kind) for name, kind in RULES.items()},
}
_KEYS = ("outcome", "findings")
# Here each may be seen any number of times.
_FINDING_KEYS = tuple(name for name in ExpectedFinding.__struct_fields__ if name != "several")


def expectation_of(given: str) -> Expectation:
    """Return the expectation that ``--expect`` names: one of :data:`WORDS`, or a file.

    Raises :class:`UsageError` that names the words, or the file and what is wrong in it.
    """
    if given in WORDS:
        return WORDS[given]
    try:
        text = read_text(Path(given), what="the expectation", page="expectation")
    except UsageError as error:
        word = Path(given).name
        words = f"name a file, or one of {', '.join(WORDS)}"
        error.advice = did_you_mean(word, WORDS, otherwise=words) if "." not in word else words
        raise
    return parse_expectation(text, given)


def parse_expectation(text: str, file: str) -> Expectation:
    """Read an expectation in TOML: ``outcome`` (clean, race or hang) and a table ``[[findings]]`` for each finding.

    Raises :class:`UsageError` that names the file for anything else.
    """
    table = parse(text, file, page="expectation")
    _refuse_unknown(table, _KEYS, file)
    for finding in table.get("findings", []):
        if isinstance(finding, dict):
            _refuse_unknown(finding, _FINDING_KEYS, file)
            if (kind := RULES.get(str(finding.get("kind")))) is not None:
                finding["kind"] = kind.value
    try:
        expectation: Expectation = msgspec.convert(table, Expectation)
    except msgspec.ValidationError as error:
        raise _wrong(file, str(error)) from error
    if expectation.outcome in {Outcome.ERROR, Outcome.CRASH}:
        raise _wrong(file, f"outcome {expectation.outcome.value!r} is for the harness's scenarios")
    if (expectation.outcome is Outcome.RACE) != bool(expectation.findings):
        raise _wrong(file, "outcome 'race' needs [[findings]], and the other outcomes have none")
    return expectation


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...], file: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(
                f"{file}: unknown key {key!r}", advice=f"known keys: {', '.join(known)}", page="expectation"
            )


def _wrong(file: str, what: str) -> UsageError:
    return UsageError(
        f"{file}: {what}",
        advice='write outcome = "race" and a [[findings]] table with kind and location',
        page="expectation",
    )
