import json
from pathlib import Path

import pytest
from compared import LOG, run_of, saved, verdict
from msgspec.structs import replace

from python_tsan.cli.compare import comparison_of
from python_tsan.cli.main import main
from python_tsan.comparison.model import Seen
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.result.build import Facts, build_result
from python_tsan.result.codec import encode_result
from python_tsan.result.model import Provenance, Rate, Status, Subject, Verdict
from python_tsan.tsan.digest import Digest


@pytest.fixture
def two(tmp_path):
    """Return a folder with a run on each side of the step to no GIL."""
    guarded = verdict("gil/counter_guarded", Seen.CLEAN)
    racy = replace(verdict("gil/counter_guarded", Seen.RACE), expectation=Expectation(outcome=Outcome.RACE))
    saved(tmp_path / "runs", run_of(guarded, name="one"))
    saved(tmp_path / "runs", run_of(racy, name="two", free_threaded=True))
    return tmp_path / "runs"


def test_a_folder_of_runs_is_compared_and_clean_runs_answer_0(two, capsys):
    assert main(["compare", str(two)]) == 0
    said = capsys.readouterr().out
    assert "2 runs: 1 of 1 check differs (2 clean)" in said
    assert "clean -> race in gil/counter_guarded" in said


def test_the_link_to_the_latest_run_is_no_further_run(two):
    assert (two / "latest").is_symlink()
    assert len(comparison_of([str(two), str(two / "one")]).columns) == 2


def test_a_run_that_is_not_clean_answers_1_and_one_in_doubt_6(two, capsys):
    saved(two, run_of(verdict("x", Seen.DOUBT, status=Status.COULD_NOT_JUDGE), name="three"))
    assert main(["compare", str(two)]) == 6
    saved(two, run_of(verdict("x", Seen.RACE, status=Status.FAILED), name="four"))
    assert main(["compare", str(two)]) == 1
    capsys.readouterr()


def test_one_that_cannot_be_read_costs_none_of_the_others(two, capsys):
    (two / "newer").mkdir()
    (two / "newer" / "run.json").write_text(json.dumps({"schema": 99}))
    (two / "cut").mkdir()
    (two / "cut" / "run.json").write_text('{"schema": 1, "id"')
    assert main(["compare", str(two), "--format", "json"]) == 6
    said = capsys.readouterr()
    assert len(json.loads(said.out)["columns"]) == 2
    assert "newer than this python-tsan: it has schema 99, and schema 3 is supported (update python-tsan)" in said.err
    assert "cut/run.json is damaged or not a run.json of python-tsan" in said.err


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda folder: [folder / "one"], 2, "one run alone cannot be compared"),
        (lambda folder: [folder / "one", folder / "one" / "run.json"], 2, "one run alone cannot be compared"),
        (lambda folder: [folder / "one", folder / "missing"], 2, "missing: there is no such run"),
        (lambda folder: [folder / "one", folder / "empty"], 2, "empty: no run is in this folder"),
        (lambda folder: [folder / "one", folder / "bad"], 6, "it takes two runs, and 1 could be read"),
        (lambda folder: [folder / "one", folder / "program"], 2, "they have nothing in common"),
        (
            lambda folder: [folder / "one", folder / "two", "--lane", "fast"],
            6,
            "fewer than two of the runs hold checks",
        ),
    ],
)
def test_bad_input_is_one_clear_message(two, make, code, words, capsys):
    (two / "empty").mkdir()
    (two / "bad").mkdir()
    (two / "bad" / "run.json").write_text("[]")
    program(two / "program")
    assert main(["compare", *map(str, make(two))]) == code
    said = capsys.readouterr().err
    assert words in said
    assert said.count("error:") == 1
    assert "docs/errors.md#compare" in said


def program(folder, *, status=Status.PASSED, log="", command=("./embed",), **facts):
    """Write what `run` leaves of a program."""
    folder.mkdir()
    digest = Digest()
    digest.add(log.splitlines(), "tsan.7")
    verdict = Verdict(status=status, reason="1 finding" if log else "no new finding")
    report = replace(
        build_result(digest, Facts(verdict=verdict)),
        subjects=(
            Subject(command=command, exit_codes=(0, 0), rate=Rate(found=int(bool(log)), runs=2, low=0.0, high=1.0)),
        ),
        provenance=Provenance(facts={"CPython": "3.13.5", "threading": "GIL", "toolchain": "clang-19"} | facts),
    )
    (folder / "run.json").write_bytes(encode_result(report))
    return folder


def test_programs_are_compared_by_finding(tmp_path, capsys):
    one = program(tmp_path / "gil")
    two = program(tmp_path / "free", status=Status.FAILED, log=LOG, threading="free-threaded")
    assert main(["compare", str(one), str(two)]) == 1
    said = capsys.readouterr().out
    assert "./embed" in said
    assert "clean  RACE" in said
    assert "GIL -> free-threaded" in said
    (change, other) = comparison_of([str(one), str(two)]).changes
    assert {change.after, other.after} == {Seen.RACE}


def test_a_lock_order_inversion_is_not_called_a_race(tmp_path, capsys):
    log = (Path(__file__).parents[1] / "tsan" / "golden" / "clang-19" / "deadlock.log").read_text()
    one = program(tmp_path / "gil")
    two = program(tmp_path / "free", status=Status.FAILED, log=log, threading="free-threaded")
    assert main(["compare", str(one), str(two)]) == 1
    shown = capsys.readouterr().out
    assert "LOCKS" in shown
    assert "RACE" not in shown
    (change, other) = comparison_of([str(one), str(two)]).changes
    assert {change.after, other.after} == {Seen.LOCK_ORDER}


def test_other_commands_are_reported_and_compared_all_the_same(tmp_path, capsys):
    one = program(tmp_path / "one")
    two = program(tmp_path / "two", command=("./other",))
    assert main(["compare", str(one), str(two)]) == 0
    assert "the commands differ: ./embed; ./other" in capsys.readouterr().out


def test_a_page_is_written_whole(two, tmp_path, capsys):
    target = tmp_path / "page.html"
    assert main(["compare", str(two), "--format", "html", "--output", str(target)]) == 0
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert main(["compare", str(two), "--format", "html", "--output", str(tmp_path / "no" / "page.html")]) == 2
    capsys.readouterr()


def test_the_full_lane_is_compared_where_a_run_has_it(two):
    fast = verdict("fast/only", Seen.CLEAN, lane=Lane.FAST)
    saved(two, run_of(fast, verdict("gil/counter_guarded", Seen.CLEAN), name="both"))
    assert [row.id for row in comparison_of([str(two)]).rows] == ["gil/counter_guarded"]
