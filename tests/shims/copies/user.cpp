// A plugin that uses the copy of the library that it was linked with.
extern "C" {
void g_mutex_lock(void*);
void g_mutex_unlock(void*);
void _ZN6QMutex4lockEv(void*);
void _ZN6QMutex6unlockEv(void*);
void _ZN4absl12lts_202206235Mutex4LockEv(void*);
void _ZN4absl12lts_202206235Mutex6UnlockEv(void*);
}

alignas(16) static char mutex[64];

extern "C" __attribute__((visibility("default"))) int use() {
    g_mutex_lock(mutex);
    g_mutex_unlock(mutex);
    _ZN6QMutex4lockEv(mutex);
    _ZN6QMutex6unlockEv(mutex);
    _ZN4absl12lts_202206235Mutex4LockEv(mutex);
    _ZN4absl12lts_202206235Mutex6UnlockEv(mutex);
    return 0;
}
