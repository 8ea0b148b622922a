"""Survey the most used packages of PyPI for hazards between imports, and write the page ``docs/import-atlas.md``."""
