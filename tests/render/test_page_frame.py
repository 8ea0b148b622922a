"""What every page shares: its frame, its looks, and that it lets nothing in."""

import re
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import python_tsan
from python_tsan.render.page import page_template

PACKAGE = Path(python_tsan.__file__).parent
LOOKS = PACKAGE / "render" / "templates" / "looks.css"
SHARED = {"looks.css", "page.html.j2", "pieces.html.j2"}
OWN = sorted(path for path in PACKAGE.glob("*/templates/*") if path.name not in SHARED)
TOKEN = re.compile(r"(--[a-z-]+):")


@pytest.fixture
def render(tmp_path, monkeypatch):
    """Render a page of a package of its own."""
    (tmp_path / "leaflet" / "templates").mkdir(parents=True)
    (tmp_path / "leaflet" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "leaflet", raising=False)

    def render_(body, **words):
        page_template.cache_clear()
        (tmp_path / "leaflet" / "templates" / "leaflet.html.j2").write_text('{% extends "page.html.j2" %}' + body)
        return page_template("leaflet", "leaflet.html.j2").render(**words)

    return render_


def policy(html):
    return re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]


def test_a_page_lets_nothing_in_and_runs_a_script_only_where_it_has_one(render):
    plain = "{% block title %}T{% endblock %}{% block main %}M{% endblock %}"
    assert policy(render(plain)) == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    scripted = render(plain + "{% block script %}<script>1</script>{% endblock %}")
    assert "script-src 'unsafe-inline'" in policy(scripted)
    assert scripted.index("<script>") > scripted.index("</main>")


def test_every_text_is_escaped_and_every_name_must_be_known(render):
    body = "{% block title %}{{ name }}{% endblock %}{% block main %}{{ name }}{% endblock %}"
    assert render(body, name="std::vector<int>").count("std::vector&lt;int&gt;") == 2
    with pytest.raises(UndefinedError):
        render(body)


def test_dark_has_a_colour_for_each_of_the_light_ones():
    light, dark = re.findall(r":root \{(.*?)\}", LOOKS.read_text(), re.DOTALL)
    assert set(TOKEN.findall(light)) == set(TOKEN.findall(dark))


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_page_has_no_colours_nor_frame_of_its_own(path):
    text = path.read_text()
    known = set(TOKEN.findall(LOOKS.read_text()))
    assert set(re.findall(r"var\((--[a-z-]+)\)", text)) <= known
    assert ":root" not in text
    if path.suffix == ".css":
        assert not re.findall(r"#[0-9a-f]{3,8}\b", text)
    elif path.suffix == ".js":
        # What a script paints itself takes its colours from the shared ones by the same names.
        assert set(re.findall(r"css\(\"(--[a-z-]+)\"\)", text)) <= known
    else:
        assert text.startswith('{% extends "page.html.j2" %}')
