from itertools import pairwise

import gil_samples as samples
import pytest
from gil_samples import MS

from python_tsan.errors import UsageError
from python_tsan.gil.analysis import explain_process, explain_trace, holders, imports_of
from python_tsan.gil.phases import Phase
from python_tsan.gil.summary import caveats, count_phases, summarise, why
from python_tsan.gil.trace import Event, GilCall
from python_tsan.plain_text import span
from python_tsan.symbols import Site


@pytest.fixture
def releases():
    return list(explain_process(samples.process()))


def test_each_release_has_its_reason(releases):
    assert [one.phase for one in releases] == [Phase.PATH_STAT, Phase.READ, Phase.OTHER, Phase.OTHER]
    assert [one.meaning.module for one in releases] == ["alpha", "alpha", "", ""]


def test_each_release_has_its_cost(releases):
    stat, read, ending, last = releases
    assert (stat.held, stat.away, stat.wait) == (0, MS + 500, 500)
    assert (read.held, read.away, read.wait) == (2 * MS - 500, 5 * MS, 4 * MS)
    assert (ending.held, ending.away, ending.wait) == (4 * MS - 100, 0, 0)
    assert last.held == MS


def test_who_took_the_gil_next_is_known(releases):
    assert [one.next_thread for one in releases] == [0, 1, 0, -1]
    assert [one.taken_by_other for one in releases] == [False, True, True, False]


def test_the_holders_follow_one_another():
    spans = holders(samples.process())
    assert spans == [
        (0, 2 * MS + 500, 4 * MS),
        (1, 4 * MS + 100, 8 * MS),
        (0, 9 * MS, 10 * MS),
    ]
    assert all(end <= start for (_, _, end), (_, start, _) in pairwise(spans))


def test_a_thread_that_still_holds_the_gil_has_no_end():
    events = (Event(0, 1, 2, 0, 0, 4, GilCall.NONE, GilCall.GIL_STATE),)
    assert holders(samples.process(events=events)) == [(4, 2, 0)]


def test_a_damaged_node_does_not_hang():
    nodes = (*samples.NODES[:1], samples.NODES[1]._replace(parent=1))
    assert len(samples.process(nodes=nodes).stack(1)) == 1
    assert samples.process().stack(99) == ()


def test_summary_counts_by_phase_module_function_and_thread(releases):
    tables = {table.title: table for table in summarise(releases)}
    by_phase = {row[0]: row[1:] for row in tables["Releases by phase"].rows}
    assert by_phase["read"] == ("1", "2.00 ms", "5.00 ms", "4.00 ms", "1")
    assert by_phase["other"][0] == "2"
    assert [row[:2] for row in tables["Releases by module"].rows] == [("(no import)", "2"), ("alpha", "2")]
    functions = {row[0]: row[1] for row in tables["Releases by C function"].rows}
    assert functions == {"posix_do_stat": "1", "_Py_read_impl": "1", "libpython.so+0x300": "2"}
    threads = {row[0]: row[1] for row in tables["Releases by thread"].rows}
    assert threads == {"main of 10": "3", "thread 1 (worker) of 10": "1"}
    assert tables["Longest waits for the GIL"].rows[0] == (
        "4.00 ms",
        "main",
        "read",
        "alpha",
        "_Py_read_impl",
        "thread 1 (worker)",
    )
    assert tables["Next holder"].rows[0] == ("main", "thread 1 (worker)", "read", "1")


def test_a_long_table_ends_with_the_sum_of_the_rest(releases):
    sites = tuple(Site(library="/x.so", offset=number) for number in range(30))
    events = tuple(Event(number + 1, 0, 0, number, 0, 0, 1, 0) for number in range(30))
    many = list(explain_process(samples.process(sites=sites, events=events)))
    table = summarise(many)[2]
    assert len(table.rows) == 21
    assert table.rows[-1][:2] == ("(10 more)", "10")
    assert len(summarise(releases)[2].rows) == 3


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0 ns"), (999, "999 ns"), (1500, "1.5 µs"), (2_340_000, "2.34 ms"), (1_200_000_000, "1.20 s")],
)
def test_spans_have_the_unit_that_fits(nanoseconds, text):
    assert span(nanoseconds) == text


def test_counts_by_phase_leave_out_what_did_not_happen(releases):
    assert count_phases(releases) == {"path stat": 1, "read": 1, "other": 2}


def test_what_a_trace_lacks_is_reported():
    record = samples.record(sees_internal=False, dropped=5, lost=6, lost_stacks=7)
    blind = samples.process(record=record, nodes=samples.NODES[:1])
    text = "\n".join(caveats(samples.trace(truncated=True, processes=(blind,))))
    for words in (
        "cut short",
        "forced switches",
        "oldest 5",
        "6 events did not fit",
        "7 events have no",
        "no Python frames were read",
    ):
        assert words in text
    assert "process 30 was not traced (it is old): /bin/old" in text
    assert caveats(samples.trace(untraced=())) == []


def test_without_a_gil_the_meaning_of_a_release_is_explained():
    record = samples.record(free_threaded=True, sees_internal=False)
    (text,) = caveats(samples.trace(untraced=(), processes=(samples.process(record=record),)))
    assert "a thread detaches around a call" in text


def test_why_lists_each_release_in_order(releases):
    lines = list(why(releases, "alpha"))
    assert lines[0] == "import alpha: the GIL was released 2 times (path stat 1, read 1)"
    text = "\n".join(lines)
    assert text.index("1. +0 ns  main: path stat  [alpha]") < text.index("2. +3.00 ms  main: read  [alpha]")
    assert "in C: _Py_read_impl (fileutils.c:7) < _Py_read" in text
    assert "away for 5.00 ms, of that 4.00 ms waiting for the GIL; next holder: thread 1 (worker)" in text
    assert f"_path_stat ({samples.EXTERNAL}:147)" in text
    assert "<module> (main.py:3)" in text


def test_why_shows_as_many_frames_as_requested(releases):
    lines = list(why(releases, "alpha", frames=1))
    assert "     ... 2 more" in lines
    assert not any("main.py" in line for line in lines)


def test_why_names_the_imports_in_the_trace(releases):
    with pytest.raises(UsageError, match="while beta was imported") as caught:
        list(why(releases, "beta"))
    assert "alpha" in caught.value.advice


def test_releases_of_an_import_are_those_inside_it():
    assert [one.phase for one in imports_of(explain_trace(samples.trace()), "alpha")] == [
        Phase.PATH_STAT,
        Phase.READ,
        Phase.PATH_STAT,
    ]


def test_the_sum_of_the_rest_has_its_longest_wait():
    sites = tuple(Site(library="/x.so", offset=number) for number in range(25))
    events = tuple(Event(number * 10 + 1, number * 10 + 2, number * 10 + 4, number, 0, 0, 1, 1) for number in range(25))
    table = summarise(list(explain_process(samples.process(sites=sites, events=events))))[2]
    assert table.rows[-1] == ("(5 more)", "5", "35 ns", "15 ns", "2 ns", "0")
