"""Measure what concurrent imports do in each Python version, and write the page ``docs/import-hazards.md``."""
