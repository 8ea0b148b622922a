// A ring of io_uring: one thread submits, another sees the completion, which the kernel wrote.
#include "../programs/twin.hpp"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

int main() {
    io_uring_params made{};
    const int ring = static_cast<int>(syscall(SYS_io_uring_setup, 4, &made));
    if (ring < 0 || (made.features & IORING_FEAT_SINGLE_MMAP) == 0) {
        std::printf("no io_uring here\n");
        return 77;
    }
    const auto map = [&](std::size_t size, off_t what) {
        return static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, what));
    };
    char* queues = map(8192, IORING_OFF_SQ_RING);
    auto* entries = reinterpret_cast<io_uring_sqe*>(map(4 * sizeof(io_uring_sqe), IORING_OFF_SQES));
    const auto word = [&](unsigned offset) { return reinterpret_cast<unsigned*>(queues + offset); };
    std::thread giver([&] {
        ++g_handed_over;
        entries[0].opcode = IORING_OP_NOP;
        *word(made.sq_off.array) = 0;
        __atomic_store_n(word(made.sq_off.tail), 1, __ATOMIC_RELEASE);
        syscall(SYS_io_uring_enter, ring, 1, 0, 0, nullptr, 0);
        race();
    });
    while (__atomic_load_n(word(made.cq_off.tail), __ATOMIC_ACQUIRE) == 0) {
        syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
    }
    ++g_handed_over;
    race();
    giver.join();
    return end();
}
