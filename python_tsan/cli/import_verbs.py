"""Run the verbs of ``imports``: their output and exit codes; the room ``imports`` does the work."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from python_tsan.errors import ExitCode, Interrupted, SubjectError, UsageError
from python_tsan.imports.cases.import_cases.lazy_names import MODES, NORMAL
from python_tsan.imports.document import FORMAT, document_of
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import LAZY_VARIABLE, PUBLIC_MODULES, Probe
from python_tsan.imports.model.rules import LAZY_SINCE
from python_tsan.imports.model.tracing import NOT_TRACED
from python_tsan.imports.preimport import STEPS as PREIMPORT_STEPS
from python_tsan.imports.preimport import Language, plan, write
from python_tsan.imports.renderings import RENDERINGS
from python_tsan.imports.scan import CALL_SECONDS, STEPS, ScanCut, scan
from python_tsan.imports.watch import watch
from python_tsan.imports.wording import summary
from python_tsan.plain_text import counted
from python_tsan.process import keeping
from python_tsan.render.registry import TERMINAL
from python_tsan.storage import read_regular, storage_errors, unfinished_file, unreadable, write_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from python_tsan.cli.options import VerbContext
    from python_tsan.imports.document import Document
    from python_tsan.imports.model.interpreter import Python
    from python_tsan.imports.scan import Advance, Scan

SOME_OF = "some modules of "  # a distribution, of which a part could not be read
_MOST_LIST = 1 << 24  # bytes of a list of imports


def _probe_of(arguments: argparse.Namespace, context: VerbContext) -> Probe:
    if missing := next((folder for folder in arguments.path if not folder.is_dir()), None):
        raise UsageError(f"--path {missing}: no such folder")
    python = identify([program_of(arguments.interpreter)])
    return Probe(
        python=python,
        lazy=_lazy_mode(arguments.lazy, python),
        path=tuple(folder.absolute() for folder in arguments.path),
        patience=arguments.timeout,
        bytecode=(context.layout.root / "bytecode" / "imports").absolute(),
    )


def _lazy_mode(named: str | None, python: Python) -> str:
    """Return the mode that was named, or that of the environment, as ``python`` would take it."""
    if python.version < LAZY_SINCE:
        if named not in (None, NORMAL):
            raise UsageError(f"--lazy {named}: Python {python.text} has no lazy imports", advice="they are new in 3.15")
        return NORMAL
    mode = named or os.environ.get(LAZY_VARIABLE) or NORMAL
    if mode not in MODES:
        raise UsageError(f"{LAZY_VARIABLE}={mode}: no such mode", advice=f"the modes are {' and '.join(MODES)}")
    return mode


def program_of(interpreter: str) -> str:
    """Return the program that a value of ``--python`` names: ``python3.13`` for ``3.13``."""
    return f"python{interpreter}" if re.fullmatch(r"3\.\d+t?", interpreter) else interpreter


def _scan(arguments: argparse.Namespace, context: VerbContext) -> ExitCode:
    probe = _probe_of(arguments, context)
    entries, problems = _entries(probe, arguments, context)
    calls = _with_calls(arguments)
    runs = arguments.repeat if arguments.confirm else 0
    try:
        with _shown(STEPS, context) as advance:
            found = scan(
                probe, entries, runs=runs, jobs=context.settings.jobs, calls=calls, partial=True, advance=advance
            )
    except ScanCut as interrupt:
        document = _document(interrupt.scan, problems)
        with keeping(partial(_render_unfinished, document, arguments, context)):
            raise
    if found.pairs_left_out:
        pairs = counted(found.pairs_left_out, "pair")
        context.console.warn(
            f"{pairs} with a call not searched within {CALL_SECONDS:g} s; name fewer entries, or --no-calls"
        )
    if found.calls_left_out:
        context.console.note(f"{len(found.calls)} calls scanned, {found.calls_left_out} not scanned")
    document = _document(found, problems)
    if arguments.trace_gil and document.hazards:
        untraced = replace(document, unfinished="the releases of the GIL were traced")
        with keeping(partial(_render_unfinished, untraced, arguments, context)):
            document = _traced(document, probe, context)
    return _render(document, arguments, context)


def _document(found: Scan, problems: Mapping[str, str]) -> Document:
    """Return the document of a scan, with the ``problems`` of distributions."""
    partly = (name for name in problems if name.startswith(SOME_OF))
    return document_of(replace(found, problems={**problems, **found.problems}, unread=(*found.unread, *partly)))


def _with_calls(arguments: argparse.Namespace) -> bool:
    """Return whether calls are entries too; a package has very many functions."""
    return bool(arguments.calls if arguments.calls is not None else not arguments.package)


def _entries(probe: Probe, arguments: argparse.Namespace, context: VerbContext) -> tuple[list[str], dict[str, str]]:
    """Return the named entries and those of the named distributions, and the distributions that have a problem."""
    if not arguments.entries and not arguments.package:
        raise UsageError(
            "name an entry or --package",
            advice=f"for example: python-tsan imports {arguments.imports_verb} --package numpy",
        )
    offered = probe.public_modules(arguments.package, limit=arguments.limit) if arguments.package else ()
    for offer in offered:
        if offer.left_out:
            context.console.note(
                f"{offer.distribution}: {counted(len(offer.modules), 'module')} scanned, {offer.left_out} deeper ones "
                "not scanned (--limit)"
            )
    entries = dict.fromkeys([*arguments.entries, *(module for offer in offered for module in offer.modules)])
    problems = {f"{SOME_OF if offer.modules else ''}{offer.distribution}": offer.problem for offer in offered}
    return list(entries), {name: problem for name, problem in problems.items() if problem}


@contextlib.contextmanager
def _shown(steps: Sequence[str], context: VerbContext) -> Iterator[Advance]:
    """Show the current step; a plain log has lines only for steps that take long."""
    current = ""
    with context.console.steps(steps, mostly_short=True) as progress:

        def advance(step: str, fraction: float | None) -> None:
            nonlocal current
            if step != current:
                progress.start(step)
                current = step
            progress.advance(fraction)

        yield advance
        progress.done()


def _traced(document: Document, probe: Probe, context: VerbContext) -> Document:
    from python_tsan.imports.gil_windows import with_windows  # noqa: PLC0415
    from python_tsan.preload_library import GIL_TRACER, build_library  # noqa: PLC0415 -- most scans trace nothing

    library = build_library(GIL_TRACER, layout=context.layout, console=context.console)
    return with_windows(document, probe, library)


def _show(arguments: argparse.Namespace, context: VerbContext) -> ExitCode:
    return _render(FORMAT.load(arguments.file), arguments, context)


def _render_unfinished(document: Document, arguments: argparse.Namespace, context: VerbContext) -> Interrupted:
    """Show the result of an interrupted scan; it does not replace the file of a complete one."""
    target = unfinished_file(arguments.output.absolute()) if arguments.output else None
    _render(document, argparse.Namespace(format=arguments.format, output=target), context)
    return Interrupted(document.unfinished, evidence=target, advice="the same command, perhaps with fewer entries")


def _render(document: Document, arguments: argparse.Namespace, context: VerbContext) -> ExitCode:
    text = RENDERINGS[arguments.format].render(document).decode()
    if arguments.format == TERMINAL or arguments.output:
        for entry, problem in document.problems.items():
            if problem != NOT_TRACED:  # one line has their number
                searched = "interpreter" in arguments and problem.startswith("ModuleNotFoundError")
                advice = "; --python and --path choose where modules are searched" if searched else ""
                context.console.warn(f"{entry}: {problem}{advice}")
    if arguments.output:
        write_file(arguments.output, text, context)
        context.console.say(summary(document))
    else:
        context.console.data(text.rstrip("\n"))
    if document.standing:
        return ExitCode.FINDINGS
    unsure = document.problems or document.unfinished or document.doubts
    return ExitCode.SUBJECT if unsure else ExitCode.CLEAN


def write_file(path: Path, text: str, context: VerbContext) -> None:
    """Write a file whole or not at all. Raises UsageError if it cannot be written."""
    with storage_errors(path):
        write_named(path.absolute(), text.encode())
    context.console.note(f"written to {path}")


def _request(arguments: argparse.Namespace) -> str:
    """Return the words of the command line that choose the entries."""
    words = [*arguments.entries, *(["--package", *arguments.package] if arguments.package else [])]
    words += ["--limit", f"{arguments.limit}"] if arguments.limit != PUBLIC_MODULES else []
    words += ["--lazy", arguments.lazy] if arguments.lazy else []
    return " ".join([*words, *({True: ["--calls"], False: ["--no-calls"], None: []}[arguments.calls])])


def _preimport(arguments: argparse.Namespace, context: VerbContext) -> ExitCode:
    # A file that cannot be read is reported before the work.
    existing = _text_of(arguments.check) if arguments.check else ""
    probe = _probe_of(arguments, context)
    entries, problems = _entries(probe, arguments, context)
    for distribution, problem in problems.items():
        raise SubjectError(f"{distribution}: {problem}")
    with _shown(PREIMPORT_STEPS, context) as advance:
        found = plan(
            probe,
            entries,
            runs=arguments.repeat,
            calls=_with_calls(arguments),
            optional=frozenset(entries).difference(arguments.entries),
            advance=advance,
        )
    for entry in found.left_out:
        context.console.note(f"{entry} cannot be imported and is left out")
    text = write(found, Language(arguments.format), request=_request(arguments))
    hazards = counted(len(found.before.findings), "hazard")
    context.console.note(f"{hazards} without the list, none with it ({counted(len(found.modules), 'module')})")
    if arguments.check:
        if existing == text:
            context.console.note(f"{arguments.check} is up to date")
            return ExitCode.CLEAN
        state = "does not exist" if existing is None else "is stale"
        context.console.warn(f"{arguments.check} {state}; it should import {', '.join(found.modules) or 'nothing'}")
        return ExitCode.FINDINGS
    if arguments.output:
        write_file(arguments.output, text, context)
    else:
        context.console.data(text.rstrip("\n"))
    return ExitCode.CLEAN


def _text_of(file: Path) -> str | None:
    try:
        return read_regular(file, limit=_MOST_LIST).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(file, error) from error


def _watch(arguments: argparse.Namespace, context: VerbContext) -> ExitCode:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        advice = "for example: python-tsan imports watch -- python3 program.py"
        raise UsageError("there is no command to run", advice=advice)
    ended = watch(command, stall=arguments.timeout, env=os.environ)
    if ended.reports:
        return ExitCode.FINDINGS
    if not ended.interpreters:
        context.console.warn("no Python process was watched: the options -I, -E and -S ignore PYTHONPATH")
        return ExitCode.SUBJECT
    if ended.exit_code:
        context.console.warn(f"the command ended with exit code {ended.exit_code}, without an import deadlock")
        return ExitCode.SUBJECT
    return ExitCode.CLEAN


ACTS: Mapping[str, Callable[[argparse.Namespace, VerbContext], ExitCode]] = {
    "scan": _scan,
    "confirm": _scan,
    "show": _show,
    "preimport": _preimport,
    "watch": _watch,
}
