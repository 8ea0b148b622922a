"""The bench: ratios, limits, the table, and taking it up again."""

from __future__ import annotations

import dataclasses

import pytest
from fake_build import make_toolchain

from tools.bench.measure import Bench, measure, prefix_size, recipe_commands
from tools.bench.model import COLUMNS, Machine, Measurement, Part, Report, limit, met, rows, share_of_recipe
from tools.bench.store import load, save, this_machine

MACHINE = Machine(cpu="a processor", cores=2, memory=8 * 2**30, kernel="6.1", load=0.1)


def report(**seconds):
    measurements = tuple(Measurement(part=Part(name), seconds=value) for name, value in seconds.items())
    return Report(machine=MACHINE, subject="key", measurements=measurements)


@pytest.fixture
def bench(tmp_path):
    return Bench(
        folder=tmp_path / "bench",
        source=tmp_path / "source",
        archive=tmp_path / "x.tar.xz",
        toolchain=make_toolchain(),
        jobs=2,
        say=lambda _text: None,
    )


def test_shares_are_of_the_recipes_wall_time():
    found = report(recipe=400.0, cold=96.0, warm=20.0)
    assert share_of_recipe(Part.COLD, found) == 0.24
    assert met(Part.COLD, found) is True
    assert met(Part.WARM, found) is False
    assert share_of_recipe(Part.RECIPE, found) is None


def test_nothing_is_judged_without_its_measurement():
    assert met(Part.COLD, report(cold=96.0)) is None
    assert met(Part.SIZE, report()) is None


def test_seconds_and_bytes_are_judged_without_a_recipe():
    size = Measurement(part=Part.SIZE, bytes=80 * 10**6)
    assert met(Part.SIZE, report().replacing(size)) is True
    assert met(Part.SIZE, report().replacing(dataclasses.replace(size, bytes=80 * 10**6 + 1))) is False
    assert met(Part.NOTHING, report(nothing=3.01)) is False
    assert (limit(Part.COLD), limit(Part.NOTHING), limit(Part.SIZE), limit(Part.RECIPE)) == (
        "0.24 x",
        "3 s",
        "80 MB",
        "",
    )


def test_table_has_a_row_for_each_part_and_says_what_failed():
    failed = Measurement(part=Part.WARM, failed="make ended with exit code 2")
    table = rows(report(recipe=400.0, cold=100.0).replacing(failed))
    assert len(table) == len(Part)
    assert {len(row) for row in table} == {len(COLUMNS)}
    cold, warm, nothing = table[1], table[2], table[3]
    assert cold[1:] == ["100.0 s", "0.0 s", "0.250 x", "0.24 x", "no"]
    assert warm[1] == "failed: make ended with exit code 2"
    assert nothing[1] == "not measured"


def test_a_measurement_replaces_the_one_before_and_keeps_the_order():
    found = report(warm=1.0, recipe=2.0).replacing(Measurement(part=Part.WARM, seconds=3.0))
    assert [(entry.part, entry.seconds) for entry in found.measurements] == [(Part.RECIPE, 2.0), (Part.WARM, 3.0)]


def test_kept_measurements_are_of_this_subject_and_machine(tmp_path):
    path = tmp_path / "bench.json"
    save(report(recipe=2.0), path)
    assert load(path, subject="key", machine=MACHINE).get(Part.RECIPE).seconds == 2.0
    busy = dataclasses.replace(MACHINE, load=3.0)
    assert load(path, subject="key", machine=busy).get(Part.RECIPE)
    assert load(path, subject="other", machine=MACHINE).measurements == ()
    assert load(path, subject="key", machine=dataclasses.replace(MACHINE, cores=64)).measurements == ()
    path.write_text("{")
    assert load(path, subject="key", machine=MACHINE).measurements == ()


def test_this_machine_is_named_by_its_processor():
    assert this_machine("model name\t: A Processor @ 2 GHz\nflags: x\n").cpu == "A Processor @ 2 GHz"
    assert this_machine().cores >= 1


def test_recipe_is_the_original_one(bench):
    names = [name for name, _ in recipe_commands(bench)]
    assert names == ["configure", "make", "make install", "pip install numpy"]
    configure = recipe_commands(bench)[0][1]
    assert "CFLAGS=-fsanitize=thread -g -O1 -fno-omit-frame-pointer" in configure
    assert {"--disable-optimizations", "--with-pydebug", "--enable-shared"} <= set(configure)


def test_recipe_is_run_in_order_and_timed(bench, tmp_path):
    (tmp_path / "source").mkdir()
    configure = tmp_path / "source" / "configure"
    configure.write_text(
        "#!/bin/sh\nprefix=${1#--prefix=}; mkdir -p $prefix/bin; printf '#!/bin/sh\\n' > $prefix/bin/python3\n"
        "chmod +x $prefix/bin/python3; printf 'all:\\ninstall:\\n' > Makefile\n"
    )
    configure.chmod(0o755)
    found = measure(Part.RECIPE, bench)
    assert found.failed == ""
    assert list(found.steps) == ["configure", "make", "make install", "pip install numpy"]
    assert found.seconds == pytest.approx(sum(found.steps.values()))
    assert not (bench.folder / "recipe").exists()


def test_a_failing_step_is_a_result(bench, tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "configure").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "source" / "configure").chmod(0o755)
    assert "configure ended with exit code 3" in measure(Part.RECIPE, bench).failed


def test_what_follows_the_cold_build_says_so(bench):
    assert "follows cold" in measure(Part.WARM, bench).failed
    assert "follows cold" in measure(Part.SIZE, bench).failed


def test_size_counts_each_file_once_and_no_packages(tmp_path):
    (tmp_path / "lib" / "site-packages").mkdir(parents=True)
    (tmp_path / "lib" / "a").write_bytes(b"x" * 8192)
    (tmp_path / "lib" / "b").hardlink_to(tmp_path / "lib" / "a")
    (tmp_path / "lib" / "site-packages" / "c").write_bytes(b"x" * 8192)
    assert prefix_size(tmp_path) == 8192
