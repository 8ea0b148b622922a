#!/usr/bin/env bash
# Surprising: `ctest -T memcheck` with the checker ThreadSanitizer replaces TSAN_OPTIONS of the environment, and of the
# test's own ENVIRONMENT property, by its log_path. Suppressions that `ctest` alone applies are lost without a word, and
# what they cover is counted as a defect.
# For whom: projects that keep suppressions in TSAN_OPTIONS and use CTest's memory check.
# Versions: CMake 3.25.1 of Debian 12 and CMake 4.1.2 from PyPI, with g++ 12.2.0.
# Seen: `ctest` passes; `ctest -T memcheck` counts 1 defect and ends with an error; with the file in
# MEMORYCHECK_SUPPRESSIONS_FILE it counts none.
# Instead: MEMORYCHECK_SUPPRESSIONS_FILE for suppressions, MEMORYCHECK_SANITIZER_OPTIONS for other options.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet cmake==4.1.2
mkdir "$tmp/source"
cat >"$tmp/source/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.20)
project(known CXX)
include(CTest)
add_executable(known known.cpp)
target_compile_options(known PRIVATE -fsanitize=thread -g)
target_link_options(known PRIVATE -fsanitize=thread)
add_test(NAME environment COMMAND known)
add_test(NAME property COMMAND known)
set_tests_properties(property PROPERTIES ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/known.txt")
CMAKE
cat >"$tmp/source/known.cpp" <<'CPP'
#include <thread>
int counter;
__attribute__((noinline)) void known_and_accepted() { ++counter; }
int main() {
  std::thread other(known_and_accepted);
  known_and_accepted();
  other.join();
}
CPP
echo 'race:known_and_accepted' >"$tmp/source/known.txt"
export TSAN_OPTIONS="suppressions=$tmp/source/known.txt"
memcheck() {
  (cd "$2"; "$1/ctest" -T memcheck || true) >"$tmp/memcheck" 2>&1
}
for folder in /usr/bin "$tmp/venv/bin"; do
  version=$("$folder/cmake" --version | sed -n 's/cmake version //p')
  [[ $version == 3.25.1 || $version == 4.1.2 ]] || { echo "needs CMake 3.25.1 in /usr/bin"; exit 2; }
  build=$tmp/build-$version
  "$folder/cmake" -S "$tmp/source" -B "$build" -DCMAKE_CXX_COMPILER=g++ -DMEMORYCHECK_TYPE=ThreadSanitizer >"$tmp/log"
  "$folder/cmake" --build "$build" >>"$tmp/log"
  (cd "$build" && "$folder/ctest") | grep '100% tests passed, 0 tests failed out of 2'
  memcheck "$folder" "$build"
  echo "  CMake $version, memcheck: $(grep -c 'Defects: 1' "$tmp/memcheck") of 2 tests with a defect"
  [[ $(grep -c 'Defects: 1' "$tmp/memcheck") == 2 ]]
  "$folder/cmake" -S "$tmp/source" -B "$build" -DMEMORYCHECK_SUPPRESSIONS_FILE="$tmp/source/known.txt" >>"$tmp/log"
  memcheck "$folder" "$build"
  echo "  CMake $version, memcheck with MEMORYCHECK_SUPPRESSIONS_FILE: $(grep -c 'Defects: 1' "$tmp/memcheck") of 2"
  [[ $(grep -c 'Defects: 1' "$tmp/memcheck") == 0 ]]
done
echo "as stated"
