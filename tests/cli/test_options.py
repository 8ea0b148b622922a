"""One vocabulary of options: a verb shows what it reads, a word has one meaning, every help ends with an example."""

import argparse
import shlex

import pytest
from call_graph import settings_read_by

from python_tsan.cli import options
from python_tsan.cli.help_format import EXAMPLE
from python_tsan.cli.main import VERBS, build_parser
from python_tsan.config import OPTIONS
from python_tsan.setting_values import Kind


def leaves(parser, act=None):
    """Yield each verb that does something: its words, parser and function."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    act = parser._defaults.get("act") or act or parser._defaults["module"].run
    if not inner:
        yield parser, act
    for action in inner:
        for child in action.choices.values():
            yield from leaves(child, act)


def all_parsers():
    whole = build_parser(*(verb.name for verb in VERBS))
    (verbs,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    children = verbs.choices.values()
    return [pytest.param(*each, id=each[0].prog) for child in children for each in leaves(child)]


PARSERS = all_parsers()


@pytest.mark.parametrize(("parser", "act"), PARSERS)
def test_a_verb_that_shows_a_setting_reads_it(parser, act):
    shown = set(parser._defaults.get("settings", ()))
    assert shown - settings_read_by(act) == set()


def test_the_reading_is_that_of_each_stage():
    from python_tsan.cli import build, doctor, report  # noqa: PLC0415

    assert settings_read_by(doctor.run) == {"toolchain", "cache"}
    assert settings_read_by(report.run) == set()
    assert {"python", "git", "compiler_cache_remote"} <= settings_read_by(build.run)
    assert "output" not in settings_read_by(build.run)


@pytest.mark.parametrize(("parser", "act"), PARSERS)
def test_every_help_ends_with_an_example_that_can_be_typed(parser, act):
    text, _, example = parser.epilog.rpartition(f"{EXAMPLE}\n")
    assert EXAMPLE not in text
    program, *words = shlex.split(example.replace("\\\n", " "))
    assert program == "python-tsan"
    assert example.strip().startswith(parser.prog)
    parsed = build_parser(words[0]).parse_args(words)
    assert (getattr(parsed, "act", None) or parsed.module.run) is act


# What was called otherwise, in one verb or another, before there was one word for it.
OLD = {
    *("--write", "--page", "--html", "--json", "--trace", "--as"),
    *("--repeats", "--runs", "--trials"),
    *("--patience", "--seconds", "--each", "--whole"),
    *("--with", "--gil"),
}
# The same word for a file and for a folder, for a version and for an interpreter at a path.
ALIKE = {"--output": {"FILE", "DIR"}, "--python": {"VERSION", "VERSION|PATH"}, "--toolchain": {"NAME"}}


def test_one_word_means_one_thing_in_every_verb():
    metavars = {}
    for each in PARSERS:
        for action in each.values[0]._actions:
            for word in action.option_strings:
                value = "" if action.nargs == 0 else "choices" if action.choices else action.metavar
                metavars.setdefault(word, set()).add(value)
    assert OLD & set(metavars) == set()
    several = {word: values for word, values in metavars.items() if len(values) > 1 and values != ALIKE.get(word)}
    assert several == {"--format": {"FORMAT", "choices"}}


def test_every_setting_can_be_given_on_the_command_line(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    options.add_settings(parser, *(option.name for option in OPTIONS))
    arguments = parser.parse_args(
        [
            "--python=3.13",
            "--free-threaded",
            "--jobs=3",
            "--cache=c",
            "--network-timeout=2",
            "--refresh",
            "--compiler-cache=off",
        ]
    )
    context = options.open_context(arguments)
    settings = context.settings
    assert (settings.python, settings.free_threaded, settings.jobs, settings.network_timeout) == ("3.13", True, 3, 2.0)
    assert context.layout.root == tmp_path / "c"
    assert settings.refresh is True


def test_a_setting_that_a_verb_does_not_show_comes_from_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "python-tsan.toml").write_text("jobs = 7\noutput = 'kept'\n")
    parser = argparse.ArgumentParser()
    options.add_settings(parser, "cache")
    parser.add_argument("--output")
    context = options.open_context(parser.parse_args(["--output", "page.html"]))
    assert context.settings.jobs == 7
    assert context.settings.output == tmp_path / "kept", "--output of this verb is not the setting"


def test_an_unknown_setting_is_a_mistake_of_the_verb():
    with pytest.raises(ValueError, match="colour"):
        options.add_settings(argparse.ArgumentParser(), "colour")


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("20", 20), ("1000000", 1_000_000)])
def test_counts(text, value):
    assert options.count(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "", "²", "1000001", "9" * 20, "9" * 5000])
def test_what_is_not_a_count(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a positive integer up to 1000000, not"):
        options.count(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "long", "", "1000000.5", "1e300", "9" * 5000])
def test_what_is_not_a_number_of_seconds(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a positive number of seconds up to 1000000, not"):
        options.seconds(text)


@pytest.mark.parametrize(("parser", "act"), PARSERS)
def test_every_number_has_a_bound(parser, act):
    del act
    for action in parser._actions:
        if action.metavar in {"N", "SECONDS", "MB"} and action.dest not in parser._defaults.get("settings", ()):
            with pytest.raises(argparse.ArgumentTypeError, match="1000000, not '9999"):
                action.type("9" * 20)


def test_numbers_that_are_settings_have_a_bound():
    kinds = {option.name: option.kind for option in OPTIONS if option.metavar in {"N", "SECONDS"}}
    assert {"jobs", "network-timeout"} <= kinds.keys()
    assert set(kinds.values()) <= {Kind.COUNT, Kind.SECONDS}


def test_seconds():
    assert options.seconds("2.5") == 2.5
