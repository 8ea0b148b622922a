// A message queue of System V.
#include "twin.hpp"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <thread>

struct Message {
    long type;
    char text[8];
};

int main() {
    const int queue = msgget(IPC_PRIVATE, 0600);
    if (queue < 0) {
        std::printf("no message queues of System V here\n");
        return 77;
    }
    std::thread giver([&] {
        ++g_handed_over;
        const Message message{1, "x"};
        msgsnd(queue, &message, sizeof message.text, 0);
        race();
    });
    Message message{};
    if (msgrcv(queue, &message, sizeof message.text, 0, 0) > 0) {
        ++g_handed_over;
    }
    race();
    giver.join();
    msgctl(queue, IPC_RMID, nullptr);
    return end();
}
