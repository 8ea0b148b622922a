"""Each kind of lock is held by a thread, or is a signal, and waits with or without a thread state."""

from python_tsan.locks.model import LockKind


def test_a_kind_is_no_attachment_and_signal_at_once():
    for kind in LockKind:
        assert [kind.is_attachment, kind.is_signal, kind.detaches].count(True) <= 1, kind


def test_the_gil_and_an_attached_thread_state_are_attachments():
    assert {kind for kind in LockKind if kind.is_attachment} == {LockKind.GIL, LockKind.ATTACHED}


def test_cpython_detaches_for_its_own_locks_alone():
    detaching = {kind for kind in LockKind if kind.detaches}
    assert detaching == {LockKind.MODULE, LockKind.IMPORT, LockKind.PYTHON, LockKind.PYMUTEX}


def test_nobody_holds_a_signal():
    assert {kind for kind in LockKind if kind.is_signal} == {LockKind.CONDITION, LockKind.FUTEX, LockKind.SEMAPHORE}
