import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from python_tsan.config import OPTIONS, CompilerCache, Settings, load_settings
from python_tsan.errors import UsageError
from python_tsan.setting_values import NEWEST_MINOR
from python_tsan.toml_file import line_of


def load(tmp_path, *, env=None, **overrides):
    return load_settings(overrides, env=env or {}, cwd=tmp_path)


def write(folder, text, name="python-tsan.toml"):
    path = folder / name
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def refusal(tmp_path, **arguments):
    with pytest.raises(UsageError) as caught:
        load(tmp_path, **arguments)
    return caught.value


def test_the_default_of_jobs_obeys_the_quota_of_a_container(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(Path, "read_text", lambda _, **__: "200000 100000\n")
    assert load(tmp_path).jobs == 2


def test_every_setting_is_an_option_and_the_other_way_round():
    assert [option.field for option in OPTIONS] == [field.name for field in fields(Settings)]


def test_defaults_need_no_file(tmp_path):
    settings = load(tmp_path)
    assert settings.python is None
    assert settings.jobs >= 1
    assert settings.compiler_cache is CompilerCache.AUTO
    assert settings.output == tmp_path / "runs"
    assert settings.cache.is_absolute()


def test_command_line_beats_environment_beats_file_beats_default(tmp_path):
    write(tmp_path, 'jobs = 3\ntoolchain = "gcc-12"\nbinding = "pybind11==3.0.0"\n')
    settings = load(tmp_path, env={"PYTHON_TSAN_JOBS": "5", "PYTHON_TSAN_TOOLCHAIN": "clang-18"}, jobs="7")
    assert (settings.jobs, settings.toolchain, str(settings.binding)) == (7, "clang-18", "pybind11 3.0.0")
    assert settings.network_timeout == 20.0


def test_an_option_that_was_not_given_hides_nothing(tmp_path):
    write(tmp_path, "jobs = 3")
    assert load(tmp_path, jobs=None).jobs == 3


def test_an_empty_environment_variable_counts_as_unset(tmp_path):
    assert load(tmp_path, env={"PYTHON_TSAN_JOBS": " "}).jobs == load(tmp_path).jobs


def test_pyproject_section_is_read(tmp_path):
    write(tmp_path, '[tool.python-tsan]\ncompiler-cache = "off"\n', name="pyproject.toml")
    assert load(tmp_path).compiler_cache is CompilerCache.OFF


def test_own_file_beats_pyproject_of_the_same_folder(tmp_path):
    write(tmp_path, "[tool.python-tsan]\njobs = 1\n", name="pyproject.toml")
    write(tmp_path, "jobs = 2")
    assert load(tmp_path).jobs == 2


def test_the_nearest_file_is_found_from_below(tmp_path):
    write(tmp_path, 'jobs = 2\ncache = "here"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    write(below, "[tool.other]\nx = 1\n", name="pyproject.toml")
    settings = load(below)
    assert settings.jobs == 2
    assert settings.cache == tmp_path / "here", "a path in a file is relative to that file"
    assert load(below, cache="there").cache == below / "there", "a path from the command line is not"


def test_home_is_expanded(tmp_path):
    assert load(tmp_path, source="~/cpython").source == Path.home() / "cpython"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("3.12.11", "3.12.11"),
        ("v3.13.5", "3.13.5"),
        ("3.11", "3.11"),
        ("3.15.0a2", "3.15.0a2"),
        ("3.14.0rc1", "3.14.0rc1"),
    ],
)
def test_versions_that_are_taken(tmp_path, given, taken):
    assert load(tmp_path, python=given).python == taken


LATER = f"3.{NEWEST_MINOR + 1}"


@pytest.mark.parametrize(
    "given", ["2.7", "3.10", LATER, f"{LATER}.1", "abc", "3", "3.13t", "3.12.11.1", "3.12.11 ", ""]
)
def test_versions_that_are_refused(tmp_path, given):
    error = refusal(tmp_path, python=given)
    assert error.message == (
        f"command line: --python: {given!r} is not a CPython version from 3.11 to 3.{NEWEST_MINOR}, "
        "such as 3.13 or 3.12.11"
    )
    assert error.advice.startswith("name one of 3.11, 3.12, ")
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('jobs = "2"', "jobs: '2' is not a positive integer up to 1000000"),
        ("jobs = 0", "jobs: 0 is not a positive integer up to 1000000"),
        ("jobs = 1000001", "jobs: 1000001 is not a positive integer up to 1000000"),
        ("jobs = true", "jobs: true is not a positive integer up to 1000000"),
        ("jobs = 2.5", "jobs: 2.5 is not a positive integer up to 1000000"),
        ("network-timeout = -1", "network-timeout: -1 is not a positive number of seconds up to 1000000"),
        ("network-timeout = nan", "network-timeout: nan is not a positive number of seconds up to 1000000"),
        ('free-threaded = "yes"', "free-threaded: 'yes' is not true or false"),
        ("python = 3.13", "python: 3.13 is not a CPython version"),
        ("toolchain = ''", "toolchain: '' is not a non-empty string"),
        ("cache = ['a']", "cache: ['a'] is not a path"),
        ('compiler-cache = "zcache"', "compiler-cache: 'zcache' is not one of auto, off, ccache, sccache, install"),
    ],
)
def test_a_value_that_does_not_fit_names_file_line_and_key(tmp_path, line, message):
    path = write(tmp_path, f"# settings\n\n{line}\n")
    error = refusal(tmp_path)
    assert error.message.startswith(f"{path}:3: {message}")


def test_an_unknown_key_gets_a_suggestion(tmp_path):
    path = write(tmp_path, "jobs = 2\ncompiler_cache = 'off'\n")
    error = refusal(tmp_path)
    assert error.message == f"{path}:2: compiler_cache: unknown setting"
    assert error.advice == "did you mean compiler-cache?"


def test_an_unknown_key_like_no_other_gets_the_list(tmp_path):
    write(tmp_path, "zzzz = 1")
    assert "known settings: python, free-threaded" in refusal(tmp_path).advice


@pytest.mark.parametrize(("text", "line"), [("jobs = 1\njobs 2\n", 2), ("jobs = 1\na = [\n1,\n", 3)])
def test_toml_that_cannot_be_read_names_file_and_line(tmp_path, text, line):
    path = write(tmp_path, text)
    error = refusal(tmp_path)
    assert error.message.startswith(f"{path}:{line}: ")
    assert "(at" not in error.message


def test_a_section_that_is_no_table_is_refused(tmp_path):
    path = write(tmp_path, "[tool]\nx = 1\npython-tsan = 4\n", name="pyproject.toml")
    assert refusal(tmp_path).message == f"{path}:3: tool.python-tsan must be a table"


def test_a_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / "python-tsan.toml").mkdir()
    assert refusal(tmp_path).message == f"cannot read {tmp_path / 'python-tsan.toml'}: Is a directory"


@pytest.mark.parametrize("target", ["nowhere.toml", "python-tsan.toml"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path, target):
    (tmp_path / "python-tsan.toml").symlink_to(tmp_path / target)
    with pytest.raises(UsageError, match=r"cannot read .*python-tsan\.toml"):
        load_settings({}, env={}, cwd=tmp_path)


def test_the_line_of_a_key_in_a_long_file_is_found_at_once():
    text = "\n".join(f"a{number} = {number}" for number in range(100_000))
    assert line_of(text, ("a99999",)) == 100_000


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "python-tsan.toml").write_bytes(b'toolchain = "\xff"')
    assert "not UTF-8 text (byte 13)" in refusal(tmp_path).message


def test_an_environment_value_that_does_not_fit_names_the_variable(tmp_path):
    error = refusal(tmp_path, env={"PYTHON_TSAN_JOBS": "many"})
    assert error.message == "environment: PYTHON_TSAN_JOBS: 'many' is not a positive integer up to 1000000"


def test_rules_are_a_list_in_a_file_and_separated_by_commas_elsewhere(tmp_path):
    write(tmp_path, 'ignore-rules = ["exception-lost", "exception-lost"]')
    assert load(tmp_path).ignore_rules == ("exception-lost",)
    assert load(tmp_path, ignore_rules="possible-deadlock, exception-lost").ignore_rules == (
        "possible-deadlock",
        "exception-lost",
    )
    write(tmp_path, "ignore-rules = []")
    assert load(tmp_path).ignore_rules == ()


@pytest.mark.parametrize("line", ['["lost"]', '["exception-lost", 1]', '"exception-lost"', "true", '{ "a" = 1 }'])
def test_an_unknown_rule_is_refused_with_the_known_ones(tmp_path, line):
    write(tmp_path, f"ignore-rules = {line}")
    error = refusal(tmp_path)
    assert "python-tsan.toml:1: ignore-rules" in error.message
    assert error.message.endswith("is not a list of rules")
    assert "exception-lost" in error.advice
    assert "c-api-without-gil" in error.advice


@pytest.mark.parametrize("given", ["", "lost", "exception-lost,", "Exception-Lost", "capi"])
def test_the_command_line_names_rules_that_are_known(tmp_path, given):
    assert (
        refusal(tmp_path, ignore_rules=given).message
        == f"command line: --ignore-rules: {given!r} is not a list of rules"
    )


@pytest.mark.parametrize(("text", "flag"), [("1", True), ("TRUE", True), ("off", False), ("0", False)])
def test_flags_in_the_environment(tmp_path, text, flag):
    assert load(tmp_path, env={"PYTHON_TSAN_REFRESH": text}).refresh is flag


def test_free_threading_needs_a_version_that_has_it(tmp_path):
    assert "3.12.11 has no free-threaded build" in refusal(tmp_path, free_threaded=True).message
    assert "3.12 has no" in refusal(tmp_path, free_threaded=True, python="3.12").message
    assert load(tmp_path, free_threaded=True, python="3.13").free_threaded
    assert load(tmp_path, free_threaded=True, source="/src").free_threaded, "a source brings its own version"


@pytest.mark.parametrize(
    ("text", "keys", "line"),
    [
        ("a = 1\nb = 2", ("b",), 2),
        ('a = """\nb = 1\n"""\n\n# c\nb = 2', ("b",), 6),
        ("a = [\n 1,\n]\nb = [\n 2,\n]", ("b",), 4),
        ("[t.u]\nx = 1\n[v]\nx = 2", ("v", "x"), 4),
        ("t.u.x = 1\nt.u.y = 2", ("t", "u", "y"), 2),
        ("t = { y = 1, x = 2 }", ("t", "x"), 1),
        ("a = 1\r\n'b' = 2\r\n", ("b",), 2),
        ("# \u2028 not a line end in TOML\nb = 1", ("b",), 2),
    ],
)
def test_the_line_of_a_key(text, keys, line):
    assert line_of(text, keys) == line
