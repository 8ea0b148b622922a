"""The symbols of ELF files, as pyelftools reads them."""

from __future__ import annotations

import struct
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from elftools.elf.elffile import ELFFile

from python_tsan.running.elf import _symbols

NAMES = b"\0__tsan_init\0__tsan_write8\0main\0"


@dataclass
class Table:
    """A table of symbols of another machine."""

    bits: int
    little: bool
    entries: tuple[bytes, ...]
    names: bytes = NAMES

    def data(self):
        return b"".join(self.entries)

    @property
    def elffile(self):
        return SimpleNamespace(elfclass=self.bits, little_endian=self.little)

    @property
    def stringtable(self):
        return SimpleNamespace(data=lambda: self.names)


def packed(bits, order, name, info, section):
    if bits == 64:
        return struct.pack(order + "IBBHQQ", name, info, 0, section, 7, 8)
    return struct.pack(order + "IIIBBH", name, 7, 8, info, 0, section)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(("little", "order"), [(True, "<"), (False, ">")])
def test_every_layout_of_an_entry_is_read(bits, little, order):
    entries = (
        packed(bits, order, 0, 0, 0),
        packed(bits, order, 1, 0x22, 0),  # weak, undefined
        packed(bits, order, 13, 0x12, 0),  # global, undefined
        packed(bits, order, 27, 0x12, 9),
    )
    table = Table(bits, little, entries)
    assert list(_symbols(table)) == [
        ("", False, False, 7),
        ("__tsan_init", False, True, 7),
        ("__tsan_write8", False, False, 7),
        ("main", True, False, 7),
    ]
    assert [symbol.name for symbol in _symbols(table, b"__tsan_")] == ["__tsan_init", "__tsan_write8"]


def test_a_table_that_is_cut_off_ends_early():
    entry = packed(64, "<", 27, 0x12, 9)
    assert [symbol.name for symbol in _symbols(Table(64, little=True, entries=(entry, entry[:-1])))] == ["main"]
    assert [symbol.name for symbol in _symbols(Table(64, little=True, entries=(packed(64, "<", 9999, 0x12, 9),)))] == []


def test_real_files_are_read_as_by_pyelftools():
    library = Path(sysconfig.get_config_var("LIBDIR")) / str(sysconfig.get_config_var("INSTSONAME"))
    path = library if library.is_file() else Path(sys.executable).resolve()
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        expected = [
            (each.name, each["st_shndx"] != "SHN_UNDEF", each["st_info"]["bind"] == "STB_WEAK", each["st_value"])
            for each in table.iter_symbols()
        ]
        assert [tuple(symbol) for symbol in _symbols(table)] == expected
    assert len(expected) > 100
