#!/usr/bin/env bash
# Surprising: getenv in one thread and setenv of the same variable in another, ordered by nothing, is no race for
# ThreadSanitizer, although glibc documents that it is one (MT-Unsafe const:env) and the runtimes know several hundred
# functions of it. The same two threads with strcpy and strlen on a buffer are reported.
# For whom: programs that embed Python, where os.environ["TZ"] = ... calls setenv under the GIL, and C++ threads that read
# variables without it: a clean verdict says nothing about them.
# Versions: GCC 12.2.0 (libtsan2) and clang 19.1.7 of Debian 12, glibc 2.36.
# Seen: 0 of 5 runs with both compilers for the environment, 5 of 5 for the buffer.
# Instead: set variables before the first thread is made.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/environment.cpp" <<'CPP'
#include <cstdlib>
#include <cstring>
#include <thread>
#ifdef BUFFER
static char buffer[8] = "one";
static void write() { strcpy(buffer, "two"); }
static size_t read() { return strlen(buffer); }
#else
static void write() { setenv("EXAMPLE_NAME", "two", 1); }
static size_t read() { return getenv("EXAMPLE_NAME") ? 3 : 0; }
#endif
int main() {
  setenv("EXAMPLE_NAME", "one", 1);
  std::thread other(write);
  size_t length = read();
  other.join();
  return length != 3;
}
CPP
for compiler in g++ clang++-19; do
  "$compiler" --version | head -n 1
  for kind in -DENVIRONMENT -DBUFFER; do
    "$compiler" "$kind" -O1 -fno-builtin -g -fsanitize=thread -pthread -o "$tmp/environment" "$tmp/environment.cpp"
    reported=0
    for _ in 1 2 3 4 5; do
      ("$tmp/environment" || true) >"$tmp/log" 2>&1
      grep -q 'SUMMARY.*data race' "$tmp/log" && reported=$((reported + 1))
    done
    echo "  $kind: reported in $reported of 5 runs"
    case $kind in
      -DENVIRONMENT) [[ $reported == 0 ]] ;;
      *) [[ $reported == 5 ]] ;;
    esac
  done
done
echo "as stated"
