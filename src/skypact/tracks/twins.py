"""Tracks that hold the same plot and want the next one alike: they are of one target, so only one goes on."""

from skypact.core.jit import inner_kernel
from skypact.tracks.books import drop_track
from skypact.tracks.measurement import Sensors
from skypact.tracks.state import (
    CONFIRMED,
    O_SETTLED,
    T_HELD_COUNT,
    T_SERIAL,
    T_STATUS,
    TENTATIVE,
    Book,
    Looks,
    OpenPlots,
    Tracks,
    Work,
)

_ALIKE = 0.1  # odds of a plot for two tracks that differ by less than this factor are alike


@inner_kernel
def holds_plot_of(tracks: Tracks, t: int, other: int, opened: OpenPlots) -> bool:
    """Whether a tentative track holds a plot of the other track: of a confirmed one, a settled plot."""
    is_confirmed = tracks.ints[other, T_STATUS] == CONFIRMED
    for h in range(tracks.ints[t, T_HELD_COUNT]):
        o = tracks.held[t, h]
        if is_confirmed and opened.ints[o, O_SETTLED] == 1:
            return True
        for g in range(tracks.ints[other, T_HELD_COUNT]):
            if tracks.held[other, g] == o:
                return True
    return False


@inner_kernel
def is_favourite(q: int, work: Work) -> bool:
    """Whether a pair's plot is the one that its track wants most."""
    r = work.touched[1, work.pair_track[q]]
    while r >= 0:
        if work.odds[r] > work.odds[q]:
            return False
        r = work.pair_next[r]
    return True


@inner_kernel
def weaker_twin(q: int, r: int, tracks: Tracks, opened: OpenPlots, work: Work) -> int:
    """Of two pairs of the same plot, the one whose track should end; -1 when they are not of twins.

    Twins, at least one of them tentative, hold the same plot, and want the same plot most and about
    as much; the tentative, less likely or younger one is the weaker. Tracks of two aircraft that began
    with the same plot differ in what they want: each its own aircraft's next plot.
    """
    if not min(work.odds[q], work.odds[r]) > _ALIKE * max(work.odds[q], work.odds[r]):
        return -1
    t, other = work.touched[0, work.pair_track[q]], work.touched[0, work.pair_track[r]]
    if tracks.ints[t, T_STATUS] != tracks.ints[other, T_STATUS]:
        is_first = tracks.ints[t, T_STATUS] == TENTATIVE
    elif work.odds[q] != work.odds[r]:
        is_first = work.odds[q] < work.odds[r]
    else:
        is_first = tracks.ints[t, T_SERIAL] > tracks.ints[other, T_SERIAL]
    if not is_first:
        q, r, t, other = r, q, other, t
    if tracks.ints[t, T_STATUS] != TENTATIVE or not holds_plot_of(tracks, t, other, opened):
        return -1
    return q if is_favourite(q, work) and is_favourite(r, work) else -1


@inner_kernel
def end_twins(
    pairs: int,
    sensors: Sensors,
    tracks: Tracks,
    opened: OpenPlots,
    looks: Looks,
    book: Book,
    work: Work,
) -> None:
    """End the weaker of tracks that are of one target, before they share a look's plots.

    Sharing them, none would have any plot for its own: none would be confirmed, and while they keep
    the plots from others, none would end.
    """
    first = 0
    for q in range(pairs):
        if work.pair_plot[q] != work.pair_plot[first]:
            first = q  # the pairs of a plot follow each other
        for r in range(first, q):
            ended = weaker_twin(q, r, tracks, opened, work)
            if ended >= 0:
                place = work.pair_track[ended]
                drop_track(tracks, work.touched[0, place], opened, looks, sensors, book)
                z = work.touched[1, place]
                while z >= 0:
                    work.odds[z] = 0.0
                    z = work.pair_next[z]
