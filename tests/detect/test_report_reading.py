from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.detect import lines, packed, parts, reading
from python_tsan.detect.reading import find_logs, read_logs
from python_tsan.result.build import Facts, build_result
from python_tsan.result.codec import encode_result
from python_tsan.result.model import Status, VerdictStatus


@pytest.fixture
def log(golden):
    (path,) = golden("race_global")
    return Path(path).read_bytes()


def only(path):
    (told,) = (result := read_logs([str(path)])).inputs
    return told, result.digest


def test_a_file_a_folder_and_a_link_to_the_file_are_read_once(tmp_path, log):
    (tmp_path / "tsan.4711").write_bytes(log)
    (tmp_path / "again.log").symlink_to("tsan.4711")
    result = read_logs([str(tmp_path / "tsan.4711"), str(tmp_path)])
    assert [each.file for each in result.inputs] == [str(tmp_path / "tsan.4711")]
    assert result.digest.blocks == 1


def test_a_folder_is_read_to_its_depths_in_order(tmp_path, log):
    for name in ("b/tsan.2", "a/deep/tsan.10", "a/out.txt", ".git/tsan.1", "a/page.html", "c/noextension"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(log)
    names = [str(path.relative_to(tmp_path)) for path in find_logs(tmp_path)]
    assert names == ["a/out.txt", "a/deep/tsan.10", "b/tsan.2", "c/noextension"]
    assert read_logs([str(tmp_path)]).digest.blocks == 4


def test_a_folder_without_logs_says_so(tmp_path):
    (tmp_path / "readme.md").write_text("x")
    told, digest = only(tmp_path)
    assert "no file in this folder has the name of a log" in told.problem
    assert digest.blocks == 0


@pytest.mark.parametrize("name", ["report.xml", "answer.JSON", "deep/results.trx"])
def test_the_report_of_a_test_runner_counts_where_no_log_has_a_finding(tmp_path, log, name):
    (tmp_path / "run.log").write_text("ThreadSanitizer: Matched 1 suppressions (pid=1):\n")
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(log)
    read = read_logs([str(tmp_path)])
    assert [each.file for each in read.inputs] == [str(tmp_path / "run.log"), str(tmp_path / name)]
    assert read.digest.blocks == 1
    (tmp_path / "other.log").write_bytes(log)
    assert read_logs([str(tmp_path)]).digest.blocks == 1


def test_a_binary_in_a_folder_is_passed_over_and_a_named_one_is_reported(tmp_path, log):
    (tmp_path / "program").write_bytes(b"\x7fELF\0\0" + log)
    (tmp_path / "core.12").write_bytes(b"\0\1\2 WARNING")
    (tmp_path / "tsan.1").write_bytes(log)
    assert [each.problem for each in read_logs([str(tmp_path)]).inputs] == [""]
    assert only(tmp_path / "program")[0].problem == "is not a log but a program or shared object"
    assert only(tmp_path / "core.12")[0].problem == "is not a log but a binary file"


def test_a_log_with_a_zero_byte_is_a_log(tmp_path, log):
    (tmp_path / "tsan.1").write_bytes(b"\0\0 progress\n" + log)
    told, digest = only(tmp_path / "tsan.1")
    assert (told.problem, told.blocks, digest.blocks) == ("", 1, 1)


def test_a_missing_file_does_not_keep_others_from_being_read(tmp_path, log):
    (tmp_path / "tsan.1").write_bytes(log)
    result = read_logs([str(tmp_path / "gone.log"), str(tmp_path / "tsan.1")])
    assert result.inputs[0].problem == "cannot be read: No such file or directory"
    assert result.digest.blocks == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_reported(tmp_path, log):
    (tmp_path / "tsan.1").write_bytes(log)
    (tmp_path / "tsan.1").chmod(0)
    assert only(tmp_path / "tsan.1")[0].problem == "cannot be read: Permission denied"


def test_a_file_name_that_is_no_text_can_be_shown(tmp_path, log):
    name = os.fsdecode(b"tsan.\xff.1")
    (tmp_path / name).write_bytes(log)
    result = read_logs([str(tmp_path / name), str(tmp_path / os.fsdecode(b"gone.\xfe"))])
    assert [each.file for each in result.inputs] == [str(tmp_path / r"tsan.\xff.1"), str(tmp_path / r"gone.\xfe")]
    assert encode_result(build_result(result.digest, Facts(inputs=tuple(result.inputs))))


def test_bytes_that_are_no_utf8_stay_readable(tmp_path, log):
    (tmp_path / "tsan.1").write_bytes(b"\xff\xfe\xfa ThreadSanitizer says \xe9\n".replace(b"\xff\xfe", b"\xfd") + log)
    told, digest = only(tmp_path / "tsan.1")
    assert (told.problem, digest.blocks) == ("", 1)
    assert digest.samples == ["\\xfd\\xfa ThreadSanitizer says \\xe9"]


@pytest.mark.parametrize("whole", [True, False])
def test_half_a_surrogate_pair_in_json_stays_readable(tmp_path, log, whole):
    text = log.decode().replace("::g_", "::\ud800_")
    lines = [text] if whole else [{"log": f"{line}\n"} for line in text.splitlines()]
    (tmp_path / "tsan.1").write_text("".join(f"{json.dumps(each)}\n" for each in lines), encoding="ascii")
    result = build_result(only(tmp_path / "tsan.1")[1])
    assert result.findings[0].location.name == "(anonymous namespace)::\\ud800_total"
    assert encode_result(result)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_believed(tmp_path, log, encoding):
    (tmp_path / "tsan.1").write_bytes(log.decode().encode(encoding))
    assert only(tmp_path / "tsan.1")[1].blocks == 1


def test_a_compressed_log_is_read_and_a_broken_one_as_far_as_it_goes(tmp_path, log):
    packed = gzip.compress(log * 50 + os.urandom(20_000).hex().encode())
    (tmp_path / "a.gz").write_bytes(packed)
    assert only(tmp_path / "a.gz")[1].blocks == 50
    (tmp_path / "b.gz").write_bytes(packed[: len(packed) // 2])
    told, digest = only(tmp_path / "b.gz")
    assert told.problem.startswith("cannot be read to its end")
    assert told.blocks == digest.blocks > 0


PACKERS = {
    "gzip": gzip.compress,
    "two members": lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "twice": lambda data: gzip.compress(lzma.compress(data)),
}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_packed_logs_are_read_to_their_end_or_leave_a_doubt(tmp_path, log, pack):
    (tmp_path / "a").write_bytes(pack(log))
    assert only(tmp_path / "a")[1].blocks == 1
    # The sanitizer spoke, and the report behind it is cut off.
    whole = pack(b"***** Running under ThreadSanitizer v3 (pid 7) *****\n" + os.urandom(300_000).hex().encode() + log)
    (tmp_path / "b").write_bytes(whole[: len(whole) // 2])
    told, digest = only(tmp_path / "b")
    assert told.problem.startswith("cannot be read to its end")
    assert digest.blocks == 0
    assert judged(tmp_path / "b").status is Status.COULD_NOT_JUDGE


def judged(path):
    read = read_logs([str(path)])
    return build_result(read.digest, Facts(inputs=tuple(read.inputs))).verdicts[0]


def test_what_is_packed_is_not_read_without_end(tmp_path, log, monkeypatch):
    monkeypatch.setattr(packed, "MAX_UNPACKED", 100_000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"ThreadSanitizer: matched\n" + b"fine\n" * 40_000 + log))
    told, _ = only(tmp_path / "bomb.gz")
    assert told.problem == "cannot be read to its end: it holds more than 0 GB"
    assert judged(tmp_path / "bomb.gz").status is Status.COULD_NOT_JUDGE


@pytest.fixture
def archive(tmp_path, log):
    with zipfile.ZipFile(tmp_path / "logs.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("0_build.txt", "fine\n")
        file.writestr("build/1_test.txt", log)
        file.writestr("build/program.log", b"\x7fELF" + bytes(100))
        file.writestr("build/page.html", log)
        file.writestr("build/inner.gz", gzip.compress(log))
    return tmp_path / "logs.zip"


def test_an_archive_of_a_build_server_is_read_as_a_folder(archive):
    read = read_logs([str(archive)])
    names = [f"{archive}/{name}" for name in ("0_build.txt", "build/1_test.txt", "build/inner.gz")]
    assert [each.file for each in read.inputs] == names
    (group,) = read.digest.groups.values()
    assert list(group.places) == names[1:]


def test_a_damaged_archive_is_reported(archive):
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2])
    told, _ = only(archive)
    assert told.problem.startswith("cannot be read to its end")
    broken = bytearray(data)
    broken[data.index(b"build/1_test.txt") + 60] ^= 0xFF
    archive.write_bytes(broken)
    assert any(each.problem.startswith("cannot be read to its end") for each in read_logs([str(archive)]).inputs)


def test_an_archive_of_too_many_files_is_refused(archive, monkeypatch):
    monkeypatch.setattr(packed, "MAX_MEMBERS", 2)
    assert only(archive)[0].problem == "cannot be read to its end: it holds more than 2 files"


def test_an_archive_on_standard_input_is_refused(archive, monkeypatch):
    reader, writer = os.pipe()
    os.write(writer, archive.read_bytes())
    os.close(writer)
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert only("-")[0].problem == "is not a log but a zip archive; unpack it"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_without_a_mark_of_their_own(tmp_path, log, encoding):
    (tmp_path / "a.log").write_bytes(log.decode().encode(encoding))
    assert only(tmp_path / "a.log")[1].blocks == 1


@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_a_report_in_the_rest_of_a_line_that_is_too_long_leaves_a_doubt(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(reading, "CHUNK", chunk)
    monkeypatch.setattr(lines, "MAX_LINE", 5000)
    start = b"ThreadSanitizer: Matched 1 suppressions (pid=1):\n" + b"x" * 6000
    (tmp_path / "a.log").write_bytes(start + b"WARNING: ThreadSanitizer: data race\nend\n")
    assert judged(tmp_path / "a.log").status is Status.COULD_NOT_JUDGE
    (tmp_path / "a.log").write_bytes(start + b" fine\nend\n")
    assert judged(tmp_path / "a.log").status is Status.PASSED


def test_a_very_long_line_is_cut_and_what_follows_is_read(tmp_path, log, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 1000)
    monkeypatch.setattr(lines, "MAX_LINE", 5000)
    monkeypatch.setattr(reading, "MAX_LINE", 5000)
    (tmp_path / "tsan.1").write_bytes(log + b"x" * 100_000 + b"\n" + log)
    told, digest = only(tmp_path / "tsan.1")
    assert digest.blocks == 2
    assert (
        told.problem
        == f"line {log.count(bytes([10])) + 1} is longer than 5,000 characters; the rest of it was left out"
    )
    (group,) = digest.groups.values()
    assert list(group.sources())[1][1] == log.count(b"\n") + 3


def test_line_numbers_do_not_depend_on_the_size_of_chunks(tmp_path, log, monkeypatch):
    (tmp_path / "tsan.1").write_bytes(log * 3)
    places = [place for _, place in next(iter(only(tmp_path / "tsan.1")[1].groups.values())).sources()]
    monkeypatch.setattr(reading, "CHUNK", 7)
    assert [place for _, place in next(iter(only(tmp_path / "tsan.1")[1].groups.values())).sources()] == places
    assert len(places) == 3


def test_standard_input_is_read(monkeypatch, log):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(log))))
    told, digest = only("-")
    assert (told.file, digest.blocks) == ("standard input", 1)


def test_whether_the_sanitizer_spoke_is_reported_for_each_file(tmp_path, golden):
    for name in ("race_global", "suppressed", "segv"):
        (source,) = golden(name)
        shutil.copy(source, tmp_path / f"{name}.log")
    (tmp_path / "hello.log").write_text("hello\n")
    (tmp_path / "empty.log").write_text("")
    spoke = {Path(each.file).stem: each.spoke for each in read_logs([str(tmp_path)]).inputs}
    assert spoke == {"race_global": True, "suppressed": True, "segv": True, "hello": False, "empty": False}


@given(st.binary(max_size=3000), st.integers(1, 64))
def test_no_bytes_make_it_fail(tmp_path_factory, data, chunk):
    path = tmp_path_factory.mktemp("bytes") / "tsan.1"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK", chunk)
        (told,) = read_logs([str(path)]).inputs
    assert told.size == len(data)


def test_pipes_and_devices_are_refused_without_being_opened(tmp_path, log):
    os.mkfifo(tmp_path / "tsan.1")
    (tmp_path / "link.log").symlink_to("tsan.1")
    (tmp_path / "tsan.2").write_bytes(log)
    refused = "is not a log but a named pipe; send its content to standard input, and name -"
    assert only(tmp_path / "tsan.1")[0].problem == refused
    assert only(tmp_path / "link.log")[0].problem == refused
    assert only("/dev/zero")[0].problem.startswith("is not a log but a device")
    result = read_logs([str(tmp_path)])
    assert [each.file for each in result.inputs] == [str(tmp_path / "tsan.2")]
    assert result.digest.blocks == 1


def appended(path, data, monkeypatch):
    """Let another process append to a log while it is read."""
    original = reading.Lines.pieces

    def pieces(self):
        for piece in original(self):
            with path.open("ab") as other:
                other.write(data)
            yield piece

    monkeypatch.setattr(reading.Lines, "pieces", pieces)


def test_what_is_added_while_a_log_is_read_is_left_out_and_reported(tmp_path, log, monkeypatch):
    path = tmp_path / "tsan.1"
    path.write_bytes(log)
    appended(path, log, monkeypatch)
    told, digest = only(path)
    assert (digest.blocks, told.size) == (1, len(log))
    added = path.stat().st_size - len(log)
    assert told.problem == f"grew while it was read: {added:,} bytes at its end were left out"


def test_a_log_that_grows_is_never_clean(tmp_path, monkeypatch, golden):
    path = tmp_path / "tsan.1"
    (source,) = golden("suppressed")
    path.write_bytes(Path(source).read_bytes())
    assert build_result(only(path)[1], Facts(inputs=(only(path)[0],))).verdict.status is VerdictStatus.CLEAN
    appended(path, b"x\n", monkeypatch)
    told, digest = only(path)
    verdict = build_result(digest, Facts(inputs=(told,))).verdict
    assert verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert verdict.reason == f"{path}: {told.problem}"
    assert told.problem.startswith("grew while it was read: ")


def test_a_log_that_never_ends_is_read_to_where_it_was(tmp_path, log, monkeypatch):
    path = tmp_path / "tsan.1"
    path.write_bytes(log * 3)
    monkeypatch.setattr(reading, "CHUNK", 500)
    appended(path, b"x" * 2000 + b"\n", monkeypatch)
    assert only(path)[1].blocks == 3


def test_a_log_that_is_cut_while_it_is_read_is_reported(tmp_path, log, monkeypatch):
    path = tmp_path / "tsan.1"
    path.write_bytes(log * 3)
    original = reading.Lines.pieces
    monkeypatch.setattr(reading.Lines, "pieces", lambda self: (os.truncate(path, 7) or each for each in original(self)))
    assert only(path)[0].problem == "was cut to 7 bytes while it was read"


def test_a_large_log_is_read_in_parts_and_one_with_holes_is_not(tmp_path, log, monkeypatch):
    parts_of = []
    monkeypatch.setattr(reading, "LARGE", 1000)
    monkeypatch.setattr(parts, "others_are_of_use", lambda: True)
    monkeypatch.setattr(parts.LogInParts, "read", lambda self: parts_of.append(self.size))
    (tmp_path / "tsan.1").write_bytes(log)
    (tmp_path / "tsan.2").write_bytes(gzip.compress(log + os.urandom(3000).hex().encode()))
    (tmp_path / "tsan.3").write_bytes(log.decode().encode("utf-16"))
    (tmp_path / "tsan.4").write_bytes(log)
    os.truncate(tmp_path / "tsan.4", 10_000_000)
    assert [each.blocks for each in read_logs([str(tmp_path)]).inputs] == [1, 1, 1, 1]
    assert parts_of == [len(log)]


@pytest.mark.parametrize(("jobs", "threads", "expected"), [(1, 1, False), (2, 2, False), (2, 1, True)])
def test_other_processes_are_of_use_on_several_cores(jobs, threads, expected, monkeypatch):
    monkeypatch.setattr(parts, "_jobs", lambda: jobs)
    monkeypatch.setattr("threading.active_count", lambda: threads)
    assert parts.others_are_of_use() is expected
