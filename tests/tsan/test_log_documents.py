# ruff: noqa: ARG005 -- every record is made of the same row
"""JSON over several lines: each record belongs to its source, and what is not understood is never joined."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from python_tsan.tsan import documents
from python_tsan.tsan.digest import Digest
from python_tsan.tsan.fingerprint import identity
from python_tsan.tsan.parser import parse_log

TEXT = (Path(__file__).with_name("kinds") / "reference.log").read_text()
OTHER_TEXT = TEXT.replace("bump", "tick").replace("show", "see")
RACE = ("v1", "data race", "bump b.c", "show s.c")
OTHER_RACE = ("v1", "data race", "see s.c", "tick b.c")


def time_of(n):
    return f"2026-11-23T01:{n // 60:02}:{n % 60:02}Z"


def lines_of(sources, *, before=()):
    """Return rows of source, its number, line and number of the row; those of two sources alternate."""
    texts = [[*before, *text.splitlines()] for text in (TEXT, OTHER_TEXT)[:sources]]
    rows = [
        (name, place, line)
        for group in zip(*texts, strict=True)
        for place, (name, line) in enumerate(zip("ab", group, strict=False))
    ]
    return [(*row, n) for n, row in enumerate(rows)]


def each(record):
    """Write a document for each row."""
    return lambda rows: [record(*row) for row in rows]


def whole(record, around=lambda records: records):
    """Write one document of all rows."""
    return lambda rows: [around([record(*row) for row in rows])]


def by_source(document):
    """Write a document for each source."""
    return lambda rows: [
        document(name, [(line, n) for one, _, line, n in rows if one == name])
        for name in dict.fromkeys(row[0] for row in rows)
    ]


def attribute(key, value):
    return {"key": key, "value": {"stringValue": value}}


def otlp(name, lines):
    resource = {"attributes": [attribute("service.name", "web"), attribute("k8s.pod.name", f"web-{name}")]}
    records = [
        {
            "timeUnixNano": f"17{n:017}",
            "body": {"stringValue": line},
            "attributes": [attribute("log.iostream", "stderr")],
        }
        for line, n in lines
    ]
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "x"}, "logRecords": records}]}]}


DOCUMENTS = {
    "journal": each(
        lambda s, i, x, n: {
            "__CURSOR": f"s={n};i=5",
            "_PID": str(4711 + i),
            "MESSAGE": x,
            "_COMM": "app",
            "_SYSTEMD_UNIT": f"app@{s}.service",
        }
    ),
    "text first": each(lambda s, i, x, n: {"MESSAGE": x, "_PID": str(4711 + i), "__CURSOR": f"s={n}"}),
    "bytes": each(
        lambda s, i, x, n: {"_PID": str(4711 + i), "MESSAGE": list(f"{x}\u00e9".encode()) if "SUMM" in x else x}
    ),
    "docker": each(
        lambda s, i, x, n: {"log": f"{x}\n", "stream": "stderr", "time": time_of(n), "container_id": s * 12}
    ),
    "fluent bit": each(
        lambda s, i, x, n: {
            "date": n + 0.5,
            "_p": "F",
            "log": x,
            "kubernetes": {"pod_name": f"web-{s}", "labels": {"app": "web"}},
        }
    ),
    "google": whole(
        lambda s, i, x, n: {
            "insertId": f"x{n}z{n * 7}",
            "resource": {"labels": {"pod_name": f"web-{s}"}, "type": "k8s_container"},
            "textPayload": x,
            "timestamp": time_of(n),
        }
    ),
    "cloudwatch": whole(
        lambda s, i, x, n: {
            "logStreamName": f"web/{s}",
            "timestamp": n + 1764550800000,
            "message": x,
            "eventId": f"3{n:040}",
        },
        lambda found: {"events": found, "searchedLogStreams": []},
    ),
    "insights": whole(
        lambda s, i, x, n: [
            {"field": "@timestamp", "value": time_of(n)},
            {"field": "@logStream", "value": f"web/{s}"},
            {"field": "@message", "value": x},
            {"field": "@ptr", "value": f"Cl{n * 7919}"},
        ],
        lambda found: {"results": found, "status": "Complete"},
    ),
    "subscription": by_source(
        lambda s, lines: {
            "logEvents": [{"id": f"3{n:030}", "message": x, "timestamp": n + 1764550800000} for x, n in lines],
            "logGroup": "g",
            "logStream": f"web/{s}",
        }
    ),
    "opentelemetry": by_source(otlp),
    "opentelemetry by record": each(lambda s, i, x, n: otlp(s, [(x, n)])),
    "loki": by_source(
        lambda s, lines: {
            "data": {"result": [{"stream": {"pod": f"web-{s}"}, "values": [[f"1764{n:015}", x] for x, n in lines]}]}
        }
    ),
    "loki by record": whole(
        lambda s, i, x, n: {"stream": {"pod": f"web-{s}"}, "values": [[f"1764{n:015}", x]]},
        lambda found: {"data": {"result": found}},
    ),
    "elastic": whole(
        lambda s, i, x, n: {
            "_id": f"Ab{n}",
            "_source": {
                "message": x,
                "kubernetes": {"pod": {"name": f"web-{s}"}},
                "tags": ["a", "b"],
                "host": {"ip": ["10.0.0.1", "10.0.0.2"]},
            },
            "sort": [n + 1764550800000, n],
        },
        lambda found: {"took": 3, "hits": {"total": {"value": 9}, "hits": found}},
    ),
    "kibana": each(
        lambda s, i, x, n: {
            "_id": f"A{n}",
            "_source": {"message": x, "container": {"id": s * 12}},
            "sort": [n + 1764550800000],
        }
    ),
    "datadog": whole(
        lambda s, i, x, n: {
            "id": f"AwAA{n}",
            "attributes": {"tags": ["env:p", f"pod_name:web-{s}"], "message": x, "timestamp": time_of(n)},
        },
        lambda found: {"data": found, "meta": {"page": {"after": "x"}}},
    ),
    "splunk": whole(
        lambda s, i, x, n: {"_cd": f"1:{n}", "_raw": x, "host": f"h-{s}"},
        lambda found: {"preview": False, "results": found},
    ),
    "azure": whole(
        lambda s, i, x, n: [time_of(n), f"web-{s}12345", x],
        lambda found: {
            "tables": [
                {"columns": [{"name": "TimeGenerated"}, {"name": "PodName"}, {"name": "LogMessage"}], "rows": found}
            ]
        },
    ),
    "array": whole(lambda s, i, x, n: {"pod": s, "line": x}),
    "rows": whole(lambda s, i, x, n: [time_of(n), f"web-{s}", x]),
}
STYLES = {
    "two blanks": lambda document: json.dumps(document, indent=2),
    "four blanks": lambda document: json.dumps(document, indent=4, sort_keys=True),
    "tabs": lambda document: json.dumps(document, indent="\t", separators=(",", " : ")),
    "colours": lambda document: "\n".join(f"\x1b[1;39m{line}" for line in json.dumps(document, indent=2).splitlines()),
    "in a list": lambda document: json.dumps([document], indent=2),
    "line ends": lambda document: json.dumps(document, indent=2).replace("\n", "\r\n"),
    "commas": lambda document: json.dumps(document, indent=2) + ",",
    "behind times": lambda document: "\n".join(
        f"2026-11-23T01:02:{n % 60:02}.1234567Z {line}"
        for n, line in enumerate(json.dumps(document, indent=2).splitlines())
    ),
    "behind a name": lambda document: "\n".join(
        f"web-1  | {line}" for line in json.dumps(document, indent=2).splitlines()
    ),
    "one line": json.dumps,
}


@pytest.mark.parametrize("sources", [1, 2])
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("written", DOCUMENTS.values(), ids=DOCUMENTS)
def test_records_are_read_per_source(written, style, sources):
    log = parse_log("\n".join(map(style, written(lines_of(sources)))))
    assert Counter(map(identity, log.findings)) == Counter([RACE, OTHER_RACE][:sources])
    assert (log.unparsed, log.missing) == (0, 0), log.samples
    assert not any(finding.truncated for finding in log.findings)


@pytest.mark.parametrize("written", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_behind_two_prefixes_are_two_sources(written):
    texts = [
        json.dumps(written(lines_of(1)), indent=1),
        json.dumps(written(lines_of(1)), indent=1).replace("bump", "tick").replace("show", "see"),
    ]
    mixed = [
        f"{n}: {line}"
        for pair in zip(*(text.splitlines() for text in texts), strict=True)
        for n, line in enumerate(pair, 3)
    ]
    assert Counter(map(identity, parse_log(mixed).findings)) == Counter([RACE, OTHER_RACE])


def joins_two(finding):
    return ("bump" in finding.raw or "show" in finding.raw) and ("tick" in finding.raw or "see s.c" in finding.raw)


@pytest.mark.parametrize("written", DOCUMENTS.values(), ids=DOCUMENTS)
def test_cut_documents_are_never_clean_and_never_joined(written):
    lines = "\n".join(json.dumps(each, indent=2) for each in written(lines_of(2))).splitlines()
    chance = random.Random(1)  # noqa: S311 -- no secret
    for _ in range(20):
        start, end = sorted(chance.randrange(len(lines) + 1) for _ in range(2))
        part = lines[start:end]
        for _ in range(chance.choice([0, 0, 3])):
            part.insert(
                chance.randrange(len(part) + 1), chance.choice(["hello", "", "{", "}", "[", '  "x": {', '{"a": 1}'])
            )
        log = parse_log(part)
        assert not any(map(joins_two, log.findings)), "\n".join(part)
        assert log.findings or log.missing or not any("ThreadSanitizer" in line for line in part)


def test_a_finding_is_at_the_line_of_its_heading():
    text = json.dumps([{"pod": "a", "line": line} for line in ["hello"] * 5 + TEXT.splitlines()], indent=2)
    (finding,) = parse_log(text).findings
    heading = next(n for n, line in enumerate(text.splitlines(), 1) if "WARNING" in line)
    assert (finding.source.first_line, finding.source.last_line > heading) == (heading, True)


def test_a_document_that_is_cut_is_a_doubt_if_it_matters():
    def unread(text):
        digest = Digest()
        digest.read([text], "log")
        return digest.unread, sum(each.missing for each in digest.shortfalls), digest.blocks

    heading = json.dumps([{"pod": "a", "line": line} for line in TEXT.splitlines()[:2]], indent=2)
    assert unread(heading[: heading.index("100)") + 6]) == (
        ["log: the rest of a line that was cut is not in the log"],
        0,
        1,
    )
    assert unread('{\n  "line": "hello",\n  "pod": ') == ([], 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "int main() {\n    return 0;\n}\n",
        "{\n",
        "[\n",
        '{\n  "state": "done"\n}\n',
        'value: {\n  "a": [1,\n 2]\n}\nhello\n',
        "3: {\n12: hello\n",
        '"x": [\n{\n  "message": "it is up"\n}\n',
    ],
)
@pytest.mark.parametrize("where", [0, 5])
def test_other_brackets_are_lines_of_the_program(text, where):
    lines = TEXT.splitlines(keepends=True)
    log = parse_log("".join([*lines[:where], text, *lines[where:]]))
    assert [identity(finding) for finding in log.findings] == [RACE]
    assert log.missing == 0
    clean = parse_log(text)
    assert (clean.findings, clean.unparsed, clean.missing) == ((), 0, 0)
    assert clean.outside == len([line for line in text.splitlines() if line.strip()])


@pytest.mark.parametrize(
    "around",
    [
        lambda records: records,
        lambda records: {"took": 3, "hits": {"name": "x", "hits": records}},
        lambda records: otlp("a", [(record["line"], n) for n, record in enumerate(records)]),
        lambda records: {"values": [[str(n), record["line"]] for n, record in enumerate(records)]},
    ],
)
def test_memory_is_bounded(around, monkeypatch):
    monkeypatch.setattr(documents, "MAX_DOCUMENT", 1 << 14)
    monkeypatch.setattr(documents, "SAMPLE", 1 << 11)
    records = [{"pod": "a", "line": "hello"}] * 2000 + [{"pod": "a", "line": line} for line in TEXT.splitlines()]
    lines = json.dumps(around(records + records), indent=1).splitlines()
    digest = Digest()
    tracemalloc.start()
    digest.add(lines, "log")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [identity(group.finding) for group in digest.groups.values()] == [RACE]
    assert (digest.blocks, digest.unparsed, digest.shortfalls, digest.unread) == (2, 0, [], [])
    assert peak < 1 << 20


ENTRIES = {
    "journal": lambda s, i, x, n: [
        f"Mon 2026-11-23 01:02:{n:02}.123456 UTC [s=8f3a;i={n:x};b=9d;m=5;t=6;x=7]",
        *(f"    {field}" for field in ("PRIORITY=6", f"_PID={4711 + i}", "_HOSTNAME=h", f"MESSAGE={x}", "_COMM=app")),
    ],
    "google": lambda s, i, x, n: [
        *("---", f"insertId: 1k2x3c4v5b{n}", "resource:", "  labels:", f"    pod_name: web-{s}"),
        *(f"textPayload: '{x}'", f"timestamp: '{time_of(n)}'"),
    ],
    "named first": lambda s, i, x, n: ["-", f"  pod: web-{s}", f'  log: "{x}"', f"  time: {time_of(n)}"],
    "named last": lambda s, i, x, n: [f"  :message => '{x}',", f"  :pod => 'web-{s}',"],
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entries_that_are_no_json_are_read_if_one_source_is_named(entry):
    log = parse_log([line for row in lines_of(1, before=["up"]) for line in entry(*row)])
    assert [identity(finding) for finding in log.findings] == [RACE]
    assert log.missing == 0


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("size", [*range(9, 190, 9), None])
def test_entries_of_two_sources_are_never_joined(entry, size):
    lines = [line for row in lines_of(2, before=["up"]) for line in entry(*row)][:size]
    log = parse_log(lines)
    assert not any(map(joins_two, log.findings)), "\n".join(lines)
    assert log.findings or log.missing or not any("ThreadSanitizer" in line for line in lines)


def test_entries_of_two_processes_of_the_journal_are_two_sources():
    log = parse_log([line for row in lines_of(2) for line in ENTRIES["journal"](*row)])
    assert Counter(map(identity, log.findings)) == Counter([RACE, OTHER_RACE])


@pytest.mark.parametrize("before", ["{}: ", "[{}] ", "2026-11-23T01:02:03.1Z app[{}]: "])
def test_a_number_before_records_names_their_source(before):
    lines = [before.format(3 + 9 * i) + json.dumps({"log": x}) for _, i, x, _ in lines_of(2)]
    assert Counter(map(identity, parse_log(lines).findings)) == Counter([RACE, OTHER_RACE])
    counted = [before.format(n + 17) + json.dumps({"log": x}) for _, _, x, n in lines_of(1)]
    assert [identity(finding) for finding in parse_log(counted).findings] == [RACE]


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("export TSAN_OPTIONS=exitcode=66:halt_on_error=0", 0),
        ('"TSAN_OPTIONS": "halt_on_error=0 exitcode=66"', 0),
        ("Process completed with exit code 66.", 1),
        ("exitcode=66", 1),
    ],
)
def test_options_that_name_the_exit_code_are_no_report(line, missing):
    assert parse_log(["***** Running under ThreadSanitizer v3 (pid 1) *****", line]).missing == missing
