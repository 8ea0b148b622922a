"""What is in the wheel and the sdist, and that every builder gets the same."""

import re
import subprocess
import tarfile
import zipfile
from email.parser import BytesParser

import pytest
from markdown_it import MarkdownIt
from packaged import ROOT, build
from packaging.metadata import Metadata

from python_tsan import __version__

# Folders of the repository, and where a wheel has them.
TRAVELLING = {"python_tsan/": "python_tsan/", "native/": "python_tsan/native/", "checks/": "python_tsan/checks/"}
SINGLE = {
    "docs/errors.md": "python_tsan/docs/errors.md",
    "docs/python-tsan.1": f"python_tsan-{__version__}.data/data/share/man/man1/python-tsan.1",
}
LEFT_OUT = ("native/golden/", "native/contract/")
INFO = f"python_tsan-{__version__}.dist-info/"


def repository():
    """Return the files of the repository, committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout, so there is nothing to compare with")
    return {line for line in done.stdout.splitlines() if (ROOT / line).is_file()}


def in_wheel(file):
    for folder, place in TRAVELLING.items():
        if file.startswith(folder) and not file.startswith(LEFT_OUT):
            return place + file.removeprefix(folder)
    return SINGLE.get(file)


def test_the_wheel_holds_every_file_that_it_needs_and_no_other(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {place for file in repository() if (place := in_wheel(file))}
    extra = names - wanted
    assert wanted - names == set()
    assert {name for name in extra if not name.startswith(INFO)} == set()
    assert {name.removeprefix(INFO) for name in extra} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"),
    }


def test_the_sdist_is_the_repository(sdist):
    top = f"python_tsan-{__version__}/"
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(top) for name in archive.getnames()}
    assert names - repository() == {"PKG-INFO"}
    assert repository() - names == set()


def test_a_wheel_made_of_the_sdist_is_the_same_to_the_byte(wheel, sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path)  # noqa: S202 -- made here, and Python 3.11.2 has no filters
    again = build("wheel", tmp_path / "out", tree=tmp_path / f"python_tsan-{__version__}")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_an_sdist_is_the_same_to_the_byte_when_it_is_made_again(sdist, tmp_path):
    assert build("sdist", tmp_path, TZ="Asia/Tokyo").read_bytes() == sdist.read_bytes()


@pytest.fixture
def metadata(wheel):
    return zipfile.ZipFile(wheel).read(f"{INFO}METADATA")


def test_the_metadata_is_what_an_index_accepts(metadata):
    found = Metadata.from_email(metadata, validate=True)
    assert (found.name, str(found.version)) == ("python-tsan", __version__)
    assert str(found.requires_python) == ">=3.11"
    assert found.license_expression == "MIT"
    assert found.description_content_type == "text/markdown"
    assert found.provides_extra == ["cluster", "verify"]


def test_the_readme_renders(metadata):
    readme = BytesParser().parsebytes(metadata).get_payload()
    page = MarkdownIt("commonmark").enable("table").render(readme)
    assert page.count("<table>") == readme.count("|---|\n")
    assert "<h1>python-tsan</h1>" in page
    assert "|---" not in page
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert "how to read a finding" in page  # the words of a link stay
    assert "```" not in page
