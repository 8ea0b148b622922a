// QMutex, QMutexLocker and QWaitCondition, and a QReadWriteLock.
#include "twin.hpp"

#include <QMutex>
#include <QReadWriteLock>
#include <QThread>
#include <QWaitCondition>

int main() {
    QMutex mutex;
    QWaitCondition condition;
    QReadWriteLock lock;
    int under_lock = 0;
    bool ready = false;
    QThread* producer = QThread::create([&] {
        for (int turn = 0; turn < 20; ++turn) {
            lock.lockForRead();
            const int seen = under_lock;
            lock.unlock();
            lock.lockForWrite();
            under_lock = seen + 1;
            lock.unlock();
        }
        QMutexLocker locker(&mutex);
        ++g_handed_over;
        ready = true;
        condition.wakeOne();
        locker.unlock();
        race();
    });
    producer->start();
    for (int turn = 0; turn < 20; ++turn) {
        lock.lockForWrite();
        ++under_lock;
        lock.unlock();
    }
    mutex.lock();
    while (!ready) {
        condition.wait(&mutex);
    }
    ++g_handed_over;
    mutex.unlock();
    race();
    producer->wait();
    delete producer;
    return end();
}
