"""Which attributes of a partially initialized module are read too early."""

import pytest
from text_sources import body


@pytest.mark.parametrize(
    ("asker", "outer", "read"),
    [
        ("import a\n\nV = a.X\n", [], {"X"}),
        ("import a as b\n\nV = b.X + a.Y\n", [], {"X"}),
        ("from p import a\n\nclass C(a.Base):\n    pass\n", [], {"Base"}),
        ("import a\n\ndef f():\n    return a.X\n", [], set()),
        ("import a\n\ndef f():\n    return a.X\n\nf()\n", [], {"X"}),
        ("import a\n\ndef f():\n    return a.X\n", ["import b\n\nb.f()\n"], {"X"}),
        ("import a\n\ndef f():\n    return a.X\n", ["import b\n\ndef g():\n    b.f()\n"], set()),
        ("import a\n\nif hasattr(a, 'X'):\n    V = a.X\n", [], set()),
        ("import a\n\ntry:\n    V = a.X\nexcept AttributeError:\n    V = 0\n", [], set()),
        ("import a\n\na.X = 1\n", [], set()),
        ("import a\n\nif True:\n    V = a.X\n", [], {"X"}),
        ("V = a.X\nimport a\n", [], set()),
    ],
)
def test_only_what_runs_before_the_bodies_end_is_a_read(asker, outer, read):
    target = "p.a" if "from p" in asker else "a"
    line = next((number for number, text in enumerate(asker.splitlines(), 1) if "import" in text), 0)
    outer = [body(text) for text in outer]
    assert body(asker).read_of(target, package="", line=line, outer=outer) == read


LATE = "import a\n\ndef f():\n    return a.X\n"


@pytest.mark.parametrize(
    ("asker", "outer", "read"),
    [
        (LATE, ["import b\n\nb.f()\n"], set()),
        (LATE + "\nf()\n", ["import b\n\nb.f()\n"], {"X"}),
        ("import a\n\nV = a.X\n", [], {"X"}),
        (LATE, None, {"X"}),
        (LATE.replace("a.X", "a.Y"), ["import b\n\nb.f()\n"], {"Y"}),
    ],
)
def test_an_attribute_that_is_waited_for_is_missing_only_in_bodies_and_what_they_call(asker, outer, read):
    outer = outer and [body(text) for text in outer]
    assert body(asker).read_of("a", package="", line=1, outer=outer, awaited={"X"}) == read
