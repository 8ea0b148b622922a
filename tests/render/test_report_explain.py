from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.render import explain
from python_tsan.render.explain import error_pages, explain_word, kind_text, known_words
from python_tsan.tsan.finding import Kind

SLUG = re.compile(r"[a-z]+(-[a-z]+)*$")


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_explained(kind):
    text = kind_text(kind)
    assert SLUG.match(text.slug)
    for part in (text.short, text.what, text.read, text.fix):
        assert part[-1] in ".?)"
        assert "  " not in part
        assert "\n" not in part


def test_the_texts_are_those_of_the_whole_file():
    tables = tomllib.loads(Path(explain.__file__).with_name("kinds.toml").read_text())
    assert set(tables) == {kind.name for kind in Kind}
    for kind in Kind:
        text = kind_text(kind)
        for name, words in tables[kind.name].items():
            assert getattr(text, name) == " ".join(words.split())


def test_slugs_are_unique_and_stay_as_they_are():
    slugs = [kind_text(kind).slug for kind in Kind]
    assert len(set(slugs)) == len(slugs)
    assert slugs[:5] == [
        "data-race",
        "data-race-on-vptr",
        "heap-use-after-free",
        "heap-use-after-free-vptr",
        "race-on-external-object",
    ]


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_can_be_asked_for_as_printed_as_slug_and_as_name(kind):
    for word in (kind.value, kind_text(kind).slug, kind.name, kind.value.upper()):
        assert explain_word(word).title == kind.value


def test_every_known_word_has_an_answer():
    for word in known_words():
        answer = explain_word(word)
        assert answer.short
        assert "\n" not in answer.short


def test_errors_are_explained_by_the_page_about_errors():
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    anchors = set(re.findall(r"^#{2,3} (\S+)$", page, re.MULTILINE))
    assert anchors == set(error_pages())
    assert "Neither clang nor gcc" in explain_word("toolchain-none").short


def test_words_that_pages_name_can_be_explained():
    for word in ("could-not-judge", "fingerprint", "attribution", "unexpected memory mapping", "interceptor"):
        assert explain_word(word), word
    assert explain_word("no such word") is None


def test_the_verb_explains_a_kind(capsys):
    assert main(["explain", "data race"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("data race\nTwo threads touch the same memory")
    assert "\nHow to fix it\n" in told
    assert max(map(len, told.splitlines())) <= 80


def test_without_a_word_everything_is_listed(capsys):
    assert main(["explain"]) == 0
    told = capsys.readouterr().out
    for kind in Kind:
        assert kind_text(kind).slug in told
    assert "could-not-judge" in told


def test_a_word_that_is_nearly_known_is_offered(capsys):
    assert main(["explain", "lock-order-inversions"]) == 2
    assert "did you mean lock-order-inversion" in capsys.readouterr().err


def test_a_finding_is_explained_by_the_beginning_of_its_fingerprint(golden, report_of, capsys):
    key = report_of("race_global").findings[0].fingerprint
    assert main(["explain", key[:8], "--log", *golden("race_global")]) == 0
    told = capsys.readouterr().out
    assert "data race on (anonymous namespace)::g_total" in told
    assert "mutex M0, created" in told
    assert "How to read it" in told


def test_a_finding_that_is_not_there_is_reported(golden, capsys, tmp_path, monkeypatch):
    assert main(["explain", "0123456789abcdef", "--log", *golden("race_global")]) == 2
    assert "no finding 0123456789abcdef" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "0123456789abcdef"]) == 2
    assert "name the log or the run with --log" in capsys.readouterr().err
