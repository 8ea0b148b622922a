"""Who holds and who waits for what in a hang: the cycle is found by name, and drawn with red arrows."""

import re

from msgspec import structs
from runs import run, verdict

from python_tsan.render.registry import RENDERINGS, Context
from python_tsan.render.svg import wait_picture
from python_tsan.result.hang import with_cycle
from python_tsan.result.judge.process import death_of
from python_tsan.result.model import Observation, Waiter

MAIN = Waiter(thread="main thread", waits_for="the end of T1", held_by=("T1",))
ONE = Waiter(thread="T1", holds=("log_mutex",), waits_for="the GIL", held_by=("T2",))
TWO = Waiter(thread="T2", holds=("the GIL",), waits_for="log_mutex", held_by=("T1",))


def test_the_cycle_is_found_and_who_only_waits_for_it_is_no_part():
    marked = with_cycle((MAIN, ONE, TWO))
    assert [each.stuck for each in marked] == [False, True, True]
    assert with_cycle((MAIN, ONE))[1].stuck is False


def test_what_a_thread_is_waited_for_it_holds():
    two = structs.replace(TWO, holds=())
    assert with_cycle((ONE, two))[1].holds == ("the GIL",)


def test_the_picture_has_each_thread_and_lock_once_and_the_cycle_in_red():
    drawn = wait_picture(with_cycle((MAIN, ONE, TWO)))
    for name in ("main thread", "T1", "T2", "log_mutex", "the GIL", "the end of T1"):
        assert drawn.count(f">{name}<") == 1
    styles = re.findall(r'<path class="([^"]*)" marker', drawn)
    assert sorted(styles) == ["edge", "edge", "edge holds", "edge holds", "edge holds", "edge waits"]


def test_nothing_is_drawn_where_nobody_waits():
    assert wait_picture(()) == ""
    assert wait_picture((Waiter(thread="T1", holds=("the GIL",)),)) == ""


def test_names_are_escaped():
    drawn = wait_picture((Waiter(thread="<b>", waits_for="a & b"),))
    assert "<b>" not in drawn
    assert "a &amp; b" in drawn


def hung(**more):
    observation = Observation(exit_code=-15, timed_out=True, seconds=9.0, hang=("T1 waits",), **more)
    return structs.replace(verdict(), observations=(observation,))


def test_the_page_shows_the_picture_of_the_first_hang():
    page = RENDERINGS["html"].render(run(hung(wait_graph=with_cycle((ONE, TWO)))), Context()).decode()
    assert "Who holds and who waits for what" in page
    assert ">log_mutex<" in page
    without = RENDERINGS["html"].render(run(hung()), Context()).decode()
    assert "Who holds and who waits for what" not in without


def test_a_standstill_is_no_deadline():
    (observation,) = hung(stalled=4.0).observations
    assert death_of(observation) == "nothing moved for 4 s, so it was ended (stacks: none could be saved)"
    assert death_of(structs.replace(observation, stalled=0.0)).startswith("still running at its deadline of 9 s")
