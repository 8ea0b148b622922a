#include "file.hpp"

#include "../common/table.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace lock_recorder {

Header* header = nullptr;
bool only_waits = false;

namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t piece = 1 << 13; // a page of a file on disk is dear
constexpr std::size_t longest_text = 4000;
constexpr auto part_count = static_cast<std::size_t>(Part::count);

struct Share {
    std::uint64_t bytes;
    std::uint64_t first; // row 0 stands for "none"
};

constexpr std::uint64_t mega = 1 << 20;
// By the order of Part. Pages are allocated as they are written to.
constexpr Share shares[part_count] = {
    {4 * mega, 16},
    {mega / 4, sizeof(Object)},
    {8 * mega, sizeof(Frame)},
    {4 * mega, sizeof(PythonFrame)},
    {6 * mega, sizeof(Lock)},
    {6 * mega, sizeof(Thread)},
    {4 * mega, sizeof(Segment)},
    {7 * mega, sizeof(HeldLocks)},
    {10 * mega, sizeof(Request)},
    {2 * mega, sizeof(Wake)},
    {mega, sizeof(Wait)},
    {mega, sizeof(Moment)},
    {mega, sizeof(Misuse)},
    {7 * mega, 0},
};

char folder[3072];
std::uint64_t claimed[part_count];
std::uint64_t populated[part_count];
bool piecemeal = false;
bool refused = false;
Table texts;

/// A text that is built from pieces; what does not fit is cut off.
class Words {
public:
    Words& text(const char* more) {
        for (; *more != '\0' && used_ + 1 < sizeof text_; ++more) {
            text_[used_++] = *more;
        }
        text_[used_] = '\0';
        return *this;
    }
    Words& number(std::uint64_t value) {
        char digits[24];
        char* first = digits + sizeof digits - 1;
        *first = '\0';
        do {
            *--first = static_cast<char>('0' + value % 10);
            value /= 10;
        } while (value != 0);
        return text(first);
    }
    const char* begin() const { return text_; }
    std::size_t size() const { return used_; }

private:
    char text_[8192];
    std::size_t used_ = 0;
};

void read_program(char* path, std::size_t size) {
    const long length =
        raw_call(SYS_readlinkat, AT_FDCWD, as_long("/proc/self/exe"), as_long(path), static_cast<long>(size) - 1);
    path[length < 0 ? 0 : length] = '\0';
}

/// Writing to a page without memory would end the program with SIGBUS; this returns an error instead.
long populate(const void* address, std::uint64_t bytes) {
    constexpr long populate_write = 23; // MADV_POPULATE_WRITE, since Linux 5.14
    return raw_call(SYS_madvise, as_long(address), static_cast<long>(bytes), populate_write);
}

std::uint64_t divide(Region* parts) {
    std::uint64_t offset = header_bytes;
    for (std::size_t i = 0; i < part_count; ++i) {
        parts[i].offset = offset;
        parts[i].bytes = shares[i].bytes;
        parts[i].used.store(shares[i].first, std::memory_order_relaxed);
        offset += shares[i].bytes;
    }
    return offset;
}

/// The mapped file, or a negative error code.
long map(long file, std::uint64_t bytes) {
    rlimit limit{};
    raw_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, as_long(&limit));
    if (limit.rlim_cur < bytes) {
        return -EFBIG; // beyond the limit there is a signal
    }
    if (const long failed = raw_call(SYS_ftruncate, file, static_cast<long>(bytes)); failed < 0) {
        return failed;
    }
    const long memory = raw_call(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory < 0 && memory > -4096) {
        return memory;
    }
    // Else each page that is written to makes the kernel read two megabytes of the empty file ahead.
    raw_call(SYS_madvise, memory, static_cast<long>(bytes), MADV_RANDOM);
    piecemeal = populate(reinterpret_cast<void*>(memory), header_bytes) == 0;
    const long failed = piecemeal ? 0 : raw_call(SYS_fallocate, file, 0, 0, static_cast<long>(bytes));
    if (failed < 0) {
        raw_release(reinterpret_cast<void*>(memory), bytes);
        return failed;
    }
    return memory;
}

Header* make() {
    Region parts[part_count];
    const auto bytes = divide(parts);
    Words path;
    path.text(folder).text("/").number(static_cast<std::uint64_t>(raw_call(SYS_getpid)));
    path.text("-").number(raw_monotonic()).text(".locks");
    const long file =
        raw_call(SYS_openat, AT_FDCWD, as_long(path.begin()), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const long memory = file < 0 ? file : map(file, bytes);
    if (file >= 0) {
        raw_call(SYS_close, file);
    }
    if (memory < 0 && memory > -4096) {
        if (file >= 0) {
            raw_call(SYS_unlinkat, AT_FDCWD, as_long(path.begin()), 0);
        }
        Words detail;
        file_note("problem", detail.text("error ").number(static_cast<std::uint64_t>(-memory)).begin());
        return nullptr;
    }
    auto* made = reinterpret_cast<Header*>(memory);
    made->version = format_version;
    made->pid = static_cast<std::uint32_t>(raw_call(SYS_getpid));
    made->parent = static_cast<std::uint32_t>(raw_call(SYS_getppid));
    read_program(made->executable, sizeof made->executable);
    divide(made->parts);
    for (std::size_t i = 0; i < part_count; ++i) {
        claimed[i] = shares[i].first;
        populated[i] = 0;
    }
    return made;
}

} // namespace

const char* variable(const char* name) {
    const auto length = length_of(name);
    for (char** each = __environ; each != nullptr && *each != nullptr; ++each) {
        std::size_t i = 0;
        while (i < length && (*each)[i] == name[i]) {
            ++i;
        }
        if (i == length && (*each)[i] == '=') {
            return *each + length + 1;
        }
    }
    return nullptr;
}

bool file_requested() {
    const char* where = variable("PYTHON_TSAN_LOCKS");
    if (where == nullptr || where[0] != '/' || length_of(where) >= sizeof folder) {
        return false;
    }
    copy_bytes(folder, where, length_of(where) + 1);
    only_waits = variable("PYTHON_TSAN_LOCKS_ONLY_WAITS") != nullptr;
    return true;
}

namespace {

/// Where a list of LD_PRELOAD contains another one as a whole, null if it does not.
char* part_of(char* list, const char* part) {
    const auto whole = length_of(list), length = length_of(part);
    for (std::size_t at = 0; at + length <= whole; ++at) {
        const bool starts = at == 0 || list[at - 1] == ':',
                   ends = list[at + length] == ':' || list[at + length] == '\0';
        if (starts && ends && begins_with(list + at, part)) {
            return list + at;
        }
    }
    return nullptr;
}

const char* last_of(const char* list) {
    const char* last = list;
    for (; *list != '\0'; ++list) {
        last = *list == ':' ? list + 1 : last;
    }
    return last;
}

} // namespace

bool file_unload() {
    const char* own = variable("PYTHON_TSAN_LOCKS_PRELOAD");
    char* list = const_cast<char*>(variable("LD_PRELOAD")); // the environment is the program's own memory
    if (own == nullptr || list == nullptr) {
        return true;
    }
    const char* recorder = last_of(own);
    char* found = part_of(list, own);
    if (found != nullptr) {
        copy_bytes(found, recorder, length_of(recorder));
        const char* rest = found + length_of(own);
        copy_bytes(found + length_of(recorder), rest, length_of(rest) + 1);
    }
    return found != nullptr || part_of(list, recorder) == nullptr;
}

void file_load_again(char** words) {
    static char list[8192];
    Words made;
    made.text("LD_PRELOAD=");
    const char* before = variable("LD_PRELOAD");
    const char* own = variable("PYTHON_TSAN_LOCKS_PRELOAD");
    const auto* recorder = part_of(const_cast<char*>(before), last_of(own));
    for (const char* each = before; *each != '\0';) {
        if (each == recorder) {
            made.text(own);
            each += length_of(last_of(own));
        } else {
            const char one[2] = {*each++, '\0'};
            made.text(one);
        }
    }
    copy_bytes(list, made.begin(), made.size() + 1);
    for (char** each = __environ; *each != nullptr; ++each) {
        *each = begins_with(*each, "LD_PRELOAD=") ? list : *each;
    }
    char program[4096];
    read_program(program, sizeof program);
    raw_call(SYS_execve, as_long(program), as_long(words), as_long(__environ));
}

bool file_make() {
    if (header != nullptr || refused) {
        return header != nullptr;
    }
    auto* made = make();
    refused = made == nullptr || !texts.prepare();
    if (!refused) {
        header = made;
        copy_bytes(header->magic, magic, sizeof magic); // last: a file without it is incomplete
    }
    return !refused;
}

void file_forget() {
    if (header != nullptr) {
        const auto& last = header->parts[part_count - 1];
        raw_release(header, last.offset + last.bytes); // it belongs to the parent
    }
    header = nullptr;
    refused = false;
    texts.release();
}

void file_note(const char* what, const char* detail) {
    char program[4096];
    read_program(program, sizeof program);
    Words path, line;
    path.text(folder).text("/processes");
    line.number(static_cast<std::uint64_t>(raw_call(SYS_getpid))).text("\t").text(what).text("\t");
    line.text(detail == nullptr ? program : detail).text("\n");
    const long file =
        raw_call(SYS_openat, AT_FDCWD, as_long(path.begin()), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        // One write to a file opened for appending is not mixed with another process's.
        raw_call(SYS_write, file, as_long(line.begin()), static_cast<long>(line.size()));
        raw_call(SYS_close, file);
    }
}

void* file_claim(Part part, std::uint64_t bytes) {
    const auto i = static_cast<std::size_t>(part);
    const auto& region = header->parts[i];
    const auto end = claimed[i] + bytes;
    if (end > region.bytes) {
        return nullptr;
    }
    auto* base = reinterpret_cast<char*>(header) + region.offset;
    if (piecemeal && end > populated[i]) {
        const auto rounded = (end + piece - 1) & ~(piece - 1);
        const auto last = rounded < region.bytes ? rounded : region.bytes;
        const auto from = populated[i] & ~(page - 1);
        if (populate(base + from, last - from) != 0) {
            return nullptr;
        }
        populated[i] = last;
    }
    auto* place = base + claimed[i];
    claimed[i] = end;
    return place;
}

void file_publish(Part part, std::uint64_t bytes) {
    header->parts[static_cast<std::size_t>(part)].used.fetch_add(bytes, std::memory_order_release);
}

void count_lost(Lost what) {
    header->lost[static_cast<std::size_t>(what)].fetch_add(1, std::memory_order_relaxed);
}

std::uint32_t intern_text(const char* text, std::size_t length) {
    length = length < longest_text ? length : longest_text;
    std::uint64_t hash = length;
    for (std::size_t i = 0; i < length; ++i) {
        hash = mix(hash, static_cast<unsigned char>(text[i]));
    }
    const char* stored = rows<char>(Part::strings);
    return texts.find_or_make(
        hash,
        [&](std::uint32_t row) {
            std::size_t i = 0;
            while (i < length && stored[row + i] == text[i]) {
                ++i;
            }
            return i == length && stored[row + i] == '\0';
        },
        [&]() -> std::uint32_t {
            const auto bytes = length + 1;
            auto* place = static_cast<char*>(file_claim(Part::strings, bytes));
            if (place == nullptr) {
                return 0;
            }
            copy_bytes(place, text, length);
            const auto row = static_cast<std::uint32_t>(place - stored);
            file_publish(Part::strings, bytes);
            return row;
        });
}

std::uint32_t intern_path(std::uint64_t descriptor) {
    Words link;
    link.text("/proc/self/fd/").number(descriptor);
    char path[longest_text];
    const long length =
        raw_call(SYS_readlinkat, AT_FDCWD, as_long(link.begin()), as_long(path), static_cast<long>(sizeof path));
    return length <= 0 ? 0 : intern_text(path, static_cast<std::size_t>(length));
}

} // namespace lock_recorder
