// data race: two sides kept apart by a sleep, which is no synchronisation and is named as such.
#include <thread>
#include <unistd.h>

int g_ready = 0;

void produce() {
    g_ready = 1;
}

void wait_a_little() {
    usleep(300000);
}

int main() {
    std::thread producer(produce);
    wait_a_little();
    const int seen = g_ready;
    producer.join();
    return seen == 2;
}
