#!/usr/bin/env bash
# Surprising: a line fun:.*add_one.* of a file for -fsanitize-ignorelist matches with clang 14 and matches nothing with
# clang 19, without a warning: the patterns have become globs, in which a dot is a dot. So have groups, (one|two). What was
# ignored is instrumented, and reported, again. A first line #!special-case-list-v1 brings the old meaning back; to clang 14
# it is a comment.
# For whom: projects that keep one ignorelist for the compilers of several distributions.
# Versions: clang 14.0.6 and 19.1.7 of Debian 12.
# Seen: reported in 0 of 3 runs with clang 14 and in 3 of 3 with clang 19; with the first line, or as fun:*add_one*, 0 of 3
# with both.
# Instead: fun:*add_one*, which both read alike.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
clang++-14 --version | grep -q 'version 14\.0\.6' || { echo "needs clang++-14 14.0.6"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/ignored.cpp" <<'CPP'
#include <thread>
static int number;
__attribute__((noinline)) void add_one() { ++number; }
int main() {
  std::thread other(add_one);
  add_one();
  other.join();
}
CPP
check() {
  local compiler=$1 expected=$2 list=$3 reported=0
  printf '%b\n' "$list" >"$tmp/list"
  "$compiler" -O1 -g -fsanitize=thread -fsanitize-ignorelist="$tmp/list" -pthread -o "$tmp/ignored" "$tmp/ignored.cpp"
  for _ in 1 2 3; do
    ("$tmp/ignored" || true) >"$tmp/log" 2>&1
    grep -q 'SUMMARY.*data race' "$tmp/log" && reported=$((reported + 1))
  done
  echo "  $compiler, $list: reported in $reported of 3 runs"
  [[ $reported == "$expected" ]]
}
for list in 'fun:.*add_one.*' 'fun:_Z7add_(one|two)v'; do
  check clang++-14 0 "$list"
  check clang++-19 3 "$list"
  check clang++-19 0 "#!special-case-list-v1\n$list"
done
check clang++-14 0 '#!special-case-list-v1\nfun:.*add_one.*'
check clang++-14 0 'fun:*add_one*'
check clang++-19 0 'fun:*add_one*'
check clang++-14 3 'fun:*add_two*'
echo "as stated"
