#!/usr/bin/env bash
# Surprising: CodeChecker's report-converter has a type tsan, and finds nothing in what ThreadSanitizer prints for a race.
# It looks for a line that starts ==PID==WARNING or ==PID==ERROR, as AddressSanitizer prints it; a race's report starts
# with WARNING and no such prefix. The converter prints one line of information and ends with status 0 and no file.
# For whom: teams that store sanitizer findings in CodeChecker and believe that an empty list is good news.
# Versions: CodeChecker 6.29.1; clang 19.1.7 and GCC 12.2.0 of Debian 12.
# Seen: 0 files for the reports of both compilers, 3 of 3 runs; 1 file as soon as ==1== is put before WARNING.
# Instead: prefix the lines as this script does, or convert to SARIF by other means.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/python" -m pip install --quiet --disable-pip-version-check codechecker==6.29.1
"$tmp/venv/bin/python" -c 'from importlib.metadata import version; print("CodeChecker", version("codechecker"))'
cat >"$tmp/race.c" <<'C'
#include <pthread.h>
int total;
void *add(void *argument) {
  total += 1;
  return argument;
}
int main(void) {
  pthread_t first, second;
  pthread_create(&first, 0, add, 0);
  pthread_create(&second, 0, add, 0);
  pthread_join(first, 0);
  pthread_join(second, 0);
}
C
convert() {
  rm -rf "$tmp/reports"
  "$tmp/venv/bin/report-converter" -t tsan -o "$tmp/reports" "$1" >"$tmp/out" 2>&1 || echo "status $?"
  find "$tmp/reports" -name '*.plist' 2>/dev/null | wc -l
}
for compiler in gcc clang-19; do
  "$compiler" --version | head -n 1
  "$compiler" -fsanitize=thread -g -O1 -o "$tmp/race" "$tmp/race.c"
  for run in 1 2 3; do
    setarch -R "$tmp/race" >"$tmp/race.log" 2>&1 || [[ $? == 66 ]]
    grep -q '^WARNING: ThreadSanitizer: data race' "$tmp/race.log"
    plain=$(convert "$tmp/race.log")
    message=$(grep -o "No 'tsan' results can be found" "$tmp/out")
    sed 's/^WARNING: ThreadSanitizer/==1==&/' "$tmp/race.log" >"$tmp/prefixed.log"
    echo "  run $run: files from the report $plain ($message), from the prefixed report $(convert "$tmp/prefixed.log")"
    [[ $plain == 0 && $(convert "$tmp/prefixed.log") == 1 ]]
  done
done
echo "as stated"
