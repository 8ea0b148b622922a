"""Keep what has been judged, so that a session that was interrupted continues where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from python_tsan import imports
from tools.import_score.judging import CORPUS
from tools.import_score.model import JudgedPair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.imports.model.interpreter import Python
    from tools.import_score.model import Tree

SETS = ("truth", "predicted", "confirmed")


class Kept:
    """Judged pairs by tree and interpreter, in a file of JSON lines that belongs to one state of the sources."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{state_of_sources()}.jsonl"
        self._lock = Lock()
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.is_file() else []
        self._judged = dict(_read(json.loads(line)) for line in lines)

    def get(self, tree: Tree, python: Python) -> list[JudgedPair] | None:
        """Return the judged pairs of a tree on an interpreter, or None."""
        return self._judged.get((tree.name, python.text))

    def put(self, tree: Tree, python: Python, judged: Sequence[JudgedPair]) -> None:
        """Keep the pairs of a tree as soon as they are judged."""
        pairs = [
            {name: sorted(value) if name in SETS else value for name, value in asdict(each).items()} for each in judged
        ]
        line = json.dumps({"tree": tree.name, "python": python.text, "pairs": pairs})
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _read(line: dict[str, Any]) -> tuple[tuple[str, str], list[JudgedPair]]:
    judged = [
        JudgedPair(**{**pair, "pair": tuple(pair["pair"]), **{name: frozenset(pair[name]) for name in SETS}})
        for pair in line["pairs"]
    ]
    return (line["tree"], line["python"]), judged


def state_of_sources() -> str:
    """Return a name for the state of the predictor, the corpus and this package."""
    digest = hashlib.sha256()
    for folder in (Path(imports.__file__).parent, CORPUS, Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
