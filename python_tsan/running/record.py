"""Write and read ``replay.json``, what is needed to run a command again, and list how the present machine differs."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import __version__
from python_tsan.errors import SubjectError
from python_tsan.paths import default_root
from python_tsan.running.elf import code_digest
from python_tsan.running.request import Request  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.storage import read_regular, sha256_of
from python_tsan.toolchain.host import this_machine
from python_tsan.versioned_json import Format, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from python_tsan.running.preflight import Prepared
    from python_tsan.toolchain.model import Toolchain

REPLAY_FILE = "replay.json"
KEY_FILE = "seal.key"
_KEY_BYTES = 32
SCHEMA = 2
SEED_VARIABLE = "PYTHONHASHSEED"
# What changes the course of a program under test. The rest of an environment does not matter, and may be secret.
_RELEVANT = ("PYTHON", "TSAN_", "LD_", "OMP_", "OPENBLAS_", "MKL_", "MALLOC_", "_RJEM_", "GLIBC_", "LC_", "LANG", "TZ")
# Of these, those that neither load code nor name files.
_HARMLESS = ("OMP_", "OPENBLAS_NUM", "MKL_NUM", "LC_", "LANG", "TZ", "PYTHONHASHSEED")
_MASKED = ("TOKEN", "SECRET", "PASSWORD", "KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Everything that is needed to run the same again.

    ``seal`` shows that this user wrote it on this machine. ``given`` are the caller's variables that may matter,
    ``changed`` those that the run set, ``removed`` those that it took away; ``facts`` describe the machine and the
    programs by name, ``seeds`` are handed to the program by variable.
    """

    schema: int = SCHEMA
    request: Request
    ran: tuple[str, ...] = ()
    given: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    seeds: dict[str, int] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    seal: str = ""


FORMAT = Format(
    kind=Replay,
    what=REPLAY_FILE,
    schema=SCHEMA,
    page="replay",
    advice="name the folder of a run of `python-tsan run`, as it was left",
)


def encode_replay(replay: Replay) -> bytes:
    """Return ``replay`` as indented JSON, with a seal of this user on this machine."""
    return encode(replace(replay, seal=_seal(replay)))


def load_replay(path: Path) -> Replay:
    """Read a run's folder, or the file in it.

    Raises :class:`SubjectError` if it does not exist, or is one that this version does not read.
    """
    file = path / REPLAY_FILE if path.is_dir() else path
    data = FORMAT.read(file)
    if rb"\u0000" in data:  # no path, argument or variable has a zero byte
        raise SubjectError(f"{file} is damaged: it has a zero byte", advice=FORMAT.advice, page=FORMAT.page)
    return FORMAT.decode(data, name=str(file))


def is_ours(replay: Replay) -> bool:
    """Return whether this user wrote the record on this machine, and nobody changed it."""
    return bool(replay.seal) and hmac.compare_digest(replay.seal.encode(), _seal(replay).encode())


def _seal(replay: Replay) -> str:
    """Return the authentication code of a record by a key that only this user can read; empty without a key."""
    file = default_root() / KEY_FILE
    with contextlib.suppress(OSError):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as opened:
                    opened.write(secrets.token_bytes(_KEY_BYTES))
        key = read_regular(file)
        if len(key) == _KEY_BYTES:
            return hmac.new(key, encode(replace(replay, seal="")), "sha256").hexdigest()
    return ""


def relevant_variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change the course of a program under test, none that may hold a secret."""
    return {
        name: value
        for name, value in sorted(env.items())
        if name.startswith(_RELEVANT) and not any(word in name for word in _MASKED)
    }


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what ``after`` sets otherwise than ``before``, and what it lacks."""
    changed = {name: value for name, value in sorted(after.items()) if before.get(name) != value}
    return changed, tuple(sorted(set(before) - set(after)))


def machine_facts(prepared: Prepared, toolchain: Toolchain | None) -> dict[str, str]:
    """Return what a result may depend on, by name and as text."""
    machine, interpreter, program = this_machine(), prepared.interpreter, prepared.program
    facts = {
        "python-tsan": __version__,
        "system": f"{machine.system} {machine.kernel}",
        "architecture": machine.architecture,
        "libc": machine.libc,
        "cores": str(machine.cores),
        "mmap_rnd_bits": "unknown" if machine.mmap_rnd_bits is None else str(machine.mmap_rnd_bits),
        "toolchain": toolchain.name if toolchain else "none",
        "launcher": " ".join(toolchain.launcher) if toolchain else "",
        "program": _sha256(Path(prepared.command[0])),
    }
    if program:
        facts["program compilers"] = ", ".join(program.compilers)
        facts["program build id"] = program.build_id
        facts["program code"] = code_digest(program.path)
    if interpreter:
        threading = " free-threaded" if interpreter.free_threaded else ""
        facts["interpreter"] = (
            f"CPython {interpreter.version}{threading}, {interpreter.toolchain}, key {interpreter.key}"
        )
        facts["CPython"] = interpreter.version
        facts["threading"] = "free-threaded" if interpreter.free_threaded else "GIL"
        facts["build"] = "debug" if interpreter.debug else "release"
        facts["interpreter prefix"] = str(interpreter.prefix)
        facts["runtime"] = interpreter.runtime_id
    return facts


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return "cannot be read"


def differences(then: Replay, *, facts: Mapping[str, str], env: Mapping[str, str]) -> Iterator[str]:
    """Describe in a line each what differs, facts first, then variables."""
    for name in sorted({*then.facts, *facts}):
        before, now = then.facts.get(name, "unknown"), facts.get(name, "unknown")
        if before != now:
            yield f"{name}: {before} then, {now} now"
    here, used = relevant_variables(env), _usable(then)
    for name in sorted({*then.given, *here}):
        if then.given.get(name) != here.get(name):
            which = "now's" if name in then.given and name not in used else "then's"
            yield f"{name}: {_shown(then.given.get(name))} then, {_shown(here.get(name))} now; {which} is used"


def _shown(value: str | None) -> str:
    return "not set" if value is None else repr(value)


def restored(then: Replay, env: Mapping[str, str]) -> dict[str, str]:
    """Return the present environment with the relevant variables, and the seeds, as they were.

    From a record that is not ours, only variables come back that neither load code nor name files.
    """
    used = _usable(then)
    replaced = set(relevant_variables(env)) - (set(then.given) - set(used))
    others = {name: value for name, value in env.items() if name not in replaced}
    seeds = {name: str(seed) for name, seed in then.seeds.items() if name == SEED_VARIABLE}
    return {**others, **used, **seeds}


def _usable(then: Replay) -> dict[str, str]:
    given = relevant_variables(then.given)
    return given if is_ours(then) else {name: value for name, value in given.items() if name.startswith(_HARMLESS)}
