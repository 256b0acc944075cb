from dataclasses import replace

import numpy as np
import pytest
from seen_tracks import report

from skypact.exchange.commonality import Commonality, measure_commonality
from skypact.exchange.correlation import Correlator
from skypact.exchange.model import TrackReport
from skypact.exchange.numbers import NumberBook

PLACES = [0.0, 20_000.0, 40_000.0, 60_000.0]
ADDRESSES = [11, 12, 13, 14]


def aircraft(centre: str, time: float, **columns) -> TrackReport:
    return report(
        centre, time, [place + 200.0 * time for place in PLACES], **{"address": ADDRESSES} | columns
    )


def meter(own: TrackReport, partner: TrackReport, now: float, visible=None) -> Commonality:
    book = NumberBook("ALPHA")
    book.update(Correlator().update(replace(own, time=now - 10.0), {}, now - 10.0), {})
    correlation = Correlator().update(own, {"BRAVO": partner}, now)
    numbers = book.update(correlation, visible or {})
    return measure_commonality(correlation, numbers, visible or {})["BRAVO"]


def agreeing(time: float, **columns) -> TrackReport:
    """BRAVO's tracks, under the numbers that ALPHA gave them."""
    return replace(aircraft("BRAVO", time, **columns), centre_names=("ALPHA",), numbered=np.full(4, time))


def test_pictures_that_agree_have_everything_in_common():
    found = meter(aircraft("ALPHA", 100.0), agreeing(99.0), 100.0)
    assert (found.held, found.number, found.state, found.identity) == (4, 1.0, 1.0, 1.0)
    assert found.age == pytest.approx(1.0)


def test_other_numbers_identities_and_places_lower_their_shares():
    partner = agreeing(100.0, number=[1, 2, 3, 9], identity=[0, 0, 3, 3])
    partner.latitude[0] += 350.0 / 6_371_000.0
    found = meter(aircraft("ALPHA", 100.0), partner, 100.0)
    assert found.held == 4
    assert found.number == 0.75
    assert found.identity == 0.5
    assert found.state == 0.75


def test_tracks_that_the_partner_may_not_see_are_left_out():
    visible = {"BRAVO": np.array([True, True, False, False])}
    assert meter(aircraft("ALPHA", 100.0), agreeing(100.0), 100.0, visible).held == 2


def test_likely_pairs_that_still_wait_count_as_held_but_not_as_common():
    without_codes = aircraft("ALPHA", 100.0, address=-1)
    found = meter(without_codes, agreeing(100.0, address=-1), 100.0)
    assert (found.held, found.number) == (4, 0.0)


def test_with_nothing_held_nothing_is_out_of_common_and_no_skew_is_known():
    found = meter(aircraft("ALPHA", 100.0), report("BRAVO", 100.0, []), 100.0)
    assert (found.held, found.number, found.state, found.identity) == (0, 1.0, 1.0, 1.0)
    assert np.isnan(found.skew)


def test_a_partner_too_old_to_count_has_no_meter():
    correlation = Correlator().update(aircraft("ALPHA", 200.0), {"BRAVO": agreeing(100.0)}, 200.0)
    numbers = NumberBook("ALPHA").update(correlation, {})
    assert measure_commonality(correlation, numbers, {}) == {}
