"""A hash grid over the centre's plane: which slots lie near a place, without looking at the others."""

from math import floor

from skypact.core.arrays import MutableInt32s1, MutableInts1
from skypact.core.jit import kernel
from skypact.tracks.state import BUCKETS

_OFFSET = 1 << 20  # keeps cell coordinates positive
_STRIDE = 1 << 21


@kernel
def cell_of(x: float, y: float, size: float) -> int:
    """The cell of a place of the centre's frame (m), for square cells of `size` m."""
    column = min(max(int(floor(x / size)), 1 - _OFFSET), _OFFSET - 2) + _OFFSET
    row = min(max(int(floor(y / size)), 1 - _OFFSET), _OFFSET - 2) + _OFFSET
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
def enter_cell(
    slot: int,
    cell: int,
    cells: MutableInts1,
    following: MutableInt32s1,
    preceding: MutableInt32s1,
    heads: MutableInt32s1,
) -> None:
    """Enter a slot that is in no cell."""
    bucket = bucket_of(cell)
    first = heads[bucket]
    cells[slot] = cell
    preceding[slot] = -1
    following[slot] = first
    if first >= 0:
        preceding[first] = slot
    heads[bucket] = slot


@kernel
def leave_cell(
    slot: int,
    cells: MutableInts1,
    following: MutableInt32s1,
    preceding: MutableInt32s1,
    heads: MutableInt32s1,
) -> None:
    """Take a slot out of its cell."""
    before, after = preceding[slot], following[slot]
    if before >= 0:
        following[before] = after
    else:
        heads[bucket_of(cells[slot])] = after
    if after >= 0:
        preceding[after] = before
