#!/usr/bin/env bash
# Surprising: with clang a function marked no_sanitize("thread") is silent or reported depending on the size of what it
# copies. A struct of 64 bytes is copied inline and says nothing; one of 256 bytes becomes a call of memcpy, which the
# runtime intercepts, so the same assignment is reported as a race. gcc stays silent for both sizes.
# For whom: code that marks a deliberate race (a statistics snapshot, a seqlock's reader) and then grows the struct.
# Versions: clang 19.1.7 and GCC 12.2.0 of Debian 12, x86-64, -O1.
# Seen: clang 0 of 5 runs with 64 bytes, 5 of 5 with 256 bytes; gcc 0 of 5 with either.
# Instead: copy by relaxed atomics, or suppress it: race:FUNCTION covers the call of memcpy too (silent in 5 of 5).
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/copy.cpp" <<'CPP'
#include <thread>
struct Sample {
  char bytes[SIZE];
};
Sample source, target;
__attribute__((no_sanitize("thread"), noinline)) void snapshot() { target = source; }
int main() {
  std::thread first(snapshot), second(snapshot);
  first.join();
  second.join();
}
CPP
echo 'race:snapshot' >"$tmp/suppressions"
for compiler in g++ clang++-19; do
  "$compiler" --version | head -n 1
  for size in 64 256; do
    "$compiler" "-DSIZE=$size" -fsanitize=thread -g -O1 -o "$tmp/copy" "$tmp/copy.cpp"
    found=0 suppressed=0
    for _ in 1 2 3 4 5; do
      if ! setarch -R "$tmp/copy" >"$tmp/out" 2>&1; then
        found=$((found + 1))
        grep -q 'SUMMARY: ThreadSanitizer: data race .* in .*memcpy' "$tmp/out"
      fi
      if TSAN_OPTIONS="suppressions=$tmp/suppressions" setarch -R "$tmp/copy" >/dev/null 2>&1; then
        suppressed=$((suppressed + 1))
      fi
    done
    echo "  $size bytes: reported in $found of 5; silent with race:snapshot in $suppressed of 5"
    expected=0
    if [[ "$compiler $size" == "clang++-19 256" ]]; then expected=5; fi
    [[ "$found $suppressed" == "$expected 5" ]]
  done
done
echo "as stated"
