#pragma once

/// Who waits for which native lock, noted by the threads themselves. Where a thread waits with the GIL held, nothing in
/// Python could tell any more.

#include "harness/context.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace python_tsan {

/// Collects who owns and who waits for what; once that has stood still for a second with somebody waiting, a thread of
/// its own writes it to waits.txt beside the report, one line for each that waits. Thread-safe, and never touches the
/// GIL. Its own mutex orders the threads that note something: it is for scenarios about waiting, not about races.
class Waits {
public:
    explicit Waits(const Options& options);
    ~Waits();
    Waits(const Waits&) = delete;
    Waits& operator=(const Waits&) = delete;

    /// `thread` is about to take `lock`, and stands there until own() is called.
    void want(const std::string& thread, const std::string& lock);
    /// `thread` has it.
    void own(const std::string& thread, const std::string& lock);
    /// Nobody has it.
    void release(const std::string& lock);

private:
    void change();
    void watch();
    std::vector<std::string> lines() const;

    const std::string path_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, std::string> wanted_; // lock by thread
    std::map<std::string, std::string> owners_; // thread by lock
    unsigned long changes_ = 0;
    bool done_ = false;
    std::thread witness_;
};

} // namespace python_tsan
