"""Trees with a real compiled extension module, and its compiler: `PyInit_*` or `Py_mod_exec` imports another module."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from python_tsan.process import run

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPILE_SECONDS = 120.0
ASK = """
import json, os, sysconfig
include = sysconfig.get_path("include")
there = os.path.exists(os.path.join(include, "Python.h"))
print(json.dumps([include if there else "", sysconfig.get_config_var("EXT_SUFFIX")]))
"""

SINGLE_PHASE = """\
#include <Python.h>

static struct PyModuleDef definition = {{PyModuleDef_HEAD_INIT, "{name}", NULL, -1, NULL, NULL, NULL, NULL, NULL}};

PyMODINIT_FUNC PyInit_{name}(void)
{{
    PyObject *requested = PyImport_ImportModule("{requested}");
    if (requested == NULL)
        return NULL;
    Py_DECREF(requested);
    return PyModule_Create(&definition);
}}
"""
MULTI_PHASE = """\
#include <Python.h>

static int execute(PyObject *module)
{{
    PyObject *requested = PyImport_ImportModule("{requested}");
    if (requested == NULL)
        return -1;
    Py_DECREF(requested);
    return 0;
}}

static PyModuleDef_Slot slots[] = {{{{Py_mod_exec, (void *)execute}}, {{0, NULL}}}};
static struct PyModuleDef definition = {{PyModuleDef_HEAD_INIT, "{name}", NULL, 0, NULL, slots, NULL, NULL, NULL}};

PyMODINIT_FUNC PyInit_{name}(void)
{{
    return PyModuleDef_Init(&definition);
}}
"""
PHASES = {"single": SINGLE_PHASE, "multi": MULTI_PHASE}


def extension_files() -> Iterator[tuple[str, dict[str, str], tuple[tuple[str, str], ...]]]:
    """Yield the twin's name, its files (C sources among them), and the pairs of entries."""
    for phase, text in PHASES.items():
        back = "from importlib import import_module\n\nX = import_module('a')\n"
        ring = {"a.c": text.format(name="a", requested="b"), "b.py": back}
        yield f"{phase}_ring", ring, (("a", "b"),)
        yield f"{phase}_line", {**ring, "b.py": "V = 1\n"}, (("a", "b"),)
        barrel = {"p/__init__.py": "from . import c\n", "p/c.c": text.format(name="c", requested="p.m"), "p/m.py": ""}
        pairs = (("p", "p.m"), ("p.c", "p.m"))
        yield f"{phase}_barrel", barrel, pairs
        yield f"{phase}_empty_package", {**barrel, "p/__init__.py": ""}, pairs


def why_not(tree, python):
    """Return why a tree's extensions cannot be compiled for an interpreter, an empty string if they can."""
    if not any(path.endswith(".c") for path in tree.files):
        return ""
    if shutil.which("gcc") is None:
        return "there is no gcc"
    return "" if _ask(python)[0] else f"Python {python.text} has no headers"


def _ask(python):
    return json.loads(run([*python.command, "-I", "-c", ASK], timeout=COMPILE_SECONDS).stdout)


def compile_extension(source, python):
    """Compile a C file to the extension module of its name next to it."""
    include, suffix = _ask(python)
    target = source.with_name(source.stem + suffix)
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-I{include}", str(source), "-o", str(target)]
    ended = run(command, timeout=COMPILE_SECONDS)
    if ended.exit_code:
        raise RuntimeError(f"{source.name} for Python {python.text}: {ended.stderr[-600:]}")
