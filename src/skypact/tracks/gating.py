"""Which plots may be of which tracks: a grid, a cheap gate, then the bank's own gate."""

from math import isnan, sqrt

import numpy as np

from skypact.core.arrays import Int32s1
from skypact.core.jit import kernel
from skypact.tracks.clutter import clutter_cell, clutter_density
from skypact.tracks.earth import Frame, height_and_vertical, seen_from
from skypact.tracks.filtering import pair_likelihoods
from skypact.tracks.grid import bucket_of, cell_of, enter_cell, leave_cell, neighbour_cell
from skypact.tracks.measurement import (
    COMPLETE,
    NEEDS_HEIGHT,
    NEEDS_RANGE,
    Plots,
    Sensors,
    lay_rows,
    plot_form,
)
from skypact.tracks.motion import Motion, mix_models, predict_models
from skypact.tracks.state import (
    ACTIVE,
    PAIRS_OVERFLOWN,
    Book,
    Looks,
    Params,
    Tracks,
    Work,
)

_GATES = np.array([11.0, 18.0, 22.0, 25.0, 28.0, 30.0])  # squared distance by number of rows
_SIGMAS = 4.5  # of the cheap gate
_ACCELERATION = 40.0  # m/s² that the cheap gate allows for
_HEIGHT_UNKNOWN = 12_000.0  # m; heights that a plot without one may have
_SAME_LOOK = 0.6  # of the period: two plots of one sensor closer than that are of one look


@kernel
def move_cell(tracks: Tracks, t: int, x: float, y: float, book: Book, cell_size: float) -> None:
    """Keep a track in the grid cell of a place (m)."""
    cell = cell_of(x, y, cell_size)
    if cell != tracks.cell[t]:
        leave_cell(t, tracks.cell, tracks.following, tracks.preceding, book.track_heads)
        enter_cell(t, cell, tracks.cell, tracks.following, tracks.preceding, book.track_heads)


@kernel
def refresh_track(tracks: Tracks, t: int, book: Book, cell_size: float) -> None:
    """Bring what is derived from a track's bank up to date: mean, widths and grid cell."""
    mean, cov, weight, whole = tracks.mean[t], tracks.cov[t], tracks.weight[t], tracks.whole[t]
    models = len(weight)
    total = 0.0
    for m in range(models):
        total += weight[m]
    for i in range(6):
        value = 0.0
        for m in range(models):
            value += weight[m] * mean[m, i]
        whole[i] = value / total
    widest, fastest = 0.0, 0.0
    for m in range(models):
        weight[m] /= total
        place, speed = 0.0, 0.0
        for i in range(3):
            place += cov[m, i, i] + (mean[m, i] - whole[i]) ** 2
            speed += cov[m, 3 + i, 3 + i] + (mean[m, 3 + i] - whole[3 + i]) ** 2
        widest, fastest = max(widest, place), max(fastest, speed)
    tracks.place_variance[t], tracks.speed_variance[t] = widest, fastest
    move_cell(tracks, t, whole[0], whole[1], book, cell_size)


@kernel
def predict_track(
    tracks: Tracks, t: int, time: float, frame: Frame, motion: Motion, book: Book, cell_size: float
) -> None:
    """Move a track's state on to `time`, s; nothing when it is there already."""
    elapsed = time - tracks.time[t]
    if elapsed <= 0.0:
        return
    whole = tracks.whole[t]
    _, ux, uy, uz = height_and_vertical(whole[0], whole[1], whole[2], frame)
    up = np.empty(3)
    up[0], up[1], up[2] = ux, uy, uz
    mix_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], elapsed, motion)
    predict_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], elapsed, up, motion)
    tracks.time[t] = time
    refresh_track(tracks, t, book, cell_size)


@kernel
def prepare_plot(
    plots: Plots,
    p: int,
    sensors: Sensors,
    frame: Frame,
    looks: Looks,
    births: float,
    work: Work,
) -> None:
    """Lay a plot's rows and find its form, its density of false plots and its clutter cell."""
    s = plots.sensor[p]
    form = plot_form(plots, p, sensors)
    work.form[p] = form
    work.nearly[p] = 0
    work.best_pair[p] = -1
    work.claimed[p] = 0.0
    if form == 0:
        return
    rows = work.rows
    guess, sigma = sensors.height_guess[s], sensors.height_sigma[s]
    lay_rows(plots, p, sensors, frame, 0.5 * sensors.reach[s], guess, sigma * sigma, rows, p)
    slant = rows.slant[p]
    work.slack[p] = 0.0
    if form == NEEDS_HEIGHT and slant > 0.0:
        low = _HEIGHT_UNKNOWN
        work.slack[p] = low if slant <= low else max(slant - sqrt(slant * slant - low * low), 100.0)
        work.slack[p] += low  # the height itself differs as well
    cell = 0
    if sensors.has_site[s]:
        site, axes = sensors.site[s], sensors.axes[s]
        x, y, z = rows.place[p, 0] - site[0], rows.place[p, 1] - site[1], rows.place[p, 2] - site[2]
        east = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
        north = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
        cell = clutter_cell(east, north, sensors.reach[s])
    work.ring[p] = cell
    has_rate = not isnan(plots.range_rate[p])
    clutter, target = clutter_density(
        looks, sensors, s, cell, rows.height[p], has_rate, plots.time[p], births
    )
    if form == NEEDS_RANGE:
        # Per metre across the line of sight instead of per square metre.
        clutter, target = clutter * sensors.reach[s], target * sensors.reach[s]
    work.density[p] = clutter + target
    work.target_share[p] = target / clutter


@kernel
def code_factor(ours: int, other: int, same: float, different: float) -> float:
    """What two codes of one kind say of a track and a plot being of one target; 1 when one is missing."""
    if ours < 0 or other < 0:
        return 1.0
    return same if ours == other else different


@kernel
def codes_factor(
    squawk: int, address: int, callsign: int, other_squawk: int, other_address: int, other_callsign: int
) -> float:
    """The same of squawk, address and callsign together: evidence, bounded, because codes repeat and change."""
    factor = code_factor(address, other_address, 200.0, 0.02)
    # Conspicuity codes are shared by many: 1000, 2000 and 7000 (octal) say nothing when they are the same.
    if not (squawk == other_squawk and (squawk == 512 or squawk == 1024 or squawk == 3584 or squawk == 0)):
        factor *= code_factor(squawk, other_squawk, 20.0, 0.1)
    if callsign != 0 and other_callsign != 0:
        factor *= 20.0 if callsign == other_callsign else 0.1
    return factor


@kernel
def lay_for_track(
    plots: Plots, p: int, t: int, sensors: Sensors, frame: Frame, tracks: Tracks, work: Work
) -> None:
    """Lay the rows of a plot that lacks height or range with those of a track, in `work.pair_rows`."""
    s = plots.sensor[p]
    whole = tracks.whole[t]
    height, ux, uy, uz = height_and_vertical(whole[0], whole[1], whole[2], frame)
    slant = 0.0
    if sensors.has_site[s]:
        slant, _, _ = seen_from(sensors.site[s], sensors.axes[s], whole[0], whole[1], whole[2])
    variance = 0.0
    for m in range(len(tracks.weight[t])):
        cov = tracks.cov[t, m]
        variance += tracks.weight[t, m] * (
            cov[0, 0] * ux * ux
            + cov[1, 1] * uy * uy
            + cov[2, 2] * uz * uz
            + 2.0 * (cov[0, 1] * ux * uy + cov[0, 2] * ux * uz + cov[1, 2] * uy * uz)
        )
    lay_rows(plots, p, sensors, frame, slant, height, variance, work.pair_rows, 0)


@kernel
def try_pair(
    plots: Plots,
    p: int,
    t: int,
    sensors: Sensors,
    frame: Frame,
    motion: Motion,
    params: Params,
    tracks: Tracks,
    book: Book,
    work: Work,
) -> float:
    """The density of a plot under a track times what their codes say; 0 when it is outside a gate."""
    s = plots.sensor[p]
    time = plots.time[p]
    late = time - tracks.time[t]
    if abs(time - tracks.hit[t, s]) < _SAME_LOOK * sensors.period[s]:
        return 0.0
    form = work.form[p]
    rows, whole = work.rows, tracks.whole[t]
    if form != NEEDS_RANGE:
        apart = 0.0
        for i in range(3):
            apart += (rows.place[p, i] - whole[i] - late * whole[3 + i]) ** 2
        far = max(rows.variance[p, 0], rows.variance[p, 1])
        if rows.count[p] > 2 and plots.range_rate[p] != plots.range_rate[p]:
            far = max(far, rows.variance[p, 2])
        wide = tracks.place_variance[t] + late * late * tracks.speed_variance[t] + far
        bound = _SIGMAS * sqrt(wide) + 0.5 * _ACCELERATION * late * late + work.slack[p]
        if apart > bound * bound:
            return 0.0
    if late < -params.late_limit:
        work.nearly[p] = 1
        return 0.0
    if late > 0.0:
        predict_track(tracks, t, time, frame, motion, book, params.cell_size)
        late = 0.0
    k = p
    if form != COMPLETE:
        rows, k = work.pair_rows, 0
        lay_for_track(plots, p, t, sensors, frame, tracks, work)
    distance = pair_likelihoods(tracks.mean[t], tracks.cov[t], rows, k, late, work.likelihood)
    if distance > _GATES[rows.count[k]]:
        return 0.0
    density = 0.0
    for m in range(len(work.likelihood)):
        density += tracks.weight[t, m] * work.likelihood[m]
    if params.use_codes:
        density *= codes_factor(
            tracks.squawk[t],
            tracks.address[t],
            tracks.callsign[t],
            int(plots.squawk[p]),
            int(plots.address[p]),
            int(plots.callsign[p]),
        )
    return density


@kernel
def keep_pair(t: int, i: int, p: int, odds: float, pairs: int, touched: int, work: Work) -> int:
    """Note a pair of track and plot; the number of touched tracks afterwards."""
    place = work.local[t]
    if place < 0:
        place = touched
        work.local[t] = place
        work.touched[place] = t
        work.touched_pair[place] = -1
        touched += 1
    work.pair_track[pairs] = place
    work.pair_plot[pairs] = i
    work.pair_next[pairs] = work.touched_pair[place]
    work.touched_pair[place] = pairs
    work.odds[pairs] = odds
    return touched


@kernel
def _pair_odds(existence: float, detection: float, density: float, clutter: float) -> float:
    """Odds that the plot is the track's against the track having none, before competition; at most 1e12."""
    expected = existence * detection
    return min(expected * density / max(clutter * (1.0 - expected), 1e-300), 1e12)


@kernel
def gather_pairs(
    plots: Plots,
    order: Int32s1,
    first: int,
    last: int,
    sensors: Sensors,
    frame: Frame,
    motion: Motion,
    params: Params,
    tracks: Tracks,
    looks: Looks,
    book: Book,
    work: Work,
) -> tuple[int, int]:
    """All pairs of the plots `order[first:last]`, of one look of one sensor, with the tracks near them.

    Returns:
        How many pairs, and how many tracks have any.
    """
    pairs, touched = 0, 0
    for i in range(first, last):
        p = order[i]
        prepare_plot(plots, p, sensors, frame, looks, params.births_per_scan, work)
        form = work.form[p]
        if form == 0:
            continue
        detection = sensors.detection[plots.sensor[p]]
        if form == NEEDS_RANGE:
            for a in range(book.counts[ACTIVE]):
                t = tracks.active[a]
                density = try_pair(plots, p, t, sensors, frame, motion, params, tracks, book, work)
                if density > 0.0:
                    if pairs == len(work.odds):
                        book.counts[PAIRS_OVERFLOWN] += 1
                        break
                    odds = _pair_odds(tracks.existence[t], detection, density, work.density[p])
                    touched = keep_pair(t, i, p, odds, pairs, touched, work)
                    pairs += 1
            continue
        centre = cell_of(work.rows.place[p, 0], work.rows.place[p, 1], params.cell_size)
        for column in range(-1, 2):
            for row in range(-1, 2):
                cell = neighbour_cell(centre, column, row)
                t = book.track_heads[bucket_of(cell)]
                while t >= 0:
                    following = tracks.following[t]  # the track may change cells below
                    place = work.local[t]
                    # A track that changed cells just now may come a second time.
                    is_done = place >= 0 and work.pair_plot[work.touched_pair[place]] == i
                    if tracks.cell[t] == cell and not is_done:
                        density = try_pair(plots, p, t, sensors, frame, motion, params, tracks, book, work)
                        if density > 0.0:
                            if pairs == len(work.odds):
                                book.counts[PAIRS_OVERFLOWN] += 1
                            else:
                                odds = _pair_odds(tracks.existence[t], detection, density, work.density[p])
                                touched = keep_pair(t, i, p, odds, pairs, touched, work)
                                pairs += 1
                    t = following
    return pairs, touched
