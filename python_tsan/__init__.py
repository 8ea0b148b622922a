"""python-tsan: prove that C++ threads and an embedded CPython do not race and do not deadlock on imports."""

__version__ = "0.1.0"
