#include "objects.hpp"

#include "spool.hpp"

#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace gil_tracer {

namespace {

struct ObjectSearch {
    std::uint64_t address;
    dl_phdr_info found;
    std::uint64_t first, last;
};

bool executable_range(const dl_phdr_info& info, std::uint64_t address, ObjectSearch& target) {
    for (int i = 0; i < info.dlpi_phnum; ++i) {
        const auto& segment = info.dlpi_phdr[i];
        const auto first = info.dlpi_addr + segment.p_vaddr;
        if (segment.p_type == PT_LOAD && address >= first && address < first + segment.p_memsz) {
            target.found = info;
            target.first = first;
            target.last = first + segment.p_memsz;
            return true;
        }
    }
    return false;
}

int visit(dl_phdr_info* info, std::size_t, void* data) {
    auto& target = *static_cast<ObjectSearch*>(data);
    return executable_range(*info, target.address, target) ? 1 : 0;
}

bool find_object(std::uint64_t address, ObjectSearch& target) {
    target.address = address;
    return dl_iterate_phdr(visit, &target) == 1;
}

/// The tables that the dynamic linker reads. glibc has made their addresses absolute, except for the vDSO's.
struct Dynamic {
    const ElfW(Sym) * symbols = nullptr;
    const char* strings = nullptr;
    const ElfW(Rela) * calls = nullptr;
    std::size_t call_bytes = 0;
    const ElfW(Rela) * others = nullptr;
    std::size_t other_bytes = 0;

    explicit Dynamic(const dl_phdr_info& info) {
        for (int i = 0; i < info.dlpi_phnum; ++i) {
            if (info.dlpi_phdr[i].p_type == PT_DYNAMIC) {
                read(reinterpret_cast<const ElfW(Dyn)*>(info.dlpi_addr + info.dlpi_phdr[i].p_vaddr));
            }
        }
    }

    void read(const ElfW(Dyn) * entry) {
        for (; entry->d_tag != DT_NULL; ++entry) {
            switch (entry->d_tag) {
            case DT_SYMTAB:
                symbols = reinterpret_cast<const ElfW(Sym)*>(entry->d_un.d_ptr);
                break;
            case DT_STRTAB:
                strings = reinterpret_cast<const char*>(entry->d_un.d_ptr);
                break;
            case DT_JMPREL:
                calls = reinterpret_cast<const ElfW(Rela)*>(entry->d_un.d_ptr);
                break;
            case DT_PLTRELSZ:
                call_bytes = entry->d_un.d_val;
                break;
            case DT_RELA:
                others = reinterpret_cast<const ElfW(Rela)*>(entry->d_un.d_ptr);
                break;
            case DT_RELASZ:
                other_bytes = entry->d_un.d_val;
                break;
            default:
                break;
            }
        }
    }
};

const ElfW(Rela) * find_in(const Dynamic& dynamic, const ElfW(Rela) * table, std::size_t bytes, const char* name) {
    for (const auto* row = table; row != nullptr && row < table + bytes / sizeof *table; ++row) {
        const auto symbol = ELF64_R_SYM(row->r_info);
        if (symbol != 0 && std::strcmp(dynamic.strings + dynamic.symbols[symbol].st_name, name) == 0) {
            return row;
        }
    }
    return nullptr;
}

/// The slot with the address of `name` in the object that contains `function`; null if there is no such slot.
void** slot_of(const void* function, const char* name) {
    ObjectSearch target;
    if (!find_object(reinterpret_cast<std::uint64_t>(function), target)) {
        return nullptr;
    }
    const Dynamic dynamic(target.found);
    if (dynamic.symbols == nullptr || dynamic.strings == nullptr) {
        return nullptr;
    }
    const auto* row = find_in(dynamic, dynamic.calls, dynamic.call_bytes, name);
    if (row == nullptr) {
        row = find_in(dynamic, dynamic.others, dynamic.other_bytes, name); // built with -fno-plt
    }
    return row == nullptr ? nullptr : reinterpret_cast<void**>(target.found.dlpi_addr + row->r_offset);
}

struct Search {
    const char* name;
    void* found;
};

int search(dl_phdr_info* info, std::size_t, void* data) {
    auto& target = *static_cast<Search*>(data);
    if (info->dlpi_name == nullptr || std::strstr(info->dlpi_name, "libpython3") == nullptr) {
        return 0;
    }
    if (void* handle = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD)) {
        target.found = dlsym(handle, target.name);
        dlclose(handle);
    }
    return target.found == nullptr ? 0 : 1;
}

} // namespace

bool calls_can_be_seen(const void* function, const char* name) {
    return slot_of(function, name) != nullptr;
}

void* redirect(const void* function, const char* name, void* replacement) {
    void** slot = slot_of(function, name);
    // Not the slot's current value: it may still be the linker's own entry, which would overwrite the slot later.
    void* target = slot == nullptr ? nullptr : dlsym(RTLD_DEFAULT, name);
    if (target == nullptr) {
        return nullptr;
    }
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    auto* start = reinterpret_cast<void*>(reinterpret_cast<std::uint64_t>(slot) & ~(page - 1));
    // After relocation the page may be read-only. It stays writable: others on it are bound lazily.
    if (mprotect(start, page, PROT_READ | PROT_WRITE) != 0) {
        return nullptr;
    }
    __atomic_store_n(slot, replacement, __ATOMIC_RELEASE);
    return target;
}

void* find_next(const char* name) {
    if (void* found = dlsym(RTLD_NEXT, name)) {
        return found;
    }
    Search target{name, nullptr};
    dl_iterate_phdr(search, &target);
    return target.found;
}

void record_object(Header* header, std::uint64_t address, std::uint32_t (*intern)(Header*, const char*)) {
    const auto* known = rows<Object>(header, header->objects);
    const auto count = header->objects.used.load(std::memory_order_relaxed) / sizeof(Object);
    for (std::size_t i = 1; i < count; ++i) {
        if (address >= known[i].first && address < known[i].last) {
            return;
        }
    }
    ObjectSearch target;
    if (find_object(address, target)) {
        const bool program = target.found.dlpi_name == nullptr || target.found.dlpi_name[0] == '\0';
        const char* path = program ? header->executable : target.found.dlpi_name;
        append(header, header->objects,
               Object{target.found.dlpi_addr, target.first, target.last, intern(header, path), 0});
    }
}

} // namespace gil_tracer
