from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace
from report_samples import NASTY

from python_tsan.render.svg import WIDTH, picture
from python_tsan.tsan.finding import Kind

SVG = "{http://www.w3.org/2000/svg}"


def drawn(finding):
    return ET.fromstring(picture(finding))  # noqa: S314 -- what we wrote ourselves


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def test_a_race_shows_its_threads_accesses_and_locks(report_of):
    (finding,) = report_of("race_global").findings
    root = drawn(finding)
    assert texts(root)[:1] == ["main thread"]
    assert {
        "thread T1 'careful one'",
        "thread T2 'careless'",
        "M0",
        "W",
        "R",
        "no order",
        "careful",
        "careless",
    } <= set(texts(root))
    assert len(root.findall(f"{SVG}rect[@class='held']")) == 1
    assert len(root.findall(f"{SVG}path[@class='creates']")) == 2


def test_the_earlier_access_is_left_of_the_later_one(report_of):
    (finding,) = report_of("race_global").findings
    places = {element.get("class"): int(element.get("cx")) for element in drawn(finding).iter(f"{SVG}circle")}
    assert places["access write"] < places["access read"]
    swapped = replace(finding, accesses=finding.accesses[::-1])
    assert texts(drawn(swapped)).count("W") == 1
    assert {element.get("class"): int(element.get("cx")) for element in drawn(swapped).iter(f"{SVG}circle")} == places


def test_a_cycle_shows_every_lock_and_who_took_it(report_of):
    (finding,) = report_of("deadlock").findings
    root = drawn(finding)
    assert {"M0", "M1", "M2", "thread T1", "thread T2", "main thread"} <= set(texts(root))
    assert len(root.findall(f"{SVG}path[@class='edge']")) == 3


def test_every_golden_finding_makes_a_sound_picture_or_none(everything):
    without = {Kind.THREAD_LEAK, Kind.SIGNAL_UNSAFE, Kind.ERRNO_IN_SIGNAL, Kind.MUTEX_HELD_WRONG_CONTEXT}
    for finding in everything.findings:
        if finding.kind in without or "mutex" in finding.kind.value:
            assert picture(finding) == ""
            continue
        root = drawn(finding)
        assert root.find(f"{SVG}title").text
        height = int(root.get("viewBox").split()[3])
        for element in root.iter():
            for name, limit in (("cx", WIDTH), ("cy", height), ("x", WIDTH), ("y", height)):
                assert 0 <= float(element.get(name, 0)) <= limit


@pytest.mark.parametrize("symbol", [NASTY, "a" * 300, "]]>", "&amp;"])
def test_names_are_escaped_and_shortened(nasty, symbol):
    (finding,) = nasty.findings
    thread = replace(finding.threads[0], name=symbol)
    root = drawn(replace(finding, threads=(thread, *finding.threads[1:])))
    assert max(len(text) for text in texts(root)) <= 60
    assert not re.search("<b>", picture(finding))
