"""Start the watch with the interpreter, then run the ``sitecustomize`` that this one hides, if there is one."""

import _frozen_importlib as bootstrap
import _frozen_importlib_external as external
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- pathlib would slow every start
CASES = HERE[: -len("watch")] + "cases"

# A report must not import: where all imports are lazy (PEP 810), those of the watch would be made by its first report.
LAZY = getattr(sys, "get_lazy_imports", lambda: "normal")()
if LAZY != "normal":
    sys.set_lazy_imports("normal")  # type: ignore[attr-defined]
sys.path.insert(0, CASES)
try:
    from import_cases.watch import start  # type: ignore[import-not-found]
finally:
    sys.path.remove(CASES)  # the program finds no module there that it did not find before
    if LAZY != "normal":
        sys.set_lazy_imports(LAZY)  # type: ignore[attr-defined]

start(os.environ)


def _run_the_hidden_one() -> None:
    path = [folder for folder in sys.path if os.path.abspath(folder) != HERE]  # noqa: PTH100 -- as above
    spec = external.PathFinder.find_spec(__name__, path)
    if spec is not None and spec.loader is not None:
        module = bootstrap.module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


_run_the_hidden_one()
