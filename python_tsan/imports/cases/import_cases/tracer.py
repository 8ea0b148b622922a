"""Record import requests: which module's body requests which module, where, and in which manner.

Every import statement is seen, those included that find their module in ``sys.modules`` and take no lock: a patched
lock would miss them, and they are the ones that another thread's timing brings to life.
"""

from __future__ import annotations

import _frozen_importlib as bootstrap
import _frozen_importlib_external as external
import _imp
import builtins
import os
import sys
import time
from _thread import start_new_thread
from threading import get_ident
from typing import TYPE_CHECKING

from .lazy_names import names_of, set_mode
from .wait_graph import all_frames, is_machinery, outwards, waits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import Any

STATEMENT, BY_NAME = "statement", "by_name"
# The instruction of an import statement, None before 3.15, where no other one imports. The module opcode is not asked:
# what the tracer imports cannot be traced.
IMPORT_NAME = (
    next(
        iter({*compile("import a", "", "exec").co_code[::2]} - {*compile("a = 0; b = None", "", "exec").co_code[::2]}),
        None,
    )
    if sys.version_info >= (3, 15)
    else None
)
STUCK_SECONDS, POLLS = 3.0, 10
_IMPORT_SYSTEM = frozenset({__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"})


class Tracer:
    """Record the requests of the thread that installs it. Other threads import unseen."""

    def __init__(self, note: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self._write = note
        self.modules: dict[str, dict[str, Any]] = {}
        self._stack: list[str] = []
        self._thread = get_ident()

    def install(self) -> None:
        """Put the tracer in the way of import statements, ``import_module`` and the loading of modules."""
        names = vars(bootstrap)
        builtins.__import__ = self._statement(builtins.__import__)
        names["_gcd_import"] = self._by_name(names["_gcd_import"])
        names["_find_and_load_unlocked"] = self._loading(names["_find_and_load_unlocked"])
        loader: Any = external.SourceLoader
        loader.source_to_code = self._compiling(loader.source_to_code)

    def read(self, name: str) -> list[dict[str, Any]]:
        """Return the requests that ``module:attribute`` makes when it is read: a proxy may import then.

        One of ``importlib.util.LazyLoader`` does already when it is imported again, since that looks at its spec.
        """
        module, _, attribute = name.partition(":")
        self._enter(name)
        try:
            __import__(module)
            getattr(sys.modules[module], attribute)
        finally:
            self._stack.pop()
        return [each for each in self.modules.pop(name)["requests"] if each["module"] != module]

    def _statement(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def traced(
            name: str,
            globals: Mapping[str, Any] | None = None,  # noqa: A002 -- the signature of __import__
            locals: Mapping[str, Any] | None = None,  # noqa: A002
            fromlist: tuple[str, ...] | None = (),
            level: int = 0,
        ) -> Any:  # noqa: ANN401 -- what the original returns
            frame = sys._getframe(1)  # noqa: SLF001 -- documented
            # PyImport_Import, which pickle calls, gives an empty list, and the use of a lazy name never a list.
            given = globals is not None and globals is locals and not level and not isinstance(fromlist, list)
            use = given and _is_use(frame)
            if use and not fromlist:
                # By itself CPython imports only the package when its name is used, and a hook is asked for all.
                name = name.partition(".")[0]
            if get_ident() == self._thread:
                target = name if not level else _absolute(name, globals or {}, level)
                if target:
                    self._note(STATEMENT, target, frame, fromlist or (), use=use)
            return original(name, globals, locals, fromlist, level)

        return traced

    def _by_name(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def traced(name: str, package: str | None = None, level: int = 0) -> Any:  # noqa: ANN401
            if get_ident() == self._thread:
                target = name if not level else _absolute(name, {"__package__": package}, level)
                self._note(BY_NAME, target, sys._getframe(2), ())  # noqa: SLF001 -- as above; 1 is import_module
            return original(name, package, level)

        return traced

    def _compiling(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Note each module that had to be compiled: the time until then is not that of the import itself."""

        def traced(loader: Any, data: Any, path: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401 -- as above
            code = original(loader, data, path, *more, **named)
            self._write({"compiled": str(path)})
            return code

        return traced

    def _loading(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def traced(name: str, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401
            if get_ident() != self._thread:
                return original(name, *arguments, **keywords)
            self._note_hidden(name)
            found = self._enter(name)
            try:
                module = original(name, *arguments, **keywords)
            finally:
                self._stack.pop()
            names = _names_in(module)
            found.update(file=_file_of(module), stamp=_stamp_of(module), lazy=names_of(names))
            found.update(has_getattr="__getattr__" in names, unloaded=_unloaded(names))
            return module

        return traced

    def _enter(self, name: str) -> dict[str, Any]:
        """Take what is requested from here on for a request of this module, and return what is known of it."""
        self._stack.append(name)
        return self.modules.setdefault(
            name, {"name": name, "file": "", "lazy": [], "stamp": None, "requests": [], "has_getattr": False}
        )

    def _note_hidden(self, name: str) -> None:
        """Note the loading of a module that no statement asked for: C code can import past ``builtins.__import__``."""
        if not self._stack:
            return
        asker = self._stack[-1]
        last = self.modules[asker]["requests"][-1:]
        if asker.startswith(f"{name}.") or any(_brings_in(request, name) for request in last):
            return
        frame = _first_outside(sys._getframe(2))  # noqa: SLF001 -- as above
        self._note(STATEMENT, name, frame, (), use=_is_use(frame))

    def _note(
        self, manner: str, target: str, frame: FrameType, names: tuple[object, ...], *, use: bool = False
    ) -> None:
        if not self._stack or frame.f_code.co_filename.startswith("<frozen importlib"):
            return
        asker = self._stack[-1]
        self.modules[asker]["requests"].append(
            {
                "module": target,
                "manner": manner,
                "names": [name for name in names if isinstance(name, str)],
                "file": frame.f_code.co_filename,
                "line": frame.f_lineno,
                "body_line": _line_of_body(frame, asker),
                # That a lazy name is used is seen, and not what bound it.
                "lazy": {"owner": "", "name": "", "place": ""} if use else None,
                "stage": _stage(asker),
            }
        )


def _names_in(module: object) -> dict[str, Any]:
    """Return the names of a module without an attribute of it: one that loads on request would be loaded by that."""
    try:
        names: dict[str, Any] = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return names


def _unloaded(names: Mapping[str, Any]) -> list[str]:
    """Return the modules among these that ``importlib.util.LazyLoader`` has made and that nothing has read yet."""
    util = sys.modules.get("importlib.util")
    kind = getattr(util, "_LazyModule", None)
    return [_names_in(value)["__name__"] for value in list(names.values()) if type(value) is kind] if kind else []


def _file_of(module: object) -> str:
    return str(_names_in(module).get("__file__") or "")


def _stamp_of(module: object) -> list[int] | None:
    """Return time and size of the source that was certainly compiled for this module, None where that is not known."""
    spec: Any = _names_in(module).get("__spec__")
    if type(getattr(spec, "loader", None)) is not external.SourceFileLoader:
        return None
    try:
        found = os.stat(_file_of(module))  # noqa: PTH116 -- pathlib would be an import of its own
    except OSError:
        return None
    return None if _is_unchecked(spec.cached) else [found.st_mtime_ns, found.st_size]


def _is_unchecked(bytecode: str | None) -> bool:
    """Return whether byte-code is used without a look at its source, as PEP 552 permits."""
    try:
        with open(bytecode or "", "rb") as file:  # noqa: PTH123 -- as above
            return file.read(8)[4:5] == b"\x01"
    except OSError:
        return False


def _is_use(frame: FrameType) -> bool:
    """Return whether a frame is at the use of a lazy name, which is no import statement of its own."""
    return IMPORT_NAME is not None and frame.f_code.co_code[frame.f_lasti] != IMPORT_NAME


def _line_of_body(frame: FrameType | None, module: str) -> int:
    """Return the line at which the body of a module stands that has come to a frame, 0 if it is not known."""
    names = getattr(sys.modules.get(module), "__dict__", None)
    while frame is not None:
        if frame.f_globals is names and frame.f_code.co_name == "<module>":
            return frame.f_lineno
        frame = frame.f_back
    return 0


def _stage(asker: str) -> str:
    """Return what the loading of ``asker`` is about: only a finder runs with the global import lock held."""
    if asker in sys.modules or ":" in asker:
        return "body"
    return "find" if _imp.lock_held() else "create"


def _brings_in(request: Mapping[str, Any], name: str) -> bool:
    """Return whether a request explains that ``name`` is loaded: as its module, a parent, or a name."""
    requested = [request["module"], *(f"{request['module']}.{each}" for each in request["names"])]
    return any(each == name or each.startswith(f"{name}.") for each in requested)


def _first_outside(frame: FrameType) -> FrameType:
    """Return the innermost frame that is not the import system's own."""
    while frame.f_back is not None and frame.f_code.co_filename in _IMPORT_SYSTEM:
        frame = frame.f_back
    return frame


def _absolute(name: str, names: Mapping[str, Any], level: int) -> str:
    """Resolve a relative name as ``importlib._bootstrap._calc___package__`` does; an empty string if it cannot be."""
    package = names.get("__package__")
    if package is None:
        package = names.get("__name__", "")
        if "__path__" not in names:
            package = package.rpartition(".")[0]
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{name}" if name and base else base


def _watch(traced: int, note: Callable[[dict[str, Any]], None]) -> None:
    """End the process when the traced thread waits for one that waits for a module that the traced thread holds.

    No error ends that, and CPython cannot see it: a body that joins a thread, or reads from a queue of processes, the
    thread of which imports what it pickles.
    """
    before: object = None
    since = time.monotonic()
    while True:
        time.sleep(STUCK_SECONDS / POLLS)
        blocked = [(ident, lock.name) for ident, lock in waits() if ident != traced and lock.owner == traced]
        frames = [frame for frame in outwards(all_frames().get(traced)) if not is_machinery(frame)]
        now = (blocked, [(id(frame), frame.f_lasti) for frame in frames])
        if now != before:
            before, since = now, time.monotonic()
        elif blocked and time.monotonic() - since > STUCK_SECONDS:
            place = next((frame for frame in frames if frame.f_code.co_name == "<module>"), frames[0])
            note({"stuck": blocked[0][1], "where": f"{place.f_code.co_filename}:{place.f_lineno}"})
            os._exit(1)


def trace(entries: list[str], main: list[str], *, mode: str, note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Import ``main`` and then ``entries`` in turn and return the requests of every module that they bring in.

    An entry ``module:attribute`` is read, and what that requests is among the ``reads``.

    ``mode`` says which imports are lazy.

    ``note`` receives each import that has ended, so that the one that ends the process is known, and each module that
    was compiled.
    """
    already = sorted(sys.modules)
    tracer = Tracer(note)
    tracer.install()
    # The tracer stands twice in each level of a chain of imports, which has six frames of its own.
    sys.setrecursionlimit(2 * sys.getrecursionlimit())
    errors: dict[str, str] = {}
    reads: dict[str, list[dict[str, Any]]] = {}
    start_new_thread(_watch, (get_ident(), note))
    set_mode(mode)
    for entry in (*main, *entries):
        try:
            if ":" in entry:
                reads[entry] = tracer.read(entry)
            else:
                __import__(entry)
        except BaseException as caught:  # noqa: BLE001 -- a module may raise anything, SystemExit included
            errors[entry] = f"{type(caught).__name__}: {caught}"
        note({"finished": entry})
    return {
        "errors": errors,
        "already": already,
        "reads": reads,
        "modules": {name: found for name, found in tracer.modules.items() if name in sys.modules},
    }
