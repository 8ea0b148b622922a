"""The lock-order graph and its components."""

from hypothesis import given
from hypothesis import strategies as st

from python_tsan.components import components
from python_tsan.imports.model.lock_order import cyclic_modules, lock_order
from python_tsan.imports.model.requests import ImportRequest, Manner, Module
from python_tsan.imports.model.rules import rules_of


def asks(module, *names):
    return ImportRequest(module=module, manner=Manner.STATEMENT, file="f.py", line=1, names=names)


BARREL = {
    "bp": Module(name="bp", requests=(asks("bp.m1", "V"), asks("bp.m2", "V"))),
    "bp.m1": Module(name="bp.m1"),
    "bp.m2": Module(name="bp.m2"),
    "main": Module(name="main", requests=(asks("bp", "m1"),)),
}


def test_a_childs_parent_is_asked_for_while_the_childs_lock_is_held():
    graph = lock_order(BARREL, rules_of((3, 14, 0)))
    assert graph["bp.m1"] == ("bp",)
    assert graph["bp"] == ("bp.m1", "bp", "bp.m2")
    assert graph["main"] == ("bp", "bp.m1")


def test_a_barrel_is_a_cycle_up_to_3_14_and_none_from_3_15():
    assert cyclic_modules(BARREL, rules_of((3, 14, 0))).keys() == {"bp", "bp.m1", "bp.m2"}
    assert cyclic_modules(BARREL, rules_of((3, 15, 2))) == {}


NODES = st.integers(0, 7)


@given(st.dictionaries(NODES, st.lists(NODES, max_size=4).map(tuple), min_size=1))
def test_two_nodes_share_a_component_exactly_when_each_reaches_the_other(numbers):
    graph = {str(node): tuple(str(each) for each in after) for node, after in numbers.items()}

    def reachable(start):
        seen, work = set(), [start]
        while work:
            for successor in graph.get(work.pop(), ()):
                if successor not in seen:
                    seen.add(successor)
                    work.append(successor)
        return seen

    found = list(components(graph))
    everything = set(graph) | {each for after in graph.values() for each in after}
    assert sorted(node for component in found for node in component) == sorted(everything)
    for component in found:
        for one in component:
            for other in everything - {one}:
                mutual = other in reachable(one) and one in reachable(other)
                assert (other in component) == mutual


def test_a_chain_longer_than_the_recursion_limit_is_no_trouble():
    graph = {str(number): (str(number + 1),) for number in range(5000)} | {"5000": ("0",)}
    assert [len(component) for component in components(graph)] == [5001]
