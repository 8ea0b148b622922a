#!/usr/bin/env bash
# Surprising: CPython from 3.12 warns when a process with several threads forks. `import numpy` starts OpenBLAS' threads,
# and yet os.fork() after it gives no warning: OpenBLAS ends its threads in a handler before the fork, in the parent too,
# and CPython counts afterwards. The parent has one thread then; the next large product starts the pool again.
# With pyarrow the warning comes, because its threads stay.
# For whom: users who take the missing warning as a proof that an import starts no thread; monitors of thread counts.
# Versions: CPython 3.12 (as PYTHON, python3.12 or by PYENV_ROOT; run with 3.12.1), numpy 2.5.5, pyarrow 26.0.1.
# Seen on two processors: numpy 2 threads, 1 after the fork, 2 after a product, 0 warnings; pyarrow 1 warning; 3 of 3 runs.
# Instead: count /proc/self/task before the fork, and set OPENBLAS_NUM_THREADS=1 where processes fork.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python=${PYTHON:-}
for candidate in "${PYENV_ROOT:-/nowhere}"/versions/3.12.*/bin/python "$(command -v python3.12 || true)"; do
  if [[ -z $python && -x $candidate ]] && "$candidate" -c '' 2>/dev/null; then python=$candidate; fi
done
[[ -n $python && $(nproc) -ge 2 ]] || { echo "needs python3.12 and two processors"; exit 2; }
"$python" -m venv "$tmp/venv"
"$tmp/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.5.5 pyarrow==26.0.1
"$tmp/venv/bin/python" --version
cat >"$tmp/fork.py" <<'PY'
import importlib
import os
import sys
import warnings


def threads():
    return len(os.listdir("/proc/self/task"))


module = importlib.import_module(sys.argv[1])
before = threads()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
after = threads()
import numpy  # noqa: E402

square = numpy.ones((600, 600))
square @ square
print(before > 1, after == 1, threads() > 1, sum("multi-threaded" in str(item.message) for item in caught))
print(f"{module.__name__} {module.__version__}: {before} threads, {after} after the fork, {threads()} after a product", file=sys.stderr)
PY
for name in numpy pyarrow; do
  for _ in 1 2 3; do
    seen=$("$tmp/venv/bin/python" -W ignore "$tmp/fork.py" "$name")
    echo "  several before, one after, several after a product, warnings: $seen"
    case $name in
      numpy) [[ $seen == "True True True 0" ]] ;;
      pyarrow) [[ $seen == "True False True 1" ]] ;;
    esac
  done
done
echo "as stated"
