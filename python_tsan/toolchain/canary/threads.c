/* Runs two turns on two threads, one strictly after the other, without ThreadSanitizer knowing the order.

   The barrier belongs to the runtime and is invisible to it: the first turn is over before the second begins, so the
   outcome is the same in every run, yet only what the turns do themselves can order their accesses. */

#include <pthread.h>
#include <stddef.h>

void __tsan_testonly_barrier_init(unsigned long long *barrier, unsigned count);
void __tsan_testonly_barrier_wait(unsigned long long *barrier);

void canary_turn(void);

static unsigned long long barrier;

static void *first(void *unused) {
    (void)unused;
    canary_turn();
    __tsan_testonly_barrier_wait(&barrier);
    return NULL;
}

static void *second(void *unused) {
    (void)unused;
    __tsan_testonly_barrier_wait(&barrier);
    canary_turn();
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    __tsan_testonly_barrier_init(&barrier, 2);
    if (pthread_create(&threads[0], NULL, first, NULL) != 0 || pthread_create(&threads[1], NULL, second, NULL) != 0) {
        return 2;
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return 0;
}
