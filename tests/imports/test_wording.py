"""The sentences and the layout that the renderings of a scan share, where a scan is unusual."""

from dataclasses import replace

import pytest
from import_samples import CONFIRMED, HAZARD, NOT_REACHED, document

from python_tsan.imports import lock_graph, terminal, wording
from python_tsan.imports.document import WindowRecord
from python_tsan.imports.renderings import RENDERINGS
from python_tsan.imports.search.schedules import Link

WINDOW = WindowRecord(releases=3, phase="stat", module="c", function="PyThing")


def rendered(document, name):
    return RENDERINGS[name].render(document).decode().rstrip("\n")


def hazard_of(proof=None, **changes):
    return replace(document(proof).hazards[0], **changes)


def with_window(window):
    found = document(None)
    return replace(found, hazards=(replace(found.hazards[0], window=window),))


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (None, ""),
        (WindowRecord(problem="no tracer"), "no release can be shown: no tracer"),
        (
            WINDOW,
            (
                "the importer of a released the GIL 3 times, first at stat of c, in PyThing; in the traced run no "
                "other thread imported meanwhile"
            ),
        ),
        (
            replace(WINDOW, module="", releases=1, intruder="b"),
            (
                "the importer of a released the GIL 1 time; at one, "
                "stat, in PyThing, another thread took it and went on to import b"
            ),
        ),
    ],
)
def test_a_window_is_one_sentence(window, words):
    assert wording.window(hazard_of(window=window)) == words


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
def test_a_window_is_shown_in_every_form_for_people(form):
    assert "released the GIL 3 times" in " ".join(rendered(with_window(WINDOW), form).split())
    assert "released the GIL" not in rendered(document(None), form)


def test_a_thread_with_a_call_imports_and_calls():
    thread = replace(hazard_of().threads[0], imports="p.q:f")
    assert wording.own(thread) == "import of p.q and call of f"
    assert wording.pair(replace(hazard_of(), threads=(thread, hazard_of().threads[1]))) == "p.q:f against b"


def test_an_answer_without_a_run_that_went_wrong_has_no_number():
    assert wording.answer(hazard_of()) == "predicted"
    assert wording.answer(hazard_of(NOT_REACHED)) == "not reached"
    assert wording.answer(hazard_of(CONFIRMED)) == "confirmed 2 of 3"


def test_places_are_those_of_chains_stacks_and_the_failure():
    assert set(wording.places(document(CONFIRMED))) == {"/site/a.py:3", "/site/c.py:1"}
    assert list(wording.places(document(replace(CONFIRMED, where="", stacks=())))) == ["/site/a.py:3"]


@pytest.mark.parametrize(
    ("places", "folder"),
    [
        (("/x/y/p/a.py:1", "/x/y/p/b.py:2"), "/x/y/"),
        (("/x/p/a.py:1", "/y/p/b.py:2"), ""),
        (("/x/p/a.py:1", "relative.py:2"), ""),
    ],
)
def test_the_common_folder_is_one_above_the_packages_and_never_the_root(places, folder):
    chain = tuple(Link(module=f"m{number}", where=place) for number, place in enumerate(places))
    assert wording.common_folder(document(None, hazards=[replace(HAZARD, chains=(chain, ()))])) == folder


def test_an_unfinished_scan_says_first_that_it_is():
    cut = replace(document(None), unfinished="2 of 3 entries had been traced")
    assert wording.summary(cut).startswith(
        "UNFINISHED, interrupted when 2 of 3 entries had been traced: Python 3.13.0: "
    )


@pytest.mark.parametrize(("links", "left_out"), [(terminal.MOST_LINES, 0), (terminal.MOST_LINES + 1, 1)])
def test_a_long_chain_loses_its_middle_and_a_short_one_nothing(links, left_out):
    chain = tuple(Link(module="m", where=f"/site/x.py:{number}") for number in range(links))
    lines = rendered(document(None, hazards=[replace(HAZARD, chains=(chain, ()))]), "terminal").splitlines()
    shown = [number for number in range(links) if f"     /site/x.py:{number}:" in lines]
    half = terminal.MOST_LINES // 2
    assert shown == [*range(half), *range(half + left_out, links)]
    assert ("     … 1 more …" in lines) is bool(left_out)


def test_a_name_is_cut_at_its_front_and_fits():
    exact = "m" * 23
    found = document(None, hazards=[replace(HAZARD, first=exact, second=f"package.{exact}")])
    assert f"1  {exact}  …{exact[1:]}  error    predicted" in rendered(found, "terminal").splitlines()


def test_a_parent_in_a_chain_is_called_so():
    chain = (Link(module="p", where=""), Link(module="a", where=""), Link(module="c", where="/site/a.py:3"))
    text = rendered(document(None, hazards=[replace(HAZARD, chains=(chain, HAZARD.chains[1]))]), "terminal")
    assert "     p, as the parent of the one before" in text
    assert "     a, as the parent" not in text


def test_markdown_shows_the_first_hazards_in_full_and_all_in_the_table():
    text = rendered(document(*[None] * 12), "markdown")
    assert text.count("<details>") == 10
    assert text.count("| <code>a</code> | <code>b</code> | error | predicted |") == 12


def test_markdown_leaves_the_fix_out_that_is_missing():
    found = document(None)
    without = replace(found, hazards=(replace(found.hazards[0], removed_by=()),))
    assert "first |" in rendered(found, "markdown")
    assert "first |" not in rendered(without, "markdown")


@pytest.mark.parametrize("changes", [{"problems": {"c": "no"}}, {"unfinished": "nothing had been traced"}])
def test_the_page_of_a_scan_that_did_not_see_everything_is_not_green(changes):
    assert 'class="banner good"' in rendered(document(), "html")
    assert 'class="banner doubt"' in rendered(replace(document(), **changes), "html")


def test_a_picture_without_the_awaited_lock_has_one_arrow_less():
    found = hazard_of()
    one, two = found.threads
    assert lock_graph.lock_graph(found).count('class="edge"') == 2
    lost = replace(found, threads=(replace(one, waits_for="unknown"), two))
    assert lock_graph.lock_graph(lost).count('class="edge"') == 1


def test_a_long_name_in_a_picture_is_shortened_and_whole_in_its_title():
    found = hazard_of()
    name = "package." * 9 + "end"
    chain = (replace(found.threads[0].chain[0], module=name),)
    picture = lock_graph.lock_graph(replace(found, threads=(replace(found.threads[0], chain=chain), found.threads[1])))
    assert f"<title>{name}</title>" in picture
    assert f">…{name[1 - lock_graph.LABEL :]}</text>" in picture
