"""Run one row under one mitigation and print what happened as one line of JSON."""

from python_tsan.imports.cases.import_cases.__main__ import main

from .mitigations import MITIGATIONS

if __name__ == "__main__":
    main(MITIGATIONS)
