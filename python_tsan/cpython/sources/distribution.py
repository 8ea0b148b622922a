"""Get the source archive of Debian or Ubuntu without changes to the machine's apt.

apt itself reads the machine's configuration, in both of its formats and with its proxies, and checks the signatures.
Only the state is private: lists, caches and the list of sources lie in a folder that goes away afterwards.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.manifest import SourceRecord
from python_tsan.cpython.sources.provider import SourceTree, Unavailable
from python_tsan.cpython.sources.store import admit, cache_errors, scratch
from python_tsan.cpython.sources.unpack import unpack_archive
from python_tsan.process import Completed, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from python_tsan.console import Console
    from python_tsan.cpython.pins import Release
    from python_tsan.paths import Layout

_KEYRINGS = {
    "debian": Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    "ubuntu": Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}
# apt retries and resolves by itself; these bound the whole of an index (12 MB) and of an archive (30 MB).
_UPDATE_SECONDS = 300.0
_SOURCE_SECONDS = 600.0
# Security and backports pockets hold only a part of the archive, often at another address.
_POCKET = re.compile(r"-(security|updates|backports|proposed)\b|/updates$")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePackage:
    """One version of a source package and the SHA-256 of each of its files."""

    package: str
    version: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionArchive:
    """The source archive of the machine's distribution. ``timeout`` is in seconds, for one connection."""

    timeout: float
    layout: Layout
    console: Console
    name: str = "the distribution's archive"

    def provide(self, release: Release) -> SourceTree:
        """Fetch the release's original archive from a suite that carries it."""
        family = distribution_family()
        suites = release.suites.get(family, ()) if family else ()
        if not family:
            raise Unavailable("this machine is neither Debian, Ubuntu nor derived from them", whole=True)
        if not suites:
            raise Unavailable(f"no suite of {family.capitalize()} is known to have {release.version}")
        mirror = self._mirror()
        reasons = []
        for suite in suites:
            try:
                return self._from_suite(release, family, mirror, suite)
            except Unavailable as error:
                if error.evidence or error.whole:
                    raise
                reasons.append(error.reason)
        raise Unavailable("; ".join(reasons))

    def _mirror(self) -> str:
        """Return the address that the machine's own apt uses for the main archive."""
        listing = _apt(
            "apt-get", ["indextargets", "--no-release-info", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]
        )
        mirror = choose_mirror(listing.stdout.splitlines(), codename=_os_release().get("VERSION_CODENAME", ""))
        if mirror is None:
            raise Unavailable("apt's configuration names no mirror of the main archive", whole=True)
        return mirror

    def _from_suite(self, release: Release, family: str, mirror: str, suite: str) -> SourceTree:
        self.console.note(f"asking {mirror} ({suite}) for the source of CPython {release.version}")
        with scratch(self.layout) as folder:
            with cache_errors(folder):
                options = private_apt(folder, mirror=mirror, suite=suite, family=family, timeout=self.timeout)
            updated = _apt("apt-get", [*options, "update"], timeout=_UPDATE_SECONDS)
            if complaint := _complaint(updated):
                # A missing suite does not exclude the others; a mirror that does not answer would not for any suite.
                raise Unavailable(f"{mirror} {suite}: {complaint}", whole="404" not in updated.stdout + updated.stderr)
            listing = _apt("apt-cache", [*options, "showsrc", "--only-source", f"python{release.minor}"])
            package = _holding(release, parse_showsrc(listing.stdout), suite)
            path = self._download(options, package, folder)
            origin = f"{mirror} {suite} {package.package} {package.version}"
            kept = admit(path, release, origin=origin, announced=None, layout=self.layout)
        digest = kept.name.partition("-")[0]
        return SourceTree(
            path=unpack_archive(kept, digest, self.layout),
            record=SourceRecord(version=release.version, origin=origin, sha256=digest),
        )

    def _download(self, options: Sequence[str], package: SourcePackage, folder: Path) -> Path:
        requested = f"{package.package}={package.version}"
        arguments = [*options, "source", "--download-only", "--tar-only", "--only-source", requested]
        fetched = _apt("apt-get", arguments, cwd=folder, timeout=_SOURCE_SECONDS)
        found = sorted(folder.glob("*.orig.tar.*"))
        if not fetched.ok or not found:
            raise Unavailable(f"apt-get source {requested}: {_complaint(fetched) or 'brought no archive'}")
        return found[0]


def _holding(release: Release, packages: Iterable[SourcePackage], suite: str) -> SourcePackage:
    """Return the package with an archive that is pinned; known from the signed index before anything is downloaded."""
    seen = []
    for package in packages:
        if any(release.archive_with(digest) for digest in package.files.values()):
            return package
        seen.append(package.version)
    now = f"has {', '.join(seen)}" if seen else "has no such package"
    raise Unavailable(f"suite {suite} does not carry the pinned {release.version} (any more): it {now}")


def distribution_family() -> str:
    """Return ``debian`` or ``ubuntu`` after os-release, or an empty text on any other system or without apt."""
    if shutil.which("apt-get") is None:
        return ""
    facts = _os_release()
    for name in (facts.get("ID", ""), *facts.get("ID_LIKE", "").split()):
        if name in _KEYRINGS:
            return name
    return ""


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def choose_mirror(targets: Iterable[str], *, codename: str) -> str | None:
    """Choose the mirror from lines ``address suite component``: one of the machine's own release, else the first.

    Only ``main`` counts, and no pocket such as ``bookworm-security``. A ``mirror+file:`` address is as good as any.
    """
    found: list[tuple[str, str]] = []
    for line in targets:
        address, _, rest = line.strip().partition(" ")
        suite, _, component = rest.partition(" ")
        if component == "main" and not _POCKET.search(suite):
            found.append((suite, address.rstrip("/")))
    own = [address for suite, address in found if suite == codename]
    return next(iter(own or [address for _, address in found]), None)


def private_apt(folder: Path, *, mirror: str, suite: str, family: str, timeout: float) -> list[str]:
    """Prepare ``folder`` for apt and return the options that make it use only that for its state.

    The machine's configuration stays in force, save for its sources and its hooks, which would act on the machine.
    """
    for name in ("state/lists/partial", "cache/archives/partial"):
        folder.joinpath(name).mkdir(parents=True)
    keyring = _KEYRINGS[family]
    signed = f"[signed-by={keyring}] " if keyring.is_file() else ""
    folder.joinpath("sources.list").write_text(f"deb-src {signed}{mirror} {suite} main\n", encoding="utf-8")
    settings = {
        "Dir::State": folder / "state",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Acquire::http::Timeout": max(1, round(timeout)),
        "Acquire::https::Timeout": max(1, round(timeout)),
        "Acquire::Retries": 1,
        # Root's apt would download as another user, who may not write here.
        "APT::Sandbox::User": "root",
        "APT::Get::Simulate": "false",
    }
    hooks = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
    lines = [*(f"#clear {name};" for name in hooks), *(f'{name} "{value}";' for name, value in settings.items())]
    configuration = folder / "apt.conf"
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["--config-file", str(configuration)]


def parse_showsrc(text: str) -> list[SourcePackage]:
    """Read the output of ``apt-cache showsrc``: records separated by empty lines, newest first as apt orders them."""
    packages = []
    for record in re.split(r"\n\s*\n", text.strip()):
        fields = dict(re.findall(r"^(Package|Version):\s*(\S+)", record, re.MULTILINE))
        block = re.search(r"^Checksums-Sha256:[^\n]*\n((?: [^\n]*\n?)+)", record, re.MULTILINE)
        if "Version" in fields and block:
            rows = (line.split() for line in block[1].splitlines())
            files = {row[2]: row[0] for row in rows if len(row) == 3}  # noqa: PLR2004 -- hash, size, name
            packages.append(SourcePackage(package=fields["Package"], version=fields["Version"], files=files))
    return packages


def _apt(program: str, arguments: Sequence[str], *, cwd: Path | None = None, timeout: float = 60.0) -> Completed:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return run([program, *arguments], cwd=cwd, env=environment, timeout=timeout)
    except FileNotFoundError as error:
        raise Unavailable(f"{program} is not installed", whole=True) from error


def _complaint(completed: Completed) -> str:
    """Return what apt complained of: update ends with 0 even when an index could not be downloaded."""
    if completed.timed_out:
        return f"no answer within {completed.seconds:.0f} s"
    marks = ("E: ", "W: Failed", "Err:")
    lines = [line for line in (completed.stderr + completed.stdout).splitlines() if line.startswith(marks)]
    if lines:
        return lines[0].removeprefix("E: ").removeprefix("W: ")
    return "" if completed.ok else f"exit code {completed.exit_code}"
