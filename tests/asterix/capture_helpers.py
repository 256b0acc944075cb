"""Making recordings byte by byte: captures of any link, recorders' files, and what is wrong with them."""

import struct

PLOT = bytes.fromhex("f0 1910 357a40 a0 1234 5678")  # a CAT048 record


def block(category=48, records=PLOT):
    return bytes([category]) + struct.pack(">H", 3 + len(records)) + records


def udp(payload, port=8600, length=None):
    return struct.pack(">HHHH", 8600, port, 8 + len(payload) if length is None else length, 0) + payload


def ipv4(content, options=b"", number=1, place=0, more=False, protocol=17, length=None):
    total = 20 + len(options) + len(content) if length is None else length
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45 + len(options) // 4,
        0,
        total,
        number,
        (0x2000 if more else 0) | place // 8,
        16,
        protocol,
        0,
        bytes([10, 0, 0, 1]),
        bytes([239, 192, 0, 1]),
    )
    return head + options + content


def ipv6(content, first=17):
    return struct.pack(">IHBB", 6 << 28, len(content), first, 16) + bytes(32) + content


def ethernet(packet, *tags):
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return bytes(12) + b"".join(struct.pack(">HH", tag, 7) for tag in tags) + kind + packet


def sll(packet):
    return struct.pack(">HHH8sH", 0, 1, 6, bytes(8), 0x0800) + packet


def sll2(packet):
    return struct.pack(">HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, bytes(8)) + packet


def pcap(*frames, link=1, order="<", is_nano=False, start=1_700_000_000, captured=None):
    """Frames a tenth of a second apart; `captured` octets of each are kept."""
    magic = 0xA1B23C4D if is_nano else 0xA1B2C3D4
    content = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link)
    for number, frame in enumerate(frames):
        fraction = number % 10 * (100_000_000 if is_nano else 100_000)
        kept = frame if captured is None else frame[:captured]
        content += struct.pack(order + "IIII", start + number // 10, fraction, len(kept), len(frame)) + kept
    return content


def pcapng_block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def pcapng(*frames, link=1, order="<", resolution=6, start=1_700_000_000):
    """One section, one interface whose clock ticks 10^-resolution s, frames a tenth of a second apart."""
    content = pcapng_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    options = struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    content += pcapng_block(1, struct.pack(order + "HHI", link, 0, 0) + options, order)
    for number, frame in enumerate(frames):
        ticks = start * 10**resolution + number * 10 ** (resolution - 1)
        head = struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        content += pcapng_block(6, head + frame, order)
    return content


def final(content, seconds=0.0):
    size = len(content) + 12
    time = round(seconds * 100)
    return struct.pack(">HBBBBH", size, 0, 0, 0, time >> 16, time & 0xFFFF) + content + b"\xa5" * 4


def oradis(content, seconds=0.0):
    return struct.pack(">HI", len(content) + 6, round(seconds * 1000)) + content


def gps(*blocks, seconds=0.0):
    time = round(seconds * 128).to_bytes(3, "big")
    return b"\xcd" * 2200 + b"".join(content + bytes(6) + time + b"\x00" for content in blocks)
