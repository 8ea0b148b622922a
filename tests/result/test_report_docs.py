"""What docs/renderings.md shows and says is so."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from python_tsan.cli.main import main
from python_tsan.result.finding import Attribution
from python_tsan.result.model import Result

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "renderings.md").read_text()


def test_the_terminals_example_is_its_rendering(golden, tmp_path, monkeypatch, capsys):
    shutil.copy(golden("race_global")[0], tmp_path / "tsan.11611")
    monkeypatch.chdir(tmp_path)
    main(["report", "tsan.11611"])
    shown = re.search(r"<!-- terminal: .*? -->\n```text\n(.*?)```", PAGE, re.DOTALL)[1]
    assert capsys.readouterr().out == shown


def test_every_attribution_is_explained():
    for each in Attribution:
        assert f"| `{each.value}` |" in PAGE


def test_every_field_of_a_report_is_reported():
    untold = {"package", "blocks", "outside"}
    for name in Result.__struct_fields__:
        assert f"`{name}" in PAGE or name in untold


def test_what_the_page_points_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (DOCS / target).is_file(), target
    assert json.loads((DOCS / "run-schema.json").read_bytes())["title"] == "python-tsan run.json"
    assert (DOCS / "images" / "report.png").stat().st_size < 200_000
