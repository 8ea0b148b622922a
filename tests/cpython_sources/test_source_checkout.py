"""Trees: the version they state, the hash of what they hold, and tags of a real repository."""

import os
import subprocess
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lookalikes import make_release, source_files

from python_tsan.cpython.sources import checkout
from python_tsan.cpython.sources.checkout import (
    GitTags,
    content_hash,
    read_version,
    take_folder,
    tracked_files,
    why_no_release,
)
from python_tsan.cpython.sources.provider import Unavailable
from python_tsan.cpython.sources.store import is_tree
from python_tsan.errors import UsageError


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def plain_tree(folder, version="3.12.11"):
    for name, content in source_files(version).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "configure").chmod(0o755)
    return folder


@pytest.fixture
def repository(tmp_path):
    folder = plain_tree(tmp_path / "cpython")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "release")
    git(folder, "tag", "--annotate", "--message", "3.12.11", "v3.12.11")
    return folder


@pytest.fixture
def tags(repository, layout, console):
    return GitTags(url=repository.as_uri(), timeout=20, layout=layout, console=console)


def pinned(repository):
    return make_release("3.12.11", b"", commit=git(repository, "rev-parse", "HEAD"))


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ('#define PY_VERSION      "3.13.5"', "3.13.5"),
        ('#define PY_VERSION "3.14.0rc2"', "3.14.0rc2"),
        ('#  define PY_VERSION\t"3.12.11+"', "3.12.11"),
        ('#define PY_VERSION "3.15.0rc1+dev"', "3.15.0rc1"),
    ],
)
def test_the_version_that_a_tree_states(tmp_path, line, version):
    (tmp_path / "Include").mkdir()
    (tmp_path / "Include" / "patchlevel.h").write_text(f"/* head */\n{line}\n")
    assert read_version(tmp_path) == version


def test_a_tree_without_version_is_no_source(tmp_path):
    with pytest.raises(UsageError, match="is not a CPython source"):
        read_version(tmp_path)


@pytest.mark.parametrize("line", ['"3.15.0rc1 "', '"3.15.0rc1-dev"', '"next"'])
def test_a_version_that_is_not_understood_is_no_source(tmp_path, line):
    (tmp_path / "Include").mkdir()
    (tmp_path / "Include" / "patchlevel.h").write_text(f"#define PY_VERSION {line}\n")
    with pytest.raises(UsageError, match="states no PY_VERSION"):
        read_version(tmp_path)


def test_a_tree_that_is_later_than_its_tag_is_no_release(tmp_path):
    assert why_no_release(plain_tree(tmp_path / "release")) == ""
    later = plain_tree(tmp_path / "later", "3.15.0rc1+dev")
    assert why_no_release(later) == "it states 3.15.0rc1+dev, so it is later than that release"


def test_a_checkout_with_local_changes_is_no_release(repository):
    assert why_no_release(repository) == ""
    (repository / "build.log").write_text("untracked")
    assert why_no_release(repository) == ""
    (repository / "Lib" / "os.py").write_text("edited")
    git(repository, "rm", "--quiet", "configure")
    assert why_no_release(repository) == "2 tracked files changed since the commit, Lib/os.py first"


def test_git_shows_which_files_count(repository):
    (repository / "build.log").write_text("untracked")
    (repository / "Lib" / "os.py").unlink()
    assert tracked_files(repository) == ("Include/patchlevel.h", "configure")


def test_without_git_every_file_counts(tmp_path):
    folder = plain_tree(tmp_path / "tree")
    assert tracked_files(folder) == ("Include/patchlevel.h", "Lib/os.py", "configure")


def test_the_hash_follows_content_name_and_execute_bit_alone(tmp_path):
    folder = plain_tree(tmp_path / "tree")
    names = tracked_files(folder)
    first = content_hash(folder, names)
    (folder / "configure").touch()
    assert content_hash(folder, names) == first
    assert content_hash(plain_tree(tmp_path / "again"), names) == first
    (folder / "configure").chmod(0o644)
    unexecutable = content_hash(folder, names)
    (folder / "Lib" / "os.py").write_text("changed")
    assert len({first, unexecutable, content_hash(folder, names)}) == 3
    (folder / "Lib" / "os.py").rename(folder / "Lib" / "so.py")
    assert content_hash(folder, tracked_files(folder)) != content_hash(folder, names[:1])


def test_a_checkout_is_copied_under_its_hash_and_left_alone(repository, layout):
    (repository / "untracked").write_text("x")
    before = git(repository, "status", "--porcelain")
    tree = take_folder(repository, layout)
    assert tree.path == layout.sources / tree.record.sha256
    assert (tree.record.version, tree.record.origin) == ("3.12.11", str(repository))
    assert not (tree.path / "untracked").exists()
    assert not (tree.path / ".git").exists()
    assert (tree.path / "configure").stat().st_mode & 0o100
    assert git(repository, "status", "--porcelain") == before


def test_an_edited_checkout_is_another_tree(repository, layout):
    first = take_folder(repository, layout)
    assert take_folder(repository, layout) == first
    (repository / "Lib" / "os.py").write_text("edited")
    second = take_folder(repository, layout)
    assert second.path != first.path
    assert (second.path / "Lib" / "os.py").read_text() == "edited"
    assert (first.path / "Lib" / "os.py").read_text() != "edited"


def test_a_checkout_without_configure_is_refused(repository, layout):
    git(repository, "rm", "--quiet", "configure")
    with pytest.raises(UsageError, match="configure is missing"):
        take_folder(repository, layout)


def test_a_broken_repository_says_what_git_reported(tmp_path):
    folder = plain_tree(tmp_path / "tree")
    (folder / ".git").write_text("gitdir: /nowhere/at/all\n")
    with pytest.raises(UsageError, match="not a git repository"):
        tracked_files(folder)


def test_a_tag_at_the_pinned_commit_is_cloned(tags, repository, layout, console):
    tree = tags.provide(pinned(repository))
    assert is_tree(tree.path)
    assert tree.record.sha256 == content_hash(repository, tracked_files(repository))
    assert tree.record.origin == f"{repository.as_uri()} v3.12.11 ({git(repository, 'rev-parse', 'HEAD')})"
    assert "cloning v3.12.11" in console.text()
    assert list(layout.work.iterdir()) == []


class GitOverHttp(BaseHTTPRequestHandler):
    """git's own server for HTTP, one process for each request, as a web server starts it."""

    folder = ""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": self.folder,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        sent = self.rfile.read(length)
        answer = subprocess.run(["git", "http-backend"], input=sent, env=env, capture_output=True, check=True).stdout
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 -- the name that http.server calls

    def log_message(self, *_):
        """Say nothing."""


def test_a_tag_is_cloned_over_http(tags, repository):
    handler = type("Handler", (GitOverHttp,), {"folder": str(repository.parent)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        over_http = replace(tags, url=f"http://127.0.0.1:{server.server_port}/{repository.name}/.git")
        tree = over_http.provide(pinned(repository))
        with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:\d+/cpython/\.git has no tag v3\.12\.12"):
            over_http.provide(make_release("3.12.12", b"", commit="0" * 40))
        server.shutdown()
    assert tree.record.sha256 == content_hash(repository, tracked_files(repository))
    assert tree.record.origin.startswith(over_http.url)


def test_a_light_tag_will_do(tags, repository):
    git(repository, "tag", "--delete", "v3.12.11")
    git(repository, "tag", "v3.12.11")
    assert tags.provide(pinned(repository)).record.version == "3.12.11"


def test_a_tag_without_pinned_commit_is_refused(tags):
    with pytest.raises(Unavailable, match="is not pinned"):
        tags.provide(make_release("3.12.11", b""))


def test_a_moved_tag_is_refused_before_cloning(tags, repository, layout):
    release = pinned(repository)
    (repository / "Lib" / "os.py").write_text("evil")
    git(repository, "commit", "--quiet", "--all", "--message", "evil")
    git(repository, "tag", "--force", "--annotate", "--message", "moved", "v3.12.11")
    with pytest.raises(Unavailable, match="names commit") as caught:
        tags.provide(release)
    assert release.commit in caught.value.reason
    assert not layout.sources.exists()


def test_a_clone_at_another_commit_is_refused(tags, repository, monkeypatch, layout):
    release = pinned(repository)
    (repository / "Lib" / "os.py").write_text("evil")
    git(repository, "commit", "--quiet", "--all", "--message", "evil")
    git(repository, "tag", "--force", "v3.12.11")
    monkeypatch.setattr(GitTags, "_refuse_other_commit", lambda *_: None)
    with pytest.raises(Unavailable, match="not at the pinned commit"):
        tags.provide(release)
    assert not layout.sources.exists()


def test_a_missing_tag_leaves_the_repository_in_use(tags, repository):
    with pytest.raises(Unavailable, match=r"has no tag v3\.12\.10") as caught:
        tags.provide(replace(pinned(repository), version="3.12.10"))
    assert not caught.value.whole


def test_a_missing_repository_is_whole(tags, repository, tmp_path):
    with pytest.raises(Unavailable) as caught:
        replace(tags, url=str(tmp_path / "none")).provide(pinned(repository))
    assert caught.value.whole
    assert caught.value.reason


def test_no_git_is_whole(tags, repository, monkeypatch, tmp_path):
    release = pinned(repository)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="git is not installed") as caught:
        tags.provide(release)
    assert caught.value.whole


def test_a_repository_that_hangs_costs_a_quarter_of_the_limit(tags, repository, monkeypatch):
    deadlines = []
    monkeypatch.setattr(checkout, "_git", lambda _, *, timeout: deadlines.append(timeout))
    with pytest.raises(Unavailable):
        tags.provide(pinned(repository))
    assert deadlines == [5.0]
