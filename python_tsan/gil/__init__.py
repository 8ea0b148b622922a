"""Record why the GIL is released, tie each release to the import that it happened in, and answer questions about it."""
