// A region with one writer, a loop with a reduction and a critical section, three times: the order is OpenMP's alone.
#include <cstdio>
#include <omp.h>
#include <vector>
static int g_raced = 0;
static long work(int turn) {
    std::vector<long> parts(64);
    long sum = 0;
#pragma omp parallel num_threads(4)
    {
#pragma omp single
        for (int i = 0; i < 64; ++i)
            parts[i] = i + turn;
#pragma omp for reduction(+ : sum)
        for (int i = 0; i < 64; ++i) {
            parts[i] *= 2;
            sum += parts[i];
        }
#pragma omp critical
        parts[0] += 1;
#ifdef RACY
        ++g_raced;
#endif
    }
    return sum + parts[0];
}
int main() {
    long total = 0;
    for (int turn = 0; turn < 3; ++turn)
        total += work(turn);
    std::printf("%ld %d\n", total, omp_get_max_threads());
}
