#define _GNU_SOURCE
#define Py_BUILD_CORE 1
#undef NDEBUG
#define NDEBUG 1 /* the headers' assertions would need symbols of libpython */

// clang-format off: Python.h comes before everything else of CPython
#include <Python.h>
#include "internal/pycore_frame.h"
#include "internal/pycore_interp.h"
#if PY_VERSION_HEX >= 0x030E0000
#include "internal/pycore_interpframe.h"
#endif
// clang-format on

#include "python_frames.h"

#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef Py_GIL_DISABLED
#define PYTHON_TSAN_FREE_THREADED 1
#else
#define PYTHON_TSAN_FREE_THREADED 0
#endif

static int (*is_attached)(void);
static PyThreadState* (*current_state)(void);
static PyThreadState* (*own_state)(void);
static PyInterpreterState* (*first_interpreter)(void);
static PyInterpreterState* (*next_interpreter)(PyInterpreterState*);
static PyThreadState* (*first_thread)(PyInterpreterState*);
static PyThreadState* (*next_thread)(PyThreadState*);
static const PyTypeObject* code_type;

/* Structures change only with the minor version and between builds with and without the GIL. Py_Version exists
 * from 3.11. */
static int is_same_interpreter(void) {
    const unsigned long* version = (const unsigned long*)dlsym(RTLD_DEFAULT, "Py_Version");
    const int free_threaded = dlsym(RTLD_DEFAULT, "_Py_MergeZeroLocalRefcount") != NULL;
    return version != NULL && *version >> 16 == PY_VERSION_HEX >> 16 && free_threaded == PYTHON_TSAN_FREE_THREADED;
}

void python_tsan_find_interpreter(void) {
    if (!is_same_interpreter()) {
        return;
    }
    is_attached = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Check");
    own_state = (PyThreadState * (*)(void)) dlsym(RTLD_DEFAULT, "PyGILState_GetThisThreadState");
    /* Public from 3.13, under another name before. */
    void* current = dlsym(RTLD_DEFAULT, "PyThreadState_GetUnchecked");
    current = current != NULL ? current : dlsym(RTLD_DEFAULT, "_PyThreadState_UncheckedGet");
    current_state = (PyThreadState * (*)(void)) current;
    first_interpreter = (PyInterpreterState * (*)(void)) dlsym(RTLD_DEFAULT, "PyInterpreterState_Head");
    next_interpreter = (PyInterpreterState * (*)(PyInterpreterState*)) dlsym(RTLD_DEFAULT, "PyInterpreterState_Next");
    first_thread = (PyThreadState * (*)(PyInterpreterState*)) dlsym(RTLD_DEFAULT, "PyInterpreterState_ThreadHead");
    next_thread = (PyThreadState * (*)(PyThreadState*)) dlsym(RTLD_DEFAULT, "PyThreadState_Next");
    code_type = (const PyTypeObject*)dlsym(RTLD_DEFAULT, "PyCode_Type");
}

int python_tsan_knows_interpreter(void) {
    return code_type != NULL;
}

static PyThreadState* attached_state(void) {
    if (is_attached == NULL || current_state == NULL || own_state == NULL || code_type == NULL || !is_attached()) {
        return NULL;
    }
    PyThreadState* state = current_state();
#if PY_VERSION_HEX < 0x030C0000
    /* One variable for the whole process there: it may refer to the thread that holds the GIL, not to this one. */
    if (own_state() != state) {
        return NULL;
    }
#endif
    return state;
}

static _PyInterpreterFrame* top_frame(PyThreadState* state) {
#if PY_VERSION_HEX < 0x030D0000
    return state->cframe != NULL ? state->cframe->current_frame : NULL;
#else
    return state->current_frame;
#endif
}

static PyCodeObject* code_of(_PyInterpreterFrame* frame) {
#if PY_VERSION_HEX >= 0x030E0000
    PyObject* executable = PyStackRef_AsPyObjectBorrow(frame->f_executable);
#elif PY_VERSION_HEX >= 0x030D0000
    PyObject* executable = frame->f_executable;
#else
    PyObject* executable = (PyObject*)frame->f_code;
#endif
    return executable != NULL && Py_TYPE(executable) == code_type ? (PyCodeObject*)executable : NULL;
}

static int instruction_of(_PyInterpreterFrame* frame, PyCodeObject* code) {
#if PY_VERSION_HEX >= 0x030D0000
    return (int)((_Py_CODEUNIT*)frame->instr_ptr - (_Py_CODEUNIT*)code->co_code_adaptive);
#else
    return (int)(frame->prev_instr - (_Py_CODEUNIT*)code->co_code_adaptive);
#endif
}

static unsigned read_varint(const uint8_t** cursor) {
    unsigned value = 0, shift = 0, byte;
    do {
        byte = *(*cursor)++;
        value |= (byte & 63) << shift;
        shift += 6;
    } while (byte & 64);
    return value;
}

static int read_signed_varint(const uint8_t** cursor) {
    const unsigned value = read_varint(cursor);
    return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}

/* Reads a location table (Objects/locations.md of CPython: entries of a first byte 1kkkklll, kind and length - 1). */
static int line_at(PyCodeObject* code, int instruction) {
    const PyBytesObject* table = (const PyBytesObject*)code->co_linetable;
    const uint8_t* cursor = (const uint8_t*)table->ob_sval;
    const uint8_t* end = cursor + Py_SIZE(table);
    int line = code->co_firstlineno, start = 0;
    while (cursor < end) {
        const unsigned kind = *cursor >> 3 & 15;
        const int length = (*cursor & 7) + 1;
        const uint8_t* entry = cursor + 1;
        if (kind == 13 || kind == 14) { /* no column; long form */
            line += read_signed_varint(&entry);
        } else if (kind >= 10 && kind <= 12) { /* one line form, whose kind is the difference */
            line += (int)kind - 10;
        }
        if (instruction >= start && instruction < start + length) {
            return kind == 15 ? 0 : line;
        }
        start += length;
        do { /* only the first byte of an entry has the highest bit */
            ++cursor;
        } while (cursor < end && !(*cursor & 128));
    }
    return 0;
}

static struct python_tsan_text text_of(PyObject* object) {
    struct python_tsan_text text = {NULL, 0, 0};
    if (object != NULL && PyUnicode_Check(object)) {
        text.data = PyUnicode_DATA(object);
        text.length = (size_t)PyUnicode_GET_LENGTH(object);
        text.width = (int)PyUnicode_KIND(object);
    }
    return text;
}

static int visit_frames(PyThreadState* state, int limit, python_tsan_visitor visit, void* context) {
    int count = 0;
    for (_PyInterpreterFrame* frame = top_frame(state); frame != NULL && count < limit; frame = frame->previous) {
        PyCodeObject* code = code_of(frame);
        if (code == NULL || frame->owner > FRAME_OWNED_BY_FRAME_OBJECT) {
            continue; /* the interpreter's own, between two calls of the evaluation loop */
        }
        const int instruction = instruction_of(frame, code);
        if (instruction < code->_co_firsttraceable && frame->owner == FRAME_OWNED_BY_THREAD) {
            continue; /* not begun yet */
        }
        const struct python_tsan_frame read = {text_of(code->co_qualname), text_of(code->co_filename),
                                               line_at(code, instruction)};
        visit(&read, context);
        ++count;
    }
    return count;
}

int python_tsan_own_frames(int limit, python_tsan_visitor visit, void* context) {
    PyThreadState* state = attached_state();
    return state == NULL ? -1 : visit_frames(state, limit, visit, context);
}

/* Read without a lock, and compared only: the thread state may be gone. */
static const PyThreadState* gil_holder(PyInterpreterState* interpreter) {
#if PY_VERSION_HEX < 0x030C0000 || defined(Py_GIL_DISABLED)
    (void)interpreter;
    return NULL;
#else
    const struct _gil_runtime_state* gil = interpreter->ceval.gil;
#if PY_VERSION_HEX >= 0x030D0000
    return gil != NULL && gil->locked == 1 ? gil->last_holder : NULL;
#else
    return gil != NULL && gil->locked._value == 1 ? (const PyThreadState*)gil->last_holder._value : NULL;
#endif
#endif
}

int python_tsan_all_frames(int limit, python_tsan_thread_visitor begin, python_tsan_visitor visit, void* context) {
    if (code_type == NULL || first_interpreter == NULL || next_interpreter == NULL || first_thread == NULL ||
        next_thread == NULL) {
        return 0;
    }
    const unsigned long own = (unsigned long)syscall(SYS_gettid);
    int count = 0;
    for (PyInterpreterState* each = first_interpreter(); each != NULL; each = next_interpreter(each)) {
        const PyThreadState* holder = gil_holder(each);
        for (PyThreadState* state = first_thread(each); state != NULL; state = next_thread(state)) {
            begin(state->native_thread_id, state->native_thread_id == own, state == holder, context);
            visit_frames(state, limit, visit, context);
            ++count;
        }
    }
    return count;
}
