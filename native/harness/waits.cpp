#include "harness/waits.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>

namespace python_tsan {

namespace {

constexpr std::chrono::seconds standstill{1};

std::string notes_path(const std::string& report) {
    return report.empty() ? report : std::filesystem::path(report).replace_filename("waits.txt").string();
}

} // namespace

Waits::Waits(const Options& options) : path_(notes_path(options.report)), monitor_([this] { watch(); }) {}

Waits::~Waits() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        done_ = true;
        change();
    }
    monitor_.join();
}

void Waits::want(const std::string& thread, const std::string& lock) {
    const std::lock_guard<std::mutex> noting(mutex_);
    waiting_[thread] = lock;
    change();
}

void Waits::own(const std::string& thread, const std::string& lock) {
    const std::lock_guard<std::mutex> noting(mutex_);
    waiting_.erase(thread);
    owners_[lock] = thread;
    change();
}

void Waits::release(const std::string& lock) {
    const std::lock_guard<std::mutex> noting(mutex_);
    owners_.erase(lock);
    change();
}

void Waits::change() {
    ++changes_;
    changed_.notify_all();
}

std::vector<std::string> Waits::lines() const {
    std::vector<std::string> all;
    for (const auto& [thread, lock] : waiting_) {
        const auto owner = owners_.find(lock);
        const std::string held_by = owner == owners_.end() ? "nobody" : owner->second;
        all.push_back(thread + " waits for " + lock + ", held by " + held_by);
    }
    return all;
}

void Waits::watch() {
    std::unique_lock<std::mutex> lock(mutex_);
    std::vector<std::string> written;
    while (!done_) {
        const auto before = changes_;
        const bool moved = changed_.wait_for(lock, standstill, [&] { return changes_ != before; });
        const auto seen = lines();
        if (moved || seen == written || path_.empty()) {
            continue;
        }
        std::ofstream notes(path_ + ".new");
        for (const auto& line : seen) {
            notes << line << '\n';
        }
        notes.close();
        std::filesystem::rename(path_ + ".new", path_);
        written = seen;
    }
}

} // namespace python_tsan
