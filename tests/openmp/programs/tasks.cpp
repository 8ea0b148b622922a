// Tasks that wait for tasks or depend on one, a dynamic loop, sections, atomics and a lock of OpenMP.
#include <cstdio>
#include <omp.h>
static int g_raced = 0;
static long fib(int n) {
    if (n < 2)
        return n;
    long a, b;
#pragma omp task shared(a)
    a = fib(n - 1);
#pragma omp task shared(b)
    b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}
int main() {
    long r = 0;
    int x = 0;
    omp_lock_t lock;
    omp_init_lock(&lock);
    long locked = 0, dyn = 0;
#pragma omp parallel num_threads(4)
    {
#pragma omp single
        r = fib(9);
#pragma omp for schedule(dynamic, 2)
        for (int i = 0; i < 50; ++i) {
#pragma omp atomic
            dyn += i;
        }
        omp_set_lock(&lock);
        ++locked;
        omp_unset_lock(&lock);
#pragma omp single
        {
#pragma omp task depend(out : x)
            x = 5;
#pragma omp task depend(in : x)
            r += x;
        }
#pragma omp sections
        {
#pragma omp section
            {
                locked += 1;
            }
#pragma omp section
            {
                dyn += 1;
            }
        }
#ifdef RACY
        ++g_raced;
#endif
    }
    std::printf("%ld %ld %ld\n", r, locked, dyn);
}
