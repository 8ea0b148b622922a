// QSemaphore.
#include "twin.hpp"

#include <QSemaphore>
#include <QThread>

int main() {
    QSemaphore ready;
    QThread* producer = QThread::create([&] {
        ++g_handed_over;
        ready.release();
        race();
    });
    producer->start();
    ready.acquire();
    ++g_handed_over;
    race();
    producer->wait();
    delete producer;
    return end();
}
