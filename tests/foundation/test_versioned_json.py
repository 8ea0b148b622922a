from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from python_tsan import storage
from python_tsan.errors import SubjectError, UsageError
from python_tsan.storage import MOST_BYTES, MOST_DOCUMENT_BYTES, MOST_DOCUMENT_VALUES, read_document
from python_tsan.versioned_json import Format, encode


@dataclass(frozen=True, kw_only=True)
class Note:
    schema: int = 3
    text: str
    place: Path | None = None
    counts: dict[str, int] = field(default_factory=dict)


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "text": document.pop("words")}


NOTES = Format(
    kind=Note, what="note", schema=3, page="notes", advice="write the note again", upgrades={1: dict, 2: renamed}
)


def test_is_indented_sorted_and_read_back() -> None:
    note = Note(text="é", place=Path("/a"), counts={"b": 1, "a": 2})
    data = NOTES.encode(note)
    assert data.decode() == (
        '{\n "schema": 3,\n "text": "é",\n "place": "/a",\n "counts": {\n  "a": 2,\n  "b": 1\n }\n}\n'
    )
    assert NOTES.decode(data, name="note.json") == note


def test_an_older_schema_is_converted_step_by_step() -> None:
    assert NOTES.decode(b'{"schema": 1, "words": "x"}', name="n") == Note(schema=1, text="x")


@pytest.mark.parametrize(
    ("data", "message", "advice"),
    [
        (b'{"schema": 4}', "n is newer than this python-tsan: it has schema 4, and schema 3", "update python-tsan"),
        (b'{"schema": 0}', "n is older than this python-tsan: it has schema 0, and schema 3", "write the note again"),
        (b'{"schema": 3', "n is damaged or not a note of python-tsan: ", "write the note again"),
        (b'{"schema": 3}', "n is damaged or not a note of python-tsan: ", "write the note again"),
        (b'{"schema": 3, "text": "\xff"}', "n is damaged or not a note of python-tsan: ", "write the note again"),
        (
            b'{"schema": 3, "x": ' + b"[" * 100_000,
            "n is damaged or not a note of python-tsan: ",
            "write the note again",
        ),
        (b"[]", "n is damaged or not a note of python-tsan: ", "write the note again"),
        (b'{"version": 3}', "n is damaged or not a note of python-tsan: ", "write the note again"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(data: bytes, message: str, advice: str) -> None:
    with pytest.raises(SubjectError) as caught:
        NOTES.decode(data, name="n")
    assert caught.value.message.startswith(message)
    assert caught.value.advice == advice
    assert caught.value.page == "notes"


def test_a_file_that_is_not_there_names_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.json: No such file or directory") as caught:
        NOTES.load(tmp_path / "none.json")
    assert caught.value.evidence == tmp_path / "none.json"


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SubjectError, match="not a regular file"):
        NOTES.load(tmp_path / "pipe")


def test_a_folder_is_refused_by_the_error_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory"):
        Format(kind=Note, what="note", schema=3, error=UsageError).load(tmp_path)


def test_other_objects_are_refused() -> None:
    with pytest.raises(NotImplementedError):
        encode(object())


def test_a_large_file_of_another_kind_is_not_read_whole(tmp_path):
    file = tmp_path / "large"
    with file.open("wb") as out:
        out.write(b"[1")
        out.truncate(MOST_BYTES + 1)
    assert len(read_document(file)) < 10_000


def test_what_would_take_much_memory_is_read_only_if_that_is_allowed(tmp_path, monkeypatch):
    file = tmp_path / "large.json"
    monkeypatch.setattr(storage, "MOST_DOCUMENT_BYTES", 2 << 20)
    monkeypatch.setattr(storage, "MOST_DOCUMENT_VALUES", 10)
    for content, words in ((b'{"schema": 3}' + b" " * (2 << 20), "larger than 2 MB"), (b"{" + b"," * 11, "values")):
        file.write_bytes(content)
        with pytest.raises(SubjectError, match=words) as refused:
            NOTES.load(file)
        assert "PYTHON_TSAN_LARGE_DOCUMENTS=1 allows" in refused.value.message
    monkeypatch.setenv("PYTHON_TSAN_LARGE_DOCUMENTS", "1")
    assert read_document(file) == b"{" + b"," * 11
    file.write_bytes(b'{"schema": 3}' + b" " * (2 << 20))
    assert len(read_document(file)) > 2 << 20


# As much of each as the limits allow: many small texts, keys, objects
@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        (b'"samples":[', b'"",', b'""]'),
        (b'"names":{', b'"%d":"",', b'"":""}'),
        (b'"frames":[', b'{"index":0},', b'{"index":0}]'),
        (b'"text":"', b"x" * 45 + b" ", b'"'),
    ],
)
def test_the_largest_documents_take_less_than_300_megabytes(tmp_path, content):
    start, part, end = content
    size = min(MOST_DOCUMENT_BYTES // (len(part) + 6), MOST_DOCUMENT_VALUES if b"," in part else 10**9) - 100
    parts = (part % number for number in range(size)) if b"%d" in part else (part for _ in range(size))
    file = tmp_path / "large.json"
    file.write_bytes(b'{"schema":3,' + start + b"".join(parts) + end + b"}")
    code = f"""
import re
from dataclasses import dataclass, field
from pathlib import Path
from python_tsan.tsan.finding import Frame
from python_tsan.versioned_json import Format
@dataclass(frozen=True)
class Large:
    schema: int
    samples: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    frames: tuple[Frame, ...] = ()
    text: str = ""
read = Format(kind=Large, what="x", schema=3).load(Path({str(file)!r}))
assert read.samples or read.names or read.frames or read.text
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 300
