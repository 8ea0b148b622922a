#!/usr/bin/env bash
# Surprising: cProfile profiles the thread that has enabled it up to CPython 3.11, and all threads from 3.12. Calls of the
# others go on one common stack: a function that another thread called is listed as called by what this thread was in,
# here by Event.wait.
# For whom: programs with threads that compare profiles of 3.11 and later, or believe the callers of a profile.
# Versions: CPython 3.11, 3.12 and 3.13 as python3.11, ... or by PYENV_ROOT; run with 3.11.7, 3.12.1 and 3.13.0.
# Seen: 5 of 5 runs each: no function of the other thread in 3.11; in 3.12 and 3.13 `in_thread` called by `wait`.
# Instead: a sampling profiler, which keeps threads apart.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/profiled.py" <<'PY'
import cProfile
import pstats
import threading

entered, leave = threading.Event(), threading.Event()


def in_thread():
    pass


def body():
    entered.wait()
    in_thread()
    leave.set()


def in_main():
    entered.set()
    leave.wait()


thread = threading.Thread(target=body)
thread.start()
profile = cProfile.Profile()
profile.enable()
in_main()
profile.disable()
thread.join()
for (_, _, name), (*_, callers) in pstats.Stats(profile).stats.items():
    if name == "in_thread":
        print(name, "called by", *(caller for _, _, caller in callers))
PY
for version in 3.11 3.12 3.13; do
  python=
  for candidate in "${PYENV_ROOT:-/nowhere}/versions/$version".*/bin/python "$(command -v "python$version" || true)"; do
    if [[ -x $candidate ]] && "$candidate" -c '' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
  [[ -n $python ]] || { echo "needs python$version"; exit 2; }
  "$python" --version
  for run in 1 2 3 4 5; do
    seen=$("$python" "$tmp/profiled.py")
    echo "  run $run: ${seen:-nothing of the other thread}"
    case $version in
      3.11) [[ -z $seen ]] ;;
      *) [[ $seen == "in_thread called by wait" ]] ;;
    esac
  done
done
echo "as stated"
