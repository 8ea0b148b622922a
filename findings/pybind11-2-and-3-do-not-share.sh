#!/usr/bin/env bash
# Surprising: an object of a class that a module built with pybind11 2.13.6 has registered is refused by a module built
# with pybind11 3.0.1, by the same compiler on the same machine: TypeError "incompatible function arguments", which names
# the right type twice. A class derived from the other module's class fails at definition: "unknown base type".
# Both versions have the method _pybind11_conduit_v1_, made for this very case; it does not help. Their headers spell the
# compiler's ABI differently (..._cxxabi1017 against system_libstdcpp_gxx_abi_1xxx_...).
# For whom: packages that take each other's C++ objects, when one of them moves to pybind11 3.
# Versions: pybind11 2.13.6 and 3.0.1, GCC 12.2.0 of Debian 12, with python3 or PYTHON; run with CPython 3.12.1.
# Seen: 2.13.6 with 2.13.6 works, 2.13.6 with 3.0.1 fails in both directions, and 3.0.1 with 3.0.1 works; 3 of 3 runs each.
# Instead: build all modules that share types with one major version, and pin it.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[[ $(g++ -dumpfullversion) == 12.2.0 ]] || { echo "needs g++ 12.2.0"; exit 2; }
"${PYTHON:-python3}" -m venv "$tmp/venv"
python=$tmp/venv/bin/python
"$python" --version
for version in 2.13.6 3.0.1; do
  "$python" -m pip install --quiet --disable-pip-version-check --target "$tmp/$version" "pybind11==$version"
done
cat >"$tmp/base.h" <<'CPP'
struct __attribute__((visibility("default"))) Base {
  virtual ~Base() = default;
  int value() const { return 7; }
};
struct __attribute__((visibility("default"))) Derived : Base {};
CPP
cat >"$tmp/owner.cpp" <<'CPP'
#include "base.h"
#include <pybind11/pybind11.h>
PYBIND11_MODULE(owner, m) { pybind11::class_<Base>(m, "Base").def(pybind11::init<>()); }
CPP
cat >"$tmp/user.cpp" <<'CPP'
#include "base.h"
#include <pybind11/pybind11.h>
PYBIND11_MODULE(user, m) {
  m.def("take", [](const Base &base) { return base.value(); });
  m.def("derive", [m]() mutable { pybind11::class_<Derived, Base>(m, "Derived"); });
}
CPP
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
for version in 2.13.6 3.0.1; do
  for module in owner user; do
    mkdir -p "$tmp/$module-$version"
    g++ -O0 -shared -fPIC -std=c++17 -fvisibility=hidden "-I$tmp/$version/pybind11/include" "-I$include" \
      -o "$tmp/$module-$version/$module.so" "$tmp/$module.cpp"
  done
done
cat >"$tmp/share.py" <<'PY'
import owner
import user

assert hasattr(owner.Base(), "_pybind11_conduit_v1_")
for attempt in (lambda: user.take(owner.Base()), user.derive):
    try:
        print(attempt())
    except Exception as error:
        print(type(error).__name__, " ".join(str(error).split())[:70])
PY
for owner in 2.13.6 3.0.1; do
  for user in 2.13.6 3.0.1; do
    for run in 1 2 3; do
      seen=$(PYTHONPATH="$tmp/owner-$owner:$tmp/user-$user" "$python" "$tmp/share.py" | tr '\n' '|')
      if [[ $run == 1 ]]; then echo "  owner built with $owner, user with $user: $seen"; fi
      if [[ $owner == "$user" ]]; then
        [[ $seen == "7|None|" ]]
      else
        [[ $seen == "TypeError take(): incompatible function arguments."*"|RuntimeError generic_type: type \"Derived\" referenced unknown base type"* ]]
      fi
    done
  done
done
echo "as stated"
