"""What is killed: each stage writes below a folder as its verb does, with stand-ins for what takes minutes.

``python stages.py STAGE FOLDER`` runs one stage in a process of its own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path[:0] = [*(str(TESTS / each) for each in ("cpython_build", "comparison", "gil")), str(TESTS.parent)]

import fake_build  # noqa: E402 -- found by the line above
import gil_samples  # noqa: E402
from merged import part  # noqa: E402

from python_tsan.artifact import artifact, existing  # noqa: E402
from python_tsan.cli.main import main  # noqa: E402
from python_tsan.console import make_console  # noqa: E402
from python_tsan.cpython.build.interpreter import libc_identity  # noqa: E402
from python_tsan.cpython.manifest import MANIFEST_NAME, read_manifest, write_manifest  # noqa: E402
from python_tsan.cpython.numpy import wheel  # noqa: E402
from python_tsan.cpython.planning import make_plan  # noqa: E402
from python_tsan.cpython.prebuilt import restore as restore_module  # noqa: E402
from python_tsan.cpython.prebuilt.export import export_interpreter  # noqa: E402
from python_tsan.cpython.prebuilt.restore import restore_interpreter  # noqa: E402
from python_tsan.errors import UsageError  # noqa: E402
from python_tsan.gil.codec import decode as decode_trace  # noqa: E402
from python_tsan.gil.codec import encode as encode_trace  # noqa: E402
from python_tsan.paths import Layout  # noqa: E402
from python_tsan.render.registry import JSON, RENDERINGS, TERMINAL  # noqa: E402
from python_tsan.result.baseline import write_baseline  # noqa: E402
from python_tsan.result.build import Facts, build_result  # noqa: E402
from python_tsan.result.codec import encode_result, load_result  # noqa: E402
from python_tsan.result.model import RUN_FILE  # noqa: E402
from python_tsan.running import expected  # noqa: E402
from python_tsan.running.preflight import Prepared  # noqa: E402
from python_tsan.running.request import Request  # noqa: E402
from python_tsan.running.rules import Rules  # noqa: E402
from python_tsan.running.session import Session  # noqa: E402
from python_tsan.storage import write_named  # noqa: E402
from python_tsan.tsan.digest import Digest  # noqa: E402

FILES = 60
FINDINGS = 200
# Renderings whose last letters are the same for every whole one
CLOSED = ("html", "junit", "sarif")
PINNED = replace(
    fake_build.RECORD,
    sha256="93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640",
    origin="/sources/Python-3.13.5.tar.xz",
)
REPORT = (TESTS / "tsan" / "golden" / "clang-19" / "race_global.log").read_text()
PROGRAM = f"""#!{sys.executable} -IS
import os, pathlib, re, sys
log = pathlib.Path(re.search("log_path='(.*?)'", os.environ["TSAN_OPTIONS"])[1] + "." + str(os.getpid()))
log.write_text({REPORT!r})
sys.exit(66)
"""


def contents(folder: Path, *without: str) -> dict[str, str]:
    """Return what is in a folder, each file by its hash."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if (path.is_file() or path.is_symlink()) and path.name not in without
    }


def here():
    """Return a toolchain for the processor of this machine."""
    candidate = replace(fake_build.make_toolchain().candidate, target=f"{platform.machine()}-pc-linux-gnu")
    return fake_build.make_toolchain(candidate=candidate)


def interpreters(cache: Path) -> list[dict[str, str]]:
    """Return the content of each interpreter that a build would take for complete."""
    folders = (cache / "interpreters").glob("*") if (cache / "interpreters").is_dir() else ()
    return [contents(folder, MANIFEST_NAME) for folder in folders if read_manifest(folder)]


def build(root: Path) -> None:
    """Build CPython."""
    os.environ.setdefault("TRACE", os.devnull)
    fake_build.install(root)
    fake_build.run(root)


def built(root: Path) -> list[dict[str, str]]:
    """Return the interpreters that are taken for complete."""
    return interpreters(root / "cache")


def harness(root: Path) -> None:
    """Make an artifact of many files, as the harness and the companion are made."""

    def fill(work: Path) -> Path:
        for number in range(FILES):
            (work / f"{number}.o").write_bytes(bytes([number]) * 100_000)
        (work / "harness").write_bytes(b"program")
        return work

    artifact(
        root / "cache" / "harness" / "key",
        fill,
        key="harness-key",
        ready=lambda folder: existing(folder / "harness"),
        layout=Layout(root=root / "cache"),
        console=make_console(quiet=True),
    )


def harnesses(root: Path) -> list[dict[str, str]]:
    """Return the harnesses that are taken for complete."""
    return [contents(path.parent) for path in (root / "cache").glob("harness/*/harness")]


def numpy(root: Path) -> None:
    """Install a numpy, and in its place another one, again and again."""
    folder = root / "site-packages"
    folder.mkdir(exist_ok=True)

    def unpack(command, **_named):
        out = Path(command[command.index("--target") + 1])
        version = Path(command[command.index("--requirement") + 1]).read_text() if "--requirement" in command else ""
        version = version or (out.parent / "requirements.txt").read_text()
        for number in range(FILES):
            (out / f"part{number}").mkdir(parents=True)
            (out / f"part{number}" / "file").write_text(version)
        return SimpleNamespace(ok=True)

    wheel.process.run = unpack
    interpreter = SimpleNamespace(free_threaded=False, version="3.13.5")
    for version in ("1", "2", "1", "2"):
        choice = wheel.NumpyChoice(version=version, requirements=f"numpy=={version}\n", hashed=False)
        wheel.place_wheel(interpreter, choice, folder, root / "log")
        wheel.write_whole(folder / wheel.RECORD_NAME, json.dumps({"version": version}).encode())


def numpys(root: Path) -> list[dict[str, str]]:
    """Return the numpy for which there is a record, without its version, or more than one if files are mixed."""
    folder = root / "site-packages"
    if not (folder / wheel.RECORD_NAME).exists():
        return []
    version = json.loads((folder / wheel.RECORD_NAME).read_text())["version"]
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.glob("part*/file")}
    return [{name: "whole" if text == f"numpy=={version}\n" else text for name, text in files.items()}]


def interpreter_of(root: Path):
    """Return an interpreter as a build leaves it, its plan and its layout."""
    layout = Layout(root=root / "there" / "cache")
    plan = make_plan(fake_build.settings_for(root), PINNED, here(), libc=libc_identity())
    prefix = layout.interpreters / plan.key
    if not read_manifest(prefix):
        for folder in ("bin", "lib/python3.13"):
            (prefix / folder).mkdir(parents=True, exist_ok=True)
        (prefix / "bin" / "python3.13").write_bytes(b"#!/bin/sh\n")
        (prefix / "bin" / "python3.13").chmod(0o755)
        (prefix / "lib" / "libpython3.13d.so.1.0").write_bytes(b"\x7fELF")
        for number in range(FILES):
            (prefix / "lib" / "python3.13" / f"{number}.py").write_bytes(
                hashlib.sha256(bytes([number])).digest() * 2000
            )
        made = fake_build.describe(plan, PINNED, here(), staged=prefix, final=prefix)
        write_manifest(replace(made, built_at="2026-01-01", seconds=3.0), prefix)
    found = read_manifest(prefix)
    assert found
    return found, plan, layout


def export(root: Path) -> None:
    """Write the archive of an interpreter."""
    restore_module.choose_toolchain = lambda *_arguments, **_named: here()
    restore_module.describe_built = fake_build.describe
    found, plan, layout = interpreter_of(root)
    target = root / "archive.tar.zst"
    console = make_console(quiet=True)
    export_interpreter(found, plan, target, numpy="", toolchain=here(), layout=layout, console=console)


def archives(root: Path) -> list[dict[str, str]]:
    """Return the archives that have their final name."""
    return [{path.name: hashlib.sha256(path.read_bytes()).hexdigest()} for path in root.glob("archive.tar.zst")]


def restore(root: Path) -> None:
    """Restore an interpreter from its archive."""
    if not (root / "archive.tar.zst").exists():
        export(root)
    restore_module.choose_toolchain = lambda *_arguments, **_named: here()
    restore_module.describe_built = fake_build.describe
    settings = fake_build.settings_for(root, cache=str(root / "elsewhere"))
    archive = str(root / "archive.tar.zst")
    restore_interpreter(archive, settings, layout=Layout(root=settings.cache), console=make_console(quiet=True))


def restored(root: Path) -> list[dict[str, str]]:
    """Return the restored interpreters that are taken for complete."""
    return interpreters(root / "elsewhere")


def result(root: Path) -> None:
    """Run a program three times, and write its result in every format."""
    program = root / "racer"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    formats = tuple(name for name in RENDERINGS if name != TERMINAL)
    Session(
        request=Request(command=(str(program),), cwd=str(root), timeout=60.0, repeat=3, formats=formats),
        rules=Rules(expectation=expected.CLEAN, today=dt.date(2026, 6, 1)),
        prepared=Prepared(command=(str(program),), program=None),
        toolchain=None,
        companion=None,
        output=root / "runs",
        env={"PATH": os.defpath},
        console=make_console(quiet=True),
    ).run()


def results(root: Path) -> list[dict[str, str]]:
    """Return what each result shows that can be read, and the end of each rendering of it that is there."""
    found = []
    for folder in root.glob("runs/*"):
        for name, rendering in RENDERINGS.items():
            file = folder / rendering.file_name
            if name == JSON and file.exists():
                loaded = load_result(file)
                found.append({"findings": str(len(loaded.findings)), "runs": str(len(loaded.verdicts[0].observations))})
            elif name in CLOSED and file.exists():
                found.append({name: file.read_text().rstrip().rpartition("\n")[2][-8:]})
        if folder.is_symlink() and not (folder / RENDERINGS[JSON].file_name).exists():
            found.append({"latest": "nothing"})
    return found


def many(count: int) -> Any:
    """Return the result of a log with so many distinct findings."""
    text = "".join(REPORT.replace("careless", f"careless{number}") for number in range(count))
    digest = Digest()
    digest.add(text.splitlines(), "log")
    return build_result(digest, Facts())


def report(root: Path) -> None:
    """Write the page and the document of a log, each over an earlier one."""
    os.chdir(root)  # the pages name the log
    log = Path("input.log")
    log.write_text("".join(REPORT.replace("careless", f"careless{number}") for number in range(FINDINGS)))
    for name in ("html", "json", "html"):
        main(["report", str(log), "--format", name, "--output", f"page.{name}"])


def pages(root: Path) -> list[dict[str, str]]:
    """Return the renderings that have their final name."""
    return [{path.name: hashlib.sha256(path.read_bytes()).hexdigest()} for path in root.glob("page.*")]


def merge(root: Path) -> None:
    """Merge the parts of a run, twice."""
    for name in ("a", "b"):
        (root / name).mkdir(exist_ok=True)
        shown = [("race_global",), ("race_heap",)] * 100
        found = part(name, *shown, shard=(1 + (name == "b"), 2), repeat=400)
        (root / name / RUN_FILE).write_bytes(encode_result(found))
    for _ in range(2):
        words = ["merge", str(root / "a"), str(root / "b"), "--format", "html,sarif", "--quiet"]
        main([*words, "--output", str(root / "runs")])


def merged(root: Path) -> list[dict[str, str]]:
    """Return what each merge shows that can be read, and the end of each rendering of it that is there."""
    return results(root)


def baseline(root: Path) -> None:
    """Write a baseline over an earlier one, again and again."""
    found, today = many(FINDINGS).findings, dt.date(2026, 6, 1)
    for _ in range(5):
        write_named(root / "baseline.toml", write_baseline(found, None, today=today).encode())


def baselines(root: Path) -> list[dict[str, str]]:
    """Return the baselines that have their final name."""
    return [{path.name: hashlib.sha256(path.read_bytes()).hexdigest()} for path in root.glob("baseline.toml")]


def scan(root: Path) -> None:
    """Scan the imports of a package and write the document, over an earlier one."""
    words = ["imports", "scan", "colorsys", "wave", "--no-calls", "--format", "json", "--quiet"]
    for _ in range(2):
        main([*words, "--cache", str(root / "cache"), "--output", str(root / "scan.json")])


def scans(root: Path) -> list[dict[str, str]]:
    """Return what each document shows."""
    read = [json.loads(path.read_text()) for path in root.glob("scan.json")]
    return [{"entries": str(each["entries"]), "hazards": str(each["hazards"])} for each in read]


def trace(root: Path) -> None:
    """Write a trace of the GIL, its timeline, and the trace again."""
    events = gil_samples.EVENTS * 2_000
    written = encode_trace(gil_samples.trace(processes=(gil_samples.process(events=events),)))
    target = root / "gil.trace"
    target.write_bytes(b"".join(written))
    for name in ("html", "json"):
        main(["gil", "timeline", str(target), "--format", name, "--output", str(root / f"gil.{name}")])
    written = encode_trace(gil_samples.trace(processes=(gil_samples.process(events=events),)))
    with target.open("wb") as file:
        file.writelines(written)


def traces(root: Path) -> list[dict[str, str]]:
    """Return the timelines, and the traces that do not say that they were cut short."""
    found = [{path.name: hashlib.sha256(path.read_bytes()).hexdigest()} for path in root.glob("gil.[hj]*")]
    for path in root.glob("gil.trace"):
        with contextlib.suppress(UsageError):  # it was cut before its header
            read = decode_trace(path.read_bytes(), source=path)
            found += [] if read.truncated else [{"events": str(len(read.processes[0].events))}]
    return found


STAGES = {
    "report": (report, pages),
    "merge": (merge, merged),
    "baseline": (baseline, baselines),
    "scan": (scan, scans),
    "trace": (trace, traces),
    "build": (build, built),
    "harness": (harness, harnesses),
    "numpy": (numpy, numpys),
    "export": (export, archives),
    "restore": (restore, restored),
    "result": (result, results),
}

if __name__ == "__main__":
    place = Path(sys.argv[2])
    (place / "started").write_text(str(time.time()))
    STAGES[sys.argv[1]][0](place)
