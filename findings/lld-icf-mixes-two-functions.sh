#!/usr/bin/env bash
# Surprising: with lld's --icf=all a frame of a ThreadSanitizer report has the name of one function and the line of another:
# "#0 add_refunds(Refund*) sums.cpp:4", although line 4 belongs to add_orders. lld keeps one copy of two functions with the
# same machine code; the symbol table has both names at its address, and the debug information the lines of the first.
# llvm-symbolizer joins the two. Suppressions and baselines by name then match the wrong function, or none.
# For whom: programs linked as releases of Chromium and Android are, with lld and --icf=all.
# Versions: clang 19.1.7 and lld 19.1.7 of Debian 12.
# Seen: 5 of 5 runs: name and line of different functions with --icf=all; of the same function without and with --icf=safe.
# Instead: --icf=safe with -faddrsig, or no folding, in the build for the sanitizer.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
ld.lld-19 --version | grep -q 'LLD 19\.1\.7' || { echo "needs lld-19 19.1.7"; exit 2; }
cat >"$tmp/sums.cpp" <<'CPP'
#include <thread>
struct Order { int sum; };
struct Refund { int sum; };
__attribute__((noinline)) void add_orders(Order* order) { ++order->sum; }
__attribute__((noinline)) void add_refunds(Refund* refund) { ++refund->sum; }
Refund shared;
int main(int count, char**) {
  Order order{count};
  add_orders(&order);
  std::thread other(add_refunds, &shared);
  add_refunds(&shared);
  other.join();
  return order.sum == 0;
}
CPP
check() {
  local expected=$1
  shift
  (cd "$tmp" && clang++-19 -g -O1 -fsanitize=thread -pthread -ffunction-sections -fuse-ld=lld-19 "$@" -o sums sums.cpp 2>link.log)
  for _ in 1 2 3 4 5; do
    ("$tmp/sums" || true) >"$tmp/log" 2>&1
    frame=$(grep -m 1 '#0 add_' "$tmp/log")
    frame=${frame//$tmp\//}
    frame=${frame#*#0 }
    echo "  ${*:-no folding}: ${frame%%:*}:$(cut -d: -f2 <<<"$frame")"
    [[ $frame == $expected* ]]
  done
}
check 'add_refunds(Refund*) sums.cpp:5'
check 'add_refunds(Refund*) sums.cpp:4' -Wl,--icf=all
check 'add_refunds(Refund*) sums.cpp:5' -faddrsig -Wl,--icf=safe
echo "as stated"
