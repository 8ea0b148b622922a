"""The search against definitions that are written down without cleverness."""

import random
from collections import Counter
from itertools import combinations, permutations

from hypothesis import given
from hypothesis import strategies as st
from lock_samples import Recorded

from python_tsan.components import component_of
from python_tsan.locks.cycles import find_cycles

LOCKS = ("a", "b", "c", "rw", "rw.r")
GRAPHS = st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 7)), max_size=8)
REQUESTS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.sampled_from(LOCKS), unique=True, max_size=2), st.sampled_from(LOCKS)),
    max_size=7,
)
ORDERS = st.sets(st.sampled_from([(0, 1), (1, 2), (2, 3), (0, 3)]))


def reachable(graph, start):
    seen, todo = set(), [start]
    while todo:
        for other in graph.get(todo.pop(), ()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


@given(GRAPHS)
def test_two_nodes_share_a_component_if_each_reaches_the_other(graph):
    numbers = component_of(graph)
    reach = {node: reachable(graph, node) for node in range(8)}
    for one, other in combinations(range(8), 2):
        together = other in reach[one] and one in reach[other]
        assert (numbers.get(one) is not None and numbers.get(one) == numbers.get(other)) == together


def base(name):
    return name.removesuffix(".r")


def conflict(one, other):
    return base(one) == base(other) and not (one.endswith(".r") and other.endswith(".r"))


def is_deadlock(edges, ordered):
    """Return whether these edges, in this order, are one: (thread, all held, held, requested)."""
    cycle = [(edges[number], edges[(number + 1) % len(edges)]) for number in range(len(edges))]
    return (
        len({edge[0] for edge in edges}) == len(edges)
        and len({base(edge[2]) for edge in edges}) == len(edges)
        and all(conflict(edge[3], following[2]) for edge, following in cycle)
        and not any(conflict(mine, other) for one, two in combinations(edges, 2) for mine in one[1] for other in two[1])
        and not any((one[0], two[0]) in ordered for one, two in permutations(edges, 2))
    )


@given(REQUESTS, ORDERS)
def test_the_smallest_sets_of_locks_are_those_of_every_permutation(requests, orders):
    recorded = Recorded()
    for thread in range(4):
        recorded.segment(thread)
    for before, after in orders:
        recorded.order(before, after)
    ordered = {(one, other) for one in range(4) for other in reachable(_graph(orders), one)}
    edges = []
    for thread, held, requested in requests:
        if len({base(name) for name in held}) < len(held):
            continue  # no thread holds one lock in both modes
        recorded.ask(thread, ", ".join(held), requested)
        if base(requested) not in {base(name) for name in held}:
            edges += [(thread, tuple(held), each, requested) for each in held]
    expected = set()
    for size in (2, 3, 4):
        for some in permutations(edges, size):
            if is_deadlock(some, ordered):
                locks = tuple(sorted(base(edge[2]) for edge in some))
                if not any(not Counter(less) - Counter(locks) and less != locks for less in expected):
                    expected.add(locks)
    names = [base(name) for name in recorded.locks]
    search = find_cycles(recorded.trace())
    assert {tuple(sorted(names[lock] for lock in cycle.locks)) for cycle in search.cycles} == expected


def _graph(orders):
    graph = {}
    for before, after in orders:
        graph.setdefault(before, set()).add(after)
    return graph


def test_ten_thousand_locks_are_searched_to_the_end():
    recorded, chance = Recorded(), random.Random(20)  # noqa: S311 -- a graph, no secret
    names = [f"m{number}" for number in range(10_000)]
    for number, name in enumerate(names):
        for _ in range(10):
            # Always upwards: no cycle.
            other = chance.randrange(number, len(names))
            if other != number:
                recorded.ask(number % 8, name, names[other])
    recorded.ask(8, "gil", "m").ask(9, "m", "gil")
    search = find_cycles(recorded.trace())
    assert search.complete
    assert len(search.cycles) == 1


def test_a_search_that_is_cut_says_so():
    recorded = Recorded()
    for number in range(7):
        for step in range(1, 4):
            recorded.ask(number, f"m{number}", f"m{(number + step) % 7}")
    assert not find_cycles(recorded.trace(), most_paths=20).complete
    assert find_cycles(recorded.trace()).complete
