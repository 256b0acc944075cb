"""What the tracker remembers, as blocks of arrays that every `@kernel` of this folder takes.

A block holds many fields as columns: compiling a kernel costs time for each array that it takes.
The columns are named here, by the letter of their block: `tracks.real[t, T_TIME]`.
"""

from typing import NamedTuple, TypeVar

import numpy as np

from skypact.core.arrays import (
    Floats1,
    MutableBytes3,
    MutableFloats1,
    MutableFloats2,
    MutableFloats3,
    MutableFloats4,
    MutableInt32s1,
    MutableInt32s2,
    MutableInts1,
    MutableInts2,
    MutableInts3,
)
from skypact.tracks.measurement import Rows, make_rows

FREE, TENTATIVE, CONFIRMED = 0, 1, 2  # status of a track's slot
HELD_MOST = 24  # plots that a tentative track may hold before it must be confirmed or dropped
BUCKETS = 1 << 14  # of the grids' hash tables
RINGS, WEDGES = 8, 16  # clutter cells of a sensor: rings of equal area, wedges of equal angle
HEIGHT_BANDS = 32  # of a sensor's clutter

# Columns of `Tracks.real`.
T_TIME = 0  # of the state, s
T_PLACE_VARIANCE = 1  # trace over position of the widest model, m²
T_SPEED_VARIANCE = 2  # the same of velocity, m²/s²
T_EXISTENCE = 3
T_BORN = 4  # time of the first plot, s
T_UPDATED = 5  # time of the last plot, s
T_CHECKED = 6  # time to which existence has been kept, s
T_DUE = 7  # when to look for missed passes next, s
T_ALTITUDE = 8  # last pressure altitude, m; NaN for none
T_ALTITUDE_TIME = 9  # of its plot, s; NaN for none
T_REALS = 10
# Columns of `Tracks.ints`.
T_STATUS = 0  # FREE, TENTATIVE or CONFIRMED
T_HIDDEN = 1  # 1: confirmed, but not in the picture
T_NUMBER = 2  # -1 for none
T_SERIAL = 3  # counts all tracks ever started
T_PLOTS = 4  # plots that fed it
T_MISSES = 5  # passes without a plot since the last one
T_SQUAWK = 6  # -1 for none
T_RIVAL_SQUAWK = 7  # another squawk that came once
T_ADDRESS = 8
T_RIVAL_ADDRESS = 9
T_CALLSIGN = 10
T_HELD_COUNT = 11
T_SIMULATED = 12  # 1: of simulated plots alone, 0: of live ones alone; from its birth on
T_INTS = 13
# Last index of `Tracks.passes` and `Tracks.missed`.
T_SEEN = 0  # time of the last pass of the sensor that is accounted for, s
T_HIT = 1  # time of its last plot, s; -inf for none
T_BLIND = 0  # its passes missed in a row while another sensor saw the target
T_DOUBTFUL = 1  # its passes missed since anybody saw it
# Rows of `Tracks.lists`.
ACTIVE_LIST = 0  # slots in use, the first counts[ACTIVE]
RANK_LIST = 1  # place of each slot in that list
FREE_LIST = 2  # slots not in use, the first counts[TRACKS_FREE]

# Columns of `links`, of tracks and of open plots: their place in a grid.
L_CELL, L_FOLLOWING, L_PRECEDING = 0, 1, 2  # cell; next and previous slot of the bucket, -1 for none

# Columns of `OpenPlots.real`.
O_TIME = 0  # s
O_HEIGHT = 1  # m; NaN when not measured
O_ODDS = 2  # that it is a new target's first plot
O_ALTITUDE = 3  # m
O_REALS = 4
# Columns of `OpenPlots.ints`.
O_PLOT = 0  # place in the order in which the tracker was given the plots
O_SENSOR = 1
O_SQUAWK = 2
O_ADDRESS = 3
O_CALLSIGN = 4
O_RING = 5  # clutter cell
O_HOLDERS = 6  # tentative tracks, plus one while it waits for a partner
O_SETTLED = 7  # 1: its outcome is known
O_WAITING = 8  # 1: a later plot may start a track with it
O_QUEUE = 9  # next younger waiting plot of the same sensor, -1 at the end
O_SIMULATED = 10  # 1: flagged as simulated
O_INTS = 11

# Last index of `Looks.latest`, and index of `Looks.now`. What is simulated may tell nothing of live tracks.
LIVE, ANY = 0, 1  # of live plots alone; of all
# Last index of `Looks.clutter` and `Looks.clutter_total`.
C_COUNT, C_TIME = 0, 1  # false plots in the fading memory; time to which it has faded, s
# Last index of `Looks.queue`: first and last of the sensor's waiting plots, -1 for none.
OLDEST_OPEN, NEWEST_OPEN = 0, 1

# Columns of `Work.real`.
W_SLACK = 0  # by how much a track may lie off a plot's place for want of height, m
W_DENSITY = 1  # of false plots and new targets at the plot, in the units of its rows
W_TARGET_SHARE = 2  # odds of a new target against a false plot
W_CLAIMED = 3  # probability that the plot is of any track
W_REALS = 4
# Columns of `Work.ints`.
W_FORM = 0
W_RING = 1  # clutter cell
W_NEARLY = 2  # 1: it would have fitted a track if it had come in time
W_BEST_PAIR = 3  # likeliest pair, -1 for none
W_INTS = 4

# Places in `Book.counts`.
SERIAL, OUTCOMES, ACTIVE, TRACKS_FREE, OPEN_FREE, NUMBERS_FIRST, NUMBERS_LEFT = 0, 1, 2, 3, 4, 5, 6
TRACKS_OVERFLOWN, OPEN_OVERFLOWN, PAIRS_OVERFLOWN, NUMBERS_SHORT = 7, 8, 9, 10
COUNTS = 11
TRACK_HEADS, OPEN_HEADS = 0, 1  # rows of `Book.heads`
B_PLOT, B_OUTCOME, B_NUMBER, B_SERIAL, B_REASON = 0, 1, 2, 3, 4  # columns of `Book.outcomes`


class Tracks(NamedTuple):
    """N slots for tracks of M motion models, fed by S sensors."""

    mean: MutableFloats3  # (N, M, 6) position and velocity in the centre's frame, m and m/s
    cov: MutableFloats4  # (N, M, 6, 6)
    weight: MutableFloats2  # (N, M) probability of each model
    whole: MutableFloats2  # (N, 6) mean over the models
    real: MutableFloats2  # (N, T_REALS)
    ints: MutableInts2  # (N, T_INTS)
    links: MutableInts2  # (N, 3)
    passes: MutableFloats3  # (N, S, 2)
    missed: MutableBytes3  # (N, S, 2)
    held: MutableInt32s2  # (N, HELD_MOST) open plots of a tentative track
    lists: MutableInt32s2  # (3, N)


class OpenPlots(NamedTuple):
    """K slots for plots whose fate is open: the first plots of tracks to come, or clutter."""

    real: MutableFloats2  # (K, O_REALS)
    ints: MutableInts2  # (K, O_INTS)
    place: MutableFloats2  # (K, 3) in the centre's frame, m
    noise: MutableFloats3  # (K, 3, 3) covariance of the place, m²
    links: MutableInts2  # (K, 3)
    free: MutableInt32s1  # (K,) slots not in use, the first counts[OPEN_FREE]


class Looks(NamedTuple):
    """What is known of each sensor's looks and false plots."""

    latest: MutableFloats2  # (S, 2) newest detection time, s; -inf before the first plot
    resumed: MutableFloats2  # (S, 2) its first plot after it last sent none for a whole look, s
    queue: MutableInts3  # (S, 2, 2) second index 1: simulated plots
    clutter: MutableFloats4  # (S, 2, cells, 2); second index 1: plots with height
    clutter_total: MutableFloats3  # (S, 2, 2) over all cells
    height_bands: MutableFloats2  # (S, HEIGHT_BANDS) false plots by height
    now: MutableFloats1  # (2,) newest detection time of any sensor, s


class Book(NamedTuple):
    """Counters, numbers and outcomes."""

    counts: MutableInts1  # (COUNTS,)
    heads: MutableInts2  # (2, BUCKETS) first slot of each bucket of the two grids, -1 for none
    numbers: MutableInts1  # (32767,) ring of free track numbers, the one free for longest first
    freed: MutableFloats1  # (32767,) when each of them became free, s
    outcomes: MutableInts2  # (B, 5)


class Work(NamedTuple):
    """Room to work in, with nothing to remember from one batch to the next."""

    rows: Rows  # of the batch's plots; the last is that of a pair
    real: MutableFloats2  # (P, W_REALS)
    ints: MutableInts2  # (P, W_INTS)
    kept: MutableInt32s1  # (P,) plots that the tracker can use, by sensor, then time
    pair_track: MutableInt32s1  # (Q,) place in `touched`
    pair_plot: MutableInt32s1  # (Q,) place in `kept`
    pair_next: MutableInt32s1  # (Q,) next pair of the same track
    odds: MutableFloats1  # (Q,) of the pair against no plot for that track, before competition
    belief: MutableFloats1  # (Q,) its probability
    message: MutableFloats1  # (Q,)
    plot_sum: MutableFloats1  # (P,)
    touched: MutableInt32s2  # (2, T) slots of tracks with pairs, and the newest pair of each
    touched_sum: MutableFloats1  # (T,)
    local: MutableInt32s1  # (N,) place in `touched`, -1 for none
    likelihood: MutableFloats1  # (M,)
    bank_mean: MutableFloats3  # (2, M, 6)
    bank_cov: MutableFloats4  # (2, M, 6, 6)
    bank_weight: MutableFloats2  # (2, M)
    small: MutableFloats3  # (3, 3, 3)


class Params(NamedTuple):
    """The settings that kernels need."""

    confirm_existence: float
    confirm_plots: int
    drop_tentative: float
    hide_existence: float
    show_existence: float
    drop_existence: float
    target_life: float
    uncovered_life: float
    births_per_scan: float
    late_limit: float
    number_rest: float
    cell_size: float
    use_codes: bool
    entry: Floats1  # (M,) model probabilities of a new track


Arrays = TypeVar("Arrays", bound=tuple)


def read_only(arrays: Arrays) -> Arrays:
    """The same with arrays that can't be written to, as kernels expect of tuples that they only read."""
    views = []
    for value in arrays:
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        views.append(value)
    return type(arrays)(*views)


def make_tracks(slots: int, models: int, sensors: int) -> Tracks:
    """Empty slots, all of them free."""
    lists = np.zeros((3, slots), np.int32)
    lists[FREE_LIST] = np.arange(slots - 1, -1, -1)
    return Tracks(
        mean=np.zeros((slots, models, 6)),
        cov=np.zeros((slots, models, 6, 6)),
        weight=np.zeros((slots, models)),
        whole=np.zeros((slots, 6)),
        real=np.zeros((slots, T_REALS)),
        ints=np.zeros((slots, T_INTS), np.int64),
        links=np.zeros((slots, 3), np.int64),
        passes=np.zeros((slots, sensors, 2)),
        missed=np.zeros((slots, sensors, 2), np.uint8),
        held=np.zeros((slots, HELD_MOST), np.int32),
        lists=lists,
    )


def make_open_plots(slots: int) -> OpenPlots:
    """Empty slots, all of them free."""
    return OpenPlots(
        real=np.zeros((slots, O_REALS)),
        ints=np.zeros((slots, O_INTS), np.int64),
        place=np.zeros((slots, 3)),
        noise=np.zeros((slots, 3, 3)),
        links=np.zeros((slots, 3), np.int64),
        free=np.arange(slots - 1, -1, -1, dtype=np.int32),
    )


def make_looks(clutter_per_scan: Floats1, memory_looks: float) -> Looks:
    """Nothing seen yet; the table's word on false plots, (S,), is the first memory."""
    count = len(clutter_per_scan)
    total = np.zeros((count, 2, 2))
    total[:, :, C_COUNT] = clutter_per_scan[:, None] * memory_looks
    return Looks(
        latest=np.full((count, 2), -np.inf),
        resumed=np.full((count, 2), -np.inf),
        queue=np.full((count, 2, 2), -1, np.int64),
        clutter=np.zeros((count, 2, RINGS * WEDGES, 2)),
        clutter_total=total,
        height_bands=np.zeros((count, HEIGHT_BANDS)),
        now=np.full(2, -np.inf),
    )


def make_book(track_numbers: int, room: int) -> Book:
    """No tracks, all numbers free, and room for so many outcomes."""
    counts = np.zeros(COUNTS, np.int64)
    counts[NUMBERS_LEFT] = track_numbers
    return Book(
        counts=counts,
        heads=np.full((2, BUCKETS), -1, np.int64),
        numbers=np.arange(1, track_numbers + 1),
        freed=np.full(track_numbers, -np.inf),
        outcomes=np.zeros((room, 5), np.int64),
    )


def make_work(plots: int, pairs: int, slots: int, models: int) -> Work:
    """Room for a batch of so many plots and pairs."""
    return Work(
        rows=make_rows(plots + 1),
        real=np.zeros((plots, W_REALS)),
        ints=np.zeros((plots, W_INTS), np.int64),
        kept=np.zeros(plots, np.int32),
        pair_track=np.zeros(pairs, np.int32),
        pair_plot=np.zeros(pairs, np.int32),
        pair_next=np.zeros(pairs, np.int32),
        odds=np.zeros(pairs),
        belief=np.zeros(pairs),
        message=np.zeros(pairs),
        plot_sum=np.zeros(plots),
        touched=np.zeros((2, slots), np.int32),
        touched_sum=np.zeros(slots),
        local=np.full(slots, -1, np.int32),
        likelihood=np.zeros(models),
        bank_mean=np.zeros((2, models, 6)),
        bank_cov=np.zeros((2, models, 6, 6)),
        bank_weight=np.zeros((2, models)),
        small=np.zeros((3, 3, 3)),
    )


def grow_tracks(old: Tracks, slots: int, free: int) -> Tracks:
    """More slots with the content of the `old` ones, whose free list has `free` entries."""
    new = make_tracks(slots, old.mean.shape[1], old.passes.shape[1])
    before = len(old.real)
    new.mean[:before], new.cov[:before], new.weight[:before] = old.mean, old.cov, old.weight
    new.whole[:before], new.real[:before], new.ints[:before] = old.whole, old.real, old.ints
    new.links[:before], new.passes[:before], new.missed[:before] = old.links, old.passes, old.missed
    new.held[:before] = old.held
    new.lists[:FREE_LIST, :before] = old.lists[:FREE_LIST]
    new.lists[FREE_LIST] = _longer_free_list(old.lists[FREE_LIST], slots, free)
    return new


def add_looks(old: Looks, clutter_per_scan: Floats1, memory_looks: float) -> Looks:
    """What the sensors of `old` have seen, and nothing yet of those that the table, (S,), has beyond them."""
    new = make_looks(clutter_per_scan, memory_looks)
    before = len(old.latest)
    for name in Looks._fields:
        if name != "now":
            getattr(new, name)[:before] = getattr(old, name)
    new.now[:] = old.now
    return new


def add_passes(old: Tracks, sensors: int) -> Tracks:
    """The same tracks with room for more sensors, none of which has seen them yet."""
    slots, before = old.passes.shape[:2]
    passes, missed = np.zeros((slots, sensors, 2)), np.zeros((slots, sensors, 2), np.uint8)
    passes[:, :before], missed[:, :before] = old.passes, old.missed
    # As in a new track: what the sensor missed counts from now on.
    passes[:, before:, T_SEEN] = old.real[:, T_UPDATED, None]
    passes[:, before:, T_HIT] = -np.inf
    return old._replace(passes=passes, missed=missed)


def grow_open_plots(old: OpenPlots, slots: int, free: int) -> OpenPlots:
    """The same for open plots."""
    new = make_open_plots(slots)
    before = len(old.real)
    new.real[:before], new.ints[:before], new.place[:before] = old.real, old.ints, old.place
    new.noise[:before], new.links[:before] = old.noise, old.links
    new.free[:] = _longer_free_list(old.free, slots, free)
    return new


def _longer_free_list(old: MutableInt32s1, slots: int, free: int) -> MutableInt32s1:
    """The free list with the added slots below the old ones, so that low slots are taken first."""
    new = np.zeros(slots, np.int32)
    added = slots - len(old)
    new[:added] = np.arange(slots - 1, len(old) - 1, -1)
    new[added : added + free] = old[:free]
    return new
