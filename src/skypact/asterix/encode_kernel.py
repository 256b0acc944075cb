"""The loop that writes records from columns of values; the wire layout is told in `kernels`."""

from typing import Final, NamedTuple

import numpy as np

from skypact.core.arrays import (
    Floats2,
    Ints2,
    MutableBytes1,
    MutableInts1,
    MutableInts2,
)
from skypact.core.jit import kernel

# Columns of `Layout.leaves`: one row for each item or subitem that has a column, in the order of the wire.
ITEM_SLOT: Final = 0  # place of the item in the UAP
SUB_SLOT: Final = 1  # place of the subitem in its compound item; -1 for a plain item
PART_BEGIN: Final = 2
PART_END: Final = 3
LEAF_COLUMNS: Final = 4

# Columns of `Layout.parts`.
OCTETS: Final = 0
FIELD_BEGIN: Final = 1
FIELD_END: Final = 2
PART_COLUMNS: Final = 3

# Columns of `Layout.fields`.
END_BIT: Final = 0  # bits from the part's start to the field's end
BITS: Final = 1
INPUT: Final = 2  # row of the inputs
FIELD_COLUMNS: Final = 3

# Columns of `Layout.scales`.
SCALE: Final = 0  # value of one bit
LOWEST: Final = 1  # of the integers that the field holds
HIGHEST: Final = 2
MODULUS: Final = 3  # of integers that go round, such as angles and times of day; 0 for others
SCALE_COLUMNS: Final = 4

_PRESENCE_BITS: Final = 7  # in an FSPEC octet


class Layout(NamedTuple):
    """Where columns go in a record of one category and edition."""

    leaves: Ints2
    parts: Ints2
    fields: Ints2
    scales: Floats2


@kernel
def encode_blocks(
    inputs: Floats2,
    category: int,
    max_length: int,
    layout: Layout,
    present: MutableInts1,
    out: MutableBytes1,
    blocks: MutableInts2,
) -> tuple[int, int]:
    """Write one record per column of the inputs, packed into blocks.

    Args:
        inputs: (F, R) values in the unit of the specification; not finite: absent.
        category: of the blocks.
        max_length: of a block, octets; a single longer record is a block of its own.
        layout: where the inputs go.
        present: (leaves,) room for the number of parts of each leaf in a record.
        out: room for the octets.
        blocks: (B, 2) written to: first octet and length of each block.

    Returns:
        Number of blocks and of octets.
    """
    leaves = layout.leaves
    parts = layout.parts
    fields = layout.fields
    scales = layout.scales
    count = 0
    block_start = 0
    position = 0
    for record in range(inputs.shape[1]):
        last_slot = -1
        for leaf in range(len(leaves)):
            present[leaf] = 0
            for part in range(leaves[leaf, PART_BEGIN], leaves[leaf, PART_END]):
                for field in range(parts[part, FIELD_BEGIN], parts[part, FIELD_END]):
                    if np.isfinite(inputs[fields[field, INPUT], record]):
                        present[leaf] = part - leaves[leaf, PART_BEGIN] + 1
                        break
            if present[leaf] > 0:
                last_slot = leaves[leaf, ITEM_SLOT]
        if last_slot < 0:
            continue
        if count == 0:
            count = 1
            position = 3
        start = position
        for octet in range(last_slot // _PRESENCE_BITS + 1):
            out[position] = 1 if octet < last_slot // _PRESENCE_BITS else 0
            position += 1
        item_slot = -1
        sub_start = 0
        for leaf in range(len(leaves)):
            if present[leaf] == 0:
                continue
            slot = leaves[leaf, ITEM_SLOT]
            out[start + slot // _PRESENCE_BITS] |= 0x80 >> slot % _PRESENCE_BITS
            sub_slot = leaves[leaf, SUB_SLOT]
            if sub_slot >= 0:
                if slot != item_slot:
                    last_sub = sub_slot
                    for other in range(leaf, len(leaves)):
                        if leaves[other, ITEM_SLOT] == slot and present[other] > 0:
                            last_sub = leaves[other, SUB_SLOT]
                    sub_start = position
                    for octet in range(last_sub // _PRESENCE_BITS + 1):
                        out[position] = 1 if octet < last_sub // _PRESENCE_BITS else 0
                        position += 1
                out[sub_start + sub_slot // _PRESENCE_BITS] |= 0x80 >> sub_slot % _PRESENCE_BITS
            item_slot = slot
            first_part = leaves[leaf, PART_BEGIN]
            for part in range(first_part, first_part + present[leaf]):
                octets = parts[part, OCTETS]
                for octet in range(position, position + octets):
                    out[octet] = 0
                for field in range(parts[part, FIELD_BEGIN], parts[part, FIELD_END]):
                    value = inputs[fields[field, INPUT], record]
                    if not np.isfinite(value):
                        continue
                    value = np.rint(value / scales[field, SCALE])
                    modulus = scales[field, MODULUS]
                    lowest = scales[field, LOWEST]
                    if modulus > 0.0:
                        value -= np.floor((value - lowest) / modulus) * modulus
                    value = min(max(value, lowest), scales[field, HIGHEST])
                    bits = fields[field, BITS]
                    left = int(value) & ((1 << bits) - 1)
                    at = position + (fields[field, END_BIT] - 1) // 8
                    left <<= -fields[field, END_BIT] % 8
                    while left > 0:
                        out[at] |= left & 0xFF
                        left >>= 8
                        at -= 1
                position += octets
                if part + 1 < first_part + present[leaf]:
                    out[position - 1] |= 1
        if position - block_start > max_length and start > block_start + 3:
            # The record opens a block of its own: it moves to make room for the header.
            blocks[count - 1, 0] = block_start
            blocks[count - 1, 1] = start - block_start
            for octet in range(position - 1, start - 1, -1):
                out[octet + 3] = out[octet]
            block_start = start
            position += 3
            count += 1
    if count > 0:
        blocks[count - 1, 0] = block_start
        blocks[count - 1, 1] = position - block_start
    for block in range(count):
        first = blocks[block, 0]
        out[first] = category
        out[first + 1] = blocks[block, 1] // 256
        out[first + 2] = blocks[block, 1] % 256
    return count, position
