"""Every page that an error names is a section of docs/errors.md."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECTIONS = set(re.findall(r"^#+ ([a-z-]+)$", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
NAMED = {
    found[1]: path.relative_to(ROOT)
    for path in sorted((ROOT / "python_tsan").rglob("*.py"))
    for found in re.finditer(r'\b(?:default_)?page ?= ?"([a-z-]+)"', path.read_text())
}


@pytest.mark.parametrize("page", sorted(NAMED))
def test_the_page_is_there(page):
    assert page in SECTIONS, f"{NAMED[page]} names docs/errors.md#{page}"
