import json
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from compared import NASTY, column, rows

from python_tsan.comparison.compare import compare
from python_tsan.comparison.model import Cell, ColumnVerdict, Comparison, Seen
from python_tsan.comparison.renderings import RENDERINGS
from python_tsan.comparison.terminal import render_lines
from python_tsan.plain_text import WIDTH
from python_tsan.render.lines import as_text
from python_tsan.render.registry import Context

SCHEMA = Path(__file__).parents[2] / "docs" / "comparison-schema.json"
ELSEWHERE = {"python": "3.14.0", "compiler": "gcc-12"}
UNMET = Cell(seen=Seen.RACE, as_expected=False, met=1, runs=3, detail="expected no finding, saw 1")


@pytest.fixture
def shown():
    """Return a comparison with every section in it."""
    return compare(
        [
            column("a", cells={"gil/x_guarded": Seen.CLEAN, NASTY: Seen.CLEAN, "z": Seen.CLEAN}),
            column("b", cells={"gil/x_guarded": Seen.RACE, NASTY: UNMET, "z": Seen.CLEAN}, threading="free-threaded"),
            column("c", cells={"gil/x_guarded": Seen.CLEAN, NASTY: Seen.CLEAN, "z": Seen.HANG}),
            column("d", ColumnVerdict.NOT_CLEAN, cells={"y": Seen.ERROR, "z": Seen.DOUBT}, **ELSEWHERE),
            column("e", cells={"y": Seen.CLEAN}, python="3.11.2", binding="pybind11 3.0.1"),
        ],
        rows("gil/x_guarded", NASTY, "y", "z"),
        unreadable=("f/run.json has schema 9",),
        notes=("the commands differ",),
    )


def many(count):
    """Return a comparison of so many runs, each of another CPython and with another thing to show."""
    seen = [list(Seen)[number % len(Seen)] for number in range(count)]
    columns = [
        column(f"r{number}", cells={"gil/x_guarded": each}, python=f"3.13.{number}") for number, each in enumerate(seen)
    ]
    return compare(columns, rows("gil/x_guarded"))


def render_html(comparison):
    return RENDERINGS["html"].render(comparison).decode()


def render_markdown(comparison, *, whole=False):
    return RENDERINGS["markdown"].render(comparison, Context(verbose=whole)).decode()


def lines_of(comparison, **how):
    return as_text(render_lines(comparison, **how)).splitlines()


@pytest.mark.parametrize("count", [2, 7, 8, 50, 120])
def test_lines_fit_a_terminal_for_every_number_of_runs(count, shown):
    for comparison in (many(count), shown):
        assert max(map(len, lines_of(comparison, whole=True))) <= WIDTH


def test_of_many_runs_each_has_a_letter():
    lines = lines_of(many(120), whole=True)
    start = next(number for number, line in enumerate(lines) if line.startswith("gil/x_guarded"))
    end = next(number for number, line in enumerate(lines) if line.startswith("In capitals"))
    assert len("".join(line[34:] for line in lines[start:end])) == 120


@pytest.mark.parametrize(
    ("seen", "as_expected", "word", "letter"),
    [
        (Seen.RACE, True, "race", "r"),
        (Seen.RACE, False, "RACE", "R"),
        (Seen.CLEAN, True, "clean", "."),
        (Seen.CLEAN, False, "CLEAN", "C"),
        (Seen.DOUBT, False, "doubt", "?"),
        (Seen.SKIPPED, False, "-", "-"),
    ],
)
def test_capitals_are_for_what_a_run_showed_and_did_not_expect(seen, as_expected, word, letter):
    for count, shown in ((2, word), (9, letter)):
        cells = [*([Cell(seen=Seen.HANG)] * (count - 1)), Cell(seen=seen, as_expected=as_expected)]
        columns = [column(f"r{number}", cells={"gil/x": cell}) for number, cell in enumerate(cells)]
        (line,) = (each for each in lines_of(compare(columns, rows("gil/x")), whole=True) if each.startswith("gil/x "))
        assert line.endswith(f" {shown}" if count == 2 else f"hh{shown}")


def test_the_terminal_says_what_differs_by_what_and_what_to_do(shown):
    text = "\n".join(lines_of(shown))
    assert "GIL -> free-threaded" in text
    assert "no longer excludes anyone" in text
    assert "Do: Use a mutex" in text
    assert "chance decides" in text
    assert "No single step explains these" in text
    assert "f/run.json has schema 9" in text
    assert "the commands differ" in text
    assert "RACE" in text


def test_no_difference_is_reported_as_none():
    same = compare([column("a", cells={"x": Seen.CLEAN}), column("b", cells={"x": Seen.CLEAN})], rows("x"))
    for text in ("\n".join(lines_of(same)), render_markdown(same), render_html(same)):
        assert "2 runs: no difference in 1 check" in text
        assert "No result changes" in text


def test_json_is_as_published(shown):
    document = json.loads(RENDERINGS["json"].render(shown))
    jsonschema.validate(document, json.loads(SCHEMA.read_bytes()), cls=jsonschema.Draft202012Validator)
    assert document["differing"] == ["gil/x_guarded", NASTY, "y", "z"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"columns": 3}, json.loads(SCHEMA.read_bytes()))


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href"} and tag != "a"]

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_the_page_needs_no_network_and_escapes_what_it_shows(shown):
    page = _Page()
    page.feed(render_html(shown))
    assert page.links == []
    assert page.tags.count("script") == 1
    assert "b" not in page.tags
    assert NASTY in page.texts
    text = render_html(shown)
    assert "unmet" in text
    assert "1 of 3" in text
    assert all(word in text for word in ("no longer excludes anyone", "chance decides", "schema 9", "commands differ"))


def test_markdown_escapes_what_it_shows(shown):
    text = render_markdown(shown)
    row = next(line for line in text.splitlines() if line.startswith("| a/std"))
    assert "</script>" not in text
    assert row.count("|") - row.count("\\|") == 7
    assert "RACE" in row


def test_a_step_is_no_part_of_the_list_above_it():
    lines = render_markdown(many(4)).splitlines()
    steps = [number for number, line in enumerate(lines) if line.startswith("**CPython")]
    assert len(steps) == 2
    assert [lines[number - 1] for number in steps] == [""] * len(steps)


def test_a_comparison_has_a_version():
    assert Comparison(columns=(), rows=()).schema == 2


def test_the_pages_say_how_many_of_the_judged_checks_are_as_expected():
    cells = {"a": Seen.CLEAN, "b": UNMET, "c": Seen.SKIPPED, "d": Seen.DOUBT}
    text = render_markdown(
        compare([column("one", cells=cells), column("two", cells={"c": Seen.SKIPPED})], rows(*cells))
    )
    first, second = (line.split(" | ") for line in text.splitlines() if " | one |" in line or " | two |" in line)
    assert (first[-2], second[-2].strip()) == ("2 of 3", "")
    page = render_html(compare([column("one", cells=cells)], rows(*cells)))
    assert "<td>2 of 3</td>" in page
