"""Files that users write: every error names the file, and the line where there is one."""

import os

import pytest

from python_tsan.errors import UsageError
from python_tsan.toml_file import MOST_BYTES, parse, read_text, table_at


def refusal(call, *given, **named):
    with pytest.raises(UsageError) as caught:
        call(*given, **named)
    return caught.value


def test_the_text_is_what_is_in_the_file(tmp_path):
    (tmp_path / "f").write_text("a = 'ä'\r\n", encoding="utf-8", newline="")
    assert read_text(tmp_path / "f") == "a = 'ä'\r\n"


def test_what_cannot_be_read_says_why(tmp_path):
    assert refusal(read_text, tmp_path / "none").message == f"cannot read {tmp_path}/none: No such file or directory"
    assert refusal(read_text, tmp_path).message == f"cannot read {tmp_path}: Is a directory"
    error = refusal(read_text, tmp_path, what="the baseline", page="baseline")
    assert (error.message, error.page) == (f"cannot read the baseline {tmp_path}: Is a directory", "baseline")
    os.mkfifo(tmp_path / "pipe")
    assert refusal(read_text, tmp_path / "pipe").message.endswith("pipe: not a regular file")
    assert refusal(read_text, "/dev/zero").message == "cannot read /dev/zero: not a regular file"
    (tmp_path / "binary").write_bytes(b"a = '\xff'")
    assert refusal(read_text, tmp_path / "binary").message == f"{tmp_path}/binary: not UTF-8 text (byte 5)"


def test_the_size_is_bounded(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MOST_BYTES)
        assert len(read_text(tmp_path / "large")) == MOST_BYTES
        file.truncate(MOST_BYTES + 1)
    assert refusal(read_text, tmp_path / "large").message.endswith("large: larger than 16 MB")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb 2\n", "f.toml:2: Expected '=' after a key in a key/value pair"),
        ("a = 1\na = 2", "f.toml:2: Cannot overwrite a value"),
        ("a = '''\nx\n", "f.toml:2: Expected \"'''\""),
        ("[" * 100_000, "f.toml: nested too deeply"),
    ],
)
def test_a_syntax_error_has_its_line(text, message):
    error = refusal(parse, text, "f.toml", page="expectation")
    assert error.message == message or (error.message.startswith("f.toml:1: ") and len(text) > 1000)
    assert error.page == "expectation"


def test_a_value_is_found_by_its_keys():
    table = {"tool": {"python-tsan": {"jobs": 2}}, "x": 1}
    assert table_at(table, ("tool", "python-tsan")) == {"jobs": 2}
    assert table_at(table, ()) == table
    assert table_at(table, ("tool", "other")) is None
    assert table_at(table, ("x", "y")) is None
