"""Which modules a verb does not import: they cost more time than many a verb takes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import runs

from python_tsan.result.codec import encode_result

LOG = Path("examples/tally_racy.log").absolute()
# Of these, `--help` of any verb and a report on the terminal need none.
HEAVY = (
    *("asyncio", "backports.zstd", "bz2", "email", "gzip", "html.entities", "http", "importlib.resources"),
    *("lzma", "multiprocessing", "pickle", "shutil", "socket", "sqlite3", "ssl", "subprocess", "tarfile", "tempfile"),
    *(
        "typing_extensions",
        "xml",
        "zipfile",
        "elftools",
        "filelock",
        "jinja2",
        "platformdirs",
        "pytest",
        "rich",
        "shtab",
    ),
    *("python_tsan.config", "python_tsan.detect.parts", "python_tsan.locks", "python_tsan.checking"),
)
LIGHT = "python_tsan.errors"


def imported(*arguments, names=HEAVY):
    """Return which of ``names`` are loaded when the verb is done."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from python_tsan.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print(*sorted(set({names!r}) & (set(sys.modules) - before)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout
    return done.stderr.splitlines()[-1].split()


def test_a_report_imports_nothing_heavy():
    assert importlib.util.find_spec("typing_extensions")
    assert imported("report", str(LOG), names=(*HEAVY, "_hashlib", "inspect")) == []


def test_a_comparison_imports_nothing_heavy(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_bytes(encode_result(runs.run(runs.verdict())))
    files = sorted(map(str, tmp_path.iterdir()))
    assert imported("compare", *files, names=(*HEAVY, "python_tsan.tsan.lexer")) == []


@pytest.mark.parametrize("verb", ["report", "compare", "explain"])
def test_help_imports_no_parser_of_logs(verb):
    parser = ("python_tsan.detect.reading", "python_tsan.tsan.lexer", "python_tsan.locks")
    assert imported(verb, "--help", names=parser) == []


def test_help_of_run_imports_no_detector():
    detectors = ("elftools", "python_tsan.tsan.lexer", "python_tsan.detect.locks", "python_tsan.checking.execution")
    assert imported("run", "--help", names=detectors) == []


def test_the_list_is_compared_with_what_is_loaded():
    assert imported("report", str(LOG), names=(*HEAVY, LIGHT)) == [LIGHT]


@pytest.mark.parametrize("last", [True, False])
def test_the_end_of_a_process_looks_through_no_objects(last):
    code = (
        "import gc, sys\nfrom python_tsan.cli.main import main\n"
        f"main({'' if last else 'sys.argv[1:]'})\nprint(gc.get_freeze_count() > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, "cmake-dir"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(last)
