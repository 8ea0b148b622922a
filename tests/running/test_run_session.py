import datetime as dt
import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from run_logs import golden
from test_run_preflight import interpreter
from test_run_rules import RACE, location

from python_tsan.cli.run import last_words
from python_tsan.errors import Interrupted, UsageError
from python_tsan.result.baseline import parse_baseline
from python_tsan.result.codec import decode_result
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import BaselineState, VerdictStatus
from python_tsan.running.expected import CLEAN, parse_expectation
from python_tsan.running.record import load_replay
from python_tsan.running.rules import Rules
from python_tsan.running.suppressing import read_suppressions
from python_tsan.tsan.digest import Digest


def fingerprint(name="race_global"):
    digest = Digest()
    digest.add(golden(name).splitlines(), name)
    return next(iter(digest.groups))


def known(today, expires, name="race_global"):
    text = (
        f'version = 1\n[[finding]]\nfingerprint = "{fingerprint(name)}"\n'
        f'reason = "r"\nlink = "l"\nexpires = {expires}\n'
    )
    return Rules(expectation=CLEAN, today=today, baseline=parse_baseline(text, "known.toml"))


def test_a_race_is_red_and_everything_is_in_the_folder(make_session, racy, tmp_path):
    report, folder = make_session(racy, formats=("json", "sarif", "junit", "html", "markdown")).run()
    assert report.verdict.status is VerdictStatus.FINDINGS
    assert report.failing[0].fingerprint == fingerprint()
    assert report.subject.exit_codes == (66,)
    assert {path.name for path in folder.iterdir()} == {
        "1", "junit.xml", "replay.json", "report.html", "report.md", "report.sarif", "run.json",
    }  # fmt: skip
    assert decode_result((folder / "run.json").read_bytes()) == report
    assert (tmp_path / "runs" / "latest").resolve() == folder
    assert load_replay(folder).findings == tuple(each.fingerprint for each in report.findings)


def test_a_program_without_findings_is_green(make_session, program):
    report, folder = make_session(program("print('hello')")).run()
    assert report.verdict.status is VerdictStatus.CLEAN
    assert (folder / "1" / "stdout.txt").read_text() == "hello\n"


def test_it_starts_where_the_caller_stands_and_with_the_callers_variables(make_session, program, tmp_path):
    code = "print(os.getcwd(), os.environ['MINE'], os.environ['DEBUGINFOD_URLS'] == '', os.environ['TSAN_OPTIONS'])"
    env = {"MINE": "kept", "TSAN_OPTIONS": "history_size=2:log_path=/nowhere"}
    report, folder = make_session(program(code), env=env).run()
    where, mine, silent, options = (folder / "1" / "stdout.txt").read_text().strip().split(" ", 3)
    assert (Path(where), mine, silent) == (tmp_path, "kept", "True")
    assert "history_size=2" in options
    assert "halt_on_error=0" in options
    assert "print_suppressions=1" in options
    assert str(folder / "1" / "logs") in options
    assert any("log_path=/nowhere is ignored" in note for note in report.provenance.notes)


def test_children_have_a_log_each_and_are_judged(make_session, program):
    code = f"""
if os.fork() == 0:
    log.with_name("tsan." + str(os.getpid())).write_text({golden("race_heap")!r})
    os._exit(0)
os.wait()
log.write_text({golden("race_global")!r}); sys.exit(66)"""
    report, folder = make_session(program(code)).run()
    assert len(list((folder / "1" / "logs").iterdir())) == 2
    assert {fingerprint(), fingerprint("race_heap")} <= {each.fingerprint for each in report.findings}


@pytest.mark.parametrize(("until", "runs"), [(False, 4), (True, 2)])
def test_repeats_are_counted_and_stop_early_when_asked(make_session, program, tmp_path, until, runs):
    code = f"""
count = pathlib.Path({str(tmp_path / "count")!r})
number = len(count.read_text()) if count.exists() else 0
count.write_text("x" * (number + 1))
if number == 1: log.write_text({golden("race_global")!r}); sys.exit(66)"""
    report, _ = make_session(program(code), repeat=4, until_found=until).run()
    rate = report.subject.rate
    assert (rate.found, rate.runs) == (1, runs)
    assert 0 < rate.low < 1 / runs < rate.high < 1
    assert sorted(report.subject.exit_codes) == [0] * (runs - 1) + [66]
    assert report.findings[0].occurrences == 1


def test_a_deadline_ends_a_program_that_ignores_the_polite_signal(make_session, program):
    code = """import signal, time
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)
time.sleep(60)"""
    started = time.monotonic()
    report, folder = make_session(program(code), timeout=3.0).run()
    assert time.monotonic() - started < 40
    assert report.verdict.status is VerdictStatus.FINDINGS
    assert "still running at its deadline of 3 s; needed 0." in report.verdict.reason
    assert ": hung (stacks: stacks-native.txt" in report.verdict.reason
    assert report.subject.exit_codes == (-signal.SIGKILL,)
    assert (folder / "1" / "stacks-native.txt").stat().st_size
    assert str(folder / "1" / "stacks-native.txt") in report.subject.stacks


def test_a_program_is_interrupted_first_so_that_it_can_print_what_it_has(make_session, program):
    code = """import time
try: time.sleep(60)
except KeyboardInterrupt: print("2 failed", flush=True); sys.exit(2)"""
    report, folder = make_session(program(code), timeout=1.0).run()
    assert (folder / "1" / "stdout.txt").read_text() == "2 failed\n"
    assert report.subject.exit_codes == (2,)
    assert report.verdict.status is VerdictStatus.FINDINGS


def test_a_slow_program_is_distinguished_from_one_that_hangs(make_session, program):
    report, _ = make_session(program("while True: pass"), timeout=2.0).run()
    assert "slow or in an endless loop, raise --timeout (stacks" in report.verdict.reason


def test_a_known_finding_is_green_and_an_expired_one_red(make_session, racy):
    today = dt.date(2026, 6, 1)
    for expires, status, state in (
        ("2026-12-31", VerdictStatus.CLEAN, BaselineState.SEEN),
        ("2026-01-01", VerdictStatus.FINDINGS, BaselineState.EXPIRED),
    ):
        report, _ = make_session(racy, rules=known(today, expires)).run()
        other = {each.fingerprint for each in report.findings} - {fingerprint()}
        assert not other
        assert report.verdict.status is status
        assert report.baseline.entries[0].state is state


def test_an_entry_that_no_longer_occurs_fails(make_session, program):
    report, _ = make_session(program(""), rules=known(dt.date(2026, 6, 1), "2026-12-31")).run()
    assert report.verdict.status is VerdictStatus.FINDINGS
    assert "no longer occurs" in report.verdict.reason


def test_an_expected_race_is_green_and_its_absence_red(make_session, racy, program):
    rules = Rules(expectation=parse_expectation(RACE.format(location()), "e"), today=None)
    report, _ = make_session(racy, rules=rules).run()
    assert report.verdict.status is VerdictStatus.CLEAN
    assert report.findings[0].status is FindingStatus.EXPECTED
    report, _ = make_session(program("", name="fixed"), rules=rules).run()
    assert "which was not seen" in report.verdict.reason


def test_suppressions_are_merged_for_the_runtime_and_the_unused_are_named(make_session, program, tmp_path):
    file = tmp_path / "quiet.txt"
    file.write_text("race:known_writer\nrace:never\n")
    placed = read_suppressions([file])
    rules = Rules(expectation=CLEAN, today=None, suppressions=placed)
    report, folder = make_session(program(f"log.write_text({golden('suppressed')!r})"), rules=rules).run()
    assert (folder / "suppressions.txt").read_text() == "race:known_writer\nrace:never\n"
    assert f"suppressions={folder / 'suppressions.txt'}" in report.provenance.tsan_options
    assert [use.matched for use in report.suppressions] == [1, 0]
    assert [text for text in report.verdict.downgrades if "race:never" in text]
    assert not [text for text in report.verdict.downgrades if "known_writer" in text]


def test_the_last_line_are_those_of_a_run_that_failed(make_session, program):
    code = "n = int(log.parent.parent.name); print('first\\n words of', n, file=sys.stderr); sys.exit(3 * (n == 2))"
    report, folder = make_session(program(code), repeat=3).run()
    assert last_words(report, folder) == "words of 2"
    fatal = "Fatal Python error: Py_EndInterpreter: thread is not current"
    code = f"print('before\\n{fatal}\\nstate: initialized\\n\\n  <no Python frame>', file=sys.stderr); sys.exit(1)"
    report, folder = make_session(program(code, name="fatal")).run()
    assert last_words(report, folder) == fatal
    report, folder = make_session(program("print('all is well', file=sys.stderr)", name="fine")).run()
    assert last_words(report, folder) == ""


def test_exit_66_without_a_finding_is_no_verdict(make_session, program):
    report, _ = make_session(program("sys.exit(66)")).run()
    assert report.verdict.status is VerdictStatus.COULD_NOT_JUDGE


def test_findings_that_went_to_standard_error_are_no_clean_run(make_session, program):
    report, _ = make_session(program("print('WARNING: ThreadSanitizer: data race (pid=1)', file=sys.stderr)")).run()
    assert report.verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert "to standard error" in report.verdict.reason


def test_an_interrupt_keeps_what_was_seen(make_session, racy, tmp_path):
    session = make_session(racy, repeat=3)
    attempt = session._run_once

    def interrupted(number, variables):
        if number == 2:
            raise KeyboardInterrupt
        return attempt(number, variables)

    session._run_once = interrupted
    told = []
    with pytest.raises(Interrupted) as caught:
        session.run(cut=lambda report, folder: told.append((report, folder)))
    ((shown, folder),) = told
    assert caught.value.message == "1 of 3 runs had ended"
    assert caught.value.evidence == folder
    assert caught.value.advice == f"python-tsan replay {folder} --repeat 2"
    report = decode_result((tmp_path / "runs" / "latest" / "run.json").read_bytes())
    assert report.subject.rate.runs == 1
    assert report.findings
    assert "interrupted after 1 of 3 runs" in report.verdict.downgrades
    assert shown == report


def test_a_run_that_was_interrupted_is_not_called_clean(make_session, program):
    session = make_session(program(""), repeat=3)
    attempt = session._run_once

    def interrupted(number, variables):
        if number == 3:
            raise KeyboardInterrupt
        return attempt(number, variables)

    session._run_once = interrupted
    told = []
    with pytest.raises(Interrupted):
        session.run(cut=lambda report, _: told.append(report))
    assert told[0].verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert told[0].verdict.reason == "interrupted after 2 of 3 runs"


def test_the_log_of_the_run_that_was_interrupted_is_not_elsewhere(make_session, program):
    session = make_session(program(""))
    session.companion = Path("companion.so")

    def interrupted(number, _):
        gathered = session._gathered
        options = f"{gathered.tsan_options} log_path='{gathered.folder.path}/{number}/logs/tsan'"
        start = {"pid": 7, "parent": 1, "program": "/bin/racer", "options": options, "log": ""}
        gathered.hook_folder.mkdir(exist_ok=True)
        (gathered.hook_folder / "starts.7.jsonl").write_text(json.dumps(start) + "\n")
        raise KeyboardInterrupt

    session._run_once = interrupted
    told = []
    with pytest.raises(Interrupted):
        session.run(cut=lambda report, _: told.append(report))
    reason = told[0].verdict.reason
    assert reason.startswith("interrupted after 0 of 1 ")
    assert "elsewhere" not in reason


def test_a_place_that_cannot_be_written_is_reported(make_session, racy, tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(UsageError, match="cannot write"):
        make_session(racy).run()


def test_the_replay_file_shows_the_difference_and_no_secret(make_session, racy):
    env = {"PATH": "/usr/bin:/bin", "MY_TOKEN": "secret", "PYTHON_API_TOKEN": "secret", "OMP_NUM_THREADS": "3"}
    _, folder = make_session(racy, env=env).run()
    text = (folder / "replay.json").read_text()
    assert "secret" not in text
    replay = json.loads(text)
    assert replay["given"] == {"OMP_NUM_THREADS": "3"}
    assert replay["changed"]["DEBUGINFOD_URLS"] == ""
    assert "history_size=7" in replay["changed"]["TSAN_OPTIONS"]
    assert replay["ran"] == [str(racy)]
    assert len(replay["facts"]["program"]) == 64


def test_a_driver_that_shows_nothing_instrumented_is_no_verdict(make_session, program):
    report, _ = make_session(program(""), children=True).run()
    assert report.verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert "no instrumented process was seen" in report.verdict.reason


def test_a_driver_whose_child_shows_a_race_is_red(make_session, racy):
    report, _ = make_session(racy, children=True).run()
    assert report.verdict.status is VerdictStatus.FINDINGS


def test_a_crash_is_reported_as_one_also_without_the_line_that_goes_to_standard_error(make_session, program):
    log = golden("segv").split("\n", 1)[1]
    report, _ = make_session(program(f"log.write_text({log!r}); sys.exit(66)")).run()
    assert report.verdict.status is VerdictStatus.FINDINGS
    assert report.verdict.reason.startswith("crashed: ")
    assert "SEGV on unknown address" in report.verdict.reason


def test_lines_of_the_runtime_that_nobody_knows_are_no_clean_run(make_session, program):
    line = "==7==ThreadSanitizer: starting new threads after multi-threaded fork is not supported. Dying\n"
    report, _ = make_session(program(f"log.write_text({line!r})")).run()
    assert report.verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert "start children with exec" in report.verdict.reason


@pytest.mark.parametrize("free_threaded", [True, False])
def test_a_free_threaded_build_whose_gil_comes_back_is_not_judged(make_session, program, tmp_path, free_threaded):
    said = (
        "<string>:1: RuntimeWarning: The global interpreter lock (GIL) has been enabled to load module 'mine.fast', "
        "which has not declared that it can run safely without the GIL."
    )
    session = make_session(program(f"print({said!r}, file=sys.stderr)"))
    session.prepared = replace(session.prepared, interpreter=interpreter(tmp_path, free_threaded=free_threaded))
    result, _ = session.run()
    assert result.verdict.status is (VerdictStatus.COULD_NOT_JUDGE if free_threaded else VerdictStatus.CLEAN)
    assert ("mine.fast" in result.verdict.reason) is free_threaded


@pytest.mark.parametrize("requested", [(), ("races", "locks"), ("locks",)])
def test_a_log_of_the_sanitizer_is_not_passed_over_where_races_are_not_judged(make_session, racy, requested):
    session = make_session(racy, detect=requested)
    session.prepared = replace(session.prepared, detect=("locks",))
    reasons = (session.run()[0].verdict.reason, *session._gathered.unjudged)
    doubted = any("ran under ThreadSanitizer, and races were not judged" in each for each in reasons)
    assert doubted is (requested != ("locks",))
