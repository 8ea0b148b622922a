// The state of the calling thread and the GIL.

#pragma once

#include "format.hpp"

namespace gil_tracer {

enum class State : std::uint8_t { unknown, holding, released };

struct Thread {
    Chunk* chunk;
    Event* pending; // released and not yet acquired again; always in `chunk`
    std::uint64_t requested;
    std::uint64_t dropped; // when the GIL's mutex was last locked by a holder inside a call
    std::uint64_t generation;
    const void* outer; // caller of PyGILState_*, under which PyEval_* are called
    std::uint64_t last_site;
    std::uint32_t ordinal;
    int inside; // unfinished calls of replaced functions
    State state;
    bool taking; // outside of any call
    bool saving; // in PyEval_SaveThread, no mutex locked yet
    bool capturing;
};

// Not thread_local: other files would have to check at each use whether it is initialized.
[[gnu::tls_model("initial-exec"), gnu::visibility("hidden")]] extern __thread Thread me;

} // namespace gil_tracer
