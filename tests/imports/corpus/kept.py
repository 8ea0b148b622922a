"""Keep what has been judged, so that a session that was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from .score import Judged

HERE = Path(__file__).parent
PREDICTOR = HERE.parents[2] / "python_tsan" / "imports"
SETS = ("truth", "predicted", "confirmed")


class Kept:
    """Judged pairs by tree and interpreter, in a file of JSON lines that belongs to one state of the sources."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{state_of_sources()}.jsonl"
        self._lock = Lock()
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.is_file() else []
        self._judged = dict(_read(json.loads(line)) for line in lines)

    def get(self, tree, python):
        """Return what is known of a tree on an interpreter, or None."""
        return self._judged.get((tree.name, python.text))

    def put(self, tree, python, judged):
        """Keep the pairs of a tree as soon as they are judged."""
        told = [
            {name: sorted(value) if name in SETS else value for name, value in asdict(each).items()} for each in judged
        ]
        line = json.dumps({"tree": tree.name, "python": python.text, "pairs": told})
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _read(told):
    judged = [
        Judged(**{**pair, "pair": tuple(pair["pair"]), **{name: frozenset(pair[name]) for name in SETS}})
        for pair in told["pairs"]
    ]
    return (told["tree"], told["python"]), judged


def state_of_sources():
    """Return a name for the state of the predictor and of the corpus."""
    digest = hashlib.sha256()
    for path in sorted([*PREDICTOR.glob("*.py"), *PREDICTOR.glob("inside/import_cases/*.py"), *HERE.glob("*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
