#!/usr/bin/env bash
# Surprising: `zig c++ -fsanitize=thread`, clang 22 with a ThreadSanitizer runtime from PyPI, finds a race in a program.
# Linked with a shared library that was linked in the same way, the program dies by SIGSEGV before main: Zig links a whole
# runtime of its own into the library, too, where clang and gcc leave its symbols open for the program's.
# For whom: projects that want a sanitizer on machines without a compiler, and instrument more than one program file.
# Versions: ziglang 0.17.1 of PyPI (clang 22.1.8), Linux x86-64, with python3 or PYTHON. The first link compiles the runtime
# and libc++, for minutes.
# Seen: the race in the program alone found in 3 of 3 runs; with the shared library SIGSEGV in 3 of 3.
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
cxx -fsanitize=thread -shared library.cpp -o libown.so
cxx -fsanitize=thread program.cpp -L. -lown "-Wl,-rpath,$tmp" -o own
cxx -fsanitize=thread -c library.cpp -o library.o
cxx -shared library.o -Wl,-z,undefs -o libopen.so
cxx -fsanitize=thread program.cpp -L. -lopen "-Wl,-rpath,$tmp" -o open
for program in alone own open; do
  found=0 died=0
  for _ in 1 2 3; do
    status=0
    ./$program >log 2>&1 || status=$?
    found=$((found + $(grep -c "WARNING: ThreadSanitizer: data race" log || true)))
    died=$((died + (status == 139)))
  done
  echo "$program: found $found of 3, SIGSEGV $died of 3"
  [[ "$found $died" == $([[ $program == own ]] && echo "0 3" || echo "3 0") ]]
done
