#pragma once

/// Imports that are safe in several threads of an embedding program at the same time. Header only, C++17; needs only
/// Python.h (CPython 3.9 or later), and supports the types of pybind11 or nanobind if one is included before it.
///
/// docs/safe-import.md lists what it does not protect from.

#if !defined(PY_VERSION_HEX)
#include <Python.h>
#endif

#include <cstddef>
#include <mutex>
#include <string>

static_assert(PY_VERSION_HEX >= 0x03090000, "python_tsan::safe_import needs CPython 3.9 or later");

namespace python_tsan {

namespace safe_import_parts {

/// Allows one import through safe_import at a time. Its initialization needs no guard on which a thread could wait with
/// the GIL held: std::mutex has a constexpr constructor. Visible, so that the libraries of a program can share it.
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
inline std::mutex one_at_a_time;

/// True while this thread owns the mutex: a finalizer may call safe_import from anywhere.
inline thread_local bool owns_it = false;

/// Owns a reference; null is allowed.
class Reference {
public:
    explicit Reference(PyObject* object) : object_(object) {}
    ~Reference() { Py_XDECREF(object_); }
    Reference(const Reference&) = delete;
    Reference& operator=(const Reference&) = delete;

    PyObject* get() const { return object_; }
    PyObject* release() {
        PyObject* object = object_;
        object_ = nullptr;
        return object;
    }
    explicit operator bool() const { return object_ != nullptr; }

private:
    PyObject* object_;
};

/// Releases the GIL, or detaches from a free-threaded interpreter, during its lifetime.
class Released {
public:
    Released() : state_(PyEval_SaveThread()) {}
    ~Released() { PyEval_RestoreThread(state_); }
    Released(const Released&) = delete;
    Released& operator=(const Released&) = delete;

private:
    PyThreadState* state_;
};

/// Owns the mutex during its lifetime. It waits with the GIL released, so that it does not block the mutex's owner.
class Turn {
public:
    Turn() {
        const Released before_the_mutex;
        lock_ = std::unique_lock<std::mutex>(one_at_a_time);
        owns_it = true;
    }
    ~Turn() { owns_it = false; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    std::unique_lock<std::mutex> lock_;
};

/// Return the value of an attribute, or null without an error if it is missing.
inline Reference attribute(PyObject* object, const char* name) {
    Reference value(PyObject_GetAttrString(object, name));
    if (!value) {
        PyErr_Clear();
    }
    return Reference(value.release());
}

/// Return the module from this interpreter's sys.modules if it is fully initialized, else null. An error may be set.
/// `sys.modules` is the cache: each interpreter has one, and none outlives its interpreter.
inline PyObject* find_complete(const char* name) {
    const Reference text(PyUnicode_FromString(name));
    if (!text) {
        return nullptr;
    }
    // Not PyImport_GetModule: it waits for a module that another thread executes, and returns it even if its body
    // fails.
    Reference module(PyObject_GetItem(PyImport_GetModuleDict(), text.get()));
    if (!module) {
        if (PyErr_ExceptionMatches(PyExc_KeyError) != 0) {
            PyErr_Clear();
        }
        return nullptr;
    }
    if (module.get() == Py_None) {
        return nullptr; // how a program forbids an import
    }
    const Reference spec = attribute(module.get(), "__spec__");
    const Reference busy = spec ? attribute(spec.get(), "_initializing") : Reference(nullptr);
    return busy && PyObject_IsTrue(busy.get()) != 0 ? nullptr : module.release();
}

/// Whether the calling thread is inside an import, and so owns a module's lock. Such a thread must not wait for the
/// mutex: the mutex's owner may be waiting for that module, and CPython cannot detect a cycle through this mutex.
inline bool is_inside_an_import() {
    PyFrameObject* frame = PyEval_GetFrame();
    Py_XINCREF(frame);
    bool found = false;
    while (frame != nullptr && !found) {
        PyCodeObject* code = PyFrame_GetCode(frame);
        const Reference file = attribute(reinterpret_cast<PyObject*>(code), "co_filename");
        const char* text = file ? PyUnicode_AsUTF8(file.get()) : nullptr;
        found = text != nullptr && std::string(text) == "<frozen importlib._bootstrap>";
        if (text == nullptr) {
            PyErr_Clear();
        }
        Py_DECREF(code);
        PyFrameObject* caller = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = caller;
    }
    Py_XDECREF(frame);
    return found;
}

/// Import `pkg`, `pkg.sub`, `pkg.sub.leaf` in this order and return the last, or null with an error set.
inline PyObject* import_parents_first(const std::string& name) {
    for (std::size_t dot = name.find('.', 1); dot != std::string::npos; dot = name.find('.', dot + 1)) {
        const Reference parent(PyImport_ImportModule(name.substr(0, dot).c_str()));
        if (!parent) {
            return nullptr;
        }
    }
    return PyImport_ImportModule(name.c_str());
}

} // namespace safe_import_parts

/// Import a module by its full name and return a new reference, or null with a Python error set. The GIL must be held
/// (in a free-threaded build: a thread state attached); it may be released meanwhile, as by any import.
///
/// Threads that import only through it never get `_DeadlockError` or a partially initialized module, and never wait for
/// each other with the GIL held. Called inside an import, it imports parents first and does not wait for the mutex.
/// Throws std::system_error, with the GIL held again, if the mutex cannot be taken.
inline PyObject* safe_import_raw(const char* name) {
    namespace parts = safe_import_parts;
    if (PyObject* module = parts::find_complete(name)) {
        return module;
    }
    if (PyErr_Occurred() != nullptr) {
        return nullptr;
    }
    const std::string copy(name); // the caller's text may be freed while the GIL is released
    if (parts::owns_it || parts::is_inside_an_import()) {
        return parts::import_parents_first(copy);
    }
    const parts::Turn turn;
    return parts::import_parents_first(copy);
}

namespace safe_import_parts {

/// Use the submodules of a package that are registered as lazy: the name `a` of `lazy import a.b` is the package alone.
/// Which module has registered one is not known. So one that fails, and may be optional elsewhere, is left out.
inline int use_submodules(PyObject* package) {
    PyObject* registered = PySys_GetObject("lazy_modules"); // borrowed
    if (registered == nullptr || PyModule_Check(package) == 0) {
        return 0;
    }
    const char* name = PyModule_GetName(package);
    const Reference names(PySequence_List(registered)); // a copy: a use changes the set
    if (name == nullptr || !names) {
        return -1;
    }
    const std::string start = std::string(name) + ".";
    for (Py_ssize_t place = 0; place < PyList_GET_SIZE(names.get()); ++place) {
        const char* text = PyUnicode_AsUTF8(PyList_GET_ITEM(names.get(), place));
        if (text == nullptr) {
            return -1;
        }
        const std::string lazy(text);
        if (lazy.compare(0, start.size(), start) != 0) {
            continue;
        }
        const std::string first = lazy.substr(start.size(), lazy.find('.', start.size()) - start.size());
        const Reference found(PyObject_GetAttrString(package, first.c_str()));
        if (!found) {
            if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0 && PyErr_ExceptionMatches(PyExc_ImportError) == 0) {
                return -1;
            }
            PyErr_Clear();
            continue;
        }
        const char* its = PyModule_Check(found.get()) == 0 ? nullptr : PyModule_GetName(found.get());
        if (its == nullptr) {
            PyErr_Clear();
        } else if (start + first == its && use_submodules(found.get()) != 0) {
            return -1;
        }
    }
    return 0;
}

} // namespace safe_import_parts

/// Import what the first uses of a module's lazy names would import (PEP 810, CPython 3.15), so that no thread does
/// that later with a lock of the program held. Return 0, or -1 with the error of the first name that fails. Before 3.15
/// there are no such names. Reading a name from `PyModule_GetDict` returns the lazy object, and reading an attribute
/// uses it.
inline int import_lazy_names(PyObject* module) {
    namespace parts = safe_import_parts;
    const parts::Reference types(PyImport_ImportModule("types"));
    if (!types) {
        return -1;
    }
    const parts::Reference kind = parts::attribute(types.get(), "LazyImportType");
    PyObject* names = PyModule_GetDict(module);
    if (!kind || names == nullptr) {
        return names == nullptr ? -1 : 0;
    }
    const parts::Reference items(PyDict_Items(names)); // a copy: a use changes the dictionary
    for (Py_ssize_t place = 0; items && place < PyList_GET_SIZE(items.get()); ++place) {
        PyObject* item = PyList_GET_ITEM(items.get(), place);
        if (reinterpret_cast<PyObject*>(Py_TYPE(PyTuple_GET_ITEM(item, 1))) == kind.get()) {
            const parts::Reference used(PyObject_GetAttr(module, PyTuple_GET_ITEM(item, 0)));
            if (!used || parts::use_submodules(used.get()) != 0) {
                return -1;
            }
        }
    }
    return items ? 0 : -1;
}

#if defined(PYBIND11_VERSION_MAJOR)

/// The same for pybind11, 2.13 or 3.x. Throws pybind11::error_already_set when the import fails.
inline pybind11::module_ safe_import(const char* name) {
    PyObject* module = safe_import_raw(name);
    if (module == nullptr) {
        throw pybind11::error_already_set();
    }
    return pybind11::reinterpret_steal<pybind11::module_>(module);
}

#elif defined(NB_VERSION_MAJOR)

/// The same for nanobind. Throws nanobind::python_error when the import fails.
inline nanobind::module_ safe_import(const char* name) {
    PyObject* module = safe_import_raw(name);
    if (module == nullptr) {
        throw nanobind::python_error();
    }
    return nanobind::steal<nanobind::module_>(module);
}

#endif

} // namespace python_tsan
