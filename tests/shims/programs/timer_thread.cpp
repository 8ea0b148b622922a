// Timers whose expiry runs a function in a thread of its own: once, and again and again.
#include "twin.hpp"

#include <csignal>
#include <ctime>
#include <pthread.h>
#include <semaphore.h>

static sem_t fired;

static void once(sigval value) {
    g_handed_over += value.sival_int;
    sem_post(&fired);
    race();
}

static void again(sigval) {
    sem_post(&fired);
}

static timer_t make(void (*function)(sigval), pthread_attr_t* attributes) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = function;
    event.sigev_notify_attributes = attributes;
    event.sigev_value.sival_int = 1;
    timer_t timer{};
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    return timer;
}

int main() {
    sem_init(&fired, 0, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    const timer_t first = make(once, &attributes);
    pthread_attr_destroy(&attributes);
    const timer_t second = make(again, nullptr);
    ++g_handed_over;
    itimerspec time{};
    time.it_value.tv_nsec = 1000;
    timer_settime(first, 0, &time, nullptr);
    sem_wait(&fired);
    ++g_handed_over;
    race();
    timer_delete(first);
    time.it_interval.tv_nsec = 1'000'000;
    timer_settime(second, 0, &time, nullptr);
    for (int times = 0; times < 3; ++times) {
        sem_wait(&fired);
    }
    timer_delete(second);
    return end();
}
