"""CPython under test: where its source comes from, how it is built, and what is installed into it."""
