// A named semaphore, opened twice, and a mutex for several processes that passes on priorities.
#include "twin.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

int main() {
    const std::string name = "/python-tsan-" + std::to_string(getpid());
    sem_t* one = sem_open(name.c_str(), O_CREAT | O_EXCL, 0600, 0);
    sem_t* other = sem_open(name.c_str(), 0);
    sem_unlink(name.c_str());
    void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (one == SEM_FAILED || other == SEM_FAILED || memory == MAP_FAILED) {
        return 77;
    }
    auto* mutex = static_cast<pthread_mutex_t*>(memory);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(mutex, &attributes);
    const auto add = [&] {
        for (int times = 0; times < 20; ++times) {
            pthread_mutex_lock(mutex);
            ++g_handed_over;
            usleep(100);
            pthread_mutex_unlock(mutex);
        }
    };
    std::thread giver([&] {
        ++g_handed_over;
        sem_post(one);
        add();
        race();
    });
    sem_wait(other);
    pthread_mutex_lock(mutex);
    ++g_handed_over;
    pthread_mutex_unlock(mutex);
    add();
    race();
    giver.join();
    pthread_mutex_destroy(mutex);
    sem_close(one);
    sem_close(other);
    return end();
}
