"""Libraries that the loader must find, wherever the cache lies."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from python_tsan.process import preloading


def test_libraries_come_before_the_users_own():
    assert preloading([Path("/a/x.so"), Path("/b/y.so")], {"LD_PRELOAD": "/c/theirs.so", "LD_LIBRARY_PATH": "/d"}) == {
        "LD_PRELOAD": "/a/x.so:/b/y.so:/c/theirs.so"
    }


def test_a_folder_with_a_blank_is_searched_last():
    assert preloading([Path("/my cache/x.so"), Path("/b/y.so")], {"LD_LIBRARY_PATH": "/d"}) == {
        "LD_PRELOAD": "x.so:/b/y.so",
        "LD_LIBRARY_PATH": "/d:/my cache",
    }
    assert preloading([Path("/my cache/x.so")], {})["LD_LIBRARY_PATH"] == "/my cache"


def test_what_is_there_already_is_not_named_twice():
    once = preloading([Path("/my cache/x.so")], {})
    assert preloading([Path("/my cache/x.so")], once) == once


@pytest.mark.parametrize("name", ["plain", "with a blank", "Caché 日本"])
def test_the_real_loader_finds_it(name, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc") or pytest.skip("no C compiler")
    folder = tmp_path / name
    folder.mkdir()
    library = folder / "libsays_hello.so"
    code = (
        '#include <unistd.h>\n__attribute__((constructor)) static void hello(void) { (void)!write(1, "hello\\n", 6); }'
    )
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-o", library, "-"]
    subprocess.run(command, input=code, text=True, check=True, timeout=60)
    env = {**os.environ, **preloading([library], os.environ)}
    done = subprocess.run([shutil.which("true")], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("hello\n", "")
