"""Columns of values to datagrams of records."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.asterix import encode_kernel
from skypact.asterix.model import Datagrams
from skypact.asterix.plausibility import is_time_of_day
from skypact.asterix.tables import FieldBits, count_octets, editions, field_bits, item_structures
from skypact.core.units import DAY

_WIDEST_FIELD = 53  # bits that a float64 holds exactly
_WIDEST_CODE = 31  # an integer column of a wider field is packed text, where 0 is none
_LONGEST_BLOCK = 65_535
_HEADER = 3
_FULL_CIRCLE = 360.0  # degrees


def encode_records(
    category: int,
    columns: Mapping[str, NDArray[Any]],
    *,
    edition: str | None = None,
    max_length: int = 1400,
) -> Datagrams:
    """Records of one category as datagrams of one block each; their arrival times are NaN.

    An item is sent where any of its fields has a value; its other fields are 0 then. Values are
    rounded to the field's bit and clamped to what it holds; full circles and times of day go round.
    Of repetitions chained by FX (030 of 048, 510 of 062) one is sent. A record without any value
    is left out.

    Args:
        category: of the records.
        columns: (R,) values by field name as in `RecordColumns`, in the unit of the specification,
            codes as their integers; NaN: absent. Fields of 32 to 53 bits (callsigns) are one packed
            integer; in an integer array 0 is absent there.
        edition: the newest where None.
        max_length: of a block, octets. A longer record is a block of its own.

    Raises:
        ValueError: an edition, a field or a length that can't be; columns of different lengths.
    """
    known = editions(category)
    chosen = edition or (known[-1] if known else "")
    if chosen not in known:
        raise ValueError(f"category {category:03d} has no edition {chosen!r} (known: {', '.join(known)})")
    if not 4 <= max_length <= _LONGEST_BLOCK:
        raise ValueError(f"a block of at most {max_length} octets can't be (4 to {_LONGEST_BLOCK})")
    layout = _layout(category, chosen, tuple(columns))
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"columns of different lengths: {sorted(lengths)}")
    count = lengths.pop() if lengths else 0
    inputs = np.empty((len(columns), count))
    for row, (name, column) in enumerate(columns.items()):
        inputs[row] = column
        if layout.widths[name] > _WIDEST_CODE and np.issubdtype(np.asarray(column).dtype, np.integer):
            inputs[row, np.asarray(column) == 0] = np.nan
    out = np.empty(count * (layout.longest_record + _HEADER) + _HEADER, dtype=np.uint8)
    blocks = np.empty((count, 2), dtype=np.int64)
    present = np.empty(len(layout.arrays.leaves), dtype=np.int64)
    found, octets = encode_kernel.encode_blocks(
        inputs, category, max_length, layout.arrays, present, out, blocks
    )
    return Datagrams(
        buffer=out[:octets].copy(),
        offset=blocks[:found, 0].copy(),
        length=blocks[:found, 1].copy(),
        received=np.full(found, np.nan),
    )


@dataclass(frozen=True, slots=True)
class _EncodeLayout:
    """The kernel's layout for a set of columns."""

    arrays: encode_kernel.Layout
    widths: dict[str, int]  # bits of each column
    longest_record: int  # octets


@dataclass(frozen=True, slots=True)
class _Leaf:
    """An item or subitem: its place, and its parts."""

    name: str
    item_slot: int
    sub_slot: int
    parts: list[list[Any]]


@lru_cache(maxsize=64)
def _layout(category: int, edition: str, names: tuple[str, ...]) -> _EncodeLayout:
    rows = {name: row for row, name in enumerate(names)}
    leaves: list[list[int]] = []
    parts: list[list[int]] = []
    fields: list[list[int]] = []
    scales: list[list[float]] = []
    widths: dict[str, int] = {}
    longest = 0
    slots = 0
    for leaf in _leaves(category, edition):
        slots = max(slots, leaf.item_slot + 1)
        part_begin, used = len(parts), 0
        for number, part in enumerate(leaf.parts):
            begin = len(fields)
            for bits in field_bits(leaf.name, part):
                if bits.name in rows and bits.bits <= _WIDEST_FIELD:
                    fields.append([bits.start + bits.bits, bits.bits, rows[bits.name]])
                    scales.append(_scale(bits))
                    widths[bits.name] = bits.bits
                    used = number + 1
            parts.append([count_octets(part), begin, len(fields)])
        if used:
            leaves.append([leaf.item_slot, leaf.sub_slot, part_begin, part_begin + used])
            # A compound item's own FSPEC takes at most one octet for each of its subitems.
            longest += sum(octets for octets, _, _ in parts[part_begin : part_begin + used]) + 1
    unknown = [name for name in names if name not in widths]
    if unknown:
        raise ValueError(
            f"category {category:03d} edition {edition} has no field that can be encoded"
            f" named {', '.join(unknown)}"
        )
    octets = -(-slots // 7)
    return _EncodeLayout(
        arrays=encode_kernel.Layout(
            leaves=_table(leaves, encode_kernel.LEAF_COLUMNS, np.int64),
            parts=_table(parts, encode_kernel.PART_COLUMNS, np.int64),
            fields=_table(fields, encode_kernel.FIELD_COLUMNS, np.int64),
            scales=_table(scales, encode_kernel.SCALE_COLUMNS, np.float64),
        ),
        widths=widths,
        longest_record=longest + octets + 1,
    )


def _leaves(category: int, edition: str) -> Iterator[_Leaf]:
    """Items and subitems that are made of fields, in the order of the wire."""
    items, uaps, _ = item_structures(category, edition)
    if len(uaps) > 1:
        raise ValueError(f"category {category:03d} can be decoded only")
    (order,) = uaps.values()
    for slot, item in enumerate(order):
        structure = items.get(item, {})
        if "compound" not in structure:
            yield _Leaf(item, slot, -1, _parts(structure))
            continue
        for sub_slot, sub in enumerate(structure["compound"]):
            if sub is not None:
                yield _Leaf(f"{item}/{sub[0]}", slot, sub_slot, _parts(sub[1]))


def _parts(structure: dict[str, Any]) -> list[list[Any]]:
    if "fixed" in structure:
        return [structure["fixed"]]
    if structure.get("repetitive") == "fx":
        return [structure["of"]]
    parts: list[list[Any]] = structure.get("extended", [])
    return parts


def _scale(bits: FieldBits) -> list[float]:
    lowest = -(2 ** (bits.bits - 1)) if bits.is_signed else 0
    highest = lowest + 2**bits.bits - 1
    modulus = 0.0
    if is_time_of_day(bits.unit, bits.scale) and bits.bits == 24:
        modulus = DAY / bits.scale
    elif bits.unit == "°" and bits.scale * 2**bits.bits == _FULL_CIRCLE and not bits.name.endswith("LAT"):
        modulus = float(2**bits.bits)
    return [bits.scale, float(lowest), float(highest), modulus]


def _table(rows: list[Any], columns: int, dtype: type[np.generic]) -> NDArray[Any]:
    table = np.array(rows, dtype=dtype).reshape(-1, columns)
    table.flags.writeable = False
    return table
