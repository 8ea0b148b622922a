// absl::Mutex, its readers, CondVar, Await, Notification and BlockingCounter.
#include "twin.hpp"

#include <absl/synchronization/blocking_counter.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <thread>

int main() {
    absl::Mutex mutex;
    absl::CondVar condition;
    absl::Notification notification;
    absl::BlockingCounter counter(1);
    int notified = 0;
    int counted = 0;
    bool ready = false;
    bool asked = false;
    std::thread producer([&] {
        for (int turn = 0; turn < 20; ++turn) {
            mutex.ReaderLock();
            const int seen = g_handed_over;
            mutex.ReaderUnlock();
            absl::MutexLock lock(&mutex);
            g_handed_over += seen >= 0 ? 1 : 0;
        }
        notified = 1;
        notification.Notify();
        counted = 1;
        counter.DecrementCount();
        mutex.LockWhen(absl::Condition(&asked));
        ++g_handed_over;
        ready = true;
        condition.Signal();
        mutex.Unlock();
        race();
    });
    notification.WaitForNotification();
    counter.Wait();
    mutex.Lock();
    g_handed_over += notified + counted;
    asked = true;
    while (!ready) {
        condition.Wait(&mutex);
    }
    mutex.Await(absl::Condition(&ready));
    mutex.Unlock();
    race();
    producer.join();
    return end();
}
