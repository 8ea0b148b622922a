#!/usr/bin/env bash
# Surprising: a statement `lazy from a import A` (PEP 810) in any module, whose name is never used, changes how other threads
# read a. While a is being executed, reading a.A before it is bound raises AttributeError; with that statement somewhere in
# the process the read waits until a is complete, and succeeds. CPython takes A for a submodule that may be loaded.
# For whom: programs with cyclic imports and threads: an unrelated module decides whether a half-made one is seen.
# Versions: CPython 3.15.2, found as python3.15 or by PYTHON.
# Seen: 5 of 5 runs each. The order is made by events, not by delays: the body of a ends only after the reader has ended or
# is seen to sleep on the lock of a.
# Instead: do not rely on it; import a in the reading thread, which waits in either case.
set -euo pipefail
python=${PYTHON:-python3.15}
command -v "$python" >/dev/null || { echo "needs python3.15, or PYTHON"; exit 2; }
[[ $("$python" -c 'import sys; print(*sys.version_info[:2])') == "3 15" ]] || { echo "needs Python 3.15"; exit 2; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/gate.py" <<'PY'
import threading

begun, go = threading.Event(), threading.Event()
PY
cat >"$tmp/a.py" <<'PY'
import gate

gate.begun.set()
gate.go.wait()
A = 1
PY
cat >"$tmp/unrelated.py" <<'PY'
lazy from a import A
PY
cat >"$tmp/read.py" <<'PY'
import _frozen_importlib
import sys
import threading

import gate

if sys.argv[1] == "with":
    import unrelated

seen = []


def read():
    try:
        seen.append(sys.modules["a"].A)
    except AttributeError:
        seen.append("AttributeError")


importer = threading.Thread(target=__import__, args=("a",))
importer.start()
gate.begun.wait()
reader = threading.Thread(target=read)
reader.start()
while reader.is_alive() and not _frozen_importlib._blocking_on.get(reader.ident):
    pass
waits = reader.is_alive()
gate.go.set()
reader.join()
importer.join()
print("waits" if waits else "ends", *seen)
PY
"$python" --version
for run in 1 2 3 4 5; do
  without=$("$python" -B "$tmp/read.py" without)
  with=$("$python" -B "$tmp/read.py" with)
  echo "  run $run: the reader, without the statement: $without; with it: $with"
  [[ $without == "ends AttributeError" && $with == "waits 1" ]]
done
echo "as stated"
