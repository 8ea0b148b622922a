#!/usr/bin/env bash
# Surprising: the mutex of standard C is none to ThreadSanitizer. A counter that two threads protect by mtx_lock of
# <threads.h> is reported as a data race, and so is what call_once has made; the same program with pthread_mutex_lock and
# pthread_once is clean. glibc builds the functions of <threads.h> on internal names, which no runtime intercepts.
# For whom: C libraries that chose the standard's threads over POSIX; their users see races where there is none.
# Versions: glibc 2.36, GCC 12.2.0 and clang 19.1.7 of Debian 12.
# Seen: mtx_lock and call_once 5 of 5 runs under both runtimes; pthread_mutex_lock and pthread_once 0 of 5.
# Instead: define mtx_lock and the others in the program, as calls of the POSIX functions: glibc's types are the same.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(gcc -dumpfullversion) == 12.2.0 ]] || { echo "needs gcc 12.2.0"; exit 2; }
clang-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang-19 19.1.7"; exit 2; }
cat >"$tmp/counter.c" <<'C'
#include <pthread.h>
#include <string.h>
#include <threads.h>
static mtx_t c_mutex;
static pthread_mutex_t posix_mutex = PTHREAD_MUTEX_INITIALIZER;
static once_flag c_once = ONCE_FLAG_INIT;
static pthread_once_t posix_once = PTHREAD_ONCE_INIT;
static const char *kind;
static int count, made, seen[2][16];
static void make(void) { made = 42; }
static void *work(void *place) {
  if (strcmp(kind, "mtx_lock") == 0) {
    mtx_lock(&c_mutex);
    ++count;
    mtx_unlock(&c_mutex);
  } else if (strcmp(kind, "pthread_mutex_lock") == 0) {
    pthread_mutex_lock(&posix_mutex);
    ++count;
    pthread_mutex_unlock(&posix_mutex);
  } else if (strcmp(kind, "call_once") == 0) {
    call_once(&c_once, make);
    *(int *)place = made;
  } else {
    pthread_once(&posix_once, make);
    *(int *)place = made;
  }
  return NULL;
}
int main(int argc, char **argv) {
  pthread_t first, second;
  kind = argv[argc - 1];
  mtx_init(&c_mutex, mtx_plain);
  pthread_create(&first, NULL, work, seen[0]);
  pthread_create(&second, NULL, work, seen[1]);
  pthread_join(first, NULL);
  pthread_join(second, NULL);
  return 0;
}
C
for compiler in gcc clang-19; do
  "$compiler" --version | head -n 1
  "$compiler" -fsanitize=thread -g -O1 -o "$tmp/counter" "$tmp/counter.c"
  for kind in mtx_lock pthread_mutex_lock call_once pthread_once; do
    races=0
    for _ in 1 2 3 4 5; do
      setarch -R "$tmp/counter" "$kind" >"$tmp/out" 2>&1 || [[ $? == 66 ]]
      if grep -q 'ThreadSanitizer: data race' "$tmp/out"; then races=$((races + 1)); fi
    done
    echo "  $compiler, $kind: data race in $races of 5"
    case "$kind" in
      pthread_*) [[ $races == 0 ]] ;;
      *) [[ $races == 5 ]] ;;
    esac
  done
done
echo "as stated"
