"""Each kind of lock is held by a thread, or is a signal, and waits with or without a thread state."""

from python_tsan.locks import trace
from python_tsan.locks.model import GilSight, LockKind


def test_a_kind_is_no_attachment_and_signal_at_once():
    for kind in LockKind:
        assert [kind.is_attachment, kind.is_signal, kind.detaches].count(True) <= 1, kind


def test_the_gil_and_an_attached_thread_state_are_attachments():
    assert {kind for kind in LockKind if kind.is_attachment} == {LockKind.GIL, LockKind.ATTACHED}


def test_cpython_detaches_for_its_own_locks_alone():
    detaching = {kind for kind in LockKind if kind.detaches}
    assert detaching == {LockKind.MODULE, LockKind.IMPORT, LockKind.PYTHON, LockKind.PYMUTEX}


def test_nobody_holds_a_signal():
    signals = {LockKind.CONDITION, LockKind.FUTEX, LockKind.SEMAPHORE, LockKind.BARRIER}
    assert {kind for kind in LockKind if kind.is_signal} == signals


def test_the_key_of_an_attached_thread_state_says_that_it_is_one():
    gil = trace.KINDS.index(LockKind.GIL)
    assert trace._kind(gil, 5 << 60 | 7) is LockKind.ATTACHED
    assert trace._kind(gil, 0x7F0000001000) is LockKind.GIL
    assert trace._kind(len(trace.KINDS), 0x7F0000001000) is LockKind.MUTEX


def test_a_free_threaded_python_has_no_gil_to_recognise():
    sees = trace._SEES_PYTHON
    assert trace._sight(sees | trace._FREE_THREADED) is GilSight.FREE_THREADED
    assert trace._sight(sees) is GilSight.NOT_RECOGNISED
    assert trace._sight(sees | trace._KNOWS_GIL) is GilSight.RECOGNISED
