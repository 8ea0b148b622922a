// A file that one thread makes and another is notified of.
#include "../programs/twin.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/inotify.h>
#include <thread>
#include <unistd.h>

int main() {
    char folder[] = "/tmp/python-tsan-XXXXXX";
    const int watch = inotify_init();
    if (mkdtemp(folder) == nullptr || watch < 0 || inotify_add_watch(watch, folder, IN_CREATE) < 0) {
        return 77;
    }
    const std::string file = std::string(folder) + "/file";
    std::thread giver([&] {
        ++g_handed_over;
        close(open(file.c_str(), O_CREAT | O_WRONLY, 0600));
        race();
    });
    char event[4096];
    if (read(watch, event, sizeof event) > 0) {
        ++g_handed_over;
    }
    race();
    giver.join();
    unlink(file.c_str());
    rmdir(folder);
    return end();
}
