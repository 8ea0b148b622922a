"""Which modules of a distribution are entries, by the interpreter that has it."""

import sys
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.imports.cases.import_cases.listing import is_public, module_of
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe

HERE = identify([sys.executable])
FILES = (
    "wares/__init__.py",
    "wares/deep/__init__.py",
    "wares/deep/inner.py",
    "wares/_private.py",
    "wares/native.abi3.so",
    "wares/tests/test_it.py",
    "wares/data.json",
    "loose.py",
)


def install(folder, name="wares", files=FILES, extra=()):
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in (*files, *extra)))
    return Probe(python=HERE, path=(folder,))


def test_the_public_modules_are_entries_the_shallowest_first(tmp_path):
    (offer,) = install(tmp_path).public_modules(["wares"], limit=40)
    assert offer.modules == ("loose", "wares", "wares.deep", "wares.native", "wares.deep.inner")
    assert (offer.left_out, offer.problem) == (0, "")


def test_a_limit_leaves_out_the_deepest_and_says_how_many(tmp_path):
    (offer,) = install(tmp_path).public_modules(["wares"], limit=3)
    assert offer.modules == ("loose", "wares", "wares.deep")
    assert offer.left_out == 2


def test_an_editable_installation_is_followed_to_its_folder(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    for path in ("mine/__init__.py", "mine/part.py", "tools/script.py"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text("")
    site.mkdir()
    (site / "mine.pth").write_text(f"{source}\n")
    (offer,) = install(site, "mine", (), ("mine.pth",)).public_modules(["mine"], limit=40)
    assert offer.modules == ("mine", "mine.part")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "mine.pth cannot be read: No such file or directory"),
        (b"\xff\xfe/x\n", "mine.pth is not UTF-8"),
        (b"/no/such/folder\n", "/no/such/folder cannot be read: No such file or directory"),
    ],
)
def test_a_part_of_an_installation_that_cannot_be_read_is_a_doubt(content, problem, tmp_path, capsys):
    files = ("wares/__init__.py", "wares/a.py")
    install(tmp_path, files=files, extra=("mine.pth",))
    if content is not None:
        (tmp_path / "mine.pth").write_bytes(content)
    words = ["--python", sys.executable, "--path", str(tmp_path), "--package", "wares"]
    assert main(["imports", "scan", *words]) == 6
    shown = capsys.readouterr()
    assert problem in shown.err
    assert "2 entries" in shown.out
    assert main(["imports", "preimport", *words]) == 6
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("record", [b"wares/a.py,,\n\xff\xfe,,\n", b'wares/a.py,,\n"' + b"x" * 140_000 + b'",,\n'])
def test_a_damaged_list_of_files_is_a_doubt(record, tmp_path):
    probe = install(tmp_path)
    (tmp_path / "wares-1.0.dist-info/RECORD").write_bytes(record)
    (offer,) = probe.public_modules(["wares"], limit=40)
    assert offer.problem.startswith("its list of files cannot be read: ")


@pytest.mark.parametrize("name", ["nothing-of-that-name", "", "../x"])
def test_a_missing_distribution_is_reported_and_the_others_are_listed(name, tmp_path):
    absent, present = install(tmp_path).public_modules([name, "wares"], limit=1)
    assert "is not installed" in absent.problem
    assert present.modules == ("loose",)


def test_a_distribution_without_a_module_is_reported(tmp_path):
    (offer,) = install(tmp_path, "data", ("data.json",)).public_modules(["data"], limit=40)
    assert "no public module" in offer.problem


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("p/__init__.py", ["p"]),
        ("p/m.cpython-313-x86_64-linux-gnu.so", []),
        ("p/not-a-name.py", []),
        ("../../bin/tool.py", []),
        ("__init__.py", []),
    ],
)
def test_a_file_is_a_module_or_it_is_not(path, names):
    assert list(module_of(Path(path).parts)) == names
    assert is_public(["a", "b"])
    assert not is_public(["a", "_b"])


def test_the_verb_scans_a_package_by_its_distribution(tmp_path, capsys):
    probe = install(tmp_path, files=("wares/__init__.py", "wares/a.py", "wares/b.py"))
    (tmp_path / "wares/__init__.py").write_text("from . import a, b\n")
    scanning = ["imports", "scan", "--python", sys.executable, "--path", str(probe.path[0]), "--package"]
    assert main([*scanning, "wares", "missing"]) == (1 if HERE.version < (3, 15) else 6)
    told = capsys.readouterr()
    assert "missing: is not installed for this Python" in told.err
    assert "between 3 entries" in told.out
    main([*scanning, "wares", "--limit", "2"])
    assert "2 modules scanned, 1 deeper ones not scanned (--limit)" in capsys.readouterr().err
    assert main([*scanning, "wares", "--limit", "0"]) == 2
    assert "--limit: must be a positive integer" in capsys.readouterr().err
    assert main(["imports", "scan"]) == 2


@pytest.mark.skipif(HERE.version >= (3, 15), reason="3.15 has no hazard here")
def test_the_list_of_a_package_leaves_out_what_cannot_be_imported(tmp_path, capsys):
    probe = install(tmp_path, files=("wares/__init__.py", "wares/a.py", "wares/b.py", "wares/old.py"))
    (tmp_path / "wares/__init__.py").write_text("from . import a, b\n")
    (tmp_path / "wares/old.py").write_text("import no_such_module\n")
    words = ["imports", "preimport", "--python", sys.executable, "--path", str(probe.path[0]), "--repeat", "1"]
    assert main([*words, "--package", "wares"]) == 0
    shown = capsys.readouterr()
    assert "wares.old cannot be imported and is left out" in shown.err
    assert "Written by: python-tsan imports preimport --package wares\n" in shown.out
    assert 'import_module("wares")' in shown.out
    assert main([*words, "wares", "wares.old"]) == 6
    assert "no list can be made: wares.old: ModuleNotFoundError" in capsys.readouterr().err
    assert main([*words, "--package", "missing"]) == 6
    assert "missing: is not installed for this Python" in capsys.readouterr().err
    assert main(words) == 2
    assert "imports preimport --package numpy" in capsys.readouterr().err
