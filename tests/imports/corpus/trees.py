"""The corpus: package trees made by code, hazardous and harmless twins side by side. Which is which is not stated here.

The truth of a tree is what `driver.py` sees when it runs. A tree is called ``shape/twin``.
"""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING

from tools.import_score.model import Tree

from .extensions import extension_files
from .lazy_trees import lazy_trees

if TYPE_CHECKING:
    from collections.abc import Iterator

RANDOM_TREES = 48


def by_name(*modules):
    lines = "".join(f"X{number} = import_module({module!r})\n" for number, module in enumerate(modules))
    return f"from importlib import import_module\n\n{lines}"


def in_function(module, function="f", *, manner="import {}"):
    return f"def {function}():\n    {manner.format(module)}\n"


def barrels() -> Iterator[Tree]:
    styles = {
        "from_dot": "from .m{0} import V{0}\n",
        "from_package": "from p.m{0} import V{0}\n",
        "import": "import p.m{0}\n",
        "from_dot_module": "from . import m{0}\n",
        "star": "from .m{0} import *\n",
        "by_name": "from importlib import import_module\nimport_module('.m{0}', __name__)\n",
    }
    for (style, line), count in product(styles.items(), (2, 5)):
        leaves = {f"p/m{number}.py": f"V{number} = {number}\n" for number in range(count)}
        body = "".join(line.format(number) for number in range(count))
        pairs = (("p.m0", f"p.m{count - 1}"), ("p", "p.m1"))
        yield Tree(name=f"barrel/{style}_{count}", files={"p/__init__.py": body, **leaves}, pairs=pairs)
    leaves = {"p/m0.py": "V = 0\n", "p/m1.py": "V = 1\n"}
    pairs = (("p.m0", "p.m1"), ("p", "p.m1"))
    bodies = {
        "empty": "",
        "elsewhere": "import json.decoder\n",
        "never": "if False:\n    from . import m0, m1\n",
        "typing_only": "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from .m0 import V\n",
        "in_function": in_function("p.m1"),
    }
    for twin, body in bodies.items():
        yield Tree(name=f"barrel/{twin}", files={"p/__init__.py": body, **leaves}, pairs=pairs)
    yield Tree(
        name="barrel/pre_imported",
        files={"p/__init__.py": "from . import m0, m1\n", **leaves},
        pairs=pairs,
        main=("p",),
    )
    shared = {"p/__init__.py": "import tools\n", "tools.py": "", **leaves}
    yield Tree(name="barrel/of_another", files=shared, pairs=(*pairs, ("tools", "p.m0")))


def nested() -> Iterator[Tree]:
    files = {
        "p/__init__.py": "",
        "p/q/__init__.py": "from . import r\n",
        "p/q/r/__init__.py": "",
        "p/q/r/s.py": "V = 1\n",
    }
    pairs = (("p.q.r.s", "p.q"), ("p.q.r", "p.q"), ("p", "p.q.r.s"))
    yield Tree(name="nested/middle_takes_child", files=files, pairs=pairs)
    yield Tree(name="nested/all_empty", files={**files, "p/q/__init__.py": ""}, pairs=pairs)
    yield Tree(name="nested/child_takes_top", files={**files, "p/q/r/s.py": "from p import q\nV = 1\n"}, pairs=pairs)
    top = {**files, "p/__init__.py": "import p.q.r.s\n"}
    yield Tree(name="nested/top_takes_deepest", files=top, pairs=pairs)
    sub = {"p/__init__.py": "NAME = 1\nfrom .sub import V\n", "p/sub.py": "from p import NAME\n\nV = NAME + 1\n"}
    yield Tree(name="nested/takes_from_parent", files=sub, pairs=(("p", "p.sub"),))
    late = {"p/__init__.py": "NAME = 1\n", "p/sub.py": "from p import NAME\n\nV = NAME + 1\n"}
    yield Tree(name="nested/takes_from_parent_that_takes_nothing", files=late, pairs=(("p", "p.sub"),))


def lazy() -> Iterator[Tree]:
    getter = (
        "def __getattr__(name):\n    if name in ('a', 'b'):\n        from importlib import import_module\n\n"
        "        return import_module(f'p.{name}')\n    raise AttributeError(name)\n"
    )
    files = {"p/__init__.py": getter, "p/a.py": "A = 1\n", "p/b.py": "B = 2\n"}
    users = {"u.py": "from p import a\n", "v.py": "import p\n\nB = p.b.B\n"}
    yield Tree(name="lazy/plain", files={**files, **users}, pairs=(("u", "v"), ("p.a", "p.b")))
    crossed = {**files, **users, "p/a.py": by_name("v"), "v.py": "import p\n\nA = p.a\n"}
    yield Tree(name="lazy/crossed", files=crossed, pairs=(("p.a", "v"), ("u", "v")))
    called = {
        **files,
        "p/a.py": by_name("p.b"),
        "p/b.py": by_name("p.a"),
        "c.py": "def call():\n    import p\n\n    return p.a\n",
    }
    yield Tree(name="lazy/called", files=called, pairs=(("c:call", "p.b"),))
    yield Tree(name="lazy/called_harmless", files={**called, "p/b.py": ""}, pairs=(("c:call", "p.b"),))
    asked = {
        **files,
        "p/a.py": by_name("p.b"),
        "p/b.py": by_name("p.a"),
        "c.py": "import p\n\n\ndef call():\n    return p.a\n",
    }
    yield Tree(name="lazy/by_attribute", files=asked, pairs=(("c:call", "p.b"),))


def functions() -> Iterator[Tree]:
    cycle = {"b.py": by_name("c"), "c.py": by_name("b")}
    users = {
        "a.py": in_function("b"),
        "d.py": in_function("c", manner="from importlib import import_module; import_module('{}')"),
    }
    yield Tree(name="function/against_entry", files={**cycle, **users}, pairs=(("a:f", "c"), ("a", "c")))
    yield Tree(name="function/against_function", files={**cycle, **users}, pairs=(("a:f", "d:f"), ("a", "d")))
    harmless = {"b.py": "V = 1\n", "c.py": "import b\n", **users}
    yield Tree(name="function/harmless", files=harmless, pairs=(("a:f", "c"), ("a:f", "d:f")))
    back = {"a.py": "import b\n" + in_function("b"), "b.py": in_function("a")}
    yield Tree(name="function/back_reference", files=back, pairs=(("a", "b"), ("a:f", "b:f")))
    barrel = {
        "p/__init__.py": "from . import m\n",
        "p/m.py": "V = 1\n",
        "a.py": in_function("p"),
        "d.py": in_function("p.m"),
    }
    yield Tree(name="function/barrel", files=barrel, pairs=(("a:f", "d:f"), ("a:f", "p.m")))
    method = {**cycle, "a.py": "class A:\n    @staticmethod\n    def go():\n        import b\n"}
    yield Tree(name="function/method", files=method, pairs=(("a:A.go", "c"),))


def by_names() -> Iterator[Tree]:
    for length in (2, 3, 5):
        ring = {f"m{number}.py": by_name(f"m{(number + 1) % length}") for number in range(length)}
        pairs = tuple((f"m{0}", f"m{number}") for number in range(1, length))
        yield Tree(name=f"by_name/ring_{length}", files=ring, pairs=pairs)
        line = {**ring, f"m{length - 1}.py": ""}
        yield Tree(name=f"by_name/line_{length}", files=line, pairs=pairs)
    mixed = {"a.py": by_name("b"), "b.py": "import a\n"}
    yield Tree(name="by_name/one_side_only", files=mixed)
    yield Tree(name="by_name/neither", files={"a.py": "import b\n", "b.py": "import a\n"})
    package = {"p/__init__.py": "", "p/a.py": by_name("q.b"), "q/__init__.py": "", "q/b.py": by_name("p.a")}
    yield Tree(name="by_name/across_packages", files=package, pairs=(("p.a", "q.b"), ("p", "q.b")))
    space = {"n/a.py": by_name("n.b"), "n/b.py": by_name("n.a")}
    yield Tree(name="namespace/ring", files=space, pairs=(("n.a", "n.b"),))
    yield Tree(name="namespace/line", files={**space, "n/b.py": "V = 1\n"}, pairs=(("n.a", "n.b"), ("n", "n.b")))
    split = {"n/x/__init__.py": "from . import y\n", "n/x/y.py": "", "n/z.py": "from n.x import y\n"}
    yield Tree(name="namespace/with_barrel", files=split, pairs=(("n.x.y", "n.z"), ("n.x", "n.x.y")))


def conditions() -> Iterator[Tree]:
    test = (
        "import sys\n\nif 'late' not in sys.modules:\n    from importlib import import_module\n\n"
        "    import_module('late')\n"
    )
    yield Tree(name="condition/on_loaded", files={"a.py": test, "late.py": by_name("a")}, pairs=(("a", "late"),))
    yield Tree(name="condition/on_loaded_line", files={"a.py": test, "late.py": ""}, pairs=(("a", "late"),))
    version = "import sys\n\nif sys.version_info < (3,):\n    import b\n"
    yield Tree(name="condition/never", files={"a.py": version, "b.py": by_name("a")})
    tried = (
        "try:\n    from importlib import import_module\n\n    import_module('{}')\nexcept ImportError:\n    V = None\n"
    )
    yield Tree(name="try/ring", files={"a.py": tried.format("b"), "b.py": tried.format("a")})
    yield Tree(name="try/line", files={"a.py": tried.format("b"), "b.py": "V = 1\n"})
    yield Tree(name="try/absent", files={"a.py": tried.format("nothing_there"), "b.py": "import a\n"})
    fallback = "try:\n    import nothing_there\nexcept ImportError:\n" + by_name("b").replace("\n", "\n    ").rstrip()
    fallback = fallback.replace("ImportError:\n", "ImportError:\n    ") + "\n"
    yield Tree(name="try/fallback", files={"a.py": fallback, "b.py": by_name("a")})
    caught = "try:\n    import p.a\nexcept ImportError:\n    pass\n"
    yield Tree(name="try/barrel", files={"p/__init__.py": caught, "p/a.py": ""}, pairs=(("p", "p.a"),))
    swallowed = (
        "from importlib import import_module\n\ntry:\n    import_module('{}')\nexcept RuntimeError:\n    V = None\n"
    )
    yield Tree(name="try/swallowed", files={"a.py": swallowed.format("b"), "b.py": swallowed.format("a")})


CREATING = """\
import importlib
import importlib.machinery
import sys

REQUESTED = {requested!r}
BEGUN = set()


class CreatingLoader(importlib.machinery.SourceFileLoader):
    def create_module(self, spec):
        if spec.name not in BEGUN and spec.name in REQUESTED:
            BEGUN.add(spec.name)
            importlib.import_module(REQUESTED[spec.name])


class CreatingFinder:
    def find_spec(self, name, path=None, target=None):
        if name not in REQUESTED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        spec.loader = CreatingLoader(name, spec.origin)
        return spec


sys.meta_path.insert(0, CreatingFinder())
"""
FINDING = """\
import sys


class ImportingFinder:
    def find_spec(self, name, path=None, target=None):
        if name == "requested":
            import needed
        return None


sys.meta_path.insert(0, ImportingFinder())
"""


def loaders() -> Iterator[Tree]:
    """As extension modules do, these import in `create_module`, before they are in `sys.modules`."""
    ring = {"hook.py": CREATING.format(requested={"a": "b", "b": "a"}), "a.py": "", "b.py": ""}
    yield Tree(name="create/ring", files=ring, main=("hook",))
    line = {"hook.py": CREATING.format(requested={"a": "b"}), "a.py": "", "b.py": ""}
    yield Tree(name="create/line", files=line, main=("hook",))
    mixed = {**line, "b.py": by_name("a")}
    yield Tree(name="create/against_body", files=mixed, main=("hook",))
    child = {
        "hook.py": CREATING.format(requested={"p.a": "p.b"}),
        "p/__init__.py": "from . import a\n",
        "p/a.py": "",
        "p/b.py": "",
    }
    yield Tree(name="create/in_barrel", files=child, main=("hook",), pairs=(("p", "p.b"), ("p.a", "p.b")))
    finder = {"hook.py": FINDING, "requested.py": "", "needed.py": "import extra\n", "extra.py": ""}
    yield Tree(name="finder/imports", files=finder, main=("hook",), pairs=(("requested", "needed"),))
    yield Tree(name="finder/pre_imported", files=finder, main=("hook", "needed"), pairs=(("requested", "extra"),))
    alone = {**finder, "needed.py": "", "other.py": "import extra\n"}
    yield Tree(
        name="finder/imports_a_leaf",
        files=alone,
        main=("hook",),
        pairs=(("requested", "needed"), ("requested", "other")),
    )


def extensions() -> Iterator[Tree]:
    for twin, files, pairs in extension_files():
        yield Tree(name=f"extension/{twin}", files=files, pairs=pairs)


def switches() -> Iterator[Tree]:
    """Branches of a body that hang on what is outside the program; in the twin nothing ever executes the branch."""
    tests = {
        "environment": ("import os\n", "os.environ.get('CORPUS_SWITCH') == '{}'", "on"),
        "arguments": ("import sys\n", "getattr(sys, 'argv', [])[-1:] == ['{}']", "on"),
        "platform": ("import sys\n", "sys.platform == '{}'", "linux"),
    }
    # The main thread sets them, so that they are the same in the trace and in the threads.
    setup = "import os\nimport sys\n\nos.environ['CORPUS_SWITCH'] = 'on'\nsys.argv.append('on')\n"
    taken = by_name("b").replace("\n", "\n    ").rstrip()
    for kind, (first, test, word) in tests.items():
        for twin, value in (("taken", word), ("never", "elsewhere")):
            body = f"{first}\nif {test.format(value)}:\n    {taken}\n"
            files = {"setup_switch.py": setup, "a.py": body, "b.py": by_name("a")}
            yield Tree(name=f"switch/{kind}_{twin}", files=files, main=("setup_switch",))


def gates() -> Iterator[Tree]:
    ring = {"a.py": by_name("b"), "b.py": by_name("a"), "gate.py": "import a\nimport b\n"}
    gated = {**ring, "x.py": "import gate\n", "y.py": "import gate\n"}
    yield Tree(name="gate/closed", files=gated, pairs=(("x", "y"), ("x", "gate")))
    yield Tree(name="gate/one_goes_round", files={**gated, "y.py": "import b\n"}, pairs=(("x", "y"),))
    yield Tree(
        name="gate/both_go_round", files={**gated, "x.py": "import a\n", "y.py": "import b\n"}, pairs=(("x", "y"),)
    )
    behind = {"p/__init__.py": "from . import a, b\n", "p/a.py": by_name("p.b"), "p/b.py": by_name("p.a")}
    users = {"x.py": "import p\nimport p.a\n", "y.py": "import p\nimport p.b\n"}
    yield Tree(name="gate/parent_first", files={**behind, **users}, pairs=(("x", "y"),))
    yield Tree(
        name="gate/child_first", files={**behind, "x.py": "import p.a\n", "y.py": "import p.b\n"}, pairs=(("x", "y"),)
    )


def partials() -> Iterator[Tree]:
    yield Tree(
        name="partial/names_first_missing",
        files={
            "a.py": "A = 1\nfrom b import B\n",
            "b.py": "from late import L\nfrom a import A\nB = 2\n",
            "late.py": "L = 1\n",
        },
    )
    yield Tree(name="partial/legal", files={"a.py": "A = 1\nimport b\n", "b.py": "B = 2\nimport a\n"})
    yield Tree(
        name="partial/both_bound", files={"a.py": "A = 1\nfrom b import B\n", "b.py": "B = 2\nfrom a import A\n"}
    )
    used = {
        "a.py": "import b\nimport last\n\nVALUE = 1\n",
        "b.py": "import a\n\n\ndef read():\n    return a.VALUE\n",
        "last.py": "",
    }
    yield Tree(
        name="partial/read_in_call",
        files={**used, "caller.py": "import b\n\nVALUE = b.read()\n"},
        pairs=(("a", "caller"), ("a", "b")),
    )
    yield Tree(name="partial/never_read", files={**used, "caller.py": "import b\n"}, pairs=(("a", "caller"),))
    lower = {
        "a.py": "import b\nimport last\n\nVALUE = 1\n",
        "b.py": "import a\n\nTABLE = {}\n\n\ndef look():\n    return a.VALUE\n",
        "last.py": "",
    }
    yield Tree(name="partial/read_later", files=lower)
    direct = {"a.py": "import b\n\nVALUE = 1\n", "b.py": "import a\n\nif hasattr(a, 'VALUE'):\n    V = a.VALUE\n"}
    yield Tree(name="partial/asked_before", files=direct)


def chains() -> Iterator[Tree]:
    for length in (10, 60, 120):
        line = {f"c{number}.py": f"import c{number + 1}\n" for number in range(length)} | {f"c{length}.py": "V = 1\n"}
        pairs = (("c0", f"c{length // 2}"),)
        yield Tree(name=f"chain/line_{length}", files=line, pairs=pairs, most=40, recursion=4000)
        ring = {**line, f"c{length}.py": by_name("c0")}
        yield Tree(name=f"chain/ring_{length}", files=ring, pairs=pairs, most=40, recursion=4000)


def large() -> Iterator[Tree]:
    for twin, body in {"line": "", "barrel": "from . import m0, m1\n"}.items():
        files = {}
        for package in range(50):
            files[f"w{package}/__init__.py"] = body if package == 25 else ""
            for module in range(10):
                lower = f"import w{package - 1}.m{module}\n" if package else ""
                files[f"w{package}/m{module}.py"] = f"{lower}V = {module}\n"
        files["top.py"] = "".join(f"import w49.m{module}\n" for module in range(10))
        pairs = (("top", "w25.m1"), ("w25.m0", "w25.m1"))
        yield Tree(name=f"large/500_{twin}", files=files, pairs=pairs, most=24, recursion=8000)


def at_random() -> Iterator[Tree]:
    """Small trees with any import anywhere; many of them fail in one thread, and these are left out by their truth."""
    for seed in range(RANDOM_TREES):
        yield random_tree(seed)


def random_tree(seed):
    dice = random.Random(seed)  # noqa: S311 -- the same trees each time are what is requested
    package = dice.random() < 0.5
    names = [f"{'p.' if package else ''}m{number}" for number in range(dice.randint(3, 5))]
    files = {f"{name.replace('.', '/')}.py": _random_body(dice, name, names) for name in names}
    if package:
        files["p/__init__.py"] = "".join(
            _random_line(dice, dice.choice(names), number) for number in range(dice.choice((0, 0, 1, 2)))
        )
    pairs = dice.sample([(one, other) for place, one in enumerate(names) for other in names[place + 1 :]], 2)
    return Tree(name=f"random/{seed}", files=files, pairs=tuple(pairs))


def _random_body(dice, name, names):
    lines = ["V0 = 0\n"] if dice.random() < 0.7 else []
    others = [each for each in names if each != name]
    lines += [_random_line(dice, dice.choice(others), number) for number in range(dice.choice((0, 1, 1, 2)))]
    lines.insert(dice.randint(0, len(lines)), "V1 = 1\n")
    return "".join(lines)


def _random_line(dice, module, number):
    return dice.choice(
        (
            f"import {module}\n",
            f"from {module} import V0\n",
            f"from {module} import V1\n",
            f"from importlib import import_module\nX{number} = import_module({module!r})\n",
            f"def f{number}():\n    import {module}\n",
            f"try:\n    import {module}\nexcept ImportError:\n    pass\n",
        )
    )


FAMILIES = (
    *(barrels, nested, lazy, functions, by_names, conditions, switches),
    *(loaders, extensions, gates, partials, chains, large, at_random, lazy_trees),
)


def corpus() -> list[Tree]:
    """Return every tree, in the same order and with the same text each time."""
    return [tree for family in FAMILIES for tree in family()]
