"""Find the toolchain of the tests of the build."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "cpython_build"))
