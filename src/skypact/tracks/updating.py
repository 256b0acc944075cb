"""Plots into tracks: each track with its plots' probabilities, then each plot with its fate."""

from math import isnan

from skypact.core.arrays import Int32s1
from skypact.core.jit import inner_kernel
from skypact.plots.model import Outcome, PlotFlag
from skypact.tracks.association import pair_beliefs
from skypact.tracks.books import confirm_track, release_open_plot, settle, take_number
from skypact.tracks.earth import Frame
from skypact.tracks.filtering import blend_banks, copy_bank, update_models
from skypact.tracks.gating import lay_for_track, refresh_track
from skypact.tracks.initiation import find_partner, open_plot, start_track
from skypact.tracks.measurement import (
    COMPLETE,
    P_ADDRESS,
    P_ALTITUDE,
    P_CALLSIGN,
    P_FLAGS,
    P_SENSOR,
    P_SQUAWK,
    P_TIME,
    S_DETECTION,
    Plots,
    Sensors,
)
from skypact.tracks.model import OutcomeReason
from skypact.tracks.motion import Motion
from skypact.tracks.state import (
    ANY,
    CONFIRMED,
    HELD_MOST,
    NUMBERS_SHORT,
    O_HOLDERS,
    O_ODDS,
    T_ADDRESS,
    T_ALTITUDE,
    T_ALTITUDE_TIME,
    T_BLIND,
    T_CALLSIGN,
    T_DOUBTFUL,
    T_EXISTENCE,
    T_HELD_COUNT,
    T_HIT,
    T_MISSES,
    T_NUMBER,
    T_PLOTS,
    T_RIVAL_ADDRESS,
    T_RIVAL_SQUAWK,
    T_SEEN,
    T_SERIAL,
    T_SQUAWK,
    T_STATUS,
    T_TIME,
    T_UPDATED,
    TENTATIVE,
    W_BEST_PAIR,
    W_CLAIMED,
    W_DENSITY,
    W_FORM,
    W_NEARLY,
    W_TARGET_SHARE,
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
_GARBLED = int(PlotFlag.GARBLED)
_NONE = int(OutcomeReason.NONE)
_NEAR_TRACK = int(OutcomeReason.NEAR_TRACK)
_NO_POSITION = int(OutcomeReason.NO_POSITION)
_HEIGHT_NEEDED = int(OutcomeReason.HEIGHT_NEEDED)
_OLDER = int(OutcomeReason.OLDER_THAN_TRACK)
_NO_ROOM = int(OutcomeReason.NO_ROOM)
_DROPPED = int(OutcomeReason.TRACK_NOT_CONFIRMED)


@inner_kernel
def take_plot(
    plots: Plots, p: int, t: int, is_blend: bool, sensors: Sensors, frame: Frame, tracks: Tracks, work: Work
) -> None:
    """Update a track's bank, or the second bank of the work room if `is_blend`, with a plot."""
    late = plots.real[p, P_TIME] - tracks.real[t, T_TIME]
    if work.ints[p, W_FORM] != COMPLETE:
        lay_for_track(plots, p, t, sensors, frame, tracks, work)
    if is_blend and work.ints[p, W_FORM] == COMPLETE:
        update_models(work.bank_mean[1], work.bank_cov[1], work.bank_weight[1], work.rows, p, late)
    elif is_blend:
        update_models(
            work.bank_mean[1], work.bank_cov[1], work.bank_weight[1], work.rows, len(work.rows.used) - 1, late
        )
    elif work.ints[p, W_FORM] == COMPLETE:
        update_models(tracks.mean[t], tracks.cov[t], tracks.weight[t], work.rows, p, late)
    else:
        update_models(
            tracks.mean[t], tracks.cov[t], tracks.weight[t], work.rows, len(work.rows.used) - 1, late
        )


@inner_kernel
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
    prior_mean, prior_cov, prior_weight = work.bank_mean[0], work.bank_cov[0], work.bank_weight[0]
    copy_bank(tracks.mean[t], tracks.cov[t], tracks.weight[t], prior_mean, prior_cov, prior_weight)
    share = none
    q = first_pair
    while q >= 0:
        belief = work.belief[q]
        if belief > _NEGLIGIBLE:
            copy_bank(
                prior_mean, prior_cov, prior_weight, work.bank_mean[1], work.bank_cov[1], work.bank_weight[1]
            )
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


@inner_kernel
def take_codes(plots: Plots, p: int, tracks: Tracks, t: int) -> None:
    """Take a plot's codes and altitude into a track; a code that differs must come twice.

    The flag of a garbled plot does not say whether it is the squawk or the altitude, so neither is
    trusted: its altitude is not taken, its squawk only where the track has none, and when it comes twice.
    """
    is_clear = (plots.codes[p, P_FLAGS] & _GARBLED) == 0
    squawk, address = int(plots.codes[p, P_SQUAWK]), int(plots.codes[p, P_ADDRESS])
    if squawk >= 0 and squawk != tracks.ints[t, T_SQUAWK]:
        is_free = tracks.ints[t, T_SQUAWK] < 0
        is_repeated = tracks.ints[t, T_RIVAL_SQUAWK] == squawk
        if (is_clear and (is_free or is_repeated)) or (is_free and is_repeated):
            tracks.ints[t, T_SQUAWK] = squawk
            tracks.ints[t, T_RIVAL_SQUAWK] = -1
        elif is_clear or is_free:
            tracks.ints[t, T_RIVAL_SQUAWK] = squawk
    if address >= 0 and address != tracks.ints[t, T_ADDRESS]:
        if tracks.ints[t, T_ADDRESS] < 0 or tracks.ints[t, T_RIVAL_ADDRESS] == address:
            tracks.ints[t, T_ADDRESS] = address
            tracks.ints[t, T_RIVAL_ADDRESS] = -1
        else:
            tracks.ints[t, T_RIVAL_ADDRESS] = address
    if plots.codes[p, P_CALLSIGN] != 0:
        tracks.ints[t, T_CALLSIGN] = plots.codes[p, P_CALLSIGN]
    if is_clear and not isnan(plots.real[p, P_ALTITUDE]):
        tracks.real[t, T_ALTITUDE] = plots.real[p, P_ALTITUDE]
        tracks.real[t, T_ALTITUDE_TIME] = plots.real[p, P_TIME]


@inner_kernel
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
    t = work.touched[0, place]
    odds = work.touched_sum[place]
    hit = odds / (1.0 + odds)
    if hit < _LEAST_HIT:
        return
    best, q = -1, work.touched[1, place]
    while q >= 0:
        if best < 0 or work.belief[q] > work.belief[best]:
            best = q
        q = work.pair_next[q]
    p = order[work.pair_plot[best]]
    if work.belief[best] > _PLAIN:
        take_plot(plots, p, t, False, sensors, frame, tracks, work)
    else:
        blend_plots(plots, order, work.touched[1, place], 1.0 - hit, sensors, frame, tracks, t, work)
    refresh_track(tracks, t, book, params.cell_size)
    # Existence after the look: there and hit, or there and missed, against not there.
    existence = tracks.real[t, T_EXISTENCE]
    expected = existence * sensors.real[s, S_DETECTION]
    missed = (existence - expected) / (1.0 - expected)
    tracks.real[t, T_EXISTENCE] = min((missed + odds) / (1.0 + odds), 1.0 - 1e-6)
    time = plots.real[p, P_TIME]
    tracks.passes[t, s, T_SEEN] = max(tracks.passes[t, s, T_SEEN], time)
    if hit > 0.5:
        tracks.passes[t, s, T_HIT] = max(tracks.passes[t, s, T_HIT], time)
        tracks.real[t, T_UPDATED] = max(tracks.real[t, T_UPDATED], time)
        tracks.ints[t, T_PLOTS] += 1
        tracks.ints[t, T_MISSES] = 0
        for z in range(tracks.missed.shape[1]):
            if tracks.missed[t, z, T_DOUBTFUL] > 0:
                tracks.missed[t, z, T_BLIND] = min(
                    tracks.missed[t, z, T_BLIND] + tracks.missed[t, z, T_DOUBTFUL], 100
                )
                tracks.missed[t, z, T_DOUBTFUL] = 0
        tracks.missed[t, s, T_BLIND] = 0
        if work.belief[best] > 0.5:
            take_codes(plots, p, tracks, t)


@inner_kernel
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
    if work.ints[p, W_FORM] == 0:
        settle(book, index, _MALFORMED, -1, -1, _NO_POSITION)
        return
    owner, belief = -1, 0.0
    if work.ints[p, W_BEST_PAIR] >= 0:
        owner = int(work.touched[0, work.pair_track[work.ints[p, W_BEST_PAIR]]])
        belief = work.belief[work.ints[p, W_BEST_PAIR]]
    is_owned = belief > 0.5 and belief > _LEAST_HIT
    if is_owned and tracks.ints[owner, T_STATUS] == CONFIRMED:
        settle(book, index, _UPDATED, tracks.ints[owner, T_NUMBER], tracks.ints[owner, T_SERIAL], _NONE)
        return
    free = 1.0 - work.real[p, W_CLAIMED]
    is_waiting = free > _FREE_ENOUGH or (is_owned and tracks.real[owner, T_EXISTENCE] < 0.9)
    if not is_owned and not is_waiting:
        settle(book, index, _CLUTTER, -1, -1, _NEAR_TRACK)
        return
    if work.ints[p, W_NEARLY] == 1 and not is_owned:
        settle(book, index, _LATE, -1, -1, _OLDER)
        return
    o = open_plot(plots, p, index, is_waiting, sensors, frame, params, opened, looks, book, work)
    if o < 0:
        if is_owned and tracks.ints[owner, T_STATUS] == TENTATIVE:
            settle(book, index, _UPDATED, -1, tracks.ints[owner, T_SERIAL], _NONE)
        else:
            settle(book, index, _CLUTTER, -1, -1, _NO_ROOM if o == -1 else _HEIGHT_NEEDED)
        return
    s = plots.codes[p, P_SENSOR]
    opened.real[o, O_ODDS] = work.real[p, W_TARGET_SHARE] * free
    if is_owned:
        if tracks.ints[owner, T_HELD_COUNT] < HELD_MOST:
            tracks.held[owner, tracks.ints[owner, T_HELD_COUNT]] = o
            tracks.ints[owner, T_HELD_COUNT] += 1
            opened.ints[o, O_HOLDERS] += 1
    elif free > _FREE_ENOUGH:
        partner, odds = find_partner(opened, o, sensors, frame, params, looks, book, work)
        if partner >= 0:
            odds *= sensors.real[s, S_DETECTION] * free / work.real[p, W_DENSITY]
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


@inner_kernel
def share_plots(order: Int32s1, pairs: int, work: Work) -> None:
    """Give each pair its probability, and each plot its likeliest pair and the probability of any."""
    if pairs == 0:
        return
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
        work.real[p, W_CLAIMED] += work.belief[q]
        if work.ints[p, W_BEST_PAIR] < 0 or work.belief[q] > work.belief[work.ints[p, W_BEST_PAIR]]:
            work.ints[p, W_BEST_PAIR] = q


@inner_kernel
def confirm_sure_tracks(
    touched: int,
    sensors: Sensors,
    params: Params,
    tracks: Tracks,
    opened: OpenPlots,
    looks: Looks,
    book: Book,
    work: Work,
) -> None:
    """Confirm those of the touched tracks that have become sure, and end their being touched."""
    for place in range(touched):
        t = work.touched[0, place]
        work.local[t] = -1
        if tracks.ints[t, T_STATUS] != TENTATIVE:
            continue
        is_sure = tracks.real[t, T_EXISTENCE] >= params.confirm_existence
        if is_sure and tracks.ints[t, T_PLOTS] >= params.confirm_plots:
            number = take_number(book, looks.now[ANY], params.number_rest)
            if number < 0:
                book.counts[NUMBERS_SHORT] += 1
            else:
                tracks.ints[t, T_NUMBER] = number
                confirm_track(tracks, t, opened, looks, sensors, book)
