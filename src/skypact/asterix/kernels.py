"""The loop over bytes that reads the records of data blocks by table into columns.

Wire layout: a record is its FSPEC (seven presence bits an octet, the eighth says that another octet
follows) and its items in the order of the category's UAP. Integers are big-endian.

A `Program` is the table of an edition as numbers. All positions are unsigned: signed indexes cost the
compiled code a test for negative values at each access.
"""

from typing import Final, NamedTuple

import numpy as np

from skypact.core.arrays import (
    Bytes1,
    Int32s1,
    Ints1,
    MutableBytes1,
    MutableInt32s1,
    MutableInt32s2,
    MutableInts1,
    MutableInts2,
    UInt64s1,
)
from skypact.core.jit import kernel

ABSENT: Final = np.int32(np.iinfo(np.int32).min)

# Rows of `Program.nodes`: STRIDE numbers, at these places.
STRIDE: Final = np.uint64(8)
KIND: Final = np.uint64(0)
LENGTH: Final = np.uint64(1)  # octets of the part or repetition; slots of a compound item
FIELD_BEGIN: Final = np.uint64(2)
FIELD_END: Final = np.uint64(3)
NEXT: Final = np.uint64(4)  # node that follows when the FX bit is set; 0: the part has no FX bit
POSITION: Final = np.uint64(5)  # column of the position in the record, plus 1; 0: none
COUNT: Final = np.uint64(6)  # column of the repetitions or the length, plus 1; 0: none
SLOTS: Final = np.uint64(7)  # first slot of a compound item

# Bits of `Program.slots`.
SLOT_KIND: Final = np.uint64(32)
SLOT_NODE: Final = np.uint64(0xFFFF_FFFF)

# Rows of `Program.fields`: FIELD_STRIDE numbers, at these places. A part of at most PART_OCTETS octets is
# loaded into one integer, its first octet highest.
FIELD_STRIDE: Final = np.uint64(4)
FIELD_GROUP: Final = 2  # a part has a multiple of so many fields; what is missing goes to the last row
SHIFT: Final = np.uint64(0)
MASK: Final = np.uint64(1)
SIGN: Final = np.uint64(2)  # sign bit after the shift; 0: unsigned
COLUMN: Final = np.uint64(3)
PART_OCTETS: Final = np.uint64(8)

# Kinds of nodes. Node 0 is the spare one.
SPARE: Final = np.uint64(0)
FIXED: Final = np.uint64(1)
EXTENDED: Final = np.uint64(2)
REPETITIVE_FX: Final = np.uint64(3)
REPETITIVE: Final = np.uint64(4)
EXPLICIT: Final = np.uint64(5)
COMPOUND: Final = np.uint64(6)
RANDOM_SEQUENCE: Final = np.uint64(7)
UNDECIDED: Final = np.uint64(8)  # an item whose meaning hangs on one that did not come
TAIL: Final = np.uint64(9)  # further repetitions, or parts that the edition does not know
OPAQUE: Final = np.uint64(10)  # of fixed length, told by its position

# Faults: what ends the reading of a block, and what `find_blocks` sees.
NO_FAULT: Final = 0
TRUNCATED: Final = 1
FSPEC_ENDLESS: Final = 2
FSPEC_TOO_LONG: Final = 3
SPARE_ITEM: Final = 4
SPARE_SUBITEM: Final = 5
LENGTH_ZERO: Final = 6
NO_VARIATION: Final = 7
BAD_SEQUENCE: Final = 8
SHORT_HEADER: Final = 9
BLOCK_TOO_SHORT: Final = 10
BLOCK_TOO_LONG: Final = 11

# Columns of the report of a block.
FAULT: Final = 0
FAULT_OFFSET: Final = 1
EMPTY_RECORDS: Final = 2
EMPTY_OFFSET: Final = 3
UNKNOWN_PARTS: Final = 4
UNKNOWN_OFFSET: Final = 5
REPORT_COLUMNS: Final = 6

# Places of the progress of `gather_blocks`.
NEXT_BLOCK: Final = 0
NEXT_POSITION: Final = 1
RECORDS: Final = 2
COLUMNS: Final = 3
PROGRESS: Final = 4

HEADER: Final = np.uint64(3)
NO_SOURCE: Final = -1

_ZERO: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_TWO: Final = np.uint64(2)
_THREE: Final = np.uint64(3)
_FOUR: Final = np.uint64(4)
_FIVE: Final = np.uint64(5)
_SIX: Final = np.uint64(6)
_SEVEN: Final = np.uint64(7)
_EIGHT: Final = np.uint64(8)
_WIDTH: Final = np.uint64(64)

# The seven presence bits of an FSPEC octet, the leftmost lowest.
_PRESENCE: Final = np.array([int(f"{octet:08b}"[6::-1], 2) for octet in range(256)], dtype=np.uint64)


class Program(NamedTuple):
    """The table of an edition as numbers."""

    nodes: UInt64s1  # rows of STRIDE numbers; a node is named by the index of its row's start
    fields: UInt64s1  # rows of FIELD_STRIDE numbers
    slots: UInt64s1  # node, and its kind above SLOT_KIND, of each FSPEC bit: UAPs first, then compound items
    uap_length: np.uint64  # slots of one UAP, a multiple of 7
    switch: np.uint64  # node whose first bit chooses between the second and third UAP; 0: one UAP


class Room(NamedTuple):
    """Arrays for the records of a chunk, as `decode_blocks` describes them."""

    values: MutableInt32s2
    is_seen: MutableBytes1
    datagram: MutableInt32s1
    offset: MutableInts1


@kernel
def count_ones(word: np.uint64) -> np.uint64:
    """The number of bits that are set, in the form that the compiler makes one instruction of."""
    word -= word >> _ONE & np.uint64(0x5555_5555_5555_5555)
    word = (word & np.uint64(0x3333_3333_3333_3333)) + (word >> _TWO & np.uint64(0x3333_3333_3333_3333))
    word = word + (word >> _FOUR) & np.uint64(0x0F0F_0F0F_0F0F_0F0F)
    return word * np.uint64(0x0101_0101_0101_0101) >> np.uint64(56)


@kernel
def load_octets(buffer: Bytes1, position: np.uint64, size: np.uint64) -> np.uint64:
    """Eight octets as one integer, the first highest; 0 for those behind the buffer of `size` octets."""
    if position + PART_OCTETS <= size:
        # Written out, because the compiler makes one load of it.
        return (
            np.uint64(buffer[position]) << np.uint64(56)
            | np.uint64(buffer[position + _ONE]) << np.uint64(48)
            | np.uint64(buffer[position + _TWO]) << np.uint64(40)
            | np.uint64(buffer[position + _THREE]) << np.uint64(32)
            | np.uint64(buffer[position + _FOUR]) << np.uint64(24)
            | np.uint64(buffer[position + _FIVE]) << np.uint64(16)
            | np.uint64(buffer[position + _SIX]) << _EIGHT
            | np.uint64(buffer[position + _SEVEN])
        )
    joined = _ZERO
    shift = _WIDTH
    while position < size:
        shift -= _EIGHT
        joined |= np.uint64(buffer[position]) << shift
        position += _ONE
    return joined


@kernel
def decode_blocks(
    buffer: Bytes1,
    begins: UInt64s1,
    ends: UInt64s1,
    datagrams: Int32s1,
    first_block: int,
    first_position: int,
    program: Program,
    values: MutableInt32s2,
    is_seen: MutableBytes1,
    record_datagram: MutableInt32s1,
    record_offset: MutableInts1,
    report: MutableInts2,
) -> tuple[int, int, int]:
    """Read the records of blocks of one category and edition into columns.

    Reads until the blocks or the rows end. A fault ends its block; the records before it stay.

    Args:
        buffer: all octets.
        begins, ends: (B,) octets of each block, its header included; within the buffer.
        datagrams: (B,) datagram of each block.
        first_block: where to start.
        first_position: octet of that block to start at; 0: its first record.
        program: the table.
        values: (C + 1, R) full of ABSENT, written to: raw integers; the last row takes what has no column.
        is_seen: (nodes,) written to: 1 for each node whose columns got values.
        record_datagram: (R,) written to: datagram of each record.
        record_offset: (R,) written to: first octet of each record.
        report: (B, REPORT_COLUMNS) of zeros, written to: fault that ended a block, and anomalies.

    Returns:
        The first block that was not read to its end, the octet in it to go on at (0: its first
        record), and the number of records.
    """
    nodes = program.nodes
    fields = program.fields
    slots = program.slots
    capacity = np.uint64(len(record_offset))
    columns = np.uint64(values.shape[0])
    size = np.uint64(len(buffer))
    row = _ZERO
    for block in range(first_block, len(begins)):
        position = begins[block] + HEADER
        if block == first_block and first_position > 0:
            position = np.uint64(first_position)
        end = ends[block]
        while position < end:
            if row >= capacity:
                return block, int(position), int(row)
            start = position
            fault = NO_FAULT
            # The list that is walked: its presence bits left, the first lowest, and the slot of the first.
            bits = _PRESENCE[buffer[position]]
            base = _ZERO
            shift = _ZERO
            while buffer[position] & 1:
                position += _ONE
                shift += _SEVEN
                if position >= end:
                    fault = FSPEC_ENDLESS
                    break
                if shift >= program.uap_length:
                    fault = FSPEC_TOO_LONG
                    break
                bits |= _PRESENCE[buffer[position]] << shift
            position += _ONE
            uap = _ZERO
            items = 0
            unknown_parts = 0
            is_nested = False
            outer_base = base
            outer_bits = bits
            sequence_left = _ZERO
            while fault == NO_FAULT:
                if sequence_left > _ZERO and not is_nested:
                    sequence_left -= _ONE
                    if position >= end:
                        fault = TRUNCATED
                        break
                    number = np.uint64(buffer[position])
                    position += _ONE
                    if number == _ZERO or number > program.uap_length:
                        fault = BAD_SEQUENCE
                        break
                    slot = slots[uap + number - _ONE]
                    if slot >> SLOT_KIND == RANDOM_SEQUENCE:
                        fault = BAD_SEQUENCE
                        break
                elif bits != _ZERO:
                    slot = slots[base + count_ones(~bits & (bits - _ONE))]
                    bits &= bits - _ONE
                elif is_nested:
                    is_nested = False
                    base = outer_base
                    bits = outer_bits
                    continue
                else:
                    break
                items += 1
                kind = slot >> SLOT_KIND
                node = slot & SLOT_NODE
                if kind == FIXED:
                    # Most items are: the same as below, without the tests for what may follow.
                    length = nodes[node + LENGTH]
                    if length > end - position:
                        fault = TRUNCATED
                        break
                    is_seen[node] = 1
                    joined = load_octets(buffer, position, size)
                    field = nodes[node + FIELD_BEGIN]
                    finish = nodes[node + FIELD_END]
                    # Fields go in pairs: most items have one or two, and nothing has to be guessed.
                    while True:
                        content = joined >> fields[field + SHIFT] & fields[field + MASK]
                        sign = fields[field + SIGN]
                        values[fields[field + COLUMN], row] = np.int32(
                            np.int64(content ^ sign) - np.int64(sign)
                        )
                        field += FIELD_STRIDE
                        content = joined >> fields[field + SHIFT] & fields[field + MASK]
                        sign = fields[field + SIGN]
                        values[fields[field + COLUMN], row] = np.int32(
                            np.int64(content ^ sign) - np.int64(sign)
                        )
                        field += FIELD_STRIDE
                        if field >= finish:
                            break
                    position += length
                elif kind <= REPETITIVE_FX:
                    if kind == SPARE:
                        fault = SPARE_SUBITEM if is_nested else SPARE_ITEM
                        break
                    if kind == REPETITIVE_FX and nodes[node + POSITION] > _ZERO:
                        is_seen[node] = 1
                        values[nodes[node + POSITION] - _ONE, row] = np.int32(position - start)
                    item = position
                    part = node
                    skipped = 0
                    while True:
                        length = nodes[part + LENGTH]
                        if length > end - position:
                            fault = TRUNCATED
                            break
                        is_seen[part] = 1
                        joined = load_octets(buffer, position, size)
                        field = nodes[part + FIELD_BEGIN]
                        finish = nodes[part + FIELD_END]
                        while True:
                            content = joined >> fields[field + SHIFT] & fields[field + MASK]
                            sign = fields[field + SIGN]
                            values[fields[field + COLUMN], row] = np.int32(
                                np.int64(content ^ sign) - np.int64(sign)
                            )
                            field += FIELD_STRIDE
                            content = joined >> fields[field + SHIFT] & fields[field + MASK]
                            sign = fields[field + SIGN]
                            values[fields[field + COLUMN], row] = np.int32(
                                np.int64(content ^ sign) - np.int64(sign)
                            )
                            field += FIELD_STRIDE
                            if field >= finish:
                                break
                        position += length
                        following = nodes[part + NEXT]
                        if following == _ZERO or not buffer[position - _ONE] & 1:
                            break
                        part = following
                        if nodes[part + KIND] == TAIL:
                            step = nodes[part + LENGTH]
                            while buffer[position - _ONE] & 1:
                                if step > end - position:
                                    fault = TRUNCATED
                                    break
                                position += step
                                skipped += 1
                            break
                    if kind == EXTENDED:
                        unknown_parts += skipped
                    elif kind == REPETITIVE_FX and nodes[node + COUNT] > _ZERO:
                        values[nodes[node + COUNT] - _ONE, row] = np.int32(skipped + 1)
                    if node == program.switch and fault == NO_FAULT:
                        change = program.uap_length * (_TWO if buffer[item] & 0x80 else _ONE) - uap
                        uap += change
                        base += change
                elif kind == COMPOUND:
                    outer_base = base
                    outer_bits = bits
                    is_nested = True
                    base = nodes[node + SLOTS]
                    if position >= end:
                        fault = TRUNCATED
                        break
                    bits = _PRESENCE[buffer[position]]
                    shift = _ZERO
                    while buffer[position] & 1:
                        position += _ONE
                        shift += _SEVEN
                        if position >= end:
                            fault = TRUNCATED
                            break
                        if shift >= nodes[node + LENGTH]:
                            fault = SPARE_SUBITEM
                            break
                        bits |= _PRESENCE[buffer[position]] << shift
                    position += _ONE
                elif kind == OPAQUE:
                    length = nodes[node + LENGTH]
                    if length > end - position:
                        fault = TRUNCATED
                        break
                    if nodes[node + POSITION] > _ZERO:
                        is_seen[node] = 1
                        values[nodes[node + POSITION] - _ONE, row] = np.int32(position - start)
                    position += length
                elif kind == UNDECIDED:
                    fault = NO_VARIATION
                else:
                    # A repetition count, a length or the number of a random sequence comes first.
                    if position >= end:
                        fault = TRUNCATED
                        break
                    number = np.uint64(buffer[position])
                    position += _ONE
                    if kind == RANDOM_SEQUENCE:
                        sequence_left = number
                        continue
                    if kind == EXPLICIT:
                        if number == _ZERO:
                            fault = LENGTH_ZERO
                            break
                        number -= _ONE
                    length = number * nodes[node + LENGTH]
                    if length > end - position:
                        fault = TRUNCATED
                        break
                    if nodes[node + POSITION] > _ZERO:
                        is_seen[node] = 1
                        values[nodes[node + POSITION] - _ONE, row] = np.int32(position - start)
                        values[nodes[node + COUNT] - _ONE, row] = np.int32(number)
                    position += length
            if fault != NO_FAULT:
                report[block, FAULT] = fault
                report[block, FAULT_OFFSET] = np.int64(start)
                for column in range(columns):
                    values[column, row] = ABSENT
                break
            if unknown_parts > 0:
                if report[block, UNKNOWN_PARTS] == 0:
                    report[block, UNKNOWN_OFFSET] = np.int64(start)
                report[block, UNKNOWN_PARTS] += unknown_parts
            if items == 0:
                if report[block, EMPTY_RECORDS] == 0:
                    report[block, EMPTY_OFFSET] = np.int64(start)
                report[block, EMPTY_RECORDS] += 1
                continue
            record_datagram[row] = datagrams[block]
            record_offset[row] = np.int64(start)
            row += _ONE
    return len(begins), 0, int(row)


@kernel
def gather_blocks(
    buffer: Bytes1,
    begins: UInt64s1,
    ends: UInt64s1,
    datagrams: Int32s1,
    progress: MutableInts1,
    program: Program,
    column_node: Ints1,
    room: Room,
    report: MutableInts2,
    out_column: MutableInts1,
    out_values: MutableInt32s2,
    out_datagram: MutableInt32s1,
    out_offset: MutableInts1,
) -> None:
    """Read blocks chunk by chunk, and keep the columns that records carry.

    Reads until the blocks end or the output might not hold the next chunk.

    Args:
        buffer, begins, ends, datagrams, program, report: as of `decode_blocks`.
        progress: (PROGRESS,) where reading goes on, and what is in the output already; written to.
        column_node: (C,) node that fills each column.
        room: of a chunk, as `decode_blocks` wants it; left as it was.
        out_column: (C,) written to: the column of each row of the output that is in use.
        out_values: (C, N) written to: the columns in use.
        out_datagram, out_offset: (N,) written to.
    """
    while progress[NEXT_BLOCK] < len(begins) and progress[RECORDS] + len(room.offset) <= len(out_offset):
        block, position, count = decode_blocks(
            buffer,
            begins,
            ends,
            datagrams,
            progress[NEXT_BLOCK],
            progress[NEXT_POSITION],
            program,
            room.values,
            room.is_seen,
            room.datagram,
            room.offset,
            report,
        )
        progress[NEXT_BLOCK] = block
        progress[NEXT_POSITION] = position
        first = progress[RECORDS]
        for column in range(len(column_node)):
            if room.is_seen[column_node[column]]:
                is_new = True
                for row in range(progress[COLUMNS]):
                    if out_column[row] == column:
                        is_new = False
                        break
                if is_new:
                    row = progress[COLUMNS]
                    out_column[row] = column
                    progress[COLUMNS] += 1
                    for record in range(first):
                        out_values[row, record] = ABSENT
        for row in range(progress[COLUMNS]):
            column = out_column[row]
            for record in range(count):
                out_values[row, first + record] = room.values[column, record]
                room.values[column, record] = ABSENT
        for record in range(count):
            out_datagram[first + record] = room.datagram[record]
            out_offset[first + record] = room.offset[record]
        room.is_seen[:] = 0
        progress[RECORDS] += count
