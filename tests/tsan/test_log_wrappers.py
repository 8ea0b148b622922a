# ruff: noqa: B905, E501, E741, RUF005, RUF017 -- lines of logs, as they are printed
"""A report in the output of build servers, test runners, launchers, terminals and documents, of one source or of two."""

from __future__ import annotations

import html
import json
from collections import Counter
from pathlib import Path

import pytest

from python_tsan.tsan.fingerprint import identity
from python_tsan.tsan.parser import parse_log

TEXT = (Path(__file__).with_name("kinds") / "reference.log").read_text()
ONE = TEXT.splitlines()
OTHER = TEXT.replace("bump", "tick").replace("show", "see").splitlines()
RACE = ("v1", "data race", "bump b.c", "show s.c")
OTHER_RACE = ("v1", "data race", "see s.c", "tick b.c")


def time_of(n):
    return f"2026-11-23T01:02:{n % 60:02}.{1234567 + n * 7919:07}Z"


LOGS = {
    "gha groups": (
        [f"{time_of(0)} ##[group]Run ctest", f"{time_of(1)} ##[endgroup]"]
        + [f"{time_of(n)} {x}" for n, x in enumerate(ONE)]
        + [f"{time_of(30)} ##[error]Process completed with exit code 66."],
        [RACE],
    ),
    "gha file prefix": (
        [
            f"build (ubuntu, clang)\tRun tests\t\ufeff{time_of(n)} {x}"
            if n == 0
            else f"build (ubuntu, clang)\tRun tests\t{time_of(n)} {x}"
            for n, x in enumerate(ONE)
        ],
        [RACE],
    ),
    "gha two jobs": (
        [
            l
            for n, (x, y) in enumerate(zip(ONE, OTHER))
            for l in (f"job-a\tUNKNOWN STEP\t{time_of(n)} {x}", f"job-b\tUNKNOWN STEP\t{time_of(n)} {y}")
        ],
        [RACE, OTHER_RACE],
    ),
    "gha error cmd": ([f"::error file=b.c,line=4::{ONE[1]}"] + ONE[2:], [RACE]),
    "gitlab sections": (
        ["section_start:1764550800:test\r\x1b[0KRun tests"]
        + [f"\x1b[0;m{x}" for x in ONE]
        + ["section_end:1764550810:test\r\x1b[0K"],
        [RACE],
    ),
    "gitlab ts": ([f"{time_of(n)[:23]}456Z 01O {x}" for n, x in enumerate(ONE)], [RACE]),
    "bazel test.log": (
        [
            'exec ${PAGER:-/usr/bin/less} "$0" || exit 1',
            "Executing tests from //a:b",
            "-----------------------------------------------------------------------------",
        ]
        + ONE,
        [RACE],
    ),
    "bazel streamed": (
        ["==================== Test output for //a:b:"]
        + ONE
        + ["=" * 80, "==================== Test output for //a:c:"]
        + OTHER
        + ["=" * 80],
        [RACE, OTHER_RACE],
    ),
    "ctest -V": (
        [
            "test 3",
            "    Start 3: race",
            "",
            "3: Test command: /b/race",
            "3: Working Directory: /b",
            "3: Test timeout computed to be: 1500",
        ]
        + [f"3: {x}" for x in ONE]
        + [
            "1/1 Test #3: race .............................***Failed    0.12 sec",
            "",
            "0% tests passed, 2 tests failed out of 3",
        ],
        [RACE],
    ),
    "ctest output-on-failure": (
        ["1/2 Test #1: a ...***Failed    0.12 sec"]
        + ONE
        + ["", "2/2 Test #2: b ...***Failed    0.10 sec"]
        + OTHER
        + ["", "0% tests passed, 2 tests failed out of 2"],
        [RACE, OTHER_RACE],
    ),
    "ctest junit": (
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<testsuite name="Linux-c++">',
            '\t<testcase name="race" status="fail">',
            '\t\t<failure message=""/>',
            "\t\t<system-out>" + html.escape(ONE[0], quote=True),
        ]
        + [html.escape(x, quote=True) for x in ONE[1:]]
        + ["</system-out>", "\t</testcase>", "</testsuite>"],
        [RACE],
    ),
    "junit cdata": (
        ['<testcase name="t"><system-err><![CDATA[' + ONE[0]] + ONE[1:] + ["]]></system-err></testcase>"],
        [RACE],
    ),
    "junit cdata two": (
        ['<testcase name="t"><system-err><![CDATA[' + ONE[0]]
        + ONE[1:]
        + ["]]></system-err></testcase>", '<testcase name="u"><system-err><![CDATA[' + OTHER[0]]
        + OTHER[1:]
        + ["]]></system-err></testcase>"],
        [RACE, OTHER_RACE],
    ),
    "junit numeric": (["<system-err>" + "&#10;".join(html.escape(x) for x in ONE) + "</system-err>"], [RACE]),
    "meson": (
        [
            "=================================== 3/4 ====================================",
            "test:         race",
            "start time:   01:02:03",
            "duration:     0.12s",
            "result:       exit status 66",
            "command:      TSAN_OPTIONS=x /b/race",
            "----------------------------------- stderr -----------------------------------",
        ]
        + ONE
        + ["=============================================================================="],
        [RACE],
    ),
    "meson two": (
        sum(
            (
                [
                    f"=================================== {i}/2 ====================================",
                    "test:         r",
                    "----------------------------------- stderr -----------------------------------",
                ]
                + X
                + ["==============================================================================", ""]
                for i, X in ((1, ONE), (2, OTHER))
            ),
            [],
        ),
        [RACE, OTHER_RACE],
    ),
    "gtest": (
        ["[ RUN      ] S.Race"]
        + ONE
        + ["[  FAILED  ] S.Race (12 ms)", "[ RUN      ] S.OTHER"]
        + OTHER
        + ["[       OK ] S.OTHER (1 ms)"],
        [RACE, OTHER_RACE],
    ),
    "gtest parallel": (["[1/2] S.Race (12 ms)"] + ONE + ["[2/2] S.OTHER (3 ms)"] + OTHER, [RACE, OTHER_RACE]),
    "pytest E": (
        ["    def test_x():", ">       assert run() == 0"]
        + [f"E       {x}" if x else "E" for x in ONE]
        + ["", "test_x.py:4: AssertionError"],
        [RACE],
    ),
    "pytest E captured": (
        ["E       AssertionError: assert 66 == 0"] + [f"E         {x}".rstrip() for x in ONE],
        [RACE],
    ),
    "pytest captured": (
        ["----------------------------- Captured stderr call -----------------------------"]
        + ONE
        + ["=========================== short test summary info ============================"],
        [RACE],
    ),
    "pytest xdist": (
        [f"[gw{i}] {x}" for n in range(len(ONE)) for i, x in ((0, ONE[n]), (1, OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "pytest repr diff": (
        ["E       AssertionError: assert '" + ONE[0] + "\\n'..."] + [f"E         - {x}" for x in ONE],
        [RACE],
    ),
    "short-precise": ([f"Nov 23 01:02:03.{n * 1234:06} host app[4711]: {x}" for n, x in enumerate(ONE)], [RACE]),
    "short-iso-precise 2": (
        [
            f"2026-11-23T01:02:03.{n * 1234:06}+0100 host app[{p}]: {x}"
            for n in range(len(ONE))
            for p, x in ((1, ONE[n]), (2, OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "5424": (
        [
            f'<13>1 {time_of(n)} host app {p} ID{47} [ex@32473 iut="3"] {x}'
            for n in range(len(ONE))
            for p, x in ((1, ONE[n]), (2, OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "3164 pri": (
        [
            f"<30>Nov 23 01:02:{n:02} host app[{p}]: {x}"
            for n in range(len(ONE))
            for p, x in ((1, ONE[n]), (2, OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "script CR": ([x + "\r" for x in ONE], [RACE]),
    "tmux": ([x.ljust(120) for x in ONE], [RACE]),
    "script prog": (
        ["\x1b]0;user@h: ~\x07$ ./app\r"]
        + ["\x1b[?2004l" + x + "\r" if i == 0 else x + "\r" for i, x in enumerate(ONE)],
        [RACE],
    ),
    "ansi per word": (
        ["\x1b[1m\x1b[31m" + x.replace(" ", "\x1b[0m \x1b[32m") + "\x1b[0m" if x.strip() else x for x in ONE],
        [RACE],
    ),
    "logcat brief 2": (
        [f"F/app  ({p:5}): {x}" for n in range(len(ONE)) for p, x in ((100, ONE[n]), (200, OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "logcat threadtime 2": (
        [
            f"11-23 01:02:{n:02}.123  {p}  {p + 1} E libc    : {x}"
            for n in range(len(ONE))
            for p, x in ((4711, ONE[n]), (4811, OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "logcat long": (
        [l for n, x in enumerate(ONE) for l in (f"[ 11-23 01:02:{n:02}.123  4711: 4712 E/app ]", x, "")],
        [RACE],
    ),
    "xcode": (
        [f"2026-11-23 01:02:{n:02}.123456+0100 App[4711:12345] {x}" for n, x in enumerate(ONE)]
        + ["Test Suite 'All tests' failed"],
        [RACE],
    ),
    "xcodebuild": (["Test Case '-[T t]' started."] + ONE + ["Test Case '-[T t]' failed (0.1 seconds)."], [RACE]),
    "compose pad": (
        [l for n in range(len(ONE)) for l in (f"api-1       | {ONE[n]}", f"scheduler-1 | {OTHER[n]}")],
        [RACE, OTHER_RACE],
    ),
    "compose ts": (
        [l for n in range(len(ONE)) for l in (f"api-1  | {time_of(n)} {ONE[n]}", f"db-1   | {time_of(n)} {OTHER[n]}")],
        [RACE, OTHER_RACE],
    ),
    "mpi tag": (
        [f"[1,{r}]<stderr>: {x}" for n in range(len(ONE)) for r, x in ((0, ONE[n]), (3, OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "mpi tag ts": (
        [
            f"Mon Nov 23 01:02:{n:02} 2026[1,{r}]<stderr>:{x}"
            for n in range(len(ONE))
            for r, x in ((0, ONE[n]), (3, OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "srun -l": ([f"{r}: {x}" for n in range(len(ONE)) for r, x in ((0, ONE[n]), (13, OTHER[n]))], [RACE, OTHER_RACE]),
    "srun -l pad": (
        [f"{r:2}: {x}" for n in range(len(ONE)) for r, x in ((0, ONE[n]), (13, OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "parallel --tag": (
        [f"{t}\t{x}" for n in range(len(ONE)) for t, x in (("a.cfg", ONE[n]), ("b.cfg", OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "parallel --tagstring": (
        [f"job{t}\t{x}" for n in range(len(ONE)) for t, x in ((1, ONE[n]), (2, OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "parallel linebuffer args": (
        [f"./t --seed {t}\t{x}" for n in range(len(ONE)) for t, x in ((1, ONE[n]), (2, OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "html page": (["<html><body><pre>"] + [html.escape(x) for x in ONE] + ["</pre></body></html>"], [RACE]),
    "html one pre": (
        ["<pre>" + html.escape(ONE[0])] + [html.escape(x) for x in ONE[1:-1]] + [html.escape(ONE[-1]) + "</pre>"],
        [RACE],
    ),
    "html twice": ([html.escape(html.escape(x)) for x in ONE], [RACE]),
    "html ansi2html": ([f'<span class="ansi1 ansi31">{html.escape(x)}</span>' for x in ONE], [RACE]),
    "mail quote": (["On Monday, X wrote:"] + [f"> {x}".rstrip() for x in ONE], [RACE]),
    "mail quote2": (
        [f">> {x}".rstrip() for x in ONE] + ["> I see"] + [f"> {x}".rstrip() for x in OTHER],
        [RACE, OTHER_RACE],
    ),
    "md fence": (["```text"] + ONE + ["```"], [RACE]),
    "md details": (["<details><summary>log</summary>", "", "```"] + ONE + ["```", "", "</details>"], [RACE]),
    "md quote fence": (["> ```"] + [f"> {x}" for x in ONE] + ["> ```"], [RACE]),
    "md indented": (["    " + x for x in ONE], [RACE]),
    "md list": (["- log:"] + ["  " + x for x in ONE], [RACE]),
    "tab indent": (["\t" + x for x in ONE], [RACE]),
    "tab for blanks": (
        [x.replace("    ", "\t").replace("  ", "\t", 1) if x.startswith("  ") else x for x in ONE],
        [RACE],
    ),
    "rst": (["::", ""] + ["   " + x for x in ONE], [RACE]),
    "jenkins ts": ([f"[2026-11-23T01:02:{n:02}.123Z] {x}" for n, x in enumerate(ONE)], [RACE]),
    "jenkins parallel": (
        [f"[{b}] {x}" for n in range(len(ONE)) for b, x in (("gcc", ONE[n]), ("clang", OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "jenkins pipeline": ([f"01:02:{n:02}  {x}" for n, x in enumerate(ONE)], [RACE]),
    "azure": (
        [f"{time_of(n)} {x}" for n, x in enumerate(ONE)] + [f"{time_of(20)} ##[error]Bash exited with code '66'."],
        [RACE],
    ),
    "circle": (["#!/bin/bash -eo pipefail", "ctest"] + ONE + ["", "Exited with code exit status 66"], [RACE]),
    "travis": (["travis_fold:start:t\r\x1b[0K"] + ONE + ["travis_fold:end:t\r\x1b[0K"], [RACE]),
    "buildkit": ([f"#12 {n * 0.3:.3f} {x}" for n, x in enumerate(ONE, 1)], [RACE]),
    "buildkit 2": (
        [f"#{k} {n * 0.3:.3f} {x}" for n in range(len(ONE)) for k, x in ((8, ONE[n]), (12, OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "turbo": (
        [f"{p}:test: {x}" for n in range(len(ONE)) for p, x in (("core", ONE[n]), ("net", OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "ninja": (
        ["[12/40] Running test"] + ONE + ["FAILED: CMakeFiles/test.util", "ninja: build stopped: subcommand failed."],
        [RACE],
    ),
    "cargo": (["running 1 test", "test t ... FAILED", "", "---- t stdout ----"] + ONE, [RACE]),
    "go test": (["=== RUN   TestX"] + ["    " + x for x in ONE] + ["--- FAIL: TestX (0.00s)"], [RACE]),
    "tap": (["TAP version 13", "1..1"] + ["# " + x for x in ONE] + ["not ok 1"], [RACE]),
    "tap2": (["not ok 1", "  ---", "  output: |"] + ["    " + x for x in ONE] + ["  ..."], [RACE]),
    "catch2": (
        ["-------", "race", "-------"]
        + ONE
        + ["==============================================================================="],
        [RACE],
    ),
    "boost": (["Running 1 test case..."] + ONE + ["*** No errors detected"], [RACE]),
    "kubectl --prefix": (
        [
            f"[pod/web-{s}/app] {x}"
            for n in range(len(ONE))
            for s, x in (("5d9c7b-x2x4z", ONE[n]), ("5d9c7b-k8k9q", OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "stern ns": (
        [
            f"web-{s} app {x}"
            for n in range(len(ONE))
            for s, x in (("5d9c7b-x2x4z", ONE[n]), ("5d9c7b-k8k9q", OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "heroku": (
        [f"{time_of(n)} app[{p}]: {x}" for n in range(len(ONE)) for p, x in (("web.1", ONE[n]), ("web.2", OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "python logging": ([f"2026-11-23 01:02:{n:02},123 ERROR runner: {x}" for n, x in enumerate(ONE)], [RACE]),
    "python logging worker": (
        [
            f"2026-11-23 01:02:{n:02},123 - worker-{w} - ERROR - {x}"
            for n in range(len(ONE))
            for w, x in ((1, ONE[n]), (2, OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "spdlog": ([f"[2026-11-23 01:02:{n:02}.123] [app] [error] {x}" for n, x in enumerate(ONE)], [RACE]),
    "spdlog thread": (
        [
            f"[2026-11-23 01:02:{n:02}.123] [{t}] [error] {x}"
            for n in range(len(ONE))
            for t, x in ((4711, ONE[n]), (4712, OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "ts -s": ([f"00:00:{n:02} {x}" for n, x in enumerate(ONE)], [RACE]),
    "ts %.s": ([f"17645508{n:02}.123456 {x}" for n, x in enumerate(ONE)], [RACE]),
    "nl": ([f"{n:6}\t{x}" for n, x in enumerate(ONE, 1)], [RACE]),
    "cat -A": ([x + "$" for x in ONE], [RACE]),
    "cat -v CR": ([x + "^M" for x in ONE], [RACE]),
    "diff": (["--- a", "+++ b", "@@ -0,0 +1,15 @@"] + ["+" + x for x in ONE], [RACE]),
    "sed -n l": ([x.replace("\\", "\\\\") + "$" for x in ONE], [RACE]),
    "vector text 2": (
        [f"{time_of(n)} {h} app {x}" for n in range(len(ONE)) for h, x in (("node-17", ONE[n]), ("node-18", OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "loki logcli": (
        [
            f'{time_of(n)[:19]}Z {{pod="web-{s}"}} {x}'
            for n in range(len(ONE))
            for s, x in (("a", ONE[n]), ("b", OTHER[n]))
        ],
        [RACE, OTHER_RACE],
    ),
    "dmesg": ([f"[{n * 0.5 + 12345.678901:12.6f}] app[9]: {x}" for n, x in enumerate(ONE)], [RACE]),
    "asciicast": (
        ['{"version": 2, "width": 80, "height": 24}']
        + [json.dumps([n * 0.1, "o", x + "\r\n"]) for n, x in enumerate(ONE)],
        [RACE],
    ),
    "asciicast whole": (['{"version": 2}', json.dumps([0.5, "o", "\r\n".join(ONE) + "\r\n"])], [RACE]),
    "jupyter": (
        json.dumps(
            {
                "cells": [
                    {
                        "cell_type": "code",
                        "outputs": [{"name": "stderr", "output_type": "stream", "text": [x + "\n" for x in ONE]}],
                        "source": ["!./app"],
                    }
                ]
            },
            indent=1,
        ),
        [RACE],
    ),
    "ctest -j json 2": (
        [f"{k}: " + json.dumps({"log": x}) for n in range(len(ONE)) for k, x in ((3, ONE[n]), (12, OTHER[n]))],
        [RACE, OTHER_RACE],
    ),
    "bash -x": (["+ ./app"] + ONE + ["+ exit 66"], [RACE]),
    "CSV quoted": ([f'"{time_of(n)}","host","{x}"' for n, x in enumerate(ONE)], [RACE]),
    "lines with trailing blanks + dos eol": ([x + "  \r" for x in ONE], [RACE]),
    "clean summary words": (["0 ThreadSanitizer warnings", "all 66 tests passed", "[  PASSED  ] 66 tests."], []),
    "clean run": (["Running with ThreadSanitizer enabled", "-- Performing Test HAVE_TSAN", "100% tests passed"], []),
    "clean cmake": (["-- Enabling -fsanitize=thread", "export TSAN_OPTIONS=exitcode=66", "ok"], []),
}


@pytest.mark.parametrize("name", LOGS)
def test_logs_of_build_servers_test_runners_and_documents(name):
    lines, races = LOGS[name]
    log = parse_log(lines)
    assert Counter(map(identity, log.findings)) == Counter(races)
    assert log.missing == 0
    assert not any(finding.truncated for finding in log.findings)


@pytest.mark.parametrize("name", [name for name, (_, races) in LOGS.items() if races])
def test_no_part_of_such_a_log_that_names_the_sanitizer_is_clean(name):
    lines = LOGS[name][0]
    lines = lines.split("\n") if isinstance(lines, str) else lines
    for end in range(1, len(lines), 3):
        for part in (lines[:end], lines[end:]):
            log = parse_log(part)
            if any("ThreadSanitizer" in line for line in part):
                assert log.findings or log.missing, part
            for finding in log.findings:
                assert not (
                    ("bump" in finding.raw or "show" in finding.raw)
                    and ("tick" in finding.raw or "see s" in finding.raw)
                )
