"""Greenlets on a hub of its own."""

import gevent


def sleep(number):
    gevent.sleep(0)
    return number


def work():
    jobs = [gevent.spawn(sleep, number) for number in range(50)]
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == list(range(50))
