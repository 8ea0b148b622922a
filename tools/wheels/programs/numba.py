"""Call a compiled function that releases the GIL."""

import numba


@numba.njit(nogil=True)
def total(count):
    result = 0
    for number in range(count):
        result += number
    return result


total(1)


def work():
    assert total(100_000) == sum(range(100_000))
