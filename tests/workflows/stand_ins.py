"""Programs that replace what takes hours, root or the network. Each one gets the real command line.

- `sudo`, `nox`: only noted; what `nox` is asked for is checked against the noxfile and the verbs' own parsers.
- `python3 -m venv` makes a folder whose `python` only notes what pip is asked for, and whose `python-tsan` is the real
  one, but for `build` and `install-numpy` (hours) and the sources that `matrix` would fetch. The options of those are
  read by the real parser all the same.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOG = "STAND_INS_LOG"
_PYTHON = """#!/bin/sh
exec {python} {script} {name} "$@"
"""


def make(folder, names):
    """Write programs of these names into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        path.write_text(_PYTHON.format(python=sys.executable, script=__file__, name=name))
        path.chmod(0o755)


def note(name, words):
    """Note a command line for the test to read."""
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as log:
        log.write("\t".join((name, *words)) + "\n")


def python3(words):
    """Make a virtual environment of stand-ins; everything else is the real Python's."""
    if words[:2] == ["-m", "venv"]:
        make(Path(words[2]) / "bin", ("python", "python-tsan"))
        return 0
    if words[:3] == ["-m", "pip", "install"]:
        note("pip", words[3:])
        return _check_local(words[3:])
    return os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 -- the program that this one replaces


def _check_local(words):
    """Refuse a path that is no project, as pip would."""
    for word in words:
        folder = Path(word.partition("[")[0])
        if ("/" in word or word.startswith(".")) and not (folder / "pyproject.toml").is_file():
            sys.stderr.write(f"{word} is no project\n")
            return 1
    return 0


def nox(words):
    """Check that the session is there and that its verb takes the arguments after `--`."""
    import ast  # noqa: PLC0415 -- of this one stand-in

    note("nox", words)
    options, dashes, rest = (words[: words.index("--")], True, words[words.index("--") + 1 :]) if "--" in words else (
        words, False, []
    )  # fmt: skip
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    sessions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    if options[:1] != ["-s"] or len(options) < 2 or any(name not in sessions for name in options[1:]):
        sys.stderr.write(f"nox knows no such session: {options}\n")
        return 2
    if dashes and options[1] not in {"tests", "fuzz", "golden"}:
        _parse(_verb_of(sessions[options[1]]), rest)
    if options[1] == "doctor":
        make(Path(".nox/doctor/bin"), ("python",))
    return 0


def _verb_of(session):
    import ast  # noqa: PLC0415 -- of this one stand-in

    call = next(
        node for node in ast.walk(session) if isinstance(node, ast.Call) and ast.unparse(node.func) == "product"
    )
    return call.args[1].value


def python(words):
    """Be the Python of an environment: pip is noted, and ``-m python_tsan`` is the program."""
    if words[:2] == ["-m", "python_tsan"]:
        return python_tsan(words[2:])
    return python3(words)


def python_tsan(words):
    """Be the program, except where it would take hours."""
    note("python-tsan", words)
    sys.path.insert(0, str(ROOT))
    if words[0] in {"build", "install-numpy"}:
        return _build(words[0], _parse(words[0], words[1:]))
    from python_tsan.cli.main import main  # noqa: PLC0415 -- found by the path above

    if words[0] == "matrix":
        _have_sources()
    return main(words)


def _parse(verb, words):
    from python_tsan.cli.main import build_parser  # noqa: PLC0415 -- the real options

    return build_parser(verb).parse_args([verb, *words])


def _build(verb, options):
    settings = "-".join(os.environ.get(f"PYTHON_TSAN_{name}", "") for name in ("PYTHON", "FREE_THREADED", "TOOLCHAIN"))
    if verb != "build":
        return 0
    if options.print_key:
        sys.stdout.write(f"key-{settings}\n")
    elif options.export:
        Path(options.export).write_text(f"interpreter {settings}")
    elif options.archive:
        return 0 if Path(options.archive).read_text() == f"interpreter {settings}" else 4
    elif options.print_env:
        compiler = os.environ["STAND_INS_CXX"]
        sys.stdout.write(f"export PYTHON_TSAN_CXX={compiler}\n")
    return 0


def _have_sources():
    """Make the sources and bindings available without fetching them."""
    from python_tsan.cpython.manifest import SourceRecord  # noqa: PLC0415 -- found by the path above
    from python_tsan.matrix import available  # noqa: PLC0415

    def obtain(settings, **_):
        version = settings.python if settings.python.count(".") > 1 else f"{settings.python}.5"
        return type("Tree", (), {"record": SourceRecord(version=version, origin="here", sha256="0")})

    available.obtain_source = obtain
    available.find_binding = lambda *_, **__: None


def sudo(words):
    """Note what root is asked to do."""
    note("sudo", words)
    return 0


if __name__ == "__main__":
    programs = {"python3": python3, "python": python, "python-tsan": python_tsan, "nox": nox, "sudo": sudo}
    sys.exit(programs[sys.argv[1]](sys.argv[2:]))
