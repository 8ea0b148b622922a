"""What a user requests from ``run``, as data that can be saved and requested again."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_tsan.errors import UsageError
from python_tsan.result.shard import Shard, share
from python_tsan.setting_values import LARGEST, Kind

CLEAN = "clean"
DEFAULT_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One invocation. Paths are absolute text; ``cwd`` is where the command starts, ``timeout`` seconds for each run.

    ``python`` is a version, the folder of an interpreter or its program, empty for the one that the settings select.
    ``expect`` is a word such as ``clean`` or a file. ``children`` says that the command is a driver whose child
    processes are judged. With a ``shard``, only its share of the ``repeat`` runs is made. ``keep_unlikely`` judges
    findings in blind spots as any other. ``facts`` are what the user states about the program, by name.
    ``stall`` are the seconds without movement after which a run is ended, 0 for none.
    ``detect`` names detectors, empty for all that the program allows. ``confirm`` asks for directed runs of each
    possible deadlock. ``ignored`` are the ids of rules that do not count.
    """

    command: tuple[str, ...]
    cwd: str
    timeout: float = DEFAULT_SECONDS
    repeat: int = 1
    until_found: bool = False
    shard: Shard | None = None
    python: str = ""
    baseline: str = ""
    write_baseline: str = ""
    suppressions: tuple[str, ...] = ()
    expect: str = CLEAN
    own: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    children: bool = False
    keep_unlikely: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    detect: tuple[str, ...] = ()
    confirm: bool = False
    stall: float = 0.0
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not self.command:
            raise UsageError("there is no command to run", advice="python-tsan run [options] -- COMMAND...")
        if not (1 <= self.repeat <= LARGEST and 0 < self.timeout <= LARGEST and 0 <= self.stall <= LARGEST):
            raise UsageError(f"--repeat must be {Kind.COUNT.value}, and --timeout and --stall {Kind.SECONDS.value}")
        if self.shard and not self.numbers:
            raise UsageError(
                f"--repeat {self.repeat} leaves no run for shard {self.shard}",
                advice="ask for as many runs as there are shards, or more",
                page="merge",
            )

    @property
    def numbers(self) -> range:
        """The numbers, from 1, of the runs that this machine makes."""
        return share(self.shard, self.repeat)
