"""Tracks from plots that belong to none: a plot waits in a grid until a second one makes a track with it."""

from math import exp, isnan, pi, sqrt

import numpy as np

from skypact.core.jit import kernel
from skypact.tracks.books import take_track
from skypact.tracks.earth import Frame, height_and_vertical
from skypact.tracks.filtering import update_models
from skypact.tracks.gating import codes_factor, predict_track, refresh_track
from skypact.tracks.grid import bucket_of, cell_of, enter_cell, neighbour_cell
from skypact.tracks.measurement import (
    COMPLETE,
    NEEDS_HEIGHT,
    Plots,
    Sensors,
    invert_symmetric,
    place_covariance,
)
from skypact.tracks.motion import Motion
from skypact.tracks.state import (
    OPEN_FREE,
    OPEN_OVERFLOWN,
    TENTATIVE,
    Book,
    Looks,
    OpenPlots,
    Params,
    Tracks,
    Work,
)

_WAIT_LOOKS = 2.3  # a plot waits for a partner for so many looks of its sensor
_CLIMB_SIGMA = 12.0  # m/s, of a new target's vertical speed
_GATE = 20.0  # squared distance between partners, three dimensions
_LEAST_EXISTENCE = 0.01  # of a track worth starting
_RING_ELEVATION = 0.342  # sine of 20 degrees: above it, a plot without height is a ring


@kernel
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
    s = plots.sensor[p]
    rows = work.rows
    form = work.form[p]
    if form != COMPLETE and form != NEEDS_HEIGHT:
        return -2
    if form == NEEDS_HEIGHT:
        # The guessed height becomes a row, so that place and covariance are whole.
        count = rows.count[p]
        x, y, z = rows.place[p, 0], rows.place[p, 1], rows.place[p, 2]
        reached, ux, uy, uz = height_and_vertical(x, y, z, frame)
        if rows.slant[p] > 0.0 and sensors.height_guess[s] > _RING_ELEVATION * rows.slant[p]:
            return -2
        row = rows.direction[p, count]
        row[0], row[1], row[2], row[3], row[4], row[5] = ux, uy, uz, 0.0, 0.0, 0.0
        rows.value[p, count] = sensors.height_guess[s] - reached
        rows.variance[p, count] = sensors.height_sigma[s] ** 2
        rows.count[p] = count + 1
    left = book.counts[OPEN_FREE]
    if left == 0:
        book.counts[OPEN_OVERFLOWN] += 1
        return -1
    o = int(opened.free[left - 1])
    if not place_covariance(rows, p, opened.noise[o]):
        return -2
    book.counts[OPEN_FREE] = left - 1
    opened.plot[o] = index
    opened.sensor[o] = s
    opened.time[o] = plots.time[p]
    for i in range(3):
        opened.place[o, i] = rows.place[p, i]
    opened.height[o] = rows.height[p]
    opened.altitude[o] = plots.altitude[p]
    opened.squawk[o] = plots.squawk[p]
    opened.address[o] = plots.address[p]
    opened.callsign[o] = plots.callsign[p]
    opened.ring[o] = work.ring[p]
    opened.holders[o] = 1
    opened.settled[o] = 0
    opened.waiting[o] = 0
    if is_waiting:
        opened.waiting[o] = 1
        cell = cell_of(opened.place[o, 0], opened.place[o, 1], params.cell_size)
        enter_cell(o, cell, opened.cell, opened.following, opened.preceding, book.open_heads)
        opened.queue[o] = -1
        if looks.newest_open[s] >= 0:
            opened.queue[looks.newest_open[s]] = o
        else:
            looks.oldest_open[s] = o
        looks.newest_open[s] = o
    return o


@kernel
def partner_density(
    opened: OpenPlots, o: int, other: int, sensors: Sensors, frame: Frame, params: Params, work: Work
) -> float:
    """Density (1/m³) of open plot `other` where the target of the waiting plot `o` may be by then; 0 outside."""
    s = opened.sensor[o]
    elapsed = opened.time[other] - opened.time[o]
    place = opened.place[o]
    speed = sensors.speed_sigma[s]
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
    if isnan(opened.height[other]):
        # The height row was a guess, so it must not count: give its density back.
        density *= sqrt(2.0 * pi * (total[0, 0] * ux * ux + total[1, 1] * uy * uy + total[2, 2] * uz * uz
            + 2.0 * (total[0, 1] * ux * uy + total[0, 2] * ux * uz + total[1, 2] * uy * uz)))  # fmt: skip
    if params.use_codes:
        density *= codes_factor(
            opened.squawk[o],
            opened.address[o],
            opened.callsign[o],
            opened.squawk[other],
            opened.address[other],
            opened.callsign[other],
        )
    return density


@kernel
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
    s = opened.sensor[o]
    centre = cell_of(opened.place[o, 0], opened.place[o, 1], params.cell_size)
    for column in range(-1, 2):
        for row in range(-1, 2):
            cell = neighbour_cell(centre, column, row)
            other = book.open_heads[bucket_of(cell)]
            while other >= 0:
                if opened.cell[other] == cell and other != o:
                    z = opened.sensor[other]
                    elapsed = opened.time[o] - opened.time[other]
                    is_same_look = z == s and abs(elapsed) < 0.6 * sensors.period[s]
                    if not is_same_look and abs(elapsed) < _WAIT_LOOKS * sensors.period[z]:
                        density = partner_density(opened, other, o, sensors, frame, params, work)
                        odds = density * opened.odds[other]
                        if odds > best_odds:
                            best, best_odds = other, odds
                other = opened.following[other]
    return best, best_odds


@kernel
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
    s = opened.sensor[partner]
    _, ux, uy, uz = height_and_vertical(place[0], place[1], place[2], frame)
    up = work.small[2, 0]
    up[0], up[1], up[2] = ux, uy, uz
    speed = sensors.speed_sigma[s] ** 2
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
    tracks.time[t] = opened.time[partner]
    tracks.born[t] = min(opened.time[partner], plots.time[p])
    refresh_track(tracks, t, book, params.cell_size)
    late = min(plots.time[p] - opened.time[partner], 0.0)
    predict_track(tracks, t, plots.time[p], frame, motion, book, params.cell_size)
    rows = work.rows
    if work.form[p] == NEEDS_HEIGHT:
        rows.count[p] -= 1  # the guessed height is in the state already
    update_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], rows, p, late)
    refresh_track(tracks, t, book, params.cell_size)
    tracks.updated[t] = max(opened.time[partner], plots.time[p])
    tracks.checked[t] = tracks.updated[t]
    tracks.due[t] = tracks.updated[t]
    tracks.existence[t] = existence
    tracks.status[t] = TENTATIVE
    tracks.hidden[t] = 0
    tracks.number[t] = -1
    tracks.plots[t] = 2
    tracks.misses[t] = 0
    for z in range(tracks.seen.shape[1]):
        tracks.seen[t, z] = tracks.updated[t]
        tracks.hit[t, z] = -np.inf
        tracks.blind[t, z] = 0
        tracks.doubtful[t, z] = 0
    tracks.hit[t, s] = opened.time[partner]
    tracks.seen[t, s] = opened.time[partner]
    tracks.hit[t, opened.sensor[o]] = plots.time[p]
    tracks.seen[t, opened.sensor[o]] = plots.time[p]
    tracks.squawk[t] = max(opened.squawk[o], opened.squawk[partner])
    tracks.address[t] = max(opened.address[o], opened.address[partner])
    tracks.callsign[t] = max(opened.callsign[o], opened.callsign[partner])
    tracks.rival_squawk[t] = -1
    tracks.rival_address[t] = -1
    tracks.altitude[t] = opened.altitude[partner] if isnan(opened.altitude[o]) else opened.altitude[o]
    tracks.held[t, 0] = partner
    tracks.held[t, 1] = o
    tracks.held_count[t] = 2
    opened.holders[partner] += 1
    opened.holders[o] += 1
    return t
