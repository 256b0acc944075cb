"""The ladder: when a link falls and climbs."""

from itertools import pairwise

from hypothesis import given
from hypothesis.strategies import booleans, lists, sampled_from, tuples

from skypact.exchange.ladder import FALL_AFTER, FIRST_WAIT, LONGEST_WAIT, PROVEN_AFTER, Ladder
from skypact.exchange.model import Rung


def run(ladder: Ladder, begin: float, seconds: float, is_linked: bool = True, fits: bool = True) -> float:
    for step in range(round(seconds / 0.1)):
        ladder.step(begin + step * 0.1, is_linked, fits)
    return begin + seconds


def test_a_link_starts_alone_and_climbs_at_once_to_all_that_is_permitted():
    ladder = Ladder(cap=Rung.PLOTS)
    assert ladder.rung is Rung.ALONE
    ladder.step(0.0, is_linked=True, fits=True)
    assert ladder.rung is Rung.PLOTS
    assert ladder.why == ""


def test_a_cut_drops_it_at_once_and_the_first_climb_after_it_is_immediate():
    ladder = Ladder()
    now = run(ladder, 0.0, 5.0)
    ladder.step(now, is_linked=False, fits=True)
    assert ladder.rung is Rung.ALONE
    assert ladder.why == "the partner does not answer"
    ladder.step(now + 60.0, is_linked=True, fits=True)
    assert ladder.rung is Rung.PLOTS


def test_what_fell_while_the_link_was_dying_does_not_delay_the_climb_after_the_cut():
    ladder = Ladder()
    now = run(ladder, 0.0, FALL_AFTER + 1.0, fits=False)
    assert ladder.rung is Rung.TRACKS
    now = run(ladder, now, 10.0, is_linked=False)
    ladder.step(now, is_linked=True, fits=True)
    assert ladder.rung is Rung.PLOTS


def test_a_stall_of_two_seconds_is_no_reason_to_fall():
    ladder = Ladder()
    now = run(ladder, 0.0, 10.0)
    now = run(ladder, now, 3.0, fits=False)
    run(ladder, now, 1.0)
    assert ladder.rung is Rung.PLOTS


def test_a_rung_that_does_not_fit_is_left_and_the_next_climb_waits():
    ladder = Ladder()
    now = run(ladder, 0.0, PROVEN_AFTER + 1.0)
    now = run(ladder, now, FALL_AFTER + 0.2, fits=False)
    assert ladder.rung is Rung.TRACKS
    assert ladder.why == "the link is too thin for plots"
    now = run(ladder, now, FIRST_WAIT - 1.0)
    assert ladder.rung is Rung.TRACKS
    run(ladder, now, 2.0)
    assert ladder.rung is Rung.PLOTS


def test_climbs_that_fail_are_tried_less_and_less_often():
    ladder = Ladder()
    tries, before = [], Rung.TRACKS
    for now in range(3600):
        ladder.step(float(now), is_linked=True, fits=ladder.offered <= Rung.TRACKS)
        if ladder.rung > before:
            tries.append(now)
        before = ladder.rung
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits == sorted(waits)
    assert LONGEST_WAIT < waits[-1] < LONGEST_WAIT + 2.0 * FALL_AFTER


def test_it_falls_no_lower_than_alerts_for_want_of_room():
    ladder = Ladder()
    run(ladder, 0.0, 100.0, fits=False)
    assert ladder.rung is Rung.ALERTS


def test_the_policy_caps_it():
    ladder = Ladder(cap=Rung.TRACKS)
    run(ladder, 0.0, 100.0)
    assert ladder.rung is Rung.TRACKS
    assert ladder.why == "capped by the release policy"


def test_a_suspension_takes_effect_at_once_and_ends_at_once():
    ladder = Ladder()
    now = run(ladder, 0.0, 5.0)
    ladder.suspend(Rung.ALERTS, "talks broke off")
    assert ladder.rung is Rung.ALERTS
    assert ladder.why == "suspended: talks broke off"
    now = run(ladder, now, 5.0)
    assert ladder.rung is Rung.ALERTS
    ladder.resume()
    assert ladder.rung is Rung.PLOTS


def test_a_suspension_outlives_a_cut():
    ladder = Ladder()
    ladder.suspend(Rung.ALONE, "talks broke off")
    now = run(ladder, 0.0, 5.0)
    now = run(ladder, now, 5.0, is_linked=False)
    run(ladder, now, 5.0)
    assert ladder.rung is Rung.ALONE


@given(
    steps=lists(tuples(booleans(), booleans(), sampled_from(["", "suspend", "resume", "cap"])), max_size=80),
    cap=sampled_from(Rung),
)
def test_it_never_stands_above_what_is_permitted(steps: list[tuple[bool, bool, str]], cap: Rung):
    ladder = Ladder(cap)
    now = 0.0
    for is_linked, fits, what in steps:
        now += 1.0
        if what == "suspend":
            ladder.suspend(Rung.ALERTS, "as told")
        elif what == "resume":
            ladder.resume()
        elif what == "cap":
            ladder.cap = Rung.TRACKS
        ladder.step(now, is_linked, fits)
        assert ladder.rung <= ladder.offered <= ladder.permitted <= ladder.cap
        assert is_linked or ladder.rung is Rung.ALONE
        assert ladder.suspended_to is None or ladder.rung <= Rung.ALERTS
        assert (ladder.rung is Rung.PLOTS) == (ladder.why == "")
