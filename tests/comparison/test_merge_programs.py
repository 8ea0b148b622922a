"""Adding up is exact: the parts of a run, however it was cut, come to what the whole run comes to."""

import datetime as dt
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merged import NAMES, PRINTS, observation, part, placed, use
from msgspec.structs import replace

from python_tsan.errors import UsageError
from python_tsan.expectation import Expectation, ExpectedFinding, Outcome
from python_tsan.result import baseline
from python_tsan.result.codec import encode_result
from python_tsan.result.finding import FindingStatus
from python_tsan.result.merge import merge, unite
from python_tsan.result.model import BaselineState, VerdictStatus
from python_tsan.running import expected

WANTS_RACE = Expectation(
    outcome=Outcome.RACE, findings=(ExpectedFinding(kind="data race", location="(anonymous namespace)::g_total"),)
)
KNOWN = baseline.parse_baseline(
    f'version = 1\nenough-runs = 3\n[[finding]]\nfingerprint = "{PRINTS["race_heap"]}"\n'
    'reason = "r"\nlink = "l"\nexpires = 2026-12-31\n',
    "known.toml",
)
SHOWN = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)
RUNS = st.lists(SHOWN, min_size=1, max_size=12)
EXPECTATIONS = st.sampled_from([expected.CLEAN, WANTS_RACE])


def merged(*parts):
    return merge(unite(placed(*parts)))


def without_folders(report):
    """Return what depends neither on the folders of the parts nor on their order."""
    return (
        report.verdict,
        {each.fingerprint: (each.occurrences, each.status, len(each.sources), each.kind) for each in report.findings},
        report.blocks,
        report.outside,
        report.subject.rate,
        sorted(report.subject.exit_codes),
        report.baseline,
    )


def cut(shown, chance):
    """Return the same runs as parts of random sizes."""
    numbered = [observation(number, *names) for number, names in enumerate(shown, start=1)]
    chance.shuffle(numbered)
    parts = []
    while numbered:
        size = chance.randint(1, len(numbered))
        parts.append(numbered[:size])
        numbered = numbered[size:]
    return parts


@settings(max_examples=40, deadline=None)
@given(RUNS, EXPECTATIONS, st.sampled_from([None, KNOWN]), st.randoms(use_true_random=False))
def test_parts_come_to_what_the_whole_run_comes_to(shown, rules, known, chance: random.Random):
    whole = part("whole", *shown, rules=rules, known=known)
    parts = [part(f"p{number}", *each, rules=rules, known=known) for number, each in enumerate(cut(shown, chance))]
    assert without_folders(merged(*parts)) == without_folders(whole)


@settings(max_examples=40, deadline=None)
@given(st.lists(RUNS, min_size=3, max_size=5), EXPECTATIONS, st.randoms(use_true_random=False))
def test_neither_order_nor_grouping_nor_saying_it_twice_changes_a_byte(shown, rules, chance: random.Random):
    parts = [part(f"p{number}", *each, rules=rules) for number, each in enumerate(shown)]
    straight = encode_result(merged(*parts))
    shuffled = [*parts, *chance.sample(parts, 2)]
    chance.shuffle(shuffled)
    assert encode_result(merged(*shuffled)) == straight
    middle = chance.randint(1, len(parts) - 1)
    left, right = unite(placed(*parts[:middle])), unite(placed(*parts[middle - 1 :]))
    assert encode_result(merged(*left, *right)) == straight
    assert encode_result(merged(*right, *left)) == straight


def test_a_detection_rate_is_that_of_all_runs():
    rate = merged(part("a", ("race_global",), ()), part("b", ("race_global",), (), ())).subject.rate
    assert (rate.found, rate.runs) == (2, 5)


def test_a_shard_that_saw_only_something_else_does_not_count_as_having_seen_it():
    seen, other = part("a", ("race_global",), rules=WANTS_RACE), part("b", ("race_heap",), rules=WANTS_RACE)
    assert other.subject.rate.found == 1, "alone, anything counts where nothing expected was seen"
    assert (merged(seen, other).subject.rate.found, merged(seen, other).subject.rate.runs) == (1, 2)


def test_what_one_part_missed_and_another_saw_is_not_missing():
    report = merged(part("a", (), rules=WANTS_RACE), part("b", ("race_global",), rules=WANTS_RACE))
    assert report.verdict.reason == "what was expected was seen in 1 of 2 runs only"
    assert "expected" in merged(part("a", (), rules=WANTS_RACE), part("b", (), rules=WANTS_RACE)).verdict.reason


def test_an_entry_of_the_baseline_is_gone_only_when_enough_runs_of_all_parts_lack_it():
    two = [part("a", (), known=KNOWN), part("b", (), known=KNOWN)]
    assert merged(*two).baseline.entries[0].state is BaselineState.UNSEEN
    assert merged(*two).verdict.status is VerdictStatus.CLEAN
    three = merged(*two, part("c", (), known=KNOWN))
    assert three.baseline.entries[0].state is BaselineState.GONE
    assert three.verdict.status is VerdictStatus.FINDINGS
    assert merged(*two, part("c", ("race_heap",), known=KNOWN)).verdict.status is VerdictStatus.CLEAN


def test_where_parts_disagree_about_a_finding_what_weighs_most_stands():
    late = part("b", ("race_heap",), known=KNOWN, today=dt.date(2027, 1, 1))
    (finding,) = merged(part("a", ("race_heap",), known=KNOWN), late).findings
    assert (finding.status, finding.occurrences) == (FindingStatus.EXPIRED, 4), "two blocks in each log"


def test_a_suppression_is_unused_only_when_no_part_used_it():
    once = merged(part("a", (), suppressions=(use(0),)), part("b", (), suppressions=(use(3),)))
    assert (once.suppressions[0].matched, once.verdict.downgrades) == (3, ())
    never = merged(part("a", (), suppressions=(use(0),)), part("b", (), suppressions=(use(0),)))
    assert never.verdict.downgrades == ("The suppression race_top:f (s.txt:2) matched nothing.",)


def sharded(name, index, *shown, **more):
    return part(name, *shown, shard=(index, 3), repeat=6, **more)


def test_all_shards_that_are_there_are_clean_together():
    assert merged(*(sharded(f"s{index}", index, (), ()) for index in (1, 2, 3))).verdict.status is VerdictStatus.CLEAN


def test_a_machine_that_fell_out_leaves_no_green():
    verdict = merged(sharded("s1", 1, (), ()), sharded("s3", 3, (), ())).verdict
    assert verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert "of 3 shards, these are missing: 2" in verdict.reason
    found = merged(sharded("s1", 1, (), ("race_global",)), sharded("s3", 3, (), ())).verdict
    assert found.status is VerdictStatus.FINDINGS, "a finding counts even if a machine failed"


def test_a_part_that_was_cut_short_leaves_no_green():
    short = part("a", (), planned=4)
    assert "a made 1 of 4 runs" in merged(short, part("b", ())).verdict.reason
    assert merged(part("a", (), planned=4, until_found=True), part("b", ())).verdict.status is VerdictStatus.CLEAN


def test_a_shard_that_was_run_again_counts_in_full_and_is_reported():
    again = [sharded(f"s{index}", min(index, 3), (), ()) for index in (1, 2, 3, 4)]
    report = merged(*again)
    assert report.subject.rate.runs == 8
    assert "shard 3/3 was run 2 times; all of its runs count" in report.provenance.notes


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (part("b", (), subject={"command": "./other"}), "command: ./embed and ./other"),
        (part("b", (), subject={"interpreter": "CPython 3.14.0"}), "interpreter: none and CPython 3.14.0"),
        (part("b", (), subject={"shards": "6 runs in 3 shards"}), "shards: none and 6 runs in 3 shards"),
    ],
)
def test_different_subjects_are_refused_with_what_differs(other, words):
    with pytest.raises(UsageError, match="different subjects") as caught:
        unite(placed(part("a", ()), other))
    assert words in caught.value.message
    assert caught.value.exit_code == 2


def test_two_runs_that_bear_one_name_and_differ_are_refused():
    with pytest.raises(UsageError, match="differ, and both are named a"):
        unite(placed(part("a", ()), part("a", (), ())))


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\nb"])
def test_a_name_that_would_leave_the_folder_is_refused(name):
    bad = part("a", ())
    with pytest.raises(UsageError, match="is not the name of a run"):
        unite(placed(replace(bad, id=name)))


def test_no_runs_are_refused():
    with pytest.raises(UsageError, match="no runs to merge"):
        unite([])
