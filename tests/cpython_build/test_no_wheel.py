"""A numpy that has no wheel for the interpreter: refused by the real installer, before its source is run."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fake_build import RECORD, describe, make_toolchain, settings_for

from python_tsan.cpython.manifest import read_manifest
from python_tsan.cpython.numpy.wheel import NumpyChoice, install_numpy, place_wheel
from python_tsan.cpython.planning import make_plan
from python_tsan.cpython.tools import find_uv, uv_install
from python_tsan.errors import BuildError
from python_tsan.paths import Layout, default_root
from python_tsan.version import minor_of

VERSION = "9.9.9"
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "trap"\nbackend-path = ["."]\n'
METADATA = f"Metadata-Version: 2.2\nName: numpy\nVersion: {VERSION}\n"


def sdist(sprung):
    """Return a source archive whose build leaves a mark for every request."""
    trap = f"open({str(sprung)!r}, 'w').close()\nraise SystemExit('the source was run')\n"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in (("pyproject.toml", PYPROJECT), ("trap.py", trap), ("PKG-INFO", METADATA)):
            member = tarfile.TarInfo(f"numpy-{VERSION}/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


@pytest.fixture
def sprung(tmp_path, monkeypatch):
    """Let installers ask an index that has numpy's source alone; return the file that shows that the source was run."""
    mark, files = tmp_path / "sprung", tmp_path / "simple" / "numpy"
    files.mkdir(parents=True)
    name = f"numpy-{VERSION}.tar.gz"
    (files / name).write_bytes(sdist(mark))
    (files / "index.html").write_text(f'<a href="{name}">{name}</a>')
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever).start()
        for variable in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
            monkeypatch.delenv(variable)
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
        yield mark
        server.shutdown()


@pytest.fixture(params=[False, True], ids=["gil", "free-threaded"])
def interpreter(request, tmp_path):
    """Return an interpreter as a build leaves it; uv can ask its executable, which is the one of this process."""
    toolchain, prefix = make_toolchain(), tmp_path / "prefix"
    plan = make_plan(settings_for(tmp_path), RECORD, toolchain, libc="glibc-2.36")
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python3.13").symlink_to(sys.executable)
    found = describe(plan, RECORD, toolchain, staged=prefix, final=prefix)
    return dataclasses.replace(found, free_threaded=request.param)


def test_a_numpy_without_wheel_is_refused_before_its_source_is_run(interpreter, sprung, tmp_path, console):
    settings = settings_for(tmp_path, numpy=VERSION)
    with pytest.raises(
        BuildError, match=rf"numpy {VERSION} has no wheel for .*Python 3\.13\.\d+, and no source build was requested"
    ) as told:
        install_numpy(interpreter, settings, layout=Layout(root=tmp_path / "cache"), console=console)
    assert "\n" not in told.value.message
    assert f"numpy=={VERSION}" in told.value.evidence.read_text()
    assert not sprung.exists()
    assert not list((interpreter.standard_library / "site-packages").glob("numpy*"))


def test_a_wheel_without_the_abi_tag_of_the_build_is_refused_in_one_line(interpreter, sprung, tmp_path, console):
    """The interpreter here has a GIL, and the only wheel has the tag of free-threaded ones; the reverse is the same."""
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    name = f"numpy-{VERSION}-{tag}-{tag}t-{sysconfig.get_platform().replace('-', '_')}.whl"
    (tmp_path / "simple" / "numpy" / "index.html").write_text(f'<a href="{name}">{name}</a>')
    settings = settings_for(tmp_path, numpy=VERSION)
    kind = "free-threaded Python" if interpreter.free_threaded else "Python"
    with pytest.raises(BuildError, match=rf"^numpy {VERSION} has no wheel for {kind} 3\.13\.\d+, and no .* requested$"):
        install_numpy(interpreter, settings, layout=Layout(root=tmp_path / "cache"), console=console)
    assert not sprung.exists()


def free_threaded_builds():
    folders = (default_root() / "interpreters").glob("3.*t-*")
    return [found for folder in sorted(folders) if (found := read_manifest(folder)) and found.free_threaded]


@pytest.mark.skipif(not free_threaded_builds(), reason="there is no free-threaded build here")
def test_a_wheel_without_t_is_refused_for_a_free_threaded_build(sprung, tmp_path):
    interpreter = free_threaded_builds()[0]
    tag = f"cp{minor_of(interpreter.version).replace('.', '')}"
    name = f"numpy-{VERSION}-{tag}-{tag}-{sysconfig.get_platform().replace('-', '_')}.whl"
    (tmp_path / "simple" / "numpy" / "index.html").write_text(f'<a href="{name}">{name}</a>')
    choice = NumpyChoice(version=VERSION, requirements=f"numpy=={VERSION}\n", hashed=False)
    log = tmp_path / "log"
    with pytest.raises(
        BuildError, match=rf"^numpy {VERSION} has no wheel for free-threaded Python 3\.\d+\.\w+, and no"
    ):
        place_wheel(interpreter, choice, tmp_path / "site", log)
    assert "has no wheels with a free-thread" in log.read_text()
    assert not sprung.exists()
    assert not list((tmp_path / "site").iterdir())


def test_the_trap_works(sprung, tmp_path):
    """Without the option that is asserted above, the same installer runs the same source."""
    lock = tmp_path / "numpy.txt"
    lock.write_text(f"numpy=={VERSION}\n")
    command = [str(word) for word in uv_install(lock, hashed=False)]
    allowed = [word for word in command if word not in {"--only-binary", ":all:"}]
    assert len(allowed) == len(command) - 2
    target = ["--target", str(tmp_path / "out"), "--python", sys.executable]
    ended = subprocess.run([*allowed, *target], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert sprung.exists()
    assert find_uv().name in command[0]
