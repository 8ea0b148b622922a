"""A Python with lazy imports (PEP 810), if this machine has one: at hand, or unpacked into the cache before."""

import pytest

from python_tsan.errors import SubjectError
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.model.rules import LAZY_SINCE
from python_tsan.paths import Layout, default_root
from tools.debian_pythons import folder_name
from tools.pythons import pythons_at_hand


def _find():
    found = [python for python in pythons_at_hand() if python.version >= LAZY_SINCE]
    script = Layout(root=default_root()).interpreters / folder_name() / "usr/bin/python3.15"
    if not found and script.is_file():
        try:
            found = [identify([str(script)])]
        except SubjectError:
            return None
    return found[-1] if found else None


LAZY = _find()
needs_lazy = pytest.mark.skipif(LAZY is None, reason="there is no Python 3.15 here")


def tree(folder, files, *, lazy="normal"):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Probe(python=LAZY, path=(folder,), lazy=lazy)
