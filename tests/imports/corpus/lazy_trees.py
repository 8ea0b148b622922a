"""Trees of lazy imports (PEP 810), for Python 3.15 and later, hazardous and harmless twins side by side.

Most are the one legal cycle that can break: ``half`` uses ``a`` in its body and reads ``a.A`` only when ``read`` is
called, and ``a`` uses ``half`` before it binds ``A`` (in the twin, after that). The uses are written in many ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.import_score.model import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

SINCE = (3, 15)
PAIR = (("u:f", "u:g"),)
BOUND = "lazy import a\nlazy import b\n"


def user(bound: str, f: str = "a.A", g: str = "b.B", parameters: str = "") -> str:
    return f"{bound}\n\ndef f():\n    return {f}\n\n\ndef g({parameters}):\n    return {g}\n"


USER = user(BOUND)
A = {
    "late": "{half}{half_used}import last\nA = 1\n",
    "early": "A = 1\n{half}{half_used}import last\n",
}
HALF = "{a}{a_used}\n\ndef read():\n    return {a_name}.A\n"
B = "{half}B = {half_name}.read()\n"
# How a module binds another one, and what it calls it then.
STYLES = {
    "eager": ("import {0}\n", "{0}"),
    "lazy": ("lazy import {0}\n", "{0}"),
    "renamed": ("lazy import {0} as other\n", "other"),
    "modules": ("__lazy_modules__ = ['{0}']\nimport {0}\n", "{0}"),
    "in_with": ("import contextlib\nwith contextlib.suppress(ImportError):\n    import {0}\n", "{0}"),
    "in_try": ("try:\n    import {0}\nexcept ImportError:\n    pass\n", "{0}"),
    "in_finally": ("try:\n    pass\nfinally:\n    import {0}\n", "{0}"),
}


def cycle(style: str, when: str, text: str = USER) -> dict[str, str]:
    statement, name = STYLES[style]
    half, a = statement.format("half"), statement.format("a")
    used = {"half_used": f"{name.format('half')}.__name__\n", "a_used": f"{name.format('a')}.__name__\n"}
    words = {"half": half, "a": a, "half_name": name.format("half"), "a_name": name.format("a"), **used}
    return {
        "u.py": text,
        "a.py": A[when].format(**words),
        "half.py": HALF.format(**words),
        "b.py": B.format(**words),
        "last.py": "",
    }


def tree(name: str, files: dict[str, str], pairs: tuple[tuple[str, str], ...] = PAIR, **more) -> Tree:
    return Tree(name=f"pep810/{name}", files=files, pairs=pairs, since=SINCE, **more)


def cycles() -> Iterator[Tree]:
    for style in STYLES:
        for when in A:
            for mode in ("normal", "all"):
                yield tree(f"cycle_{style}_{when}_{mode}", cycle(style, when), lazy=mode)


def users() -> Iterator[Tree]:
    """The cycle, and more ways in which a function comes to use a lazy name."""
    method = "\n\nclass K:\n    @staticmethod\n    def g():\n        return b\n"
    ways = {
        "attribute": user("import o\n", "o.a", "o.b"),
        "from_inside": "def f():\n    from o import a\n\n\ndef g():\n    from o import b\n",
        "from_lazily": user("lazy from a import A\nlazy from b import B\n", "A", "B"),
        "method": USER + method,
        "annotation": user(BOUND + "lazy import apart\n", parameters="x: b.B = 0", g="apart.__name__"),
        "own_name": user(BOUND, "a", "b", parameters="b=0"),
        "used_before": user(BOUND + "X = b.B\n"),
        "filtered": "import sys\nsys.set_lazy_imports_filter(lambda *_: False)\n" + USER,
        "eager": USER.replace("lazy ", ""),
    }
    for way, text in ways.items():
        pairs = (("u:f", "u:K.g"),) if way == "method" else PAIR
        yield tree(f"user_{way}", {**cycle("eager", "late", text), "o.py": BOUND, "apart.py": ""}, pairs)
    yield tree("user_pre_imported", cycle("lazy", "late"), main=("a",))


def packages() -> Iterator[Tree]:
    half = {"late": "import p.half\nimport p.last\nA = 1\n", "early": "A = 1\nimport p.half\nimport p.last\n"}
    for when, a in half.items():
        files = {
            "u.py": user("lazy import p.a\nlazy import p.b\n", "p.a.A", "p.b.B"),
            "p/__init__.py": "",
            "p/a.py": a,
            "p/half.py": "lazy from p import a\na.__name__\n\n\ndef read():\n    return a.A\n",
            "p/b.py": "from p import half\nB = half.read()\n",
            "p/last.py": "",
        }
        yield tree(f"package_{when}", files)
        yield tree(f"package_by_from_{when}", {**files, "u.py": user("lazy from p import a, b\n")})
    names = "lazy from .m0 import V0\nlazy from .m1 import V1\n"
    barrel = {"p/__init__.py": names, "p/m0.py": "V0 = 0\n", "p/m1.py": "V1 = 1\n"}
    pairs = (("p.m0", "p.m1"), ("p", "p.m1"))
    yield tree("barrel_unused", barrel, pairs)
    yield tree("barrel_used_in_body", {**barrel, "p/__init__.py": names + "X = V0, V1\n"}, pairs)
    called = {**barrel, "p/__init__.py": user(names, "V0", "V1")}
    yield tree("barrel_used_in_calls", called, (("p:f", "p:g"), ("p:f", "p.m1")))
    child = {"p/__init__.py": user("lazy import p.c\n", "p.c.V", "p.c"), "p/c.py": user("import p\nV = 1\n", "p", "p")}
    yield tree("parent_and_child", child, (("p:f", "p.c"), ("p:f", "p.c:g"), ("p:f", "p:g")))


def loaders() -> Iterator[Tree]:
    from .trees import CREATING, FINDING, by_name  # noqa: PLC0415 -- that module has all families

    use = "lazy import {0}\n\n\ndef f():\n    return {0}\n"
    users = {"u.py": use.format("a"), "v.py": use.format("b")}
    pair = (("u:f", "v:f"),)
    ring = {"hook.py": CREATING.format(requested={"a": "b", "b": "a"}), "a.py": "", "b.py": "", **users}
    yield tree("create_ring", ring, pair, main=("hook", "u", "v"))
    line = {**ring, "hook.py": CREATING.format(requested={"a": "b"})}
    yield tree("create_line", line, pair, main=("hook", "u", "v"))
    yield tree("by_name_ring", {"a.py": by_name("b"), "b.py": by_name("a"), **users}, pair)
    finder = {
        "hook.py": FINDING,
        "requested.py": "",
        "needed.py": "import extra\n",
        "extra.py": "",
        "u.py": use.format("requested"),
        "v.py": use.format("needed"),
    }
    yield tree("finder", finder, pair, main=("hook", "u", "v"))
    yield tree("finder_pre_imported", finder, pair, main=("hook", "u", "v", "needed"))


HUB = {
    "late": "import port\nimport tail\nTABLE = {{1: 2}}\n{deco}",
    "early": "{deco}TABLE = {{1: 2}}\nimport port\nimport tail\n",
}
DECO = "def deco(f):\n    return f\n"
# A function body, in which another module and its name are replaced for the second function.
PLACES = {
    "nested": "def inner():\n    return hub.TABLE\nreturn inner()",
    "lambda": "return (lambda: hub.TABLE)()",
    "generator": "return list(hub.TABLE for _ in (1, 2))",
    "coroutine": "async def inner():\n    return hub.TABLE\ntry: inner().send(None)\nexcept StopIteration: pass",
    "shadowed_in_comprehension": "names = [hub for hub in (1, 2)]\nreturn hub.TABLE",
    "shadowed_by_lambda": "key = lambda hub: hub\nreturn key(1), hub.TABLE",
    "shadowed_by_argument": "def inner(hub):\n    return hub\nreturn inner(1), hub.TABLE",
    "shadowed_in_class": "class C:\n    hub = hub.TABLE\nreturn C",
    "default": "def inner(x=hub.TABLE):\n    return x\nreturn inner()",
    "decorator": "@hub.deco\ndef inner():\n    return 1\nreturn hub.TABLE",
    "match_value": "match 1:\n    case hub.TABLE:\n        return 1",
    "format": "return f'{hub.TABLE}'",
    "handler": "try:\n    raise ValueError\nexcept ValueError:\n    return hub.TABLE",
    "global_rebound": "global hub\nx = hub.TABLE\nhub = None\nreturn x",
    # These use no lazy name.
    "own_capture": "apart.X\nmatch 1:\n    case hub:\n        return hub",
    "own_error": "apart.X\ntry:\n    raise ValueError\nexcept ValueError as hub:\n    return hub.args",
    "own_function": "apart.X\ndef hub():\n    return 1\nreturn hub()",
    "own_class": "apart.X\nclass hub:\n    TABLE = 1\nreturn hub.TABLE",
    "own_walrus": "apart.X\nif (hub := 1):\n    return hub",
    "inner_annotation": "apart.X\ndef inner(x: hub.TABLE) -> hub.TABLE:\n    return x\nreturn inner(1)",
    "type_alias": "apart.X\ntype X = hub.TABLE\nreturn 1",
    "never": "apart.X\nif False:\n    return hub.TABLE",
}
LAZILY = "lazy import hub\nlazy import front\nlazy import apart\n"
BODIES = {
    "default": "lazy import {0}\ndef f(x={0}.{1}): pass\n",
    "decorator": "lazy import {0}\n@{0}.deco\ndef f(): pass\nX = {0}.{1}\n",
    "class": "lazy import {0}\nclass C:\n    x = [{0}.{1} for _ in (1,)]\n",
    "annotation": "lazy import {0}\nx: {0}.{1} = 1\n",
    "eval": "lazy import {0}\nX = eval('{0}.{1}')\n",
    "taken_by_star": "from all_{0} import *\nX = {0}.{1}\n",
}


def hub(when: str, app: str = "", **more: str) -> dict[str, str]:
    """``front`` reads ``hub.TABLE`` by way of ``port``, which ``hub`` imports before it has bound that, or after."""
    return {
        "app.py": app,
        "hub.py": HUB[when].format(deco=DECO),
        "port.py": "import hub\n\n\ndef table():\n    return hub.TABLE\n",
        "front.py": f"import port\nDATA = port.table()\n{DECO}",
        "tail.py": "",
        "apart.py": "X = 1\n",
        **{f"{name}.py": text for name, text in more.items()},
    }


def functions(one: str, bound: str = LAZILY, name: str = "def {}():") -> str:
    two = one.replace("hub.TABLE", "front.DATA").replace("hub", "front")
    texts = ["".join(f"    {line}\n" for line in text.splitlines()) for text in (one, two)]
    return f"{bound}\n\n{name.format('one')}\n{texts[0]}\n\n{name.format('two')}\n{texts[1]}"


def places() -> Iterator[Tree]:
    pair = (("app:one", "app:two"),)
    called = "def _one():\n    return hub.TABLE\n\n\ndef _two():\n    return front.DATA\n"
    subclass = "\n\nclass M(types.ModuleType):\n    pass\n\n\nsys.modules[__name__].__class__ = M\n"
    chain = {f"r{number}": f"lazy from r{number + 1} import hub, front\n" for number in range(5)} | {"r5": LAZILY}
    hook = {
        "hook": f"{LAZILY}def __getattr__(name):\n    if name == 'one': return hub.TABLE\n"
        "    if name == 'two': return front.DATA\n    raise AttributeError(name)\n"
    }
    for when in HUB:
        ways = {
            **{way: (functions(text), {}) for way, text in PLACES.items()},
            "generic": (functions("return hub.TABLE", name="def {}[T]():"), {}),
            "generic_own": (functions("apart.X\nreturn hub", name="def {}[hub, front]():"), {}),
            "cached": (functions("return hub.TABLE", f"import functools\n{LAZILY}", "@functools.cache\ndef {}():"), {}),
            "helper": (f"{LAZILY}{called}\n\ndef one():\n    _one()\n\n\ndef two():\n    _two()\n", {}),
            "subclass": (f"import sys\nimport types\n{functions('return hub.TABLE')}{subclass}", {}),
            "chain": (functions("return hub.TABLE", "lazy from r0 import hub, front\n"), chain),
            "chain_read": (functions("return r0.hub.TABLE", "lazy import r0\n"), chain),
            "hook": ("import hook\n\n\ndef one():\n    hook.one\n\n\ndef two():\n    hook.two\n", hook),
        }
        for way, (app, more) in ways.items():
            yield tree(f"place_{way}_{when}", hub(when, app, **more), pair)
        for way, text in BODIES.items():
            names = {f"all_{name}": f"lazy import {name}\n" for name in ("hub", "front")}
            bodies = {"m": text.format("hub", "TABLE"), "n": text.format("front", "DATA"), **names}
            yield tree(f"body_{way}_{when}", hub(when, **bodies), (("m", "n"),))


def lazy_trees() -> Iterator[Tree]:
    """Yield every tree of lazy imports."""
    for family in (cycles, users, packages, loaders, places):
        yield from family()
