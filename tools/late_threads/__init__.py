"""Measure what happens to native threads that use Python too late, and write the page ``docs/late-threads.md``."""
