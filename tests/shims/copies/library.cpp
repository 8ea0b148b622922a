// A library with some of the names of GLib, Qt and Abseil that states which copy it is, and keeps a count of its own.
#include <cstdio>

static int held = 0;

static void report(const char* what, int change) {
    held += change;
    std::printf("%s %s %d\n", COPY, what, held);
}

extern "C" __attribute__((visibility("default"))) void g_mutex_lock(void*) {
    report("g_mutex_lock", 1);
}
extern "C" __attribute__((visibility("default"))) void g_mutex_unlock(void*) {
    report("g_mutex_unlock", -1);
}
extern "C" __attribute__((visibility("default"))) void _ZN6QMutex4lockEv(void*) {
    report("QMutex::lock", 1);
}
extern "C" __attribute__((visibility("default"))) void _ZN6QMutex6unlockEv(void*) {
    report("QMutex::unlock", -1);
}
extern "C" __attribute__((visibility("default"))) void _ZN4absl12lts_202206235Mutex4LockEv(void*) {
    report("absl::Mutex::Lock", 1);
}
extern "C" __attribute__((visibility("default"))) void _ZN4absl12lts_202206235Mutex6UnlockEv(void*) {
    report("absl::Mutex::Unlock", -1);
}
