"""Build logs of several sources: blocks of golden logs, prefixed and mixed as collectors do."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import strategies as st
from tsan_printer import print_finding

from python_tsan.tsan.parser import parse_log

GOLDEN = Path(__file__).with_name("golden")
GO_TEXT = """WARNING: DATA RACE
Read at 0x00c0000b4010 by goroutine 7:
  main.main.func1()
      /src/main.go:11 +0x44

Previous write at 0x00c0000b4010 by main goroutine:
  main.main()
      /src/main.go:14 +0x9b

Goroutine 7 (running) created at:
  main.main()
      /src/main.go:10 +0x7a
"""
POOL = [
    print_finding(finding)
    for log in (*(path.read_text() for path in sorted(GOLDEN.glob("*/*.log"))), GO_TEXT)
    for finding in parse_log(log).findings
    if not finding.unparsed
]
MODULE = re.compile(r"\((?:[^()]|\([^()]*\))*\+0x")
# Hypothesis picks the seed, and shows it when a test fails.
CHANCE = st.randoms(use_true_random=True)


def clock(number):
    return f"{number // 60 % 24:02}:{number % 60:02}:{number * 7 % 60:02}"


# A prefix by source and line number. Within each form, only the source's name differs between two sources.
PREFIXES = [
    lambda name, _: f"{name}: ",
    lambda name, _: f"[{name}] ",
    lambda name, _: f"[rank {name}] ",
    lambda name, _: f"[1,{name}]<stderr>:",
    lambda name, _: f"web-{name}  | ",
    lambda name, _: f"[pod/web-{name}/app] ",
    lambda name, n: f"2026-11-23T{clock(n)}.{n:06}Z [{name}] ",
    lambda name, n: f"2026-11-23T{clock(n)}.{n:09}Z stderr F w{name} ",
    lambda name, n: f"Nov 23 {clock(n)} host app[{name}]: ",
    lambda name, n: f"[node-{name}] [{1764550800 + n}.{n:09}] ",
    lambda name, n: f"#{name} {n}.{n % 1000:03} ",
    lambda name, n: f"[{n:5}.{n:06}] cpu{name}: ",
]
RECORDS = [
    lambda name, n, line: json.dumps({"log": line + "\n", "container": name, "time": f"2026-01-02T{clock(n)}Z"}),
    lambda name, n, line: json.dumps({"_PID": str(name), "__CURSOR": f"s=1;i={n}", "MESSAGE": list(line.encode())}),
    lambda name, n, line: json.dumps({"msg": line, "pid": name, "ts": n}),
    lambda name, n, line: json.dumps({"_id": f"x{name * 7919 + n}", "message": line, "pod": f"w-{name}"}),
]


def time_of(n):
    return f"2026-11-23T{clock(n)}.{n:09}Z"


def docker(name, n, text, end):
    record = {"log": text + ("\n" if end else ""), "stream": "stderr", "container": str(name), "time": time_of(n)}
    return json.dumps(record, separators=(",", ":"))


def fluentd(name, n, text, end):
    record = {"container_name": f"c{name}", "log": text, "partial_message": "true", "partial_id": f"{n:x}"}
    return json.dumps(record | {"partial_ordinal": str(n % 3), "partial_last": str(end).lower()})


# How log drivers write a part of a line, by its source and number; the last one is the end of its line.
DRIVERS = [
    lambda name, n, text, end: f"/pods/{name}.log:{n}:{time_of(n)} stderr {'F' if end else 'P'} {text}",
    lambda name, n, text, end: f"{time_of(n)} {['stdout', 'stderr'][name % 2]} {'F' if end else 'P:x'} {text}",
    docker,
    fluentd,
    lambda name, _, text, end: json.dumps({"logtag": "F" if end else "P", "pod": f"w{name}", "log": text}),
    lambda name, _, text, end: json.dumps(
        {"_PID": str(name), "MESSAGE": text} | ({} if end else {"_LINE_BREAK": "line-max"})
    ),
    lambda name, _, text, end: json.dumps(
        {"CONTAINER_ID": str(name), "MESSAGE": text} | ({} if end else {"CONTAINER_PARTIAL_MESSAGE": "true"})
    ),
]


def parts_of(driver, name, line, sizes, start=0):
    """Return what a log driver makes of a line whose parts have these sizes, the last one for the rest."""
    parts = []
    for size in sizes:
        parts.append(line[:size])
        line = line[size:]
    return [driver(name, start + n, part, end=False) for n, part in enumerate(parts)] + [
        driver(name, start + len(parts), line, end=True)
    ]


def driven(chance, lines, names):
    """Let a log driver write the lines of each source, some of them in parts."""
    driver = chance.choice(DRIVERS)
    sizes = [[], [], [5], [9, 12], [0], [60]]
    written = []
    for name, each in zip(names, lines, strict=True):
        parts = []
        for line in each:
            parts += parts_of(driver, name, line, chance.choice(sizes), len(parts))
        written.append(parts)
    return written


def marked(lines, name):
    """Return a block whose every frame and memory are in a module, or file, of its source."""
    return [MODULE.sub(f"(m{name}+0x", line).replace("/src/main.go", f"/src/m{name}.go") for line in lines]


def sources_of(finding):
    stacks = [part.stack for part in (*finding.accesses, *finding.acquisitions, *finding.threads, *finding.mutexes)]
    stacks += [part.holding_stack for part in finding.acquisitions]
    stacks += [*finding.stacks, finding.sleep, *(place.stack for place in finding.locations)]
    frames = [frame for stack in stacks if stack for frame in stack.frames]
    modules = {frame.module for frame in frames if frame.module} | {each.module for each in finding.locations}
    files = {found[1] for frame in frames if (found := re.match(r"/src/(m\d+)\.go", frame.file))}
    return {each for each in modules | files if each}


def any_prefix(chance):
    """Return a prefix of any letters that ends as a collector's does."""
    letters = "".join(chance.choices("abcXYZ0189 _-./:|#@<>[](){}=+*", k=chance.randint(1, 12))).strip() or "x"
    end = chance.choice([": ", " | ", "] ", "> ", "\t"])
    return lambda name, _: f"{letters}{name}{end}"


def wrap(chance, lines, names):
    """Put a collector's prefix, or record, around the lines of each source."""
    if chance.random() < 0.2:
        record = chance.choice(RECORDS)
        return [[record(name, n, line) for n, line in enumerate(each)] for name, each in zip(names, lines, strict=True)]
    if chance.random() < 0.25 and (len(names) == 2 and sum(names) % 2):  # two of these drivers' streams
        return driven(chance, lines, names)
    form = chance.choice(PREFIXES)
    forms = [form if chance.random() < 0.7 else chance.choice([*PREFIXES, any_prefix(chance)]) for _ in names]
    if chance.random() < 0.3:
        forms[0] = lambda *_: ""
    start = chance.randrange(10_000)
    return [
        [
            (form(name, start + n) + line).rstrip() if trims else form(name, start + n) + line
            for n, line in enumerate(each)
        ]
        for form, name, each in zip(forms, names, lines, strict=True)
        for trims in [chance.random() < 0.3]
    ]


def interleave(chance, sources):
    mixed = []
    step = chance.choice([1, 1, 3, 10])
    left = [list(each) for each in sources]
    while any(left):
        source = chance.choice([each for each in left if each])
        taken = chance.randint(1, step)
        mixed += source[:taken]
        del source[:taken]
    return mixed


def build(chance):
    names = chance.sample(range(1, 100), chance.randint(2, 5))
    sources = []
    for name in names:
        blocks = [marked(chance.choice(POOL), name) for _ in range(chance.randint(1, 2))]
        lines = [line for block in blocks for line in ["hello", *block]]
        sources.append([*lines, f"ThreadSanitizer: reported {len(blocks)} warnings"])
    return names, sources


FENCE = "=" * 18
HEADING = "WARNING: ThreadSanitizer: data race (pid=7)"
SUMMARY = "SUMMARY: ThreadSanitizer: data race /src/a.cpp:3:5 in f(int)"
BLOCK = [
    FENCE,
    HEADING,
    "  Write of size 8 at 0x7b04 by thread T1:",
    "    #0 f(int) /src/a.cpp:3:5 (a+0x10)",
    "",
    "  Previous read of size 8 at 0x7b04 by main thread:",
    "    #0 g(int) /src/a.cpp:9:5 (a+0x20)",
    "",
    SUMMARY,
    FENCE,
]
GO = next(block for block in POOL if "DATA RACE" in block[1])
ODD = [
    "hello",
    "",
    "   ",
    "request 17 served in 9 us",
    "done 10%    #0 late /src/late.cpp:1:2 (a+0x30)",
    "done 10%  Previous write of size 8 at 0x1 by thread T1:",
    "==4711==ABORTING",
    FENCE,
    f"> {FENCE}",
    HEADING,
    "WARNING: DATA RACE",
    "WARNING: DEADLOCK",
    SUMMARY,
    f"noise {SUMMARY}",
    "ThreadSanitizer: reported 1 warnings",
    "ThreadSanitizer: reported 3 warnings",
    "ThreadSanitizer: reported 0 warnings",
    "Found 2 data race(s)",
    "testing.go:1152: race detected during execution of test",
    "ThreadSanitizer ate my homework",
    "FATAL: ThreadSanitizer: unexpected memory mapping",
    "ThreadSanitizer:DEADLYSIGNAL",
    "==4711==ERROR: ThreadSanitizer: SEGV on unknown address",
    "==4711== Helgrind, a thread error detector",
    "/a.c:4:2: runtime error: overflow",
    '{"log": "WARNING: ThreadSanitizer: data race (pid=1)\\n", "container": "a"}',
    '{"MESSAGE": "hello", "_PID": "7"}',
    "\x1b[1mWARNING: ThreadSanitizer: data race (pid=1)\x1b[0m",
    "WARNING: ThreadSanitizer: race on Python list {x} (pid=4)",
    "WARNING: ThreadSanitizer: data race",
    "12: ",
    "progress\rWARNING: ThreadSanitizer: data race (pid=1)",
    "    #3 <null> <null> (0x7f3c5a2b1c40)",
    "    #3 0x7f3c5a2b1c40 in f(int) /src/a.cpp:3:5 (a+0x10)",
    "    #8 0.245 of a build (0x12)",
    "  Location is global 'f(Foo, T1)::x' of size 8 at 0x7b04 (a+0x30)",
    "  Location is global 'f(Foo, T2)::x' of size 8 at 0x7b08 (a+0x30)",
    "  Thread T1 'a (tid=1, running) created by main thread at:' (tid=2, running) created by main thread at:",
    "  Write of size 8 at  by thread T1:",
    "  Write of size 8 at 0x by thread T1:",
    "foo()",
    "<li>x",
    "X\bXX",
    "\u200bWARNING: ThreadSanitizer: data race (pid=1)",
    "    #0 f(int) /src/a.cpp:3:5 (a+0x10)\0",
    "WARNING: ThreadSanitizer: data race (pid=1)</td>",
    "/src/main.go:11 +0x44",
    '{"log":"WARNING: Thread","stream":"stderr"}',
    '{"log":"it is up\\n","stream":"stderr"}',
    "2026-11-23T01:02:03.000000004Z stderr P WARNING: Thread",
    "2026-11-23T01:02:03.000000004Z stderr F Sanitizer: data race (pid=1)",
    "2026-11-23T01:02:03.000000004Z 01E+Sanitizer: data race (pid=1)",
    "__CURSOR=s=1;i=2",
    "MESSAGE=WARNING: ThreadSanitizer: data race (pid=1)",
]
NUMBER = re.compile(r"(?<!\+)0x[0-9a-f]+|(?<= T)\d+|(?<= M)\d+|(?<=[tp]id=)\d+|(?<=goroutine )\d+")


def again(chance, lines):
    """Print a block again, with other addresses, threads and pids."""

    def other(found):
        return hex(chance.randrange(1 << 40)) if "x" in found[0] else str(chance.randrange(99))

    return [NUMBER.sub(other, each) for each in lines]


def spoil(chance, lines):
    """Drop, double, glue and insert a few lines."""
    lines = list(lines)
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        where = chance.randrange(len(lines) + 1)
        match chance.randrange(6):
            case 0 | 1 | 2:
                lines.insert(where, chance.choice(ODD))
            case 3 if lines:
                del lines[where - 1]
            case 4 if lines:
                lines[where - 1] += chance.choice(ODD)
            case _:
                lines = lines[:where]
    return lines


DRESSES = [
    lambda line, _: line,
    lambda line, _: line,
    lambda line, _: line,
    lambda line, n: f"2026-11-23T01:{n // 60 % 60:02}:{n % 60:02}.{n:07}Z {line}",
    lambda line, n: f"2026-11-23T01:{n // 60 % 60:02}:{n % 60:02}Z {line}".rstrip(),
    lambda line, n: f"[{n:>5}.{n:06}] {line}",
    lambda line, n: f"{1764550800 + n} {line}",
    lambda line, n: f"{n * 99_999_999} {line}",
    lambda line, n: f"{n}: {line}",
    lambda line, _: f"3: {line}",
    lambda line, _: f"> {line}",
    lambda line, _: f"<log> {line}",
    lambda line, _: f"web-1  | {line}",
    lambda line, n: f"1a2b3c4d-{n * 7919:06} {line}",
    lambda line, n: f"test.log{':' if 'WARN' in line else '-'}{n}{':' if 'WARN' in line else '-'}{line}",
    lambda line, _: f'"{line}"',
    lambda line, _: f"<li>{line}",
    lambda line, _: line + "\r",
    lambda line, _: f"\x1b[31m{line}\x1b[0m",
    lambda line, _: line.strip(),
    lambda line, _: line.replace("<", "&lt;"),
    *(
        lambda line, n, driver=driver: "\n".join(parts_of(driver, n % 2, line, [[], [7], [4, n % 40]][n % 3], n))
        for driver in DRIVERS
    ),
    lambda line, n: (
        f"{time_of(n)} 01E {line[:9]}\n{time_of(n)} 01E+{line[9:]}" if n % 3 else f"{time_of(n)} 01E {line}"
    ),
    lambda line, n: f"{time_of(n)} stdout P {line}" if n % 5 else f"{time_of(n)} {line}",
]


def segment(chance, blocks):
    lines = []
    for _ in range(chance.randint(1, 4)):
        block = chance.choice(blocks)
        for _ in range(chance.randint(1, 4)):
            lines += spoil(chance, again(chance, block)) if chance.random() < 0.5 else again(chance, block)
            lines += chance.choices(ODD, k=chance.choice([0, 0, 0, 1, 3]))
    dress = chance.choice(DRESSES)
    return [dress(line, number) for number, line in enumerate(lines, chance.randrange(100))]


def mixed(chance):
    names, sources = build(chance)
    return interleave(chance, wrap(chance, [again(chance, each) for each in sources], names))


def state(digest):
    """Return all that a digest shows to others."""
    groups = [
        (key, each.finding, list(each.variants.items()), each.occurrences, list(each.sources()))
        for key, each in digest.groups.items()
    ]
    counts = (digest.blocks, digest.unparsed, digest.outside, digest.notices)
    return groups, digest.fatal, counts, digest.samples, digest.shortfalls, list(digest.other_tools), digest.unread
