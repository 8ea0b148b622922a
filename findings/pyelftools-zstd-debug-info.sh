#!/usr/bin/env bash
# Surprising: pyelftools cannot open the debug information of a program that clang compressed with zstd (-gz=zstd), a form
# that the ELF standard defines since 2022 (ELFCOMPRESS_ZSTD): "Unknown compression type: 0x2". zlib is read as before.
# Moreover has_dwarf_info() says True for such a file; only get_dwarf_info() raises.
# For whom: symbolizers and binary checks in Python; distributions that compress their debug files with zstd.
# Versions: pyelftools 0.33, clang 19.1.7 of Debian 12 (GCC 12.2 has no -gz=zstd).
# Seen: zlib read, zstd refused; 3 of 3 files each.
# Instead: build with -gz=zlib, and catch ELFCompressionError where files come from elsewhere.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
clang-19 --version | grep -q 'version 19\.1\.7' || { echo "needs clang-19 19.1.7"; exit 2; }
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/python" -m pip install --quiet --disable-pip-version-check pyelftools==0.33
clang-19 --version | head -n 1
{
  for number in {1..400}; do echo "int function_$number(int a) { return a * $number; }"; done
  echo 'int main(void) { return 0; }'
} >"$tmp/program.c" # long enough for its sections to shrink: others stay uncompressed
cat >"$tmp/read.py" <<'PY'
import sys
from importlib.metadata import version

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

with open(sys.argv[1], "rb") as stream:
    elf = ELFFile(stream)
    answer = elf.has_dwarf_info()
    try:
        units = sum(1 for _ in elf.get_dwarf_info().iter_CUs())
    except ELFError as error:
        units = f"{type(error).__name__}: {error}"
print(f"pyelftools {version('pyelftools')}, has_dwarf_info {answer}, units {units}")
PY
for form in zlib zstd; do
  for level in 0 1 2; do
    clang-19 -g "-O$level" "-gz=$form" -o "$tmp/program" "$tmp/program.c"
    seen=$("$tmp/venv/bin/python" "$tmp/read.py" "$tmp/program")
    echo "  -gz=$form -O$level: $seen"
    case $form in
      zlib) [[ $seen == *"has_dwarf_info True, units 1" ]] ;;
      zstd) [[ $seen == *"has_dwarf_info True, units ELFCompressionError: Unknown compression type: 0x2" ]] ;;
    esac
  done
done
echo "as stated"
