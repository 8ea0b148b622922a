// What every program here shares: data that is handed over correctly, and, in the racy twin, data that is not.
#pragma once

#include <cstdio>

// Eight bytes of memory share the runtime's record of their last accesses, so the two lie apart.
alignas(64) inline int g_handed_over = 0; // written before the release, read after the acquire
alignas(64) inline int g_raced = 0;       // in the racy twin, written by both sides without an order

/// To be called by each side after its part of the hand-over, in the racy twin alone.
inline void race() {
#ifdef RACY
    ++g_raced;
#endif
}

inline int end() {
    std::printf("%d %d\n", g_handed_over, g_raced);
    return 0;
}
