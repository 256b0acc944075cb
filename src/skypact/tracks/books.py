"""Bookkeeping: outcomes, track numbers, and taking and giving back slots."""

from skypact.core.jit import kernel
from skypact.plots.model import Outcome
from skypact.tracks.clutter import learn_clutter
from skypact.tracks.grid import enter_cell, leave_cell
from skypact.tracks.measurement import Sensors
from skypact.tracks.model import OutcomeReason
from skypact.tracks.state import (
    ACTIVE,
    CONFIRMED,
    FREE,
    NUMBERS_FIRST,
    NUMBERS_LEFT,
    OPEN_FREE,
    OUTCOMES,
    SERIAL,
    TRACKS_FREE,
    TRACKS_OVERFLOWN,
    Book,
    Looks,
    OpenPlots,
    Tracks,
)

_CLUTTER = int(Outcome.CLUTTER)
_STARTED = int(Outcome.STARTED)
_UPDATED = int(Outcome.UPDATED)
_NO_SECOND = int(OutcomeReason.NO_SECOND_PLOT)
_DROPPED = int(OutcomeReason.TRACK_NOT_CONFIRMED)
_NONE = int(OutcomeReason.NONE)


@kernel
def settle(book: Book, plot: int, outcome: int, number: int, serial: int, reason: int) -> None:
    """Write down what became of a plot; the tracker sees to it that there is room."""
    n = book.counts[OUTCOMES]
    book.outcome_plot[n] = plot
    book.outcome[n] = outcome
    book.outcome_number[n] = number
    book.outcome_serial[n] = serial
    book.outcome_reason[n] = reason
    book.counts[OUTCOMES] = n + 1


@kernel
def take_number(book: Book, now: float, rest: float) -> int:
    """The track number that has been free for longest; -1 when none has rested for `rest` s."""
    first = book.counts[NUMBERS_FIRST]
    if book.counts[NUMBERS_LEFT] == 0 or now < book.freed[first] + rest:
        return -1
    book.counts[NUMBERS_FIRST] = (first + 1) % len(book.numbers)
    book.counts[NUMBERS_LEFT] -= 1
    return int(book.numbers[first])


@kernel
def give_number_back(book: Book, number: int, now: float) -> None:
    """Put a track number at the end of the queue of free ones."""
    place = (book.counts[NUMBERS_FIRST] + book.counts[NUMBERS_LEFT]) % len(book.numbers)
    book.numbers[place] = number
    book.freed[place] = now
    book.counts[NUMBERS_LEFT] += 1


@kernel
def release_open_plot(
    opened: OpenPlots, o: int, looks: Looks, sensors: Sensors, book: Book, reason: int
) -> None:
    """One holder less; a plot that nobody holds any more and that fed no track was clutter."""
    opened.holders[o] -= 1
    if opened.holders[o] > 0:
        return
    if opened.settled[o] == 0:
        settle(book, opened.plot[o], _CLUTTER, -1, -1, reason)
        s = opened.sensor[o]
        learn_clutter(looks, sensors, s, opened.ring[o], opened.height[o], opened.time[o])
    opened.free[book.counts[OPEN_FREE]] = o
    book.counts[OPEN_FREE] += 1


@kernel
def expire_open_plots(
    opened: OpenPlots, s: int, looks: Looks, sensors: Sensors, book: Book, life: float
) -> None:
    """End the wait of a sensor's plots that are older than `life`, s."""
    o = looks.oldest_open[s]
    while o >= 0 and opened.time[o] + life < looks.latest[s]:
        following = opened.queue[o]
        leave_cell(o, opened.cell, opened.following, opened.preceding, book.open_heads)
        opened.waiting[o] = 0
        release_open_plot(opened, o, looks, sensors, book, _NO_SECOND)
        o = following
    looks.oldest_open[s] = o
    if o < 0:
        looks.newest_open[s] = -1


@kernel
def confirm_track(
    tracks: Tracks, t: int, opened: OpenPlots, looks: Looks, sensors: Sensors, book: Book
) -> None:
    """Make a track that has just got its number confirmed, and settle the plots that it held."""
    tracks.status[t] = CONFIRMED
    tracks.hidden[t] = 0
    for h in range(tracks.held_count[t]):
        o = tracks.held[t, h]
        if opened.settled[o] == 0:
            outcome = _STARTED if h < 2 else _UPDATED
            settle(book, opened.plot[o], outcome, tracks.number[t], tracks.serial[t], _NONE)
            opened.settled[o] = 1
        release_open_plot(opened, o, looks, sensors, book, _NONE)
    tracks.held_count[t] = 0


@kernel
def take_track(tracks: Tracks, book: Book, cell: int) -> int:
    """A free slot, made active and entered in a grid cell, with a serial; -1 (and counted) when full."""
    left = book.counts[TRACKS_FREE]
    if left == 0:
        book.counts[TRACKS_OVERFLOWN] += 1
        return -1
    book.counts[TRACKS_FREE] = left - 1
    t = tracks.free[left - 1]
    place = book.counts[ACTIVE]
    tracks.active[place] = t
    tracks.rank[t] = place
    book.counts[ACTIVE] = place + 1
    tracks.serial[t] = book.counts[SERIAL]
    book.counts[SERIAL] += 1
    enter_cell(t, cell, tracks.cell, tracks.following, tracks.preceding, book.track_heads)
    return int(t)


@kernel
def drop_track(tracks: Tracks, t: int, opened: OpenPlots, looks: Looks, sensors: Sensors, book: Book) -> None:
    """End a track: its slot is free, its number rests, the plots that it held lose a holder."""
    for h in range(tracks.held_count[t]):
        release_open_plot(opened, tracks.held[t, h], looks, sensors, book, _DROPPED)
    tracks.held_count[t] = 0
    if tracks.number[t] > 0:
        give_number_back(book, tracks.number[t], looks.now[0])
        tracks.number[t] = -1
    leave_cell(t, tracks.cell, tracks.following, tracks.preceding, book.track_heads)
    last = book.counts[ACTIVE] - 1
    moved, place = tracks.active[last], tracks.rank[t]
    tracks.active[place] = moved
    tracks.rank[moved] = place
    book.counts[ACTIVE] = last
    tracks.status[t] = FREE
    tracks.existence[t] = 0.0
    tracks.free[book.counts[TRACKS_FREE]] = t
    book.counts[TRACKS_FREE] += 1
