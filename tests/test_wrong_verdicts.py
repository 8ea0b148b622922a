"""The page of wrong verdicts names tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "decisions" / "wrong-verdicts.md"
ROWS = re.findall(r"^\| .+ \| `([\w./]+?)(?:::(\w+))?` \|$", PAGE.read_text(), re.MULTILINE)


def test_every_row_is_read():
    assert len(ROWS) == sum(line.startswith("| ") for line in PAGE.read_text().splitlines()) - 5


@pytest.mark.parametrize(("file", "name"), ROWS)
def test_it_exists(file, name):
    text = (TESTS / file).read_text()
    assert not name or f"def {name}(" in text
