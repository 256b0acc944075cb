from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, permutations
from seen_tracks import report

from skypact.centre.system_picture import with_numbers
from skypact.exchange.correlation import Correlator
from skypact.exchange.model import TrackReport
from skypact.exchange.numbers import JointNumbers, NumberBook


class Side:
    """One centre: what it correlates, numbers and last reported."""

    def __init__(self, name: str, correlator: Correlator | None = None) -> None:
        self.name = name
        self.correlator = correlator or Correlator()
        self.book = NumberBook(name)
        self.sent: TrackReport | None = None
        self.numbers: JointNumbers | None = None
        self.changes = 0

    def look(
        self,
        own: TrackReport,
        heard: Mapping[str, TrackReport],
        visible: Mapping[str, np.ndarray] | None = None,
    ) -> list[str]:
        """The joint numbers of its system tracks."""
        correlation = self.correlator.update(own, heard, own.time)
        self.numbers = self.book.update(correlation, visible or {})
        self.changes += self.numbers.changes
        self.sent = with_numbers(own, self.numbers)
        return self.shown()

    def shown(self) -> list[str]:
        numbers = self.numbers
        names = [numbers.centre_names[place] for place in numbers.number_centre]
        return [f"{name}-{number}" for name, number in zip(names, numbers.number, strict=True)]

    def reporters(self) -> list[int]:
        return self.numbers.reporter.tolist()


def together(
    sides: list[Side], tracks: Mapping[str, TrackReport], links: set[frozenset] | None = None
) -> None:
    """One second: each centre looks at its tracks and at what the others sent in the second before."""
    sent = {side.name: side.sent for side in sides}
    for side in sides:
        heard = {
            name: told
            for name, told in sent.items()
            if told is not None
            and name != side.name
            and (links is None or frozenset((name, side.name)) in links)
        }
        side.look(tracks[side.name], heard)


def one(centre: str, time: float, number: int = 1, east: float = 0.0, **columns) -> TrackReport:
    return report(centre, time, [east + 200.0 * time], ids=[number], address=0xABC, **columns)


def test_the_number_given_first_wins_on_both_sides_with_one_change():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    alpha.look(one("ALPHA", 1.0, 17), {})
    for time in range(2, 20):
        linked = None if time > 5 else set()
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 17), "BRAVO": one("BRAVO", time, 4)}, linked)
    assert alpha.shown() == bravo.shown() == ["ALPHA-17"]
    assert (alpha.changes, bravo.changes) == (0, 1)
    assert (alpha.book.most_changes, bravo.book.most_changes) == (0, 1)
    bravo.book.count_anew()
    assert bravo.book.most_changes == 0


def test_a_track_that_is_correlated_at_its_first_look_never_bears_another_number():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    alpha.look(one("ALPHA", 1.0, 17), {})
    assert bravo.look(one("BRAVO", 2.0, 4), {"ALPHA": alpha.sent}) == ["ALPHA-17"]
    assert bravo.changes == 0


def test_of_two_numbers_given_at_the_same_time_the_name_that_comes_first_wins():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    for time in range(1, 20):
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 9), "BRAVO": one("BRAVO", time, 3)})
    assert alpha.shown() == bravo.shown() == ["ALPHA-9"]


@given(
    order=permutations(["ALPHA", "BRAVO", "CHARLIE"]), starts=lists(integers(1, 9), min_size=3, max_size=3)
)
@settings(max_examples=25, deadline=None)
def test_three_centres_in_a_chain_come_to_the_earliest_number(order, starts):
    sides = [Side(name) for name in order]
    links = {frozenset(order[:2]), frozenset(order[1:])}
    began = dict(zip(order, starts, strict=True))
    for time in range(1, 40):
        present = [side for side in sides if time >= began[side.name]]
        together(present, {side.name: one(side.name, time, 5) for side in present}, links)
    first = min(order, key=lambda name: (began[name], name))
    assert [side.shown() for side in sides] == [[f"{first}-5"]] * 3
    assert sum(side.changes for side in sides) <= 3


def test_a_number_is_kept_through_a_cut_and_after_the_heal():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    alpha.look(one("ALPHA", 1.0, 17), {})
    for time in range(2, 120):
        linked = None if time < 20 or time >= 80 else set()
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 17), "BRAVO": one("BRAVO", time, 4)}, linked)
        if time > 15:
            assert alpha.shown()[0] == bravo.shown()[0] == "ALPHA-17"
    assert (alpha.changes, bravo.changes) == (0, 0)


def test_a_number_stays_with_the_aircraft_when_its_first_centre_loses_it():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    alpha.look(one("ALPHA", 1.0, 17), {})
    for time in range(2, 100):
        mine = one("ALPHA", time, 17) if time < 20 else report("ALPHA", time, [])
        together([alpha, bravo], {"ALPHA": mine, "BRAVO": one("BRAVO", time, 4)})
    assert bravo.shown() == ["ALPHA-17"]
    assert alpha.shown() == ["ALPHA-17"]
    # Seen again under a number of its own, it is still the same aircraft.
    for time in range(100, 120):
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 60), "BRAVO": one("BRAVO", time, 4)})
    assert alpha.shown() == bravo.shown() == ["ALPHA-17"]


def test_a_track_that_is_parted_gets_its_own_number_back():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    alpha.look(one("ALPHA", 1.0, 17), {})
    for time in range(2, 40):
        aside = 0.0 if time < 20 else 9_000.0
        theirs = (
            one("BRAVO", time, 4, aside)
            if time < 20
            else replace(one("BRAVO", time, 4, aside), address=np.array([0xDEF], np.int32))
        )
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 17), "BRAVO": theirs})
    assert sorted(alpha.shown()) == sorted(bravo.shown()) == ["ALPHA-17", "BRAVO-4"]
    assert bravo.changes == 1


def test_when_the_middle_of_a_chain_is_parted_nobody_keeps_the_foreign_number():
    sides = [Side("ALPHA"), Side("BRAVO"), Side("CHARLIE")]
    links = {frozenset(("ALPHA", "BRAVO")), frozenset(("BRAVO", "CHARLIE"))}
    sides[2].look(one("CHARLIE", 1.0, 7), {})
    for time in range(2, 90):
        last = one("CHARLIE", time, 7)
        if time >= 30:
            last = replace(one("CHARLIE", time, 7, 9_000.0), address=np.array([0xDEF], np.int32))
        tracks = {"ALPHA": one("ALPHA", time, 1), "BRAVO": one("BRAVO", time, 2), "CHARLIE": last}
        together(sides, tracks, links)
        if time == 29:
            assert [side.shown()[0] for side in sides] == ["CHARLIE-7"] * 3
    assert sides[0].shown()[0] == sides[1].shown()[0] == "ALPHA-1"
    assert sides[2].shown()[0] == "CHARLIE-7"


def test_where_the_partner_does_not_see_our_track_its_number_wins():
    alpha = Side("ALPHA")
    hidden = {"BRAVO": np.array([False])}
    for time in range(1, 10):
        told = replace(one("BRAVO", time, 4), numbered=np.array([8.0]))
        shown = alpha.look(one("ALPHA", time, 17), {"BRAVO": told}, hidden)
    assert shown == ["BRAVO-4"]
    assert alpha.reporters() == [1]


def test_a_centre_that_starts_again_adopts_what_partners_still_hold():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    alpha.look(one("ALPHA", 1.0, 17), {})
    for time in range(2, 20):
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 17), "BRAVO": one("BRAVO", time, 4)})
    alpha = Side("ALPHA")  # its tracker numbers from 1 again, and gives 17 to somebody else
    for time in range(20, 40):
        fresh = report(
            "ALPHA", time, [200.0 * time, 90_000.0], ids=[101, 117], number=[1, 17], address=[0xABC, 0x111]
        )
        together([alpha, bravo], {"ALPHA": fresh, "BRAVO": one("BRAVO", time, 4)})
        if time > 24:
            assert alpha.shown()[0] == "ALPHA-17"
    assert bravo.shown()[0] == "ALPHA-17"
    assert alpha.shown()[1] not in {"ALPHA-17", "ALPHA-1"}


def test_a_partner_that_starts_again_just_before_a_cut_may_still_agree_after_it():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    bravo.look(one("BRAVO", 1.0, 4), {})
    for time in range(2, 20):
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 17), "BRAVO": one("BRAVO", time, 4)})
    assert alpha.shown() == bravo.shown() == ["BRAVO-4"]
    before = alpha.changes
    again = Side("BRAVO")
    told = again.look(one("BRAVO", 20.0, 9), {}) and again.sent
    for time in range(21, 40):  # Bravo's one report grows old
        assert alpha.look(one("ALPHA", time, 17), {"BRAVO": told}) == ["BRAVO-4"]
        again.look(one("BRAVO", time, 9), {})
    for time in range(40, 60):
        together([alpha, again], {"ALPHA": one("ALPHA", time, 17), "BRAVO": one("BRAVO", time, 9)})
    assert alpha.shown() == again.shown() == ["BRAVO-4"]
    assert alpha.changes == before


def test_where_an_old_report_puts_a_track_takes_no_number_from_ours():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    bravo.look(one("BRAVO", 1.0, 4), {})
    for time in range(2, 20):
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 17), "BRAVO": one("BRAVO", time, 4)})
    old = replace(
        with_numbers(one("BRAVO", 22.0, 4, east=30_000.0), bravo.numbers), address=np.array([0xABD])
    )
    for time in range(40, 50):
        assert alpha.look(one("ALPHA", time, 17), {"BRAVO": old})[0] == "BRAVO-4"
    assert len(alpha.shown()) == 2


def test_a_number_is_kept_while_the_partners_track_that_bears_it_waits_to_be_bound():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    columns = {"address": -1}
    for time in range(1, 20):
        tracks = {
            name: report(name, time, [200.0 * time], ids=[number], **columns)
            for name, number in (("ALPHA", 17), ("BRAVO", 4))
        }
        together([alpha, bravo], tracks)
    assert alpha.shown() == bravo.shown() == ["ALPHA-17"]
    before = bravo.changes
    shown = []
    for time in range(20, 40):  # Alpha's track is another one, which bears the number again
        again = report("ALPHA", time, [200.0 * time], ids=[99], **columns)
        told = with_numbers(again, alpha.numbers)
        shown.append(bravo.look(report("BRAVO", time, [200.0 * time], ids=[4], **columns), {"ALPHA": told}))
    assert len(shown[0]) == 2 and shown[-1] == ["ALPHA-17"]
    assert {numbers[0] for numbers in shown} == {"ALPHA-17"}
    assert bravo.changes == before


def test_a_partners_track_that_leaves_the_gate_for_a_moment_takes_no_number_from_ours():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    bravo.look(one("BRAVO", 1.0, 4), {})
    for time in range(2, 20):
        together([alpha, bravo], {"ALPHA": one("ALPHA", time, 17), "BRAVO": one("BRAVO", time, 4)})
    assert alpha.shown() == ["BRAVO-4"]
    before = alpha.changes
    for time in range(20, 40):  # silence, and then a report that is far off
        east = 30_000.0 if time == 32 else 0.0
        told = {"BRAVO": with_numbers(one("BRAVO", time, 4, east), bravo.numbers)} if time >= 32 else {}
        assert alpha.look(one("ALPHA", time, 17), told)[0] == "BRAVO-4"
    assert alpha.changes == before


def test_a_number_rests_for_ten_minutes_also_over_a_restart():
    alpha = Side("ALPHA")
    alpha.look(report("ALPHA", 1.0, [0.0], ids=[5]), {})
    alpha.look(report("ALPHA", 2.0, []), {})
    alpha.book = NumberBook("ALPHA", last_used=alpha.book.last_used)
    soon = report("ALPHA", 500.0, [0.0], ids=[6], number=5)
    assert alpha.look(soon, {}) != ["ALPHA-5"]
    late = report("ALPHA", 1_200.0, [0.0], ids=[7], number=5)
    assert alpha.look(late, {}) == ["ALPHA-5"]


def test_a_track_that_was_hidden_comes_back_under_its_number():
    alpha = Side("ALPHA")
    alpha.look(report("ALPHA", 1.0, [0.0, 5_000.0], ids=[5, 6]), {})
    alpha.look(report("ALPHA", 2.0, [0.0], ids=[5]), {})
    assert alpha.look(report("ALPHA", 60.0, [0.0, 5_000.0], ids=[5, 6]), {}) == ["ALPHA-5", "ALPHA-6"]


def test_no_two_tracks_of_a_centre_bear_one_number():
    alpha = Side("ALPHA")
    twins = report("BRAVO", 1.0, [0.0, 50_000.0], address=[1, 2], number=[8, 8], numbered=-50.0)
    for time in range(1, 8):
        own = report("ALPHA", time, [0.0, 50_000.0], velocity=(0.0, 0.0), address=[1, 2])
        heard = replace(twins, time=float(time), updated=np.full(2, float(time)))
        heard.velocity[:] = 0.0
        shown = alpha.look(own, {"BRAVO": heard})
        assert len(set(shown[:2])) == 2


def sigma_by_time(before: float, after: float):
    return lambda time: before if time < 30 else after


def test_reporting_moves_to_the_clearly_better_side_after_a_while_and_both_agree():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    bad = sigma_by_time(50.0, 200.0)
    held = []
    for time in range(1, 60):
        tracks = {"ALPHA": one("ALPHA", time, 17, sigma=bad(time)), "BRAVO": one("BRAVO", time, 4)}
        together([alpha, bravo], tracks)
        held.append((alpha.reporters()[0], bravo.reporters()[0]))
    assert held[25] == (0, 1)  # ALPHA: itself, as BRAVO says too
    assert held[31] == (0, 1)  # not at once
    assert held[-1] == (1, 0)
    moves = sum(before != after for before, after in pairwise(held[10:]))
    assert moves <= 3


def test_reporting_stays_while_the_sides_are_about_as_good():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    rng = np.random.default_rng(1)
    for time in range(1, 80):
        noisy = {
            name: one(name, time, 3, sigma=60.0 * float(rng.uniform(0.9, 1.1))) for name in ("ALPHA", "BRAVO")
        }
        together([alpha, bravo], noisy)
        if time > 10:
            assert (alpha.reporters()[0], bravo.reporters()[0]) == (0, 1)


def test_reporting_falls_to_who_is_left_when_the_reporter_falls_silent():
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    for time in range(1, 20):
        together([alpha, bravo], {"ALPHA": one("ALPHA", time), "BRAVO": one("BRAVO", time)})
    assert bravo.reporters() == [1]
    silent = alpha.sent
    for time in range(20, 32):
        bravo.look(one("BRAVO", time), {"ALPHA": silent})
    assert bravo.reporters() == [0]


@pytest.mark.parametrize("better", ["ALPHA", "BRAVO"])
def test_two_that_both_report_after_a_cut_settle_on_one(better):
    alpha, bravo = Side("ALPHA"), Side("BRAVO")
    for time in range(1, 40):
        linked = set() if time < 20 else None
        sigma = {name: 40.0 if name == better else 120.0 for name in ("ALPHA", "BRAVO")}
        together([alpha, bravo], {name: one(name, time, sigma=s) for name, s in sigma.items()}, linked)
    ours, theirs = alpha.reporters()[0], bravo.reporters()[0]
    assert (ours, theirs) == ((0, 1) if better == "ALPHA" else (1, 0))


def test_a_number_is_kept_while_the_partner_that_started_again_bears_it_on_what_is_likely_the_same_aircraft():
    alpha = Side("ALPHA")

    def theirs(time: float, uid: int) -> TrackReport:
        return replace(report("BRAVO", time, [200.0 * time], ids=[uid]), number=np.array([10], np.int32))

    def ours(time: float) -> TrackReport:
        return report("ALPHA", time, [200.0 * time], numbered=[5.0])

    for time in range(10, 25):
        alpha.look(ours(time), {"BRAVO": theirs(time, 1)})
    assert alpha.shown() == ["BRAVO-10"]
    before = alpha.changes
    for time in range(25, 65):
        alpha.look(ours(time), {})
    # After the heal it has a new track, which is not bound before several looks.
    for time in range(65, 80):
        alpha.look(ours(time), {"BRAVO": theirs(time, 2)})
        assert alpha.shown()[0] == "BRAVO-10"
    assert alpha.shown() == ["BRAVO-10"]
    assert alpha.changes == before
