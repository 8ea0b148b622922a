#include "harness/racer.hpp"

#include "harness/gil.hpp"
#include "harness/stacks.hpp"

#include <binding.hpp>
#include <python_tsan/barrier.hpp>

#include <cstdlib>
#include <cxxabi.h>
#include <exception>
#include <memory>
#include <optional>
#include <pthread.h>
#include <string>
#include <thread>
#include <typeinfo>

namespace python_tsan {

namespace {

std::string python_type_name(py::handle type) {
    const auto module = py::cast<std::string>(type.attr("__module__"));
    const auto name = py::cast<std::string>(type.attr("__qualname__"));
    return module == "builtins" ? name : module + "." + name;
}

std::string cpp_type_name(const std::type_info& type) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                      std::free);
    return status == 0 ? name.get() : type.name();
}

} // namespace

Error current_error(const std::string& thread) {
    try {
        throw;
    } catch (const py::error_already_set& error) {
        const py::gil_scoped_acquire gil;
        return {python_type_name(error.type()), py::cast<std::string>(py::str(error.value())), thread};
    } catch (const std::exception& error) {
        return {cpp_type_name(typeid(error)), error.what(), thread};
    } catch (...) {
        return {"unknown", "something that is not a std::exception was thrown", thread};
    }
}

void race(Context& context, const std::vector<std::function<void()>>& jobs) {
    std::optional<py::gil_scoped_release> released;
    if (Py_IsInitialized() != 0 && PyGILState_Check() != 0) {
        released.emplace();
    }
    Barrier start(static_cast<unsigned>(jobs.size()));
    std::vector<std::optional<Error>> errors(jobs.size());
    std::vector<std::thread> threads;
    threads.reserve(jobs.size());
    for (std::size_t index = 0; index < jobs.size(); ++index) {
        const std::string name = "T" + std::to_string(index + 1);
        threads.emplace_back([&start, &error = errors[index], &job = jobs[index], name] {
            pthread_setname_np(pthread_self(), name.c_str());
            start.wait();
            try {
                job();
            } catch (...) {
                error = current_error(name);
            }
        });
        note_thread(threads.back().native_handle(), name);
    }
    for (auto& thread : threads) {
        thread.join();
    }
    for (auto& error : errors) {
        if (error) {
            context.add_error(std::move(*error));
        }
    }
}

void race(Context& context, const std::function<void(unsigned)>& job) {
    std::vector<std::function<void()>> jobs;
    jobs.reserve(context.threads());
    for (unsigned index = 0; index < context.threads(); ++index) {
        jobs.emplace_back([&job, index] { job(index); });
    }
    race(context, jobs);
}

void take_turns(Context& context, const std::vector<std::function<void()>>& jobs) {
    Barrier turn_over(static_cast<unsigned>(jobs.size()));
    std::vector<std::function<void()>> turns;
    turns.reserve(jobs.size());
    for (std::size_t mine = 0; mine < jobs.size(); ++mine) {
        turns.emplace_back([&, mine] {
            std::exception_ptr thrown;
            for (std::size_t turn = 0; turn < jobs.size(); ++turn) {
                if (turn == mine) {
                    try {
                        jobs[mine]();
                    } catch (...) {
                        thrown = std::current_exception(); // the other threads still wait for the end of this turn
                    }
                }
                turn_over.wait();
            }
            if (thrown) {
                std::rethrow_exception(thrown);
            }
        });
    }
    race(context, turns);
}

void take_turns_known(Context& context, const std::vector<std::function<void()>>& jobs) {
    Barrier turn_over(static_cast<unsigned>(jobs.size()));
    std::vector<std::function<void()>> turns;
    turns.reserve(jobs.size());
    for (std::size_t mine = 0; mine < jobs.size(); ++mine) {
        turns.emplace_back([&, mine] {
            const py::gil_scoped_acquire thread_state;
            const py::gil_scoped_release only_kept;
            turn_over.wait();
            for (std::size_t turn = 0; turn < jobs.size(); ++turn) {
                if (turn == mine) {
                    jobs[mine]();
                }
                turn_over.wait();
            }
        });
    }
    race(context, turns);
}

long long race_guarded(Context& context, const std::function<void()>& job) {
    if (!built_with_gil) {
        take_turns_known(context, {job, job});
        return 2;
    }
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            job();
        }
    });
    return context.total();
}

} // namespace python_tsan
