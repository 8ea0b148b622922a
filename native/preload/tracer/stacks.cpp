#include "stacks.hpp"

#include "objects.hpp"
#include "spool.hpp"
#include "table.hpp"

#include <cstring>

namespace gil_tracer {

namespace {

constexpr std::size_t longest = 65535; // bytes of a name or path
constexpr int deepest = 512;           // frames; of a deeper stack the outermost are left out

enum class Role : std::uint8_t { other, importlib, about_module, body };

struct Frame {
    std::uint32_t code;
    std::int32_t offset;
    std::uint32_t module;
    _object* object; // of the code, kept alive by the code table

    bool operator==(const Frame& other) const {
        return code == other.code && offset == other.offset && module == other.module;
    }
};

struct Known {
    _object* object;
    Role role;
};

/// A stack of the recent past and its nodes, outermost first: most of the next one is the same.
struct Recent {
    Frame frames[deepest];
    std::uint32_t nodes[deepest];
    int count;
};

/// Where a code object is in the table, by some bits of its address.
struct Shortcut {
    _object* object;
    std::uint32_t row;
};

// One lock for the tables. With a GIL it is not contended, because a stack is captured by its holder; without one, the
// wait is short. It has an end all the same: a stack is not worth a program that hangs.
std::atomic_flag busy = ATOMIC_FLAG_INIT;
constexpr int patience = 1 << 16;
Header* owner = nullptr;
Table strings_table, codes_table, nodes_table;
Known* known = nullptr; // by row of the codes' region
Recent recent;
constexpr std::size_t shortcut_count = 512;
Shortcut shortcuts[shortcut_count];
std::uint64_t known_bytes = 0;

class Locked {
public:
    Locked() {
        for (int i = 0; i < patience && !held; ++i) {
            held = !busy.test_and_set(std::memory_order_acquire);
        }
    }
    ~Locked() {
        if (held) {
            busy.clear(std::memory_order_release);
        }
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

    bool held = false;
};

/// Up to 3.11 the collector may run where a frame object is made, and with it any finalizer.
class CollectorOff {
public:
    explicit CollectorOff(const Python& python) : python_(python) {
        was_on_ = python_.version < first_deferred && python_.collector_off() != 0;
    }
    ~CollectorOff() {
        if (was_on_) {
            python_.collector_on();
        }
    }
    CollectorOff(const CollectorOff&) = delete;
    CollectorOff& operator=(const CollectorOff&) = delete;

private:
    static constexpr std::uint32_t first_deferred = 0x030C0000;
    const Python& python_;
    bool was_on_ = false;
};

void prepare(Header* header) {
    if (owner == header) {
        return;
    }
    owner = header;
    strings_table.reserve(header->strings.bytes / 48);
    codes_table.reserve(header->codes.bytes / sizeof(Code));
    nodes_table.reserve(header->nodes.bytes / sizeof(Node));
    known_bytes = header->codes.bytes / sizeof(Code) * sizeof(Known);
    void* memory =
        mmap(nullptr, known_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    known = memory == MAP_FAILED ? nullptr : static_cast<Known*>(memory);
}

std::uint32_t add_string(Header* header, const char* text, std::size_t length) {
    const auto used = header->strings.used.load(std::memory_order_relaxed);
    // Strings outnumber what the table was made for only if they are very short; it must not fill up.
    if (length > longest || used + length + 1 > header->strings.bytes ||
        !claim(header, header->strings, used + length + 1)) {
        return 0;
    }
    auto* place = rows<char>(header, header->strings) + used;
    std::memcpy(place, text, length);
    place[length] = '\0';
    header->strings.used.store(used + (length + 1 < 48 ? 48 : length + 1), std::memory_order_release);
    return static_cast<std::uint32_t>(used);
}

std::uint32_t intern_string(Header* header, const char* text) {
    std::uint64_t hash = 0;
    const auto length = std::strlen(text);
    for (std::size_t i = 0; i < length; ++i) {
        hash = mix(hash, static_cast<unsigned char>(text[i]));
    }
    const auto* strings = rows<char>(header, header->strings);
    return strings_table.find_or_make(
        hash, [&](std::uint32_t row) { return std::strcmp(strings + row, text) == 0; },
        [&] { return add_string(header, text, length); });
}

/// Intern the text of a str, and drop the reference to it.
std::uint32_t intern_object(Header* header, const Python& python, _object* object) {
    if (object == nullptr) {
        return 0;
    }
    const char* text = python.utf8(object, nullptr); // null for a path that is not UTF-8
    const auto row = intern_string(header, text == nullptr ? "?" : text);
    python.decrement(object);
    return row;
}

bool ends_with(const char* text, const char* end) {
    const auto length = std::strlen(text);
    const auto wanted = std::strlen(end);
    return length >= wanted && std::strcmp(text + length - wanted, end) == 0;
}

Role role_of(const char* file, const char* name) {
    const bool frozen = std::strncmp(file, "<frozen ", 8) == 0;
    if (frozen && (ends_with(file, "importlib._bootstrap>") || ends_with(file, "importlib._bootstrap_external>") ||
                   ends_with(file, "zipimport>"))) {
        // The second is called where another thread is importing the module already.
        const bool about = std::strcmp(name, "_find_and_load") == 0 || std::strcmp(name, "_lock_unlock_module") == 0;
        return about ? Role::about_module : Role::importlib;
    }
    return std::strcmp(name, "<module>") == 0 ? Role::body : Role::other;
}

Role role_of(Header* header, const Code& code) {
    const auto* strings = rows<char>(header, header->strings);
    return role_of(strings + code.file, strings + code.name);
}

std::uint32_t keep_code(Header* header, const Python& python, _object* object, const Code& code) {
    const auto row = append(header, header->codes, code);
    if (row != 0) {
        python.increment(object); // for good: an address must not come to mean another function
        known[row] = Known{object, role_of(header, code)};
    }
    return row;
}

std::uint32_t add_code(Header* header, const Python& python, _object* object, _frame* frame) {
    const ErrorKept kept(python);
    Code code{};
    code.file = intern_object(header, python, python.attribute(object, "co_filename"));
    code.name = intern_object(header, python, python.attribute(object, "co_qualname"));
    if (_object* line = python.attribute(object, "co_firstlineno")) {
        code.first_line = static_cast<std::uint32_t>(python.as_long(line));
        python.decrement(line);
    }
    if (role_of(header, code) == Role::body) {
        if (_object* globals = python.frame_globals(frame)) {
            code.module = intern_object(header, python, python.item(globals, "__name__"));
            python.decrement(globals);
        }
    }
    return keep_code(header, python, object, code);
}

/// The row of a code object; `add` makes one for an object that is new.
template <typename Add>
std::uint32_t intern_code(_object* object, Add add) {
    const auto address = reinterpret_cast<std::uint64_t>(object);
    auto& shortcut = shortcuts[(address >> 4) % shortcut_count];
    if (shortcut.object != object) {
        const auto row = codes_table.find_or_make(
            mix(0, address), [&](std::uint32_t one) { return known[one].object == object; }, add);
        shortcut = Shortcut{row == 0 ? nullptr : object, row};
    }
    return shortcut.row;
}

/// The module that such a frame of importlib is about: its first argument.
std::uint32_t read_module(Header* header, const Python& python, _frame* frame) {
    const ErrorKept kept(python);
    if (python.frame_variable != nullptr) {
        return intern_object(header, python, python.frame_variable(frame, "name"));
    }
    _object* locals = python.frame_locals(frame);
    if (locals == nullptr) {
        return 0;
    }
    const auto row = intern_object(header, python, python.item(locals, "name"));
    python.decrement(locals);
    return row;
}

std::uint32_t intern_node(Header* header, const Python& python, std::uint32_t parent, const Frame& frame) {
    const auto* nodes = rows<Node>(header, header->nodes);
    const auto place = static_cast<std::uint64_t>(frame.code) << 32 | static_cast<std::uint32_t>(frame.offset);
    const auto hash = mix(mix(mix(0, parent), place), frame.module);
    const auto is_wanted = [&](std::uint32_t row) {
        const auto& node = nodes[row];
        return node.parent == parent && node.code == frame.code && node.offset == frame.offset &&
               node.module == frame.module;
    };
    return nodes_table.find_or_make(hash, is_wanted, [&] {
        const auto line = python.code_line(frame.object, frame.offset);
        return append(header, header->nodes, Node{parent, frame.code, frame.offset, line, frame.module});
    });
}

/// The node of `count` frames, of which the innermost comes first; 0 if there is no room for it.
std::uint32_t intern_stack(Header* header, const Python& python, const Frame* frames, int count) {
    std::uint32_t node = 0;
    bool same = true;
    for (int depth = 0; depth < count; ++depth) {
        const auto& frame = frames[count - 1 - depth];
        same = same && depth < recent.count && frame == recent.frames[depth];
        node = same ? recent.nodes[depth] : intern_node(header, python, node, frame);
        if (node == 0) {
            recent.count = depth;
            return 0;
        }
        if (!same) {
            recent.frames[depth] = frame;
            recent.nodes[depth] = node;
        }
    }
    recent.count = count;
    return node;
}

/// Fill `frames`, innermost first, and return how many there are; -1 where there is no room for a function.
int walk(Header* header, const Python& python, Frame* frames) {
    int count = 0;
    // The body of the module that is being imported, as long as only importlib's frames have been seen since: then the
    // next frame that is about a module is about this one, and its argument need not be read.
    std::uint32_t body = 0;
    for (_frame* frame = python.top_frame(python.thread_state()); frame != nullptr;) {
        _object* object = python.frame_code(frame);
        const auto code = count < 0 ? 0 : intern_code(object, [&] { return add_code(header, python, object, frame); });
        if (code == 0) {
            count = -1;
        } else if (count < deepest) {
            const auto role = known[code].role;
            std::uint32_t module = 0;
            if (role == Role::about_module) {
                module = body != 0 ? body : read_module(header, python, frame);
            }
            if (role != Role::importlib) {
                body = role == Role::body ? rows<Code>(header, header->codes)[code].module : 0;
            }
            frames[count++] = Frame{code, python.frame_offset(frame), module, known[code].object};
        }
        python.decrement(object);
        _frame* back = python.frame_back(frame);
        python.decrement(reinterpret_cast<_object*>(frame));
        frame = back;
    }
    return count;
}

std::uint32_t intern_text(Header* header, const Python& python, _object* string) {
    static char text[4096]; // under the lock
    if (python.table.text(string, text, sizeof text)) {
        return intern_string(header, text);
    }
    if (string == nullptr || python.free_threaded) {
        return intern_string(header, "?");
    }
    const ErrorKept kept(python);
    python.increment(string);
    return intern_object(header, python, string);
}

std::uint32_t add_code_by_table(Header* header, const Python& python, _object* object) {
    const auto file = intern_text(header, python, python.table.file(object));
    const auto name = intern_text(header, python, python.table.name(object));
    return keep_code(header, python, object, Code{file, name, 0, python.table.first_line(object)});
}

/// As walk(), without the C API. The name of a body's module is that of the import around it.
int walk_by_table(Header* header, const Python& python, Frame* frames) {
    const auto& table = python.table;
    int count = 0;
    for (auto frame = table.first(python.thread_state()); frame != nullptr && count < deepest;
         frame = table.back(frame)) {
        _object* object = table.code(frame);
        const auto code = intern_code(object, [&] { return add_code_by_table(header, python, object); });
        if (code == 0) {
            return -1;
        }
        const bool about = known[code].role == Role::about_module;
        const auto module = about ? intern_text(header, python, table.first_argument(frame)) : 0;
        frames[count++] = Frame{code, table.offset(frame), module, object};
    }
    auto module = intern_string(header, "__main__");
    for (int i = count - 1; i >= 0; --i) {
        if (known[frames[i].code].role == Role::body) {
            rows<Code>(header, header->codes)[frames[i].code].module = module;
        }
        module = frames[i].module != 0 ? frames[i].module : module;
    }
    return count;
}

} // namespace

std::uint32_t capture_stack(Header* header, const Python& python) {
    Frame frames[deepest];
    const Locked locked;
    const CollectorOff off(python);
    int count = -1;
    if (locked.held) {
        prepare(header);
        const bool blind = known == nullptr || (python.free_threaded && !python.has_table);
        count = blind ? -1 : python.has_table ? walk_by_table(header, python, frames) : walk(header, python, frames);
    }
    // Without the lock nothing of what it guards may be touched.
    const auto node = count > 0 ? intern_stack(header, python, frames, count) : 0;
    if (count != 0 && node == 0) {
        header->lost_stacks.fetch_add(1, std::memory_order_relaxed);
    }
    return node;
}

void capture_object(Header* header, std::uint64_t address) {
    const Locked locked;
    if (locked.held) {
        prepare(header);
        record_object(header, address, intern_string);
    }
}

void forget_stacks() {
    busy.clear();
    owner = nullptr;
    strings_table.release();
    codes_table.release();
    nodes_table.release();
    recent.count = 0;
    std::memset(shortcuts, 0, sizeof shortcuts);
    if (known != nullptr) {
        munmap(known, known_bytes);
        known = nullptr;
    }
}

} // namespace gil_tracer
