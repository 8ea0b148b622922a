import pytest
from expressions import ExpressionError, condition, evaluate, fill

CONTEXTS = {
    "inputs": {"free-threaded": "true", "empty": "", "n": 4},
    "matrix": {"combination": {"name": "a b", "free-threaded": False}},
    "steps": {"run": {"outputs": {"code": "1"}}},
    "needs": {"plan": {"result": "success", "outputs": {"m": '{"include":[{"a":1}]}'}}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "it's"),
        ("inputs.free-threaded == 'TRUE'", True),
        ("inputs.empty != ''", False),
        ("inputs.missing.deeper", None),
        ("inputs.n", 4),
        ("steps.run.outputs.code != 'true'", True),
        ("matrix.combination['name']", "a b"),
        ("fromJSON(needs.plan.outputs.m).include", [{"a": 1}]),
        ("true && 'a' || 'b'", "a"),
        ("false && 'a' || 'b'", "b"),
        ("!(inputs.empty == '') || needs.plan.result == 'success'", True),
        ("inputs.n == '4'", True),
        ("null == ''", True),
    ],
)
def test_values(text, value):
    assert evaluate(text, CONTEXTS) == value


@pytest.mark.parametrize(
    "text", ["input.x", "steps.run.", "'a' ==", "(true", "hashFiles('x')", "1 + 1", "a b", "inputs[0", "'open"]
)
def test_what_github_would_refuse_is_refused(text):
    with pytest.raises(ExpressionError):
        evaluate(text, CONTEXTS)


@pytest.mark.parametrize(
    ("text", "status", "runs"),
    [
        (None, "success", True),
        (None, "failure", False),
        ("inputs.empty == ''", "failure", False),
        ("always() && inputs.empty == ''", "failure", True),
        ("${{ !cancelled() && needs.plan.result == 'success' }}", "failure", True),
        ("failure()", "failure", True),
    ],
)
def test_conditions(text, status, runs):
    assert condition(text, CONTEXTS, status=status) is runs


def test_texts_are_filled_as_github_writes_them():
    filled = fill(
        {"a": ["x-${{ matrix.combination.free-threaded }}-${{ inputs.n }}", 3, "${{ inputs.n }}/${{ inputs.n }}"]},
        CONTEXTS,
    )
    assert filled == {"a": ["x-false-4", 3, "4/4"]}
    assert fill("${{ fromJSON(needs.plan.outputs.m) }}", CONTEXTS) == {"include": [{"a": 1}]}
