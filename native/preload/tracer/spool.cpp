#include "spool.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

namespace gil_tracer {

namespace {

constexpr std::uint64_t smallest = 1 << 20;

char folder[3072];
constexpr std::uint64_t default_bytes = 64 << 20;
std::uint64_t file_size;
bool piecemeal; // the file is allocated as it is used, rather than all at once
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t piece = 1 << 16;
constexpr int region_count = 4; // those that claim() allocates, in the header's order
std::uint64_t claimed[region_count];
std::atomic<std::uint64_t> usable_chunks{0};
std::atomic<Header*> current{nullptr};
std::atomic<bool> refused{false};
std::atomic_flag making = ATOMIC_FLAG_INIT;

std::uint64_t clock_ns(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t place(Region& region, std::uint64_t offset, std::uint64_t bytes, std::uint64_t first) {
    region.offset = offset;
    region.bytes = bytes & ~std::uint64_t{63};
    region.used.store(first, std::memory_order_relaxed); // row 0 stands for "none"
    return offset + region.bytes;
}

void divide(Header* header, std::uint64_t bytes) {
    auto offset = header_bytes;
    offset = place(header->strings, offset, bytes / 16, 1);
    offset = place(header->codes, offset, bytes / 32, sizeof(Code));
    offset = place(header->nodes, offset, bytes / 8, sizeof(Node));
    offset = place(header->objects, offset, bytes / 64, sizeof(Object));
    offset = (offset + page - 1) & ~(page - 1);
    header->chunk_count = static_cast<std::uint32_t>((bytes - offset) / chunk_bytes);
    place(header->chunks, offset, header->chunk_count * chunk_bytes, 0);
}

/// Allocate pages. Writing to a page without memory would end the program with SIGBUS; this returns false instead.
bool populate(void* address, std::uint64_t bytes) {
    const auto begin = reinterpret_cast<std::uint64_t>(address) & ~(page - 1);
    const auto end = (reinterpret_cast<std::uint64_t>(address) + bytes + page - 1) & ~(page - 1);
    const int populate_write = 23; // MADV_POPULATE_WRITE, since Linux 5.14
    return madvise(reinterpret_cast<void*>(begin), end - begin, populate_write) == 0;
}

/// Map the file. If pages cannot be allocated one by one, the whole file is allocated now, which takes longer.
void* map(int file, int& failure) {
    const auto size = static_cast<off_t>(file_size);
    rlimit limit;
    const bool allowed = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur >= file_size;
    failure = !allowed ? EFBIG : ftruncate(file, size) == 0 ? 0 : errno; // beyond the limit there is a signal
    if (failure != 0) {
        return nullptr;
    }
    void* memory = mmap(nullptr, file_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) {
        failure = errno;
        return nullptr;
    }
    piecemeal = populate(memory, header_bytes);
    failure = piecemeal ? 0 : posix_fallocate(file, 0, size);
    if (failure != 0) {
        munmap(memory, file_size);
        return nullptr;
    }
    std::memset(claimed, 0, sizeof claimed);
    return memory;
}

Header* make() {
    char path[sizeof folder + 64];
    std::snprintf(path, sizeof path, "%s/%d-%llu.gil", folder, getpid(), static_cast<unsigned long long>(monotonic()));
    const int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        spool_note("problem", std::strerror(errno));
        return nullptr;
    }
    int failure = 0;
    void* memory = map(file, failure);
    close(file);
    if (memory == nullptr) {
        unlink(path);
        spool_note("problem", std::strerror(failure));
        return nullptr;
    }
    auto* header = static_cast<Header*>(memory);
    header->version = format_version;
    header->file_bytes = file_size;
    header->started = clock_ns(CLOCK_MONOTONIC);
    header->started_unix = clock_ns(CLOCK_REALTIME);
    header->pid = static_cast<std::uint32_t>(getpid());
    header->parent = static_cast<std::uint32_t>(getppid());
    const auto length = readlink("/proc/self/exe", header->executable, sizeof header->executable - 1);
    header->executable[length < 0 ? 0 : length] = '\0';
    divide(header, file_size);
    usable_chunks.store(header->chunk_count);
    std::memcpy(header->magic, magic, sizeof magic); // last: a file without it is incomplete
    return header;
}

} // namespace

std::uint64_t monotonic() {
    return clock_ns(CLOCK_MONOTONIC);
}

bool spool_requested() {
    const char* where = std::getenv("PYTHON_TSAN_GIL_SPOOL");
    if (where == nullptr || std::strlen(where) >= sizeof folder) {
        return false;
    }
    std::strcpy(folder, where);
    auto bytes = default_bytes;
    if (const char* text = std::getenv("PYTHON_TSAN_GIL_BYTES")) {
        bytes = std::strtoull(text, nullptr, 10);
    }
    // An eighth is for the hash tables of rows, which have their own memory.
    file_size = ((bytes < smallest ? smallest : bytes) / 8 * 7) & ~(page - 1);
    return true;
}

void spool_note(const char* what, const char* detail) {
    char program[1024];
    const auto length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length < 0 ? 0 : length] = '\0';
    char path[sizeof folder + 32];
    std::snprintf(path, sizeof path, "%s/processes", folder);
    char line[4096];
    const int size = std::snprintf(line, sizeof line, "%d\t%d\t%s\t%s\n", getpid(), getppid(), what,
                                   detail == nullptr ? program : detail);
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        // One write to a file opened for appending is not mixed with another process's. A failure cannot be
        // reported anywhere.
        [[maybe_unused]] const auto written = write(file, line, static_cast<std::size_t>(size));
        close(file);
    }
}

bool claim(Header* header, const Region& region, std::uint64_t bytes) {
    auto& have = claimed[&region - &header->strings];
    if (!piecemeal || bytes <= have) {
        return true;
    }
    const auto rounded = (bytes + piece - 1) & ~(piece - 1);
    const auto end = rounded < region.bytes ? rounded : region.bytes;
    if (!populate(rows<char>(header, region) + have, end - have)) {
        return false;
    }
    have = end;
    return true;
}

Header* spool() {
    if (auto* header = current.load(std::memory_order_acquire)) {
        return header;
    }
    if (refused.load(std::memory_order_relaxed)) {
        return nullptr;
    }
    while (making.test_and_set(std::memory_order_acquire)) {
    }
    auto* header = current.load(std::memory_order_relaxed);
    if (header == nullptr && !refused.load(std::memory_order_relaxed)) {
        header = make();
        refused.store(header == nullptr, std::memory_order_relaxed);
        current.store(header, std::memory_order_release);
    }
    making.clear(std::memory_order_release);
    return header;
}

void spool_forget() {
    if (auto* header = current.exchange(nullptr)) {
        munmap(header, header->file_bytes); // it belongs to the parent
    }
    refused.store(false);
    making.clear();
}

Chunk* spool_chunk(Header* header) {
    auto* first = rows<char>(header, header->chunks);
    for (std::uint64_t tries = 0; tries < usable_chunks.load(std::memory_order_relaxed); ++tries) {
        const auto sequence = header->next_chunk.fetch_add(1, std::memory_order_relaxed);
        const auto usable = usable_chunks.load(std::memory_order_relaxed);
        if (usable == 0) {
            return nullptr;
        }
        auto* chunk = reinterpret_cast<Chunk*>(first + sequence % usable * chunk_bytes);
        if (piecemeal && sequence < usable && !populate(chunk, chunk_bytes)) {
            usable_chunks.store(sequence, std::memory_order_relaxed); // the disk is full: use the existing chunks
            continue;
        }
        auto state = chunk->state.load(std::memory_order_acquire);
        if (state != chunk_active && chunk->state.compare_exchange_strong(state, chunk_active)) {
            header->dropped.fetch_add(chunk->count.exchange(0), std::memory_order_relaxed);
            chunk->sequence = sequence;
            return chunk;
        }
    }
    return nullptr;
}

} // namespace gil_tracer
