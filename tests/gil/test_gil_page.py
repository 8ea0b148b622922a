import xml.etree.ElementTree as ET

import gil_samples as samples
import pytest

from python_tsan.cli.main import main
from python_tsan.errors import UsageError
from python_tsan.gil.codec import encode
from python_tsan.gil.page import page, picture
from python_tsan.gil.phases import Phase


def test_the_page_answers_the_question():
    text = "\n".join(page(samples.trace(), "alpha", picture="p.svg"))
    assert "While `alpha` was imported for the first time, the GIL was released **3 times**" in text
    assert "![each release during the import, by phase and time](p.svg)" in text
    assert "| path stat | 2 | 2.00 ms |" in text
    assert "| dlopen | 0 |  |" in text
    assert all(f"| {phase.value} |" in text for phase in Phase)
    assert "1. **path stat** in C `posix_do_stat (posixmodule.c:25)`, from `_path_stat` < `_find_and_load`" in text
    assert "1 other threads released the GIL 1 times, 0 of them in an import" in text


def test_the_page_names_no_folder():
    record = samples.record(executable="/home/somebody/bin/python3")
    text = "\n".join(page(samples.trace(processes=(samples.process(record=record),), untraced=()), "alpha"))
    assert "/home" not in text
    assert "`python3`" in text


def test_a_page_about_nothing_is_refused():
    with pytest.raises(UsageError, match="while beta was imported"):
        list(page(samples.trace(), "beta"))


def test_the_picture_has_a_tick_for_each_release():
    root = ET.fromstring(picture(samples.trace(processes=(samples.process(),)), "alpha"))  # noqa: S314 -- our own
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words == ["path stat", "1", "read", "1", "0", "8.00 ms"]
    ticks = [element.get("d") for element in root.iter("{http://www.w3.org/2000/svg}path") if "v15" in element.get("d")]
    assert [tick.count("M") for tick in ticks] == [1, 1]


def test_the_verb_writes_both_files(tmp_path, capsys):
    saved, markdown, svg = tmp_path / "t.trace", tmp_path / "docs" / "page.md", tmp_path / "docs" / "img" / "p.svg"
    saved.write_bytes(b"".join(encode(samples.trace())))
    assert main(["gil", "page", "alpha", str(saved), "--markdown", str(markdown), "--picture", str(svg)]) == 0
    assert "(img/p.svg)" in markdown.read_text()
    assert svg.read_text().startswith("<svg")
    assert str(markdown) in capsys.readouterr().out
