import msgspec
import pytest
from hook_agreement import LOCATIONS, WholeReport, disagreements
from msgspec.structs import replace
from run_logs import golden

from python_tsan.result.finding import PythonFrame
from python_tsan.running.companion import read_hook_output
from python_tsan.running.hook_crosscheck import KINDS, in_order, match_reports
from python_tsan.tsan.digest import Digest
from python_tsan.tsan.finding import Kind, Operation, ThreadStatus
from python_tsan.tsan.parser import parse_log

HOOK_LOCATIONS = {kind: word for word, kind in LOCATIONS.items()}


def first(name):
    return parse_log(golden(name), name).findings[0]


def hooked(finding, **changes):
    """Return what the hook would say of a finding, written as the companion writes it."""
    line = {
        "kind": next(word for word, kind in KINDS.items() if kind is finding.kind),
        "tid": 1,
        "accesses": [
            {
                "thread": each.thread,
                "address": hex(each.address),
                "size": each.size,
                "write": each.operation is Operation.WRITE,
                "atomic": each.atomic,
            }
            for each in finding.accesses
        ],
        "locations": [
            {
                "type": HOOK_LOCATIONS[each.kind],
                "start": hex(each.address or 0),
                "size": each.size or 0,
                "thread": -1,
                "descriptor": 0,
            }
            for each in finding.locations
        ],
        "mutexes": [{"id": each.id, "address": "0x1", "destroyed": False} for each in finding.mutexes],
        "threads": [
            {
                "id": each.id,
                "tid": each.tid,
                "running": each.status is ThreadStatus.RUNNING,
                "name": each.name,
                "parent": 0,
            }
            for each in finding.threads
        ]
        + [{"id": 0, "tid": 1, "running": True, "name": "", "parent": 0}],
        "python": [],
        "attached": False,
    }
    return msgspec.convert(line | changes, WholeReport)


@pytest.mark.parametrize("name", ["race_global", "race_heap", "race_atomic", "race_tls", "deadlock", "thread_leak"])
def test_a_block_and_its_report_agree(name):
    assert list(disagreements(first(name), hooked(first(name)))) == []


@pytest.mark.parametrize(
    ("change", "point"),
    [
        ({"kind": "thread-leak"}, "kind"),
        ({"accesses": []}, "accesses"),
        ({"locations": []}, "location"),
        ({"threads": []}, "threads"),
        ({"mutexes": [{"id": 99, "address": "0x1", "destroyed": False}]}, "mutexes"),
    ],
)
def test_each_point_in_which_they_differ_is_reported(change, point):
    (only,) = disagreements(first("race_heap"), hooked(first("race_heap"), **change))
    assert only.startswith(f"{point}: the parser read ")


def test_the_size_and_the_side_of_an_access_count():
    finding = first("race_global")
    access = finding.accesses[0]
    flipped = Operation.READ if access.operation is Operation.WRITE else Operation.WRITE
    for other in (replace(access, size=access.size + 1), replace(access, operation=flipped), replace(access, thread=9)):
        changed = replace(finding, accesses=(other, *finding.accesses[1:]))
        assert [text.partition(":")[0] for text in disagreements(finding, hooked(changed))] == ["accesses"]


def test_a_heap_block_agrees_by_start_and_size_too():
    finding = first("race_heap")
    moved = replace(finding.location, address=finding.location.address + 8)
    assert list(disagreements(replace(finding, locations=(moved, *finding.locations[1:])), hooked(finding)))


def test_every_kind_of_the_runtime_has_a_name():
    assert set(KINDS.values()) == {kind for kind in Kind if not kind.is_recorded} - {Kind.UNRECOGNISED}


def digest_of(*names):
    digest = Digest()
    digest.add([line for name in names for line in golden(name).splitlines()], "logs/tsan.7")
    return digest


FRAMES = (PythonFrame(function="outer", file="a.py", line=3),)


def test_python_frames_go_to_the_finding_in_the_same_place():
    digest = digest_of("race_atomic", "deadlock")
    race, deadlock = in_order(digest)["logs/tsan.7"]
    reports = (hooked(first("race_atomic")), hooked(first("deadlock"), python=FRAMES, attached=True))
    stacks, problems = match_reports(digest, [("logs/tsan.7", reports)])
    assert problems == ()
    assert race not in stacks
    assert [frame.function for frame in stacks[deadlock].frames] == ["outer"]
    assert stacks[deadlock].thread == "main thread"


def test_a_report_too_few_gives_no_stack_to_the_wrong_finding():
    digest = digest_of("race_atomic", "deadlock")
    stacks, (problem,) = match_reports(digest, [("logs/tsan.7", (hooked(first("race_atomic"), python=FRAMES),))])
    assert not stacks
    assert "2 findings read, 1 hook call" in problem


def test_another_kind_in_the_same_place_is_reported():
    reports = (hooked(first("deadlock"), python=FRAMES), hooked(first("deadlock")))
    stacks, (problem,) = match_reports(digest_of("race_atomic", "deadlock"), [("logs/tsan.7", reports)])
    assert not stacks
    assert "a data race was read where the report hook reports lock-order-inversion" in problem


def test_what_companions_wrote_is_read_and_a_cut_line_left_out(tmp_path):
    whole = msgspec.json.encode(hooked(first("race_atomic")))
    (tmp_path / "reports.7.jsonl").write_bytes(whole + b"\n" + whole + b"\n" + whole[:50])
    (tmp_path / "objects.7.jsonl").write_text('{"pid":7,"hook":"patched","objects":["/p","/l.so"]}\n{"pid"')
    read = read_hook_output(tmp_path)
    assert [len(reports) for reports in read.reports.values()] == [2]
    assert read.processes[0].objects == ("/p", "/l.so")
    assert read.unread == ()
    assert read_hook_output(tmp_path / "nothing").processes == ()


@pytest.mark.parametrize("middle", [b"{", b"\xff", b'{"pid":"x"}'])
def test_a_damaged_line_of_a_companion_is_named_with_its_file(tmp_path, middle):
    whole = b'{"pid":7,"hook":"patched","objects":["/p"]}\n'
    (tmp_path / "objects.7.jsonl").write_bytes(whole + middle + b"\n" + whole)
    read = read_hook_output(tmp_path)
    assert (len(read.processes), read.unread) == (2, ("objects.7.jsonl",))
