"""Names that a terminal, a browser or GitHub would obey are shown as codes, in every rendering."""

from __future__ import annotations

import io
import json
import re
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace
from report_samples import renamed

from python_tsan.comparison import renderings as comparison
from python_tsan.comparison.compare import compare
from python_tsan.comparison.model import Cell, Column, ColumnVerdict, Configuration, Row, RowKind, Seen
from python_tsan.console import Console
from python_tsan.plain_text import harmless, printable
from python_tsan.render import escape
from python_tsan.render.registry import RENDERINGS
from python_tsan.result.codec import decode_result

ESCAPE = "red \x1b[31m, title \x1b]0;x\x07, C1 \x9b31m"
BIDIRECTIONAL = "isolate \u2066, override \u202e, mark \u200f, separator \u2028"
COMMANDS = (
    *("::error::x", "first\n::error::x", "  ::add-mask::x", "##[error]x", "a ##[group]x", "::warning file=a::b"),
    *("##vso[task.complete result=Succeeded]x", "a ##teamcity[x]"),
)
COMMAND = re.compile(r"^\s*::|##\w*\[", re.MULTILINE)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("name", RENDERINGS)
@pytest.mark.parametrize("symbol", [ESCAPE, BIDIRECTIONAL, "a\0b", *COMMANDS])
def test_no_rendering_has_anything_to_obey(report_of, name, symbol):
    report = renamed(report_of("race_global"), symbol, f"/src/{symbol}")
    report = replace(report, unparsed=replace(report.unparsed, count=1, samples=(symbol,)))
    report = replace(report, verdicts=(replace(report.verdicts[0], downgrades=(symbol,), reason=symbol),))
    text = RENDERINGS[name].render(report).decode()
    assert not OBEYED.search(text)
    if name == "json":
        assert decode_result(text.encode()) == report
    if name == "github":
        assert all(re.match("::(error|warning|notice) ", line) for line in text.splitlines())
        assert "::" not in re.sub(r"^::[^:]*::", "", text.splitlines()[0]) or "::" in symbol
    else:
        assert not COMMAND.search(text)
    if name == "sarif":
        json.loads(text)
    elif name == "junit":
        ET.fromstring(text)  # noqa: S314 -- what we wrote ourselves


def test_a_reader_sees_what_was_there(report_of):
    text = RENDERINGS["terminal"].render(renamed(report_of("race_global"), "\x1b[31m \u202e")).decode()
    assert "\\x1b[31m" in text
    assert "\\u202e" in text


@pytest.mark.parametrize("line", COMMANDS)
def test_a_line_is_no_command(line):
    shown = harmless(line)
    assert not shown.lstrip().startswith("::")
    assert not COMMAND.search(shown)
    assert harmless(shown) == shown
    assert harmless(f"first\n{line}") == f"first\n{shown}"


def test_ordinary_text_stays():
    for text in ("std::vector<int>::size()", "a: b :: c", "# [x]", "tab\tand\nline"):
        assert harmless(text) == text
    assert printable("tab\t") == "tab\\x09"


@pytest.mark.parametrize("speak", [Console.say, Console.note, Console.warn])
def test_the_console_has_nothing_to_obey(speak):
    out, err = io.StringIO(), io.StringIO()
    console = Console(out=out, err=err, env={})
    for text in (ESCAPE, BIDIRECTIONAL, *COMMANDS):
        speak(console, text)
    console.table("", ("a",), ((ESCAPE,),))
    written = out.getvalue() + err.getvalue()
    assert not OBEYED.search(written)
    assert not COMMAND.search(written)


def test_no_text_ends_a_script():
    shown = escape.script_json({"name": "</script><!--<script>"})
    assert "<" not in shown
    assert json.loads(shown) == {"name": "</script><!--<script>"}


@pytest.mark.parametrize("name", comparison.RENDERINGS)
@pytest.mark.parametrize("text", [ESCAPE, BIDIRECTIONAL, *COMMANDS])
def test_no_comparison_has_anything_to_obey(name, text):
    cell = Cell(seen=Seen.RACE, as_expected=False, met=1, runs=3, detail=text)
    columns = [
        Column(
            run=text,
            file=text,
            configuration=Configuration(python=python, compiler=text),
            verdict=ColumnVerdict.NOT_CLEAN,
            conclusion=text,
            cells={text: found},
        )
        for python, found in (("3.12.1", cell), ("3.13.1", Cell(seen=Seen.CLEAN)))
    ]
    rows = (Row(id=text, title=text, kind=RowKind.FINDING),)
    shown = comparison.RENDERINGS[name].render(compare(columns, rows, unreadable=(text,), notes=(text,))).decode()
    assert not OBEYED.search(shown)
    assert not COMMAND.search(shown)
    if name == "json":
        assert json.loads(shown)["notes"] == [text]
