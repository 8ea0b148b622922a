"""GitHub's expressions, as far as our workflows use them; anything else is an error, and not an empty text.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<operator>==|!=|&&|\|\||[!().,\[\]*]))"
)
_WHOLE = re.compile(r"\$\{\{(?P<inside>(?:(?!\}\}).)*)\}\}", re.DOTALL)
_LITERALS = {"true": True, "false": False, "null": None}
# Only these roots exist; a misspelt one is an error at GitHub too.
_CONTEXTS = {"github", "env", "inputs", "job", "matrix", "needs", "runner", "steps", "strategy"}


class ExpressionError(Exception):
    """Something that GitHub would refuse, or that this evaluator does not know."""


def evaluate(text, contexts, *, status="success"):
    """Return the value of one expression. ``status`` is how the steps before it ended."""
    parser = _Parser(text, contexts, status)
    value = parser.either()
    if parser.tokens:
        raise ExpressionError(f"cannot read {text!r} from {parser.tokens[0][1]!r}")
    return value


def condition(text, contexts, *, status):
    """Return whether a step with this ``if:`` runs. Without a status function in it, it needs success."""
    inside = (text or "success()").strip()
    match = _WHOLE.fullmatch(inside)
    inside = match["inside"] if match else inside
    if not re.search(r"\b(always|success|failure|cancelled)\(\)", inside):
        inside = f"success() && ({inside})"
    return _truth(evaluate(inside, contexts, status=status))


def fill(value, contexts, *, status="success"):
    """Return a value of the YAML with every ``${{ }}`` in it replaced."""
    if isinstance(value, dict):
        return {key: fill(each, contexts, status=status) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, contexts, status=status) for each in value]
    if not isinstance(value, str):
        return value
    whole = _WHOLE.fullmatch(value.strip())
    if whole:
        return evaluate(whole["inside"], contexts, status=status)
    return _WHOLE.sub(lambda match: text_of(evaluate(match["inside"], contexts, status=status)), value)


def text_of(value):
    """Return a value as GitHub writes it into a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def _truth(value):
    return value not in (None, False, 0, "")


def _alike(one, two):
    # GitHub compares unlike types as numbers, and texts without regard to case.
    if isinstance(one, str) and isinstance(two, str):
        return one.lower() == two.lower()
    if type(one) is type(two):
        return one == two
    return _number(one) == _number(two)


def _number(value):
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return float("nan")


class _Parser:
    def __init__(self, text, contexts, status):
        self.contexts, self.status, self.tokens = contexts, status, []
        position = 0
        text = text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ExpressionError(f"cannot read {text!r} at {text[position:]!r}")
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def take(self, *wanted):
        if self.tokens and self.tokens[0][1] in wanted and self.tokens[0][0] == "operator":
            return self.tokens.pop(0)[1]
        return None

    def either(self):
        value = self.both()
        while self.take("||"):
            other = self.both()
            value = value if _truth(value) else other
        return value

    def both(self):
        value = self.equal()
        while self.take("&&"):
            other = self.equal()
            value = other if _truth(value) else value
        return value

    def equal(self):
        value = self.unary()
        while operator := self.take("==", "!="):
            value = _alike(value, self.unary()) is (operator == "==")
        return value

    def unary(self):
        if self.take("!"):
            return not _truth(self.unary())
        if self.take("("):
            value = self.either()
            self.need(")")
            return value
        return self.primary()

    def need(self, operator):
        if not self.take(operator):
            raise ExpressionError(f"{operator!r} is missing before {self.tokens[:1]}")

    def primary(self):
        if not self.tokens:
            raise ExpressionError("the expression ends too early")
        kind, text = self.tokens.pop(0)
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if kind != "name":
            raise ExpressionError(f"{text!r} is out of place")
        if self.take("("):
            return self.call(text)
        return self.path(_LITERALS[text]) if text in _LITERALS else self.path(self.context(text))

    def context(self, name):
        if name not in _CONTEXTS:
            raise ExpressionError(f"there is no context {name!r}")
        return self.contexts.get(name, {})

    def path(self, value):
        while True:
            if self.take("."):
                if not self.tokens or self.tokens[0][0] != "name":
                    raise ExpressionError("a name is missing after '.'")
                value = self.member(value, self.tokens.pop(0)[1])
            elif self.take("["):
                value = self.member(value, self.either())
                self.need("]")
            else:
                return value

    @staticmethod
    def member(value, key):
        # What is not there is null, at any depth.
        return value.get(key) if isinstance(value, dict) else None

    def call(self, name):
        arguments = []
        while not self.take(")"):
            arguments.append(self.either())
            self.take(",")
        known = {
            "always": lambda: True,
            "success": lambda: self.status == "success",
            "failure": lambda: self.status == "failure",
            "cancelled": lambda: self.status == "cancelled",
            "fromJSON": json.loads,
            "toJSON": lambda value: json.dumps(value, indent=2),
        }
        if name not in known:
            raise ExpressionError(f"there is no function {name!r}")
        return self.path(known[name](*arguments))
