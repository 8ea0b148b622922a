#!/usr/bin/env bash
# Surprising: with TSAN_OPTIONS=exitcode=0x42 a program under ThreadSanitizer does not run at all, and its exit status is 0.
# The runtime reads the digit before the x, refuses the rest, and ends the process with the 0 that it has just read.
# exitcode=256 runs the program and reports the race, but the status is 0 as well: it keeps only the low eight bits.
# An empty value means 0.
# For whom: everyone whose test job trusts the exit status and takes the value from a variable.
# Versions: GCC 12.2.0 (libtsan2) and clang 19.1.7 of Debian 12.
# Seen: status 0 in 5 of 5 runs for each of the three values and both compilers; main's output is missing for 0x42.
# Instead: write a decimal number from 1 to 255, and let one program that is known to race prove that the job fails.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/race.cpp" <<'CPP'
#include <cstdio>
#include <thread>
int total;
int main() {
  std::thread first([] { total += 1; }), second([] { total += 2; });
  first.join();
  second.join();
  std::puts("main has run");
}
CPP
for compiler in g++ clang++-19; do
  "$compiler" --version | head -n 1
  "$compiler" -fsanitize=thread -g -O1 -o "$tmp/race" "$tmp/race.cpp"
  for value in 66 0x42 256 ""; do
    zero=0 ran=0 reported=0
    for _ in 1 2 3 4 5; do
      if TSAN_OPTIONS="exitcode=$value" setarch -R "$tmp/race" >"$tmp/out" 2>&1; then zero=$((zero + 1)); fi
      if grep -q 'main has run' "$tmp/out"; then ran=$((ran + 1)); fi
      if grep -q 'WARNING: ThreadSanitizer: data race' "$tmp/out"; then reported=$((reported + 1)); fi
    done
    echo "  exitcode=$value: status 0 in $zero of 5, main ran in $ran of 5, race reported in $reported of 5"
    case $value in
      66) [[ "$zero $ran $reported" == "0 5 5" ]] ;;
      0x42)
        [[ "$zero $ran $reported" == "5 0 0" ]]
        sed 's/^/    /' "$tmp/out"
        ;;
      *) [[ "$zero $ran $reported" == "5 5 5" ]] ;;
    esac
  done
done
echo "as stated"
