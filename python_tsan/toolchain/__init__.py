"""Own compilers with a ThreadSanitizer runtime: search, choose, probe; leave building with them to other rooms."""

from python_tsan.toolchain.selection import Survey, choose_toolchain, survey

__all__ = ["Survey", "choose_toolchain", "survey"]
