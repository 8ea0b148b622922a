// QThread::wait after the thread has ended, and after it was started again.
#include "twin.hpp"

#include <QThread>
#include <sched.h>

namespace {

class Worker : public QThread {
    void run() override {
        ++g_handed_over;
        race();
    }
};

} // namespace

int main() {
    Worker worker;
    for (int turn = 0; turn < 2; ++turn) {
        worker.start();
        race();
        while (!worker.isFinished()) {
            sched_yield();
        }
        worker.wait();
        ++g_handed_over;
    }
    return end();
}
