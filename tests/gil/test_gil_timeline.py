import base64
import json
import re
from array import array

import gil_samples as samples
import pytest
from gil_samples import BOOTSTRAP, EXTERNAL, MS
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.gil.phases import Phase
from python_tsan.gil.timeline import ImportSpan, chrome_trace, html_page, import_spans
from python_tsan.gil.trace import Event, Node

NESTED = (
    Node(0, "", "", 0, "", ""),
    Node(0, BOOTSTRAP, "_find_and_load", 1, "", "outer"),
    Node(1, EXTERNAL, "_path_stat", 1, "", ""),
    Node(1, BOOTSTRAP, "_find_and_load", 1, "", "inner"),
    Node(3, EXTERNAL, "_path_stat", 1, "", ""),
    Node(0, "main.py", "<module>", 9, "__main__", ""),
)


def at(time, node, thread=0):
    return Event(time, time, time + 1, 1, node, thread, 1, 1)


def chrome(trace):
    return json.loads("".join(chrome_trace(trace)))["traceEvents"]


def page_data(page):
    return json.loads(re.search(r'id="data">(.*)</script>$', page, re.MULTILINE)[1])


def test_imports_become_nested_spans():
    events = (at(10, 2), at(20, 4), at(30, 4), at(40, 2), at(50, 5), at(60, 2, thread=1))
    assert import_spans(samples.process(nodes=NESTED, events=events)) == [
        ImportSpan(0, 10, 41, 0, "outer"),
        ImportSpan(0, 20, 31, 1, "inner"),
        ImportSpan(1, 60, 61, 0, "outer"),
    ]


def test_forced_switches_without_a_stack_do_not_end_an_import():
    events = (at(10, 2), at(20, 0), at(30, 2))
    assert import_spans(samples.process(nodes=NESTED, events=events)) == [ImportSpan(0, 10, 31, 0, "outer")]


def modules_around(node):
    found = []
    while node:
        found += [node] if NESTED[node].imports else []
        node = NESTED[node].parent
    return found[::-1]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.booleans()), max_size=30))
def test_spans_are_those_of_a_search_at_each_event(rows):
    """The plain way: at each event, close what is not around it any more and open what is new."""
    events = [Event(at, at, at + 1 if back else 0, 1, node, thread, 1, 1) for at, (node, thread, back) in
              enumerate(rows, 1)]  # fmt: skip
    expected, running, last = [], {}, {}
    for event in events:
        if event.node:
            now, before = modules_around(event.node), running.setdefault(event.thread, [])
            while [node for node, _ in before] != now[: len(before)]:
                node, start = before.pop()
                expected.append(ImportSpan(event.thread, start, last[event.thread], len(before), NESTED[node].imports))
            before += [(node, event.released) for node in now[len(before) :]]
            last[event.thread] = event.acquired or event.released
    for thread, left in running.items():
        expected += [
            ImportSpan(thread, start, last[thread], depth, NESTED[node].imports)
            for depth, (node, start) in enumerate(left)
        ]
    assert sorted(import_spans(samples.process(nodes=NESTED, events=tuple(events)))) == sorted(expected)


def test_the_chrome_trace_has_lanes_spans_and_arrows():
    events = chrome(samples.trace(processes=(samples.process(),)))
    lanes = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert lanes == {-1: "holder of the GIL", 0: "main", 1: "thread 1 (worker)"}
    spans = {event["name"]: event for event in events if event["ph"] == "X" and event["tid"] == 0}
    assert spans["import alpha"]["dur"] == 8 * MS / 1000
    assert spans["read"]["args"] == {
        "module": "alpha",
        "C": "_Py_read_impl (fileutils.c:7) < _Py_read",
        "waited_us": 4000,
    }
    holder = [event["name"] for event in events if event["ph"] == "X" and event["tid"] == -1]
    assert holder == ["main", "thread 1 (worker)", "main"]
    start, finish = (next(event for event in events if event["ph"] == kind) for kind in "sf")
    assert (start["tid"], start["ts"], finish["tid"], finish["ts"]) == (0, 4000, 1, 4000.1)
    assert start["id"] == finish["id"]


def test_the_page_holds_every_release():
    page = html_page(samples.trace(command=("python", "<b>&", "main.py")))
    assert "<title>GIL timeline: python &lt;b&gt;&amp; main.py</title>" in page
    one = page_data(page)["processes"][0]
    phases = array("B", base64.b64decode(one["phase"]))
    assert [list(Phase)[number] for number in phases] == [Phase.PATH_STAT, Phase.READ, Phase.OTHER, Phase.OTHER]
    assert list(array("d", base64.b64decode(one["start"]))) == [0, 3000, 7000, 9000]
    assert list(array("f", base64.b64decode(one["away"]))) == [1000.5, 5000, 0, 0]
    assert list(array("H", base64.b64decode(one["next"]))) == [0xFFFF, 1, 0, 0xFFFF]
    assert one["names"] == ["alpha", ""]
    assert "{{" not in page


def test_the_page_needs_no_network_and_cannot_be_broken_by_a_name():
    nodes = (*samples.NODES[:2], samples.NODES[2]._replace(imports="</script><script>alert(1)"), *samples.NODES[3:])
    page = html_page(samples.trace(processes=(samples.process(nodes=nodes),)))
    assert page.count("</script>") == 2
    assert not re.search(r"(src|href)=|https?://|@import|fetch\(", page)
    assert "</script><script>alert(1)" in page_data(page)["processes"][0]["names"]


def test_a_trace_without_processes_is_a_page_too():
    assert page_data(html_page(samples.trace(processes=())))["processes"] == []
    assert chrome(samples.trace(processes=())) == []


def numbers(kind, text):
    return list(array(kind, base64.b64decode(text)))


def test_the_page_has_each_holding_with_start_and_length_in_microseconds():
    held = page_data(html_page(samples.trace()))["processes"][0]["held"]
    assert numbers("H", held["thread"]) == [0, 1, 0]
    assert numbers("d", held["start"]) == pytest.approx([1000.5, 3000.1, 8000.0])
    assert numbers("f", held["length"]) == pytest.approx([1999.5, 3999.9, 1000.0])


def test_numbers_beyond_16_bits_share_the_last_one():
    many = 0xFFFF + 10
    events = (Event(1, 2, 3, 1, 0, many, 1, 1), Event(4, 5, 6, 1, 0, 0, 1, 1))
    data = page_data(html_page(samples.trace(processes=(samples.process(events=events),))))["processes"][0]
    assert numbers("H", data["thread"]) == [0xFFFE, 0]
    assert numbers("H", data["next"]) == [0xFFFF, 0xFFFF], "each thread acquires the GIL again itself"


def test_an_import_that_another_thread_interrupts_stays_one_span():
    worker = Event(3 * MS, 3 * MS, 4 * MS, 1, 0, 1, 1, 1)
    events = (samples.EVENTS[0], worker, samples.EVENTS[1])
    spans = import_spans(samples.process(events=events))
    assert [(span.thread, span.start, span.end, span.module) for span in spans] == [(0, 1 * MS, 9 * MS, "alpha")]
