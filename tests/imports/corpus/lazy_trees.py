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


def lazy_trees() -> Iterator[Tree]:
    """Yield every tree of lazy imports."""
    for family in (cycles, users, packages, loaders):
        yield from family()
