import os
import xml.etree.ElementTree as ET

import gil_samples as samples
import pytest

from python_tsan.errors import UsageError
from python_tsan.gil.codec import encode
from python_tsan.gil.phases import Phase
from python_tsan.gil.timeline import html_page
from tools.gil_page.__main__ import main
from tools.gil_page.page import page, picture, without_folders


def test_the_page_answers_the_question():
    text = "\n".join(page(samples.trace(), "alpha", picture="p.svg"))
    assert "While `alpha` was imported for the first time, the GIL was released **3 times**" in text
    assert "![each release during the import, by phase and time](p.svg)" in text
    assert "| path stat | 2 | 2.00 ms |" in text
    assert "| dlopen | 0 |  |" in text
    assert all(f"| {phase.value} |" in text for phase in Phase)
    assert "1. **path stat** in C `posix_do_stat (posixmodule.c:25)`, from `_path_stat` < `_find_and_load`" in text
    assert "1 other thread released the GIL 1 time, 0 of them in an import" in text


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


def test_the_timelines_picture_shows_no_folder():
    record = samples.record(executable="/home/somebody/bin/python3")
    shown = without_folders(
        samples.trace(command=("/home/x/python3", "run"), processes=(samples.process(record=record),))
    )
    assert shown.command == ("python3", "run")
    assert "/home" not in html_page(shown)
    assert shown.processes[0].events == samples.EVENTS


@pytest.fixture
def browser(monkeypatch, tmp_path):
    """A browser that writes the file that its options name, first on PATH."""
    program = tmp_path / "chromium"
    program.write_text('#!/bin/sh\nfor word; do case $word in --screenshot=*) echo taken > "${word#*=}";; esac; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "t.trace"
    path.write_bytes(b"".join(encode(samples.trace())))
    return path


@pytest.mark.usefixtures("browser")
def test_the_command_writes_page_and_pictures(saved, tmp_path, capsys):
    docs = tmp_path / "docs"
    main(["--module", "alpha", "--trace", str(saved), "--page", str(docs / "page.md")])
    text = (docs / "page.md").read_text()
    assert "(images/why-the-gil-is-released.svg)" in text
    assert "(images/gil-timeline.png)" in text
    assert (docs / "images" / "why-the-gil-is-released.svg").read_text().startswith("<svg")
    assert (docs / "images" / "gil-timeline.png").read_text() == "taken\n"
    assert "page.md" in capsys.readouterr().out


def test_without_a_browser_the_page_has_no_picture_of_the_timeline(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    page_file = tmp_path / "docs" / "page.md"
    main(["--module", "alpha", "--trace", str(saved), "--page", str(page_file)])
    assert "Chromium is not installed" in capsys.readouterr().out
    assert "gil-timeline.png" not in page_file.read_text()
