"""Find a compiler with a working ThreadSanitizer runtime: search, choose, probe."""

from python_tsan.toolchain.selection import Survey, choose_toolchain, survey

__all__ = ["Survey", "choose_toolchain", "survey"]
