"""Start the watch with the interpreter, then run the ``sitecustomize`` that this one hides, if there is one."""

import _frozen_importlib as bootstrap
import _frozen_importlib_external as external
import os
import sys

from import_watch.notice import start  # type: ignore[import-not-found]

start(os.environ)


def _hand_over() -> None:
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- pathlib would slow every start
    path = [folder for folder in sys.path if os.path.abspath(folder) != here]  # noqa: PTH100 -- as above
    spec = external.PathFinder.find_spec(__name__, path)
    if spec is not None and spec.loader is not None:
        module = bootstrap.module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


_hand_over()
