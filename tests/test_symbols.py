import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from python_tsan import process, symbols
from python_tsan.symbols import CFunction, Site, demangled, parse_addr2line, symbolise, variable_names

ANSWERS = """\
0x00000000002cf465: posix_do_stat at ./Modules/posixmodule.c:2557 (discriminator 3)
0x00000000002cf466: portable_lseek at ./Modules/_io/fileio.c:915
 (inlined by) _io_FileIO_tell_impl.constprop.0 at ./Modules/_io/fileio.c:950
 (inlined by) _io_FileIO_tell at ./Modules/_io/clinic/fileio.c.h:300
0x0000000000000001: ?? ??:0
0x00000000002cf467: drop_gil at ??:?
"""


def test_answers_are_read_with_inlined_functions():
    assert parse_addr2line(ANSWERS) == [
        (CFunction("posix_do_stat", "./Modules/posixmodule.c", 2557),),
        (
            CFunction("portable_lseek", "./Modules/_io/fileio.c", 915),
            CFunction("_io_FileIO_tell_impl", "./Modules/_io/fileio.c", 950),
            CFunction("_io_FileIO_tell", "./Modules/_io/clinic/fileio.c.h", 300),
        ),
        (),
        (CFunction("drop_gil", "", 0),),
    ]


LAMBDA = """\
0x000000000000a500: std::thread::_State_impl<std::tuple<f(bool)::{lambda()#1}> >::_M_run() at c.cpp:21
 (inlined by) __invoke<f(bool)::<lambda()> > at /usr/include/c++/12/bits/invoke.h:96
 (inlined by) _M_run at /usr/include/c++/12/bits/std_thread.h:210
"""


def test_a_lambda_is_not_called_like_the_function_of_the_library_that_it_was_inlined_into():
    """GNU addr2line calls it so."""
    ((inner, between, outer),) = parse_addr2line(LAMBDA)
    assert inner == CFunction("operator()", "c.cpp", 21)
    assert between.name == "__invoke<f(bool)::<lambda()> >"
    assert outer.name.startswith("std::thread::_State_impl<")
    assert outer.file.endswith("std_thread.h")


def test_a_library_that_may_not_be_examined_has_no_names():
    """As that of another user; a name that is too long has the same effect for root."""
    place = (f"/{'x' * 300}/lib.so", 16)
    assert symbolise([place])[place].functions == ()


def test_a_place_that_nobody_knows_keeps_its_address():
    place = ("/nonexistent/lib.so", 0x123)
    site = symbolise([place])[place]
    assert site == Site(library="/nonexistent/lib.so", offset=0x123)
    assert site.name == "lib.so+0x123"
    assert site.chain == "lib.so+0x123"


def test_an_address_outside_of_every_function_is_not_given_to_a_neighbour(tmp_path):
    text = tmp_path / "notes.so"
    text.write_text("no library")
    place = (str(text), 5)
    assert symbolise([place])[place].functions == ()
    program = (str(Path(sys.executable).resolve()), 1)
    assert symbolise([program])[program].functions == ()


def test_a_chain_names_inlined_functions_from_the_inside_out():
    site = Site(library="/l.so", offset=1, functions=(CFunction("a", "dir/f.c", 3), CFunction("b")))
    assert site.name == "a"
    assert site.chain == "a (f.c:3) < b"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A library with line tables and the address right after the call in its function `outer`."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or shutil.which("nm") is None:
        pytest.skip("no compiler")
    folder = tmp_path_factory.mktemp("symbols")
    source, made = folder / "code.c", folder / "libcode.so"
    source.write_text("int inner(int);\nint outer(int x) { return inner(x) + 1; }\n")
    subprocess.run([compiler, "-g", "-shared", "-fPIC", source, "-o", made], check=True, cwd=folder)
    listed = subprocess.run(["nm", made], check=True, capture_output=True, text=True).stdout
    (start,) = [int(line.split()[0], 16) for line in listed.splitlines() if line.endswith(" T outer")]
    return str(made), start + 12


def test_a_library_with_line_tables_has_function_file_and_line(library):
    function = symbolise([library])[library].functions[0]
    assert (function.name, Path(function.file).name, function.line) == ("outer", "code.c", 2)


@pytest.mark.parametrize("broken", ["missing", "fails", "cannot be started"])
def test_without_addr2line_the_symbol_table_names_the_function(library, broken, monkeypatch):
    def run(_command, *, timeout):
        if broken == "fails":
            return real(["false"], timeout=timeout)
        raise OSError(8, "Exec format error")

    real = process.run
    monkeypatch.setattr(process, "run", run)
    if broken == "missing":
        monkeypatch.setattr(symbols.shutil, "which", lambda _: None)
    assert symbolise([library])[library].functions == (CFunction("outer"),)


def test_an_answer_for_each_address_only_is_used(monkeypatch, library):
    done = process.run([sys.executable, "-c", "print('garbage')"], timeout=60)
    monkeypatch.setattr(process, "run", lambda *_, **__: done)
    assert symbolise([library])[library].functions == (CFunction("outer"),)


@pytest.mark.parametrize("name", ["f.constprop.0", "f.isra.3", "f.part.1.cold", "f.lto_priv.0", "f.llvm.12345", "f"])
def test_what_a_compiler_adds_to_a_name_is_removed(name):
    assert parse_addr2line(f"0x1: {name} at f.c:1") == [(CFunction("f", "f.c", 1),)]


@pytest.fixture(scope="module")
def variables(tmp_path_factory):
    """A library with a static variable in a namespace, and the address of that."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or shutil.which("nm") is None or not (shutil.which("c++filt") or shutil.which("llvm-cxxfilt")):
        pytest.skip("no compiler")
    folder = tmp_path_factory.mktemp("variables")
    source, made = folder / "code.cpp", folder / "libcode.so"
    source.write_text("namespace app { long table[8] = {1}; }\nlong use() { return app::table[3]; }\n")
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", made], check=True, cwd=folder)
    listed = subprocess.run(["nm", made], check=True, capture_output=True, text=True).stdout
    (start,) = [int(line.split()[0], 16) for line in listed.splitlines() if line.endswith(" _ZN3app5tableE")]
    return str(made), start


def test_a_variable_is_called_by_its_name_and_the_distance_into_it(variables):
    library, start = variables
    places = [(library, start), (library, start + 24), (library, 1), ("/nonexistent.so", 1)]
    assert variable_names(places) == {(library, start): "app::table", (library, start + 24): "app::table+0x18"}


def test_without_a_demangler_a_name_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(symbols.shutil, "which", lambda _: None)
    assert demangled(["_Z3usev", "main"]) == {"_Z3usev": "_Z3usev", "main": "main"}


def test_a_function_of_cpp_is_called_as_it_is_written(variables):
    library, _ = variables
    listed = subprocess.run(["nm", library], check=True, capture_output=True, text=True).stdout
    (start,) = [int(line.split()[0], 16) for line in listed.splitlines() if line.endswith(" _Z3usev")]
    place = (library, start + 4)
    assert symbolise([place])[place].functions == (CFunction("use()"),)
