// Loads plugins in turn and uses each twice: `program [local|global]:FILE...`. With OWN, it uses a copy itself.
#include <cstring>
#include <dlfcn.h>

extern "C" int use();

int main(int count, char** arguments) {
    for (int turn = 0; turn < 2; ++turn) {
        for (int index = 1; index < count; ++index) {
            const char* file = std::strchr(arguments[index], ':') + 1;
            const int flags = RTLD_NOW | (arguments[index][0] == 'g' ? RTLD_GLOBAL : RTLD_LOCAL);
            void* handle = dlopen(file, flags);
            if (handle == nullptr) {
                return 1;
            }
            reinterpret_cast<int (*)()>(dlsym(handle, "use"))();
        }
#ifdef OWN
        use();
#endif
    }
    return 0;
}
