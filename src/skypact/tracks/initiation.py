"""Tracks from plots that belong to none: a plot waits in a grid until a second one makes a track with it."""

from math import exp, isnan, pi, sqrt

import numpy as np

from skypact.core.jit import inner_kernel
from skypact.plots.model import PlotFlag
from skypact.tracks.books import take_track
from skypact.tracks.earth import Frame, height_and_vertical
from skypact.tracks.filtering import update_models
from skypact.tracks.gating import codes_factor, predict_track, refresh_track
from skypact.tracks.grid import bucket_of, cell_of, enter_cell, neighbour_cell
from skypact.tracks.measurement import (
    COMPLETE,
    NEEDS_HEIGHT,
    P_ADDRESS,
    P_ALTITUDE,
    P_CALLSIGN,
    P_FLAGS,
    P_SENSOR,
    P_SQUAWK,
    P_TIME,
    S_HEIGHT_GUESS,
    S_HEIGHT_SIGMA,
    S_PERIOD,
    S_SPEED_SIGMA,
    Plots,
    Sensors,
    invert_symmetric,
    place_covariance,
)
from skypact.tracks.motion import Motion
from skypact.tracks.state import (
    L_CELL,
    L_FOLLOWING,
    NEWEST_OPEN,
    O_ADDRESS,
    O_ALTITUDE,
    O_CALLSIGN,
    O_HEIGHT,
    O_HOLDERS,
    O_ODDS,
    O_PLOT,
    O_QUEUE,
    O_RING,
    O_SENSOR,
    O_SETTLED,
    O_SIMULATED,
    O_SQUAWK,
    O_TIME,
    O_WAITING,
    OLDEST_OPEN,
    OPEN_FREE,
    OPEN_HEADS,
    OPEN_OVERFLOWN,
    T_ADDRESS,
    T_ALTITUDE,
    T_ALTITUDE_TIME,
    T_BLIND,
    T_BORN,
    T_CALLSIGN,
    T_CHECKED,
    T_DOUBTFUL,
    T_DUE,
    T_EXISTENCE,
    T_HELD_COUNT,
    T_HIDDEN,
    T_HIT,
    T_MISSES,
    T_NUMBER,
    T_PLOTS,
    T_RIVAL_ADDRESS,
    T_RIVAL_SQUAWK,
    T_SEEN,
    T_SIMULATED,
    T_SQUAWK,
    T_STATUS,
    T_TIME,
    T_UPDATED,
    TENTATIVE,
    W_FORM,
    W_RING,
    Book,
    Looks,
    OpenPlots,
    Params,
    Tracks,
    Work,
)

WAIT_LOOKS = 2.3  # a plot waits for a partner for so many looks of its sensor
_CLIMB_SIGMA = 25.0  # m/s, of a new target's vertical speed
_GATE = 20.0  # squared distance between partners, three dimensions
_GARBLED = int(PlotFlag.GARBLED)
_SIMULATED = int(PlotFlag.SIMULATED)
_RING_ELEVATION = 0.342  # sine of 20 degrees: above it, a plot without height is a ring


@inner_kernel
def open_plot(
    plots: Plots,
    p: int,
    index: int,
    is_waiting: bool,
    sensors: Sensors,
    frame: Frame,
    params: Params,
    opened: OpenPlots,
    looks: Looks,
    book: Book,
    work: Work,
) -> int:
    """Keep a plot whose fate is open, with one holder; waiting for a partner if asked.

    Returns:
        Its slot; -1 when full (counted), -2 when the plot does not say where it is well enough.
    """
    s = plots.codes[p, P_SENSOR]
    rows = work.rows
    form = work.ints[p, W_FORM]
    if form != COMPLETE and form != NEEDS_HEIGHT:
        return -2
    if form == NEEDS_HEIGHT:
        # The guessed height becomes a row, so that place and covariance are whole.
        count = rows.used[p]
        x, y, z = rows.place[p, 0], rows.place[p, 1], rows.place[p, 2]
        reached, ux, uy, uz = height_and_vertical(x, y, z, frame)
        if rows.place[p, 4] > 0.0 and sensors.real[s, S_HEIGHT_GUESS] > _RING_ELEVATION * rows.place[p, 4]:
            return -2
        row = rows.direction[p, count]
        row[0], row[1], row[2], row[3], row[4], row[5] = ux, uy, uz, 0.0, 0.0, 0.0
        rows.value[p, count, 0] = sensors.real[s, S_HEIGHT_GUESS] - reached
        rows.value[p, count, 1] = sensors.real[s, S_HEIGHT_SIGMA] ** 2
        rows.used[p] = count + 1
    left = book.counts[OPEN_FREE]
    if left == 0:
        book.counts[OPEN_OVERFLOWN] += 1
        return -1
    o = int(opened.free[left - 1])
    if not place_covariance(rows, p, opened.noise[o]):
        return -2
    book.counts[OPEN_FREE] = left - 1
    opened.ints[o, O_PLOT] = index
    opened.ints[o, O_SENSOR] = s
    opened.real[o, O_TIME] = plots.real[p, P_TIME]
    for i in range(3):
        opened.place[o, i] = rows.place[p, i]
    opened.real[o, O_HEIGHT] = rows.place[p, 3]
    is_clear = (plots.codes[p, P_FLAGS] & _GARBLED) == 0
    opened.real[o, O_ALTITUDE] = plots.real[p, P_ALTITUDE] if is_clear else np.nan
    opened.ints[o, O_SQUAWK] = plots.codes[p, P_SQUAWK] if is_clear else -1
    opened.ints[o, O_ADDRESS] = plots.codes[p, P_ADDRESS]
    opened.ints[o, O_CALLSIGN] = plots.codes[p, P_CALLSIGN]
    opened.ints[o, O_RING] = work.ints[p, W_RING]
    opened.ints[o, O_HOLDERS] = 1
    opened.ints[o, O_SETTLED] = 0
    opened.ints[o, O_SIMULATED] = 1 if (plots.codes[p, P_FLAGS] & _SIMULATED) != 0 else 0
    opened.ints[o, O_WAITING] = 0
    if is_waiting:
        opened.ints[o, O_WAITING] = 1
        cell = cell_of(opened.place[o, 0], opened.place[o, 1], params.cell_size)
        enter_cell(o, cell, opened.links, book.heads[OPEN_HEADS])
        opened.ints[o, O_QUEUE] = -1
        queue = looks.queue[s, opened.ints[o, O_SIMULATED]]
        if queue[NEWEST_OPEN] >= 0:
            opened.ints[queue[NEWEST_OPEN], O_QUEUE] = o
        else:
            queue[OLDEST_OPEN] = o
        queue[NEWEST_OPEN] = o
    return o


@inner_kernel
def partner_density(
    opened: OpenPlots, o: int, other: int, sensors: Sensors, frame: Frame, params: Params, work: Work
) -> float:
    """Density (1/m³) at open plot `other` of where the target of the waiting plot `o` may be; 0 outside."""
    s = opened.ints[o, O_SENSOR]
    elapsed = opened.real[other, O_TIME] - opened.real[o, O_TIME]
    place = opened.place[o]
    speed = sensors.real[s, S_SPEED_SIGMA]
    dx = opened.place[other, 0] - place[0]
    dy = opened.place[other, 1] - place[1]
    dz = opened.place[other, 2] - place[2]
    first, second = opened.noise[o], opened.noise[other]
    wide = (speed * elapsed) ** 2
    most = wide + first[0, 0] + first[1, 1] + first[2, 2] + second[0, 0] + second[1, 1] + second[2, 2]
    if dx * dx + dy * dy + dz * dz > _GATE * most:
        return 0.0
    _, ux, uy, uz = height_and_vertical(place[0], place[1], place[2], frame)
    climb = (_CLIMB_SIGMA * elapsed) ** 2 - wide
    total, inverse = work.small[0], work.small[1]
    up = work.small[2, 0]
    up[0], up[1], up[2] = ux, uy, uz
    for i in range(3):
        for j in range(3):
            total[i, j] = first[i, j] + second[i, j] + climb * up[i] * up[j]
        total[i, i] += wide
    if not invert_symmetric(total, inverse):
        return 0.0
    distance = (
        inverse[0, 0] * dx * dx
        + inverse[1, 1] * dy * dy
        + inverse[2, 2] * dz * dz
        + 2.0 * (inverse[0, 1] * dx * dy + inverse[0, 2] * dx * dz + inverse[1, 2] * dy * dz)
    )
    if distance > _GATE:
        return 0.0
    determinant = (
        total[0, 0] * (total[1, 1] * total[2, 2] - total[1, 2] * total[1, 2])
        - total[0, 1] * (total[0, 1] * total[2, 2] - total[1, 2] * total[0, 2])
        + total[0, 2] * (total[0, 1] * total[1, 2] - total[1, 1] * total[0, 2])
    )
    density = exp(-0.5 * distance) / sqrt((2.0 * pi) ** 3 * determinant)
    if isnan(opened.real[other, O_HEIGHT]):
        # The height row was a guess, so it must not count: give its density back.
        density *= sqrt(2.0 * pi * (total[0, 0] * ux * ux + total[1, 1] * uy * uy + total[2, 2] * uz * uz
            + 2.0 * (total[0, 1] * ux * uy + total[0, 2] * ux * uz + total[1, 2] * uy * uz)))  # fmt: skip
    if params.use_codes:
        density *= codes_factor(
            opened.ints[o, O_SQUAWK],
            opened.ints[o, O_ADDRESS],
            opened.ints[o, O_CALLSIGN],
            opened.ints[other, O_SQUAWK],
            opened.ints[other, O_ADDRESS],
            opened.ints[other, O_CALLSIGN],
        )
    return density


@inner_kernel
def find_partner(
    opened: OpenPlots,
    o: int,
    sensors: Sensors,
    frame: Frame,
    params: Params,
    looks: Looks,
    book: Book,
    work: Work,
) -> tuple[int, float]:
    """The waiting plot that most probably is of the same target as the new open plot `o`.

    Returns:
        Its slot (-1 for none) and the odds of the two being a target.
    """
    best, best_odds = -1, 0.0
    s = opened.ints[o, O_SENSOR]
    centre = cell_of(opened.place[o, 0], opened.place[o, 1], params.cell_size)
    for column in range(-1, 2):
        for row in range(-1, 2):
            cell = neighbour_cell(centre, column, row)
            other = book.heads[OPEN_HEADS, bucket_of(cell)]
            while other >= 0:
                is_same_kind = opened.ints[other, O_SIMULATED] == opened.ints[o, O_SIMULATED]
                if opened.links[other, L_CELL] == cell and other != o and is_same_kind:
                    z = opened.ints[other, O_SENSOR]
                    elapsed = opened.real[o, O_TIME] - opened.real[other, O_TIME]
                    is_same_look = z == s and abs(elapsed) < 0.6 * sensors.real[s, S_PERIOD]
                    if not is_same_look and abs(elapsed) < WAIT_LOOKS * sensors.real[z, S_PERIOD]:
                        density = partner_density(opened, other, o, sensors, frame, params, work)
                        odds = density * opened.real[other, O_ODDS]
                        if odds > best_odds:
                            best, best_odds = other, odds
                other = opened.links[other, L_FOLLOWING]
    return best, best_odds


@inner_kernel
def start_track(
    plots: Plots,
    p: int,
    o: int,
    partner: int,
    existence: float,
    sensors: Sensors,
    frame: Frame,
    motion: Motion,
    params: Params,
    tracks: Tracks,
    opened: OpenPlots,
    book: Book,
    work: Work,
) -> int:
    """A tentative track from a waiting plot and the new plot `p`, which is open plot `o`.

    Returns:
        Its slot; -1 when the tracker is full.
    """
    cell = cell_of(opened.place[partner, 0], opened.place[partner, 1], params.cell_size)
    t = take_track(tracks, book, cell)
    if t < 0:
        return -1
    place = opened.place[partner]
    s = opened.ints[partner, O_SENSOR]
    _, ux, uy, uz = height_and_vertical(place[0], place[1], place[2], frame)
    up = work.small[2, 0]
    up[0], up[1], up[2] = ux, uy, uz
    speed = sensors.real[s, S_SPEED_SIGMA] ** 2
    climb = _CLIMB_SIGMA**2 - speed
    for m in range(tracks.mean.shape[1]):
        tracks.weight[t, m] = params.entry[m]
        for i in range(3):
            tracks.mean[t, m, i] = place[i]
            tracks.mean[t, m, 3 + i] = 0.0
            for j in range(3):
                tracks.cov[t, m, i, j] = opened.noise[partner, i, j]
                tracks.cov[t, m, i, 3 + j] = 0.0
                tracks.cov[t, m, 3 + i, j] = 0.0
                tracks.cov[t, m, 3 + i, 3 + j] = climb * up[i] * up[j]
            tracks.cov[t, m, 3 + i, 3 + i] += speed
    tracks.real[t, T_TIME] = opened.real[partner, O_TIME]
    tracks.real[t, T_BORN] = min(opened.real[partner, O_TIME], plots.real[p, P_TIME])
    refresh_track(tracks, t, book, params.cell_size)
    late = min(plots.real[p, P_TIME] - opened.real[partner, O_TIME], 0.0)
    predict_track(tracks, t, plots.real[p, P_TIME], frame, motion, book, params.cell_size)
    rows = work.rows
    if work.ints[p, W_FORM] == NEEDS_HEIGHT:
        rows.used[p] -= 1  # the guessed height is in the state already
    update_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], rows, p, late)
    refresh_track(tracks, t, book, params.cell_size)
    tracks.real[t, T_UPDATED] = max(opened.real[partner, O_TIME], plots.real[p, P_TIME])
    tracks.real[t, T_CHECKED] = tracks.real[t, T_UPDATED]
    tracks.real[t, T_DUE] = tracks.real[t, T_UPDATED]
    tracks.real[t, T_EXISTENCE] = existence
    tracks.ints[t, T_STATUS] = TENTATIVE
    tracks.ints[t, T_HIDDEN] = 0
    tracks.ints[t, T_NUMBER] = -1
    tracks.ints[t, T_PLOTS] = 2
    tracks.ints[t, T_MISSES] = 0
    for z in range(tracks.passes.shape[1]):
        tracks.passes[t, z, T_SEEN] = tracks.real[t, T_UPDATED]
        tracks.passes[t, z, T_HIT] = -np.inf
        tracks.missed[t, z, T_BLIND] = 0
        tracks.missed[t, z, T_DOUBTFUL] = 0
    tracks.passes[t, s, T_HIT] = opened.real[partner, O_TIME]
    tracks.passes[t, s, T_SEEN] = opened.real[partner, O_TIME]
    tracks.passes[t, opened.ints[o, O_SENSOR], T_HIT] = plots.real[p, P_TIME]
    tracks.passes[t, opened.ints[o, O_SENSOR], T_SEEN] = plots.real[p, P_TIME]
    tracks.ints[t, T_SQUAWK] = max(opened.ints[o, O_SQUAWK], opened.ints[partner, O_SQUAWK])
    tracks.ints[t, T_ADDRESS] = max(opened.ints[o, O_ADDRESS], opened.ints[partner, O_ADDRESS])
    tracks.ints[t, T_CALLSIGN] = max(opened.ints[o, O_CALLSIGN], opened.ints[partner, O_CALLSIGN])
    tracks.ints[t, T_RIVAL_SQUAWK] = -1
    tracks.ints[t, T_RIVAL_ADDRESS] = -1
    newest = partner if isnan(opened.real[o, O_ALTITUDE]) else o
    tracks.real[t, T_ALTITUDE] = opened.real[newest, O_ALTITUDE]
    tracks.real[t, T_ALTITUDE_TIME] = np.nan
    if not isnan(opened.real[newest, O_ALTITUDE]):
        tracks.real[t, T_ALTITUDE_TIME] = opened.real[newest, O_TIME]
    tracks.ints[t, T_SIMULATED] = opened.ints[o, O_SIMULATED]
    tracks.held[t, 0] = partner
    tracks.held[t, 1] = o
    tracks.ints[t, T_HELD_COUNT] = 2
    opened.ints[partner, O_HOLDERS] += 1
    opened.ints[o, O_HOLDERS] += 1
    return t
