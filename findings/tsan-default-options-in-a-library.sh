#!/usr/bin/env bash
# Surprising: __tsan_default_options works in the main program only. The same function, exported by a shared library that
# the program is linked to, is ignored without a word; the library is loaded.
# With clang the program contains the runtime and its own weak definition; with gcc libtsan comes first in the search.
# For whom: authors of plug-ins, of Python extension modules and of libraries that want to bring their options along.
# Versions: GCC 12.2.0 (libtsan2) and clang 19.1.7 of Debian 12.
# Seen: with the function in the program the status is 9, with it in the library it is 66; 3 of 3 runs, both compilers.
# Instead: link an object file with it into the main program, or set TSAN_OPTIONS outside.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cat >"$tmp/options.cpp" <<'CPP'
extern "C" __attribute__((visibility("default"))) const char *__tsan_default_options() { return "exitcode=9"; }
extern "C" __attribute__((visibility("default"))) int library_is_loaded() { return 1; }
CPP
cat >"$tmp/race.cpp" <<'CPP'
#include <thread>
extern "C" int library_is_loaded();
int total;
int main() {
  std::thread first([] { total += 1; }), second([] { total += 2; });
  first.join();
  second.join();
  return library_is_loaded() ? 0 : 3;
}
CPP
run() {
  local statuses='' status
  for _ in 1 2 3; do
    status=0
    setarch -R "$1" >/dev/null 2>&1 || status=$?
    statuses+=" $status"
  done
  echo "$statuses"
}
for compiler in g++ clang++-19; do
  "$compiler" --version | head -n 1
  "$compiler" -shared -fPIC -o "$tmp/liboptions.so" "$tmp/options.cpp"
  "$compiler" -fsanitize=thread -g -O1 -o "$tmp/in_program" "$tmp/race.cpp" "$tmp/options.cpp"
  "$compiler" -fsanitize=thread -g -O1 -o "$tmp/in_library" "$tmp/race.cpp" "-L$tmp" -loptions "-Wl,-rpath,$tmp"
  program=$(run "$tmp/in_program") library=$(run "$tmp/in_library")
  echo "  options in the program: statuses$program; in a shared library: statuses$library"
  [[ $program == " 9 9 9" && $library == " 66 66 66" ]]
done
echo "as stated"
