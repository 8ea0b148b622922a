"""The host of a run, as a result holds it: `doctor`, which reads no result, shows the same facts."""

from __future__ import annotations

from msgspec import Struct


class Machine(Struct, frozen=True, kw_only=True):
    """The host of a run. ``mmap_rnd_bits`` is the address space's randomness, None where it is not known."""

    system: str
    kernel: str
    architecture: str
    libc: str
    cores: int
    mmap_rnd_bits: int | None
    launcher: tuple[str, ...] = ()
