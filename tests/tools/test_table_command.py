"""The table as its command measures and writes it."""

import sys

import pytest

from python_tsan.imports.model.interpreter import identify
from tools.import_table import __main__ as command
from tools.import_table.measure import build_of, run_row


def test_the_table_is_measured_and_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = identify([sys.executable])
    monkeypatch.setattr(command, "pythons_at_hand", lambda: [here])

    def played(pythons, *, on_result, **_):
        made = [run_row(each, "cold_window") for each in pythons]
        for each in made:
            on_result(each)
        return made

    monkeypatch.setattr(command, "run_rows", played)
    options = ["--python", sys.executable, "--built", "--repeat", "1", "--output", "page.md"]
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path / "empty"))
    assert command.main(options) == 0
    page = (tmp_path / "page.md").read_text()
    assert f"    python -m tools.import_table {' '.join(options)}\n" in page
    assert "1 run, 0 not as the table says" in capsys.readouterr().out
    assert f"| {build_of(here)} | " in page
    assert f"| {here.text} |" in page
    monkeypatch.setattr(command, "disagreement", lambda _: "nothing is as it was")
    assert command.main([]) == 1
    assert "nothing is as it was" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--repeat", "-1"]])
def test_a_negative_number_of_runs_is_refused(options, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(options)
    assert "--repeat: must be a positive integer" in capsys.readouterr().err
