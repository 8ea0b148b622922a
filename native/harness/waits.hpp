#pragma once

/// Who waits for which native lock, recorded by the threads themselves: when a thread waits with the GIL held, no
/// Python code can run to find out.

#include "harness/context.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace python_tsan {

/// Records who owns and who waits for which lock. Whenever that has not changed for a second, a monitor thread writes
/// it to waits.txt next to the report, one line for each waiting thread. Thread-safe, and never touches the GIL. Its
/// mutex orders the threads that use it: it is for scenarios about waiting, not about races.
class Waits {
public:
    explicit Waits(const Options& options);
    ~Waits();
    Waits(const Waits&) = delete;
    Waits& operator=(const Waits&) = delete;

    /// `thread` is about to take `lock`, and waits for it until own() is called.
    void want(const std::string& thread, const std::string& lock);
    /// `thread` has taken `lock`.
    void own(const std::string& thread, const std::string& lock);
    /// No thread has `lock`.
    void release(const std::string& lock);

private:
    void change();
    void watch();
    std::vector<std::string> lines() const;

    const std::string path_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, std::string> waiting_; // lock by thread
    std::map<std::string, std::string> owners_;  // thread by lock
    unsigned long changes_ = 0;
    bool done_ = false;
    std::thread monitor_;
};

} // namespace python_tsan
