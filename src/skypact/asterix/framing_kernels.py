"""Finding ASTERIX blocks inside recordings: units of a recorder's file, packets of a capture, UDP payloads.

A unit is what a recorder wrote at a time: its own header and trailer around one or more ASTERIX
blocks. A block is category (1 octet), length (2 octets, itself included), records.

    raw     block
    final   length (2, all of the unit), board, line, day, time of day in 10 ms (3), blocks, A5 A5 A5 A5
    gps     block, trailer (10; its octets 6 to 8 are the time of day in 1/128 s)
    oradis  length (2, all of the unit), time of day in ms (4), blocks

Sources: EUROCONTROL final format as in the recordings of ARTAS; ORADIS and GPS recorder: measured
on recordings whose time stamps agree with those of the records.
"""

import numpy as np

from skypact.core.arrays import Bools1, Bytes1, Ints1
from skypact.core.jit import kernel

RAW, FINAL, GPS, ORADIS = 0, 1, 2, 3
GPS_TRAILER = 10  # octets
_MILLISECONDS_A_DAY = 86_401_000  # with a leap second

UDP, OTHER, FRAGMENT, CUT, MALFORMED = 0, 1, 2, 3, 4  # what a packet is

_ETHERNET, _NULL, _LOOP, _SLL, _SLL2 = 1, 0, 108, 113, 276
_VLAN, _QINQ, _OLD_QINQ = 0x8100, 0x88A8, 0x9100
_IPV4, _IPV6 = 0x0800, 0x86DD
_PROTOCOL_UDP = 17


@kernel
def _octet(buffer: Bytes1, position: int) -> int:
    # Signed 64 bits by the annotation: compiled code makes a float of a signed with an unsigned number.
    return int(buffer[position])


@kernel
def _u16(buffer: Bytes1, position: int) -> int:
    return _octet(buffer, position) << 8 | _octet(buffer, position + 1)


@kernel
def _u32(buffer: Bytes1, position: int, is_little: bool) -> int:
    value = 0
    for octet in range(4):
        value = (value << 8) | _octet(buffer, position + (3 - octet if is_little else octet))
    return value


@kernel
def unit_at(buffer: Bytes1, position: int, end: int, framing: int) -> tuple[int, int, int]:
    """The complete unit at `position`: all its octets, its first block's position, the blocks' octets.

    All octets is 0 where no complete unit with a possible block stands.
    """
    none = (0, 0, 0)
    before = 8 if framing == FINAL else 6 if framing == ORADIS else 0
    if position + before + 3 > end:
        return none
    first = position + before
    block = _u16(buffer, first + 1)
    if buffer[first] == 0 or block < 3:
        return none
    if framing in (RAW, GPS):
        total = block + (GPS_TRAILER if framing == GPS else 0)
        content = block
    else:
        total = _u16(buffer, position)
        after = 4 if framing == FINAL else 0
        content = total - before - after
        if content < block or (
            framing == ORADIS and _u32(buffer, position + 2, False) >= _MILLISECONDS_A_DAY
        ):
            return none
    if position + total > end:
        return none
    if framing == FINAL:
        for octet in range(position + total - 4, position + total):
            if buffer[octet] != 0xA5:
                return none
    return total, first, content


@kernel
def chain_at(
    buffer: Bytes1, position: int, end: int, framing: int, known: Bools1, depth: int, least: int
) -> bool:
    """Whether `depth` units of known categories follow each other, or at least `least` up to the very end."""
    for found in range(depth):
        if position == end and found >= least:
            return True
        total, first, _ = unit_at(buffer, position, end, framing)
        if total == 0 or not known[buffer[first]]:
            return False
        position += total
    return True


@kernel
def first_chain(buffer: Bytes1, limit: int, framing: int, known: Bools1, depth: int) -> int:
    """The first position below `limit` where `depth` units of known categories begin; -1 for none."""
    for position in range(min(limit, len(buffer))):
        if chain_at(buffer, position, len(buffer), framing, known, depth, depth):
            return position
    return -1


@kernel
def walk_units(
    buffer: Bytes1, start: int, end: int, framing: int, known: Bools1, limit: int
) -> tuple[Ints1, Ints1, Ints1, Ints1]:
    """Units one after the other, and the gaps where none fits.

    After a gap the walk goes on where three units of known categories follow each other; that may
    be inside the unit before the gap, whose length was then a lie, and which is cut there. A unit of an
    unknown category counts only when another unit or the end follows it.

    Args:
        buffer: octets. start, end: the part to walk. framing: RAW, FINAL, GPS or ORADIS.
        known: (256,) whether a category is to be expected. limit: units after which to stop.

    Returns:
        Position and octets of each unit's blocks (U,), and position and octets of each gap (G,).
    """
    offsets = np.empty(1024, dtype=np.int64)
    lengths = np.empty(1024, dtype=np.int64)
    gap_offsets = np.empty(64, dtype=np.int64)
    gap_lengths = np.empty(64, dtype=np.int64)
    units, gaps = 0, 0
    position, before = start, start - 1
    while position < end and units < limit:
        total, first, content = unit_at(buffer, position, end, framing)
        if total > 0 and not known[buffer[first]] and position + total < end:
            following, second, _ = unit_at(buffer, position + total, end, framing)
            if following == 0 or not (known[buffer[second]] or buffer[second] == buffer[first]):
                total = 0
        if total > 0:
            if units == len(offsets):
                offsets = np.concatenate((offsets, np.empty_like(offsets)))
                lengths = np.concatenate((lengths, np.empty_like(lengths)))
            offsets[units], lengths[units] = first, content
            units += 1
            before = position
            position += total
            continue
        again = before + 1
        while again < end and not chain_at(buffer, again, end, framing, known, 3, 1):
            again += 1
        if again < position:
            # The length of the unit before was too long: real units stand inside it.
            lengths[units - 1] = max(again - int(offsets[units - 1]), 0)
            before = again - 1
            position = again
            continue
        if gaps == len(gap_offsets):
            gap_offsets = np.concatenate((gap_offsets, np.empty_like(gap_offsets)))
            gap_lengths = np.concatenate((gap_lengths, np.empty_like(gap_lengths)))
        gap_offsets[gaps], gap_lengths[gaps] = position, again - position
        gaps += 1
        before = again - 1
        position = again
    return (
        offsets[:units].copy(),
        lengths[:units].copy(),
        gap_offsets[:gaps].copy(),
        gap_lengths[:gaps].copy(),
    )


@kernel
def _is_packet_header(buffer: Bytes1, position: int, is_little: bool, seconds: int) -> bool:
    if position + 16 > len(buffer):
        return False
    captured = _u32(buffer, position + 8, is_little)
    original = _u32(buffer, position + 12, is_little)
    if captured > original or original > 262_144 or position + 16 + captured > len(buffer):
        return False
    return seconds < 0 or abs(_u32(buffer, position, is_little) - seconds) <= 86_400


@kernel
def walk_pcap(buffer: Bytes1, is_little: bool) -> tuple[Ints1, Ints1, Ints1, Ints1, Ints1, Ints1]:
    """Packets of a pcap file, and the gaps where no packet header fits.

    A header fits when its packet ends inside the file. After one that doesn't, the walk goes on at
    the next place where two headers follow each other within a day of the last good time.

    Returns:
        Position, octets, seconds and fraction of a second of each packet (K,), and position and
        octets of each gap (G,).
    """
    columns = np.empty((4, 1024), dtype=np.int64)
    gap_columns = np.empty((2, 64), dtype=np.int64)
    packets, gaps = 0, 0
    seconds = -1
    position = 24
    while position < len(buffer):
        if position + 16 <= len(buffer):
            captured = _u32(buffer, position + 8, is_little)
            if captured <= 262_144 and position + 16 + captured <= len(buffer):
                if packets == columns.shape[1]:
                    columns = np.concatenate((columns, np.empty_like(columns)), axis=1)
                seconds = _u32(buffer, position, is_little)
                columns[0, packets], columns[1, packets] = position + 16, captured
                columns[2, packets] = seconds
                columns[3, packets] = _u32(buffer, position + 4, is_little)
                packets += 1
                position += 16 + captured
                continue
        again = position + 1
        while again < len(buffer):
            if _is_packet_header(buffer, again, is_little, seconds):
                following = again + 16 + _u32(buffer, again + 8, is_little)
                if following == len(buffer) or _is_packet_header(buffer, following, is_little, seconds):
                    break
            again += 1
        if gaps == gap_columns.shape[1]:
            gap_columns = np.concatenate((gap_columns, np.empty_like(gap_columns)), axis=1)
        gap_columns[0, gaps], gap_columns[1, gaps] = position, again - position
        gaps += 1
        position = again
    return (
        columns[0, :packets].copy(),
        columns[1, :packets].copy(),
        columns[2, :packets].copy(),
        columns[3, :packets].copy(),
        gap_columns[0, :gaps].copy(),
        gap_columns[1, :gaps].copy(),
    )


@kernel
def _network_layer(buffer: Bytes1, position: int, end: int, link: int) -> int:
    """Where the IP header of a packet starts; -1 when it carries no IP."""
    if link in (_NULL, _LOOP):
        return position + 4
    if link == _ETHERNET:
        kind = position + 12
    elif link == _SLL:
        kind = position + 14
    elif link == _SLL2:
        return position + 20
    else:  # raw IP
        return position
    while kind + 2 <= end:
        ether = _u16(buffer, kind)
        if ether in (_IPV4, _IPV6):
            return kind + 2
        if ether not in (_VLAN, _QINQ, _OLD_QINQ):
            return -1
        kind += 4
    return -1


@kernel
def _skip_ipv6_extensions(buffer: Bytes1, position: int, end: int) -> tuple[int, int]:
    """Protocol and position of what follows the IPv6 header at `position`; 44 is a fragment header."""
    protocol = _octet(buffer, position + 6)
    position += 40
    # Hop-by-hop options, routing, destination options.
    while (protocol == 0 or protocol == 43 or protocol == 60) and position + 2 <= end:
        protocol = _octet(buffer, position)
        position += 8 * (_octet(buffer, position + 1) + 1)
    return protocol, position


@kernel
def find_udp(
    buffer: Bytes1, offsets: Ints1, lengths: Ints1, links: Ints1
) -> tuple[Ints1, Ints1, Ints1, Ints1]:
    """UDP payloads of captured packets.

    Args:
        buffer: octets. offsets, lengths: (K,) captured packets in it. links: (K,) link type of each,
            as the registry of pcap link types numbers them.

    Returns:
        What each packet is (UDP, OTHER, FRAGMENT, CUT: payload longer than captured, MALFORMED), and
        position and octets of its payload, of its whole IP packet for a FRAGMENT, and its destination
        port, -1 for none; each (K,).
    """
    count = len(offsets)
    status = np.full(count, OTHER, dtype=np.int64)
    starts = np.zeros(count, dtype=np.int64)
    sizes = np.zeros(count, dtype=np.int64)
    ports = np.full(count, -1, dtype=np.int64)
    for k in range(count):
        end = int(offsets[k] + lengths[k])
        position = _network_layer(buffer, int(offsets[k]), end, int(links[k]))
        if position < 0 or position + 20 > end:
            continue
        version = buffer[position] >> 4
        is_fragment = False
        if version == 4:
            header = 4 * (_octet(buffer, position) & 15)
            ip_end = position + _u16(buffer, position + 2)
            if ip_end == position:  # length left to the network card
                ip_end = end
            if header < 20 or position + header > min(end, ip_end):
                status[k] = MALFORMED
                continue
            protocol = _octet(buffer, position + 9)
            is_fragment = (_u16(buffer, position + 6) & 0x3FFF) != 0
            udp = position + header
        elif version == 6 and position + 40 <= end:
            ip_end = position + 40 + _u16(buffer, position + 4)
            protocol, udp = _skip_ipv6_extensions(buffer, position, min(end, ip_end))
            is_fragment = protocol == 44
        else:
            continue
        if is_fragment:
            status[k], starts[k], sizes[k] = FRAGMENT, position, min(end, ip_end) - position
            continue
        if protocol != _PROTOCOL_UDP:
            continue
        if udp + 8 > min(end, ip_end):
            status[k] = MALFORMED
            continue
        said = _u16(buffer, udp + 4)
        payload_end = ip_end if said == 0 else udp + said
        if payload_end < udp + 8 or payload_end > ip_end:
            status[k] = MALFORMED
            payload_end = max(udp + 8, min(ip_end, end))
        elif payload_end > end:
            status[k] = CUT
            payload_end = end
        else:
            status[k] = UDP
        starts[k], sizes[k] = udp + 8, payload_end - udp - 8
        ports[k] = _u16(buffer, udp + 2)
    return status, starts, sizes, ports


@kernel
def chain_octets(buffer: Bytes1, offsets: Ints1, lengths: Ints1, framing: int) -> Ints1:
    """(D,) octets at the start of each slice of `buffer` that are complete units, one after the other."""
    covered = np.zeros(len(offsets), dtype=np.int64)
    for d in range(len(offsets)):
        position, end = int(offsets[d]), int(offsets[d] + lengths[d])
        while position < end:
            total, _, _ = unit_at(buffer, position, end, framing)
            if total == 0:
                break
            position += total
        covered[d] = position - offsets[d]
    return covered
