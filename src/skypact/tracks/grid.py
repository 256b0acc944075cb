"""A hash grid over the centre's plane: which slots lie near a place, without looking at the others."""

from math import floor

from skypact.core.arrays import MutableInts1, MutableInts2
from skypact.core.jit import kernel
from skypact.tracks.state import BUCKETS, L_CELL, L_FOLLOWING, L_PRECEDING

_OFFSET = 1 << 20  # keeps cell coordinates positive
_STRIDE = 1 << 21


@kernel
def cell_of(x: float, y: float, size: float) -> int:
    """The cell of a place of the centre's frame (m), for square cells of `size` m."""
    column = min(max(floor(x / size), 1 - _OFFSET), _OFFSET - 2) + _OFFSET
    row = min(max(floor(y / size), 1 - _OFFSET), _OFFSET - 2) + _OFFSET
    return column * _STRIDE + row


@kernel
def neighbour_cell(cell: int, columns: int, rows: int) -> int:
    """The cell so many columns and rows further."""
    return cell + columns * _STRIDE + rows


@kernel
def bucket_of(cell: int) -> int:
    """The bucket of the hash table that holds a cell's slots, and others'."""
    return ((cell // _STRIDE) * 7919 + (cell % _STRIDE) * 104729) & (BUCKETS - 1)


@kernel
def enter_cell(slot: int, cell: int, links: MutableInts2, heads: MutableInts1) -> None:
    """Enter a slot that is in no cell."""
    bucket = bucket_of(cell)
    first = heads[bucket]
    links[slot, L_CELL] = cell
    links[slot, L_PRECEDING] = -1
    links[slot, L_FOLLOWING] = first
    if first >= 0:
        links[first, L_PRECEDING] = slot
    heads[bucket] = slot


@kernel
def leave_cell(slot: int, links: MutableInts2, heads: MutableInts1) -> None:
    """Take a slot out of its cell."""
    before, after = links[slot, L_PRECEDING], links[slot, L_FOLLOWING]
    if before >= 0:
        links[before, L_FOLLOWING] = after
    else:
        heads[bucket_of(links[slot, L_CELL])] = after
    if after >= 0:
        links[after, L_PRECEDING] = before
