"""Own ``imports scan``, ``confirm`` and ``show``: their options and exit codes; leave the work to the imports room."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import ExitCode, Interrupted, SubjectError, UsageError
from python_tsan.imports.codec import decode_document
from python_tsan.imports.document import document_of
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import TRACE_SECONDS, Probe
from python_tsan.imports.model.public_modules import PUBLIC_MODULES, public_modules
from python_tsan.imports.model.tracing import NOT_TRACED
from python_tsan.imports.scan import STEPS, ScanCut, scan
from python_tsan.imports.told import Format, tell
from python_tsan.imports.wording import summary
from python_tsan.process import keeping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.cli.options import Context
    from python_tsan.imports.document import Document
    from python_tsan.imports.scan import Advance

CONFIRM_RUNS = 3


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the three verbs."""
    scanning = verbs.add_parser(
        "scan", help="predict which imports can break each other when threads make them at once"
    )
    scanning.add_argument("entries", nargs="*", metavar="ENTRY", help="a module that a thread may import")
    scanning.add_argument(
        "--package", nargs="+", action="extend", default=[], metavar="DIST", help="the modules of a distribution"
    )
    scanning.add_argument(
        "--limit", type=int, default=PUBLIC_MODULES, help="modules of each distribution, shallowest first (%(default)s)"
    )
    scanning.add_argument(
        "--calls",
        action=argparse.BooleanOptionalAction,
        help="take what functions import when called for entries too (with --package: no)",
    )
    scanning.add_argument("--confirm", action="store_true", help="drive two threads into each predicted hazard")
    confirming = verbs.add_parser("confirm", help="drive two threads that import A and B into what is predicted")
    confirming.add_argument("entries", nargs=2, metavar="ENTRY", help="the two modules, A and B")
    for each in (scanning, confirming):
        add_probe(each)
        each.add_argument("--gil", action="store_true", help="and show which release of the GIL opens each hazard")
        _add_form(each)
        each.set_defaults(act=_scan)
    showing = verbs.add_parser("show", help="show again what a scan has written as JSON, in any form")
    showing.add_argument("file", type=Path, metavar="FILE", help="what `scan --format json` has written")
    _add_form(showing)
    showing.set_defaults(act=_show)


def add_probe(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which interpreter is asked, and how patiently."""
    add = parser.add_argument
    which = "any CPython from 3.9 (%(default)s)"
    add("--python", "--with", dest="interpreter", metavar="PYTHON", default="python3", help=which)
    add("--path", action="append", type=Path, default=[], help="a folder to find modules in")
    add("--runs", type=int, default=CONFIRM_RUNS, help="directed runs a hazard (%(default)s)")
    add("--patience", type=float, default=TRACE_SECONDS, help="seconds that an import may take (%(default)s)")


def probe_of(arguments: argparse.Namespace, context: Context) -> Probe:
    """Return the probe that the options ask for. Raises UsageError for numbers that make no sense."""
    if arguments.runs <= 0:
        raise UsageError("--runs wants a whole number above 0")
    if not 0 < arguments.patience < float("inf"):
        raise UsageError("--patience wants a number of seconds above 0")
    if missing := next((folder for folder in arguments.path if not folder.is_dir()), None):
        raise UsageError(f"--path {missing}: there is no such folder")
    path = tuple(folder.absolute() for folder in arguments.path)
    python = identify([arguments.interpreter])
    bytecode = context.layout.root / "bytecode" / "imports"
    return Probe(python=python, path=path, patience=arguments.patience, bytecode=bytecode.absolute())


def _add_form(parser: argparse.ArgumentParser) -> None:
    forms = [form.value for form in Format]
    parser.add_argument(
        "--format", choices=forms, default=Format.TERMINAL.value, help="how it is written (%(default)s)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write it here; one line is printed instead")


def _scan(arguments: argparse.Namespace, context: Context) -> ExitCode:
    confirmed = arguments.imports_verb == "confirm" or arguments.confirm
    probe = probe_of(arguments, context)
    entries, problems = _entries(probe, arguments, context)
    runs = arguments.runs if confirmed else 0
    try:
        with shown(STEPS, context) as advance:
            calls = _wants_calls(arguments)
            found = scan(
                probe, entries, runs=runs, jobs=context.settings.jobs, calls=calls, partial=True, advance=advance
            )
    except ScanCut as interrupt:
        document = document_of(replace(interrupt.scan, problems={**problems, **interrupt.scan.problems}))
        with keeping(partial(_tell_unfinished, document, arguments, context)):
            raise
    if found.calls_left_out:
        context.console.note(f"{len(found.calls)} calls are entries too and {found.calls_left_out} more are left out")
    document = document_of(replace(found, problems={**problems, **found.problems}))
    if arguments.gil and document.hazards:
        untraced = replace(document, unfinished="the releases of the GIL were traced")
        with keeping(partial(_tell_unfinished, untraced, arguments, context)):
            document = _traced(document, probe, context)
    return _tell(document, arguments, context)


@contextlib.contextmanager
def shown(steps: Sequence[str], context: Context) -> Iterator[Advance]:
    """Show which of the steps of a scan is under way; a plain log has lines for those alone that take long."""
    under_way = ""
    with context.console.steps(steps, mostly_short=True) as progress:

        def advance(step: str, fraction: float | None) -> None:
            nonlocal under_way
            if step != under_way:
                progress.start(step)
                under_way = step
            progress.advance(fraction)

        yield advance
        progress.done()


def _traced(document: Document, probe: Probe, context: Context) -> Document:
    from python_tsan.gil.library import build_tracer  # noqa: PLC0415 -- most scans trace nothing
    from python_tsan.imports.gil_windows import with_windows  # noqa: PLC0415

    library = build_tracer(layout=context.layout, console=context.console)
    return with_windows(document, probe.python, probe.path, library)


def _wants_calls(arguments: argparse.Namespace) -> bool:
    """Tell whether calls are entries too: a pair that is named is that pair, and a package has very many functions."""
    if arguments.imports_verb == "confirm":
        return False
    return bool(arguments.calls if arguments.calls is not None else not arguments.package)


def _entries(probe: Probe, arguments: argparse.Namespace, context: Context) -> tuple[list[str], dict[str, str]]:
    """Return the entries that are named and those of the named distributions, and which of these cannot be asked."""
    named, packages = list(arguments.entries), list(getattr(arguments, "package", []))
    if not named and not packages:
        raise UsageError("scan wants an entry or --package", advice="python-tsan imports scan --package numpy")
    if getattr(arguments, "limit", PUBLIC_MODULES) <= 0:
        raise UsageError("--limit wants a whole number above 0")
    if not packages:
        return named, {}
    offered = public_modules(probe, packages, limit=arguments.limit)
    for offer in offered:
        if offer.left_out:
            context.console.note(
                f"{offer.distribution}: {len(offer.modules)} modules are scanned and {offer.left_out} deeper ones are "
                "left out; --limit sets how many"
            )
    entries = dict.fromkeys([*named, *(module for offer in offered for module in offer.modules)])
    return list(entries), {offer.distribution: offer.problem for offer in offered if offer.problem}


def _show(arguments: argparse.Namespace, context: Context) -> ExitCode:
    try:
        data = arguments.file.read_bytes()
    except OSError as error:
        raise SubjectError(f"cannot read {arguments.file}: {error.strerror}") from error
    return _tell(decode_document(data, name=str(arguments.file)), arguments, context)


def _tell_unfinished(document: Document, arguments: argparse.Namespace, context: Context) -> Interrupted:
    """Tell what a scan came to before it was interrupted; a file of a whole one is not replaced."""
    from python_tsan.storage import unfinished_file  # noqa: PLC0415 -- most scans come to their end

    target = unfinished_file(arguments.write.absolute()) if arguments.write else None
    _tell(document, argparse.Namespace(format=arguments.format, write=target), context)
    return Interrupted(document.unfinished, evidence=target, advice="the same command, perhaps with fewer entries")


def _tell(document: Document, arguments: argparse.Namespace, context: Context) -> ExitCode:
    form = Format(arguments.format)
    if form is Format.TERMINAL or arguments.write:
        for entry, problem in document.problems.items():
            if problem != NOT_TRACED:  # how many these are is said in one line
                context.console.warn(f"{entry}: {problem}")
    if arguments.write:
        write_file(arguments.write, f"{tell(document, form)}\n", context)
        context.console.say(summary(document))
    else:
        context.console.say(tell(document, form))
    if document.standing:
        return ExitCode.FINDINGS
    return ExitCode.SUBJECT if document.problems or document.unfinished else ExitCode.CLEAN


def write_file(path: Path, text: str, context: Context) -> None:
    """Write a file whole or not at all. Raises UsageError where it cannot be written."""
    from python_tsan.storage import storage_errors, write_whole  # noqa: PLC0415 -- most results go to the terminal

    with storage_errors(path, option="--write"):
        write_whole(path.absolute(), text.encode())
    context.console.note(f"written to {path}")
