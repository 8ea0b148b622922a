"""The prose linter finds words where readers see them, and nowhere else."""

from pathlib import Path

import pytest

from tools import prose

LIST = """
[files]
include = ["docs", "*.py"]
exclude = [{ path = "docs/golden", reason = "printed by others" }]
report-only = ["docs/old.md"]

[[rule]]
pattern = '\\btold\\b'
use = "reported"
in = ["prose", "docstring", "message", "name"]
allow = [{ text = 'as told by', reason = "a quotation" }]

[[rule]]
pattern = '\\bbe had\\b'
use = "available"

[[rule]]
pattern = '\\.$'
in = ["error"]
use = "no full stop"

[[rule]]
pattern = '^Own\\b'
in = ["docstring"]
use = "another opening"
"""
WORDS = prose.word_list(LIST)


def found(file, text):
    return [(each.line, each.found) for each in prose.check(file, text, WORDS.rules)]


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("a\nis told here", [(2, "told")]),
        ("could be\nhad at once", [(1, "be had")]),
        ("```text\nit is told\n```", [(2, "told")]),
        ("[page](told.md) and https://example.org/told", []),
        ("as told by others, and Told", [(1, "Told")]),
        ("untold", []),
        ("`told`, `told-*.json` and `it is told`", [(1, "told")]),
    ],
)
def test_markdown(text, matches):
    assert found("docs/page.md", text) == matches


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ('"""Own the thing."""', [(1, "Own")]),
        ('def f():\n    """Say.\n\n    It is told.\n    """', [(4, "told")]),
        ('x = 1\n"""What was told."""', [(2, "told")]),
        ("# not to be\n# had\nx = 1  # told", [(1, "be had"), (3, "told")]),
        ('raise E(\n    "it was "\n    f"told {x} twice"\n)', [(2, "told")]),
        ('raise E(f"it cannot be {x} had")', []),
        ('raise E(f"cannot read {x}.", advice="Read it.")', [(1, ".")]),
        ("raise E(message)", []),
        ('KEY = {"told": told}', []),
        ("def test_what_is_told(): ...", [(1, "told")]),
        ("class ToldThing: ...", [(1, "Told")]),
        ("told = 1", []),
    ],
)
def test_python(text, matches):
    assert found("a.py", text) == matches


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("int told; // what was told", [(1, "told")]),
        ("x;\n  // cannot be\n  // had\nint told;", [(2, "be had")]),
        ("/* a\n * told\n */", [(2, "told")]),
        ('f("it is told", "told", \'"\'); // "', [(1, "told")]),
        ('R"(a\nb told)"', [(2, "told")]),
        ('"a \\" // told"', [(1, "told")]),
    ],
)
def test_cpp(text, matches):
    assert found("a.cpp", text) == matches


def test_a_match_says_what_to_write_instead():
    (match,) = prose.check("docs/a.md", "told", WORDS.rules)
    assert str(match) == "docs/a.md:1: told -> reported"


def test_the_files_that_are_checked():
    paths = ["docs/a.md", "docs/golden/b.md", "python/c.py", "README.md"]
    assert prose.selected(WORDS, paths) == ["docs/a.md", "python/c.py"]


def test_a_folder_does_not_stand_for_its_namesakes():
    assert not prose.listed("docs2/a.md", ["docs"])


@pytest.fixture
def repository(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "list.toml").write_text(LIST)
    for name in ("old", "new"):
        (tmp_path / "docs" / f"{name}.md").write_text("all is well")
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    monkeypatch.setattr(prose, "WORD_LIST", tmp_path / "list.toml")
    monkeypatch.setattr(prose, "tracked", lambda _: ["docs/new.md", "docs/old.md"])
    return tmp_path


@pytest.mark.usefixtures("repository")
def test_a_clean_repository_passes(capsys):
    assert prose.main([]) == 0
    assert capsys.readouterr().out == "0 to rewrite; 0 more in the files listed as report-only\n"


def test_report_only_files_are_counted_and_do_not_fail(repository, capsys):
    (repository / "docs" / "old.md").write_text("told, told")
    assert prose.main([]) == 0
    assert capsys.readouterr().out == "0 to rewrite; 2 more in the files listed as report-only\n"
    assert prose.main(["--all"]) == 1
    assert prose.main(["docs/"]) == 1
    assert prose.main(["docs/new.md"]) == 0


def test_other_files_fail(repository, capsys):
    (repository / "docs" / "new.md").write_text("told")
    assert prose.main([]) == 1
    assert capsys.readouterr().out.startswith("docs/new.md:1: told -> reported\n1 to rewrite")


def test_the_word_list_of_this_repository_is_read_and_names_files_that_exist():
    words = prose.word_list(prose.WORD_LIST.read_text())
    paths = prose.tracked(Path(prose.ROOT))
    assert prose.selected(words, paths)
    assert [each for each in words.report_only if not any(prose.listed(path, [each]) for path in paths)] == []
