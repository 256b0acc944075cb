"""Finds the data blocks of datagrams.

Wire layout: a block is a category octet, a length of two octets that counts the header too, and records.
"""

from skypact.asterix.kernels import BLOCK_TOO_LONG, BLOCK_TOO_SHORT, NO_FAULT, NO_SOURCE, SHORT_HEADER
from skypact.core.arrays import Bytes1, Ints1, MutableInts2
from skypact.core.jit import kernel


@kernel
def find_blocks(
    buffer: Bytes1,
    offsets: Ints1,
    lengths: Ints1,
    blocks: MutableInts2,
    faults: MutableInts2,
) -> tuple[int, int]:
    """Find the data blocks of datagrams by their length fields.

    Args:
        buffer: all octets.
        offsets: (D,) first octet of each datagram.
        lengths: (D,) octets of each datagram.
        blocks: (B, 5) written to: begin, end, category, source (SAC times 256 plus SIC of the first
            record, NO_SOURCE where it has none), datagram. Rows beyond the last are left out.
        faults: (D, 4) written to: fault, offset, source of the block before, datagram.

    Returns:
        Number of blocks and of faults; more blocks than rows of `blocks` are counted all the same.
    """
    found = 0
    faulty = 0
    for datagram in range(len(offsets)):
        position = offsets[datagram]
        end = position + lengths[datagram]
        source = NO_SOURCE
        while position < end:
            fault = NO_FAULT
            length = 0
            if end - position < 3:
                fault = SHORT_HEADER
            else:
                length = int(buffer[position + 1]) * 256 + int(buffer[position + 2])
                if length < 3:
                    fault = BLOCK_TOO_SHORT
                elif position + length > end:
                    fault = BLOCK_TOO_LONG
            if fault != NO_FAULT:
                faults[faulty, 0] = fault
                faults[faulty, 1] = position
                faults[faulty, 2] = source
                faults[faulty, 3] = datagram
                faulty += 1
                break
            source = NO_SOURCE
            block_end = position + length
            first = position + 3
            if first < block_end and buffer[first] & 0x80:
                while first < block_end and buffer[first] & 1:
                    first += 1
                if first + 2 < block_end:
                    source = int(buffer[first + 1]) * 256 + int(buffer[first + 2])
            if found < len(blocks):
                blocks[found, 0] = position
                blocks[found, 1] = block_end
                blocks[found, 2] = buffer[position]
                blocks[found, 3] = source
                blocks[found, 4] = datagram
            found += 1
            position = block_end
    return found, faulty
