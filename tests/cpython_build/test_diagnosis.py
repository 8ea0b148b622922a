"""How a failed step is reported."""

from __future__ import annotations

import pytest

from python_tsan.cpython.diagnosis import advise, shorten, step_error, tail
from python_tsan.process import Completed


def ended(exit_code, *, timed_out=False):
    return Completed(
        command=("make",), exit_code=exit_code, timed_out=timed_out, seconds=3.0, cpu_seconds=1.0, max_rss_bytes=1
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("fatal error: error writing to /tmp/x.s: No space left on device", "disk is full"),
        ("clang: error: unable to execute command: Killed", "--jobs 1"),
        ("g++: fatal error: Killed signal terminated program cc1plus", "--jobs 1"),
        ("ld.lld: error: cannot open /usr/lib/libclang_rt.tsan-x86_64.a: No such file or directory", "doctor"),
        ("/usr/bin/ld: cannot find libtsan_preinit.o: No such file or directory", "runtime"),
        ("FATAL: ThreadSanitizer: unexpected memory mapping 0x5f-0x60", "address space"),
        ("configure: error: C compiler cannot create executables", "compiler does not work"),
        ("The source tree is not clean (/src).", "distclean"),
        ("error: expected ';'", "first error"),
    ],
)
def test_advice_follows_the_log(text, word):
    assert word in advise(f"line\n{text}\nmake: *** [Makefile:1: x] Error 1\n", ended(2), free_bytes=10**12)


def test_advice_for_a_killed_step_and_for_a_disk_that_is_nearly_full():
    assert "memory ran out" in advise("", ended(-9), free_bytes=10**12)
    assert "only 2 MB" in advise("", ended(1), free_bytes=2 * 2**20)


def test_error_shows_ten_lines_and_names_the_log(tmp_path):
    log = tmp_path / "compile.log"
    log.write_text("".join(f"line {number}\n" for number in range(40)))
    error = step_error("compile", ended(2), log)
    assert error.evidence == log
    assert "'compile' failed with exit code 2" in error.message
    assert "line 30\n" in error.message
    assert "line 29\n" not in error.message


@pytest.mark.parametrize(
    ("completed", "text"), [(ended(-15), "ended by SIGTERM"), (ended(1, timed_out=True), "within 3 s")]
)
def test_error_says_how_the_step_ended(tmp_path, completed, text):
    log = tmp_path / "log"
    log.touch()
    assert text in step_error("configure", completed, log).message


def test_a_compilers_command_line_keeps_beginning_and_end():
    assert shorten("short") == "short"
    assert shorten("c" * 200) == "c" * 200
    line = "clang-19 -c " + "-Ix " * 100 + "one.c"
    assert shorten(line).startswith("clang-19 -c -Ix")
    assert shorten(line).endswith("-Ix one.c")
    assert len(shorten(line)) <= 200


def test_tail_of_a_missing_and_of_a_binary_log(tmp_path):
    assert tail(tmp_path / "none") == ""
    (tmp_path / "log").write_bytes(b"x" * 100_000 + b"\xff end")
    assert tail(tmp_path / "log").endswith("\ufffd end")
    assert len(tail(tmp_path / "log")) <= 64 * 1024
