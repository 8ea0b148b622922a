// More nested calls than the runtime has room for: it dies inside itself, without a stack.
#include <cstdio>

__attribute__((noinline)) static int down(int depth, volatile int* total) {
    if (depth == 0) {
        return 0;
    }
    const int below = down(depth - 1, total);
    *total = *total + below;
    return below + 1;
}

int main() {
    volatile int total = 0;
    std::printf("%d\n", down(200'000, &total));
}
