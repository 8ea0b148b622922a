"""Own ``evidence.json``: what a verdict rests on, run by run, so that runs of many machines can be added up."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 -- msgspec resolves the annotations at run time
import hashlib
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from python_tsan.running.baseline import Baseline  # noqa: TC001 -- as above
from python_tsan.running.judging import Evidence  # noqa: TC001 -- as above
from python_tsan.running.shard import Shard  # noqa: TC001 -- as above
from python_tsan.running.suppressing import merged_text
from python_tsan.running.versioned import load_versioned

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.running.record import Replay
    from python_tsan.running.request import Request
    from python_tsan.running.rules import Rules

EVIDENCE_FILE = "evidence.json"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One run of ``run`` as far as adding up is concerned.

    ``run`` is the name of its folder, which no other run has. ``subject`` are, by name, the things that have to be the
    same for two runs to be of one subject. ``planned`` runs were this machine's part. ``given`` counts the suppressions
    that are the user's own, which come first. ``evidence`` leaves out what is said of unused suppressions.
    """

    version: int = VERSION
    run: str
    subject: dict[str, str]
    repeat: int
    planned: int
    shard: Shard | None = None
    until_found: bool = False
    evidence: Evidence
    today: dt.date
    baseline: Baseline | None = None
    given: int = 0


def subject_of(request: Request, rules: Rules, replay: Replay) -> dict[str, str]:
    """Return what makes two runs be of one subject: the program and whatever its findings are held against.

    Kernel, number of cores and the like may differ: to see other interleavings is what many machines are for.
    """
    facts = replay.facts
    return {
        "command": shlex.join(request.command),
        "program": facts.get("program code") or facts.get("program", ""),
        "interpreter": facts.get("interpreter", "none"),
        "toolchain": facts.get("toolchain", ""),
        "TSAN_OPTIONS": replay.given.get("TSAN_OPTIONS", ""),
        "expectation": repr(rules.expectation),
        "baseline": _digest(repr(rules.baseline.known).encode()) if rules.baseline else "none",
        "suppressions": _digest(merged_text(rules.suppressions).encode()),
        "until found": "yes" if request.until_found else "no",
        "shards": f"{request.repeat} runs in {request.shard.count} shards" if request.shard else "none",
    }


def encode_account(account: Account) -> bytes:
    """Return ``account`` as indented JSON, the same for the same account."""
    return msgspec.json.format(msgspec.json.encode(account, order="deterministic"), indent=1) + b"\n"


def load_account(folder: Path) -> Account:
    """Read the account in a run's folder.

    Raises :class:`SubjectError` when there is none, or one that this version does not read.
    """
    return load_versioned(folder / EVIDENCE_FILE, Account, VERSION, page="merge")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16] if data else "none"
