"""Check the words of everything that a reader sees; `nox -s lint` runs it.

`tools/prose.toml` holds the word list: a pattern, what to write instead, and where the rule applies. This module takes
the text out of Markdown, Python, C++ and plain files and prints one line for each match:
``file:line: found -> suggestion``.
"""

from __future__ import annotations

import argparse
import ast
import fnmatch
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
WORD_LIST = ROOT / "tools" / "prose.toml"

_CPP_PART = re.compile(
    r"""(?P<block>/\*.*?\*/)
      | (?P<lines>//[^\n]*(?:\n[ \t]*//[^\n]*)*)
      | R"(?P<tag>[^(\s]*)\((?P<raw>.*?)\)(?P=tag)"
      | "(?P<string>(?:\\.|[^"\\\n])*)"
      | '(?:\\.|[^'\\\n])+'""",
    re.DOTALL | re.VERBOSE,
)
_CPP = {".c", ".cpp", ".h", ".hpp"}
_COMMENT_MARK = re.compile(r"^[ \t]*(?://+|\*(?!/)|#+)[ \t]?", re.MULTILINE)
# Addresses, link targets and code of one word are names.
_NAMES = re.compile(r"(?<=\]\()[^)\s]+(?=\))|https?://[^\s)>\"']+|(?<!`)`[^`\s]+`(?!`)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of text in a file. ``kind`` is `prose`, `docstring`, `message`, `error` or `name`.

    An error's message is both a message and an error.
    """

    line: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A pattern, what to write instead, the kinds of text it applies to, and matches that are allowed."""

    pattern: re.Pattern[str]
    use: str
    kinds: frozenset[str]
    allow: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordList:
    """The rules, the files they apply to, and the files whose matches are printed but do not fail."""

    rules: tuple[Rule, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    report_only: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A word of the list in a file."""

    file: str
    line: int
    found: str
    use: str

    def __str__(self) -> str:
        """Return the line that the linter prints."""
        return f"{self.file}:{self.line}: {self.found} -> {self.use}"


def word_list(text: str) -> WordList:
    """Return the word list that TOML text holds. A blank in a pattern matches any white space, a line's end too."""
    data = tomllib.loads(text)
    files = data["files"]
    return WordList(
        rules=tuple(_rule(each) for each in data["rule"]),
        include=tuple(files["include"]),
        exclude=tuple(each["path"] for each in files.get("exclude", ())),
        report_only=tuple(files.get("report-only", ())),
    )


def _rule(entry: dict[str, Any]) -> Rule:
    flags = re.NOFLAG if entry.get("case", False) else re.IGNORECASE
    return Rule(
        pattern=re.compile(entry["pattern"].replace(" ", r"\s+"), flags),
        use=entry["use"],
        kinds=frozenset(entry.get("in", ("prose", "docstring", "message"))),
        allow=tuple(re.compile(each["text"].replace(" ", r"\s+"), flags) for each in entry.get("allow", ())),
    )


def check(file: str, text: str, rules: Iterable[Rule]) -> Iterator[Match]:
    """Yield each match of the rules in a file's text, in the file's order."""
    found = [
        (piece.line + piece.text.count("\n", 0, match.start()), match[0], rule.use)
        for piece in pieces(file, text)
        for rule in rules
        if piece.kind in rule.kinds
        for match in rule.pattern.finditer(piece.text)
        if not _allowed(match, rule)
    ]
    for line, words, use in sorted(found):
        yield Match(file=file, line=line, found=" ".join(words.split()), use=use)


def _allowed(match: re.Match[str], rule: Rule) -> bool:
    spans = (each.span() for pattern in rule.allow for each in pattern.finditer(match.string))
    return any(start <= match.start() and match.end() <= end for start, end in spans)


def pieces(file: str, text: str) -> Iterator[Piece]:
    """Yield the text that readers see in a file, by its name's ending."""
    suffix = Path(file).suffix
    if suffix == ".py":
        yield from _python(text)
    elif suffix in _CPP:
        yield from _cpp(text)
    else:
        yield Piece(line=1, kind="prose", text=_NAMES.sub(_blank, text))


def _blank(match: re.Match[str]) -> str:
    return "_" * len(match[0])


def _cpp(text: str) -> Iterator[Piece]:
    for part in _CPP_PART.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        comment = part["block"] or part["lines"]
        words = part["raw"] or part["string"]
        if comment:
            yield Piece(line=line, kind="prose", text=_NAMES.sub(_blank, _COMMENT_MARK.sub("", comment)))
        elif words and " " in words.strip():
            yield Piece(line=line, kind="message", text=words)


def _python(text: str) -> Iterator[Piece]:
    yield from _comments(text)
    tree = ast.parse(text)
    docstrings = {id(node.value) for node in _docstrings(tree)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            message = node.exc.args[0]
            yield Piece(line=message.lineno, kind="error", text=_words(message))
        elif isinstance(node, ast.JoinedStr):
            yield from _literal(node, _words(node), "message")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield from _literal(node, node.value, "docstring" if id(node) in docstrings else "message")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield Piece(line=node.lineno, kind="name", text=_apart(node.name))


def _words(node: ast.expr) -> str:
    """Return the text of a literal with a mark for each value in it; empty for any other expression."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _docstrings(tree: ast.Module) -> Iterator[ast.Expr]:
    """Yield every string that is a statement: docstrings, and the strings below a constant or a field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node


def _literal(node: ast.expr, words: str, kind: str) -> Iterator[Piece]:
    """Yield a string that holds more than one word. Words without a blank are keys, names and paths."""
    if " " not in words.strip() and kind != "docstring":
        return
    # Only a literal that spans as many lines as it has line ends says on which line each of its words is.
    exact = (node.end_lineno or node.lineno) - node.lineno == words.count("\n")
    text = words if exact else words.replace("\n", " ")
    yield Piece(line=node.lineno, kind=kind, text=_NAMES.sub(_blank, text))


def _apart(name: str) -> str:
    """Return a name as words: ``test_a_hang`` and ``LockGraph`` are `test a hang` and `Lock Graph`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").strip()


def _comments(text: str) -> Iterator[Piece]:
    """Yield comments. Those on neighbouring lines are one piece, so that phrases are found across the lines' end."""
    block: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != block[-1].start[0] + 1:
            yield _comment(block)
            block = []
        block.append(token)
    if block:
        yield _comment(block)


def _comment(block: list[tokenize.TokenInfo]) -> Piece:
    text = "\n".join(token.string.lstrip("#!: ") for token in block)
    return Piece(line=block[0].start[0], kind="prose", text=_NAMES.sub(_blank, text))


def listed(path: str, patterns: Iterable[str]) -> bool:
    """Say whether a path is, or is below, one of these; ``*`` matches across folders."""
    return any(path == each or path.startswith(f"{each}/") or fnmatch.fnmatch(path, each) for each in patterns)


def selected(words: WordList, paths: Iterable[str]) -> list[str]:
    """Return the paths that the word list applies to."""
    return [path for path in sorted(paths) if listed(path, words.include) and not listed(path, words.exclude)]


def tracked(root: Path) -> list[str]:
    """Return git's files, new ones included, relative to the root of the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return [path for path in done.stdout.split("\0") if path and (root / path).is_file()]


def main(arguments: list[str]) -> int:
    """Check the repository, or the given files and folders alone; return 1 if a match is enforced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="files and folders of the repository; without any, all of it")
    parser.add_argument("--all", action="store_true", help="also enforce the files listed as report-only")
    options = parser.parse_args(arguments)
    words = word_list(WORD_LIST.read_text(encoding="utf-8"))
    failed, deferred = 0, 0
    for path in selected(words, tracked(ROOT)):
        if options.paths and not listed(path, [each.rstrip("/") for each in options.paths]):
            continue
        found = list(check(path, (ROOT / path).read_text(encoding="utf-8"), words.rules))
        if options.all or options.paths or not listed(path, words.report_only):
            failed += len(found)
            sys.stdout.writelines(f"{each}\n" for each in found)
        else:
            deferred += len(found)
    sys.stdout.write(f"{failed} to rewrite; {deferred} more in the files listed as report-only\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
