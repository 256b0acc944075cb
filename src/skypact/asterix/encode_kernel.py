"""The loop that writes records from columns of values; the wire layout is told in `kernels`.

Parts and presence bits are put together in one unsigned integer of 64 bits each, and written from it.
"""

from typing import Final, NamedTuple

import numpy as np

from skypact.core.arrays import (
    Floats1,
    Floats2,
    MutableBytes1,
    MutableInts2,
    MutableUInt64s2,
    UInt64s1,
    UInt64s2,
)
from skypact.core.jit import kernel

# Columns of `Layout.items`: one row for each item that has a column, in the order of the wire.
ITEM_BIT: Final = np.uint64(0)  # of its presence in the record's FSPEC, as an integer of 8 octets
ITEM_OCTETS: Final = np.uint64(1)  # FSPEC octets that the bit needs
LEAF_BEGIN: Final = np.uint64(2)
LEAF_END: Final = np.uint64(3)
IS_COMPOUND: Final = np.uint64(4)
ITEM_COLUMNS: Final = 5

# Columns of `Layout.leaves`: one row for each plain item or subitem.
SUB_BIT: Final = np.uint64(0)  # of its presence in the compound item's FSPEC
SUB_OCTETS: Final = np.uint64(1)
PART_BEGIN: Final = np.uint64(2)
PART_END: Final = np.uint64(3)
LEAF_COLUMNS: Final = 4

# Columns of `Layout.parts`: one row for each part of a leaf, up to the last with a column.
OCTETS: Final = np.uint64(0)
FIELD_BEGIN: Final = np.uint64(1)
FIELD_END: Final = np.uint64(2)
PART_COLUMNS: Final = 3

# Columns of `Layout.scales`.
ONES: Final = 0  # bits for one unit of the value
LOWEST: Final = 1  # of the integers that the field holds
HIGHEST: Final = 2
MODULUS: Final = 3  # of integers that go round, such as angles and times of day; 0 for others
SCALE_COLUMNS: Final = 4

MOST_OCTETS: Final = 8  # of a part or an FSPEC

_CHUNK: Final = 256  # records quantised at once, few enough for the first-level cache
_PRESENT: Final = np.uint64(1 << 63)  # set in a quantised value; a field without one is 0
_VALUE: Final = np.uint64((1 << 63) - 1)
_ZERO: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_EIGHT: Final = np.uint64(8)
_WIDTH: Final = np.uint64(64)
_OCTET: Final = np.uint64(0xFF)
_HEADER: Final = np.uint64(3)
# FX bits of an FSPEC of so many octets: one at the end of each but the last.
_FX_BITS: Final = np.array(
    [sum(1 << (64 - 8 * octet) for octet in range(1, octets)) for octets in range(MOST_OCTETS + 1)],
    dtype=np.uint64,
)


class Layout(NamedTuple):
    """Where columns go in a record of one category and edition."""

    items: UInt64s2
    leaves: UInt64s2
    parts: UInt64s2
    shifts: UInt64s1  # (fields,) bits below each field in its part
    masks: UInt64s1  # (fields,) the bits of each field
    scales: Floats2  # (fields, SCALE_COLUMNS)


@kernel
def write_octets(out: MutableBytes1, position: np.uint64, value: np.uint64) -> None:
    """Write an integer of eight octets, also where fewer are wanted: what is written next covers the rest."""
    # Written out, because the compiler makes one store of it.
    out[position] = np.uint8(value >> np.uint64(56))
    out[position + np.uint64(1)] = np.uint8(value >> np.uint64(48) & _OCTET)
    out[position + np.uint64(2)] = np.uint8(value >> np.uint64(40) & _OCTET)
    out[position + np.uint64(3)] = np.uint8(value >> np.uint64(32) & _OCTET)
    out[position + np.uint64(4)] = np.uint8(value >> np.uint64(24) & _OCTET)
    out[position + np.uint64(5)] = np.uint8(value >> np.uint64(16) & _OCTET)
    out[position + np.uint64(6)] = np.uint8(value >> np.uint64(8) & _OCTET)
    out[position + np.uint64(7)] = np.uint8(value & _OCTET)


@kernel
def quantise(
    values: Floats1,
    ones: float,
    lowest: float,
    highest: float,
    modulus: float,
    mask: np.uint64,
    field: int,
    quantised: MutableUInt64s2,
) -> None:
    """The bits of one field for some records: rounded, clamped or gone round; 0 where not finite.

    Args:
        values: (R,) in the unit of the specification.
        ones, lowest, highest, modulus: a row of `Layout.scales`.
        mask: the bits of the field.
        field: column of the result.
        quantised: (R or more, fields) written to.
    """
    for record in range(np.uint64(len(values))):
        value = np.rint(values[record] * ones)
        if modulus > 0.0:
            value -= np.floor((value - lowest) / modulus) * modulus
        bits = _ZERO
        if np.isfinite(value):
            bits = np.uint64(np.int64(min(max(value, lowest), highest))) & mask | _PRESENT
        quantised[record, np.uint64(field)] = bits


@kernel
def encode_blocks(
    inputs: Floats2,
    category: int,
    max_length: int,
    layout: Layout,
    out: MutableBytes1,
    blocks: MutableInts2,
) -> tuple[int, int]:
    """Write one record per column of the inputs, packed into blocks.

    Args:
        inputs: (fields, R) values in the unit of the specification; not finite: absent.
        category: of the blocks.
        max_length: of a block, octets; a single longer record is a block of its own.
        layout: where the inputs go.
        out: room for the octets, and eight more.
        blocks: (B, 2) written to: first octet and length of each block.

    Returns:
        Number of blocks and of octets.
    """
    items = layout.items
    leaves = layout.leaves
    parts = layout.parts
    field_count = len(layout.shifts)
    longest = np.uint64(max_length)
    quantised = np.empty((np.uint64(_CHUNK), np.uint64(field_count)), dtype=np.uint64)
    present = np.empty(len(leaves), dtype=np.uint64)
    count = 0
    block_start = _ZERO
    position = _ZERO
    for chunk in range(0, inputs.shape[1], _CHUNK):
        size = min(_CHUNK, inputs.shape[1] - chunk)
        for field in range(field_count):
            scale = layout.scales[field]
            quantise(
                inputs[field, chunk : chunk + size],
                scale[ONES],
                scale[LOWEST],
                scale[HIGHEST],
                scale[MODULUS],
                layout.masks[field],
                field,
                quantised,
            )
        for record in range(np.uint64(size)):
            presence = _ZERO
            octets = _ZERO
            for item in range(np.uint64(len(items))):
                is_present = False
                for leaf in range(items[item, LEAF_BEGIN], items[item, LEAF_END]):
                    last = _ZERO
                    for part in range(leaves[leaf, PART_BEGIN], leaves[leaf, PART_END]):
                        joined = _ZERO
                        for field in range(parts[part, FIELD_BEGIN], parts[part, FIELD_END]):
                            joined |= quantised[record, field]
                        last = part + _ONE if joined > _ZERO else last
                    present[leaf] = last
                    if last > _ZERO:
                        is_present = True
                if is_present:
                    presence |= items[item, ITEM_BIT]
                    octets = items[item, ITEM_OCTETS]
            if presence == _ZERO:
                continue
            if count == 0:
                count = 1
                position = _HEADER
            start = position
            write_octets(out, position, presence | _FX_BITS[octets])
            position += octets
            for item in range(np.uint64(len(items))):
                if not presence & items[item, ITEM_BIT]:
                    continue
                if items[item, IS_COMPOUND]:
                    sub_presence = _ZERO
                    sub_octets = _ZERO
                    for leaf in range(items[item, LEAF_BEGIN], items[item, LEAF_END]):
                        if present[leaf] > _ZERO:
                            sub_presence |= leaves[leaf, SUB_BIT]
                            sub_octets = leaves[leaf, SUB_OCTETS]
                    write_octets(out, position, sub_presence | _FX_BITS[sub_octets])
                    position += sub_octets
                for leaf in range(items[item, LEAF_BEGIN], items[item, LEAF_END]):
                    for part in range(leaves[leaf, PART_BEGIN], present[leaf]):
                        octets = parts[part, OCTETS]
                        joined = _ZERO
                        for field in range(parts[part, FIELD_BEGIN], parts[part, FIELD_END]):
                            joined |= (quantised[record, field] & _VALUE) << layout.shifts[field]
                        if part + _ONE < present[leaf]:
                            joined |= _ONE
                        write_octets(out, position, joined << (_WIDTH - octets * _EIGHT))
                        position += octets
            if position - block_start > longest and start > block_start + _HEADER:
                # The record opens a block of its own: it moves to make room for the header.
                blocks[count - 1, 0] = np.int64(block_start)
                blocks[count - 1, 1] = np.int64(start - block_start)
                at = position
                while at > start:
                    at -= _ONE
                    out[at + _HEADER] = out[at]
                block_start = start
                position += _HEADER
                count += 1
    if count > 0:
        blocks[count - 1, 0] = np.int64(block_start)
        blocks[count - 1, 1] = np.int64(position - block_start)
    for block in range(count):
        first = blocks[block, 0]
        out[first] = category
        out[first + 1] = blocks[block, 1] // 256
        out[first + 2] = blocks[block, 1] % 256
    return count, int(position)
