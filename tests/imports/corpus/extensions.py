"""Trees with a real compiled extension module: `PyInit_*` or `Py_mod_exec` imports another module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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
