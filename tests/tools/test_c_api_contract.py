"""The table of functions that need no GIL: read, written for the recorder, compared with the documentation."""

import pytest

from tools.c_api_contract import OUTPUT, TABLE, documented_as_free, include_file, main, read_contract

TEXT = """
checked_private = ["_Py_Dealloc"]
null_is_harmless = ["Py_DecRef"]
compared_by_address = []
actions = ["PyEval_SaveThread"]
[[free]]
names = ["Py_IsInitialized"]
prefixes = ["PyMem_Raw"]
"""
PAGE = """
.. _pre-init-safe:

The following can be called before:

* :c:func:`Py_GetVersion`

.. note::

   :c:func:`Py_RunMain` cannot.

.. c:function:: int PyGILState_Check()

   This function can be called from any thread at any time.

.. c:function:: PyObject* PyList_New(Py_ssize_t length)

   Return a new list; see :c:func:`PyGILState_Check`.

.. c:function:: PyThread_type_lock PyThread_allocate_lock(void)

   The caller does not need to hold an :term:`attached thread state`.
"""


@pytest.fixture
def documentation(tmp_path):
    folder = tmp_path / "Doc" / "c-api"
    folder.mkdir(parents=True)
    (folder / "page.rst").write_text(PAGE)
    return tmp_path


def test_the_file_of_the_recorder_is_that_of_the_table():
    assert OUTPUT.read_text() == include_file(read_contract(TABLE.read_text()))


def test_a_function_is_free_by_its_name_or_by_its_beginning():
    contract = read_contract(TEXT)
    assert [contract.frees(name) for name in ("Py_IsInitialized", "PyMem_RawFree")] == [True, True]
    assert [contract.frees(name) for name in ("PyMem_Free", "PyList_New", "Py_IsInitialized2")] == [False] * 3


def test_a_name_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match=r"^named twice: Py_IsInitialized$"):
        read_contract(TEXT + '[[free]]\nnames = ["Py_IsInitialized"]\n')


def test_the_documentation_is_read_in_its_own_words(documentation):
    assert list(documented_as_free(documentation)) == ["Py_GetVersion", "PyGILState_Check", "PyThread_allocate_lock"]


def test_what_the_documentation_frees_and_the_table_does_not_is_listed(documentation, capsys):
    assert main(["--docs", str(documentation)]) == 0
    page = documentation / "Doc" / "c-api" / "page.rst"
    page.write_text(PAGE.replace("PyThread_allocate_lock", "PyNew_Function"))
    assert main(["--docs", str(documentation)]) == 1
    assert "PyNew_Function: documented as callable" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["PyList_Size", "PyErr_SetString", "Py_DecRef", "PyGILState_Release", "PyErr_Occurred"]
)
def test_functions_that_need_the_gil_are_not_free(name):
    assert not read_contract(TABLE.read_text()).frees(name)
