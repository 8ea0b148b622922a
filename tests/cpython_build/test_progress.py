"""The progress of a build, read from its log."""

from __future__ import annotations

import time

from python_tsan.cpython.build.progress import CompileCounter, follow

COMPILE = "clang-19 -c -fno-strict-overflow -w -MD -o Objects/abstract.o ../src/Objects/abstract.c"


def test_objects_are_counted_and_links_are_not():
    counter = CompileCounter(4)
    assert counter.fraction is None
    counter.feed(COMPILE)
    counter.feed("clang-19 -shared -o Modules/x.so Modules/x.o")
    counter.feed("ccache " + COMPILE)
    assert counter.fraction == 0.5
    assert counter.detail == "2 of 4 objects, abstract.c"


def test_fraction_stays_below_one():
    counter = CompileCounter(1)
    for _ in range(3):
        counter.feed(COMPILE)
    assert counter.fraction == 0.99


def test_configure_shows_what_it_checks():
    counter = CompileCounter(100)
    counter.feed("checking for sys/param.h... yes")
    assert (counter.fraction, counter.detail) == (None, "for sys/param.h")


def test_follow_reads_a_growing_log(tmp_path):
    log = tmp_path / "log"
    shown = []
    with follow(log, CompileCounter(2), lambda fraction, detail: shown.append((fraction, detail))):
        log.write_text(COMPILE)  # no line end yet: not a whole line
        time.sleep(0.7)
        with log.open("a") as file:
            file.write("\n")
        limit = time.monotonic() + 10
        while not shown and time.monotonic() < limit:
            time.sleep(0.05)
    assert shown[0] == (0.5, "1 of 2 objects, abstract.c")
