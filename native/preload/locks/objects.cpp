#include "objects.hpp"

#include "file.hpp"
#include "python.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

namespace lock_recorder {

namespace {

// Since glibc 2.35: lock-free. Its result is that of dlfcn.h, declared here because older headers lack it.
struct Found {
    unsigned long long flags;
    void* map_start;
    void* map_end;
    link_map* map;
    void* frames;
    unsigned long long reserved[7];
};

constexpr std::size_t remembered = 64;
std::uint32_t recent[remembered]; // by address

std::uint64_t absolute(const Loaded& object, std::uint64_t pointer) {
    // glibc has made the addresses absolute, except for the vDSO's.
    return pointer < object.base ? object.base + pointer : pointer;
}

struct Symbols {
    const ElfW(Sym) * table = nullptr;
    const char* names = nullptr;
    const std::uint32_t* hash = nullptr; // DT_GNU_HASH

    explicit Symbols(const Loaded& object) {
        for (const auto* entry = static_cast<const ElfW(Dyn)*>(object.dynamic);
             entry != nullptr && entry->d_tag != DT_NULL; ++entry) {
            const auto address = absolute(object, entry->d_un.d_ptr);
            if (entry->d_tag == DT_SYMTAB) {
                table = reinterpret_cast<const ElfW(Sym)*>(address);
            } else if (entry->d_tag == DT_STRTAB) {
                names = reinterpret_cast<const char*>(address);
            } else if (entry->d_tag == DT_GNU_HASH) {
                hash = reinterpret_cast<const std::uint32_t*>(address);
            }
        }
    }
};

std::uint32_t hash_of(const char* name) {
    std::uint32_t hash = 5381;
    for (; *name != '\0'; ++name) {
        hash = hash * 33 + static_cast<unsigned char>(*name);
    }
    return hash;
}

bool same_object(const Object& row, const Loaded& object) {
    return row.first == object.first && row.last == object.last && row.base == object.base &&
           same_text(rows<char>(Part::strings) + row.path, object.path[0] == '\0' ? header->executable : object.path);
}

std::uint32_t make_object(const Loaded& object) {
    const char* path = object.path[0] == '\0' ? header->executable : object.path;
    // The GIL tracer defines a part of the C API, too.
    const bool python =
        exported(object, "PyEval_RestoreThread") != nullptr && exported(object, "Py_GetVersion") != nullptr;
    if (python) {
        python_found(object);
    }
    return append(Part::objects,
                  Object{object.base, object.first, object.last, intern_text(path, length_of(path)), python ? 1U : 0U});
}

} // namespace

} // namespace lock_recorder

extern "C" __attribute__((weak)) int _dl_find_object(void* address, struct dl_find_object* result);

namespace lock_recorder {

Span span_of(const dl_phdr_info& object) {
    Span span{};
    for (int i = 0; i < object.dlpi_phnum; ++i) {
        const auto& part = object.dlpi_phdr[i];
        if (part.p_type == PT_LOAD) {
            const auto first = object.dlpi_addr + part.p_vaddr, last = first + part.p_memsz;
            span.first = span.first == 0 || first < span.first ? first : span.first;
            span.last = last > span.last ? last : span.last;
        }
    }
    return span;
}

bool find_object(std::uint64_t address, Loaded& found) {
    link_map* map = nullptr;
    if (_dl_find_object != nullptr) {
        Found result{};
        auto* place = reinterpret_cast<struct dl_find_object*>(&result);
        if (_dl_find_object(reinterpret_cast<void*>(address), place) != 0) {
            return false;
        }
        found.first = reinterpret_cast<std::uint64_t>(result.map_start);
        found.last = reinterpret_cast<std::uint64_t>(result.map_end);
        map = result.map;
    } else {
        Dl_info info{};
        void* extra = nullptr;
        if (dladdr1(reinterpret_cast<void*>(address), &info, &extra, RTLD_DL_LINKMAP) == 0) {
            return false;
        }
        map = static_cast<link_map*>(extra);
        found.first = found.last = 0; // unknown: nothing is remembered by address
    }
    if (map == nullptr) {
        return false;
    }
    found.base = map->l_addr;
    found.path = map->l_name == nullptr ? "" : map->l_name;
    found.dynamic = map->l_ld;
    return true;
}

void* exported(const Loaded& object, const char* name, bool function) {
    const Symbols symbols(object);
    if (symbols.table == nullptr || symbols.names == nullptr || symbols.hash == nullptr) {
        return nullptr;
    }
    const auto buckets = symbols.hash[0], first = symbols.hash[1], words = symbols.hash[2];
    const auto* bucket = symbols.hash + 4 + words * (sizeof(ElfW(Addr)) / 4);
    const auto* chain = bucket + buckets;
    const auto hash = hash_of(name);
    auto index = buckets == 0 ? 0 : bucket[hash % buckets];
    if (index < first) {
        return nullptr;
    }
    for (;; ++index) {
        const auto entry = chain[index - first];
        const auto& symbol = symbols.table[index];
        if ((entry | 1U) == (hash | 1U) && symbol.st_shndx != SHN_UNDEF &&
            (!function || ELF64_ST_TYPE(symbol.st_info) == STT_FUNC) &&
            same_text(symbols.names + symbol.st_name, name)) {
            return reinterpret_cast<void*>(object.base + symbol.st_value);
        }
        if ((entry & 1U) != 0) {
            return nullptr;
        }
    }
}

void* libc_function(const char* name) {
    Loaded library{};
    const auto inside = reinterpret_cast<std::uint64_t>(dlsym(RTLD_NEXT, "gnu_get_libc_version"));
    return find_object(inside, library) ? exported(library, name) : nullptr;
}

Span exported_span(const Loaded& object, const char* beginning) {
    Span span = {0, 0};
    const Symbols symbols(object);
    if (symbols.table == nullptr || symbols.names == nullptr || symbols.hash == nullptr) {
        return span;
    }
    const auto buckets = symbols.hash[0], first = symbols.hash[1], words = symbols.hash[2];
    const auto* bucket = symbols.hash + 4 + words * (sizeof(ElfW(Addr)) / 4);
    const auto* chain = bucket + buckets;
    for (std::uint32_t i = 0; i < buckets; ++i) {
        for (auto index = bucket[i]; index >= first; ++index) {
            const auto& symbol = symbols.table[index];
            const auto address = object.base + symbol.st_value;
            if (symbol.st_value != 0 && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
                begins_with(symbols.names + symbol.st_name, beginning)) {
                span.first = span.first == 0 || address < span.first ? address : span.first;
                span.last = address + symbol.st_size > span.last ? address + symbol.st_size : span.last;
            }
            if ((chain[index - first] & 1U) != 0) {
                break;
            }
        }
    }
    return span;
}

std::uint32_t intern_object(std::uint64_t address) {
    Loaded object{};
    if (!find_object(address, object)) {
        return 0;
    }
    auto& known = recent[(object.base >> 12) % remembered];
    if (known != 0 && same_object(rows<Object>(Part::objects)[known], object)) {
        return known;
    }
    const auto count = header->parts[static_cast<std::size_t>(Part::objects)].used.load() / sizeof(Object);
    for (std::uint32_t row = 1; row < count; ++row) {
        if (same_object(rows<Object>(Part::objects)[row], object)) {
            return known = row;
        }
    }
    return known = make_object(object);
}

void objects_forget() {
    for (auto& each : recent) {
        each = 0;
    }
}

} // namespace lock_recorder
