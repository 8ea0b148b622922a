from __future__ import annotations

from pathlib import Path

import pytest
from report_samples import OF_THE_RUNTIME

from python_tsan.tsan.finding import FatalKind, Kind, LocationKind
from python_tsan.tsan.fingerprint import fingerprint, identity
from python_tsan.tsan.frames import frame_function
from python_tsan.tsan.parser import parse_log
from python_tsan.tsan.suppressions import parse_matches

GOLDEN = Path(__file__).parent / "golden"
TOOLCHAINS = ("clang-19", "gcc-12")
ALL_LOGS = sorted(GOLDEN.glob("*/*.log"))
# What a program shows: kind and the number of blocks. Two for race_heap: begin and end of one vector.
KINDS = {
    "race_global": (Kind.RACE, 1),
    "race_heap": (Kind.RACE, 2),
    "race_atomic": (Kind.RACE, 1),
    "race_tls": (Kind.RACE, 2),
    "race_descriptor": (Kind.RACE, 1),
    "race_sleep": (Kind.RACE, 1),
    "race_interleaved": (Kind.RACE, 1),
    "vptr_race": (Kind.VPTR_RACE, 1),
    "use_after_free": (Kind.USE_AFTER_FREE, 1),
    "external_race": (Kind.EXTERNAL_RACE, 1),
    "thread_leak": (Kind.THREAD_LEAK, 1),
    "mutex_destroy_locked": (Kind.MUTEX_DESTROY_LOCKED, 1),
    "mutex_double_lock": (Kind.MUTEX_DOUBLE_LOCK, 1),
    "mutex_bad_unlock": (Kind.MUTEX_BAD_UNLOCK, 1),
    "mutex_bad_read_lock": (Kind.MUTEX_BAD_READ_LOCK, 1),
    "mutex_bad_read_unlock": (Kind.MUTEX_BAD_READ_UNLOCK, 1),
    "signal_unsafe": (Kind.SIGNAL_UNSAFE, 1),
    "errno_in_signal": (Kind.ERRNO_IN_SIGNAL, 1),
    "deadlock": (Kind.DEADLOCK, 1),
    "deadlock_plain": (Kind.DEADLOCK, 1),
    "deadlock_colour": (Kind.DEADLOCK, 1),
}


def findings(toolchain, name):
    path = GOLDEN / toolchain / f"{name}.log"
    return parse_log(path.read_text(), path.name).findings


def only(toolchain, name):
    (finding,) = findings(toolchain, name)
    return finding


each_toolchain = pytest.mark.parametrize("toolchain", TOOLCHAINS)


@pytest.mark.parametrize("path", ALL_LOGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_line_of_a_golden_log_is_understood(path):
    log = parse_log(path.read_text(), path.name)
    assert log.unparsed == 0, log.samples
    for finding in log.findings:
        assert finding.kind is not Kind.UNRECOGNISED
        assert not finding.truncated
        assert finding.summary.startswith(finding.title)
        assert finding.raw.splitlines()[0].replace("\x1b[1m\x1b[31m", "").startswith("WARNING: ThreadSanitizer: ")


@each_toolchain
@pytest.mark.parametrize("name", KINDS)
def test_kind_and_number(toolchain, name):
    kind, count = KINDS[name]
    assert [finding.kind for finding in findings(toolchain, name)] == [kind] * count


@each_toolchain
def test_a_destroyed_mutex_is_reported_once_per_use(toolchain):
    kinds = [finding.kind for finding in findings(toolchain, "mutex_invalid_access")]
    assert kinds == [Kind.MUTEX_INVALID_ACCESS, Kind.MUTEX_BAD_UNLOCK, Kind.MUTEX_INVALID_ACCESS]


def test_the_page_on_reading_names_every_kind():
    page = (Path(__file__).parents[2] / "docs" / "reading-a-finding.md").read_text()
    short = {kind: kind.value.partition(" (e.g.")[0].partition(" (or by")[0] for kind in Kind}
    short[Kind.MUTEX_BAD_READ_LOCK] = short[Kind.MUTEX_BAD_READ_UNLOCK] = (
        "read lock / read unlock of a write locked mutex"
    )
    del short[Kind.UNRECOGNISED]
    assert [name for name in short.values() if f"| {name} |" not in page] == []


def test_every_kind_has_a_golden_log():
    seen = {finding.kind for path in ALL_LOGS for finding in parse_log(path.read_text()).findings}
    assert seen == OF_THE_RUNTIME


@each_toolchain
def test_global_race_in_full(toolchain):
    finding = only(toolchain, "race_global")
    first, second = finding.accesses
    assert (first.side, first.size, first.thread, first.previous, first.mutexes) == ("read", 8, 2, False, ())
    assert (second.side, second.size, second.thread, second.previous) == ("write", 8, 1, True)
    (held,) = second.mutexes
    assert held.write
    assert held.id == finding.mutexes[0].id
    assert "careless" in frame_function(first)
    assert "careful" in frame_function(second)
    assert first.stack.frames[0].file == "/src/golden/race_global.cpp"
    assert first.stack.frames[0].line == 25
    assert finding.location.kind is LocationKind.GLOBAL
    assert "g_total" in finding.location.name
    assert (finding.location.size, finding.location.address) == (8, first.address)
    assert [(thread.id, thread.name, thread.parent_main) for thread in finding.threads] == [
        (2, "careless", True),
        (1, "careful one", True),
    ]
    assert finding.threads[0].stack.frames[0].symbol == "pthread_create"


@each_toolchain
def test_heap_location_has_allocator_and_stack(toolchain):
    finding = findings(toolchain, "race_heap")[0]
    assert finding.location.kind is LocationKind.HEAP
    assert finding.location.main_thread
    assert finding.location.stack.frames[0].symbol.startswith("operator new(unsigned long)")
    assert any(frame.symbol.startswith("Ledger<unsigned long>::operator()") for frame in finding.location.stack.frames)


@each_toolchain
def test_atomic_side_and_stack_location(toolchain):
    finding = only(toolchain, "race_atomic")
    assert [access.side for access in finding.accesses] == ["read", "atomic write"]
    assert [location.kind for location in finding.locations] == [LocationKind.STACK, LocationKind.GLOBAL]
    assert finding.location.main_thread
    assert finding.locations[1].name == ""


@each_toolchain
def test_thread_local_and_descriptor_locations(toolchain):
    places = {finding.location.kind for finding in findings(toolchain, "race_tls")}
    assert places == {LocationKind.GLOBAL, LocationKind.TLS}
    location = only(toolchain, "race_descriptor").location
    assert location.kind is LocationKind.FILE_DESCRIPTOR
    assert location.descriptor > 2
    assert location.stack.frames


@each_toolchain
def test_sleep_stack(toolchain):
    finding = only(toolchain, "race_sleep")
    assert [frame.symbol for frame in finding.sleep.frames][:2] == ["usleep", "wait_a_little()"]


def test_unrestored_stack():
    finding = only("gcc-12", "race_unrestored")
    assert [access.stack.restored for access in finding.accesses] == [True, False]
    assert finding.accesses[1].stack.frames == ()


@each_toolchain
def test_external_race_names_the_object(toolchain):
    finding = only(toolchain, "external_race")
    assert finding.title == "race on Python list"
    assert [access.object_type for access in finding.accesses] == ["Python list"] * 2
    assert [access.side for access in finding.accesses] == ["read", "write"]


@each_toolchain
def test_thread_leak_counts(toolchain):
    finding = only(toolchain, "thread_leak")
    assert finding.leaked_threads == 3
    assert finding.threads[0].status.value == "finished"


@each_toolchain
def test_deadlock_cycle_and_both_stacks(toolchain):
    finding = only(toolchain, "deadlock")
    assert len(finding.cycle) == 3
    edges = [(edge.holding, edge.mutex) for edge in finding.acquisitions]
    assert edges == list(zip(finding.cycle, finding.cycle[1:] + finding.cycle[:1], strict=True))
    assert [edge.main_thread for edge in finding.acquisitions] == [False, False, True]
    assert all(edge.stack.frames and edge.holding_stack.frames for edge in finding.acquisitions)


@each_toolchain
def test_deadlock_without_second_stacks_says_so(toolchain):
    finding = only(toolchain, "deadlock_plain")
    assert all(edge.holding_stack is None for edge in finding.acquisitions)
    assert "second_deadlock_stack=1" in finding.notes[0]


@each_toolchain
def test_signal_number_and_caption(toolchain):
    finding = only(toolchain, "errno_in_signal")
    printed = toolchain.startswith("clang")  # GCC 12's printer does not say which signal
    assert finding.signal == (27 if printed else None)
    assert finding.stacks[0].caption == ("Signal 27 handler invoked at:" if printed else "")
    assert finding.stacks[0].frames[0].symbol.startswith("handler(")


@each_toolchain
def test_crash_is_no_finding(toolchain):
    log = parse_log((GOLDEN / toolchain / "segv.log").read_text())
    (fatal,) = log.fatal
    assert log.findings == ()
    assert fatal.kind is FatalKind.SIGNAL
    assert "SEGV on unknown address 0x000000000008" in fatal.message
    assert fatal.pid
    assert fatal.stack.frames[0].symbol == "main"


@each_toolchain
def test_matched_suppressions_are_counted(toolchain):
    (match,) = parse_matches((GOLDEN / toolchain / "suppressed.log").read_text().splitlines())
    assert (match.hits, match.suppression) == (1, "race:known_writer")
    assert findings(toolchain, "suppressed") == ()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_both_compilers_give_one_fingerprint(name):
    ours, theirs = ({identity(finding) for finding in findings(toolchain, name)} for toolchain in TOOLCHAINS)
    assert ours == theirs


@each_toolchain
def test_different_programs_have_different_fingerprints(toolchain):
    seen: dict[str, str] = {}
    for name in KINDS:
        program = name.removesuffix("_plain").removesuffix("_colour")
        for finding in findings(toolchain, name):
            assert seen.setdefault(fingerprint(finding), program) == program


@each_toolchain
def test_one_vector_is_one_fingerprint(toolchain):
    assert len({fingerprint(finding) for finding in findings(toolchain, "race_heap")}) == 1


@each_toolchain
def test_options_of_the_runtime_do_not_change_a_fingerprint(toolchain):
    names = ("deadlock", "deadlock_plain", "deadlock_colour")
    assert len({fingerprint(only(toolchain, name)) for name in names}) == 1
