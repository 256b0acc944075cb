"""Making datagrams from bytes, and reading records back as dicts."""

import numpy as np

from skypact.asterix.model import MISSING, Datagrams
from skypact.asterix.tables import editions, item_structures


def datagrams_of(*octets):
    lengths = np.array([len(some) for some in octets], dtype=np.int64)
    return Datagrams(
        buffer=np.frombuffer(b"".join(octets), dtype=np.uint8),
        offset=np.cumsum(lengths) - lengths,
        length=lengths,
        received=np.full(len(octets), np.nan),
    )


def block(category, *records):
    body = b"".join(records)
    return bytes([category]) + (len(body) + 3).to_bytes(2) + body


def read_blocks(path):
    """Datagrams of one block each from a file of bare blocks."""
    data = path.read_bytes()
    blocks, position = [], 0
    while position < len(data):
        length = int.from_bytes(data[position + 1 : position + 3])
        blocks.append(data[position : position + length])
        position += length
    return datagrams_of(*blocks)


def as_dicts(records):
    """Each record as its fields that have a value."""
    return [
        {name: int(value) for name, value in zip(records.names, row, strict=True) if value != MISSING}
        for row in records.values.T
    ]


def error_kinds(decoded):
    return {kind: error.count for (_, kind), error in decoded.errors.items()}


def record(category, edition="", **items):
    """A record of items given as hex: `record(48, i010="1481")`."""
    table_edition = edition or editions(category)[-1]
    _, uaps, _ = item_structures(category, table_edition)
    order = next(iter(uaps.values()))
    slots = {order.index(name.removeprefix("i")): content for name, content in items.items()}
    octets = [0] * (max(slots) // 7 + 1)
    for slot in slots:
        octets[slot // 7] |= 0x80 >> slot % 7
    for number in range(len(octets) - 1):
        octets[number] |= 1
    return bytes(octets) + b"".join(bytes.fromhex(slots[slot]) for slot in sorted(slots))


def made_block(rng, category, edition):
    """A sound block of one to five records with random items of random content."""
    items, uaps, _ = item_structures(category, edition)
    records = []
    for _ in range(rng.integers(1, 6)):
        variation = int(rng.integers(len(uaps)))
        order = list(uaps.values())[variation]
        share = rng.uniform(0.1, 0.9)
        slots = [n for n, name in enumerate(order) if name in items and (n < 2 or rng.random() < share)]
        contents = []
        for slot in slots:
            content = bytearray(made_item(rng, items, order, items[order[slot]]))
            if len(uaps) > 1 and order[slot] == "020":
                content[0] = content[0] & 0x7F | variation << 7
            contents.append(bytes(content))
        records.append(presence(slots) + b"".join(contents))
    return block(category, *records)


def presence(slots):
    octets = [0] * (max(slots) // 7 + 1)
    for slot in slots:
        octets[slot // 7] |= 0x80 >> slot % 7
    return bytes([octet | 1 for octet in octets[:-1]] + octets[-1:])


def made_item(rng, items, order, structure):
    if "fixed" in structure:
        return made_part(rng, structure["fixed"])
    if "extended" in structure:
        parts = structure["extended"][: rng.integers(1, len(structure["extended"]) + 1)]
        open_ended = len(parts) == len(structure["extended"]) and not structure["fx_last"]
        made = [set_fx(made_part(rng, part), number + 1 < len(parts)) for number, part in enumerate(parts)]
        if open_ended:
            made[-1] = made_part(rng, parts[-1])
        return b"".join(made)
    if "repetitive" in structure:
        count = int(rng.integers(1, 4))
        made = [made_part(rng, structure["of"]) for _ in range(count)]
        if structure["repetitive"] == "fx":
            return b"".join(set_fx(part, number + 1 < count) for number, part in enumerate(made))
        return bytes([count]) + b"".join(made)
    if "explicit" in structure:
        content = rng.bytes(int(rng.integers(0, 9)))
        return bytes([len(content) + 1]) + content
    if "rfs" in structure:
        numbers = [n for n, name in enumerate(order) if n > 1 and name in items and name != "rfs"]
        chosen = rng.choice(numbers, size=2).tolist()
        made = [bytes([n + 1]) + made_item(rng, items, order, items[order[n]]) for n in chosen]
        return bytes([len(made)]) + b"".join(made)
    subs = structure["compound"]
    chosen = [n for n, sub in enumerate(subs) if sub is not None and rng.random() < 0.5]
    chosen = chosen or [next(n for n, sub in enumerate(subs) if sub is not None)]
    return presence(chosen) + b"".join(made_item(rng, items, order, subs[n][1]) for n in chosen)


def made_part(rng, part):
    """Random content, with times of day and positions that can be."""
    bits = ""
    for name, width, *content in part:
        value = int(rng.integers(0, 1 << width, dtype=np.uint64))
        if content[1:] == ["1/128", "s"] or name in ("LAT", "RHO"):
            value >>= 2
        bits += f"{value:0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def set_fx(octets, is_followed):
    return octets[:-1] + bytes([octets[-1] & 0xFE | is_followed])
