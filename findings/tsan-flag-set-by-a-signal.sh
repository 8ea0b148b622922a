#!/usr/bin/env bash
# Surprising: a loop that waits for a flag which a signal handler sets never sees it under ThreadSanitizer if the flag is
# volatile std::sig_atomic_t, the type that the C++ standard names for this. With std::atomic<int> it is seen at once.
# The runtime keeps an asynchronous signal back until the thread makes an atomic operation or calls an intercepted function;
# plain reads, instrumented ones too, are neither.
# For whom: programs that poll `stop` or `reload` flags in a computing loop; timers and profilers based on setitimer.
# Versions: GCC 12.2.0 (libtsan2) and clang 19.1.7 of Debian 12.
# Seen: the flag is not set after five seconds of computing, then set by the next call of the library: 3 of 3 runs with
# both compilers; without the sanitizer, or with the atomic flag, it is set in the first half of that time: 3 of 3.
# Upstream describes when signals are delivered: https://github.com/google/sanitizers/issues/1401
# Instead: make the flag a lock-free std::atomic, which handlers may use as well.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/flag.cpp" <<'CPP'
#include <sys/time.h>
#include <x86intrin.h>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <ctime>
#ifdef ATOMIC
static std::atomic<int> flag;
#else
static volatile std::sig_atomic_t flag;
#endif
static void handler(int) { flag = 1; }
static double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}
int main() {
  // The loop itself may call nothing, so it reads the processor's own counter, whose rate is found first.
  unsigned long long first = __rdtsc();
  double begun = now();
  while (now() < begun + 0.2) {
  }
  double rate = (__rdtsc() - first) / 0.2;
  std::signal(SIGALRM, handler);
  itimerval timer = {{0, 0}, {0, 20000}};
  setitimer(ITIMER_REAL, &timer, nullptr);
  first = __rdtsc();
  while (!flag && __rdtsc() - first < 5 * rate) {
  }
  bool seen = flag, early = __rdtsc() - first < 2.5 * rate;
  now();
  std::printf("%s %s\n", seen ? (early ? "early" : "late") : "never", flag ? "set" : "unset");
}
CPP
for compiler in g++ clang++-19; do
  "$compiler" --version | head -n 1
  for sanitizer in '' -fsanitize=thread; do
    for kind in '' -DATOMIC; do
      "$compiler" ${sanitizer:+"$sanitizer"} ${kind:+"$kind"} -O1 -g -o "$tmp/flag" "$tmp/flag.cpp"
      seen=$(for _ in 1 2 3; do "$tmp/flag"; done | sort | uniq -c | xargs)
      echo "  ${sanitizer:-no sanitizer}, ${kind:-sig_atomic_t}: $seen"
      if [[ $sanitizer$kind == -fsanitize=thread ]]; then
        [[ $seen == "3 never set" ]]
      else
        [[ $seen == "3 early set" ]]
      fi
    done
  done
done
echo "as stated"
