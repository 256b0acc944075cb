"""Tracks without plots: passes that were expected and missed, hiding, coming back and ending."""

from math import exp

import numpy as np

from skypact.core.jit import inner_kernel
from skypact.tracks.books import drop_track, expire_open_plots
from skypact.tracks.clutter import look_probability
from skypact.tracks.earth import Frame, seen_from
from skypact.tracks.gating import move_cell
from skypact.tracks.initiation import WAIT_LOOKS
from skypact.tracks.measurement import S_ASKS, S_DETECTION, S_HAS_SITE, S_PERIOD, S_REACH, Sensors
from skypact.tracks.state import (
    ACTIVE,
    ACTIVE_LIST,
    ANY,
    CONFIRMED,
    HELD_MOST,
    LIVE,
    T_BLIND,
    T_CHECKED,
    T_DOUBTFUL,
    T_DUE,
    T_EXISTENCE,
    T_HELD_COUNT,
    T_HIDDEN,
    T_HIT,
    T_MISSES,
    T_SEEN,
    T_SIMULATED,
    T_STATUS,
    T_TIME,
    TENTATIVE,
    Book,
    Looks,
    OpenPlots,
    Params,
    Tracks,
)

_CHECK_PERIOD = 0.5  # s between two checks of a track
_PASS_MARGIN = 1.12  # a pass is missed when so many periods have gone by since the last one
_SILENT_LOOKS = 2.5  # a sensor that sent nothing for so many periods sees nothing
_SILENT_LEAST = 3.0  # s, and for at least so long
_GAP_LOOKS = 1.25  # a sensor without any plot for so many periods was not looking


@inner_kernel
def note_gap(looks: Looks, s: int, sort: int, sensors: Sensors, time: float) -> None:
    """Note whether a sensor's next plot, at `time`, ends a time in which it told of nothing.

    Passes in such a time were not missed by the targets: the radar, or the link to the partner who
    has it, was away. Counting them would end the tracks at the very moment in which it is back. What was
    not confirmed before is not worth waiting for: its plots are settled.
    """
    if time > looks.latest[s, sort] + max(_GAP_LOOKS * sensors.real[s, S_PERIOD], _SILENT_LEAST):
        looks.resumed[s, sort] = time


@inner_kernel
def check_track(
    t: int,
    sensors: Sensors,
    frame: Frame,
    params: Params,
    tracks: Tracks,
    opened: OpenPlots,
    looks: Looks,
    book: Book,
) -> None:
    """Bring a track's existence up to now: time passed, and passes of sensors that brought no plot."""
    sort = ANY if tracks.ints[t, T_SIMULATED] != 0 else LIVE
    now = looks.now[sort]
    elapsed = now - tracks.real[t, T_TIME]
    whole = tracks.whole[t]
    x = whole[0] + elapsed * whole[3]
    y = whole[1] + elapsed * whole[4]
    z = whole[2] + elapsed * whole[5]
    move_cell(tracks, t, x, y, book, params.cell_size)
    is_covered = False
    is_confirmed = tracks.ints[t, T_STATUS] == CONFIRMED
    existence = tracks.real[t, T_EXISTENCE]
    for s in range(len(sensors.real)):
        period = sensors.real[s, S_PERIOD]
        newest = looks.latest[s, sort]
        if newest < now - max(_SILENT_LOOKS * period, _SILENT_LEAST):
            tracks.passes[t, s, T_SEEN] = max(tracks.passes[t, s, T_SEEN], newest)
            continue
        if is_confirmed:
            tracks.passes[t, s, T_SEEN] = max(tracks.passes[t, s, T_SEEN], looks.resumed[s, sort])
        never = tracks.passes[t, s, T_HIT] == -np.inf
        if sensors.real[s, S_HAS_SITE] == 0.0:
            if never or tracks.missed[t, s, T_BLIND] > 5:
                continue
            detection = sensors.real[s, S_DETECTION] * 0.6 ** int(tracks.missed[t, s, T_BLIND])
        else:
            site = sensors.site[s]
            away = (x - site[0]) ** 2 + (y - site[1]) ** 2
            if away > sensors.real[s, S_REACH] * sensors.real[s, S_REACH]:
                tracks.passes[t, s, T_SEEN] = newest
                continue
            slant, _, elevation = seen_from(site, sensors.axes[s], x, y, z)
            detection = look_probability(
                slant,
                elevation,
                sensors.real[s, S_REACH],
                sensors.real[s, S_DETECTION],
                int(tracks.missed[t, s, T_BLIND]),
                never,
                sensors.real[s, S_ASKS] > 0.0,
            )
        if detection <= 0.0:
            tracks.passes[t, s, T_SEEN] = newest
            continue
        if detection > 0.3:
            is_covered = True
        behind = newest - tracks.passes[t, s, T_SEEN]
        while behind > _PASS_MARGIN * period:
            existence *= (1.0 - detection) / (1.0 - existence * detection)
            tracks.passes[t, s, T_SEEN] += period
            behind -= period
            tracks.ints[t, T_MISSES] += 1
            if tracks.missed[t, s, T_DOUBTFUL] < 100:
                tracks.missed[t, s, T_DOUBTFUL] += 1
    life = params.target_life if is_covered else params.uncovered_life
    passed = now - tracks.real[t, T_CHECKED]
    if passed > 0.0:
        existence *= exp(-passed / life)
        tracks.real[t, T_CHECKED] = now
    tracks.real[t, T_EXISTENCE] = existence
    tracks.real[t, T_DUE] = now + _CHECK_PERIOD
    if is_confirmed:
        if existence < params.drop_existence:
            drop_track(tracks, t, opened, looks, sensors, book)
        elif existence < params.hide_existence:
            tracks.ints[t, T_HIDDEN] = 1
        elif existence > params.show_existence:
            tracks.ints[t, T_HIDDEN] = 0
    elif existence < params.drop_tentative or (
        tracks.ints[t, T_HELD_COUNT] == HELD_MOST and existence < params.confirm_existence
    ):
        drop_track(tracks, t, opened, looks, sensors, book)


@inner_kernel
def check_tracks(
    sensors: Sensors,
    frame: Frame,
    params: Params,
    tracks: Tracks,
    opened: OpenPlots,
    looks: Looks,
    book: Book,
) -> None:
    """Check the tracks that are due, and end the wait of old open plots."""
    place = 0
    while place < book.counts[ACTIVE]:
        t = tracks.lists[ACTIVE_LIST, place]
        if tracks.real[t, T_DUE] <= looks.now[ANY if tracks.ints[t, T_SIMULATED] != 0 else LIVE]:
            check_track(t, sensors, frame, params, tracks, opened, looks, book)
            if tracks.ints[t, T_STATUS] != CONFIRMED and tracks.ints[t, T_STATUS] != TENTATIVE:
                continue  # another track has taken its place in the list
        place += 1
    for s in range(len(sensors.real)):
        expire_open_plots(opened, s, looks, sensors, book, WAIT_LOOKS * sensors.real[s, S_PERIOD])
