"""One plot batch through the tracker: screening, one look after the other, then the tracks that are due."""

from math import isfinite, isnan

import numpy as np

from skypact.core.arrays import Int32s1
from skypact.core.jit import inner_kernel, kernel
from skypact.plots.model import Outcome, PlotFlag
from skypact.tracks.books import settle
from skypact.tracks.clutter import start_clutter
from skypact.tracks.earth import Frame
from skypact.tracks.gating import gather_pairs
from skypact.tracks.lifecycle import check_tracks, note_gap
from skypact.tracks.measurement import (
    P_ALTITUDE,
    P_AZIMUTH,
    P_ELEVATION,
    P_FLAGS,
    P_HEIGHT,
    P_RANGE,
    P_RANGE_RATE,
    P_RECEIVED,
    P_SENSOR,
    P_TIME,
    S_PERIOD,
    S_REACH,
    Plots,
    Sensors,
)
from skypact.tracks.model import OutcomeReason
from skypact.tracks.motion import Motion
from skypact.tracks.state import ANY, LIVE, Book, Looks, OpenPlots, Params, Tracks, Work
from skypact.tracks.twins import end_twins
from skypact.tracks.updating import confirm_sure_tracks, settle_plot, share_plots, update_track

_LOOK_SPAN = 0.3  # of a period: plots of one sensor within it are of one look
_AHEAD_MOST = 60.0  # s; a plot detected so long after it arrived has a wrong time
_LATE_LOOKS = 3.0  # a plot older than its sensor's newest by so many periods is late
_SIMULATED = int(PlotFlag.SIMULATED)
_TEST = int(PlotFlag.TEST)
_FILTERED, _MALFORMED, _LATE = int(Outcome.FILTERED), int(Outcome.MALFORMED), int(Outcome.LATE)
_ACCEPTED = -1
_TEST_TARGET = int(OutcomeReason.TEST_TARGET)
_UNKNOWN_SENSOR = int(OutcomeReason.UNKNOWN_SENSOR)
_NO_TIME = int(OutcomeReason.NO_TIME)
_TIME_AHEAD = int(OutcomeReason.TIME_AHEAD)
_OLDER = int(OutcomeReason.OLDER_THAN_SENSOR)
_OUT_OF_RANGE = int(OutcomeReason.OUT_OF_RANGE)


@inner_kernel
def screen_plot(
    plots: Plots, p: int, without_tests: bool, sensors: Sensors, looks: Looks, late_limit: float
) -> tuple[int, int]:
    """Outcome and reason of a plot that the tracker can't use; (-1, 0) for one that it can."""
    s = plots.codes[p, P_SENSOR]
    if s < 0 or s >= len(sensors.real):
        return _MALFORMED, _UNKNOWN_SENSOR
    time = plots.real[p, P_TIME]
    if not isfinite(time):
        return _MALFORMED, _NO_TIME
    # A clock that runs far ahead would end every other sensor's tracks.
    if time > plots.real[p, P_RECEIVED] + _AHEAD_MOST:
        return _MALFORMED, _TIME_AHEAD
    if without_tests and (plots.codes[p, P_FLAGS] & _TEST) != 0:
        return _FILTERED, _TEST_TARGET
    slant, height, altitude = plots.real[p, P_RANGE], plots.real[p, P_HEIGHT], plots.real[p, P_ALTITUDE]
    if not isnan(slant) and not 0.0 < slant <= 2.0 * sensors.real[s, S_REACH]:
        return _MALFORMED, _OUT_OF_RANGE
    if abs(height) > 100_000.0 or abs(altitude) > 100_000.0:
        return _MALFORMED, _OUT_OF_RANGE
    if (
        abs(plots.real[p, P_ELEVATION]) > 1.5708
        or abs(plots.real[p, P_RANGE_RATE]) > 5_000.0
        or abs(plots.real[p, P_AZIMUTH]) > 7.0
    ):
        return _MALFORMED, _OUT_OF_RANGE
    sort = ANY if (plots.codes[p, P_FLAGS] & _SIMULATED) != 0 else LIVE
    if time < looks.latest[s, sort] - max(_LATE_LOOKS * sensors.real[s, S_PERIOD], late_limit):
        return _LATE, _OLDER
    return _ACCEPTED, 0


@kernel
def process_batch(
    plots: Plots,
    order: Int32s1,
    base: int,
    without_tests: bool,
    sensors: Sensors,
    frame: Frame,
    motion: Motion,
    params: Params,
    tracks: Tracks,
    opened: OpenPlots,
    looks: Looks,
    book: Book,
    work: Work,
) -> None:
    """Take in one batch.

    Args:
        plots: the batch. order: its plots by sensor, live before simulated, then time.
        base: place of its first plot in the order in which the tracker was given plots.
        without_tests: whether to leave out test targets.
        sensors: the sensor table. frame: the centre's. motion: the bank. params: the settings.
        tracks, opened, looks, book, work: the tracker's memory, changed in place.
    """
    kept = 0
    for i in range(len(order)):
        p = order[i]
        outcome, reason = screen_plot(plots, p, without_tests, sensors, looks, params.late_limit)
        if outcome == _ACCEPTED:
            work.kept[kept] = p
            kept += 1
        else:
            settle(book, base + p, outcome, -1, -1, reason)
    first = 0
    while first < kept:
        s = plots.codes[work.kept[first], P_SENSOR]
        is_simulated = (plots.codes[work.kept[first], P_FLAGS] & _SIMULATED) != 0
        start = plots.real[work.kept[first], P_TIME]
        last = first + 1
        while last < kept:
            p = work.kept[last]
            if (
                plots.codes[p, P_SENSOR] != s
                or ((plots.codes[p, P_FLAGS] & _SIMULATED) != 0) != is_simulated
                or plots.real[p, P_TIME] > start + _LOOK_SPAN * sensors.real[s, S_PERIOD]
            ):
                break
            last += 1
        newest = plots.real[work.kept[last - 1], P_TIME]
        if looks.latest[s, LIVE] == -np.inf:
            start_clutter(looks, s, newest)
        for sort in range(ANY if is_simulated else LIVE, ANY + 1):
            note_gap(looks, s, sort, sensors, start)
            looks.latest[s, sort] = max(looks.latest[s, sort], newest)
            looks.now[sort] = max(looks.now[sort], newest)
        # All of one look of one sensor, all live or all simulated: a track has at most one of these plots,
        # a plot one track.
        pairs, touched = gather_pairs(
            plots, work.kept, first, last, sensors, frame, motion, params, tracks, looks, book, work
        )
        end_twins(pairs, sensors, tracks, opened, looks, book, work)
        share_plots(work.kept, pairs, work)
        for place in range(touched):
            update_track(plots, work.kept, place, s, sensors, frame, params, tracks, looks, book, work)
        for i in range(first, last):
            p = work.kept[i]
            settle_plot(plots, p, base + p, sensors, frame, motion, params, tracks, opened, looks, book, work)
        confirm_sure_tracks(touched, sensors, params, tracks, opened, looks, book, work)
        first = last
    check_tracks(sensors, frame, params, tracks, opened, looks, book)
