"""Start the processes in which imports are traced and driven; leave what their answers mean to the callers."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan.errors import SubjectError
from python_tsan.imports.cases.import_cases.lazy_names import NORMAL
from python_tsan.imports.model.interpreter import CASES
from python_tsan.plain_text import last_line
from python_tsan.process import group_cpu_seconds, run
from python_tsan.storage import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_tsan.imports.model.interpreter import Python
    from python_tsan.process import Completed

TRACE_SECONDS = 60.0
START_SECONDS = 30.0
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
LAZY_VARIABLE = "PYTHON_LAZY_IMPORTS"  # what directs the threads must not be lazy itself: it sets the mode later


# Pairs grow with its square; most distributions have fewer public modules down to the second level.
PUBLIC_MODULES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicModules:
    """The modules of one distribution; ``left_out`` more are beyond the limit.

    ``problem`` says why there are no modules, or what could not be read, so that some may be missing.
    """

    distribution: str
    modules: tuple[str, ...]
    left_out: int
    problem: str


class TraceEndedError(SubjectError):
    """The import of ``entry`` ended its process, or did not end in time."""

    def __init__(self, entry: str, message: str) -> None:
        super().__init__(message)
        self.entry = entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An interpreter and the folders that its modules are found in, first of all.

    ``patience`` is the processor time in seconds that the import of an entry may take by itself, from one module that
    has to be compiled to the next. ``lazy`` is the mode of lazy
    imports, ``normal`` or ``all``, which the environment does not change. Bytecode goes to the folder
    ``bytecode``, or nowhere: it would otherwise be left among the modules, owned by the user who scans them.
    """

    python: Python
    path: tuple[Path, ...] = ()
    patience: float = TRACE_SECONDS
    bytecode: Path | None = None
    lazy: str = NORMAL

    def trace(self, entries: Sequence[str], *, main: Sequence[str] = ()) -> dict[str, Any]:
        """Import ``main`` and then ``entries`` in a fresh process and return their trace.

        Raises TraceEndedError, which names the import that the process did not survive.
        """
        steps = [*main, *entries]
        options = [f"--lazy={self.lazy}", *(f"--main={name}" for name in main)]
        ended = self._run(["trace", *options, "--", *entries], self.patience)
        lines, damage = _read_lines(ended.stdout)
        if lines and "modules" in lines[-1] and not damage:
            return lines[-1]
        stuck = next((line for line in lines if "stuck" in line), None)
        finished = [line["finished"] for line in lines if "finished" in line]
        entry = next((step for step in steps if step not in finished), steps[-1])
        if stuck:
            raise TraceEndedError(
                entry,
                f"its import hangs: the body at {stuck['where']} waits for a thread that waits for {stuck['stuck']}, "
                "which the body holds",
            )
        raise TraceEndedError(entry, damage or _why(f"the trace of {entry}", ended, self.patience))

    def public_modules(self, distributions: Sequence[str], *, limit: int) -> tuple[PublicModules, ...]:
        """Return at most ``limit`` modules of each, which are entry points: public ones, shallowest first.

        Raises SubjectError if the interpreter cannot answer.
        """
        names = " ".join(distributions)
        command = ["list", f"--limit={limit}", "--", *distributions]
        answers = self.ask(command, what=f"the list of {names}", deadline=START_SECONDS)
        return tuple(
            PublicModules(
                distribution=name,
                modules=tuple(answer["modules"]),
                left_out=answer["public"] - len(answer["modules"]),
                problem=answer["error"],
            )
            for name, answer in answers.items()
        )

    def lines(self, arguments: Sequence[str], *, what: str, deadline: float) -> list[dict[str, Any]]:
        """Run one command of ``import_cases.probe`` and return what it wrote.

        ``deadline`` is in seconds of processor time. Raises SubjectError, which calls the command ``what``, when it
        wrote nothing, or something else, or did not end in time.
        """
        ended = self._run(arguments, deadline)
        lines, damage = _read_lines(ended.stdout)
        if damage:
            raise SubjectError(f"{what}: {damage}")
        if ended.timed_out or not lines:
            raise SubjectError(_why(what, ended, deadline))
        return lines

    def ask(self, arguments: Sequence[str], *, what: str, deadline: float) -> dict[str, Any]:
        """Return the answer of one command, which is the last line that it writes, as :meth:`lines` does."""
        return self.lines(arguments, what=what, deadline=deadline)[-1]

    def _run(self, arguments: Sequence[str], seconds: float) -> Completed:
        """Run one command, for at most ``seconds`` of processor time since its last line of output."""
        command = [*self.python.command, "-m", "import_cases.probe", *arguments]
        folders = [CASES, *self.path, *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {name: value for name, value in os.environ.items() if name not in {_NO_BYTECODE, LAZY_VARIABLE}}
        env |= {_NO_BYTECODE: "1"} if self.bytecode is None else {"PYTHONPYCACHEPREFIX": str(self.bytecode)}
        env["PYTHONPATH"] = os.pathsep.join(map(str, folders))
        with tempfile.TemporaryDirectory(prefix="python-tsan-imports-") as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            patience = Patience(seconds=seconds, lines=out)
            ended = run(command, env=env, stdout=out, stderr=err, until=patience.is_over, on_start=patience.begin)
            return replace(ended, stdout=text_of(out), stderr=text_of(err))


@dataclass(slots=True)
class Patience:
    """Ends a process that has used ``seconds`` of processor time, or none for as long, since its last line of output.

    So a busy machine ends nothing early.
    ``lines`` is the file that the process writes to. :func:`python_tsan.process.run` takes ``begin`` as ``on_start``
    and ``is_over`` as ``until``.
    """

    seconds: float
    lines: Path
    now: Callable[[], float] = time.monotonic
    _pid: int = 0
    _size: int = 0
    _used_before: float = 0.0
    _used: float = 0.0
    _moved: float = 0.0

    def begin(self, pid: int) -> None:
        """Watch the process group of this process."""
        self._pid = pid
        self._moved = self.now()

    def is_over(self) -> bool:
        """Return whether the process takes too long."""
        size, used = self.lines.stat().st_size, group_cpu_seconds(self._pid)
        if size != self._size:
            self._size, self._used_before = size, used
        if used != self._used:
            self._used, self._moved = used, self.now()
        return used - self._used_before > self.seconds or self.now() - self._moved > self.seconds


def _read_lines(text: str) -> tuple[list[dict[str, Any]], str]:
    """Read the lines of JSON that a process wrote before it ended, the last of which may be cut off.

    The second value says what else is in its output, which a module must have written: a result of it is in doubt.
    """
    lines: list[dict[str, Any]] = []
    whole, _, _ = text.rpartition("\n")
    for number, line in enumerate(whole.split("\n") if whole else (), start=1):
        try:
            read = json.loads(line)
        except ValueError:
            read = None
        if not isinstance(read, dict):
            return lines, f"line {number} of the result is damaged; a module may have written into it"
        lines.append(read)
    return lines, ""


def _why(what: str, ended: Completed, deadline: float) -> str:
    if ended.timed_out:
        return f"{what} did not end within {deadline:g} s"
    last = last_line(ended.stderr)
    return f"{what} ended without a result ({ended.how})" + (f": {last}" if last else "")
