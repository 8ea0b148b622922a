from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap

import pytest

from python_tsan.console import Console
from python_tsan.errors import ToolchainError
from python_tsan.paths import Layout
from python_tsan.toolchain import choose_toolchain, selection, survey
from python_tsan.toolchain.model import Rejection
from python_tsan.toolchain.search import Places


@pytest.fixture
def console():
    return Console(out=io.StringIO(), err=io.StringIO(), env={})


@pytest.fixture
def machine(monkeypatch):
    """Make these fakes the only compilers of the machine."""

    def only(*fakes):
        where = Places(folders=tuple(fake.folder / "bin" for fake in fakes))
        monkeypatch.setattr(selection, "places", lambda _: where)

    return only


@pytest.fixture
def choose(layout, console):
    return lambda wanted=None: choose_toolchain(wanted, layout=layout, console=console)


def test_the_newest_clang_is_chosen_and_gcc_never_compiles(make_fake, machine, choose):
    clang, older, gcc = make_fake(), make_fake("clang-18", number="18.1.0"), make_fake("gcc-14", number="14.1.0")
    machine(gcc, older, clang)
    assert choose().name == "clang-19"
    assert not any(" -c " in call for call in (*gcc.calls, *older.calls))


def test_gcc_is_the_fallback_when_no_clang_serves(make_fake, machine, choose):
    machine(make_fake(runtime=False), make_fake("gcc-12", number="12.2.0"))
    assert choose().name == "gcc-12"


@pytest.mark.parametrize("wanted", ["gcc", "gcc-12", "gcc-12.2"])
def test_a_requested_compiler_overrides_the_order(make_fake, machine, choose, wanted):
    machine(make_fake(), make_fake("gcc-12", number="12.2.0"))
    assert choose(wanted).name == "gcc-12"


def test_a_path_outside_the_search_is_taken(make_fake, machine, choose):
    machine(make_fake())
    outside = make_fake("gcc-13", number="13.2.0")
    assert choose(str(outside.candidate.cc)).candidate == outside.candidate


def test_a_requested_compiler_that_fails_is_never_replaced(make_fake, machine, choose):
    machine(make_fake(runtime=False), make_fake("gcc-12", number="12.2.0"))
    with pytest.raises(ToolchainError, match="'clang' does not work") as caught:
        choose("clang")
    assert caught.value.evidence.is_file()


@pytest.mark.parametrize("wanted", ["clang-99", "icc", "/no/such/cc"])
def test_an_unknown_name_is_an_error_with_the_list(make_fake, machine, choose, wanted):
    machine(make_fake())
    with pytest.raises(ToolchainError, match=r"found: clang-19 \(19\.1\.7"):
        choose(wanted)


def test_no_compiler_at_all_is_an_error(machine, choose):
    machine()
    with pytest.raises(ToolchainError, match="no C\\+\\+ compiler on this machine"):
        choose()


def test_the_second_time_no_compiler_is_started(make_fake, machine, choose):
    fakes = [make_fake(runtime=False), make_fake("gcc-12", number="12.2.0")]
    machine(*fakes)
    first = choose()
    before = [fake.calls for fake in fakes]
    assert choose() == first
    assert [fake.calls for fake in fakes] == before


def test_a_changed_runtime_is_probed_again(make_fake, machine, choose):
    fake = make_fake()
    machine(fake)
    first = choose()
    (fake.folder / "lib" / "runtime").write_bytes(b"\x7fELF another runtime")
    assert choose().runtime_id != first.runtime_id


def test_a_runtime_that_was_installed_since_is_seen(make_fake, machine, choose):
    fake = make_fake(runtime=False)
    machine(fake)
    with pytest.raises(ToolchainError):
        choose()
    whole = make_fake("clang-19.1")
    for name in ("clang-19", "clang++-19"):
        text = (whole.folder / "bin" / name.replace("19", "19.1")).read_text()
        (fake.folder / "bin" / name).write_text(text)
    assert choose().runtime.is_file()


def test_a_partner_that_was_installed_since_is_seen(make_fake, machine, choose):
    fake = make_fake(cxx=False)
    machine(fake)
    with pytest.raises(ToolchainError, match=r"no C\+\+ compiler in its folder"):
        choose()
    partner = fake.folder / "bin" / "clang++-19"
    partner.write_text(fake.candidate.cc.read_text())
    partner.chmod(0o755)
    assert choose().candidate.cxx == partner


def test_a_crash_is_looked_into_again_every_time(make_fake, machine, choose, tmp_path):
    machine(make_fake(safe=f"[ -e {tmp_path}/fixed ] || exit 9"))
    with pytest.raises(ToolchainError, match="crashed"):
        choose()
    (tmp_path / "fixed").touch()
    assert choose().name == "clang-19"


def test_a_damaged_memory_is_made_again(make_fake, machine, choose, layout):
    machine(make_fake())
    first = choose()
    for path in layout.probes.iterdir():
        path.write_text("damage")
    assert choose() == first


def test_a_cache_that_cannot_be_written_is_an_os_error_with_its_path(make_fake, machine, console, tmp_path):
    machine(make_fake())
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        choose_toolchain(None, layout=Layout(root=tmp_path / "file"), console=console)


def test_a_survey_shows_every_compiler_and_raises_nothing(make_fake, machine, layout, console):
    machine(make_fake("gcc-12", number="12.2.0"), make_fake(runtime=False))
    seen = survey(layout=layout, console=console)
    assert [(probe.candidate.name, probe.rejection) for probe in seen.probes] == [
        ("clang-19", Rejection.NO_RUNTIME),
        ("gcc-12", None),
    ]
    assert seen.chosen.name == "gcc-12"
    assert "no clang does" in seen.why
    machine()
    assert survey(layout=layout, console=console).chosen is None


def test_a_survey_looks_into_rejections_again_and_trusts_successes(make_fake, machine, layout, console):
    good, bad = make_fake("gcc-12", number="12.2.0"), make_fake(runtime=False)
    machine(good, bad)
    survey(layout=layout, console=console)
    before = (len(good.calls), len(bad.calls))
    survey(layout=layout, console=console)
    assert len(good.calls) == before[0]
    assert len(bad.calls) > before[1]


def test_a_survey_for_a_requested_name_chooses_only_that(make_fake, machine, layout, console):
    machine(make_fake("gcc-12", number="12.2.0"), make_fake())
    assert survey("gcc", layout=layout, console=console).chosen.name == "gcc-12"
    unknown = survey("clang-99", layout=layout, console=console)
    assert unknown.chosen is None
    assert len(unknown.probes) == 2


@pytest.mark.compiler
def test_a_warm_choice_on_this_machine_probes_nothing_and_loads_no_terminal(layout, console):
    first = choose_toolchain(None, layout=layout, console=console)
    assert choose_toolchain(None, layout=layout, console=console) == first
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from python_tsan.console import make_console
        from python_tsan.paths import Layout
        from python_tsan.toolchain import choose_toolchain
        choose_toolchain(None, layout=Layout(root=Path({str(layout.root)!r})), console=make_console())
        sys.exit("rich" in sys.modules or "python_tsan.toolchain.probe" in sys.modules)
    """)
    assert subprocess.run([sys.executable, "-c", program], env=os.environ, check=False).returncode == 0
