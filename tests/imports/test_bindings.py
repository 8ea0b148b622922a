"""Which names a module has bound before a line."""

import pytest
from text_sources import body

SOURCE = """\
import os.path, sys as system
from a import b as c, d
X = Y = 1
def f(): inner = 2
class K: field = 3
if X:
    BRANCH = 1
else:
    OTHER: int = 2
try:
    import fast
except ImportError as problem:
    fast = None
with open("f") as handle:
    pass
for index in range(3):
    last = index
from other import LATE
AFTER = 1
"""


@pytest.mark.parametrize(
    ("line", "there", "missing"),
    [
        (1, set(), {"os", "system"}),
        (3, {"os", "system", "c", "d"}, {"X", "b", "a"}),
        (18, {"X", "Y", "f", "K", "BRANCH", "OTHER", "fast", "handle", "index", "last"}, {"LATE", "inner", "field"}),
        (99, {"LATE", "AFTER"}, {"inner"}),
    ],
)
def test_names_are_bound_by_the_statements_above(line, there, missing):
    names = body(SOURCE).bound_before(line)
    assert there <= names
    assert names.isdisjoint(missing)


def test_a_statement_that_begins_above_counts_only_as_far_as_it_has_come():
    names = body("if True:\n    FIRST = 1\n    import x\n    SECOND = 2\n").bound_before(3)
    assert "FIRST" in names
    assert "SECOND" not in names


def test_a_modules_own_names_are_always_there():
    assert {"__name__", "__file__"} <= body("").bound_before(1)


def test_behind_a_star_import_nothing_is_guessed():
    assert body("from x import *\nA = 1\n").bound_before(5) is None
    assert body("A = 1\nfrom x import *\n").bound_before(2) >= {"A"}
