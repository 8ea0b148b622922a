"""Names and messages that the plugin and the process of a marked test share; imports nothing."""

from __future__ import annotations

MARK = "tsan"
# Set for the process in which a marked test runs: there it is an ordinary test.
CHILD_VARIABLE = "PYTHON_TSAN_MARKED_TEST"
AUTO, REQUIRE, OFF = "auto", "require", "off"
# What the loader says of an instrumented module where the runtime is missing (LLVM's) or comes too late (GCC's).
_NO_RUNTIME = ("undefined symbol: __tsan_", "cannot allocate memory in static TLS block")
HINT = (
    "An extension module that is compiled under ThreadSanitizer can only be imported where its runtime was there from "
    "the start: inside a test marked tsan or its fixtures, never at the top of the file. Marked tests get the runtime "
    "of the compiler that python-tsan chooses, so build the module with that one, or set PYTHON_TSAN_TOOLCHAIN."
)


def lacks_runtime(text: str) -> bool:
    """Return whether a module could not be loaded for want of its sanitizer runtime."""
    return any(words in text for words in _NO_RUNTIME)
