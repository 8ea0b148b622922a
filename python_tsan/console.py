"""Print results on standard output, progress and warnings on standard error; callers provide the words."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from python_tsan.errors import UsageError
from python_tsan.plain_text import WIDTH, duration, harmless, remaining, text_table, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import rich.console
    import rich.progress

# A plain log gets a line when this much has been done since the last one, or this long has passed.
PLAIN_FRACTION = 0.1
PLAIN_SECONDS = 15.0
FEWEST_COLUMNS = 40


class StepProgress(Protocol):
    """Shows how far a list of named steps has come."""

    def start(self, name: str) -> None:
        """Begin the step ``name``; the step before it, if any, is over."""

    def advance(self, fraction: float | None, detail: str = "") -> None:
        """Say how much of the step is done, from 0 to 1 (None when unknown), and what it is at."""

    def done(self) -> None:
        """End the step under way."""


class Console:
    """Where a run speaks to a person: rich on a terminal, plain lines everywhere else.

    No text changes what a terminal or GitHub's log does, wherever it comes from (:func:`plain_text.harmless`).

    ``quiet`` drops notes, tables' titles and progress; results and warnings are always shown. Whether there is colour
    is decided by :func:`may_colour`; without it, no escape sequence changes how text looks.
    """

    def __init__(self, *, out: TextIO, err: TextIO, env: Mapping[str, str], quiet: bool = False) -> None:
        self._out = out
        self._err = err
        self._quiet = quiet
        self._env = env
        dumb = env.get("TERM", "") == "dumb"
        self._rich_out = out.isatty() and not dumb
        self._rich_err = err.isatty() and not dumb

    def say(self, text: str) -> None:
        """Print a line of a result for people on standard output."""
        self._line(self._out, folded(text, self._out, self._env))

    def data(self, text: str) -> None:
        """Print output for programs (JSON, a path, a script) unchanged on standard output."""
        self._out.write(text + "\n")
        self._out.flush()

    def lines(self, lines: Iterable[tuple[str, str]]) -> None:
        """Print lines of a result, each with a style such as ``bold red`` or none, shown where there is colour."""
        if not self._colour(self._out):
            for text, _ in lines:
                self._line(self._out, harmless(text, keep=""))
            return
        console = self._rich(self._out)
        for text, style in lines:
            console.print(harmless(text, keep=""), style=style or None, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a line about what is going on, on standard error."""
        if not self._quiet:
            self._line(self._err, folded(text, self._err, self._env))

    def warn(self, text: str) -> None:
        """Print a line that a person should not miss, on standard error."""
        text = folded(f"warning: {text}", self._err, self._env)
        if self._colour(self._err):
            self._rich(self._err).print(harmless(text), style="yellow", soft_wrap=True)
        else:
            self._line(self._err, text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table of strings on standard output; every row is as long as ``columns``."""
        if self._rich_out:
            self._rich_table(title, columns, rows)
            return
        if title and not self._quiet:
            self._line(self._out, title)
        for lines in text_table(columns, rows, rule=True):
            for line in lines:
                self._line(self._out, line)

    @contextlib.contextmanager
    def steps(self, names: Sequence[str], *, mostly_short: bool = False) -> Iterator[StepProgress]:
        """Show the progress of the steps ``names``, in that order, while the context lasts.

        Of steps that are ``mostly_short`` a plain log says nothing but that one takes long.
        """
        if self._quiet:
            yield _Silent()
        elif self._rich_err:
            with _rich_progress(self._rich(self._err)) as progress:
                yield _Bars(progress, names)
        else:
            lines = _LongOnly if mostly_short else _Lines
            yield lines(names, self.note, time.monotonic)

    def _line(self, stream: TextIO, text: str) -> None:
        stream.write(harmless(text) + "\n")
        stream.flush()

    def _rich(self, stream: TextIO) -> rich.console.Console:
        import rich.console  # noqa: PLC0415 -- loaded only for a terminal: it costs more than a no-op run may take

        colour = self._colour(stream)
        forced = colour and not stream.isatty()
        return rich.console.Console(
            file=stream,
            color_system=("standard" if forced else "auto") if colour else None,
            force_terminal=True if forced else None,
            markup=False,
            highlight=False,
            emoji=False,
            _environ={**self._env, "NO_COLOR": ""},  # decided here
        )

    def _colour(self, stream: TextIO) -> bool:
        return may_colour(terminal=stream.isatty(), env=self._env)

    def _rich_table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        import rich.table  # noqa: PLC0415 -- as above
        import rich.text  # noqa: PLC0415 -- as above

        table = rich.table.Table(title=None if self._quiet else title or None, title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            # Text, not str: a cell such as "std::vector[int]" is no markup.
            table.add_row(*(rich.text.Text(harmless(cell)) for cell in row))
        self._rich(self._out).print(table)


def may_colour(*, terminal: bool, env: Mapping[str, str]) -> bool:
    """Return whether text may be coloured: as the environment states, else on a terminal that can.

    ``NO_COLOR`` (https://no-color.org) wins over ``FORCE_COLOR`` (https://force-color.org) and ``CLICOLOR_FORCE``
    (https://bixense.com/clicolors), and those over ``CLICOLOR=0`` and ``TERM=dumb``, as in CPython's ``_colorize``.
    """
    if env.get("NO_COLOR"):
        return False
    if env.get("FORCE_COLOR") or env.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return terminal and env.get("TERM") != "dumb" and env.get("CLICOLOR") != "0"


def make_console(*, quiet: bool = False) -> Console:
    """Return the console of this process's own standard streams.

    Raises ``UsageError`` when standard output is closed: no result could be shown.
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed", advice="redirect it to /dev/null or to a file")
    return Console(out=sys.stdout, err=sys.stderr or io.StringIO(), env=os.environ, quiet=quiet)


def folded(text: str, stream: TextIO, env: Mapping[str, str]) -> str:
    """Break lines that are wider than the terminal ``stream`` between words; no path is cut.

    Where ``stream`` is no terminal, a line stays whole: programs read it.
    """
    if not stream.isatty():
        return text
    columns = _columns(stream, env)
    return "\n".join(_folded(line, columns) for line in text.split("\n"))


def _folded(line: str, columns: int) -> str:
    if len(line) <= columns:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return "\n".join(wrapped(line.strip(), head=indent, indent=indent + "  ", width=max(columns, FEWEST_COLUMNS)))


def _columns(stream: TextIO, env: Mapping[str, str]) -> int:
    """Return the width of a terminal, as COLUMNS states or the terminal answers."""
    named = env.get("COLUMNS", "")
    if named.isdecimal() and int(named[:6]):
        return int(named[:6])
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    return WIDTH


class _Silent:
    """Progress that is not shown."""

    def start(self, name: str) -> None:
        """Show nothing."""

    def advance(self, fraction: float | None, detail: str = "") -> None:
        """Show nothing."""

    def done(self) -> None:
        """Show nothing."""


class _Lines:
    """Progress as lines of a log, few enough to be read."""

    def __init__(self, names: Sequence[str], emit: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._names = list(names)
        self._emit = emit
        self._clock = clock
        self._name = ""
        self._started = self._said_at = clock()
        self._said_fraction = 0.0

    def start(self, name: str) -> None:
        self.done()
        self._name = name
        self._started = self._said_at = self._clock()
        self._said_fraction = 0.0
        self._emit(f"{self._place()} {name} ...")

    def advance(self, fraction: float | None, detail: str = "") -> None:
        now = self._clock()
        if (fraction or 0.0) - self._said_fraction < PLAIN_FRACTION and now - self._said_at < PLAIN_SECONDS:
            return
        self._said_at, self._said_fraction = now, fraction or 0.0
        elapsed = now - self._started
        share = "" if fraction is None else f"{fraction:.0%}"
        parts = [share, detail, duration(elapsed), remaining(elapsed, fraction)]
        self._emit(f"{self._place()} {self._name}: {', '.join(part for part in parts if part)}")

    def done(self) -> None:
        if self._name:
            self._emit(f"{self._place()} {self._name}: done in {duration(self._clock() - self._started)}")
        self._name = ""

    def _place(self) -> str:
        return f"[{self._names.index(self._name) + 1}/{len(self._names)}]" if self._name in self._names else "[-]"


class _LongOnly(_Lines):
    """Progress of steps that take long as lines of a log, and of others none."""

    def start(self, name: str) -> None:
        self._name = name
        self._started = self._said_at = self._clock()

    def advance(self, fraction: float | None, detail: str = "") -> None:
        if self._clock() - self._said_at >= PLAIN_SECONDS:
            super().advance(fraction, detail)

    def done(self) -> None:
        if self._said_at > self._started:
            super().done()


class _Bars:
    """Progress as one live bar per step."""

    def __init__(self, progress: rich.progress.Progress, names: Sequence[str]) -> None:
        self._progress = progress
        self._tasks = {name: progress.add_task(name, start=False, total=None, detail="") for name in names}
        self._current: rich.progress.TaskID | None = None

    def start(self, name: str) -> None:
        self.done()
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, start=False, total=None, detail="")
        self._current = self._tasks[name]
        self._progress.start_task(self._current)

    def advance(self, fraction: float | None, detail: str = "") -> None:
        if self._current is None:
            return
        if fraction is None:
            self._progress.update(self._current, detail=detail)
        else:
            self._progress.update(self._current, total=1.0, completed=fraction, detail=detail)

    def done(self) -> None:
        if self._current is not None:
            self._progress.update(self._current, total=1.0, completed=1.0, detail="")
            self._progress.stop_task(self._current)
        self._current = None


def _state(elapsed: float | None, fraction: float | None, detail: str) -> str:
    """Return what a bar says; a step that has not begun has no ``elapsed``, one of unknown length no ``fraction``."""
    if elapsed is None:
        return ""
    share = "" if fraction is None or fraction >= 1 else f"{fraction:.0%}"
    return ", ".join(part for part in (share, duration(elapsed), remaining(elapsed, fraction), detail) if part)


def _rich_progress(console: rich.console.Console) -> rich.progress.Progress:
    import rich.progress as parts  # noqa: PLC0415 -- loaded only for a terminal
    import rich.table  # noqa: PLC0415 -- as above
    import rich.text  # noqa: PLC0415 -- as above

    class State(parts.ProgressColumn):
        """What is known of a step, and nothing for what is not: share, time, time to go, detail."""

        def get_table_column(self) -> rich.table.Column:
            return rich.table.Column(no_wrap=True, overflow="ellipsis", ratio=1)

        def render(self, task: parts.Task) -> rich.text.Text:
            return rich.text.Text(_state(task.elapsed, task.completed if task.total else None, task.fields["detail"]))

    return parts.Progress(
        parts.TextColumn("{task.description}", markup=False),
        parts.BarColumn(bar_width=24),
        State(),
        console=console,
    )
