// Memory with more than one address, of which the runtime sees each address alone: files and shared memory that one
// process maps twice, or that several processes map. Nothing is changed; what happened is written when a process ends.
#include "../../companion/buffer.hpp"
#include "shim.hpp"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using namespace python_tsan::shims;

using Map = void* (*)(void*, std::size_t, int, int, int, off_t);
using Map64 = void* (*)(void*, std::size_t, int, int, int, off64_t);

Next<Map> next_mmap("mmap");
Next<Map64> next_mmap64("mmap64");
Next<int (*)(void*, std::size_t)> next_munmap("munmap");

/// A live mapping of a file, or of anonymous shared memory: file 0 of device 0.
struct Mapping {
    std::atomic<void*> address{nullptr};
    bool writable = false;
    std::size_t file = 0;
};

/// A file that was mapped, with what happened to it.
struct File {
    dev_t device = 0;
    ino_t inode = 0;
    std::atomic<bool> twice{false};
    std::atomic<bool> forked{false};
    char path[256] = {};
};

constexpr std::size_t kMostMappings = 256;
constexpr std::size_t kMostFiles = 64;
Mapping mappings[kMostMappings];
File files[kMostFiles];
std::size_t file_count = 0;
std::atomic_flag busy = ATOMIC_FLAG_INIT;

class Locked {
public:
    Locked() {
        while (busy.test_and_set(std::memory_order_acquire)) {
        }
    }
    ~Locked() { busy.clear(std::memory_order_release); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
};

void read_path(int descriptor, char (&path)[256]) {
    char link[64] = "/proc/self/fd/";
    char digits[16];
    std::size_t count = 0;
    for (int rest = descriptor; count == 0 || rest > 0; rest /= 10) {
        digits[count++] = static_cast<char>('0' + rest % 10);
    }
    std::size_t end = std::strlen(link);
    while (count > 0) {
        link[end++] = digits[--count];
    }
    link[end] = '\0';
    const long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
}

/// Returns the number of a file, which is added if it is new; kMostFiles when there are too many.
std::size_t file_of(dev_t device, ino_t inode, int descriptor) {
    for (std::size_t index = 0; index < file_count; ++index) {
        if (files[index].device == device && files[index].inode == inode) {
            return index;
        }
    }
    if (file_count == kMostFiles) {
        return kMostFiles;
    }
    File& file = files[file_count];
    file.device = device;
    file.inode = inode;
    if (descriptor >= 0) {
        read_path(descriptor, file.path);
    }
    return file_count++;
}

void mapped(void* address, int protection, int flags, int descriptor) {
    if (address == MAP_FAILED || (flags & MAP_TYPE) == MAP_PRIVATE || !is_enabled()) {
        return;
    }
    struct stat status{};
    const bool anonymous = (flags & MAP_ANONYMOUS) != 0;
    if (!anonymous && syscall(SYS_fstat, descriptor, &status) != 0) {
        return;
    }
    const Locked locked;
    const std::size_t number = file_of(status.st_dev, status.st_ino, anonymous ? -1 : descriptor);
    if (number == kMostFiles) {
        return;
    }
    const bool writable = (protection & PROT_WRITE) != 0;
    Mapping* free_place = nullptr;
    for (Mapping& each : mappings) {
        if (each.address.load(std::memory_order_relaxed) == nullptr) {
            free_place = free_place == nullptr ? &each : free_place;
        } else if (!anonymous && each.file == number && (each.writable || writable)) {
            files[number].twice.store(true, std::memory_order_relaxed);
        }
    }
    if (free_place != nullptr) {
        free_place->file = number;
        free_place->writable = writable;
        free_place->address.store(address, std::memory_order_release);
    }
}

/// Runs in the parent, after a fork.
void forked() {
    for (Mapping& each : mappings) {
        if (each.address.load(std::memory_order_acquire) != nullptr && each.writable) {
            files[each.file].forked.store(true, std::memory_order_relaxed);
        }
    }
}

/// GCC's runtime calls these while it symbolizes a report; see descriptors.cpp.
__attribute__((constructor(102))) void begin() {
    next_mmap.get();
    next_mmap64.get();
    next_munmap.get();
    if (is_enabled()) {
        pthread_atfork(nullptr, forked, nullptr);
    }
}

__attribute__((destructor)) void end() {
    const char* folder = std::getenv("PYTHON_TSAN_COMPANION");
    if (folder == nullptr || !is_enabled()) {
        return;
    }
    for (std::size_t index = 0; index < file_count; ++index) {
        const File& file = files[index];
        python_tsan::companion::Line line(folder, "mappings");
        line.raw("{\"pid\":").number(syscall(SYS_getpid)).raw(",\"device\":").number(static_cast<long>(file.device));
        line.raw(",\"inode\":").number(static_cast<long>(file.inode)).raw(",\"path\":").text(file.path);
        line.raw(",\"twice\":").boolean(file.twice.load(std::memory_order_relaxed));
        line.raw(",\"forked\":").boolean(file.forked.load(std::memory_order_relaxed)).raw("}");
    }
}

} // namespace

PYTHON_TSAN_SHIM void*
mmap(void* wanted, std::size_t size, int protection, int flags, int descriptor, off_t offset) noexcept {
    void* address = next_mmap(wanted, size, protection, flags, descriptor, offset);
    mapped(address, protection, flags, descriptor);
    return address;
}

PYTHON_TSAN_SHIM void*
mmap64(void* wanted, std::size_t size, int protection, int flags, int descriptor, off64_t offset) noexcept {
    void* address = next_mmap64(wanted, size, protection, flags, descriptor, offset);
    mapped(address, protection, flags, descriptor);
    return address;
}

PYTHON_TSAN_SHIM int munmap(void* address, std::size_t size) noexcept {
    if (is_enabled()) {
        for (Mapping& each : mappings) {
            if (each.address.load(std::memory_order_relaxed) == address && address != nullptr) {
                each.address.store(nullptr, std::memory_order_relaxed);
            }
        }
    }
    return next_munmap(address, size);
}
