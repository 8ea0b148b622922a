"""Copy what the documentation site is built from to one folder, and refuse dead links; `nox -s docs` builds the site.

The copy has the repository's layout, so that links between pages stay as they are. It includes the files that a page
links to. The site generator checks links to pages; this module also checks links to other files and to headings.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
CONFIGURATION = ROOT / "zensical.toml"
_FENCE = re.compile(r"^ *(```|~~~).*?^ *\1[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s#]*)(?:#(?P<heading>[^)\s]*))?\)")
_HEADING = re.compile(r"^#+ +(?P<title>.*?)(?: +#+)?$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z]+:")


def pages(root: Path) -> list[Path]:
    """Return the pages of the repository, those of caches in hidden folders (pytest's has a README) left out."""
    folders = (root.glob("*.md"), root.glob("docs/**/*.md"), root.glob("examples/**/*.md"))
    found = (page for folder in folders for page in folder)
    return sorted(page for page in found if not any(part.startswith(".") for part in page.relative_to(root).parts))


def navigation(configuration: str) -> list[str]:
    """Return the pages that the site's navigation names."""
    return list(_leaves(tomllib.loads(configuration)["project"]["nav"]))


def _leaves(entry: Any) -> Iterator[str]:  # noqa: ANN401 -- a tree of tables and lists
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from _leaves(each)


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield target and heading of each link to a file or a heading, outside of code."""
    for match in _LINK.finditer(re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))):
        if not _ELSEWHERE.match(match["target"]):
            yield match["target"], match["heading"] or ""


def headings(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site generator make them."""
    found: dict[str, int] = {}
    for match in _HEADING.finditer(_FENCE.sub("", text)):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["title"])
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
    return {f"{anchor}-{number}" if number else anchor for anchor, last in found.items() for number in range(last + 1)}


def linked_files(root: Path, page: Path) -> Iterator[Path]:
    """Yield each file that a page links to. A link that leads nowhere, or to a folder, raises ``LookupError``."""
    text = page.read_text(encoding="utf-8")
    for target, heading in links(text):
        file = (page.parent / target).resolve() if target else page
        name = f"{page.relative_to(root)}: {target}{'#' if heading else ''}{heading}"
        if not file.is_file():
            message = f"{name}: there is no such file"
            raise LookupError(message)
        if heading and heading not in headings(file.read_text(encoding="utf-8")):
            message = f"{name}: there is no such heading"
            raise LookupError(message)
        yield file


def dead_links(root: Path, sources: Iterable[Path]) -> list[str]:
    """Return a line for each page with a dead link: its first one."""
    found = []
    for page in sources:
        try:
            list(linked_files(root, page))
        except LookupError as error:
            found.append(str(error.args[0]))
    return found


def copy(root: Path, destination: Path) -> None:
    """Fill the folder with every page and every file that a page links to."""
    shutil.rmtree(destination, ignore_errors=True)
    sources = pages(root)
    styles = root.glob("docs/*.css")
    files = {*sources, *styles, *(file for page in sources for file in linked_files(root, page))}
    for file in sorted(files):
        copied = destination / file.relative_to(root)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)


def main() -> int:
    """Copy the pages; print dead links and return 1 if there are any."""
    found = dead_links(ROOT, pages(ROOT))
    if found:
        sys.stderr.writelines(f"{line}\n" for line in found)
        return 1
    destination = ROOT / tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["project"]["docs_dir"]
    copy(ROOT, destination)
    return 0


if __name__ == "__main__":
    sys.exit(main())
