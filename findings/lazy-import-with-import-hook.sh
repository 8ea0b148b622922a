#!/usr/bin/env bash
# Surprising: after `lazy import p.m` (PEP 810), the first use of the name p imports p alone. If builtins.__import__ has
# been replaced, even by a function that only calls the original, the hook is asked for p.m, and the same use imports both.
# For whom: tracers, sandboxes and import profilers that replace __import__: they change which modules a program loads.
# Versions: CPython 3.15.2, found as python3.15 or by PYTHON.
# Seen: 5 of 5 runs each: without a hook only p, with one p and p.m.
# Instead: in the hook, import name.partition(".")[0] when the caller's instruction is not IMPORT_NAME and fromlist is None.
set -euo pipefail
python=${PYTHON:-python3.15}
command -v "$python" >/dev/null || { echo "needs python3.15, or PYTHON"; exit 2; }
[[ $("$python" -c 'import sys; print(*sys.version_info[:2])') == "3 15" ]] || { echo "needs Python 3.15"; exit 2; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/p"
touch "$tmp/p/__init__.py" "$tmp/p/m.py"
cat >"$tmp/use.py" <<'PY'
import builtins
import sys

original = builtins.__import__
if sys.argv[1] == "hook":
    builtins.__import__ = lambda *given: original(*given)
lazy import p.m

p
print(*sorted(name for name in sys.modules if name.partition(".")[0] == "p"))
PY
"$python" --version
for run in 1 2 3 4 5; do
  plain=$("$python" -B "$tmp/use.py" plain)
  hooked=$("$python" -B "$tmp/use.py" hook)
  echo "  run $run: loaded without a hook: $plain; with one: $hooked"
  [[ $plain == "p" && $hooked == "p p.m" ]]
done
echo "as stated"
