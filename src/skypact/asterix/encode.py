"""Columns of values to datagrams of records."""

from collections.abc import Mapping
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
_HALF_CIRCLE = 180.0  # degrees
_TIME_BITS = 24  # of a time of day


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
    layout = _layout(category, chosen, frozenset(columns))
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"columns of different lengths: {sorted(lengths)}")
    count = lengths.pop() if lengths else 0
    inputs = np.empty((len(columns), count))
    for row, name in enumerate(layout.order):
        column = np.asarray(columns[name])
        inputs[row] = column
        if layout.widths[row] > _WIDEST_CODE and np.issubdtype(column.dtype, np.integer):
            inputs[row, column == 0] = np.nan
    longest = count * (layout.longest_record + _HEADER) + _HEADER
    out = np.empty(longest + encode_kernel.MOST_OCTETS, dtype=np.uint8)
    blocks = np.empty((count, 2), dtype=np.int64)
    found, octets = encode_kernel.encode_blocks(inputs, category, max_length, layout.arrays, out, blocks)
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
    order: list[str]  # of the columns on the wire
    widths: list[int]  # bits of each
    longest_record: int  # octets


@dataclass(frozen=True, slots=True)
class _Leaf:
    """An item or subitem: its name, its place in the compound item, and its parts."""

    name: str
    sub_slot: int
    parts: list[list[Any]]


@lru_cache(maxsize=64)
def _layout(category: int, edition: str, names: frozenset[str]) -> _EncodeLayout:
    structures, uaps, _ = item_structures(category, edition)
    if len(uaps) > 1:
        raise ValueError(f"category {category:03d} can be decoded only")
    (uap,) = uaps.values()
    items: list[list[int]] = []
    leaves: list[list[int]] = []
    parts: list[list[int]] = []
    fields: list[FieldBits] = []
    shifts: list[int] = []
    for slot, item in enumerate(uap):
        structure = structures.get(item, {})
        leaf_begin = len(leaves)
        for leaf in _leaves(item, structure):
            part_begin, used = len(parts), len(parts)
            for part in leaf.parts:
                begin = len(fields)
                for bits in field_bits(leaf.name, part):
                    if bits.name in names and bits.bits <= _WIDEST_FIELD:
                        fields.append(bits)
                        shifts.append(count_octets(part) * 8 - bits.start - bits.bits)
                parts.append([count_octets(part), begin, len(fields)])
                if len(fields) > begin:
                    used = len(parts)
            del parts[used:]
            if used > part_begin:
                leaves.append([*_presence(leaf.sub_slot), part_begin, used])
        if len(leaves) > leaf_begin:
            items.append([*_presence(slot), leaf_begin, len(leaves), "compound" in structure])
    order = [bits.name for bits in fields]
    unknown = names.difference(order)
    if unknown:
        raise ValueError(
            f"category {category:03d} edition {edition} has no field that can be encoded"
            f" named {', '.join(sorted(unknown))}"
        )
    assert all(octets <= encode_kernel.MOST_OCTETS for octets, _, _ in parts)
    return _EncodeLayout(
        arrays=encode_kernel.Layout(
            items=_table(items, encode_kernel.ITEM_COLUMNS, np.uint64),
            leaves=_table(leaves, encode_kernel.LEAF_COLUMNS, np.uint64),
            parts=_table(parts, encode_kernel.PART_COLUMNS, np.uint64),
            shifts=_table(shifts, 1, np.uint64).reshape(-1),
            masks=_table([(1 << bits.bits) - 1 for bits in fields], 1, np.uint64).reshape(-1),
            scales=_table([_scale(bits) for bits in fields], encode_kernel.SCALE_COLUMNS, np.float64),
        ),
        order=order,
        widths=[bits.bits for bits in fields],
        # Each FSPEC takes at most an octet for each of its items.
        longest_record=sum(octets for octets, _, _ in parts) + len(items) + len(leaves) + len(uap) // 7 + 1,
    )


def _leaves(item: str, structure: dict[str, Any]) -> list[_Leaf]:
    """The item, or its subitems, so far as they are made of fields."""
    if "compound" not in structure:
        return [_Leaf(item, 0, _parts(structure))]
    return [
        _Leaf(f"{item}/{sub[0]}", slot, _parts(sub[1]))
        for slot, sub in enumerate(structure["compound"])
        if sub is not None
    ]


def _presence(slot: int) -> tuple[int, int]:
    """The bit of a slot in an FSPEC, written as an integer of eight octets, and the octets it needs."""
    return 1 << (63 - slot // 7 * 8 - slot % 7), slot // 7 + 1


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
    modulus = 0
    half_circle = round(_HALF_CIRCLE / bits.scale)
    if is_time_of_day(bits.unit, bits.scale) and bits.bits == _TIME_BITS:
        modulus = round(DAY / bits.scale)
    elif bits.unit == "°" and bits.name.endswith("LAT"):
        lowest, highest = max(lowest, -half_circle // 2), min(highest, half_circle // 2)
    elif bits.unit == "°" and bits.name.endswith("LON") and highest >= half_circle - 1:
        lowest, highest, modulus = -half_circle, half_circle - 1, 2 * half_circle
    elif bits.unit == "°" and bits.scale * 2**bits.bits == 2 * _HALF_CIRCLE:
        modulus = 2**bits.bits
    return [1.0 / bits.scale, float(lowest), float(highest), float(modulus)]


def _table(rows: list[Any], columns: int, dtype: type[np.generic]) -> NDArray[Any]:
    table = np.array(rows, dtype=dtype).reshape(-1, columns)
    table.flags.writeable = False
    return table
