"""Which combinations of CPython, GIL, compiler and binding this machine can build and have."""
