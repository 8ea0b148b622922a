#!/usr/bin/env bash
# Surprising: `zig c++ -fsanitize=thread`, clang 22 with a ThreadSanitizer runtime from PyPI, finds a race in a program.
# Linked with a shared library that was linked in the same way, the program dies by SIGSEGV before main: Zig links a whole
# runtime of its own into the library, too, where clang and gcc leave its symbols open for the program's.
# For whom: projects that want a sanitizer on machines without a compiler, and instrument more than one program file.
# Versions: ziglang 0.17.1 of PyPI (clang 22.1.8), GCC 12.2.0 and clang 19.1.7, Linux x86-64, with python3 or PYTHON. The
# first link compiles the runtime and libc++, for minutes.
# Seen: the library defines __tsan_init, which clang 19 and gcc 12 leave undefined; the race in the program alone found in
# 3 of 3 runs. That a program with such a library dies was seen in 9 of 9 runs, and is not repeated here.
# Instead: link the shared library without -fsanitize=thread, and with -Wl,-z,undefs: found in 3 of 3.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"${PYTHON:-python3}" -m venv "$tmp/venv"
"$tmp/venv/bin/python" -m pip install --quiet --disable-pip-version-check ziglang==0.17.1
cxx() { "$tmp/venv/bin/python" -m ziglang c++ -g1 -O1 -fPIC "$@"; }
cd "$tmp"
echo 'int value; extern "C" void bump() { ++value; }' >library.cpp
cat >program.cpp <<'CXX'
#include <thread>
extern "C" void bump();
int main() { std::thread other(bump); bump(); other.join(); }
CXX
cxx -fsanitize=thread program.cpp library.cpp -o alone
cxx -fsanitize=thread -c library.cpp -o library.o
cxx -shared library.o -Wl,-z,undefs -o libopen.so
cxx -fsanitize=thread program.cpp -L. -lopen "-Wl,-rpath,$tmp" -o open
for program in alone open; do
  found=0
  for _ in 1 2 3; do
    ./$program >log 2>&1 || true
    found=$((found + $(grep -c "WARNING: ThreadSanitizer: data race" log || true)))
  done
  echo "$program: found $found of 3"
  [[ $found == 3 ]]
done
cxx -fsanitize=thread -shared library.cpp -o libown.so
g++ -fsanitize=thread -fPIC -shared library.cpp -o libgcc.so
clang++-19 -fsanitize=thread -fPIC -shared library.cpp -o libclang.so
for library in own gcc clang; do
  defined=$(nm "lib$library.so" | grep -c ' [TtWw] __tsan_init$' || true)
  echo "lib$library.so defines __tsan_init: $defined"
  [[ $defined == $([[ $library == own ]] && echo 1 || echo 0) ]]
done
echo "as stated"
