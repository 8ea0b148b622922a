"""numpy from its source: what decides its key, what Meson gets, and where the source comes from."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fake_build import RECORD, describe, make_toolchain, settings_for

from python_tsan import process
from python_tsan.cpython.locks import numpy_lock
from python_tsan.cpython.manifest import write_manifest
from python_tsan.cpython.numpy import from_source
from python_tsan.cpython.numpy.from_source import build_numpy, find_with_numpy, plan_for
from python_tsan.cpython.numpy.sdist import obtain_sdist
from python_tsan.cpython.numpy.source_plan import OPTIONS, interpreter_script, native_file, setup_command
from python_tsan.cpython.plan import PREFIX_ROOM
from python_tsan.cpython.planning import make_plan
from python_tsan.errors import BuildError, FetchError, UsageError
from python_tsan.paths import Layout


@pytest.fixture
def base(tmp_path):
    """Return an interpreter as a build leaves it, with a numpy wheel that must not be copied."""
    toolchain = make_toolchain()
    plan = make_plan(settings_for(tmp_path), RECORD, toolchain, libc="glibc-2.36")
    prefix = tmp_path / "cache" / "interpreters" / plan.key
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python3.13").write_text(f"#!{prefix}\n")
    (prefix / "lib" / "python3.13" / "site-packages" / "numpy.libs").mkdir(parents=True)
    library = b"\x7fELF" + str(prefix).encode() + bytes(PREFIX_ROOM) + b"code"
    (prefix / "lib" / "libpython3.13d.so.1.0").write_bytes(library)
    found = describe(plan, RECORD, toolchain, staged=prefix, final=prefix)
    write_manifest(found, prefix)
    return found


@pytest.fixture
def layout(tmp_path):
    return Layout(root=tmp_path / "cache")


def test_the_key_names_everything_that_decides(base, tmp_path):
    plan = plan_for(base, settings_for(tmp_path), make_toolchain())
    lock = numpy_lock("3.13", free_threaded=False)
    assert plan.key.startswith(f"{base.key}-numpy-{lock.version}-")
    assert "5cddc243c75114ba845f01b1f87aca1572dbf7b6c2d88636ed3e1d2bccd7f1bf" in plan.hashes
    changes = {
        "hashes": ("0" * 64,),
        "interpreter": "another",
        "flags": "-O3",
        "options": (*OPTIONS, "-Dx=y"),
        "tools": "0",
        "schema": 0,
    }
    keys = {dataclasses.replace(plan, **{name: value}).key for name, value in changes.items()}
    assert len(keys | {plan.key}) == len(changes) + 1


def test_free_threaded_3_13_gets_the_numpy_that_knows_it(base, tmp_path):
    threaded = dataclasses.replace(base, free_threaded=True)
    assert plan_for(threaded, settings_for(tmp_path), make_toolchain()).archive == "numpy-2.3.5.tar.gz"


def test_a_version_without_hashes_is_not_built(base, tmp_path):
    with pytest.raises(UsageError, match=r"numpy 2\.1\.0 is not locked"):
        plan_for(base, settings_for(tmp_path, numpy="2.1.0"), make_toolchain())


def test_meson_gets_the_sanitizer_and_nothing_of_this_machine(base, tmp_path):
    plan = plan_for(base, settings_for(tmp_path), make_toolchain())
    command = [str(word) for word in setup_command(["python3"], tmp_path / "numpy-2", tmp_path / "build", plan)]
    assert command[0] == "python3"
    assert "-Db_sanitize=thread" in command
    assert "-Dblas=none" in command
    flags = next(word for word in command if word.startswith("-Dc_args="))
    assert "-fsanitize=thread" in flags
    assert "-ffile-prefix-map=../numpy-2=/numpy" in flags
    assert native_file({"c": ["ccache", "/usr/bin/cc"]}) == "[binaries]\nc = ['ccache', '/usr/bin/cc']\n"


def test_only_the_question_about_itself_goes_to_the_slow_interpreter(tmp_path):
    script = tmp_path / "python"
    script.write_text(interpreter_script(target=["echo", "target"], host=["echo", "host"]))
    script.chmod(0o755)

    def start(*words):
        return subprocess.run([script, *words], capture_output=True, text=True, check=True).stdout.strip()

    assert start("/meson/scripts/python_info.py") == "target /meson/scripts/python_info.py"
    assert start("generate.py", "python_info.py") == "host generate.py python_info.py"
    assert start("-c", "1") == "host -c 1"


@functools.cache  # gzip writes down when it was made
def sdist(version="2.5.5"):
    """Return the bytes of a source archive that is as small as can be."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in ("meson.build", "PKG-INFO"):
            tar.addfile(tarfile.TarInfo(f"numpy-{version}/{name}"), io.BytesIO(b""))
    return out.getvalue()


@pytest.fixture
def index():
    """Serve a package index with one file; ``index.archive`` is what it sends."""

    class Index(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append((self.path, self.headers["Accept"]))
            page = {"files": [{"filename": self.server.file, "url": "../../files/it"}]}
            data = {"/simple/numpy/": json.dumps(page).encode(), "/files/it": self.server.archive}.get(self.path)
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        server.archive, server.file, server.asked = sdist(), "numpy-2.5.5.tar.gz", []
        server.url = f"http://127.0.0.1:{server.server_port}/simple/"
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.fixture
def plan(base, tmp_path):
    found = plan_for(base, settings_for(tmp_path), make_toolchain())
    return dataclasses.replace(found, version="2.5.5", hashes=(hashlib.sha256(sdist()).hexdigest(),))


@pytest.fixture
def fetch(plan, tmp_path, layout, console):
    def call(url, wanted=plan, variable="UV_DEFAULT_INDEX"):
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), variable: url}
        return obtain_sdist(wanted, settings_for(tmp_path), layout=layout, console=console, env=env)

    return call


def test_the_source_comes_from_the_index_once(fetch, index):
    kept = fetch(index.url)
    assert kept.read_bytes() == index.archive
    assert fetch("http://127.0.0.1:1/nobody") == kept
    assert index.asked[0] == ("/simple/numpy/", "application/vnd.pypi.simple.v1+json")
    assert len(index.asked) == 2


@pytest.mark.parametrize("variable", ["UV_INDEX_URL", "PIP_INDEX_URL"])
def test_the_index_is_the_one_of_the_installers(fetch, index, variable):
    assert fetch(index.url, variable=variable).read_bytes() == index.archive


def test_another_source_than_the_locked_one_is_kept_as_evidence(fetch, index):
    index.archive = sdist() + b"x"
    with pytest.raises(FetchError, match="different from what is pinned") as caught:
        fetch(index.url)
    assert caught.value.evidence.read_bytes() == index.archive


def test_an_index_without_it_or_none_at_all_is_a_plain_message(fetch, index):
    index.file = "numpy-1.0.tar.gz"
    with pytest.raises(FetchError, match=r"the index has no numpy-2\.5\.5\.tar\.gz"):
        fetch(index.url)
    with pytest.raises(FetchError, match=r"numpy's source could not be downloaded: 127\.0\.0\.1 cannot be reached"):
        fetch("http://127.0.0.1:1/simple")


def install_plan(build):
    """Return Meson's list of what is installed: a module, its header, and a module of the tests."""
    tags = {"numpy/core.so": "runtime", "numpy/core.h": "devel", "numpy/_tests.so": "tests"}
    return json.dumps({"targets": {f"{build}/{name}": {"tag": tag} for name, tag in tags.items()}})


def test_what_only_numpys_tests_use_is_not_compiled(build, steps):
    build()
    (ninja,) = [words for words in steps if words[0].endswith("ninja")]
    assert ninja[-3:] == ["-j1", "numpy/core.so", "numpy/core.h"]


@pytest.fixture
def steps(monkeypatch, plan, tmp_path):
    """Replace Meson, ninja, the compilers and the interpreter; note the commands."""
    archive = tmp_path / "numpy.tar.gz"
    archive.write_bytes(sdist())

    def run(command, *, cwd=None, stdout=None, **_named):
        words = [str(word) for word in command]
        calls.append(words)
        if "setup" in words:
            (cwd / "build" / "meson-info").mkdir(parents=True)
            (cwd / "build" / "meson-info" / "intro-install_plan.json").write_text(install_plan(cwd / "build"))
        if "--destdir" in words:
            made = cwd / "out" / "lib" / "python3.13" / "site-packages" / "numpy" / "_core"
            made.mkdir(parents=True)
            (made / "_multiarray_umath.so").write_text("")
        if stdout:
            stdout.write_text(f"{plan.version}\n")
        ok = not any(calls.fails and calls.fails in word for word in words)
        return process.Completed(
            command=(), exit_code=0 if ok else 1, timed_out=False, seconds=0, cpu_seconds=0, max_rss_bytes=0
        )

    class Calls(list):
        fails = ""
        instrumented = True

    calls = Calls()
    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(from_source, "plan_for", lambda *_arguments: plan)
    monkeypatch.setattr(from_source, "obtain_sdist", lambda *_arguments, **_named: archive)
    monkeypatch.setattr(from_source, "is_instrumented", lambda _path: calls.instrumented)
    monkeypatch.setattr(from_source, "obtain_cython", lambda *_arguments: tmp_path / "cython")
    return calls


@pytest.fixture
def build(base, tmp_path, layout, console):
    def call(subject=base):
        settings = settings_for(tmp_path)
        return build_numpy(subject, settings, toolchain=make_toolchain(), layout=layout, console=console)

    return call


def test_numpy_gets_a_copy_of_the_interpreter_with_a_key_of_its_own(build, steps, base, plan, layout):
    before = sorted(path.name for path in base.prefix.rglob("*"))
    found = build()
    assert found.key == plan.key
    assert found.prefix == layout.interpreters / plan.key
    assert found.executable.read_text() == f"#!{found.prefix}\n"
    assert found.library.read_bytes().startswith(b"\x7fELF" + bytes(found.prefix) + b"\0")
    site = found.prefix / "lib" / "python3.13" / "site-packages"
    assert sorted(path.name for path in site.iterdir()) == ["numpy", "numpy-2.5.5.dist-info"]
    assert sorted(path.name for path in base.prefix.rglob("*")) == before
    assert find_with_numpy(base, settings_for(layout.root), toolchain=make_toolchain(), layout=layout) == found
    assert not list((layout.work / "artifacts").iterdir())
    assert sys.executable in steps[0]


def test_the_interpreter_may_come_from_another_cache(build, steps, base, tmp_path, layout):
    elsewhere = tmp_path / "elsewhere"
    layout.interpreters.rename(elsewhere)
    moved = elsewhere / base.key
    away = {"prefix": moved, "executable": moved / "bin" / "python3.13"}
    away |= {"library": moved / "lib" / base.library.name, "include": moved / "include"}
    assert build(dataclasses.replace(base, **away)).prefix.parent == layout.interpreters
    assert steps


@pytest.mark.usefixtures("steps")
def test_what_is_there_is_not_built_again(build, steps, console):
    first, count = build(), len(steps)
    assert build() == first
    assert len(steps) == count
    assert "is up to date: built under the sanitizer" in console.notes


@pytest.mark.parametrize("step", ["setup", "ninja", "--destdir", "-c"])
def test_a_step_that_fails_leaves_nothing(build, steps, layout, plan, step):
    steps.fails = step
    with pytest.raises(BuildError):
        build()
    assert not (layout.interpreters / plan.key).exists()
    steps.fails = ""
    assert build().key == plan.key


def test_a_numpy_that_is_not_instrumented_is_not_taken(build, steps):
    steps.instrumented = False
    with pytest.raises(BuildError, match="is not instrumented"):
        build()
