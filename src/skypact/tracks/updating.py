"""Plots into tracks: each track with its plots' probabilities, then each plot with its fate."""

from math import isnan

from skypact.core.arrays import Int32s1
from skypact.core.jit import kernel
from skypact.plots.model import Outcome
from skypact.tracks.association import pair_beliefs
from skypact.tracks.books import confirm_track, release_open_plot, settle, take_number
from skypact.tracks.earth import Frame
from skypact.tracks.filtering import blend_banks, update_models
from skypact.tracks.gating import gather_pairs, lay_for_track, refresh_track
from skypact.tracks.initiation import find_partner, open_plot, start_track
from skypact.tracks.measurement import COMPLETE, Plots, Sensors
from skypact.tracks.model import OutcomeReason
from skypact.tracks.motion import Motion
from skypact.tracks.state import (
    CONFIRMED,
    HELD_MOST,
    NUMBERS_SHORT,
    TENTATIVE,
    Book,
    Looks,
    OpenPlots,
    Params,
    Tracks,
    Work,
)

_LEAST_HIT = 0.1  # a track less likely to have any of its plots is left alone
_PLAIN = 0.9  # a plot more likely than this updates its track as if it were certain
_NEGLIGIBLE = 0.02  # a plot less likely than this is left out of a blend
_WORTH_STARTING = 0.01  # existence of a track worth starting
_FREE_ENOUGH = 0.3  # probability that a plot is of no track, for it to wait for a partner

_UPDATED, _CLUTTER = int(Outcome.UPDATED), int(Outcome.CLUTTER)
_LATE, _MALFORMED = int(Outcome.LATE), int(Outcome.MALFORMED)
_NONE = int(OutcomeReason.NONE)
_NEAR_TRACK = int(OutcomeReason.NEAR_TRACK)
_NO_POSITION = int(OutcomeReason.NO_POSITION)
_HEIGHT_NEEDED = int(OutcomeReason.HEIGHT_NEEDED)
_OLDER = int(OutcomeReason.OLDER_THAN_TRACK)
_NO_ROOM = int(OutcomeReason.NO_ROOM)
_DROPPED = int(OutcomeReason.TRACK_NOT_CONFIRMED)


@kernel
def copy_bank(tracks: Tracks, t: int, place: int, work: Work) -> None:
    """Copy a track's bank to a place of the work room."""
    models = tracks.weight.shape[1]
    for m in range(models):
        work.bank_weight[place, m] = tracks.weight[t, m]
        for i in range(6):
            work.bank_mean[place, m, i] = tracks.mean[t, m, i]
            for j in range(6):
                work.bank_cov[place, m, i, j] = tracks.cov[t, m, i, j]


@kernel
def take_plot(
    plots: Plots, p: int, t: int, is_blend: bool, sensors: Sensors, frame: Frame, tracks: Tracks, work: Work
) -> None:
    """Update a track's bank, or the second bank of the work room if `is_blend`, with a plot."""
    late = plots.time[p] - tracks.time[t]
    if work.form[p] != COMPLETE:
        lay_for_track(plots, p, t, sensors, frame, tracks, work)
    if is_blend and work.form[p] == COMPLETE:
        update_models(work.bank_mean[1], work.bank_cov[1], work.bank_weight[1], work.rows, p, late)
    elif is_blend:
        update_models(work.bank_mean[1], work.bank_cov[1], work.bank_weight[1], work.pair_rows, 0, late)
    elif work.form[p] == COMPLETE:
        update_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], work.rows, p, late)
    else:
        update_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], work.pair_rows, 0, late)


@kernel
def blend_plots(
    plots: Plots,
    order: Int32s1,
    first_pair: int,
    none: float,
    sensors: Sensors,
    frame: Frame,
    tracks: Tracks,
    t: int,
    work: Work,
) -> None:
    """Update a track with several plots, or with a doubtful one, each by its probability.

    `none` is the probability that none of them is the track's.
    """
    copy_bank(tracks, t, 0, work)
    share = none
    q = first_pair
    while q >= 0:
        belief = work.belief[q]
        if belief > _NEGLIGIBLE:
            for m in range(tracks.weight.shape[1]):
                work.bank_weight[1, m] = work.bank_weight[0, m]
            work.bank_mean[1] = work.bank_mean[0]
            work.bank_cov[1] = work.bank_cov[0]
            take_plot(plots, order[work.pair_plot[q]], t, True, sensors, frame, tracks, work)
            blend_banks(
                tracks.mean[t],
                tracks.cov[t],
                tracks.weight[t],
                share,
                work.bank_mean[1],
                work.bank_cov[1],
                work.bank_weight[1],
                belief,
            )
            share += belief
        q = work.pair_next[q]


@kernel
def take_codes(plots: Plots, p: int, tracks: Tracks, t: int) -> None:
    """Take a plot's codes and altitude into a track; a code that differs must come twice."""
    squawk, address = int(plots.squawk[p]), int(plots.address[p])
    if squawk >= 0 and squawk != tracks.squawk[t]:
        if tracks.squawk[t] < 0 or tracks.rival_squawk[t] == squawk:
            tracks.squawk[t] = squawk
            tracks.rival_squawk[t] = -1
        else:
            tracks.rival_squawk[t] = squawk
    if address >= 0 and address != tracks.address[t]:
        if tracks.address[t] < 0 or tracks.rival_address[t] == address:
            tracks.address[t] = address
            tracks.rival_address[t] = -1
        else:
            tracks.rival_address[t] = address
    if plots.callsign[p] != 0:
        tracks.callsign[t] = plots.callsign[p]
    if not isnan(plots.altitude[p]):
        tracks.altitude[t] = plots.altitude[p]


@kernel
def update_track(
    plots: Plots,
    order: Int32s1,
    place: int,
    s: int,
    sensors: Sensors,
    frame: Frame,
    params: Params,
    tracks: Tracks,
    looks: Looks,
    book: Book,
    work: Work,
) -> None:
    """Update one touched track's state and existence with the plots of one look of sensor `s`."""
    t = work.touched[place]
    odds = work.touched_sum[place]
    hit = odds / (1.0 + odds)
    if hit < _LEAST_HIT:
        return
    best, q = -1, work.touched_pair[place]
    while q >= 0:
        if best < 0 or work.belief[q] > work.belief[best]:
            best = q
        q = work.pair_next[q]
    p = order[work.pair_plot[best]]
    if work.belief[best] > _PLAIN:
        take_plot(plots, p, t, False, sensors, frame, tracks, work)
    else:
        blend_plots(plots, order, work.touched_pair[place], 1.0 - hit, sensors, frame, tracks, t, work)
    refresh_track(tracks, t, book, params.cell_size)
    # Existence after the look: there and hit, or there and missed, against not there.
    existence = tracks.existence[t]
    expected = existence * sensors.detection[s]
    missed = (existence - expected) / (1.0 - expected)
    tracks.existence[t] = min((missed + odds) / (1.0 + odds), 1.0 - 1e-6)
    time = plots.time[p]
    tracks.seen[t, s] = max(tracks.seen[t, s], time)
    if hit > 0.5:
        tracks.hit[t, s] = max(tracks.hit[t, s], time)
        tracks.updated[t] = max(tracks.updated[t], time)
        tracks.plots[t] += 1
        tracks.misses[t] = 0
        for z in range(tracks.blind.shape[1]):
            if tracks.doubtful[t, z] > 0:
                tracks.blind[t, z] = min(tracks.blind[t, z] + tracks.doubtful[t, z], 100)
                tracks.doubtful[t, z] = 0
        tracks.blind[t, s] = 0
        if work.belief[best] > 0.5:
            take_codes(plots, p, tracks, t)


@kernel
def settle_plot(
    plots: Plots,
    p: int,
    index: int,
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
    """Give a plot its outcome, or keep it open: held by a tentative track, waiting for a partner, or both."""
    if work.form[p] == 0:
        settle(book, index, _MALFORMED, -1, -1, _NO_POSITION)
        return
    owner, belief = -1, 0.0
    if work.best_pair[p] >= 0:
        owner = int(work.touched[work.pair_track[work.best_pair[p]]])
        belief = work.belief[work.best_pair[p]]
    is_owned = belief > 0.5 and belief > _LEAST_HIT
    if is_owned and tracks.status[owner] == CONFIRMED:
        settle(book, index, _UPDATED, tracks.number[owner], tracks.serial[owner], _NONE)
        return
    free = 1.0 - work.claimed[p]
    is_waiting = free > _FREE_ENOUGH or (is_owned and tracks.existence[owner] < 0.9)
    if not is_owned and not is_waiting:
        settle(book, index, _CLUTTER, -1, -1, _NEAR_TRACK)
        return
    if work.nearly[p] == 1 and not is_owned:
        settle(book, index, _LATE, -1, -1, _OLDER)
        return
    o = open_plot(plots, p, index, is_waiting, sensors, frame, params, opened, looks, book, work)
    if o < 0:
        if is_owned and tracks.status[owner] == TENTATIVE:
            settle(book, index, _UPDATED, -1, tracks.serial[owner], _NONE)
        else:
            settle(book, index, _CLUTTER, -1, -1, _NO_ROOM if o == -1 else _HEIGHT_NEEDED)
        return
    s = plots.sensor[p]
    opened.odds[o] = work.target_share[p] * free
    if is_owned:
        if tracks.held_count[owner] < HELD_MOST:
            tracks.held[owner, tracks.held_count[owner]] = o
            tracks.held_count[owner] += 1
            opened.holders[o] += 1
    elif free > _FREE_ENOUGH:
        partner, odds = find_partner(opened, o, sensors, frame, params, looks, book, work)
        if partner >= 0:
            odds *= sensors.detection[s] * free / work.density[p]
            existence = odds / (1.0 + odds)
            if existence > _WORTH_STARTING:
                existence = min(existence, 0.999)
                start_track(
                    plots,
                    p,
                    o,
                    partner,
                    existence,
                    sensors,
                    frame,
                    motion,
                    params,
                    tracks,
                    opened,
                    book,
                    work,
                )
    if not is_waiting:
        release_open_plot(opened, o, looks, sensors, book, _DROPPED)


@kernel
def process_look(
    plots: Plots,
    order: Int32s1,
    first: int,
    last: int,
    base: int,
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
    """Take in the plots `order[first:last]`, all of one look of one sensor, in order of time.

    `base` is the place of the batch's first plot in the order in which the tracker was given them.
    """
    pairs, touched = gather_pairs(
        plots, order, first, last, sensors, frame, motion, params, tracks, looks, book, work
    )
    if pairs > 0:
        pair_beliefs(
            work.pair_track,
            work.pair_plot,
            work.odds,
            pairs,
            work.touched_sum,
            work.plot_sum,
            work.message,
            work.belief,
        )
    for q in range(pairs):
        p = order[work.pair_plot[q]]
        work.claimed[p] += work.belief[q]
        if work.best_pair[p] < 0 or work.belief[q] > work.belief[work.best_pair[p]]:
            work.best_pair[p] = q
    s = plots.sensor[order[first]]
    for place in range(touched):
        update_track(plots, order, place, s, sensors, frame, params, tracks, looks, book, work)
    for i in range(first, last):
        p = order[i]
        settle_plot(plots, p, base + p, sensors, frame, motion, params, tracks, opened, looks, book, work)
    for place in range(touched):
        t = work.touched[place]
        work.local[t] = -1
        if tracks.status[t] != TENTATIVE:
            continue
        is_sure = tracks.existence[t] >= params.confirm_existence
        if is_sure and tracks.plots[t] >= params.confirm_plots:
            number = take_number(book, looks.now[0], params.number_rest)
            if number < 0:
                book.counts[NUMBERS_SHORT] += 1
            else:
                tracks.number[t] = number
                confirm_track(tracks, t, opened, looks, sensors, book)
