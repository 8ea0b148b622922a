// A POSIX message queue.
#include "twin.hpp"

#include <fcntl.h>
#include <mqueue.h>
#include <string>
#include <thread>
#include <unistd.h>

int main() {
    const std::string name = "/python-tsan-" + std::to_string(getpid());
    mq_attr attributes{};
    attributes.mq_maxmsg = 1;
    attributes.mq_msgsize = 8;
    const mqd_t in = mq_open(name.c_str(), O_CREAT | O_EXCL | O_RDONLY, 0600, &attributes);
    const mqd_t out = mq_open(name.c_str(), O_WRONLY);
    mq_unlink(name.c_str());
    if (in < 0 || out < 0) {
        std::printf("no message queues here\n");
        return 77;
    }
    std::thread giver([&] {
        ++g_handed_over;
        mq_send(out, "x", 1, 0);
        race();
    });
    char message[8];
    if (mq_receive(in, message, sizeof message, nullptr) == 1) {
        ++g_handed_over;
    }
    race();
    giver.join();
    return end();
}
