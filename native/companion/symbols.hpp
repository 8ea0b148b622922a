// Finds functions of the running process, including those that the program does not export.
#pragma once

#include <cstddef>

namespace python_tsan::companion {

/// Clang exports only part of its runtime's interface from a program; the rest is in the program's symbol table, unless
/// it is stripped. The file stays mapped for the lifetime of the object. Use before any thread exists.
class Symbols {
public:
    Symbols();
    ~Symbols();
    Symbols(const Symbols&) = delete;
    Symbols& operator=(const Symbols&) = delete;

    /// Address that the dynamic linker finds for the name, else of the program's own symbol, else null.
    void* find(const char* name) const;
    /// Address of the program's own symbol, exported or not, else null.
    void* find_in_program(const char* name) const;

private:
    bool holds(std::size_t offset, std::size_t size) const { return offset <= size_ && size <= size_ - offset; }

    const unsigned char* file_ = nullptr;
    std::size_t size_ = 0;
    std::size_t base_ = 0;
};

} // namespace python_tsan::companion
