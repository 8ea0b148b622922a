#!/usr/bin/env bash
# Surprising: a relative log_path in TSAN_OPTIONS is resolved at the first report, not when the program starts.
# A program that has changed its working directory by then writes its log there, and the folder where the job looks for
# logs stays empty, as after a clean run. If the path has a folder (logs/race), that folder is made at the start, in the
# first directory; the file is opened in the second, where it is missing, and the report is lost: "Can't open file".
# For whom: jobs that count log files; daemons and test runners that call chdir.
# Versions: GCC 12.2.0 (libtsan2) and clang 19.1.7 of Debian 12.
# Seen: log_path=race: the log lies in the new directory in 3 of 3 runs, with both compilers; logs/race: no log in 3 of 3.
# Instead: give an absolute log_path.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/move.cpp" <<'CPP'
#include <thread>
#include <unistd.h>
int total;
int main(int, char **argv) {
  if (chdir(argv[1]) != 0) return 3;
  std::thread first([] { total += 1; }), second([] { total += 2; });
  first.join();
  second.join();
}
CPP
for compiler in g++ clang++-19; do
  "$compiler" --version | head -n 1
  "$compiler" -fsanitize=thread -g -O1 -o "$tmp/move" "$tmp/move.cpp"
  for run in 1 2 3; do
    for path in race logs/race; do
      work=$tmp/$compiler.$run.${path////.}
      mkdir -p "$work/start" "$work/target"
      status=0
      (
        cd "$work/start"
        TSAN_OPTIONS=log_path=$path setarch -R "$tmp/move" "$work/target"
      ) >"$tmp/out" 2>&1 || status=$?
      at_start=$(find "$work/start" -type f | wc -l)
      at_target=$(find "$work/target" -type f | wc -l)
      echo "  run $run, log_path=$path: logs in the first directory $at_start, in the new one $at_target, status $status"
      case $path in
        race) [[ "$at_start $at_target" == "0 1" ]] ;;
        *)
          [[ "$at_start $at_target" == "0 0" && -d $work/start/logs ]]
          grep "Can't open file" "$tmp/out"
          ;;
      esac
    done
  done
done
echo "as stated"
