import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from python_tsan import process
from python_tsan.result.model import SharedObject
from python_tsan.running import watch as watch_module
from python_tsan.running.audit import downgrades, inspect_objects, is_system, two_runtimes, watched_objects
from python_tsan.running.watch import GroupWatch, _Sample, mapped_code


def shared(path, *, instrumented=False):
    return SharedObject(path=path, instrumented=instrumented)


def test_the_program_and_its_libraries_are_read_once_each():
    objects = inspect_objects(["/bin/ls", "/bin/ls", "/nothing"])
    assert [(each.path, each.instrumented) for each in objects] == [("/bin/ls", False), ("/nothing", None)]
    assert len(objects[0].build_id) >= 32


def test_a_version_is_that_of_the_wheel_or_of_the_name_behind_the_link(tmp_path):
    site = tmp_path / "lib" / "site-packages"
    for folder in ("numpy/core", "numpy.libs", "numpy-2.5.5.dist-info"):
        (site / folder).mkdir(parents=True)
    for name in ("numpy/core/_x.so", "numpy.libs/libblas.so"):
        (site / name).write_bytes(b"x")
    (tmp_path / "libz.so.1.2.13").write_bytes(b"x")
    (tmp_path / "libz.so").symlink_to("libz.so.1.2.13")
    paths = [site / "numpy/core/_x.so", site / "numpy.libs/libblas.so", tmp_path / "libz.so", Path("/bin/ls")]
    assert [each.version for each in inspect_objects(map(str, paths))] == ["2.5.5", "2.5.5", "1.2.13", ""]


@pytest.mark.parametrize(
    ("path", "system"),
    [
        ("/lib/x86_64-linux-gnu/libc.so.6", True),
        ("/lib64/ld-linux-x86-64.so.2", True),
        ("/usr/lib/libstdc++.so.6", True),
        ("/usr/lib/libtsan.so.2", True),
        ("/usr/lib/libcrypto.so.3", False),
        ("/opt/libcurl.so.4", False),
        ("/opt/libpython3.13.so.1.0", False),
    ],
)
def test_only_the_runtime_of_the_language_is_the_systems(path, system):
    assert is_system(path) is system


def test_uninstrumented_code_takes_from_a_verdict_in_words():
    said = list(
        downgrades(
            (
                shared("/p", instrumented=True),
                shared("/lib/libc.so.6"),
                shared("/opt/libpython3.12.so.1.0"),
                shared("/opt/liba.so"),
                shared("/opt/unreadable.so", instrumented=None),
            )
        )
    )
    assert said == [
        "libpython3.12.so.1.0 is not instrumented: accesses inside CPython itself were not seen.",
        "liba.so is not instrumented: accesses inside it were not seen.",
        "unreadable.so could not be read, so nothing is known of it.",
    ]
    assert not list(downgrades((shared("/p", instrumented=True), shared("/lib/libm.so.6"))))


def test_many_blind_objects_are_counted():
    (said,) = downgrades(tuple(shared(f"/opt/lib{number}.so") for number in range(8)))
    assert said.startswith("lib0.so, lib1.so, lib2.so, lib3.so, lib4.so and 3 more are not instrumented")


def test_one_runtime_is_no_mixture():
    assert two_runtimes(["/bin/ls", "/nothing", "/etc/passwd"]) == ""


def test_a_program_next_to_the_one_that_is_judged_does_not_count():
    assert watched_objects(["/bin/ls", "/opt/liba.so.1"]) == ["/opt/liba.so.1"]


def test_what_a_process_maps_is_seen_while_it_runs():
    sleeper = subprocess.Popen(["/bin/sleep", "30"], process_group=0)
    try:
        with GroupWatch() as watch:
            watch.start(sleeper.pid)
            limit = time.monotonic() + 10
            while not watch.paths and time.monotonic() < limit:
                time.sleep(0.02)
        assert any(Path(path).name == "sleep" for path in watch.paths)
        assert any("libc" in path for path in watch.paths)
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize(
    ("slept", "waited", "needed"),
    [
        ((0, 0), (0.0, 4.5), 4.6),  # it computes, and others have the processor
        ((0, 900), (0.0, 4.5), 0.1),  # it waits for the GIL, and wakes late each time
        ((3, 3), (1.0, 1.0), 0.1),
    ],
)
def test_the_time_counts_in_which_a_thread_was_ready_and_did_not_sleep(monkeypatch, slept, waited, needed):
    samples = iter(
        _Sample(time=10.0 + 6.0 * index, used=2.0 + 0.1 * index, waits={7: (waited[index], slept[index])})
        for index in range(2)
    )
    monkeypatch.setattr(watch_module, "_sample", lambda _pgid: next(samples))
    with GroupWatch() as watch:
        watch._needed.append(watch_module._sample(1))
        assert watch.recent_cpu(1) == pytest.approx((needed, 6.0))


def test_a_thread_that_came_or_went_does_not_count():
    assert process.group_waits(2**22 + 1) == {}
    mine = process.group_waits(os.getpgrp())
    assert os.getpid() in mine
    assert all(seconds >= 0 and slept >= 0 for seconds, slept in mine.values())


def test_a_watch_that_was_never_started_ends_at_once():
    with GroupWatch() as watch:
        pass
    assert watch.paths == ()


def test_only_code_is_mapped_code():
    mine = list(mapped_code(os.getpid()))
    assert str(Path(sys.executable).resolve()) in mine
    assert all(path.startswith("/") for path in mine)
    assert list(mapped_code(2**22 + 1)) == []
