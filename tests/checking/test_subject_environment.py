from pathlib import Path

import pytest

from python_tsan.checking.environment import compose_environment
from python_tsan.toolchain.model import Candidate, Family, Toolchain
from python_tsan.tsan.options import parse_options


def toolchain(family, symbolizer=Path("/usr/bin/llvm-symbolizer-19")):
    compiler = Path("/usr/bin/cc")
    candidate = Candidate(family=family, cc=compiler, cxx=compiler, version="19.1.7", target="x86_64-linux-gnu")
    return Toolchain(
        candidate=candidate, runtime=Path("/rt.a"), runtime_id="0", symbolizer=symbolizer, linker=None, launcher=()
    )


def options(environment):
    return dict(parse_options(environment.tsan_options).values)


def test_what_a_verdict_needs():
    environment = compose_environment({})
    assert options(environment) == {
        "halt_on_error": "0",
        "exitcode": "66",
        "report_bugs": "1",
        "second_deadlock_stack": "1",
        "history_size": "7",
        "atexit_sleep_ms": "20",
    }
    assert environment.variables["DEBUGINFOD_URLS"] == ""
    assert environment.variables["OPENBLAS_NUM_THREADS"] == "1"
    assert environment.notes == ()


def test_the_symbolizer_is_clangs():
    with_clang = compose_environment({}, toolchain=toolchain(Family.CLANG))
    assert options(with_clang)["external_symbolizer_path"] == "/usr/bin/llvm-symbolizer-19"
    assert "external_symbolizer_path" not in options(compose_environment({}, toolchain=toolchain(Family.GCC)))
    assert "external_symbolizer_path" not in options(compose_environment({}, toolchain=toolchain(Family.CLANG, None)))


def test_the_users_options_win_and_that_is_reported():
    environment = compose_environment({"TSAN_OPTIONS": "history_size=4 report_signal_unsafe=0"})
    assert options(environment)["history_size"] == "4"
    assert options(environment)["report_signal_unsafe"] == "0"
    assert any("history_size=4 is yours and stays" in note for note in environment.notes)
    assert any("report_signal_unsafe=0 is yours" in note for note in environment.notes)


def test_the_users_value_that_is_ours_too_needs_no_word():
    assert compose_environment({"TSAN_OPTIONS": "exitcode=66"}).notes == ()


def test_the_users_log_path_is_set_aside_aloud():
    environment = compose_environment({"TSAN_OPTIONS": "log_path=/home/me/log:exitcode=1"})
    assert "log_path" not in options(environment)
    assert options(environment)["exitcode"] == "1"
    assert any("log_path=/home/me/log is ignored" in note for note in environment.notes)


@pytest.mark.parametrize(("name", "value"), [("report_bugs", "0"), ("report_bugs", "no"), ("print_suppressions", "0")])
def test_an_option_that_would_silence_the_runtime_is_set_aside_aloud(name, value):
    environment = compose_environment({"TSAN_OPTIONS": f"{name}={value}"}, options={"print_suppressions": "1"})
    assert options(environment)[name] == "1"
    assert any(f"{name}={value} is ignored" in note for note in environment.notes)


def test_a_word_that_is_no_option_would_end_the_runtime():
    environment = compose_environment({"TSAN_OPTIONS": "verbose"})
    assert "verbose" not in environment.tsan_options
    assert any("'verbose' is not an option" in note for note in environment.notes)


@pytest.mark.parametrize("name", ["PYTHONDONTWRITEBYTECODE", "LD_PRELOAD"])
def test_what_would_spoil_a_run_is_left_out(name):
    assert name not in compose_environment({name: "1"}).variables


def test_the_rest_of_the_callers_environment_stays():
    environment = compose_environment({"HOME": "/home/me"}, extra={"LD_LIBRARY_PATH": "/lib"})
    assert environment.variables["HOME"] == "/home/me"
    assert environment.variables["LD_LIBRARY_PATH"] == "/lib"


def test_further_options_are_added_and_the_users_own_win():
    made = compose_environment({"TSAN_OPTIONS": "color=never"}, options={"color": "always", "flush": "2"})
    assert options(made)["color"] == "never"
    assert options(made)["flush"] == "2"
    assert any("color=never is yours" in note for note in made.notes)
