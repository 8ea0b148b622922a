"""Every verb that reads a file gets every kind of hostile file: the right exit code, at once, and nothing is obeyed."""

from __future__ import annotations

import os
import re
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fake_build import make_toolchain
from hostile_files import CONTENTS, LOG, NAMES, PLACES

from python_tsan import pipeline
from python_tsan.cli.failures import LONGEST_MESSAGE
from python_tsan.cli.main import main
from python_tsan.errors import ToolchainError
from python_tsan.running import preparation

pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).parents[2]

SECONDS = 10.0  # of the processor, which does not depend on what else the machine does
MEGABYTES = 240  # more than before the call; a bare process has less than 60, so that a verb stays under 300
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
WRITING = os.O_WRONLY | os.O_RDWR
EMPTY = ("empty", "blank")
NOT_TEXT = ("binary", "elf", "gzip_cut", "zstd_cut", "nul", "escapes", "long_line")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command line, the name of its file, its exit code for most kinds, and that for the others.

    A file in a folder is hostile inside of a folder that the command line names.
    """

    words: str
    code: int
    others: dict[str, int] = field(default_factory=dict)
    name: str = "input"
    places: int = 2


def codes(code, *kinds):
    return dict.fromkeys(kinds, code)


LINKS = ("fifo", "socket", "zero", "null", "full", "folder", "dangling", "loop", "missing", "below_a_file")
ABSENT = codes(2, "dangling", "missing", "below_a_file")
UNUSABLE = codes(2, *LINKS, "long_name", "long_path")
CASES = [
    Case(words="report {}", code=6, others=codes(2, *NOT_TEXT) | codes(1, "log_cut", "huge_numbers")),
    Case(words="report {} --format html", code=6, others=codes(2, *NOT_TEXT) | codes(1, "log_cut", "huge_numbers")),
    Case(words="explain abcd1234 --log {}", code=2),
    Case(words="compare {}", code=6, others=UNUSABLE, places=6),
    Case(words="merge {}", code=6, others=UNUSABLE, places=6),
    Case(words="replay {}", code=6, others=ABSENT | codes(2, "long_name", "long_path", "folder"), places=6),
    Case(words="imports show {}", code=6, others=ABSENT, places=6),
    Case(words="gil summary {}", code=2),
    Case(words="gil why os {}", code=2),
    Case(words="gil timeline {} --output out.html", code=2),
    Case(words="gil compare {} {}", code=2),
    Case(words="run --baseline {} -- true", code=2),
    Case(words="run --expect {} -- true", code=2),
    Case(words="run --suppressions {} -- true", code=2, others=codes(6, *EMPTY)),
    Case(words="run -- ./{}", code=6, places=6),
    Case(words="build --from {}", code=4, others=UNUSABLE | codes(6, "read_error"), places=4),
    Case(words="build --print-key --source {}", code=4),
    Case(words="matrix --resume {}", code=2, others=codes(6, "loop", "long_name", "long_path")),
    Case(
        words="test-python --resume {}", code=6, others=ABSENT | codes(2, "long_name", "long_path", "folder"), places=6
    ),
    # The last word asks for a Python that is not there, so that valid settings go no further.
    Case(
        words="imports scan colorsys --python ./no-python",
        code=2,
        others=codes(6, *EMPTY, "missing"),
        name="python-tsan.toml",
    ),
]
NO_FILE = ("dangling", "missing")
IN_FOLDERS = [
    Case(words="report sub", code=6, others=codes(2, *LINKS) | codes(6, "below_a_file"), name="sub/run.json", places=6),
    Case(
        words="explain abcd1234 --log sub",
        code=6,
        others=codes(6, "read_error", "sparse", "sparse_below_the_limit", "unreadable"),
        name="sub/run.json",
    ),
    Case(words="compare sub", code=6, others=codes(2, "folder", "missing"), name="sub/run.json", places=6),
    Case(words="merge sub", code=6, others=codes(2, "folder", *NO_FILE), name="sub/run.json", places=6),
    Case(words="replay sub", code=6, others=codes(2, *NO_FILE), name="sub/replay.json", places=6),
    Case(words="matrix --resume sub", code=6, others=codes(2, *NO_FILE), name="sub/matrix.json", places=6),
    Case(words="test-python --resume sub", code=6, others=codes(2, *NO_FILE), name="sub/run.json", places=6),
]
# Not a Python, not a program, not a folder, and a list that cannot be read
OTHER_WORDS = [
    Case(words="imports scan colorsys --python ./{}", code=6, places=6),
    Case(words="imports confirm colorsys this --python ./{}", code=6, places=6),
    Case(words="imports preimport colorsys --python ./{}", code=6, places=6),
    Case(
        words="imports preimport colorsys --check {} --python ./no-python",
        code=6,
        others=codes(2, "below_a_file"),
        places=6,
    ),
    Case(words="imports scan colorsys --path {} --python ./no-python", code=2, others=codes(6, "folder")),
    Case(words="imports watch --quiet -- ./{}", code=6, places=6),
    Case(words="interpreter --python ./{}", code=2),
    Case(words="run --python ./{} -- true", code=2),
    Case(words="report plain.log --own {} --format html", code=1, places=1),
]
CASES += [*IN_FOLDERS, *OTHER_WORDS]
KINDS = [*CONTENTS, *PLACES]


@pytest.fixture(scope="module")
def written():
    """Return the list of the paths that this process opens for writing, makes, renames or deletes."""
    paths = []

    def note(event, arguments):
        if arguments and isinstance(arguments[0], int):  # a file that is open already
            return
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if opened or event in {"os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod"}:
            paths.append(arguments[0])
        elif event in {"os.rename", "os.link", "os.symlink"}:
            paths.extend(arguments[:2])

    sys.addaudithook(note)
    return paths


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder, where also caches, temporary files and the home folder are; there is no compiler."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "TMPDIR", "PYTHON_TSAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    (tmp_path / "tmpdir").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)

    def no_compiler(*_arguments, **_named):
        raise ToolchainError("no compiler")

    (tmp_path / "plain.log").write_bytes(LOG)
    monkeypatch.setattr(preparation, "choose_toolchain", no_compiler)
    monkeypatch.setattr(pipeline, "choose_toolchain", lambda *_arguments, **_named: make_toolchain())
    return tmp_path


def make(folder, kind, name):
    """Make the file of a kind, and return the name to give."""
    name = NAMES.get(kind, name)
    if kind in CONTENTS:
        (folder / name).write_bytes(CONTENTS[kind])
    else:
        PLACES[kind](folder / name)
    return name


def expected(case, kind):
    return case.others.get(kind, case.code if kind in CONTENTS else case.places)


def megabytes(field):
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


def is_outside(path, folder):
    if Path(os.fsdecode(path)).name == "__pycache__":  # of our own modules, when they are imported first
        return False
    return not os.path.abspath(os.fsdecode(path)).startswith((f"{folder}", "/dev/", "/proc/"))  # noqa: PTH100


@pytest.fixture
def bounded_memory():
    """Limit the address space, so that what reads an endless file ends; return a count of the growth from here.

    The process runs other tests too, so its whole size says nothing of one verb.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, before[1]))
    Path("/proc/self/clear_refs").write_text("5")
    resident = megabytes("VmRSS")
    yield lambda: megabytes("VmHWM") - resident
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words)
def test_hostile_files(case, kind, here, written, capfd, bounded_memory):  # noqa: PLR0917 -- pytest passes them by name
    if (case.name != "input" and kind in NAMES) or (kind == "unreadable" and os.geteuid() == 0):
        pytest.skip("the settings file has a fixed name, and root reads everything")
    (here / case.name).parent.mkdir(exist_ok=True)
    name = make(here, kind, case.name)
    words = [word.format(name, name) for word in case.words.split(" ")]
    written.clear()
    started = time.process_time()
    code = main(words)
    seconds = time.process_time() - started
    outside = [path for path in written if is_outside(path, here)]
    shown = capfd.readouterr()
    assert code == expected(case, kind), shown.err
    assert "an error inside python-tsan" not in shown.err
    assert "Traceback" not in shown.err
    assert not OBEYED.search(shown.out)
    assert not OBEYED.search(shown.err)
    assert len(shown.err) < LONGEST_MESSAGE + 10_000
    assert seconds < SECONDS
    assert bounded_memory() < MEGABYTES
    assert outside == []


# Where a result is to be written: a link leads to its file, a device or pipe stays one, and what cannot be is an error.
OUTPUTS = {
    "null": 1,
    "zero": 1,
    "dangling": 1,
    "missing": 1,
    "sparse": 1,
    "unreadable": 1,
    "folder": 2,
    "below_a_file": 2,
}
OUTPUTS |= {"long_name": 2, "long_path": 2, "read_error": 2, "sparse_below_the_limit": 1}


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("words", ["report plain.log --format html --output {}", "compare a.json b.json --output {}"])
def test_hostile_places_for_a_result(words, kind, here, written, capfd):
    for run in ("a.json", "b.json"):
        (here / run).write_bytes((ROOT / "docs" / "examples" / "tally_racy.json").read_bytes())
    name = make(here, kind, "input")
    written.clear()
    code = main(words.format(name).split())
    outside = [path for path in written if is_outside(path, here)]
    shown = capfd.readouterr().err
    assert code == OUTPUTS.get(kind, 6), shown
    assert "an error inside python-tsan" not in shown
    assert outside == []
    if kind in {"null", "zero", "full", "dangling"}:
        assert (here / name).is_symlink()
    assert kind not in {"null", "zero", "full"} or (here / name).is_char_device()
