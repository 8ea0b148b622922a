"""Answering in bulk what configure would ask one by one."""

from __future__ import annotations

import os
import shutil

import pytest

from python_tsan.cpython.build import presets
from python_tsan.cpython.build.presets import compiled_headers, linked_functions, questions, write_presets

CONFIGURE = """\
ac_fn_c_check_func "$LINENO" "getpid" "ac_cv_func_getpid"
  ac_fn_c_check_func "$LINENO" "no_such_function" "ac_cv_func_no_such_function"
ac_fn_c_check_func "$LINENO" "chroot" "ac_cv_func_chroot"
ac_fn_c_check_func "$LINENO" "$ac_func" "$as_ac_var"
  ac_cv_func_chroot=yes
ac_fn_c_check_header_compile "$LINENO" "sys/stat.h" "ac_cv_header_sys_stat_h" "$ac_includes_default"
ac_fn_c_check_header_compile "$LINENO" "no/such.h" "ac_cv_header_no_such_h" "$ac_includes_default"
ac_fn_c_check_header_compile "$LINENO" "net/if.h" "ac_cv_header_net_if_h" "#include <sys/socket.h>
"""


@pytest.fixture
def compiler():
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang-19")
    if not found:
        pytest.skip("no C compiler")
    return [found]


def test_questions_are_those_in_their_plain_form():
    assert questions(CONFIGURE, presets._FUNCTION) == {
        "getpid": "ac_cv_func_getpid",
        "no_such_function": "ac_cv_func_no_such_function",
    }
    assert list(questions(CONFIGURE, presets._HEADER)) == ["sys/stat.h", "no/such.h"]


def test_a_variable_that_is_set_by_other_means_is_left_to_configure():
    assert "chroot" not in questions(CONFIGURE, presets._FUNCTION)


def test_a_script_without_questions_needs_no_compiler(tmp_path):
    (tmp_path / "configure").write_text("#!/bin/sh\n")
    site = write_presets(tmp_path / "configure", tmp_path / "new", compiler=["/no/compiler"], linker=[], env={}, jobs=2)
    assert site.read_text() == ""


@pytest.mark.compiler
def test_only_yes_is_answered(tmp_path, compiler):
    (tmp_path / "configure").write_text(CONFIGURE)
    site = write_presets(tmp_path / "configure", tmp_path / "new", compiler=compiler, linker=[], env=os.environ, jobs=2)
    assert site.read_text() == "ac_cv_func_getpid=yes\nac_cv_header_sys_stat_h=yes\n"


@pytest.mark.compiler
def test_a_function_that_always_fails_is_not_there(tmp_path, compiler):
    # glibc has gtty in name only, and says so by __stub_gtty; where it does not, it is not there at all.
    assert linked_functions(["gtty", "getpid"], tmp_path, command=compiler, env=os.environ) == {"getpid"}


@pytest.mark.compiler
def test_a_linker_that_fails_answers_nothing(tmp_path, compiler):
    broken = [*compiler, "-Wl,--no-such-option"]
    assert linked_functions(["getpid"], tmp_path, command=broken, env=os.environ) == set()


@pytest.mark.compiler
def test_headers_are_judged_each_by_itself(tmp_path, compiler):
    (tmp_path / "needs.h").write_text("needs_this_type x;\n")
    (tmp_path / "gives.h").write_text("typedef int needs_this_type;\n")
    names = ["gives.h", "needs.h", "stdio.h", "none.h"]
    command = [*compiler, "-I", str(tmp_path)]
    for jobs in (1, 3, 8):
        assert compiled_headers(names, tmp_path, command=command, env=os.environ, jobs=jobs) == {"gives.h", "stdio.h"}


@pytest.mark.compiler
def test_a_compiler_that_fails_without_naming_a_file_answers_nothing(tmp_path, compiler):
    command = [*compiler, "--no-such-option"]
    assert compiled_headers(["stdio.h"], tmp_path, command=command, env=os.environ, jobs=1) == set()
