#!/usr/bin/env bash
# Surprising: with -X lazy_imports=all, an import in the body of `try` stays eager, and one in `finally` or under `with` is
# lazy. `contextlib.suppress(ImportError)` round an optional import then suppresses nothing: the error comes later, where the
# name is used, in another function or thread.
# For whom: programs that are run in this mode; tools that read source and treat suppress() as try and except.
# Versions: CPython 3.15.2, found as python3.15 or by PYTHON.
# Seen: 5 of 5 runs.
# Instead: try and except, or importlib.import_module, which is always eager.
set -euo pipefail
python=${PYTHON:-python3.15}
command -v "$python" >/dev/null || { echo "needs python3.15, or PYTHON"; exit 2; }
[[ $("$python" -c 'import sys; print(*sys.version_info[:2])') == "3 15" ]] || { echo "needs Python 3.15"; exit 2; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/optional.py" <<'PY'
import contextlib

suppressed = caught = None
with contextlib.suppress(ImportError):
    import no_such_module as suppressed
try:
    import no_such_module as caught
except ImportError:
    pass
try:
    pass
finally:
    import no_such_module_either as last
PY
cat >"$tmp/use.py" <<'PY'
import optional

names = vars(optional)
print(*(type(names[name]).__name__ for name in ("suppressed", "caught", "last")), end=" ")
try:
    optional.suppressed
except ModuleNotFoundError:
    print("ModuleNotFoundError at the use")
PY
"$python" --version
for run in 1 2 3 4 5; do
  seen=$(cd "$tmp" && "$python" -B -X lazy_imports=all use.py)
  echo "  run $run: under suppress, in try, in finally: $seen"
  [[ $seen == "lazy_import NoneType lazy_import ModuleNotFoundError at the use" ]]
done
echo "as stated"
