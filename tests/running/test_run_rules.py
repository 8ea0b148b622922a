import datetime as dt

import pytest
from msgspec.structs import replace
from run_logs import golden

from python_tsan.errors import UsageError
from python_tsan.expectation import Outcome
from python_tsan.result.finding import FindingStatus
from python_tsan.result.matching import covered, missing
from python_tsan.result.model import SharedObject
from python_tsan.running.expected import WORDS, parse_expectation
from python_tsan.running.request import Request
from python_tsan.running.rules import Rules, read_rules
from python_tsan.running.suppressing import compiled_in, count_uses, for_runtime, merged_text, read_suppressions
from python_tsan.tsan.digest import Digest
from python_tsan.tsan.finding import RULES, Finding, Frame, Kind, Location, LocationKind, Source, Stack

TODAY = dt.date(2026, 6, 1)
RACE = 'outcome = "race"\n[[findings]]\nkind = "data race"\nlocation = "{}"\n'


def findings_of(name="race_global"):
    digest = Digest()
    digest.add(golden(name).splitlines(), name)
    return {key: group.finding for key, group in digest.groups.items()}


def location():
    return next(iter(findings_of().values())).location.name


def request(tmp_path, **options):
    return Request(command=("x",), cwd=str(tmp_path), **options)


def test_an_expected_race_covers_its_finding_and_no_other():
    expectation = parse_expectation(RACE.format(location()), "race.toml")
    assert expectation.outcome is Outcome.RACE
    assert covered(expectation, findings_of()) == (frozenset(findings_of()),)
    assert covered(expectation, findings_of("race_heap")) == (frozenset(),)
    assert list(missing(expectation, findings_of().values())) == []
    assert list(missing(expectation, findings_of("race_heap").values())) == [f"a data race on {location()}"]


def test_the_word_race_is_any_data_race_and_nothing_else(tmp_path):
    expectation = read_rules(request(tmp_path, expect="race"), today=TODAY).expectation
    assert [len(each) for each in covered(expectation, findings_of("race_heap"))] == [1]
    assert list(missing(expectation, findings_of("race_heap").values())) == []
    assert list(missing(expectation, findings_of("deadlock").values())) == ["a data race"]


def test_the_words_clean_and_hang(tmp_path):
    found = [read_rules(request(tmp_path, expect=word), today=TODAY).expectation for word in ("clean", "hang")]
    assert [each.outcome for each in found] == [Outcome.CLEAN, Outcome.HANG]
    assert [covered(each, findings_of()) for each in found] == [(), ()]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("outcome = ", "nvalid"),
        ('outcome = "maybe"', "maybe"),
        ('outcome = "error"', "scenarios"),
        ('outcome = "crash"', "scenarios"),
        ('outcome = "race"', r"needs \[\[findings\]\]"),
        ('outcome = "clean"\n[[findings]]\nkind = "data race"', "have none"),
        ('outcome = "clean"\ncolour = 1', "unknown key 'colour'"),
        ('outcome = "race"\n[[findings]]\nkind = "data race"\nplace = "x"', "unknown key 'place'"),
        ('outcome = "race"\n[[findings]]\nlocation = "x"', "kind"),
    ],
)
def test_an_expectation_with_a_mistake_is_refused(text, what):
    with pytest.raises(UsageError, match=what) as caught:
        parse_expectation(text, "race.toml")
    assert "race.toml" in caught.value.message


def test_rules_hold_baseline_suppressions_and_expectation(tmp_path):
    known = tmp_path / "known.toml"
    known.write_text(
        f'version = 1\n[[finding]]\nfingerprint = "{next(iter(findings_of("race_heap")))}"\n'
        'reason = "r"\nlink = "l"\nexpires = 2027-01-01\n'
    )
    race = tmp_path / "race.toml"
    race.write_text(RACE.format(location()))
    quiet = tmp_path / "quiet.txt"
    quiet.write_text("race:mine\n")
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("mutex:theirs\n")
    asked = request(tmp_path, baseline=str(known), expect=str(race), suppressions=(str(quiet),))
    rules = read_rules(asked, today=TODAY, theirs=str(theirs))
    assert merged_text(rules.suppressions) == "race:mine\nmutex:theirs\n"
    assert not any(each.shipped for each in rules.suppressions)
    stands = rules.standings(findings_of() | findings_of("race_heap"))
    assert stands[next(iter(findings_of()))].status is FindingStatus.EXPECTED
    assert stands[next(iter(findings_of("race_heap")))].status is FindingStatus.KNOWN


@pytest.mark.parametrize("option", ["baseline", "expect"])
def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path, option):
    with pytest.raises(UsageError, match="No such file"):
        read_rules(request(tmp_path, **{option: str(tmp_path / "nothing")}), today=TODAY)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_rules(request(tmp_path, **{option: str(tmp_path / "binary")}), today=TODAY)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("race:_PyEval_EvalFrameDefault", "your own callbacks"),
        ("called_from_lib:libpython", "your own code"),
        ("race:*", "matches everything"),
        ("rase:x", "TYPE:PATTERN"),
    ],
)
def test_a_suppression_that_hides_too_much_is_refused_with_its_reason(tmp_path, line, why):
    file = tmp_path / "hub.txt"
    file.write_text(f"# why\nrace_top:fine\n{line}\n")
    with pytest.raises(UsageError, match=why) as caught:
        read_suppressions([file])
    assert caught.value.message.startswith(f"{file}:3: {line}")


def test_uses_are_counted_over_all_logs_and_the_unused_are_zero(tmp_path):
    file = tmp_path / "s.txt"
    file.write_text("# a statistic\nrace:known_writer\nrace:never\n")
    logs = [tmp_path / "tsan.1", tmp_path / "tsan.2"]
    for log in logs:
        log.write_text(golden("suppressed"))
    used, unused = count_uses(read_suppressions([file]), logs)
    assert (used.entry, used.matched, used.line, used.reason) == ("race:known_writer", 2, 2, "a statistic")
    assert (unused.entry, unused.matched) == ("race:never", 0)


@pytest.mark.parametrize(
    ("entry", "doubt"),
    [("race:*", True), ("race:_PyEval_EvalFrameDefault", True), ("race_top:known_writer", False)],
)
def test_a_suppression_that_is_in_no_file_was_compiled_in(tmp_path, entry, doubt):
    (tmp_path / "tsan.1").write_text(golden("suppressed").replace("race:known_writer", entry))
    (tmp_path / "s.txt").write_text("race:known_reader\n")
    mine, theirs = count_uses(read_suppressions([tmp_path / "s.txt"]), [tmp_path / "tsan.1"])
    assert (mine.entry, mine.matched) == ("race:known_reader", 0)
    assert (theirs.entry, theirs.matched, theirs.reason) == (entry, 1, "compiled into the program")
    doubts, remarks = compiled_in([mine, theirs])
    words = f"{entry}, a suppression that the program has compiled in, matched 1 time"
    assert (len(doubts), len(remarks)) == ((1, 0) if doubt else (0, 1))
    assert [*doubts, *remarks][0].startswith(words)


def test_one_that_the_user_also_names_is_the_users(tmp_path):
    (tmp_path / "tsan.1").write_text(golden("suppressed"))
    (tmp_path / "s.txt").write_text("race:known_writer\n")
    uses = count_uses(read_suppressions([tmp_path / "s.txt"]), [tmp_path / "tsan.1"])
    assert compiled_in(uses) == ([], [])


def recorded(function="is_empty", *, digest=None, kind=Kind.API_NOT_ATTACHED):
    """Return a digest with a finding of the recorder, twice, whose caller is called by ``function``."""
    digest = digest or Digest()
    frames = (Frame(index=0, symbol="size", file="a.cpp"), Frame(index=1, symbol=function, file="a.cpp"))
    finding = Finding(
        kind=kind,
        title="PyList_Size called without the GIL",
        pid=1,
        source=Source(file="1.locks", first_line=1, last_line=1),
        raw="",
        stacks=(Stack(frames=frames),),
        locations=(Location(kind=LocationKind.GLOBAL, text="", name=function),),
    )
    digest.add_finding(finding, "one", times=2)
    return digest


def rules_with(tmp_path, text):
    (tmp_path / "s.txt").write_text(text)
    return read_rules(request(tmp_path, suppressions=(str(tmp_path / "s.txt"),)), today=TODAY)


def test_a_rule_in_a_suppressions_file_is_counted_and_kept_from_the_runtime(tmp_path):
    rules = rules_with(tmp_path, "# by design\nc-api-without-gil:is_empty\nc-api-without-gil:other\nrace:mine\n")
    assert for_runtime(rules.suppressions) == "race:mine\n"
    groups = recorded().groups
    standing = rules.standings_in(groups, ())["one"]
    assert (standing.status, standing.reason) == (FindingStatus.SUPPRESSED, "by design")
    uses = count_uses(rules.suppressions, [], groups.values())
    assert [(use.entry, use.matched) for use in uses] == [
        ("c-api-without-gil:is_empty", 2),
        ("c-api-without-gil:other", 0),
        ("race:mine", 0),
    ]


def test_a_suppression_of_races_hides_nothing_of_the_recorder(tmp_path):
    assert rules_with(tmp_path, "race:is_empty\nrace_top:size\n").standings_in(recorded().groups, ()) == {}


def test_a_finding_is_kept_if_one_way_to_it_is_not_suppressed(tmp_path, monkeypatch):
    monkeypatch.setattr("python_tsan.tsan.digest.ways", lambda finding: finding.stacks)
    groups = recorded("another", digest=recorded()).groups
    assert rules_with(tmp_path, "c-api-without-gil:is_empty\n").standings_in(groups, ()) == {}
    both = rules_with(tmp_path, "c-api-without-gil:is_empty\nc-api-without-gil:another\n")
    assert both.standings_in(groups, ())["one"].status is FindingStatus.SUPPRESSED


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ('kind = "c-api-without-gil"', True),
        ('kind = "Python C API called without the GIL"\nfunction = "is_empty"', True),
        ('kind = "c-api-without-gil"\nfunction = "other"', False),
        ('kind = "exception-lost"', False),
    ],
)
def test_a_rule_can_be_expected_in_a_function(text, met):
    expectation = parse_expectation(f'outcome = "race"\n[[findings]]\n{text}\n', "rule.toml")
    found = [group.finding for group in recorded().groups.values()]
    assert (list(missing(expectation, found)) == []) is met


def test_each_rule_is_a_word_for_what_breaks_it():
    found = [group.finding for group in recorded().groups.values()]
    met = [word for word in RULES if not list(missing(WORDS[word], found))]
    assert met == ["c-api-without-gil"]
    assert set(RULES.values()) == {kind for kind in Kind if kind.is_recorded}


@pytest.mark.parametrize(
    "options", [{"repeat": 0}, {"timeout": 0.0}, {"timeout": float("nan")}, {"command": ()}], ids=str
)
def test_a_request_that_makes_no_sense_is_refused(tmp_path, options):
    with pytest.raises(UsageError):
        Request(**({"command": ("x",), "cwd": str(tmp_path)} | options))


LIBRARY = SharedObject(path="/site/pyarrow/libarrow.so.2600", instrumented=False)
BLOCK = """\
==================
WARNING: ThreadSanitizer: data race (pid=1)
  Write of size 8 at 0x720c00003210 by thread T1:
    #0 operator delete(void*) <null> (prog+0xe6fa8)
    #1 arrow::Future::Finish() <null> (libarrow.so.2600+0x98a6e0)

  Previous write of size 8 at 0x720c00003210 by thread T2:
    #0 operator new(unsigned long) <null> (prog+0xe6812)
    #1 arrow::Future::Make() <null> ({module}+0x98a6e0)

==================
"""


def standings(*modules, objects=(LIBRARY,), **options):
    """Return the statuses of findings that differ in the module of one access alone, so that they are one finding."""
    digest = Digest()
    digest.add("".join(BLOCK.format(module=module) for module in modules).splitlines(), "tsan.1")
    (key,) = digest.groups
    found = Rules(expectation=WORDS["clean"], today=TODAY, **options).standings_in(digest.groups, objects)
    return found.get(key)


def test_a_finding_inside_a_blind_library_is_set_aside_and_says_why():
    standing = standings("libarrow.so.2600")
    assert standing.status is FindingStatus.SET_ASIDE
    assert not standing.status.fails
    assert standing.blind_spot == "pyarrow"
    assert "inside Apache Arrow, which is not instrumented: its futures" in standing.reason
    assert standing.link == "docs/blind-spots.md"


@pytest.mark.parametrize(
    ("modules", "options"),
    [
        (["libarrow.so.2600"], {"keep_unlikely": True}),
        (["libarrow.so.2600"], {"objects": ()}),
        (["libarrow.so.2600"], {"objects": (replace(LIBRARY, instrumented=True),)}),
        (["prog"], {}),
    ],
)
def test_a_finding_is_kept_on_request_and_unless_the_library_is_known_to_be_loaded_and_blind(modules, options):
    assert standings(*modules, **options) is None


@pytest.mark.parametrize("modules", [["libarrow.so.2600", "mine.so"], ["mine.so", "libarrow.so.2600"]])
def test_a_finding_is_kept_if_any_of_its_blocks_is_not_the_librarys(monkeypatch, modules):
    """One function of one file may be in two objects; the fingerprint does not know the object then."""
    monkeypatch.setattr("python_tsan.tsan.digest.fingerprint", lambda _finding: "one")
    assert standings(*modules) is None


def test_what_the_user_expects_or_knows_is_not_set_aside():
    assert standings("libarrow.so.2600", keep_unlikely=False).status is FindingStatus.SET_ASIDE
    digest = Digest()
    digest.add(BLOCK.format(module="libarrow.so.2600").splitlines(), "tsan.1")
    rules = Rules(expectation=WORDS["race"], today=TODAY)
    assert [each.status for each in rules.standings_in(digest.groups, [LIBRARY]).values()] == [FindingStatus.EXPECTED]


def test_a_suppression_of_deadlocks_is_for_the_runtime_and_for_the_recorder(tmp_path):
    rules = rules_with(tmp_path, "# never both at once\ndeadlock:is_empty\nmutex:is_empty\n")
    assert for_runtime(rules.suppressions) == "deadlock:is_empty\nmutex:is_empty\n"
    groups = recorded(kind=Kind.POSSIBLE_DEADLOCK).groups
    assert rules.standings_in(groups, ())["one"].reason == "never both at once"
    log = tmp_path / "tsan.1"
    log.write_text("ThreadSanitizer: Matched 3 suppressions (pid=7):\n3 deadlock:is_empty\n")
    uses = count_uses(rules.suppressions, [log], groups.values())
    assert [(use.entry, use.matched) for use in uses] == [("deadlock:is_empty", 5), ("mutex:is_empty", 0)]
    assert rules.standings_in(recorded().groups, ()) == {}
