"""The survey of wheels: its list, and a page that never calls what did not run clean."""

import ast
import datetime as dt
from dataclasses import replace

from tools.wheels.page import page
from tools.wheels.survey import PROGRAMS, Row, version_of, wheels

TODAY = dt.date(2026, 11, 30)
CLEAN = Row(
    wheel="numpy",
    version="2.5.5",
    toolchain="gcc-12",
    kind="C++",
    findings=0,
    aside=0,
    kept=0,
    verdict="no new finding",
)


def line_of(wheel, *rows):
    (line,) = [line for line in page(rows, today=TODAY).splitlines() if line.startswith(f"| {wheel} | ")][:1]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_thirty_wheels_have_a_program_with_a_sentence_and_a_function_to_call():
    assert len(wheels()) == 30
    for wheel in wheels():
        tree = ast.parse((PROGRAMS / f"{wheel}.py").read_text())
        assert ast.get_docstring(tree).endswith(".")
        assert [each.name for each in tree.body if isinstance(each, ast.FunctionDef)][-1] == "work"


def test_a_cell_has_what_was_kept_and_what_was_set_aside():
    assert line_of("numpy", CLEAN) == ["numpy", "2.5.5", "0"]
    aside = replace(CLEAN, findings=5, aside=5, verdict="no new finding; 5 findings set aside: 5 in x")
    assert line_of("numpy", aside)[-1] == "0 (5 of 5)"
    assert line_of("numpy", replace(aside, kept=1, findings=6, verdict="1 finding"))[-1] == "1 (5 of 6)"


def test_what_did_not_run_or_failed_is_never_a_number():
    assert line_of("pandas", CLEAN) == ["pandas", "", "not run"]
    died = replace(CLEAN, verdict="ended by signal 11 (a | b < c)")
    assert line_of("numpy", died)[-1] == "failed"
    assert "| numpy | gcc-12, C++ | ended by signal 11 (a \\| b &lt; c) |" in page([died], today=TODAY)
    assert "Not clean" not in page([CLEAN], today=TODAY)


def test_the_version_is_that_of_the_installed_wheel(tmp_path):
    (tmp_path / "scikit_learn-1.9.0.dist-info").mkdir()
    (tmp_path / "greenlet_x-1.dist-info").mkdir()
    assert version_of("scikit-learn", tmp_path) == "1.9.0"
    assert version_of("greenlet", tmp_path) == ""
