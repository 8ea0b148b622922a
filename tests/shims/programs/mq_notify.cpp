// A message queue that starts a function in a thread of its own when something arrives: two times, by one socket.
#include "twin.hpp"

#include <csignal>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <string>
#include <unistd.h>

static sem_t arrived;

static void notified(sigval value) {
    g_handed_over += value.sival_int;
    sem_post(&arrived);
    race();
}

static void again(sigval) {
    sem_post(&arrived);
}

static bool wait_for_message(mqd_t queue, void (*function)(sigval)) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = function;
    event.sigev_value.sival_int = 1;
    return mq_notify(queue, &event) == 0;
}

int main() {
    sem_init(&arrived, 0, 0);
    const std::string name = "/python-tsan-notify-" + std::to_string(getpid());
    mq_attr attributes{};
    attributes.mq_maxmsg = 1;
    attributes.mq_msgsize = 8;
    const mqd_t queue = mq_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    mq_unlink(name.c_str());
    if (queue < 0) {
        std::printf("no message queues here\n");
        return 77;
    }
    char message[8];
    if (!wait_for_message(queue, notified)) {
        return 1;
    }
    ++g_handed_over; // after the registration: the message brings it over
    mq_send(queue, "x", 1, 0);
    sem_wait(&arrived);
    ++g_handed_over;
    race();
    mq_receive(queue, message, sizeof message, nullptr);
    wait_for_message(queue, again);
    if (wait_for_message(queue, again)) {
        return 1; // one at a time
    }
    mq_send(queue, "x", 1, 0);
    sem_wait(&arrived);
    mq_receive(queue, message, sizeof message, nullptr);
    wait_for_message(queue, again);
    mq_notify(queue, nullptr); // never mind
    mq_close(queue);
    return end();
}
