#include "symbols.hpp"

#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace python_tsan::companion {
namespace {

/// The first object is the program itself.
int take_base(dl_phdr_info* info, std::size_t, void* base) {
    *static_cast<std::size_t*>(base) = info->dlpi_addr;
    return 1;
}

} // namespace

Symbols::Symbols() {
    const int descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status{};
    if (descriptor < 0 || fstat(descriptor, &status) != 0 || status.st_size <= 0) {
        return;
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    close(descriptor);
    if (mapped != MAP_FAILED) {
        file_ = static_cast<const unsigned char*>(mapped);
        size_ = size;
        dl_iterate_phdr(take_base, &base_);
    }
}

Symbols::~Symbols() {
    if (file_ != nullptr) {
        munmap(const_cast<unsigned char*>(file_), size_);
    }
}

void* Symbols::find(const char* name) const {
    void* exported = dlsym(RTLD_DEFAULT, name);
    return exported != nullptr ? exported : find_in_program(name);
}

void* Symbols::find_in_program(const char* name) const {
    const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(file_);
    if (!holds(0, sizeof *header) || !holds(header->e_shoff, header->e_shnum * sizeof(ElfW(Shdr)))) {
        return nullptr;
    }
    const auto* sections = reinterpret_cast<const ElfW(Shdr)*>(file_ + header->e_shoff);
    for (unsigned index = 0; index < header->e_shnum; ++index) {
        const auto& table = sections[index];
        if (table.sh_type != SHT_SYMTAB || table.sh_link >= header->e_shnum) {
            continue;
        }
        const auto& names = sections[table.sh_link];
        if (!holds(table.sh_offset, table.sh_size) || !holds(names.sh_offset, names.sh_size)) {
            continue;
        }
        const auto* symbols = reinterpret_cast<const ElfW(Sym)*>(file_ + table.sh_offset);
        const std::size_t length = std::strlen(name) + 1;
        for (std::size_t at = 0; at < table.sh_size / sizeof *symbols; ++at) {
            const auto& symbol = symbols[at];
            const bool fits = symbol.st_value != 0 && symbol.st_name + length <= names.sh_size;
            if (fits && std::memcmp(file_ + names.sh_offset + symbol.st_name, name, length) == 0) {
                return reinterpret_cast<void*>(base_ + symbol.st_value);
            }
        }
    }
    return nullptr;
}

} // namespace python_tsan::companion
