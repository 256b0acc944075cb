"""What the tracker remembers, as structs of arrays: tracks, plots whose fate is open, clutter and the books."""

from typing import NamedTuple, TypeVar

import numpy as np

from skypact.core.arrays import (
    Floats1,
    MutableBytes1,
    MutableBytes2,
    MutableFloats1,
    MutableFloats2,
    MutableFloats3,
    MutableFloats4,
    MutableInt32s1,
    MutableInt32s2,
    MutableInts1,
)
from skypact.tracks.measurement import Rows, make_rows

FREE, TENTATIVE, CONFIRMED = 0, 1, 2  # status of a track's slot
HELD_MOST = 24  # plots that a tentative track may hold before it must be confirmed or dropped
BUCKETS = 1 << 14  # of the grids' hash tables
RINGS, WEDGES = 8, 16  # clutter cells of a sensor: rings of equal area, wedges of equal angle
HEIGHT_BANDS = 32  # of a sensor's clutter

# Places in `Book.counts`.
SERIAL, OUTCOMES, ACTIVE, TRACKS_FREE, OPEN_FREE, NUMBERS_FIRST, NUMBERS_LEFT = 0, 1, 2, 3, 4, 5, 6
TRACKS_OVERFLOWN, OPEN_OVERFLOWN, PAIRS_OVERFLOWN, NUMBERS_SHORT = 7, 8, 9, 10
COUNTS = 11


class Tracks(NamedTuple):
    """N slots for tracks of M motion models, fed by S sensors."""

    mean: MutableFloats3  # (N, M, 6) position and velocity in the centre's frame, m and m/s
    cov: MutableFloats4  # (N, M, 6, 6)
    weight: MutableFloats2  # (N, M) probability of each model
    time: MutableFloats1  # (N,) of the state, s
    whole: MutableFloats2  # (N, 6) mean over the models
    place_variance: MutableFloats1  # (N,) of the widest model, greatest in any direction at most this, m²
    speed_variance: MutableFloats1  # (N,) the same of velocity, m²/s²
    existence: MutableFloats1  # (N,)
    born: MutableFloats1  # (N,) time of the first plot, s
    updated: MutableFloats1  # (N,) time of the last plot, s
    checked: MutableFloats1  # (N,) time to which existence has been kept, s
    due: MutableFloats1  # (N,) when to look for missed passes next, s
    altitude: MutableFloats1  # (N,) last pressure altitude, m
    status: MutableBytes1  # (N,) FREE, TENTATIVE or CONFIRMED
    hidden: MutableBytes1  # (N,) 1: confirmed, but not in the picture
    number: MutableInts1  # (N,)
    serial: MutableInts1  # (N,) counts all tracks ever started
    plots: MutableInts1  # (N,) plots that fed it
    misses: MutableInts1  # (N,) passes without a plot since the last one
    squawk: MutableInts1  # (N,) -1 for none
    rival_squawk: MutableInts1  # (N,) another squawk that came once
    address: MutableInts1  # (N,)
    rival_address: MutableInts1  # (N,)
    callsign: MutableInts1  # (N,)
    seen: MutableFloats2  # (N, S) time of the last pass that is accounted for, s
    hit: MutableFloats2  # (N, S) time of the last plot, s; -inf for none
    blind: MutableBytes2  # (N, S) passes missed in a row while another sensor saw the target
    doubtful: MutableBytes2  # (N, S) passes missed since anybody saw it
    held: MutableInt32s2  # (N, HELD_MOST) open plots of a tentative track
    held_count: MutableInts1  # (N,)
    cell: MutableInts1  # (N,) cell of the grid
    following: MutableInt32s1  # (N,) next slot of the same bucket, -1 at the end
    preceding: MutableInt32s1  # (N,) and the one before
    active: MutableInt32s1  # (N,) slots in use, the first counts[ACTIVE]
    rank: MutableInt32s1  # (N,) place in `active`
    free: MutableInt32s1  # (N,) slots not in use, the first counts[TRACKS_FREE]


class OpenPlots(NamedTuple):
    """K slots for plots whose fate is open: the first plots of tracks to come, or clutter."""

    plot: MutableInts1  # (K,) place in the order in which the tracker was given the plots
    sensor: MutableInt32s1  # (K,)
    time: MutableFloats1  # (K,) s
    place: MutableFloats2  # (K, 3) in the centre's frame, m
    noise: MutableFloats3  # (K, 3, 3) covariance of the place, m²
    height: MutableFloats1  # (K,) m; NaN when not measured
    odds: MutableFloats1  # (K,) that it is a new target's first plot
    squawk: MutableInts1  # (K,)
    address: MutableInts1  # (K,)
    callsign: MutableInts1  # (K,)
    altitude: MutableFloats1  # (K,) m
    ring: MutableInts1  # (K,) clutter cell
    holders: MutableInts1  # (K,) tentative tracks, plus one while it waits for a partner
    settled: MutableBytes1  # (K,) 1: its outcome is known
    waiting: MutableBytes1  # (K,) 1: a later plot may start a track with it
    cell: MutableInts1  # (K,)
    following: MutableInt32s1  # (K,)
    preceding: MutableInt32s1  # (K,)
    queue: MutableInt32s1  # (K,) next younger waiting plot of the same sensor, -1 at the end
    free: MutableInt32s1  # (K,) slots not in use, the first counts[OPEN_FREE]


class Looks(NamedTuple):
    """What is known of each sensor's looks and false plots."""

    latest: MutableFloats1  # (S,) newest detection time, s; -inf before the first plot
    oldest_open: MutableInt32s1  # (S,) first of the sensor's queue of waiting plots
    newest_open: MutableInt32s1  # (S,) last of it
    clutter: MutableFloats3  # (S, 2, cells) false plots in the fading memory; [1] with height
    clutter_time: MutableFloats3  # (S, 2, cells) time to which they have faded, s
    clutter_total: MutableFloats2  # (S, 2) over all cells
    clutter_total_time: MutableFloats2  # (S, 2)
    height_bands: MutableFloats2  # (S, HEIGHT_BANDS) false plots by height
    now: MutableFloats1  # (1,) newest detection time of any sensor, s


class Book(NamedTuple):
    """Counters, numbers and outcomes."""

    counts: MutableInts1  # (COUNTS,)
    track_heads: MutableInt32s1  # (BUCKETS,) first track slot of each bucket, -1 for none
    open_heads: MutableInt32s1  # (BUCKETS,)
    numbers: MutableInts1  # (32767,) ring of free track numbers, the one free for longest first
    freed: MutableFloats1  # (32767,) when each of them became free, s
    outcome_plot: MutableInts1  # (B,)
    outcome: MutableBytes1  # (B,)
    outcome_number: MutableInts1  # (B,)
    outcome_serial: MutableInts1  # (B,) -1 for none
    outcome_reason: MutableBytes1  # (B,)


class Work(NamedTuple):
    """Room to work in, with nothing to remember from one batch to the next."""

    rows: Rows  # of the batch's plots
    pair_rows: Rows  # one: of a pair
    kept: MutableInt32s1  # (P,) plots that the tracker can use, by sensor, then time
    form: MutableInts1  # (P,)
    slack: MutableFloats1  # (P,) by how much a track may lie off a plot's place for want of height, m
    density: MutableFloats1  # (P,) of false plots and new targets at the plot, in the units of its rows
    target_share: MutableFloats1  # (P,) odds of a new target against a false plot
    ring: MutableInts1  # (P,) clutter cell
    nearly: MutableBytes1  # (P,) 1: it would have fitted a track if it had come in time
    best_pair: MutableInts1  # (P,) likeliest pair, -1 for none
    claimed: MutableFloats1  # (P,) probability that it is of any track
    pair_track: MutableInt32s1  # (Q,) place in `touched`
    pair_plot: MutableInt32s1  # (Q,) place in the batch
    pair_next: MutableInt32s1  # (Q,) next pair of the same track
    odds: MutableFloats1  # (Q,) of the pair against no plot for that track, before competition
    belief: MutableFloats1  # (Q,) its probability
    message: MutableFloats1  # (Q,)
    touched: MutableInt32s1  # (T,) slots of tracks with pairs
    touched_pair: MutableInt32s1  # (T,) first pair of each
    touched_sum: MutableFloats1  # (T,)
    local: MutableInt32s1  # (N,) place in `touched`, -1 for none
    plot_sum: MutableFloats1  # (P,)
    likelihood: MutableFloats1  # (M,)
    bank_mean: MutableFloats3  # (2, M, 6)
    bank_cov: MutableFloats4  # (2, M, 6, 6)
    bank_weight: MutableFloats2  # (2, M)
    small: MutableFloats3  # (4, 3, 3)


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


def make_tracks(slots: int, models: int, sensors: int) -> Tracks:
    """Empty slots; `active`, `rank` and `free` lists for them."""
    n, m, s = slots, models, sensors
    floats, ints = (lambda *shape: np.zeros(shape)), (lambda *shape: np.zeros(shape, np.int64))
    return Tracks(
        mean=floats(n, m, 6), cov=floats(n, m, 6, 6), weight=floats(n, m), time=floats(n),
        whole=floats(n, 6), place_variance=floats(n), speed_variance=floats(n), existence=floats(n),
        born=floats(n), updated=floats(n), checked=floats(n), due=floats(n), altitude=floats(n),
        status=np.zeros(n, np.uint8), hidden=np.zeros(n, np.uint8), number=ints(n), serial=ints(n),
        plots=ints(n), misses=ints(n), squawk=ints(n), rival_squawk=ints(n), address=ints(n),
        rival_address=ints(n), callsign=ints(n), seen=floats(n, s), hit=floats(n, s),
        blind=np.zeros((n, s), np.uint8), doubtful=np.zeros((n, s), np.uint8),
        held=np.zeros((n, HELD_MOST), np.int32), held_count=ints(n), cell=ints(n),
        following=np.zeros(n, np.int32), preceding=np.zeros(n, np.int32),
        active=np.zeros(n, np.int32), rank=np.zeros(n, np.int32),
        free=np.arange(n - 1, -1, -1, dtype=np.int32),
    )  # fmt: skip


def make_open_plots(slots: int) -> OpenPlots:
    """Empty slots and the list of them."""
    k = slots
    floats, ints = (lambda *shape: np.zeros(shape)), (lambda *shape: np.zeros(shape, np.int64))
    return OpenPlots(
        plot=ints(k), sensor=np.zeros(k, np.int32), time=floats(k), place=floats(k, 3),
        noise=floats(k, 3, 3), height=floats(k), odds=floats(k), squawk=ints(k), address=ints(k),
        callsign=ints(k), altitude=floats(k), ring=ints(k), holders=ints(k),
        settled=np.zeros(k, np.uint8), waiting=np.zeros(k, np.uint8), cell=ints(k),
        following=np.zeros(k, np.int32), preceding=np.zeros(k, np.int32), queue=np.zeros(k, np.int32),
        free=np.arange(k - 1, -1, -1, dtype=np.int32),
    )  # fmt: skip


def make_work(plots: int, pairs: int, slots: int, models: int) -> Work:
    """Room for a batch of so many plots and pairs."""
    floats, ints = (lambda *shape: np.zeros(shape)), (lambda *shape: np.zeros(shape, np.int64))
    return Work(
        rows=make_rows(plots), pair_rows=make_rows(1), kept=np.zeros(plots, np.int32), form=ints(plots), slack=floats(plots),
        density=floats(plots), target_share=floats(plots), ring=ints(plots), nearly=np.zeros(plots, np.uint8), best_pair=ints(plots),
        claimed=floats(plots), pair_track=np.zeros(pairs, np.int32), pair_plot=np.zeros(pairs, np.int32),
        pair_next=np.zeros(pairs, np.int32), odds=floats(pairs), belief=floats(pairs),
        message=floats(pairs), touched=np.zeros(slots, np.int32),
        touched_pair=np.zeros(slots, np.int32), touched_sum=floats(slots),
        local=np.full(slots, -1, np.int32), plot_sum=floats(plots), likelihood=floats(models),
        bank_mean=floats(2, models, 6), bank_cov=floats(2, models, 6, 6), bank_weight=floats(2, models),
        small=floats(4, 3, 3),
    )  # fmt: skip


def read_only(arrays: Arrays) -> Arrays:
    """The same with arrays that can't be written to, as kernels expect of tuples that they only read."""
    views = []
    for value in arrays:
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        views.append(value)
    return type(arrays)(*views)


def grow(old: Arrays, new: Arrays, in_use: int) -> Arrays:
    """`new` with the content of the shorter `old`; its free list gets the added slots below the old ones.

    `in_use` is how many slots the old free list holds.
    """
    for before, after in zip(old, new, strict=True):
        after[: len(before)] = before
    old_free, new_free = old[-1], new[-1]
    added = len(new_free) - len(old_free)
    new_free[:added] = np.arange(len(new_free) - 1, len(old_free) - 1, -1)
    new_free[added : added + in_use] = old_free[:in_use]
    return new
