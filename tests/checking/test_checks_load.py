"""The files in checks/ import names that exist: nothing else loads them before a build is judged."""

import subprocess
import sys
from pathlib import Path

CHECKS = Path(__file__).parents[2] / "checks"
LOAD = """
import runpy, sys
for file in sys.argv[1:]:
    assert any(name.startswith("test_") for name in runpy.run_path(file)), file
"""


def test_every_file_of_checks_loads():
    files = sorted(map(str, CHECKS.glob("test_*.py")))
    assert files
    subprocess.run([sys.executable, "-c", LOAD, *files], check=True, cwd=CHECKS.parent, timeout=60)
