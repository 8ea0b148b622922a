"""How traces become a program, and how the traces of several roots are joined."""

import msgspec
import pytest

from python_tsan.imports.model.requests import ImportRequest, LoadStage, Manner, Module, merge, read_trace
from python_tsan.imports.model.source import Body


def request(module, line, *, file="/a.py", stage=LoadStage.BODY):
    return ImportRequest(module=module, manner=Manner.STATEMENT, file=file, line=line, stage=stage)


def program(*requests):
    return {"a": Module(name="a", file="/a.py", requests=requests)}


def names(merged):
    return [each.module for each in merged["a"].requests]


def test_a_trace_is_read_with_manner_stage_and_names():
    more = {"names": ["x", "y"], "stage": "create", "body_line": 2, "lazy": None}
    item = {"module": "b", "manner": "by_name", "file": "/a.py", "line": 3, **more}
    empty = {"name": "b", "file": "", "requests": [], "lazy": [], "stamp": None}
    full = {"name": "a", "file": "/a.py", "requests": [item], "lazy": ["x"], "stamp": [1, 2]}
    found = read_trace({"modules": {"a": full, "b": empty}})
    assert found["a"].stamp == (1, 2)
    assert found["b"] == Module(name="b")
    assert (found["a"].lazy, found["a"].requests[0].body_line, found["a"].requests[0].lazy) == ({"x"}, 2, None)
    (made,) = found["a"].requests
    assert (made.manner, made.stage, made.names) == (Manner.BY_NAME, LoadStage.CREATE, ("x", "y"))
    assert made.place == "/a.py:3"


@pytest.mark.parametrize(("field", "value"), [("manner", "guess"), ("stage", "later")])
def test_a_trace_with_an_unknown_manner_or_stage_is_refused(field, value):
    item = {"module": "b", "manner": "by_name", "file": "/a.py", "line": 3, "names": [], "stage": "body", field: value}
    with pytest.raises(msgspec.ValidationError, match=value):
        read_trace({"modules": {"a": {"name": "a", "requests": [item]}}})


def test_modules_of_every_root_are_there():
    merged = merge([program(), {"b": Module(name="b")}])
    assert set(merged) == {"a", "b"}
    assert merge([]) == {}


@pytest.mark.parametrize("swapped", [False, True])
def test_a_request_that_only_the_shorter_record_has_comes_at_its_line(swapped):
    longer, shorter = program(request("b", 1), request("d", 9)), program(request("c", 5))
    assert names(merge([shorter, longer] if swapped else [longer, shorter])) == ["b", "c", "d"]


def test_a_request_that_both_records_have_is_there_once():
    assert names(merge([program(request("b", 1), request("c", 2)), program(request("c", 2))])) == ["b", "c"]


def test_a_request_of_another_stage_or_file_comes_last():
    longer = program(request("b", 1), request("d", 9))
    assert names(merge([longer, program(request("c", 5, stage=LoadStage.CREATE))])) == ["b", "d", "c"]
    assert names(merge([longer, program(request("c", 5, file="/other.py"))])) == ["b", "d", "c"]


def test_the_parent_is_the_package():
    assert [Module(name=name).parent for name in ("a", "p.a", "p.q.a")] == ["", "p", "p.q"]


def body(**facts):
    empty = {"bindings": [], "imports": [], "reads": [], "functions": {}, "called": [], "locks": []}
    return msgspec.convert({**empty, **facts}, Body)


def read(found, target="p.m", *, package="p", line=1, outer=None):
    return found.read_of(target, package=package, line=line, outer=outer)


@pytest.mark.parametrize(
    ("entry", "package", "name"),
    [
        ([-1, "p.m", "", ""], "p", "p.m"),
        ([-1, "p.m", "", "short"], "p", "short"),
        ([0, "p", "m", ""], "p", "m"),
        ([1, "", "m", "other"], "p", "other"),
        ([2, "", "m", ""], "p.q", "m"),
    ],
)
def test_a_read_counts_by_the_name_that_the_import_binds(entry, package, name):
    found = body(imports=[entry], reads=[[5, name, "VALUE"]])
    assert read(found, package=package) == {"VALUE"}
    assert read(found, "p.other", package=package) == frozenset()


def test_a_read_before_the_import_does_not_count():
    found = body(imports=[[-1, "p.m", "", ""]], reads=[[5, "p.m", "VALUE"]])
    assert read(found, line=4) == {"VALUE"}
    assert read(found, line=5) == frozenset()


def test_reads_in_functions_count_if_a_body_calls_them():
    found = body(imports=[[-1, "p.m", "", ""]], functions={"f": [["p.m", "A"]], "g": [["p.m", "B"]]}, called=["f"])
    assert read(found) == {"A", "B"}
    assert read(found, outer=()) == {"A"}
    assert read(found, outer=[body(called=["g"])]) == {"A", "B"}


def test_names_bound_before_a_line_include_those_of_every_module():
    found = body(bindings=[[1, "A"], [3, "B"]])
    assert "A" in found.bound_before(3)
    assert "B" not in found.bound_before(3)
    assert {"__name__", "__file__"} <= found.bound_before(1)


def test_nothing_is_known_behind_a_star_import():
    found = body(bindings=[[2, "*"]])
    assert found.bound_before(3) is None
    assert found.bound_before(2) is not None
