// Deadlocks that can happen, and their safe twins: small embedders, none of which hangs here.
//
// `cases NAME` runs one; without a name it prints a line for each, with tabs between its name, what is to be found
// ("deadlock" or "nothing"), its twin (maybe none) and a sentence. The first two show that the recorder works. Threads
// take turns by an atomic counter, which no recorder sees, so that every request is made and none of them has to wait.

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <future>
#include <mutex>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <sys/file.h>
#include <sys/sem.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

struct Gil {
    PyGILState_STATE state = PyGILState_Ensure();
    ~Gil() { PyGILState_Release(state); }
};

struct NoGil {
    PyThreadState* state = PyEval_SaveThread();
    ~NoGil() { PyEval_RestoreThread(state); }
};

/// Waits with the GIL held, or releases the GIL for the wait.
template <typename Wait>
void wait_with(bool keep_gil, const Wait& wait) {
    const Gil gil;
    if (keep_gil) {
        wait();
        return;
    }
    const NoGil released;
    wait();
}

using Guard = std::lock_guard<std::mutex>;

std::atomic<int> turn{0};

void at(int number) {
    while (turn.load() != number) {
        sched_yield();
    }
}

void next() {
    turn.fetch_add(1);
}

/// Returns once a thread of this process sleeps in the kernel, as one does that waits for a signal.
void until_asleep(pid_t thread) {
    const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
    for (char state = 'R'; state != 'S'; sched_yield()) {
        char text[64] = {};
        const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (read(file, text, sizeof text - 1) > 0) {
            state = std::strrchr(text, ')')[2];
        }
        close(file);
    }
}

/// Runs each function in a thread of its own, and joins them without the GIL.
void together(const std::vector<std::function<void()>>& all) {
    std::vector<std::thread> threads;
    for (const auto& each : all) {
        threads.emplace_back(each);
    }
    for (auto& each : threads) {
        each.join();
    }
}

/// Runs one function after the other, each in a thread of its own; the threads end when all are done.
void in_turn(const std::vector<std::function<void()>>& all) {
    std::vector<std::function<void()>> threads;
    for (const auto& each : all) {
        threads.emplace_back([&each, number = static_cast<int>(threads.size())] {
            at(number);
            each();
            next();
        });
    }
    together(threads);
}

void python(const char* code) {
    if (PyRun_SimpleString(code) != 0) {
        std::fputs("Python failed\n", stderr);
        std::exit(3);
    }
}

std::mutex log_mutex, second_mutex, gate_mutex;
std::shared_mutex table_mutex;
pthread_spinlock_t spin_lock;

// --- a mutex ------------------------------------------------------------------------------------------------------

void mutex_then_gil() {
    const Guard lock(log_mutex);
    const Gil gil;
}

void gil_then_mutex() {
    const Gil gil;
    const Guard lock(log_mutex);
}

void mutex_inverted() {
    in_turn({mutex_then_gil, gil_then_mutex});
}

void mutex_released() {
    in_turn({mutex_then_gil, [] {
                 const Gil gil;
                 const NoGil released;
                 {
                     const Guard lock(log_mutex);
                 }
             }});
}

// --- a callback into Python under a mutex --------------------------------------------------------------------------

const char* const sleeps = "import time; time.sleep(0.001)"; // releases the GIL, and asks for it again

void call_under_mutex(const char* code) {
    const auto call = [=] {
        const Gil gil;
        const Guard lock(log_mutex);
        python(code);
    };
    in_turn({call, call});
}

void call_after_unlock(const char* code) {
    const auto call = [=] {
        const Gil gil;
        {
            const Guard lock(log_mutex);
        }
        python(code);
    };
    in_turn({call, call});
}

// --- what runs once -------------------------------------------------------------------------------------------------

std::once_flag once;

void call_once_with_gil() {
    in_turn({[] { std::call_once(once, [] { const Gil gil; }); },
             [] {
                 const Gil gil;
                 std::call_once(once, [] {});
             }});
}

void call_once_without_gil() {
    in_turn({[] { std::call_once(once, [] { const Gil gil; }); },
             [] {
                 std::call_once(once, [] {});
                 const Gil gil;
             }});
}

struct Decimal {
    static inline int tries = 0;
    Decimal() {
        python("import time; time.sleep(0.001)");
        if (++tries == 1) {
            throw std::runtime_error("not yet"); // so that the next thread initialises it again
        }
    }
};

void use_static() {
    try {
        static const Decimal decimal;
    } catch (const std::runtime_error&) {
    }
}

void static_guard() {
    const auto use = [] {
        const Gil gil;
        use_static();
    };
    in_turn({use, use});
}

struct Plain {
    static inline int tries = 0;
    Plain() {
        if (++tries == 1) {
            throw std::runtime_error("not yet");
        }
    }
};

void static_guard_plain() {
    const auto use = [] {
        const Gil gil;
        try {
            static const Plain plain;
        } catch (const std::runtime_error&) {
        }
    };
    in_turn({use, use});
}

// --- readers and writers

template <typename Lock>
void reader_and() {
    in_turn({[] {
                 const std::shared_lock<std::shared_mutex> lock(table_mutex);
                 const Gil gil;
             },
             [] {
                 const Gil gil;
                 const Lock lock(table_mutex);
             }});
}

void spin(bool keep_gil) {
    pthread_spin_init(&spin_lock, PTHREAD_PROCESS_PRIVATE);
    in_turn({[] {
                 pthread_spin_lock(&spin_lock);
                 {
                     const Gil gil;
                 }
                 pthread_spin_unlock(&spin_lock);
             },
             [=] {
                 wait_with(keep_gil, [] {
                     pthread_spin_lock(&spin_lock);
                     pthread_spin_unlock(&spin_lock);
                 });
             }});
}

// --- waits for another thread

std::condition_variable changed;
bool ready = false;

void waker() {
    at(0);
    {
        const Gil gil;
    } // what it has to do before it can wake the others
    next();
    at(2);
    // The waiter is in its wait once it has given the mutex back.
    const Guard lock(log_mutex);
    ready = true;
    changed.notify_all();
}

void condition(bool keep_gil) {
    const auto wait = [] {
        std::unique_lock<std::mutex> lock(log_mutex);
        next();
        changed.wait(lock, [] { return ready; });
    };
    together({waker, [=] {
                  at(1);
                  wait_with(keep_gil, wait);
              }});
}

// A wait with an end, which its caller repeats: by a steady clock, which is another function of the C library.
void condition_for_a_time(bool keep_gil) {
    const auto wait = [] {
        std::unique_lock<std::mutex> lock(log_mutex);
        next();
        while (!changed.wait_for(lock, std::chrono::hours(1), [] { return ready; })) {
        }
    };
    together({waker, [=] {
                  at(1);
                  wait_with(keep_gil, wait);
              }});
}

/// Tries again and again to take a mutex that another thread holds until it has had the GIL.
void try_until_taken(bool keep_gil) {
    static std::timed_mutex table;
    together({[] {
                  at(0);
                  std::unique_lock<std::timed_mutex> lock(table);
                  {
                      const Gil gil;
                  }
                  next();
                  at(2);
                  lock.unlock();
                  next();
              },
              [=] {
                  at(1);
                  const Gil gil;
                  for (int tries = 0; !table.try_lock(); ++tries) {
                      if (!keep_gil) {
                          const NoGil released;
                          sched_yield();
                      }
                      if (tries == 3) {
                          next();
                          at(3);
                      }
                  }
                  table.unlock();
              }});
}

void lock_file(bool keep_gil) {
    char path[] = "/tmp/python-tsan-deadlocks-XXXXXX";
    const int one = mkstemp(path);
    const int other = open(path, O_RDWR | O_CLOEXEC);
    in_turn({[=] {
                 flock(one, LOCK_EX);
                 {
                     const Gil gil;
                 }
                 flock(one, LOCK_UN);
             },
             [=] { wait_with(keep_gil, [&] { flock(other, LOCK_SH); }); }});
    unlink(path);
    close(one);
    close(other);
}

void lock_stream(bool keep_gil) {
    in_turn({[] {
                 flockfile(stderr);
                 {
                     const Gil gil;
                 }
                 funlockfile(stderr);
             },
             [=] {
                 wait_with(keep_gil, [&] {
                     flockfile(stderr);
                     funlockfile(stderr);
                 });
             }});
}

void take_of_set(bool keep_gil) {
    const int set = semget(IPC_PRIVATE, 1, 0600);
    const auto change = [=](short by) {
        sembuf operation{0, by, 0};
        semop(set, &operation, 1);
    };
    in_turn({[=] {
                 {
                     const Gil gil;
                 }
                 change(1);
             },
             [=] { wait_with(keep_gil, [&] { change(-1); }); }});
    semctl(set, 0, IPC_RMID);
}

/// A mutex and the GIL are taken in opposite orders; the second thread perhaps takes a later mutex at the same address.
/// No call destroys a std::mutex.
void mutex_in_place(bool made_again) {
    alignas(std::mutex) static unsigned char place[sizeof(std::mutex)];
    auto* mutex = new (place) std::mutex;
    in_turn({[=] {
                 const Guard lock(*mutex);
                 const Gil gil;
             },
             [=] {
                 const Gil gil;
                 const Guard lock(made_again ? *new (place) std::mutex : *mutex);
             }});
}

void semaphore_wait(bool keep_gil) {
    static sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    in_turn({[] {
                 {
                     const Gil gil;
                 }
                 sem_post(&semaphore);
             },
             [=] { wait_with(keep_gil, [&] { sem_wait(&semaphore); }); }});
}

void semaphore_and_mutex(bool keep_mutex) {
    static sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    in_turn({[] {
                 {
                     const Guard lock(log_mutex); // with nothing else held, so that it has met no other lock yet
                 }
                 sem_post(&semaphore);
             },
             [=] {
                 std::unique_lock<std::mutex> lock(log_mutex);
                 if (!keep_mutex) {
                     lock.unlock();
                 }
                 sem_wait(&semaphore);
             }});
}

// --- a barrier -----------------------------------------------------------------------------------------------------

void barrier_wait(bool keep_gil) {
    static pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, nullptr, 2);
    together({[] {
                  {
                      const Gil gil;
                  }
                  next();
                  pthread_barrier_wait(&barrier);
              },
              [=] {
                  at(1);
                  wait_with(keep_gil, [] { pthread_barrier_wait(&barrier); });
              }});
}

// --- a lock of PyThread_allocate_lock --------------------------------------------------------------------------------

void thread_lock(int waits) {
    PyThread_type_lock lock = PyThread_allocate_lock();
    in_turn({[=] {
                 PyThread_acquire_lock(lock, WAIT_LOCK);
                 {
                     const Gil gil;
                 }
                 PyThread_release_lock(lock);
             },
             [=] {
                 const Gil gil;
                 if (PyThread_acquire_lock(lock, waits) != 0) {
                     PyThread_release_lock(lock);
                 }
             }});
    PyThread_free_lock(lock);
}

void thread_lock_as_signal(bool needs_gil) {
    PyThread_type_lock lock = PyThread_allocate_lock();
    together({[=] {
                  PyThread_acquire_lock(lock, WAIT_LOCK); // for the others to release
                  next();
                  const Gil gil;
              },
              [=] {
                  at(1);
                  if (needs_gil) {
                      const Gil gil;
                  }
                  PyThread_release_lock(lock);
                  next();
              },
              [=] {
                  at(2);
                  const Gil gil;
                  PyThread_acquire_lock(lock, WAIT_LOCK);
                  PyThread_release_lock(lock);
              }});
    PyThread_free_lock(lock);
}

void join_with_gil() {
    std::thread worker([] {
        {
            const Gil gil;
            python("1 + 1");
        }
        next(); // the worker needs the GIL no more, so that this run ends; the closer's order is wrong all the same
    });
    std::thread closer([&] {
        while (turn.load() == 0) {
            sched_yield();
        }
        const Gil gil;
        worker.join();
    });
    closer.join();
}

// A worker that has waited for its next task since it used Python needs the GIL no more before it ends.
void pool_joined_with_gil() {
    std::mutex tasks;
    std::condition_variable wanted, done;
    int given = 0, finished = 0;
    std::thread worker([&] {
        std::unique_lock<std::mutex> guard(tasks);
        for (;;) {
            wanted.wait(guard, [&] { return given > finished || given < 0; });
            if (given < 0) {
                return;
            }
            guard.unlock();
            {
                const Gil gil;
                python("1 + 1");
            }
            guard.lock();
            ++finished;
            done.notify_all();
            // The other thread gets the mutex in this wait, so that it ends later than the wait begins.
        }
    });
    {
        std::unique_lock<std::mutex> guard(tasks);
        given = 1;
        wanted.notify_all();
        done.wait(guard, [&] { return finished == 1; });
    }
    const Gil gil;
    {
        const std::lock_guard<std::mutex> guard(tasks);
        given = -1;
    }
    wanted.notify_all();
    worker.join();
}

void join_without_gil() {
    std::thread worker([] {
        const Gil gil;
        python("1 + 1");
    });
    const Gil gil;
    const NoGil released;
    worker.join();
}

void future_get(bool keep_gil) {
    std::promise<int> promise;
    auto future = promise.get_future();
    std::atomic<pid_t> waiter{0};
    together({[&] {
                  at(0);
                  {
                      const Gil gil;
                  }
                  next();
                  at(2);
                  until_asleep(waiter.load()); // a value that is there already needs no wait
                  promise.set_value(1);
              },
              [&] {
                  at(1);
                  waiter = gettid();
                  wait_with(keep_gil, [&] {
                      next();
                      future.get();
                  });
              }});
}

/// std::async: who takes the result joins the thread, too, which has used Python by then.
void async_result(bool keep_gil) {
    std::atomic<bool> used{false};
    auto result = std::async(std::launch::async, [&] {
        {
            const Gil gil;
            python("1 + 1");
        }
        used = true;
        return 1;
    });
    while (!used.load()) {
        sched_yield();
    }
    wait_with(keep_gil, [&] { result.get(); });
}

/// What a thread keeps of Python is released by the destructor of a thread_local variable, when it ends.
struct Kept {
    bool used = false;
    ~Kept() {
        if (used) {
            {
                const Gil gil;
            }
            next();
        }
    }
};
thread_local Kept kept;

void join_keeper(bool keep_gil) {
    std::thread keeper([] { kept.used = true; });
    at(1);
    wait_with(keep_gil, [&] { keeper.join(); });
}

/// A condition_variable_any waits with any lock, and has a mutex of its own.
void any_condition(bool keep_gil) {
    static std::condition_variable_any updated;
    const auto wait = [] {
        std::shared_lock<std::shared_mutex> lock(table_mutex);
        next();
        updated.wait(lock, [] { return ready; });
    };
    std::atomic<pid_t> waiter{0};
    together({[&] {
                  at(0);
                  {
                      const Gil gil;
                  }
                  next();
                  at(2);
                  until_asleep(waiter.load());
                  {
                      const std::unique_lock<std::shared_mutex> lock(table_mutex);
                      ready = true;
                  }
                  updated.notify_all();
              },
              [&] {
                  at(1);
                  waiter = gettid();
                  wait_with(keep_gil, wait);
              }});
}

// --- more locks, and what keeps threads apart

void three_locks_in(bool cycle) {
    in_turn({[] {
                 const Guard one(log_mutex);
                 const Guard two(second_mutex);
             },
             [] {
                 const Guard two(second_mutex);
                 const Gil gil;
             },
             [=] {
                 if (cycle) {
                     const Gil gil;
                     const Guard one(log_mutex);
                 } else {
                     const Guard one(log_mutex);
                     const Gil gil;
                 }
             }});
}

void two_mutexes_in(bool one_order) {
    in_turn({[] {
                 const Guard one(log_mutex);
                 const Guard two(second_mutex);
             },
             [=] {
                 const Guard first(one_order ? log_mutex : second_mutex);
                 const Guard then(one_order ? second_mutex : log_mutex);
             }});
}

/// std::scoped_lock tries the second mutex, and gives the first one back if another thread has it.
void scoped_locks() {
    in_turn({[] { const std::scoped_lock both(log_mutex, second_mutex); },
             [] { const std::scoped_lock both(second_mutex, log_mutex); }});
}

void gate() {
    in_turn({[] {
                 const Guard outer(gate_mutex);
                 mutex_then_gil();
             },
             [] {
                 const Guard outer(gate_mutex);
                 gil_then_mutex();
             }});
}

void ordered_by_join() {
    std::thread(mutex_then_gil).join();
    std::thread(gil_then_mutex).join();
}

void try_lock() {
    in_turn({mutex_then_gil, [] {
                 const Gil gil;
                 if (log_mutex.try_lock()) {
                     log_mutex.unlock();
                 }
             }});
}

void recursive() {
    static std::recursive_mutex mutex;
    in_turn({[] {
                 const std::lock_guard<std::recursive_mutex> lock(mutex);
                 const std::lock_guard<std::recursive_mutex> again(mutex);
             },
             [] {
                 const Gil gil;
                 const std::lock_guard<std::recursive_mutex> lock(mutex);
             }});
}

// --- two interpreters

#if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_GIL_DISABLED)
/// Runs in an interpreter of its own: with a GIL of its own, or with the main one's.
void in_interpreter(bool own_gil, const std::function<void()>& work) {
    const Gil gil;
    PyThreadState* const main_state = PyThreadState_Get();
    PyInterpreterConfig config{};
    config.use_main_obmalloc = own_gil ? 0 : 1;
    config.allow_threads = 1;
    config.check_multi_interp_extensions = own_gil ? 1 : 0;
    config.gil = own_gil ? PyInterpreterConfig_OWN_GIL : PyInterpreterConfig_SHARED_GIL;
    PyThreadState* state = nullptr;
    if (PyStatus_Exception(Py_NewInterpreterFromConfig(&state, &config))) {
        std::exit(3);
    }
    work();
    Py_EndInterpreter(state);
    PyThreadState_Swap(main_state);
}

void interpreters(bool own_gil) {
    in_turn({[=] {
                 in_interpreter(own_gil, [] {
                     const Guard lock(log_mutex);
                     const NoGil released; // asks for its GIL again, under the mutex
                 });
             },
             gil_then_mutex});
}

#endif

// --- locks of Python code
// -----------------------------------------------------------------------------------------------

/// native.lock(): locks the mutex with the GIL released.
PyObject* native_lock(PyObject*, PyObject*) {
    {
        const NoGil released;
        const Guard lock(log_mutex);
    }
    Py_RETURN_NONE;
}

PyMethodDef native_methods[] = {{"lock", native_lock, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
PyModuleDef native_module = {
    PyModuleDef_HEAD_INIT, "native", nullptr, 0, native_methods, nullptr, nullptr, nullptr, nullptr};

PyObject* make_native() {
    PyObject* const made = PyModule_Create(&native_module);
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(made, Py_MOD_GIL_NOT_USED);
#endif
    return made;
}

/// Each step is run by a thread of its own, in turn; those that begin with "mutex:" with the mutex locked.
void python_steps(const std::vector<const char*>& steps) {
    std::vector<std::function<void()>> all;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        all.emplace_back([i, step = steps[i]] {
            at(static_cast<int>(i));
            if (std::strncmp(step, "mutex:", 6) == 0) {
                const Guard lock(log_mutex);
                const Gil gil;
                python(step + 6);
            } else {
                const Gil gil;
                python(step);
            }
            next();
        });
    }
    {
        const Gil gil;
        python("import linecache, native, sys, threading, _imp\n"
               "lock, other, again = threading.Lock(), threading.Lock(), threading.RLock()\n"
               "waiter = 0\n"
               "def waits(condition):\n"
               "  frame = sys._current_frames().get(waiter)\n"
               "  return frame and condition._waiters and 'waiter.acquire(' in "
               "linecache.getline(frame.f_code.co_filename, frame.f_lineno)\n");
    }
    together(all);
}

void python_lock_inverted() {
    python_steps({"with lock: native.lock()", "mutex:\nwith lock: pass"});
}
void python_lock_released() {
    python_steps({"with lock: pass\nnative.lock()", "mutex:\nwith lock: pass"});
}
void python_lock_tried() {
    python_steps({"with lock: native.lock()", "mutex:\nif lock.acquire(blocking=False): lock.release()",
                  "mutex:\nif lock.acquire(False): lock.release()",
                  "mutex:\nif lock.acquire(timeout=1): lock.release()",
                  "mutex:\nif lock.acquire(True, 1): lock.release()"});
}
void python_lock_waited() {
    python_steps({"with lock: native.lock()", "mutex:\nlock.acquire(True, -1); lock.release()"});
}
void python_lock_handed_over() {
    // Who takes it and who releases it are two: it is a signal, and held by nobody afterwards.
    python_steps({"taken = threading.Event(); released = threading.Event()\n"
                  "def take():\n    lock.acquire(); taken.set(); released.wait(); native.lock()\n"
                  "taker = threading.Thread(target=take); taker.start(); taken.wait()\n"
                  "lock.release(); released.set(); taker.join()",
                  "mutex:\nwith lock: pass"});
}
void python_locks_inverted() {
    python_steps({"with lock:\n  with other: pass", "with other:\n  with lock: pass"});
}
void python_locks_behind_a_gate() {
    python_steps(
        {"with again:\n  with lock:\n    with other: pass", "with again:\n  with other:\n    with lock: pass"});
}
void python_lock_made_again() {
    // Each is another lock, although mostly at the address of the one before.
    python_steps({"one = threading.Lock()\nwith one: native.lock()\ndel one",
                  "mutex:\none = threading.Lock()\nwith one: pass\ndel one"});
}
void rlock_still_held() {
    python_steps({"again.acquire(); again.acquire(); again.release(); native.lock(); again.release()",
                  "mutex:\nwith again: pass"});
}
void rlock_released_twice() {
    python_steps({"again.acquire(); again.acquire(); again.release(); again.release(); native.lock()",
                  "mutex:\nwith again: pass"});
}
void python_condition_in_wait() {
    // A wait gives the lock back, all of its depth, and takes it again.
    python_steps({"condition = threading.Condition(again)\nwith again:\n  with condition:\n    condition.wait(0.001)\n"
                  "native.lock()",
                  "mutex:\nwith condition: condition.notify()"});
}
void python_condition_after_wait() {
    python_steps({"condition = threading.Condition(again)\nwith again:\n  with condition:\n    condition.wait(0.001)\n"
                  "  native.lock()",
                  "mutex:\nwith condition: condition.notify()"});
}
void python_event_under_mutex() {
    // The thread that sets the event took the mutex on its way; here it had it first, so that nothing hangs.
    python_steps({"event = threading.Event(); had = []\n"
                  "def give():\n  native.lock(); had.append(True)\n  while not waits(event._cond): pass\n"
                  "  event.set()\ngiver = threading.Thread(target=give)",
                  "giver.start()\nwhile not had: pass", "mutex:\nwaiter = threading.get_ident()\nevent.wait(3600)"});
}
void python_event_after_mutex() {
    python_steps({"event = threading.Event()\ndef give():\n  native.lock()\n  while not waits(event._cond): pass\n"
                  "  event.set()\ngiver = threading.Thread(target=give)",
                  "giver.start()", "mutex:\npass", "waiter = threading.get_ident()\nevent.wait()"});
}
void queue_filled(const char* fill) {
    // A full queue: the thread that takes from it needs the mutex on its way; here it had it first.
    python_steps({"import queue\ntasks = queue.Queue(1); tasks.put(0); had = []\n"
                  "def take():\n  native.lock(); had.append(True)\n  while not waits(tasks.not_full): pass\n"
                  "  tasks.get()\ntaker = threading.Thread(target=take)",
                  "taker.start()\nwhile not had: pass", fill, "taker.join()"});
}
void queue_filled_under_mutex() {
    queue_filled("mutex:\nwaiter = threading.get_ident()\ntasks.put(1)");
}
void queue_filled_after_mutex() {
    queue_filled("waiter = threading.get_ident()\ntasks.put(1)");
}
void log_handler(const char* warn) {
    // A handler of logging has a lock of its own, under which it writes.
    python_steps({"import logging\nclass Handler(logging.Handler):\n  def emit(self, record):\n"
                  "    if record.msg == 'locks': native.lock()\nlogging.getLogger().addHandler(Handler())",
                  warn, "mutex:\nlogging.warning('plain')"});
}
void log_handler_locks() {
    log_handler("logging.warning('locks')");
}
void log_handler_locks_later() {
    log_handler("logging.warning('plain'); native.lock()");
}
void python_threads_in_order() {
    python_steps(
        {"def first():\n  with lock:\n    with other: pass\n"
         "def second():\n  with other:\n    with lock: pass\n"
         "for each in first, second:\n  thread = threading.Thread(target=each); thread.start(); thread.join()"});
}
void python_join_under_lock() {
    python_steps({"used = threading.Event()\ndef use():\n  with lock: pass\n  used.set()\n"
                  "thread = threading.Thread(target=use); thread.start(); used.wait()\n"
                  "with lock: thread.join()"});
}
void python_join_after_lock() {
    python_steps({"used = threading.Event()\ndef use():\n  with lock: pass\n  used.set()\n"
                  "thread = threading.Thread(target=use); thread.start(); used.wait()\n"
                  "with lock: pass\nthread.join()"});
}

// --- imports
// ---------------------------------------------------------------------------------------------------------------

/// Modules by their code. They fail in the end, so that the next thread imports them again.
const char* const make_modules = R"python(
import importlib.machinery, sys
class Finder:
    modules = {"slow": "import native, sys\nif not hasattr(sys, 'seen'): sys.seen = native.lock()", "locking": "import __main__, sys\nif not hasattr(sys, 'locked'):\n  sys.locked = True\n  with __main__.lock: pass", "other": "", "one": "import two", "two": "import one"}
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, cls) if name in cls.modules else None
    create_module = staticmethod(lambda spec: None)
    @classmethod
    def exec_module(cls, module):
        exec(cls.modules[module.__name__])
        raise ImportError
sys.meta_path.append(Finder)
def load(name):
    try:
        __import__(name)
    except ImportError:
        pass
)python";

void import_steps(const std::vector<const char*>& steps) {
    {
        const Gil gil;
        python(make_modules);
    }
    python_steps(steps);
}

void import_under_python_lock() {
    import_steps({"load('locking')", "with lock: load('locking')"});
}
void import_of_another_under_python_lock() {
    import_steps({"load('locking')", "with lock: load('other')"});
}
void import_before_python_lock() {
    import_steps({"load('locking')", "load('locking')\nwith lock: pass"});
}
void import_under_mutex() {
    import_steps({"load('slow')", "mutex:\nload('slow')"});
}
void import_of_another_under_mutex() {
    import_steps({"load('slow')", "mutex:\nload('missing')"});
}
void modules_in_a_cycle() {
    import_steps({"load('one')", "load('two')"}); // importlib notices it
}
void import_lock_under_mutex() {
    python_steps({"_imp.acquire_lock(); native.lock(); _imp.release_lock()",
                  "mutex:\n_imp.acquire_lock(); _imp.release_lock()"});
}
void import_lock_released() {
    python_steps({"_imp.acquire_lock(); _imp.release_lock(); native.lock()",
                  "mutex:\n_imp.acquire_lock(); _imp.release_lock()"});
}

// --- the shape of public reports

/// rasterio #3611: the first use of a driver registers it under the mutex of all drivers, and warns that it is
/// outdated; the handler of warnings writes to a logger of Python. Another thread asks for a driver with the GIL held.
class Drivers {
public:
    void find() {
        const std::lock_guard<std::recursive_mutex> lock(mutex_);
        if (!registered_) {
            registered_ = true;
            warn();
        }
    }

private:
    static void warn() {
        const Gil gil;
        python("import logging; logging.getLogger('driver').warning('this driver is outdated')");
    }

    std::recursive_mutex mutex_;
    bool registered_ = false;
};

void find_drivers(bool keep_gil) {
    static Drivers drivers;
    const auto use = [=] { wait_with(keep_gil, [] { drivers.find(); }); };
    in_turn({use, use});
}

/// grpc #42247: the last channel is closed with the GIL held, and waits until the workers of its engine have ended; one
/// of them destroys a Python object, for which it needs the GIL.
class Engine {
public:
    void start() {
        ++running_;
        std::thread([this] {
            at(0);
            {
                const Gil gil;
                python("object()");
            } // what it has to do before it can end
            next();
            at(2);
            // The other one waits once it has given the mutex back.
            const Guard lock(mutex_);
            --running_;
            changed_.notify_all();
        }).detach();
    }
    void quiesce() {
        std::unique_lock<std::mutex> lock(mutex_);
        next();
        changed_.wait(lock, [this] { return running_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int running_ = 0;
};

void close_channel(bool keep_gil) {
    static Engine engine;
    engine.start();
    at(1);
    wait_with(keep_gil, [] { engine.quiesce(); });
}

/// An object is destroyed with the GIL held; its destructor joins a poller that calls back into Python.
struct Server {
    std::thread poller;
    Server()
        : poller([] {
              {
                  const Gil gil;
                  python("1 + 1");
              }
              next(); // it needs the GIL no more, so that this run ends
          }) {}
    ~Server() { poller.join(); }
};

void destroy_server(bool keep_gil) {
    auto server = std::make_unique<Server>();
    at(1);
    wait_with(keep_gil, [&] { server.reset(); });
}

/// A logging sink that is written in Python, as users of pybind11 and spdlog build it.
struct Logger {
    std::mutex mutex;
    void log() {
        const Guard lock(mutex);
        const Gil gil;
        python("import sys; sys.stdout.flush()");
    }
    void set_level() { const Guard lock(mutex); }
};

void python_sink() {
    static Logger logger;
    in_turn({[] { logger.log(); },
             [] {
                 const Gil gil;
                 logger.set_level();
             }});
}

void python_sink_fixed() {
    static Logger logger;
    in_turn({[] { logger.log(); },
             [] {
                 const Gil gil;
                 const NoGil released;
                 logger.set_level();
             }});
}

/// OpenUSD #3986: a thread without the GIL makes the static resolver, which loads a plugin with modules of Python;
/// another one asks for the resolver with the GIL held.
struct Resolver {
    static inline int tries = 0;
    Resolver() {
        const Gil gil;
        python("import json");
        if (++tries == 1) {
            throw std::runtime_error("no plugin yet"); // so that the other thread makes it again
        }
    }
};

void find_resolver() {
    try {
        static const Resolver resolver;
    } catch (const std::runtime_error&) {
    }
}

void enter_resolver(bool keep_gil) {
    in_turn({find_resolver, [=] { wait_with(keep_gil, find_resolver); }});
}

struct Case {
    const char* name;
    const char* found;
    const char* twin;
    const char* summary;
    void (*run)();
};

const Case cases[] = {
    {"mutex_inverted", "deadlock", "mutex_released",
     "One thread takes a mutex and then the GIL, the other one the GIL and then the mutex.", mutex_inverted},
    {"mutex_released", "nothing", "mutex_inverted",
     "The same, but the second thread releases the GIL before it takes the mutex.", mutex_released},
    {"callback_sleeps", "deadlock", "callback_after_unlock", "Python code that sleeps is called under a mutex.",
     [] { call_under_mutex(sleeps); }},
    {"callback_after_unlock", "nothing", "callback_sleeps",
     "The same Python code is called after the mutex was released.", [] { call_after_unlock(sleeps); }},
    {"callback_without_switch", "deadlock", "call_after_unlock",
     "Python code is called under a mutex, and keeps the GIL this time.", [] { call_under_mutex("1 + 1"); }},
    {"call_after_unlock", "nothing", "callback_without_switch",
     "The same Python code is called after the mutex was released.", [] { call_after_unlock("1 + 1"); }},
    {"call_once_with_gil", "deadlock", "call_once_without_gil",
     "std::call_once is called with the GIL held, and its function takes the GIL.", call_once_with_gil},
    {"call_once_without_gil", "nothing", "call_once_with_gil",
     "The same, but std::call_once is called without the GIL.", call_once_without_gil},
    {"static_guard", "deadlock", "static_guard_plain",
     "A static variable is initialised with the GIL held, by Python code that releases it.", static_guard},
    {"static_guard_plain", "nothing", "static_guard",
     "A static variable is initialised with the GIL held, without Python code.", static_guard_plain},
    {"shared_mutex_writer", "deadlock", "shared_mutex_readers",
     "A reader takes the GIL; a thread with the GIL asks for the same lock as a writer.",
     [] { reader_and<std::unique_lock<std::shared_mutex>>(); }},
    {"shared_mutex_readers", "nothing", "shared_mutex_writer", "The same, but both threads only read.",
     [] { reader_and<std::shared_lock<std::shared_mutex>>(); }},
    {"spin_inverted", "deadlock", "spin_released", "A spin lock and the GIL are taken in opposite orders.",
     [] { spin(true); }},
    {"spin_released", "nothing", "spin_inverted", "The same, but the GIL is released before the spin lock is taken.",
     [] { spin(false); }},
    {"condition_with_gil", "deadlock", "condition_without_gil",
     "A thread waits for a condition with the GIL held, and its waker needs the GIL.", [] { condition(true); }},
    {"condition_without_gil", "nothing", "condition_with_gil", "The same, but the GIL is released for the wait.",
     [] { condition(false); }},
    {"condition_for_a_time_with_gil", "deadlock", "condition_for_a_time_without_gil",
     "A condition is waited for with the GIL held, for a time and again.", [] { condition_for_a_time(true); }},
    {"condition_for_a_time_without_gil", "nothing", "condition_for_a_time_with_gil",
     "The same wait is made without the GIL.", [] { condition_for_a_time(false); }},
    {"tried_with_gil", "deadlock", "tried_without_gil", "A mutex is tried with the GIL held until it is taken.",
     [] { try_until_taken(true); }},
    {"tried_without_gil", "nothing", "tried_with_gil", "The GIL is released between the tries.",
     [] { try_until_taken(false); }},
    {"file_locked_with_gil", "deadlock", "file_locked_without_gil", "flock waits with the GIL held.",
     [] { lock_file(true); }},
    {"file_locked_without_gil", "nothing", "file_locked_with_gil", "flock waits without the GIL.",
     [] { lock_file(false); }},
    {"stream_locked_with_gil", "deadlock", "stream_locked_without_gil", "flockfile waits with the GIL held.",
     [] { lock_stream(true); }},
    {"stream_locked_without_gil", "nothing", "stream_locked_with_gil", "flockfile waits without the GIL.",
     [] { lock_stream(false); }},
    {"mutex_in_one_place", "deadlock", "mutex_made_again", "A mutex in memory of the program's own, and the GIL.",
     [] { mutex_in_place(false); }},
    {"mutex_made_again", "nothing", "mutex_in_one_place",
     "The second thread takes a new mutex at the address of the first one.", [] { mutex_in_place(true); }},
    {"semaphore_with_gil", "deadlock", "semaphore_without_gil",
     "A thread waits for a semaphore with the GIL held, and its poster needs the GIL.", [] { semaphore_wait(true); }},
    {"semaphore_without_gil", "nothing", "semaphore_with_gil", "The same, but the GIL is released for the wait.",
     [] { semaphore_wait(false); }},
    {"set_taken_with_gil", "deadlock", "set_taken_without_gil",
     "A thread waits for a semaphore of System V with the GIL held.", [] { take_of_set(true); }},
    {"set_taken_without_gil", "nothing", "set_taken_with_gil", "The same, but the GIL is released for the wait.",
     [] { take_of_set(false); }},
    {"semaphore_under_mutex", "deadlock", "semaphore_after_mutex",
     "A thread waits for a semaphore under a mutex that its poster takes first.", [] { semaphore_and_mutex(true); }},
    {"semaphore_after_mutex", "nothing", "semaphore_under_mutex", "The same wait is made without the mutex.",
     [] { semaphore_and_mutex(false); }},
    {"barrier_with_gil", "deadlock", "barrier_without_gil",
     "A thread waits at a barrier with the GIL held, and another one needs the GIL on its way there.",
     [] { barrier_wait(true); }},
    {"barrier_without_gil", "nothing", "barrier_with_gil", "The same, but the GIL is released for the wait.",
     [] { barrier_wait(false); }},
    {"thread_lock_with_gil", "deadlock", "thread_lock_tried_with_gil",
     "A lock of PyThread_allocate_lock and the GIL are taken in opposite orders.", [] { thread_lock(WAIT_LOCK); }},
    {"thread_lock_tried_with_gil", "nothing", "thread_lock_with_gil",
     "The same, but the lock is only tried with the GIL held.", [] { thread_lock(NOWAIT_LOCK); }},
    {"thread_lock_given_with_gil", "deadlock", "thread_lock_given_without_gil",
     "A lock of PyThread_allocate_lock is waited for with the GIL held, and released by a thread that needs the GIL.",
     [] { thread_lock_as_signal(true); }},
    {"thread_lock_given_without_gil", "nothing", "thread_lock_given_with_gil",
     "The same, but only the thread that took the lock first needs the GIL.", [] { thread_lock_as_signal(false); }},
    {"join_with_gil", "deadlock", "join_without_gil", "A thread that needs the GIL is joined with the GIL held.",
     join_with_gil},
    {"join_without_gil", "nothing", "join_with_gil", "The same, but the GIL is released for the join.",
     join_without_gil},
    {"pool_joined_with_gil", "nothing", "join_with_gil",
     "A worker that has waited for its next task since it used Python is joined with the GIL held.",
     pool_joined_with_gil},
    {"async_with_gil", "deadlock", "async_without_gil",
     "The result of std::async is taken with the GIL held, which joins a thread that uses Python.",
     [] { async_result(true); }},
    {"async_without_gil", "nothing", "async_with_gil", "The same, but the GIL is released for the wait.",
     [] { async_result(false); }},
    {"keeper_joined_with_gil", "deadlock", "keeper_joined_without_gil",
     "A thread is joined with the GIL held whose thread_local variable needs it when the thread ends.",
     [] { join_keeper(true); }},
    {"keeper_joined_without_gil", "nothing", "keeper_joined_with_gil",
     "The same, but the GIL is released for the join.", [] { join_keeper(false); }},
    {"any_condition_with_gil", "deadlock", "any_condition_without_gil",
     "A std::condition_variable_any is waited for with the GIL held, and its waker needs the GIL.",
     [] { any_condition(true); }},
    {"any_condition_without_gil", "nothing", "any_condition_with_gil",
     "The same, but the GIL is released for the wait.", [] { any_condition(false); }},
    {"future_with_gil", "deadlock", "future_without_gil",
     "A thread waits for a future with the GIL held, and its promise needs the GIL.", [] { future_get(true); }},
    {"future_without_gil", "nothing", "future_with_gil", "The same, but the GIL is released for the wait.",
     [] { future_get(false); }},
    {"three_locks", "deadlock", "three_locks_in_one_order",
     "Three threads take two of three locks each, one of them the GIL, in a cycle.", [] { three_locks_in(true); }},
    {"three_locks_in_one_order", "nothing", "three_locks", "The same locks, always in one order.",
     [] { three_locks_in(false); }},
    {"two_mutexes", "deadlock", "two_mutexes_in_one_order", "Two mutexes are taken in opposite orders.",
     [] { two_mutexes_in(false); }},
    {"two_mutexes_in_one_order", "nothing", "two_mutexes", "Two mutexes are taken in one order.",
     [] { two_mutexes_in(true); }},
    {"scoped_locks", "nothing", "two_mutexes", "std::scoped_lock takes two mutexes in opposite orders.", scoped_locks},
    {"gate", "nothing", "mutex_inverted", "Opposite orders, but both threads hold a third lock meanwhile.", gate},
    {"ordered_by_join", "nothing", "mutex_inverted",
     "Opposite orders, but one thread ends before the other one starts.", ordered_by_join},
    {"try_lock", "nothing", "mutex_inverted", "Opposite orders, but one of the two only tries the mutex.", try_lock},
    {"recursive", "nothing", "mutex_inverted", "A recursive mutex is taken twice by its holder.", recursive},
#if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_GIL_DISABLED)
    {"one_gil", "deadlock", "own_gils", "Opposite orders in two interpreters that share one GIL.",
     [] { interpreters(false); }},
    {"own_gils", "nothing", "one_gil", "Opposite orders in two interpreters, each with a GIL of its own.",
     [] { interpreters(true); }},
#endif
    {"python_lock_inverted", "deadlock", "python_lock_released",
     "A threading.Lock and a mutex are taken in opposite orders, without the GIL.", python_lock_inverted},
    {"python_lock_released", "nothing", "python_lock_inverted",
     "The same, but the Python lock is released before the mutex is taken.", python_lock_released},
    {"python_lock_tried", "nothing", "python_lock_waited",
     "The Python lock is only tried, or waited for with a time limit.", python_lock_tried},
    {"python_lock_waited", "deadlock", "python_lock_tried", "The same, but without a time limit.", python_lock_waited},
    {"python_lock_handed_over", "nothing", "python_lock_inverted",
     "Another thread than its owner releases the Python lock before the mutex is taken.", python_lock_handed_over},
    {"python_locks_inverted", "deadlock", "python_locks_behind_a_gate",
     "Two Python locks are taken in opposite orders.", python_locks_inverted},
    {"python_locks_behind_a_gate", "nothing", "python_locks_inverted",
     "The same, but both threads hold a third lock meanwhile.", python_locks_behind_a_gate},
    {"python_lock_made_again", "nothing", "python_lock_inverted", "Two Python locks in turn, often at one address.",
     python_lock_made_again},
    {"rlock_still_held", "deadlock", "rlock_released_twice",
     "An RLock that was acquired twice and released once is held.", rlock_still_held},
    {"rlock_released_twice", "nothing", "rlock_still_held", "The same, but it is released twice.",
     rlock_released_twice},
    {"python_condition_in_wait", "nothing", "python_condition_after_wait",
     "The same, but the RLock is released before the mutex is taken.", python_condition_in_wait},
    {"python_condition_after_wait", "deadlock", "python_condition_in_wait",
     "A wait for a Condition takes its RLock again, with all of its depth.", python_condition_after_wait},
    {"python_event_under_mutex", "deadlock", "python_event_after_mutex",
     "A thread waits under a mutex for an event of Python code, which is set by a thread that takes the mutex first.",
     python_event_under_mutex},
    {"python_event_after_mutex", "nothing", "python_event_under_mutex", "The same wait is made without the mutex.",
     python_event_after_mutex},
    {"queue_filled_under_mutex", "deadlock", "queue_filled_after_mutex",
     "A thread puts into a full Queue under a mutex that the taker takes first.", queue_filled_under_mutex},
    {"queue_filled_after_mutex", "nothing", "queue_filled_under_mutex", "The same queue is filled without the mutex.",
     queue_filled_after_mutex},
    {"log_handler_locks", "deadlock", "log_handler_locks_later",
     "A handler of logging takes a mutex, under which another thread logs.", log_handler_locks},
    {"log_handler_locks_later", "nothing", "log_handler_locks",
     "The same, but the mutex is taken after the handler has returned.", log_handler_locks_later},
    {"python_threads_in_order", "nothing", "python_locks_inverted",
     "Opposite orders, but Python code joins one thread before it starts the other.", python_threads_in_order},
    {"python_join_under_lock", "deadlock", "python_join_after_lock",
     "A thread of Python code is joined under a lock that it takes.", python_join_under_lock},
    {"python_join_after_lock", "nothing", "python_join_under_lock",
     "The same, but the lock is released before the join.", python_join_after_lock},
    {"import_under_python_lock", "deadlock", "import_before_python_lock",
     "A module is imported under a lock of Python code that its body takes.", import_under_python_lock},
    {"import_of_another_under_python_lock", "nothing", "import_under_python_lock",
     "Another module is imported under the lock.", import_of_another_under_python_lock},
    {"import_before_python_lock", "nothing", "import_under_python_lock",
     "The module is imported before the lock is taken.", import_before_python_lock},
    {"import_under_mutex", "deadlock", "import_of_another_under_mutex",
     "A module is imported under a mutex that its body takes.", import_under_mutex},
    {"import_of_another_under_mutex", "nothing", "import_under_mutex", "Another module is imported under the mutex.",
     import_of_another_under_mutex},
    {"modules_in_a_cycle", "nothing", "import_under_mutex",
     "Two modules import each other in two threads, which importlib resolves.", modules_in_a_cycle},
    {"import_lock_under_mutex", "deadlock", "import_lock_released",
     "The import lock and a mutex are taken in opposite orders.", import_lock_under_mutex},
    {"import_lock_released", "nothing", "import_lock_under_mutex",
     "The same, but the import lock is released before the mutex is taken.", import_lock_released},
    {"driver_warns_with_gil", "deadlock", "driver_warns_without_gil",
     "A driver is registered under a mutex, with the GIL, and warns by a logger of Python.",
     [] { find_drivers(true); }},
    {"driver_warns_without_gil", "nothing", "driver_warns_with_gil", "The same driver is registered without the GIL.",
     [] { find_drivers(false); }},
    {"channel_closed_with_gil", "deadlock", "channel_closed_without_gil",
     "A channel waits with the GIL until a worker ends, which destroys a Python object.", [] { close_channel(true); }},
    {"channel_closed_without_gil", "nothing", "channel_closed_with_gil", "The same channel waits without the GIL.",
     [] { close_channel(false); }},
    {"server_destroyed_with_gil", "deadlock", "server_destroyed_without_gil",
     "A destructor that joins a thread which calls Python runs with the GIL held.", [] { destroy_server(true); }},
    {"server_destroyed_without_gil", "nothing", "server_destroyed_with_gil",
     "The same destructor runs without the GIL.", [] { destroy_server(false); }},
    {"python_sink", "deadlock", "python_sink_fixed",
     "A logger calls its Python sink under a mutex that is also taken with the GIL held.", python_sink},
    {"python_sink_fixed", "nothing", "python_sink", "The same logger releases the GIL before it takes the mutex.",
     python_sink_fixed},
    {"resolver_entered_with_gil", "deadlock", "resolver_entered_without_gil",
     "A static resolver loads a Python plugin, and is asked for with the GIL.", [] { enter_resolver(true); }},
    {"resolver_entered_without_gil", "nothing", "resolver_entered_with_gil",
     "The same resolver is asked for without the GIL.", [] { enter_resolver(false); }},
};

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        for (const auto& each : cases) {
            std::printf("%s\t%s\t%s\t%s\n", each.name, each.found, each.twin, each.summary);
        }
        return 0;
    }
    for (const auto& each : cases) {
        if (std::strcmp(each.name, argv[1]) == 0) {
            PyImport_AppendInittab("native", make_native);
            Py_InitializeEx(0);
            PyThreadState* const main_state = PyEval_SaveThread();
            each.run();
            PyEval_RestoreThread(main_state);
            return Py_FinalizeEx() == 0 ? 0 : 3;
        }
    }
    std::fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}
