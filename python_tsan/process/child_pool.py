"""Run work on several threads that wait for child processes: when it is interrupted, no child outlives it.

Ctrl-C reaches the main thread alone, while it waits for others whose children may have minutes left. So the pool tracks
every child that is started on one of its threads, and ends them all together.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Self, TypeVar

from python_tsan.process.group import end_group, end_groups
from python_tsan.process.interrupts import hold_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from types import TracebackType

Item = TypeVar("Item")
Result = TypeVar("Result")

_here = threading.local()
# CPython notices a signal between two instructions: one that comes just before a wait for a lock begins would be
# noticed when that wait ends. So no wait of the main thread is longer.
_SIGNAL_SECONDS = 0.5


def in_parallel(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    jobs: int,
    on_result: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Do ``work`` for each item on ``jobs`` threads and return the results, in the order of the items.

    ``on_result`` is called on this thread with each result as it comes. When this thread is interrupted, every child
    that still runs is ended and no other work starts; ``on_result`` has been called once with every result that exists
    by then, and the ``KeyboardInterrupt`` is raised. When ``work`` raises, all is ended too.
    """
    futures: list[Future[Result]] = []
    done: set[Future[Result]] = set()

    def report(future: Future[Result]) -> None:
        result = future.result()
        with hold_interrupts():  # so that each is reported once
            if future not in done:
                done.add(future)
                on_result(result)

    try:
        with ChildPool(jobs) as pool:
            futures.extend(pool.submit(work, item) for item in items)
            for future in in_order_of_end(futures):
                report(future)
    except KeyboardInterrupt:
        with hold_interrupts():
            for future in futures:
                if future.done() and not future.cancelled() and future.exception() is None:
                    report(future)
        raise
    return [future.result() for future in futures]


def in_order_of_end(futures: Sequence[Future[Result]]) -> Iterator[Future[Result]]:
    """Yield each future when it is done, those that are done at once in their order. Interrupts are noticed."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_SIGNAL_SECONDS, return_when=FIRST_COMPLETED)
        yield from (future for future in futures if future in done)


class ChildPool:
    """Threads whose children are ended with them. Use it as a context; left by an exception, it does not wait."""

    def __init__(self, jobs: int) -> None:
        self._pool = ThreadPoolExecutor(
            max_workers=max(jobs, 1), thread_name_prefix="child-pool", initializer=_join, initargs=(self,)
        )
        self._lock = threading.Lock()
        self._children: set[int] = set()
        self._stopped = False

    def submit(self, work: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Let the next free thread do ``work`` for ``item``."""
        return self._pool.submit(work, item)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._pool.shutdown(wait=True)
        finally:
            self.stop()

    def stop(self) -> None:
        """End every child that still runs, start no more, and wait for the threads; may be called again."""
        with self._lock:
            self._stopped = True
            children = tuple(self._children)
        self._pool.shutdown(wait=False, cancel_futures=True)
        try:
            end_groups(children)
        finally:
            self._pool.shutdown(wait=True)

    def raise_if_cancelled(self) -> None:
        """Raise ``KeyboardInterrupt`` once the pool is stopped: the output of a child that was ended is no result."""
        if self._stopped:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def track(self, child: int) -> Iterator[None]:
        """End a child, the leader of a process group, with the pool while the context lasts."""
        with self._lock:
            self._children.add(child)
            stopped = self._stopped
        if stopped:
            end_group(child)
        try:
            yield
        finally:
            with self._lock:
                self._children.discard(child)


def _join(pool: ChildPool) -> None:
    _here.pool = pool


def current_pool() -> ChildPool | None:
    """Return the pool that this thread belongs to, None for any other thread."""
    return getattr(_here, "pool", None)
