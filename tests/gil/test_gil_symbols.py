import sys
from pathlib import Path

from python_tsan.gil.symbols import parse_addr2line, symbolise
from python_tsan.gil.trace import CFunction, Site

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
