// A correct program whose threads count the same branches under --coverage. With RACY, they share a number, too.
#include <thread>

static int g_raced;
static int g_results[2];

static int odd_bits(int end) {
    int bits = 0;
    for (int i = 0; i < end; ++i)
        if (i & 1) bits ^= i;
#ifdef RACY
    ++g_raced;
#endif
    return bits;
}

int main() {
    std::thread other([] { g_results[0] = odd_bits(100000); });
    g_results[1] = odd_bits(100000);
    other.join();
    return g_results[0] != g_results[1] || g_raced > 2;
}
