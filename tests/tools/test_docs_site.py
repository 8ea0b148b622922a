"""The documentation's links lead somewhere, and its navigation names every page."""

import pytest

from tools import docs_site

PAGES = {page.relative_to(docs_site.ROOT).as_posix() for page in docs_site.pages(docs_site.ROOT)}


def test_no_link_of_this_repository_is_dead():
    assert docs_site.dead_links(docs_site.ROOT, docs_site.pages(docs_site.ROOT)) == []


def test_the_navigation_names_every_page_once():
    named = docs_site.navigation(docs_site.CONFIGURATION.read_text())
    assert len(named) == len(set(named))
    # Decisions are listed by their own index; docs/examples are renderings.
    listed = {page for page in PAGES if not page.startswith(("docs/decisions/", "docs/examples/"))}
    assert set(named) == listed | {"docs/decisions/README.md"}


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cpp").touch()
    (tmp_path / "README.md").write_text("# Title\n[page](docs/page.md#in-c-safe_import)")
    (tmp_path / "docs" / "page.md").write_text("## In C++: `safe_import`\n[source](../src/a.cpp), [web](https://x.y/z)")
    return tmp_path


def dead(repository):
    return docs_site.dead_links(repository, docs_site.pages(repository))


def test_pages_and_linked_files_are_copied(repository, tmp_path):
    assert dead(repository) == []
    (repository / "src" / "not_linked.cpp").touch()
    docs_site.copy(repository, tmp_path / "build")
    copied = {path.relative_to(tmp_path / "build").as_posix() for path in (tmp_path / "build").rglob("*.*")}
    assert copied == {"README.md", "docs/page.md", "src/a.cpp"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x](nothing.md)", "README.md: nothing.md: there is no such file"),
        ("[x](docs)", "README.md: docs: there is no such file"),
        ("![x](docs/a.png)", "README.md: docs/a.png: there is no such file"),
        ("[x](docs/page.md#other)", "README.md: docs/page.md#other: there is no such heading"),
        ("[x](#other)", "README.md: #other: there is no such heading"),
    ],
)
def test_a_dead_link_is_named(repository, text, message):
    (repository / "README.md").write_text(text)
    assert dead(repository) == [message]


def test_code_holds_no_links(repository):
    (repository / "README.md").write_text("`[](a)` and\n```cpp\nauto f = [](int) {};\n```\n")
    assert dead(repository) == []


def test_headings_get_the_anchors_of_github():
    text = "# A `b`: c\n```\n# not one\n```\n## [d](e.md) f_g\n## Same\n### Same\n"
    assert docs_site.headings(text) == {"a-b-c", "d-f_g", "same", "same-1"}
