// A coroutine that is suspended in one thread and resumed in another.
#include <coroutine>
#include <cstdio>
#include <exception>
#include <thread>

struct Task {
    struct promise_type {
        Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
};

static Task work(int* steps) {
    ++*steps;
    co_await std::suspend_always{};
    ++*steps;
}

int main() {
    int steps = 0;
    const Task task = work(&steps);
    task.handle.resume();
    std::thread other([&] { task.handle.resume(); });
    other.join();
    task.handle.destroy();
    std::printf("%d\n", steps);
}
