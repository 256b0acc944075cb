"""Which plots may be of which tracks: a grid, a cheap gate, then the bank's own gate."""

from math import isnan, sqrt

import numpy as np

from skypact.core.arrays import Int32s1
from skypact.core.jit import inner_kernel, kernel
from skypact.plots.model import PlotFlag
from skypact.tracks.clutter import clutter_cell, clutter_density
from skypact.tracks.earth import Frame, height_and_vertical, seen_from
from skypact.tracks.filtering import pair_likelihoods
from skypact.tracks.grid import bucket_of, cell_of, enter_cell, leave_cell, neighbour_cell
from skypact.tracks.measurement import (
    COMPLETE,
    NEEDS_HEIGHT,
    NEEDS_RANGE,
    P_ADDRESS,
    P_CALLSIGN,
    P_FLAGS,
    P_RANGE_RATE,
    P_SENSOR,
    P_SQUAWK,
    P_TIME,
    S_DETECTION,
    S_HAS_SITE,
    S_HEIGHT_GUESS,
    S_HEIGHT_SIGMA,
    S_PERIOD,
    S_REACH,
    Plots,
    Sensors,
    lay_rows,
    plot_form,
)
from skypact.tracks.motion import Motion, mix_models, predict_models
from skypact.tracks.state import (
    ACTIVE,
    ACTIVE_LIST,
    L_CELL,
    L_FOLLOWING,
    PAIRS_OVERFLOWN,
    T_ADDRESS,
    T_CALLSIGN,
    T_EXISTENCE,
    T_HIT,
    T_PLACE_VARIANCE,
    T_SIMULATED,
    T_SPEED_VARIANCE,
    T_SQUAWK,
    T_TIME,
    TRACK_HEADS,
    W_BEST_PAIR,
    W_CLAIMED,
    W_DENSITY,
    W_FORM,
    W_NEARLY,
    W_RING,
    W_SLACK,
    W_TARGET_SHARE,
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
_GARBLED = int(PlotFlag.GARBLED)
_SIMULATED = int(PlotFlag.SIMULATED)


@inner_kernel
def move_cell(tracks: Tracks, t: int, x: float, y: float, book: Book, cell_size: float) -> None:
    """Keep a track in the grid cell of a place (m)."""
    cell = cell_of(x, y, cell_size)
    if cell != tracks.links[t, L_CELL]:
        leave_cell(t, tracks.links, book.heads[TRACK_HEADS])
        enter_cell(t, cell, tracks.links, book.heads[TRACK_HEADS])


@inner_kernel
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
    tracks.real[t, T_PLACE_VARIANCE], tracks.real[t, T_SPEED_VARIANCE] = widest, fastest
    move_cell(tracks, t, whole[0], whole[1], book, cell_size)


@inner_kernel
def predict_track(
    tracks: Tracks, t: int, time: float, frame: Frame, motion: Motion, book: Book, cell_size: float
) -> None:
    """Move a track's state on to `time`, s; nothing when it is there already."""
    elapsed = time - tracks.real[t, T_TIME]
    if elapsed <= 0.0:
        return
    whole = tracks.whole[t]
    _, ux, uy, uz = height_and_vertical(whole[0], whole[1], whole[2], frame)
    up = np.empty(3)
    up[0], up[1], up[2] = ux, uy, uz
    mix_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], elapsed, motion)
    predict_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], elapsed, up, motion)
    tracks.real[t, T_TIME] = time
    refresh_track(tracks, t, book, cell_size)


@inner_kernel
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
    s = plots.codes[p, P_SENSOR]
    form = plot_form(plots, p, sensors)
    work.ints[p, W_FORM] = form
    work.ints[p, W_NEARLY] = 0
    work.ints[p, W_BEST_PAIR] = -1
    work.real[p, W_CLAIMED] = 0.0
    if form == 0:
        return
    rows = work.rows
    guess, sigma = sensors.real[s, S_HEIGHT_GUESS], sensors.real[s, S_HEIGHT_SIGMA]
    lay_rows(plots, p, sensors, frame, 0.5 * sensors.real[s, S_REACH], guess, sigma * sigma, rows, p)
    slant = rows.place[p, 4]
    work.real[p, W_SLACK] = 0.0
    if form == NEEDS_HEIGHT and slant > 0.0:
        low = _HEIGHT_UNKNOWN
        work.real[p, W_SLACK] = low if slant <= low else max(slant - sqrt(slant * slant - low * low), 100.0)
        work.real[p, W_SLACK] += low  # the height itself differs as well
    cell = 0
    if sensors.real[s, S_HAS_SITE] > 0.0:
        site, axes = sensors.site[s], sensors.axes[s]
        x, y, z = rows.place[p, 0] - site[0], rows.place[p, 1] - site[1], rows.place[p, 2] - site[2]
        east = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
        north = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
        cell = clutter_cell(east, north, sensors.real[s, S_REACH])
    work.ints[p, W_RING] = cell
    has_rate = not isnan(plots.real[p, P_RANGE_RATE])
    clutter, target = clutter_density(
        looks, sensors, s, cell, rows.place[p, 3], has_rate, plots.real[p, P_TIME], births
    )
    if form == NEEDS_RANGE:
        # Per metre across the line of sight instead of per square metre.
        clutter, target = clutter * sensors.real[s, S_REACH], target * sensors.real[s, S_REACH]
    work.real[p, W_DENSITY] = clutter + target
    work.real[p, W_TARGET_SHARE] = target / clutter


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
    """The same of squawk, address and callsign together: bounded, because codes repeat and change."""
    factor = code_factor(address, other_address, 200.0, 0.005)
    # Conspicuity codes are shared by many: 1000, 2000 and 7000 (octal) say nothing when they are the same.
    if not (squawk == other_squawk and (squawk == 512 or squawk == 1024 or squawk == 3584 or squawk == 0)):
        factor *= code_factor(squawk, other_squawk, 50.0, 0.01)
    if callsign != 0 and other_callsign != 0:
        factor *= 20.0 if callsign == other_callsign else 0.1
    return factor


@kernel
def squawk_against(plots: Plots, p: int, ours: int) -> int:
    """The squawk of a plot as evidence for or against `ours`; -1 when it says nothing.

    A garbled or not validated code that is the same by chance is rare, one that differs is not.
    """
    squawk = int(plots.codes[p, P_SQUAWK])
    return -1 if squawk != ours and (plots.codes[p, P_FLAGS] & _GARBLED) != 0 else squawk


@inner_kernel
def lay_for_track(
    plots: Plots, p: int, t: int, sensors: Sensors, frame: Frame, tracks: Tracks, work: Work
) -> None:
    """Lay the rows of a plot that lacks height or range with a track's, in the last place of `work.rows`."""
    s = plots.codes[p, P_SENSOR]
    whole = tracks.whole[t]
    height, ux, uy, uz = height_and_vertical(whole[0], whole[1], whole[2], frame)
    slant = 0.0
    if sensors.real[s, S_HAS_SITE] > 0.0:
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
    lay_rows(plots, p, sensors, frame, slant, height, variance, work.rows, len(work.rows.used) - 1)


@inner_kernel
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
    s = plots.codes[p, P_SENSOR]
    if ((plots.codes[p, P_FLAGS] & _SIMULATED) != 0) != (tracks.ints[t, T_SIMULATED] != 0):
        return 0.0  # an exercise and live traffic never feed each other
    time = plots.real[p, P_TIME]
    late = time - tracks.real[t, T_TIME]
    if abs(time - tracks.passes[t, s, T_HIT]) < _SAME_LOOK * sensors.real[s, S_PERIOD]:
        return 0.0
    form = work.ints[p, W_FORM]
    rows, whole = work.rows, tracks.whole[t]
    if form != NEEDS_RANGE:
        apart = 0.0
        for i in range(3):
            apart += (rows.place[p, i] - whole[i] - late * whole[3 + i]) ** 2
        far = max(rows.value[p, 0, 1], rows.value[p, 1, 1])
        if rows.used[p] > 2 and plots.real[p, P_RANGE_RATE] != plots.real[p, P_RANGE_RATE]:
            far = max(far, rows.value[p, 2, 1])
        wide = tracks.real[t, T_PLACE_VARIANCE] + late * late * tracks.real[t, T_SPEED_VARIANCE] + far
        bound = _SIGMAS * sqrt(wide) + 0.5 * _ACCELERATION * late * late + work.real[p, W_SLACK]
        if apart > bound * bound:
            return 0.0
    if late < -params.late_limit:
        work.ints[p, W_NEARLY] = 1
        return 0.0
    if late > 0.0:
        predict_track(tracks, t, time, frame, motion, book, params.cell_size)
        late = 0.0
    k = p
    if form != COMPLETE:
        rows, k = work.rows, len(work.rows.used) - 1
        lay_for_track(plots, p, t, sensors, frame, tracks, work)
    distance = pair_likelihoods(tracks.mean[t], tracks.cov[t], rows, k, late, work.likelihood)
    if distance > _GATES[rows.used[k]]:
        return 0.0
    density = 0.0
    for m in range(len(work.likelihood)):
        density += tracks.weight[t, m] * work.likelihood[m]
    if params.use_codes:
        density *= codes_factor(
            tracks.ints[t, T_SQUAWK],
            tracks.ints[t, T_ADDRESS],
            tracks.ints[t, T_CALLSIGN],
            squawk_against(plots, p, int(tracks.ints[t, T_SQUAWK])),
            int(plots.codes[p, P_ADDRESS]),
            int(plots.codes[p, P_CALLSIGN]),
        )
    return density


@inner_kernel
def keep_pair(t: int, i: int, p: int, odds: float, pairs: int, touched: int, work: Work) -> int:
    """Note a pair of track and plot; the number of touched tracks afterwards."""
    place = work.local[t]
    if place < 0:
        place = touched
        work.local[t] = place
        work.touched[0, place] = t
        work.touched[1, place] = -1
        touched += 1
    work.pair_track[pairs] = place
    work.pair_plot[pairs] = i
    work.pair_next[pairs] = work.touched[1, place]
    work.touched[1, place] = pairs
    work.odds[pairs] = odds
    return touched


@kernel
def _pair_odds(existence: float, detection: float, density: float, clutter: float) -> float:
    """Odds that the plot is the track's against the track having none, before competition; at most 1e12."""
    expected = existence * detection
    return min(expected * density / max(clutter * (1.0 - expected), 1e-300), 1e12)


@inner_kernel
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
        form = work.ints[p, W_FORM]
        if form == 0:
            continue
        detection = sensors.real[plots.codes[p, P_SENSOR], S_DETECTION]
        if form == NEEDS_RANGE:
            for a in range(book.counts[ACTIVE]):
                t = tracks.lists[ACTIVE_LIST, a]
                density = try_pair(plots, p, t, sensors, frame, motion, params, tracks, book, work)
                if density > 0.0:
                    if pairs == len(work.odds):
                        book.counts[PAIRS_OVERFLOWN] += 1
                        break
                    odds = _pair_odds(
                        tracks.real[t, T_EXISTENCE], detection, density, work.real[p, W_DENSITY]
                    )
                    touched = keep_pair(t, i, p, odds, pairs, touched, work)
                    pairs += 1
            continue
        centre = cell_of(work.rows.place[p, 0], work.rows.place[p, 1], params.cell_size)
        for column in range(-1, 2):
            for row in range(-1, 2):
                cell = neighbour_cell(centre, column, row)
                t = book.heads[TRACK_HEADS, bucket_of(cell)]
                while t >= 0:
                    following = tracks.links[t, L_FOLLOWING]  # the track may change cells below
                    place = work.local[t]
                    # A track that changed cells just now may come a second time.
                    is_done = place >= 0 and work.pair_plot[work.touched[1, place]] == i
                    if tracks.links[t, L_CELL] == cell and not is_done:
                        density = try_pair(plots, p, t, sensors, frame, motion, params, tracks, book, work)
                        if density > 0.0:
                            if pairs == len(work.odds):
                                book.counts[PAIRS_OVERFLOWN] += 1
                            else:
                                odds = _pair_odds(
                                    tracks.real[t, T_EXISTENCE], detection, density, work.real[p, W_DENSITY]
                                )
                                touched = keep_pair(t, i, p, odds, pairs, touched, work)
                                pairs += 1
                    t = following
    return pairs, touched
