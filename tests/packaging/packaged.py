"""Build a wheel or an sdist by the backend itself, without any network."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(kind, output, *, tree=ROOT, **variables):
    """Build a ``wheel`` or an ``sdist`` of ``tree`` and return its file."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(output)]
    env = {**os.environ, **variables}
    subprocess.run(command, cwd=tree, env=env, check=True, capture_output=True, timeout=100)
    (file,) = output.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file
