#!/usr/bin/env bash
# Surprising: ThreadSanitizer reports a race, and the exit status is 0 all the same, when the program ends by _Exit,
# std::quick_exit or exec. By _exit, which POSIX makes the same function as _Exit, the status is 66 as usual.
# The runtime intercepts the name _exit and knows no other way out; the closing line "reported 1 warnings" is missing too.
# For whom: test jobs that look at the status only; programs that leave by quick_exit because of slow static destructors.
# Versions: GCC 12.2.0 (libtsan2) and clang 19.1.7 of Debian 12.
# Seen: status 0 in 3 of 3 runs for each of the three ways and both compilers, and the race printed each time.
# Instead: judge by the log (log_path=), or set halt_on_error=1, which ends the process with the right status at once.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/leave.cpp" <<'CPP'
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>
int total;
int main(int, char **argv) {
  std::thread first([] { total += 1; }), second([] { total += 2; });
  first.join();
  second.join();
  std::string way = argv[1];
  if (way == "_exit") _exit(0);
  if (way == "_Exit") std::_Exit(0);
  if (way == "quick_exit") std::quick_exit(0);
  if (way == "exec") execlp("true", "true", static_cast<char *>(nullptr));
  return 0;
}
CPP
for compiler in g++ clang++-19; do
  "$compiler" --version | head -n 1
  "$compiler" -fsanitize=thread -g -O1 -o "$tmp/leave" "$tmp/leave.cpp"
  for way in return _exit _Exit quick_exit exec; do
    statuses='' closing=0
    for _ in 1 2 3; do
      status=0
      setarch -R "$tmp/leave" "$way" >"$tmp/out" 2>&1 || status=$?
      grep -q 'WARNING: ThreadSanitizer: data race' "$tmp/out"
      if grep -q 'reported 1 warnings' "$tmp/out"; then closing=$((closing + 1)); fi
      statuses+=" $status"
    done
    echo "  $way: race reported in 3 of 3, statuses$statuses, closing line in $closing of 3"
    case $way in
      return | _exit) [[ $statuses == " 66 66 66" && $closing == 3 ]] ;;
      *) [[ $statuses == " 0 0 0" && $closing == 0 ]] ;;
    esac
  done
done
status=0
TSAN_OPTIONS=halt_on_error=1 setarch -R "$tmp/leave" quick_exit >/dev/null 2>&1 || status=$?
echo "  quick_exit with halt_on_error=1: status $status"
[[ $status == 66 ]]
echo "as stated"
