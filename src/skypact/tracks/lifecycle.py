"""Tracks without plots: passes that were expected and missed, hiding, coming back and ending."""

from math import exp

from skypact.core.jit import kernel
from skypact.tracks.books import drop_track, expire_open_plots
from skypact.tracks.clutter import look_probability
from skypact.tracks.earth import Frame, seen_from
from skypact.tracks.gating import move_cell
from skypact.tracks.measurement import Sensors
from skypact.tracks.state import (
    ACTIVE,
    CONFIRMED,
    HELD_MOST,
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
_WAIT_LOOKS = 2.3  # an open plot waits for a partner for so many looks of its sensor


@kernel
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
    now = looks.now[0]
    elapsed = now - tracks.time[t]
    whole = tracks.whole[t]
    x = whole[0] + elapsed * whole[3]
    y = whole[1] + elapsed * whole[4]
    z = whole[2] + elapsed * whole[5]
    move_cell(tracks, t, x, y, book, params.cell_size)
    is_covered = False
    existence = tracks.existence[t]
    for s in range(len(sensors.period)):
        period = sensors.period[s]
        newest = looks.latest[s]
        if newest < now - max(_SILENT_LOOKS * period, _SILENT_LEAST):
            tracks.seen[t, s] = max(tracks.seen[t, s], newest)
            continue
        never = tracks.hit[t, s] < 0.0
        if not sensors.has_site[s]:
            if never or tracks.blind[t, s] > 5:
                continue
            detection = sensors.detection[s] * 0.6 ** int(tracks.blind[t, s])
        else:
            site = sensors.site[s]
            away = (x - site[0]) ** 2 + (y - site[1]) ** 2
            if away > sensors.reach[s] * sensors.reach[s]:
                tracks.seen[t, s] = newest
                continue
            slant, _, elevation = seen_from(site, sensors.axes[s], x, y, z)
            detection = look_probability(
                slant,
                elevation,
                sensors.reach[s],
                sensors.detection[s],
                int(tracks.blind[t, s]),
                never,
                sensors.asks[s],
            )
        if detection <= 0.0:
            tracks.seen[t, s] = newest
            continue
        if detection > 0.3:
            is_covered = True
        behind = newest - tracks.seen[t, s]
        while behind > _PASS_MARGIN * period:
            existence *= (1.0 - detection) / (1.0 - existence * detection)
            tracks.seen[t, s] += period
            behind -= period
            tracks.misses[t] += 1
            if tracks.doubtful[t, s] < 100:
                tracks.doubtful[t, s] += 1
    life = params.target_life if is_covered else params.uncovered_life
    passed = now - tracks.checked[t]
    if passed > 0.0:
        existence *= exp(-passed / life)
        tracks.checked[t] = now
    tracks.existence[t] = existence
    tracks.due[t] = now + _CHECK_PERIOD
    if tracks.status[t] == CONFIRMED:
        if existence < params.drop_existence:
            drop_track(tracks, t, opened, looks, sensors, book)
        elif existence < params.hide_existence:
            tracks.hidden[t] = 1
        elif existence > params.show_existence:
            tracks.hidden[t] = 0
    elif existence < params.drop_tentative or (
        tracks.held_count[t] == HELD_MOST and existence < params.confirm_existence
    ):
        drop_track(tracks, t, opened, looks, sensors, book)


@kernel
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
    now = looks.now[0]
    place = 0
    while place < book.counts[ACTIVE]:
        t = tracks.active[place]
        if tracks.due[t] <= now:
            check_track(t, sensors, frame, params, tracks, opened, looks, book)
            if tracks.status[t] != CONFIRMED and tracks.status[t] != TENTATIVE:
                continue  # another track has taken its place in the list
        place += 1
    for s in range(len(sensors.period)):
        expire_open_plots(opened, s, looks, sensors, book, _WAIT_LOOKS * sensors.period[s])
