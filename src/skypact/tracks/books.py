"""Bookkeeping: outcomes, track numbers, and taking and giving back slots."""

from skypact.core.jit import inner_kernel, kernel
from skypact.plots.model import Outcome
from skypact.tracks.clutter import learn_clutter
from skypact.tracks.grid import enter_cell, leave_cell
from skypact.tracks.measurement import Sensors
from skypact.tracks.model import OutcomeReason
from skypact.tracks.state import (
    ACTIVE,
    ACTIVE_LIST,
    ANY,
    B_NUMBER,
    B_OUTCOME,
    B_PLOT,
    B_REASON,
    B_SERIAL,
    CONFIRMED,
    FREE,
    FREE_LIST,
    LIVE,
    NEWEST_OPEN,
    NUMBERS_FIRST,
    NUMBERS_LEFT,
    O_HEIGHT,
    O_HOLDERS,
    O_PLOT,
    O_QUEUE,
    O_RING,
    O_SENSOR,
    O_SETTLED,
    O_SIMULATED,
    O_TIME,
    O_WAITING,
    OLDEST_OPEN,
    OPEN_FREE,
    OPEN_HEADS,
    OUTCOMES,
    RANK_LIST,
    SERIAL,
    T_EXISTENCE,
    T_HELD_COUNT,
    T_HIDDEN,
    T_NUMBER,
    T_SERIAL,
    T_STATUS,
    TRACK_HEADS,
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
    book.outcomes[n, B_PLOT] = plot
    book.outcomes[n, B_OUTCOME] = outcome
    book.outcomes[n, B_NUMBER] = number
    book.outcomes[n, B_SERIAL] = serial
    book.outcomes[n, B_REASON] = reason
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


@inner_kernel
def release_open_plot(
    opened: OpenPlots, o: int, looks: Looks, sensors: Sensors, book: Book, reason: int
) -> None:
    """One holder less; a plot that nobody holds any more and that fed no track was clutter."""
    opened.ints[o, O_HOLDERS] -= 1
    if opened.ints[o, O_HOLDERS] > 0:
        return
    if opened.ints[o, O_SETTLED] == 0:
        settle(book, opened.ints[o, O_PLOT], _CLUTTER, -1, -1, reason)
        if opened.ints[o, O_SIMULATED] == 0:
            s = opened.ints[o, O_SENSOR]
            learn_clutter(
                looks, sensors, s, opened.ints[o, O_RING], opened.real[o, O_HEIGHT], opened.real[o, O_TIME]
            )
    opened.free[book.counts[OPEN_FREE]] = o
    book.counts[OPEN_FREE] += 1


@inner_kernel
def expire_open_plots(
    opened: OpenPlots, s: int, looks: Looks, sensors: Sensors, book: Book, life: float
) -> None:
    """End the wait of a sensor's plots that are older than `life`, s."""
    for sort in (LIVE, ANY):
        queue = looks.queue[s, sort]
        o = queue[OLDEST_OPEN]
        while o >= 0 and opened.real[o, O_TIME] + life < looks.latest[s, sort]:
            following = opened.ints[o, O_QUEUE]
            leave_cell(o, opened.links, book.heads[OPEN_HEADS])
            opened.ints[o, O_WAITING] = 0
            release_open_plot(opened, o, looks, sensors, book, _NO_SECOND)
            o = following
        queue[OLDEST_OPEN] = o
        if o < 0:
            queue[NEWEST_OPEN] = -1


@inner_kernel
def confirm_track(
    tracks: Tracks, t: int, opened: OpenPlots, looks: Looks, sensors: Sensors, book: Book
) -> None:
    """Make a track that has just got its number confirmed, and settle the plots that it held."""
    tracks.ints[t, T_STATUS] = CONFIRMED
    tracks.ints[t, T_HIDDEN] = 0
    for h in range(tracks.ints[t, T_HELD_COUNT]):
        o = tracks.held[t, h]
        if opened.ints[o, O_SETTLED] == 0:
            outcome = _STARTED if h < 2 else _UPDATED
            settle(
                book,
                opened.ints[o, O_PLOT],
                outcome,
                tracks.ints[t, T_NUMBER],
                tracks.ints[t, T_SERIAL],
                _NONE,
            )
            opened.ints[o, O_SETTLED] = 1
        release_open_plot(opened, o, looks, sensors, book, _NONE)
    tracks.ints[t, T_HELD_COUNT] = 0


@inner_kernel
def take_track(tracks: Tracks, book: Book, cell: int) -> int:
    """A free slot, made active and entered in a grid cell, with a serial; -1 (and counted) when full."""
    left = book.counts[TRACKS_FREE]
    if left == 0:
        book.counts[TRACKS_OVERFLOWN] += 1
        return -1
    book.counts[TRACKS_FREE] = left - 1
    t = tracks.lists[FREE_LIST, left - 1]
    place = book.counts[ACTIVE]
    tracks.lists[ACTIVE_LIST, place] = t
    tracks.lists[RANK_LIST, t] = place
    book.counts[ACTIVE] = place + 1
    tracks.ints[t, T_SERIAL] = book.counts[SERIAL]
    book.counts[SERIAL] += 1
    enter_cell(t, cell, tracks.links, book.heads[TRACK_HEADS])
    return int(t)


@inner_kernel
def drop_track(tracks: Tracks, t: int, opened: OpenPlots, looks: Looks, sensors: Sensors, book: Book) -> None:
    """End a track: its slot is free, its number rests, the plots that it held lose a holder."""
    for h in range(tracks.ints[t, T_HELD_COUNT]):
        release_open_plot(opened, tracks.held[t, h], looks, sensors, book, _DROPPED)
    tracks.ints[t, T_HELD_COUNT] = 0
    if tracks.ints[t, T_NUMBER] > 0:
        give_number_back(book, tracks.ints[t, T_NUMBER], looks.now[ANY])
        tracks.ints[t, T_NUMBER] = -1
    leave_cell(t, tracks.links, book.heads[TRACK_HEADS])
    last = book.counts[ACTIVE] - 1
    moved, place = tracks.lists[ACTIVE_LIST, last], tracks.lists[RANK_LIST, t]
    tracks.lists[ACTIVE_LIST, place] = moved
    tracks.lists[RANK_LIST, moved] = place
    book.counts[ACTIVE] = last
    tracks.ints[t, T_STATUS] = FREE
    tracks.real[t, T_EXISTENCE] = 0.0
    tracks.lists[FREE_LIST, book.counts[TRACKS_FREE]] = t
    book.counts[TRACKS_FREE] += 1
