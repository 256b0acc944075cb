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
