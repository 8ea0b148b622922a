from __future__ import annotations

import re
from html import unescape

import pytest
from markdown_it import MarkdownIt
from report_samples import NASTY

from python_tsan.render.escape import markdown as escape
from python_tsan.render.escape import markdown_code as code
from python_tsan.render.markdown import MAX_BLOCKS, render
from python_tsan.render.registry import Context
from python_tsan.result.build import Standing
from python_tsan.result.finding import FindingStatus, PythonFrame, PythonStack


def render_markdown(report):
    return render(report, Context())


def shown(markdown):
    """Return the text that a reader of the page sees."""
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.mark.parametrize("text", [NASTY, "a|b", "`x`", "std::vector<int>", "#1 *b* _i_ ~s~ @me", "\\n", "a  b", "&lt;"])
@pytest.mark.parametrize("how", [escape, code])
def test_text_is_shown_as_it_is(how, text):
    assert shown(how(text)) == " ".join(text.split())
    table = shown(f"| a | b |\n| --- | --- |\n| {how(text)} | end |\n")
    assert table == f"a b {' '.join(text.split())} end"


def test_a_table_and_a_block_for_each_failing_finding(report_of):
    report = report_of("race_global", "deadlock")
    markdown = render_markdown(report)
    assert markdown.startswith(
        "### python-tsan: NOT clean: 2 findings\n\n2 distinct findings in 2 blocks of 2 files.\n"
    )
    assert markdown.count("<details>") == markdown.count("</details>") == 2
    assert "| data race on \\(" not in markdown
    assert "race&#95;global.cpp:25:12</code> |" in markdown
    assert "**read of 8 bytes by thread T2 'careless', holding no mutex**" in markdown
    assert "1. … 6 frames of libraries" in markdown


def test_names_full_of_markup_are_shown_as_they_are(nasty):
    text = shown(render_markdown(nasty))
    assert text.count(NASTY) >= 3


def test_known_findings_are_in_the_table_only(report_of):
    key = report_of("race_global").findings[0].fingerprint
    markdown = render_markdown(report_of("race_global", standings={key: Standing(status=FindingStatus.KNOWN)}))
    assert "| known | yours |" in markdown
    assert "<details>" not in markdown


def test_python_frames_follow_the_stacks(report_of):
    key = report_of("race_global").findings[0].fingerprint
    stack = PythonStack(frames=(PythonFrame(function="<lambda>", file="work.py", line=7),))
    text = shown(render_markdown(report_of("race_global", python_stacks={key: stack})))
    assert "Python, innermost first <lambda> at work.py:7" in text


def test_last_words_and_doubts_are_reported(report_of):
    markdown = render_markdown(report_of("segv"))
    assert "could not judge" in markdown
    assert "**The runtime gave up** (<code>" in markdown


def test_a_long_report_is_cut_and_says_so(everything, monkeypatch):
    monkeypatch.setattr("python_tsan.render.markdown.MAX_BLOCKS", 2)
    markdown = render_markdown(everything)
    assert markdown.count("<details>") == 2
    assert f"{len(everything.failing) - 2} more are in the other renderings." in markdown
    assert MAX_BLOCKS > 2
