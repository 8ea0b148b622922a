"""Sources of a model that are texts in a test, read by the Python that runs it."""

import ast

import msgspec

from python_tsan.imports.cases.import_cases.source_reader import body_of
from python_tsan.imports.model.source import Body


def body(text):
    """Return the body of a text, None where it cannot be parsed."""
    try:
        return msgspec.convert(body_of(ast.parse(text)), Body)
    except (SyntaxError, ValueError):
        return None


class TextSources:
    def __init__(self, texts):
        self._texts = texts
        self._bodies = {}
        self.problems = {}

    def check(self):
        pass

    def text(self, file):
        return self._texts.get(file)

    def bodies(self, files):
        return [self._body(file) for file in files]

    def _body(self, file):
        if file not in self._bodies:
            text = self._texts.get(file)
            self._bodies[file] = None if text is None else body(text)
        return self._bodies[file]
