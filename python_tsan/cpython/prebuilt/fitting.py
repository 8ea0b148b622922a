"""Own whether an archive fits this machine: its plan against the one that would be carried out here. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from python_tsan.cpython.plan import BuildPlan


def refusal(there: Mapping[str, Any], here: BuildPlan) -> str:
    """Say why an interpreter built by the plan ``there`` would not be the one that ``here`` builds; empty if it is.

    The content key covers all of a plan, so this is only asked what a person is told when the keys differ. The first
    cause that explains the others is the one that is named.
    """
    ours = json.loads(here.describe())
    return next(_causes(there, ours), "")


def machine_refusal(there: Mapping[str, Any], *, libc: str, architecture: str) -> str:
    """Say why an interpreter cannot run here whatever the compiler is; empty if it may."""
    processor = architecture_of(there)
    if processor != architecture:
        return f"it was built for {processor} processors, and this one is {architecture}"
    if there.get("libc") != libc:
        return f"it was built with {there.get('libc')}, and the C library here is {libc}"
    return ""


def architecture_of(plan: Mapping[str, Any]) -> str:
    """Return the processor that a plan's compiler builds for, such as ``x86_64``."""
    # clang 19.1.7 x86_64-pc-linux-gnu
    return str(plan.get("compiler", "")).rpartition(" ")[2].partition("-")[0]


def _causes(there: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    theirs = there.get("compiler")
    if theirs != ours["compiler"]:
        yield f"it was built with {theirs}, and the compiler here is {ours['compiler']}"
    if there.get("runtime_id") != ours["runtime_id"]:
        yield (
            f"the ThreadSanitizer runtime in it is {str(there.get('runtime_id'))[:12]}..., and that of {theirs} here "
            f"is {ours['runtime_id'][:12]}..., another build of it"
        )
    differing = [name for name in ours if name != "key" and there.get(name) != ours[name]]
    if differing:
        yield f"it was built in another way than this version of python-tsan builds here: {', '.join(differing)} differ"
