"""Harmless files that a careless reader would hang on, obey, or fill the memory with."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

ESCAPES = "\x1b]0;title\x07\x1b[31mred\x9b31m\u202eback\u2066in\u2028next\r\x00end"
LOG = (Path(__file__).parents[1] / "tsan" / "golden" / "clang-19" / "race_global.log").read_bytes()


def _document(**fields):
    return json.dumps(fields).encode()


# What the file contains, by name.
CONTENTS = {
    "empty": b"",
    "blank": b"\n \n\t\n",
    "binary": bytes(range(256)) * 64,
    "elf": b"\x7fELF" + bytes(60),
    "gzip_cut": b"\x1f\x8b\x08\x00" + b"x" * 20,
    "zstd_cut": b"\x28\xb5\x2f\xfd" + b"x" * 20,
    "nul": b"\x00" * 4096,
    "invalid_utf8": b"\xff\xfe\xfa key = \xc3\x28\n\x80\x80\n",
    "bom_utf16": "version = 1\n".encode("utf-16"),
    "log_cut": LOG[: len(LOG) // 2],
    "text": b"just words\nand more\n",
    "json_null": b"null",
    "json_number": b"1e999",
    "json_array": b"[]",
    "json_cut": b'{"schema": 1, "findings": [{"kind',
    "json_no_schema": b"{}",
    "json_old": _document(schema=0),
    "json_newer": _document(schema=10**6),
    "json_huge_schema": b'{"schema": ' + b"9" * 5000 + b"}",
    "json_wrong_types": _document(schema=[], findings=7, subject="x", verdicts={}, hazards=3, request=None),
    "json_infinite": b'{"schema": 1, "seconds": Infinity, "x": NaN}',
    "json_deep": b"[" * 100_000,
    "json_deep_object": b'{"schema":' * 100_000,
    "json_deep_closed": b'{"schema": 3, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "json_surrogate": b'{"schema": "\\ud800", "x": "\\udfff"}',
    "toml_deep": b"x = " + b"[" * 100_000,
    "toml_huge_number": b"version = " + b"9" * 5000 + b"\n",
    "toml_dotted": b".".join([b"a"] * 5_000) + b" = 1\n",
    "toml_types": b'version = "one"\nfinding = 7\nenough-runs = -1\n[[expect]]\nkind = 3\n',
    "escapes": ESCAPES.encode(),
    "escape_key": f'"{ESCAPES.encode("unicode_escape").decode()}" = 1\n'.replace("\\x", "\\u00").encode(),
    "escape_json": json.dumps({"schema": ESCAPES, ESCAPES: 1}).encode(),
    "long_line": b"x" * (3 << 20),
    "many_lines": b"y\n" * 20_000,
    "huge_numbers": LOG.replace(b"pid=", b"pid=" + b"9" * 5000).replace(b"0x", b"0x" + b"f" * 5000),
}


def make_fifo(place):
    os.mkfifo(place)


def make_socket(place):
    here = Path.cwd()
    os.chdir(place.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    finally:
        os.chdir(here)


def make_unreadable(place):
    place.write_bytes(LOG)
    place.chmod(0)


def make_sparse(place, size):
    place.touch()
    os.truncate(place, size)


# What the file is, by name.
PLACES = {
    "fifo": make_fifo,
    "socket": make_socket,
    "zero": lambda place: place.symlink_to("/dev/zero"),
    "null": lambda place: place.symlink_to("/dev/null"),
    "full": lambda place: place.symlink_to("/dev/full"),
    "folder": lambda place: place.mkdir(),
    "dangling": lambda place: place.symlink_to("nowhere"),
    "loop": lambda place: place.symlink_to(place.name),
    "missing": lambda _place: None,
    "unreadable": make_unreadable,
    "below_a_file": lambda place: place.parent.write_text(""),
    "long_name": lambda _place: None,
    "long_path": lambda _place: None,
    "read_error": lambda place: place.symlink_to("/proc/self/mem"),
    "sparse": lambda place: make_sparse(place, 1 << 40),
    "sparse_below_the_limit": lambda place: make_sparse(place, (1 << 30) - 1),
}
NAMES = {
    "below_a_file": "plain/input",
    "long_name": "n" * 300,
    "long_path": "d/" * 3000 + "input",
}
