"""Console: what goes where, in what shape, on a terminal and off it."""

from __future__ import annotations

import io

import pytest

from python_tsan.console import Console, _Lines, _LongOnly, _state, make_console
from python_tsan.plain_text import counted, duration, remaining, text_table


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self):
        return True


def consoles(*, terminal=False, quiet=False, env=None):
    out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    return Console(out=out, err=err, env=env or {"TERM": "xterm-256color"}, quiet=quiet), out, err


def test_results_and_progress_do_not_share_a_stream():
    console, out, err = consoles()
    console.say("result")
    console.note("progress")
    console.warn("careful")
    assert out.getvalue() == "result\n"
    assert err.getvalue() == "progress\nwarning: careful\n"


def test_styled_lines_are_plain_off_a_terminal_and_without_colour():
    lines = [("std::vector[int] :smile: [bold]", "bold red"), ("x" * 200, "")]
    text = "".join(f"{line}\n" for line, _ in lines)
    console, out, _ = consoles(quiet=True)
    console.lines(lines)
    assert out.getvalue() == text
    console, out, _ = consoles(terminal=True)
    console.lines(lines)
    assert "\x1b[1;31mstd::vector[int] :smile: [bold]\x1b[0m\n" in out.getvalue()
    assert "x" * 200 + "\n" in out.getvalue()
    console, out, _ = consoles(terminal=True, env={"TERM": "xterm", "NO_COLOR": "1"})
    console.lines(lines)
    assert "31m" not in out.getvalue()


@pytest.mark.parametrize(
    ("terminal", "env", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": ""}, False),
        (False, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        (False, {"CLICOLOR_FORCE": "1"}, True),
        (False, {"CLICOLOR_FORCE": "0"}, False),
        (True, {"CLICOLOR": "0"}, False),
        (True, {"CLICOLOR": "1"}, True),
        (False, {"CLICOLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour_is_as_the_reader_says(terminal, env, wanted):
    env = {"TERM": "xterm-256color", **env}
    console, out, err = consoles(terminal=terminal, env=env)
    console.lines([("NOT clean", "bold red")])
    console.warn("careful")
    shown = ["\x1b[" in stream.getvalue() for stream in (out, err)]
    assert shown == [wanted, wanted]


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CLICOLOR": "0"}])
def test_without_colour_a_table_and_its_title_hold_no_escape_sequence(env):
    console, out, _ = consoles(terminal=True, env={"TERM": "xterm-256color", **env})
    console.table("title", ["one", "two"], [["a", "b"]])
    assert "title" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_dumb_terminal_gets_lines_for_progress():
    console, _, err = consoles(terminal=True, env={"TERM": "dumb"})
    with console.steps(["compile"]) as steps:
        steps.start("compile")
        steps.done()
    assert "\x1b" not in err.getvalue()
    assert "[1/1] compile: done" in err.getvalue()


def test_quiet_keeps_results_and_warnings_only():
    console, out, err = consoles(quiet=True)
    console.say("result")
    console.note("progress")
    console.warn("careful")
    with console.steps(["a"]) as steps:
        steps.start("a")
        steps.advance(0.5, "half")
        steps.done()
    assert out.getvalue() == "result\n"
    assert err.getvalue() == "warning: careful\n"


def lines_of(columns, rows, **how):
    return [line for lines in text_table(columns, rows, **how) for line in lines]


def test_a_table_is_aligned_without_trailing_blanks():
    assert lines_of(["check", "k of n"], [["gil", "5 of 5"], ["imports", "1"]], rule=True) == [
        "check    k of n",
        "-------  ------",
        "gil      5 of 5",
        "imports  1",
    ]


def test_a_table_without_rows_is_a_header():
    assert lines_of(["a"], [], rule=True) == ["a", "-"]


def test_numbers_are_aligned_at_the_right_and_the_last_column_is_wrapped():
    assert lines_of(["times", "what"], [["7", "two words"], ["1,234,567", "x"]], right={0}, width=15) == [
        "    times  what",
        "        7  two",
        "           words",
        "1,234,567  x",
    ]


def test_table_off_a_terminal_has_no_escapes():
    console, out, _ = consoles()
    console.table("Verdicts", ["check"], [["std::vector[int]"]])
    assert out.getvalue().splitlines() == ["Verdicts", "check", "----------------", "std::vector[int]"]


def test_table_on_a_terminal_keeps_brackets_as_text():
    console, out, _ = consoles(terminal=True)
    console.table("Verdicts", ["check"], [["std::vector[int]"]])
    assert "std::vector[int]" in out.getvalue()
    assert "│" in out.getvalue()


def test_colour_is_for_terminals_that_want_it():
    coloured, _, err = consoles(terminal=True)
    coloured.warn("careful")
    assert "\x1b[33m" in err.getvalue()
    plain, _, err = consoles(terminal=True, env={"TERM": "xterm-256color", "NO_COLOR": "1"})
    plain.warn("careful")
    assert "\x1b[33m" not in err.getvalue()
    assert "warning: careful" in err.getvalue()


def test_a_dumb_terminal_gets_plain_lines():
    console, _, err = consoles(terminal=True, env={"TERM": "dumb"})
    console.warn("careful")
    assert err.getvalue() == "warning: careful\n"


def test_lines_say_each_step_and_not_every_advance():
    now = [0.0]
    said = []
    steps = _Lines(["configure", "compile"], said.append, lambda: now[0])
    steps.start("configure")
    now[0] = 3.0
    steps.start("compile")
    for percent in range(26):
        now[0] += 1
        steps.advance(percent / 100, f"object {percent}")
    steps.done()
    assert said[:3] == ["[1/2] configure ...", "[1/2] configure: done in 3.0 s", "[2/2] compile ..."]
    shares = [line for line in said if "%" in line]
    assert [line.split(":")[1].split(",")[0].strip() for line in shares] == ["10%", "20%"]
    assert shares[0] == "[2/2] compile: 10%, object 10, 11 s, about 1 min 39 s to go"
    assert said[-1] == "[2/2] compile: done in 26 s"


def test_lines_speak_at_least_every_fifteen_seconds_when_the_fraction_is_unknown():
    now = [0.0]
    said = []
    steps = _Lines(["configure"], said.append, lambda: now[0])
    steps.start("configure")
    for _ in range(40):
        now[0] += 1
        steps.advance(None, "checking")
    assert said[1:] == ["[1/1] configure: checking, 15 s", "[1/1] configure: checking, 30 s"]


def test_a_plain_log_hears_of_mostly_short_steps_only_when_one_takes_long():
    now = [0.0]
    said = []
    steps = _LongOnly(["trace", "search"], said.append, lambda: now[0])
    steps.start("trace")
    now[0] = 5.0
    steps.start("search")
    for percent in (10, 30, 50, 70, 90):
        now[0] += 4
        steps.advance(percent / 100)
    steps.done()
    assert said == [
        "[2/2] search: 70%, 16 s, about 6.9 s to go",
        "[2/2] search: done in 20 s",
    ]


def test_steps_on_a_terminal_end_full():
    console, _, err = consoles(terminal=True)
    with console.steps(["compile"]) as steps:
        steps.advance(0.1, "before any step is nothing")
        steps.start("compile")
        steps.advance(None, "warming up")
        steps.advance(0.5, "objects [1/2]")
        steps.start("one more")
        steps.done()
    shown = err.getvalue()
    assert "compile" in shown
    assert "one more" in shown
    assert "0.0 s" in shown
    assert "-:--:--" not in shown


@pytest.mark.parametrize(
    ("elapsed", "fraction", "detail", "words"),
    [
        (None, None, "", ""),
        (2.0, None, "warming up", "2.0 s, warming up"),
        (12.0, 0.25, "a.c", "25%, 12 s, about 36 s to go, a.c"),
        (43.0, 1.0, "", "43 s"),
    ],
)
def test_a_bar_says_what_is_known_and_nothing_else(elapsed, fraction, detail, words):
    assert _state(elapsed, fraction, detail) == words


LONG = "CPython 3.13.5 is up to date, in " + "/a/long/path" * 8


@pytest.mark.parametrize("speak", ["say", "note"])
def test_a_terminal_gets_lines_of_its_width_and_whole_paths(speak):
    console, out, err = consoles(terminal=True, env={"COLUMNS": "40", "TERM": "dumb"})
    getattr(console, speak)(LONG)
    written = (out.getvalue() + err.getvalue()).splitlines()
    assert written == ["CPython 3.13.5 is up to date, in", "  " + "/a/long/path" * 8]
    console, out, err = consoles(env={"COLUMNS": "40"})
    getattr(console, speak)(LONG)
    assert out.getvalue() + err.getvalue() == LONG + "\n"


def test_folding_keeps_indentation_and_what_fits():
    console, _, err = consoles(terminal=True, env={"COLUMNS": "40", "TERM": "dumb"})
    console.note("  what to do: " + "word " * 10 + "\n  short")
    assert err.getvalue().splitlines() == [
        "  what to do: word word word word word",
        "    word word word word word",
        "  short",
    ]


@pytest.mark.parametrize("columns", ["", "0", "many", "²", "3"])
def test_any_value_of_columns_is_survived(columns):
    console, _, err = consoles(terminal=True, env={"COLUMNS": columns, "TERM": "dumb"})
    console.warn("word " * 30)
    assert err.getvalue().split() == ["warning:", *["word"] * 30]
    assert max(map(len, err.getvalue().splitlines())) <= 80


def test_a_result_for_programs_is_never_folded():
    console, out, _ = consoles(terminal=True, env={"COLUMNS": "40"})
    console.data("x " * 60)
    assert out.getvalue() == "x " * 60 + "\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("elapsed", "fraction", "text"),
    [(10, 0.5, "about 10 s to go"), (10, None, ""), (10, 0, ""), (10, 1, ""), (0.5, 0.5, "")],
)
def test_remaining(elapsed, fraction, text):
    assert remaining(elapsed, fraction) == text


def test_make_console_uses_the_streams_of_the_moment(capsys):
    make_console().say("here")
    make_console(quiet=True).note("not here")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("here\n", "")


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (1, "entry", "1 entry"),
        (0, "entry", "0 entries"),
        (2, "survey", "2 surveys"),
        (2, "process", "2 processes"),
        (1200, "module", "1,200 modules"),
    ],
)
def test_a_number_is_written_with_its_noun(number, noun, words):
    assert counted(number, noun) == words
