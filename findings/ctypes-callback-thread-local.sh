#!/usr/bin/env bash
# Surprising: a native thread calls the same Python function twice. Through ctypes the second call finds threading.local
# empty; through cffi it finds what the first one has put there. It is the same thread, with the same get_ident.
# ctypes makes a thread state for each call and destroys it afterwards; cffi keeps one until the native thread ends.
# For whom: callbacks of audio, network or plug-in threads that cache a connection or a loop in threading.local, or count
# calls in it; code that moves from cffi to ctypes.
# Versions: cffi 2.1.1 with the python3 that is found, or with PYTHON; run with CPython 3.11.7, 3.12.1 and 3.13.0.
# Seen: ctypes 1, 1 and cffi 1, 2 in 5 of 5 runs with each of the three.
# Instead: key such data by threading.get_ident(); it stays the same.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"${PYTHON:-python3}" -m venv "$tmp/venv"
"$tmp/venv/bin/python" -m pip install --quiet --disable-pip-version-check cffi==2.1.1
"$tmp/venv/bin/python" --version
cat >"$tmp/twice.c" <<'C'
#include <pthread.h>
typedef void (*callback)(void);
static void *body(void *argument) {
  callback function = *(callback *)argument;
  function();
  function();
  return 0;
}
void twice(callback function) {
  pthread_t thread;
  pthread_create(&thread, 0, body, &function);
  pthread_join(thread, 0);
}
C
"${CC:-cc}" -shared -fPIC -pthread -o "$tmp/libtwice.so" "$tmp/twice.c"
cat >"$tmp/count.py" <<'PY'
import ctypes
import sys
import threading

import cffi

local = threading.local()
counts, threads = [], set()


def callback():
    local.count = getattr(local, "count", 0) + 1
    counts.append(local.count)
    threads.add(threading.get_ident())


if sys.argv[2] == "ctypes":
    ctypes.CDLL(sys.argv[1]).twice(ctypes.CFUNCTYPE(None)(callback))
else:
    ffi = cffi.FFI()
    ffi.cdef("void twice(void (*)(void));")
    ffi.dlopen(sys.argv[1]).twice(ffi.callback("void(void)", callback))
print(*counts, len(threads))
PY
for library in ctypes cffi; do
  for run in 1 2 3 4 5; do
    seen=$("$tmp/venv/bin/python" "$tmp/count.py" "$tmp/libtwice.so" "$library")
    echo "  $library, run $run: counts and number of threads: $seen"
    case $library in
      ctypes) [[ $seen == "1 1 1" ]] ;;
      cffi) [[ $seen == "1 2 1" ]] ;;
    esac
  done
done
echo "as stated"
