"""Shards that really ran, added up by the verb."""

import json

import pytest
from msgspec.structs import replace
from run_logs import golden

from python_tsan.cli.main import main
from python_tsan.result.codec import decode_result, load_result
from python_tsan.result.shard import Shard

# Shows its race in every third of its runs, on any machine.
SOMETIMES = f"""\
number = int(log.parent.parent.name)
if number % 3 == 0:
    log.write_text({golden("race_global")!r})
    sys.exit(66)
"""


@pytest.fixture
def shards(make_session, program):
    """Return the folders of three shards of ten runs of one program."""
    racy = program(SOMETIMES)
    return [make_session(racy, repeat=10, shard=Shard(index=index, count=3)).run()[1] for index in (1, 2, 3)]


def merge(tmp_path, *folders, name="merged", options=()):
    """Run the verb; return its exit code, the new folder and its report."""
    output = tmp_path / name
    code = main(["merge", "--quiet", "--output", str(output), *options, *map(str, folders)])
    (folder,) = (path for path in output.iterdir() if not path.is_symlink())
    return code, folder, decode_result((folder / "run.json").read_bytes())


def test_a_shard_makes_its_own_runs_and_no_others(shards):
    made = [[one.number for one in load_result(folder).verdicts[0].observations] for folder in shards]
    assert made == [[1, 4, 7, 10], [2, 5, 8], [3, 6, 9]]


def test_shards_come_to_what_one_machine_would_have_seen(shards, make_session, program, tmp_path):
    whole, _ = make_session(program(SOMETIMES), repeat=10).run()
    code, _, report = merge(tmp_path, *shards)
    assert code == 1
    assert report.subject.rate == whole.subject.rate
    assert (report.subject.rate.found, report.subject.rate.runs) == (3, 10)
    # Which objects a process of a few milliseconds was seen to load is luck, and so are the sentences about them.
    assert replace(report.verdict, downgrades=()) == replace(whole.verdict, downgrades=())
    assert [each.occurrences for each in report.findings] == [each.occurrences for each in whole.findings] == [3]


def test_a_merge_of_merges_is_byte_for_byte_the_merge_of_all(shards, tmp_path):
    _, flat, _ = merge(tmp_path, *shards, name="flat")
    _, pair, _ = merge(tmp_path, shards[2], shards[0], name="pair")
    _, nested, _ = merge(tmp_path, shards[1], pair, shards[0], name="nested")
    assert (nested / "run.json").read_bytes() == (flat / "run.json").read_bytes()
    parts = {path.relative_to(nested): path.read_bytes() for path in (nested / "parts").rglob("*.json")}
    assert parts == {path.relative_to(flat): path.read_bytes() for path in (flat / "parts").rglob("*.json")}


def test_a_merge_is_shown_in_any_format_and_its_folder_is_a_run(shards, tmp_path, capsys):
    _, folder, _ = merge(tmp_path, *shards, options=("--format", "sarif,html,junit,markdown"))
    assert {"report.sarif", "report.html", "junit.xml", "report.md"} <= {path.name for path in folder.iterdir()}
    assert main(["report", str(folder)]) == 1
    assert "3 of 10 runs" in capsys.readouterr().out


def test_without_one_shard_nothing_is_called_clean(shards, tmp_path):
    code, _, report = merge(tmp_path, shards[0], shards[1])
    assert code == 6
    assert "of 3 shards, these are missing: 3" in report.verdict.reason


def test_shards_of_another_program_are_refused_with_nothing_written(shards, make_session, program, tmp_path, capsys):
    other = make_session(program("pass", name="other"), repeat=10, shard=Shard(index=3, count=3)).run()[1]
    assert main(["merge", "--output", str(tmp_path / "m"), *map(str, [*shards[:2], other])]) == 2
    said = capsys.readouterr().err
    assert "are of different subjects: command:" in said
    assert "docs/errors.md#merge" in said
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda file: (file.unlink(), file.symlink_to("nothing")), 2, "cannot read"),
        (lambda file: file.write_text("{}"), 6, "is damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:200]), 6, "is damaged"),
        (lambda file: file.write_text(json.dumps({"schema": 9})), 6, "newer than this python-tsan: it has schema 9"),
    ],
)
def test_a_part_that_cannot_be_read_ends_the_sum(shards, tmp_path, capsys, spoil, code, words):  # noqa: PLR0917 -- fixtures
    spoil(shards[1] / "run.json")
    assert main(["merge", "--output", str(tmp_path / "m"), *map(str, shards)]) == code
    said = capsys.readouterr().err
    assert words in said
    assert said.count("error:") == 1
    assert not (tmp_path / "m").exists()


def test_a_shard_given_twice_counts_once_and_is_reported(shards, tmp_path, capsys):
    folders = [*shards, shards[0]]
    assert main(["merge", "--output", str(tmp_path / "m"), *map(str, folders)]) == 1
    # One path that is named twice is one run from the start; a copy of it is found to be the same run.
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("run.json",):
        (copy / name).write_bytes((shards[0] / name).read_bytes())
    capsys.readouterr()
    assert main(["merge", "--output", str(tmp_path / "n"), *map(str, [*shards, copy])]) == 1
    said = capsys.readouterr()
    assert "1 duplicate skipped" in said.err
    assert "3 of 10 runs" in said.out
