// late_thread LIBPYTHON HOW WHEN SECONDS: what happens to a native thread that asks for Python during or after
// Py_FinalizeEx. HOW: new (PyGILState_Ensure in a thread that never used Python), known (PyEval_RestoreThread with the
// thread state that it left), view (PEP 788, in a new thread). WHEN: during, after. Prints one word: returned, refused,
// unwound or blocked; a crash prints none. The library is loaded at run time, so that one program serves every version.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <string>
#include <unistd.h>

namespace {

void* g_python = nullptr;

/// A function of CPython's API, by name and type.
template <typename Function>
Function* api(const char* name) {
    void* const found = dlsym(g_python, name);
    if (found == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        _exit(3);
    }
    return reinterpret_cast<Function*>(found);
}

enum Outcome { waiting, returned, refused, unwound };
constexpr const char* words[] = {"blocked", "returned", "refused", "unwound"};

std::string g_how;
double g_seconds = 1;
void* g_view = nullptr;
pthread_t g_thread;
sem_t g_has_left, g_goes_on;
std::atomic<int> g_outcome{waiting};

/// Runs when the thread's stack is unwound, or when its function returns.
struct Witness {
    ~Witness() {
        int none = waiting;
        g_outcome.compare_exchange_strong(none, unwound);
    }
};

void* work(void* unused) {
    void* mine = nullptr;
    if (g_how == "known") {
        api<int()>("PyGILState_Ensure")();
        mine = api<void*()>("PyEval_SaveThread")();
    }
    auto* const ensure = api<int()>("PyGILState_Ensure");
    auto* const restore = api<void(void*)>("PyEval_RestoreThread");
    auto* const from_view = g_how == "view" ? api<void*(void*)>("PyThreadState_EnsureFromView") : nullptr;
    sem_post(&g_has_left);
    sem_wait(&g_goes_on);
    const Witness witness;
    if (from_view != nullptr) {
        g_outcome = from_view(g_view) != nullptr ? returned : refused;
    } else if (mine != nullptr) {
        restore(mine);
        g_outcome = returned;
    } else {
        ensure();
        g_outcome = returned;
    }
    return unused; // the thread keeps what it got: to use or release it is not what is measured
}

/// Let the thread continue and print what it does within the limit. Never returns.
[[noreturn]] void observe() {
    sem_post(&g_goes_on);
    timespec limit{};
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += static_cast<time_t>(g_seconds);
    pthread_timedjoin_np(g_thread, nullptr, &limit);
    std::puts(words[g_outcome.load()]);
    std::fflush(stdout);
    _exit(0);
}

/// The destructor of a capsule in `__main__`. It releases the GIL while it waits, as a destructor that joins should.
void observe_during(void*) {
    api<void*()>("PyEval_SaveThread")();
    observe();
}

} // namespace

int main(int count, char** arguments) {
    if (count != 5) {
        return 2;
    }
    g_python = dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL);
    if (g_python == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
    g_how = arguments[2];
    g_seconds = std::atof(arguments[4]);
    sem_init(&g_has_left, 0, 0);
    sem_init(&g_goes_on, 0, 0);
    api<void(int)>("Py_InitializeEx")(0);
    if (g_how == "view") {
        g_view = api<void*()>("PyInterpreterView_FromCurrent")();
    }
    void* const state = api<void*()>("PyEval_SaveThread")();
    pthread_create(&g_thread, nullptr, work, nullptr);
    sem_wait(&g_has_left);
    api<void(void*)>("PyEval_RestoreThread")(state);
    if (std::string(arguments[3]) == "during") {
        void* const capsule =
            api<void*(void*, const char*, void (*)(void*))>("PyCapsule_New")(&g_how, nullptr, observe_during);
        api<int(void*, const char*, void*)>("PyObject_SetAttrString")(
            api<void*(const char*)>("PyImport_AddModule")("__main__"), "last", capsule);
        api<void(void*)>("Py_DecRef")(capsule);
    }
    api<int()>("Py_FinalizeEx")();
    observe();
}
