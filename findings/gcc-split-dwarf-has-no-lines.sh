#!/usr/bin/env bash
# Surprising: reports of GCC's ThreadSanitizer have no file and no line for code built with -gsplit-dwarf: "#0 add() <null>".
# The runtime reads debug information by libbacktrace inside the process, which does not open .dwo files, and says nothing
# about it. llvm-symbolizer gives the line of the same address in the same program.
# For whom: large C++ projects, which use -gsplit-dwarf for fast links; tools that group reports by file and line.
# Versions: GCC 12.2.0 (libtsan2, libbacktrace) and clang 19.1.7 of Debian 12, DWARF 4 and 5.
# Seen: no line in 3 of 3 runs with gcc and either DWARF version; the line in 3 of 3 without the option, and with clang.
# Instead: no -gsplit-dwarf in the build for the sanitizer, or llvm-symbolizer on the module and offset in the frame.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/split.cpp" <<'CPP'
#include <thread>
int counter;
__attribute__((noinline)) void add() { ++counter; }
int main() {
  std::thread other(add);
  add();
  other.join();
}
CPP
check() {
  local place=$1
  shift
  (cd "$tmp" && "$@" -g -O1 -fsanitize=thread -pthread -o split split.cpp)
  for _ in 1 2 3; do
    ("$tmp/split" || true) >"$tmp/log" 2>&1
    frame=$(grep -m 1 '#0 add()' "$tmp/log")
    echo "  $*: ${frame//$tmp/}"
    case $place in
      line) [[ $frame == *split.cpp:3* ]] ;;
      none) [[ $frame == *'<null>'* ]] ;;
    esac
  done
}
check line g++
check none g++ -gsplit-dwarf
check none g++ -gdwarf-4 -gsplit-dwarf
check line clang++-19 -gsplit-dwarf
[[ $(clang++-19 --version) == *19.1.7* ]]
(cd "$tmp" && g++ -gsplit-dwarf -g -O1 -fsanitize=thread -pthread -o split split.cpp)
offset=$( ("$tmp/split" || true) 2>&1 | grep -m 1 '#0 add()' | sed 's/.*+\(0x[0-9a-f]*\)).*/\1/')
line=$(cd "$tmp" && llvm-symbolizer-19 --obj=split "$offset" | sed -n 2p)
echo "  llvm-symbolizer on the same frame: ${line//$tmp/}"
[[ $line == *split.cpp:3:* ]]
echo "as stated"
