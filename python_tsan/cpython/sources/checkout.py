"""Take sources that are trees already: a folder that the user names, and a git tag."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.cpython.manifest import SourceRecord
from python_tsan.cpython.sources.provider import SourceTree, Unavailable
from python_tsan.cpython.sources.store import adopt_tree, cache_errors, is_tree, scratch, tree_path
from python_tsan.errors import UsageError
from python_tsan.plain_text import counted, last_line
from python_tsan.process import Completed, run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.cpython.pins import Release
    from python_tsan.paths import Layout

# #define PY_VERSION      "3.12.11"   /   "3.14.7+"   /   "3.15.0rc1+dev"
_PY_VERSION = re.compile(
    r'^#\s*define\s+PY_VERSION\s+"(?P<version>[0-9.]+(?:(?:a|b|rc)\d+)?)(?P<later>\+\w*)?"', re.MULTILINE
)
# As for HTTP: a first answer is due in a quarter of the time limit.
_ANSWER_SHARE = 0.25
_CLONE_SECONDS = 900.0


def read_version(tree: Path) -> str:
    """Return the version that ``Include/patchlevel.h`` states; the ``+`` of a tree after its tag is dropped.

    Raises :class:`UsageError` when the tree states none.
    """
    return _stated(tree)["version"]


def why_no_release(tree: Path) -> str:
    """Say why a tree is not a release, though it states the version of one; empty if nothing speaks against it.

    Raises :class:`UsageError` as :func:`read_version` does.
    """
    stated = _stated(tree)
    if stated["later"]:
        return f"it states {stated['version']}{stated['later']}, so it is later than that release"
    checkout = tree.joinpath(".git").exists()
    answer = _git(["-C", tree, "diff", "--name-only", "-z", "HEAD"], timeout=60) if checkout else None
    changed = list(filter(None, answer.stdout.split("\0"))) if answer and answer.ok else []
    return f"{counted(len(changed), 'tracked file')} changed since the commit, {changed[0]} first" if changed else ""


def _stated(tree: Path) -> re.Match[str]:
    path = tree / "Include" / "patchlevel.h"
    try:
        match = _PY_VERSION.search(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        match = None
    if match is None:
        raise UsageError(
            f"{tree} is not a CPython source tree: Include/patchlevel.h states no PY_VERSION",
            evidence=tree,
            advice="name a CPython checkout, an unpacked source, or a source archive with --source",
        )
    return match


def tracked_files(tree: Path) -> tuple[str, ...]:
    """Return the files that make up a tree, as sorted relative paths: those git tracks, or all where there is no git.

    Raises :class:`UsageError` when git refuses to list them.
    """
    if tree.joinpath(".git").exists():
        listing = _git(["-C", tree, "ls-files", "-z"], timeout=60)
        if listing is None or not listing.ok:
            why = "git is not installed" if listing is None else _last_line(listing)
            raise UsageError(f"cannot list the files of the checkout {tree}: {why}", evidence=tree)
        names: Iterable[str] = listing.stdout.split("\0")
    else:
        names = (str(path.relative_to(tree)) for path in tree.rglob("*"))
    return tuple(sorted(name for name in names if name and (tree / name).is_file()))


def content_hash(tree: Path, names: Iterable[str]) -> str:
    """Return the SHA-256 over names, execute bits and contents, which does not depend on git, times or owners."""
    total = hashlib.sha256()
    for name in names:
        path = tree / name
        executable = b"x" if os.access(path, os.X_OK) else b"-"
        digest = hashlib.sha256(path.read_bytes()).digest()
        total.update(name.encode("utf-8", "surrogateescape") + b"\0" + executable + digest)
    return total.hexdigest()


def take_folder(folder: Path, layout: Layout) -> SourceTree:
    """Copy the files of ``folder`` into the cache, under the hash of what they hold, and return that tree.

    Building from a copy keeps the checkout clean, and edits during a build out of it. The record's origin is
    ``folder`` itself.
    """
    record, names = describe_folder(folder)
    path = tree_path(record.sha256, layout)
    if is_tree(path):
        return SourceTree(path=path, record=record)
    with scratch(layout) as work, cache_errors(work):
        inside = work / "tree"
        for name in names:
            target = inside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, target)
        if not is_tree(inside):
            raise UsageError(f"{folder} is not a complete CPython source tree: configure is missing", evidence=folder)
        return SourceTree(path=adopt_tree(inside, record.sha256, layout), record=record)


def describe_folder(folder: Path) -> tuple[SourceRecord, tuple[str, ...]]:
    """Return what a tree is, and its files."""
    version = read_version(folder)
    names = tracked_files(folder)
    return SourceRecord(version=version, origin=str(folder), sha256=content_hash(folder, names)), names


@dataclass(frozen=True, slots=True, kw_only=True)
class GitTags:
    """The tags of a CPython repository at ``url``. ``timeout`` is in seconds."""

    url: str
    timeout: float
    layout: Layout
    console: Console
    name: str = "git"

    def provide(self, release: Release) -> SourceTree:
        """Clone the release's tag, provided that it names the pinned commit.

        A git commit id covers every file, so the id is the check, and the content hash is only the tree's name.
        """
        if not release.commit:
            raise Unavailable(f"the commit of tag {release.tag} is not pinned, so a clone could not be checked")
        self._refuse_other_commit(release)
        self.console.note(f"cloning {release.tag} from {self.url}")
        with scratch(self.layout) as folder:
            clone = folder / "clone"
            self._clone(release, clone)
            tree = take_folder(clone, self.layout)
        origin = f"{self.url} {release.tag} ({release.commit})"
        record = SourceRecord(version=release.version, origin=origin, sha256=tree.record.sha256)
        return SourceTree(path=tree.path, record=record)

    def _refuse_other_commit(self, release: Release) -> None:
        """Ask the repository what the tag names, which costs little and fails soon."""
        ref = f"refs/tags/{release.tag}"
        answer = _git(["ls-remote", "--", self.url, ref, f"{ref}^{{}}"], timeout=self.timeout * _ANSWER_SHARE)
        if answer is None:
            raise Unavailable("git is not installed", whole=True)
        if answer.timed_out:
            raise Unavailable(f"{self.url} did not answer in {self.timeout * _ANSWER_SHARE:g} s", whole=True)
        if not answer.ok:
            raise Unavailable(_last_line(answer), whole=True)
        found = {name: commit for commit, _, name in (line.partition("\t") for line in answer.stdout.splitlines())}
        # An annotated tag is an object of its own; the line with ^{} gives the commit that it names.
        commit = found.get(f"{ref}^{{}}", found.get(ref, ""))
        if not commit:
            raise Unavailable(f"{self.url} has no tag {release.tag}")
        if commit != release.commit:
            raise Unavailable(f"tag {release.tag} names commit {commit}, pinned is {release.commit}")

    def _clone(self, release: Release, clone: Path) -> None:
        slow = ["-c", "http.lowSpeedLimit=1000", "-c", f"http.lowSpeedTime={max(1, round(self.timeout))}"]
        exact = ["-c", "core.autocrlf=false", "-c", "core.symlinks=true", "-c", "transfer.fsckObjects=true"]
        options = [*slow, *exact, "clone", "--quiet", "--depth=1", f"--branch={release.tag}"]
        made = _git([*options, "--", self.url, clone], timeout=_CLONE_SECONDS)
        if made is None or not made.ok:
            raise Unavailable(f"cloning {release.tag} failed: {_last_line(made)}" if made else "git is not installed")
        head = _git(["-C", clone, "rev-parse", "HEAD"], timeout=60)
        if head is None or head.stdout.strip() != release.commit:
            raise Unavailable(f"the clone of {release.tag} is not at the pinned commit {release.commit}")


def _git(arguments: list[str | Path], *, timeout: float) -> Completed | None:
    """Run git without questions to the user; None when there is no git."""
    environment = {name: value for name, value in os.environ.items() if name not in {"GIT_DIR", "GIT_WORK_TREE"}}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        return run(["git", *arguments], env=environment, timeout=timeout)
    except FileNotFoundError:
        return None


def _last_line(completed: Completed) -> str:
    return last_line(completed.stderr) or f"git ended with exit code {completed.exit_code}"
