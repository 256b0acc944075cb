"""Network captures: UDP payloads out of pcap and pcapng files, and datagrams into a pcap file.

Sources: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng (file layouts), RFC 791, RFC 8200
(IP and fragments), RFC 768 (UDP), the tcpdump registry of link types.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.framing_kernels import CUT, FRAGMENT, MALFORMED, UDP, find_udp, walk_pcap
from skypact.asterix.model import Datagrams
from skypact.core.arrays import Bytes1, Floats1, Ints1

PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": 1e-6,
    b"\xa1\xb2\xc3\xd4": 1e-6,
    b"\x4d\x3c\xb2\xa1": 1e-9,
    b"\xa1\xb2\x3c\x4d": 1e-9,
}
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"

_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_NANOSECOND_LITTLE = b"\x4d\x3c\xb2\xa1"
_LINK_ETHERNET = 1
_MOST_FRAGMENTED = 4096  # datagrams that wait for fragments at a time; the oldest is given up


@dataclass(slots=True)
class Problem:
    """What was found wrong in a file: its kind, and where in the file."""

    kind: str
    offset: int
    length: int


@dataclass(slots=True)
class Capture:
    """UDP payloads of a capture, in the order in which they became complete."""

    buffer: Bytes1
    offset: Ints1  # (D,) first octet of each payload in the buffer
    length: Ints1  # (D,) octets
    received: Floats1  # (D,) UTC s since 1970; NaN where the capture has no times
    port: Ints1  # (D,) destination port
    packets: int = 0
    other: int = 0  # packets that are not UDP
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Packets:
    """Captured packets as slices of the file."""

    offset: Ints1
    length: Ints1
    time: Floats1
    link: Ints1


def read_capture(content: Bytes1) -> Capture:
    """The UDP payloads of a pcap or pcapng file; fragments are put together."""
    problems: list[Problem] = []
    packets = (
        _pcapng_packets(content, problems)
        if content[:4].tobytes() == PCAPNG_MAGIC
        else _pcap_packets(content, problems)
    )
    status, start, size, port = find_udp(content, packets.offset, packets.length, packets.link)
    for kind, code in (("payload cut by the capture", CUT), ("malformed packet", MALFORMED)):
        for row in np.flatnonzero(status == code).tolist():
            problems.append(Problem(kind, int(packets.offset[row]), int(packets.length[row])))
    has_payload = (status == UDP) | (status == CUT) | ((status == MALFORMED) & (size > 0))
    buffer = content
    fragments = np.flatnonzero(status == FRAGMENT)
    if len(fragments):
        extra = _join_fragments(content, fragments, start, size, problems)
        buffer = np.concatenate([content, np.frombuffer(b"".join(extra.payloads), dtype=np.uint8)])
        position = len(content)
        for row, payload, destination in zip(extra.rows, extra.payloads, extra.ports, strict=True):
            has_payload[row] = True
            start[row], size[row], port[row] = position, len(payload), destination
            position += len(payload)
    return Capture(
        buffer=buffer,
        offset=start[has_payload],
        length=size[has_payload],
        received=packets.time[has_payload],
        port=port[has_payload],
        packets=len(status),
        other=int(np.count_nonzero(~has_payload & (status != FRAGMENT) & (status != MALFORMED))),
        problems=problems,
    )


def _pcap_packets(content: Bytes1, problems: list[Problem]) -> _Packets:
    magic = content[:4].tobytes()
    is_little = magic[0] != 0xA1
    if len(content) < 24:
        problems.append(Problem("truncated", 0, len(content)))
        return _no_packets()
    link = int.from_bytes(content[20:24].tobytes(), "little" if is_little else "big") & 0x0FFF_FFFF
    offset, length, seconds, fraction, gap_offset, gap_length = walk_pcap(content, is_little)
    _note_gaps(content, gap_offset, gap_length, problems)
    time = seconds + fraction * PCAP_MAGIC[magic]
    return _Packets(offset, length, time, np.full(len(offset), link, dtype=np.int64))


def _note_gaps(content: Bytes1, offsets: Ints1, lengths: Ints1, problems: list[Problem]) -> None:
    for offset, length in zip(offsets.tolist(), lengths.tolist(), strict=True):
        kind = "truncated" if offset + length == len(content) else "lost synchronisation"
        problems.append(Problem(kind, offset, length))


def _no_packets() -> _Packets:
    none = np.empty(0, dtype=np.int64)
    return _Packets(none, none, np.empty(0), none)


def _pcapng_packets(content: Bytes1, problems: list[Problem]) -> _Packets:
    """Packets of all sections; a block that doesn't fit ends the reading, as its length is all there is."""
    data = content.tobytes()
    offsets: list[int] = []
    lengths: list[int] = []
    times: list[float] = []
    links: list[int] = []
    interfaces: list[_Interface] = []
    order = "<"
    position = 0
    while position + 12 <= len(data):
        if data[position : position + 4] == PCAPNG_MAGIC:
            order = "<" if data[position + 8 : position + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, total = struct.unpack_from(order + "II", data, position)
        if total < 12 or total % 4 or position + total > len(data):
            break
        body, end = position + 8, position + total - 4
        if kind == _INTERFACE and end - body >= 8:
            interfaces.append(_read_interface(data[body:end], order))
        elif kind == _ENHANCED_PACKET and end - body >= 20:
            number, high, low, captured = struct.unpack_from(order + "IIII", data, body)
            if number < len(interfaces) and body + 20 + captured <= end:
                interface = interfaces[number]
                offsets.append(body + 20)
                lengths.append(captured)
                times.append(interface.time_of((high << 32) | low))
                links.append(interface.link)
            else:
                problems.append(Problem("malformed packet", position, total))
        elif kind == _OLD_PACKET and end - body >= 20:
            number, _, high, low, captured = struct.unpack_from(order + "HHIII", data, body)
            if number < len(interfaces) and body + 20 + captured <= end:
                offsets.append(body + 20)
                lengths.append(captured)
                times.append(interfaces[number].time_of((high << 32) | low))
                links.append(interfaces[number].link)
            else:
                problems.append(Problem("malformed packet", position, total))
        elif kind == _SIMPLE_PACKET and end - body >= 4 and interfaces:
            original = struct.unpack_from(order + "I", data, body)[0]
            offsets.append(body + 4)
            lengths.append(min(original, end - body - 4))
            times.append(np.nan)
            links.append(interfaces[0].link)
        position += total
    if position < len(data):
        problems.append(Problem("truncated", position, len(data) - position))
    return _Packets(
        np.array(offsets, dtype=np.int64),
        np.array(lengths, dtype=np.int64),
        np.array(times, dtype=np.float64),
        np.array(links, dtype=np.int64),
    )


@dataclass(slots=True)
class _Interface:
    link: int
    units_per_second: int = 1_000_000
    offset: int = 0  # s, added to each time

    def time_of(self, stamp: int) -> float:
        seconds, fraction = divmod(stamp, self.units_per_second)
        return seconds + self.offset + fraction / self.units_per_second


def _read_interface(body: bytes, order: str) -> _Interface:
    interface = _Interface(struct.unpack_from(order + "H", body)[0])
    position = 8
    while position + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, position)
        value = body[position + 4 : position + 4 + length]
        if code == 0:
            break
        if code == 9 and length == 1 and len(value) == 1:  # if_tsresol
            exponent = value[0] & 0x7F
            # Finer than 2^-63 or 10^-18 s does not fit the 64 bits of a time stamp.
            interface.units_per_second = (
                2 ** min(exponent, 63) if value[0] & 0x80 else 10 ** min(exponent, 18)
            )
        elif code == 14 and length == 8 and len(value) == 8:  # if_tsoffset
            interface.offset = struct.unpack(order + "q", value)[0]
        position += 4 + (length + 3) // 4 * 4
    return interface


@dataclass(slots=True)
class _Joined:
    """Datagrams put together, each with the packet that completed it."""

    rows: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Pieces:
    offset: int  # of the first fragment seen, in the file
    parts: dict[int, bytes] = field(default_factory=dict)  # place in the IP payload -> octets
    total: int = -1  # octets of the IP payload, once the last fragment is there

    def joined(self) -> bytes | None:
        """The whole IP payload, None while a piece is missing."""
        if self.total < 0:
            return None
        whole = bytearray()
        for place, part in sorted(self.parts.items()):
            if place > len(whole):
                return None
            whole[place : place + len(part)] = part
        return bytes(whole[: self.total]) if len(whole) >= self.total else None


def _join_fragments(
    content: Bytes1, rows: NDArray[np.intp], start: Ints1, size: Ints1, problems: list[Problem]
) -> _Joined:
    waiting: dict[bytes, _Pieces] = {}
    joined = _Joined()
    for row in rows.tolist():
        packet = content[start[row] : start[row] + size[row]].tobytes()
        key, place, is_last, body, is_udp = _fragment(packet)
        if not is_udp or not body:
            continue
        pieces = waiting.setdefault(key, _Pieces(int(start[row])))
        pieces.parts[place] = body
        if is_last:
            pieces.total = place + len(body)
        whole = pieces.joined()
        if whole is not None:
            del waiting[key]
            if len(whole) >= 8:
                joined.rows.append(row)
                joined.ports.append(int.from_bytes(whole[2:4], "big"))
                said = int.from_bytes(whole[4:6], "big")
                joined.payloads.append(whole[8 : said if said >= 8 else None])
        elif len(waiting) > _MOST_FRAGMENTED:
            lost = waiting.pop(next(iter(waiting)))
            problems.append(Problem("fragment missing", lost.offset, 0))
    problems.extend(Problem("fragment missing", lost.offset, 0) for lost in waiting.values())
    return joined


def _fragment(packet: bytes) -> tuple[bytes, int, bool, bytes, bool]:
    """Key of the datagram, place in octets, whether it is the last, the octets, whether it is UDP."""
    if packet[0] >> 4 == 4:
        header = 4 * (packet[0] & 15)
        field_ = int.from_bytes(packet[6:8], "big")
        key = packet[12:20] + packet[4:6] + packet[9:10]
        return key, (field_ & 0x1FFF) * 8, not field_ & 0x2000, packet[header:], packet[9] == 17
    position, protocol = 40, packet[6]
    while protocol in (0, 43, 60) and position + 2 <= len(packet):
        protocol, position = packet[position], position + 8 * (packet[position + 1] + 1)
    head = packet[position : position + 8]
    if len(head) < 8:
        return b"", 0, False, b"", False
    field_ = int.from_bytes(head[2:4], "big")
    return packet[8:40] + head[4:8], field_ & 0xFFF8, not field_ & 1, packet[position + 8 :], head[0] == 17


def write_pcap(
    path: Path,
    datagrams: Datagrams,
    destination: tuple[str, int] = ("239.192.0.1", 8600),
    source: tuple[str, int] = ("10.0.0.1", 8600),
    ports: Sequence[int] | Ints1 | None = None,
) -> None:
    """Write datagrams as UDP over IPv4 over Ethernet, with nanosecond time stamps from `received`.

    A time written is read back as the same float64: a nanosecond is finer than its last bit.

    Args:
        path: file to write. datagrams: their `received` must be known, each at most 65,507 octets.
        destination, source: address and port. ports: (D,) destination port of each datagram instead.
    """
    target, port = IPv4Address(destination[0]), destination[1]
    with path.open("wb") as file:
        file.write(_NANOSECOND_LITTLE + struct.pack("<HHiIII", 2, 4, 0, 0, 262_144, _LINK_ETHERNET))
        for number in range(len(datagrams)):
            first = int(datagrams.offset[number])
            payload = datagrams.buffer[first : first + int(datagrams.length[number])].tobytes()
            received = float(datagrams.received[number])
            if ports is not None:
                port = int(ports[number])
            _write_packet(
                file, received, payload, (target, port), (IPv4Address(source[0]), source[1]), number
            )


def _write_packet(
    file: BinaryIO,
    received: float,
    payload: bytes,
    target: tuple[IPv4Address, int],
    source: tuple[IPv4Address, int],
    number: int,
) -> None:
    addresses = source[0].packed + target[0].packed
    length = 8 + len(payload)
    pseudo = addresses + struct.pack(">HH", 17, length)
    udp = struct.pack(">HHHH", source[1], target[1], length, 0)
    # A checksum of 0 means "none" in UDP, so that its other form stands for 0.
    checksum = _checksum(pseudo + udp + payload) or 0xFFFF
    udp = udp[:6] + struct.pack(">H", checksum)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, number & 0xFFFF, 0x4000, 16, 17, 0)
    header = head[:10] + struct.pack(">H", _checksum(head + addresses)) + addresses
    if target[0].is_multicast:
        mac = b"\x01\x00\x5e" + bytes([target[0].packed[1] & 0x7F]) + target[0].packed[2:]
    else:
        mac = b"\x02\x00" + target[0].packed
    frame = mac + b"\x02\x00" + source[0].packed + b"\x08\x00" + header + udp + payload
    seconds = int(received // 1)
    nanoseconds = round((received - seconds) * 1e9)
    if nanoseconds == 1_000_000_000:
        seconds, nanoseconds = seconds + 1, 0
    file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)


def _checksum(octets: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    words = np.frombuffer(octets + b"\x00" * (len(octets) % 2), dtype=">u2")
    total = int(words.sum(dtype=np.uint64))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
