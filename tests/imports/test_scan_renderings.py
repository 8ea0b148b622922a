"""How a scan reads on a terminal and in Markdown."""

from dataclasses import replace

import pytest
from import_samples import CONFIRMED, HAZARD, NOT_REACHED, REFUTED, SOURCES, document
from markdown_it import MarkdownIt

from python_tsan.imports.confirm import Answer
from python_tsan.imports.model.source import statement_at
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.renderings import RENDERINGS
from python_tsan.imports.search.schedules import Link
from python_tsan.imports.wording import OUTCOMES, answer, common_folder, fix, summary, verdict
from python_tsan.plain_text import counted


def rendered(document, name):
    return RENDERINGS[name].render(document).decode().rstrip("\n")


def test_a_terminal_shows_the_table_the_stacks_and_what_removes_it():
    assert rendered(document(CONFIRMED, main=("z",)), "terminal").splitlines() == [
        "   T1 imports  T2 imports  outcome  runs",
        "-  ----------  ----------  -------  ----------------",
        "1  a           b           error    confirmed 2 of 3",
        "",
        "each hazard is listed once, for the first pair of entries that meets at its two",
        "  locks",
        "",
        "1  a against b: _DeadlockError, a RuntimeError, not an ImportError",
        "   T1 holds a and waits for b, by",
        "     its own import of a",
        "     /site/a.py:3 in <module>: import c  # asks",
        "     /site/c.py:1 in <module>: import b",
        "   T2 holds b and waits for a, by",
        "     its own import of b",
        "   confirmed 2 of 3 (at least 13 % with 95 % confidence)",
        "     T1: _DeadlockError: x|y<b>",
        "     at /site/c.py:1",
        "     T2 waits for a, held by T1",
        "     T1 waits for b, held by T2",
        "   what removes it: import a (or b) on the main thread, before the threads begin",
        "",
        "Python 3.13.0: 1 hazard between 2 entries after z, 7 modules",
    ]


def test_without_runs_the_predicted_chain_is_shown():
    told = rendered(document(None), "terminal")
    assert "     /site/a.py:3: import c  # asks\n   T2 holds b" in told
    assert "1  a           b           error    predicted" in told
    assert "confirmed" not in told


def test_the_confirmed_come_first_and_the_refuted_last():
    found = document(REFUTED, None, CONFIRMED)
    assert [hazard.answer for hazard in found.hazards] == [Answer.CONFIRMED, None, Answer.REFUTED]
    told = rendered(found, "terminal")
    assert told.endswith("2 hazards between 2 entries, 7 modules; 1 more predicted and\n  refuted")


def test_nothing_is_wider_than_a_terminal_however_long_the_names_and_many_the_hazards():
    name = "package." * 12 + "end"
    long = [
        replace(
            HAZARD,
            first=f"{name}{number}",
            awaited=f"awaited{number}",
            chains=(
                (Link(module=name, where=""), *(Link(module=f"m{each}", where="/site/a.py:3") for each in range(40))),
            )
            * 2,
        )
        for number in range(60)
    ]
    lines = rendered(document(*[None] * 60, hazards=long), "terminal").splitlines()
    assert "and 20 more" in lines
    assert "54 more in full by --format html or json" in lines
    assert "     … 29 more …" in lines
    assert max(len(line) for line in lines if "package." * 12 not in line) <= 80


def test_markdown_keeps_its_tables_whole_and_nothing_in_it_becomes_markup():
    told = rendered(document(CONFIRMED, None, problems={"c|<x>": "bad | name\nmore"}), "markdown")
    html = MarkdownIt("commonmark").enable("table").render(told)
    assert html.count("<table>") == 2
    assert html.count("<tr>") == 2 + 3
    assert "bad | name more" in html
    assert "c&#124;&lt;x&gt;" in told
    assert "_DeadlockError: x|y&lt;b&gt;" in html
    assert "| <code>a</code> | <code>b</code> | error | predicted |" in told
    assert rendered(document(), "markdown") == "Python 3.13.0: 0 hazards between 2 entries, 7 modules."


def test_names_of_threads_are_escaped_too():
    changed = document(CONFIRMED)
    one, other = changed.hazards[0].threads
    hazard = replace(changed.hazards[0], threads=(replace(one, thread="a\0|b"), other))
    shown = rendered(replace(changed, hazards=(hazard,)), "markdown")
    assert "a\\x00\\|b holds" in shown.replace("\\\\", "\\")
    assert "\0" not in shown


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        (CONFIRMED, "confirmed 2 of 3 (at least 13 % with 95 % confidence)"),
        (REFUTED, "refuted: in 3 directed runs the threads came to the place, and nothing was wrong"),
        (NOT_REACHED, "not reached: 1 directed run could not bring the schedule about"),
    ],
)
def test_each_answer_is_a_sentence(proof, words):
    found = document(proof).hazards[0]
    assert verdict(found.proof) == words
    assert answer(found) == words[: len(answer(found))]


def test_only_what_is_refuted_does_not_stand():
    assert document(CONFIRMED, REFUTED, None, NOT_REACHED).standing == 3
    assert "3 hazards" in summary(document(CONFIRMED, REFUTED, None, NOT_REACHED))


def test_a_scan_that_could_not_see_an_entry_does_not_read_like_one_that_found_nothing():
    one = document(problems={"b": "ValueError: no"})
    assert summary(one) == "Python 3.13.0: 0 hazards in 1 entry, 7 modules; 1 entry not scanned"
    none = document(problems={"a": "SyntaxError: no", "b": "ValueError: no"})
    assert summary(none) == "Python 3.13.0: nothing was scanned; 2 entries not scanned"


def test_a_module_whose_source_was_not_read_is_not_called_an_entry():
    found = document(problems={"p.q": "cannot be parsed: SyntaxError: x"})
    assert summary(replace(found, unread=("p.q",))).endswith("7 modules; 1 module could not be read or imported")
    both = replace(found, problems={**found.problems, "b": "ValueError: no"}, unread=("p.q",))
    assert summary(both).endswith("7 modules; 1 entry not scanned; 1 module could not be read or imported")


def test_what_removes_a_hazard_is_what_the_model_says():
    found = document(None).hazards[0]
    assert found.removed_by == ("a", "b")
    assert fix(replace(found, removed_by=())) == ""
    assert fix(replace(found, removed_by=("b",))).startswith("import b on the main thread")


def test_every_outcome_has_words():
    assert set(OUTCOMES) == set(ImportOutcome)


def test_numbers_have_their_nouns():
    assert [counted(1, "entry"), counted(0, "entry"), counted(1200, "module"), counted(2, "process")] == [
        "1 entry",
        "0 entries",
        "1,200 modules",
        "2 processes",
    ]


@pytest.mark.parametrize(
    ("file", "line", "text"),
    [("/site/a.py", 3, "import c  # asks"), ("/site/a.py", 9, ""), ("/no", 1, ""), ("/site/c.py", 0, "")],
)
def test_a_statement_is_read_where_there_is_one(file, line, text):
    assert statement_at(f"{file}:{line}", read=SOURCES.get) == text


def test_the_folder_of_all_places_is_named_once():
    places = replace(
        HAZARD,
        chains=((Link(module="p.a", where="/x/site/p/a.py:1"), Link(module="b", where="/x/site/p/q/b.py:1")), ()),
    )
    found = document(None, hazards=[places])
    assert common_folder(found) == "/x/site/"
    assert "places are below /x/site/" in rendered(found, "terminal")
    assert "p/q/b.py:1" in rendered(found, "terminal")
    assert (
        common_folder(document(None, hazards=[replace(HAZARD, chains=((Link(module="a", where="<string>:1"),), ()))]))
        == ""
    )


@pytest.mark.parametrize("form", RENDERINGS)
def test_no_form_of_an_interrupted_scan_reads_like_a_whole_one(form):
    whole = document()
    cut = replace(whole, unfinished="3 of 9 entries had been traced")
    assert "UNFINISHED" not in rendered(whole, form).upper().replace('"UNFINISHED": ""', "")
    assert "3 of 9 entries had been traced" in " ".join(rendered(cut, form).split())
