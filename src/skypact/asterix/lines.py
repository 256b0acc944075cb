"""Records in full: every item of a record as plain Python values, for people and for JSON lines.

Slow and complete where the columns are fast and chosen: repetitions, all parts of extended items,
and the octets of items that have no layout of their own (RE, SP) are there as well. It is meant for records
that the columnar decoder has accepted; what doesn't fit ends the record with an `error`.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from skypact.asterix.model import Datagrams, Decoded, RecordColumns
from skypact.asterix.tables import Structure, item_structures

Items = dict[str, Any]

_ICAO = "".join(
    chr(code + 64) if 1 <= code <= 26 else chr(code) if code == 32 or 48 <= code <= 57 else "?"
    for code in range(64)
)
_WIDEST_NUMBER = 53  # bits that a number in JSON keeps; wider codes are hex text


def iterate_records(decoded: Decoded, datagrams: Datagrams) -> Iterator[tuple[RecordColumns, int, Items]]:
    """Every record in the order of the file: its columns, its row in them, and its items."""
    datagram = np.concatenate([columns.datagram for columns in decoded.records] or [np.empty(0, np.int32)])
    offset = np.concatenate([columns.offset for columns in decoded.records] or [np.empty(0, np.int64)])
    group = np.repeat(np.arange(len(decoded.records)), [len(columns) for columns in decoded.records])
    first = np.cumsum([0] + [len(columns) for columns in decoded.records])
    for place in np.lexsort((offset, datagram)).tolist():
        number = int(group[place])
        columns = decoded.records[number]
        row = place - int(first[number])
        yield columns, row, record_at(columns, row, datagrams)


def record_at(columns: RecordColumns, row: int, datagrams: Datagrams) -> Items:
    """The items of one decoded record."""
    holder = int(columns.datagram[row])
    start = int(columns.offset[row])
    end = int(datagrams.offset[holder] + datagrams.length[holder])
    return read_record(datagrams.buffer[start:end].tobytes(), columns.category, columns.edition)


def read_record(content: bytes, category: int, edition: str) -> Items:
    """The items of the record that starts `content`, by item number and in SI or specification units.

    A value is scaled into the unit of the specification; codes are integers, Mode 3/A is octal text.
    """
    items, orders, case = _layout(category, edition)
    reader = _Reader(content)
    found: Items = {}
    try:
        present = reader.fspec()
        order = next(iter(orders.values()))
        for slot, is_present in enumerate(present):
            if not is_present:
                continue
            if case and case[0].split("/")[0] in found:
                item, name = case[0].split("/")
                order = orders[case[1][found[item][name]]]
            name = order[slot] if slot < len(order) else "-"
            if name == "rfs":
                found.update(_random_sequence(reader, items, order))
            elif name in items:
                found[name] = reader.structure(items[name])
            else:
                raise ValueError(f"bit {slot + 1} of the FSPEC names no item")
    except (IndexError, ValueError) as error:
        found["error"] = str(error) or "record ends too early"
    return found


@cache
def _layout(category: int, edition: str) -> tuple[dict[str, Structure], dict[str, list[str]], Any]:
    return item_structures(category, edition)


@cache
def _bit_value(text: str) -> tuple[int, int]:
    return Fraction(text).as_integer_ratio()


def _random_sequence(reader: "_Reader", items: dict[str, Structure], order: list[str]) -> Items:
    """Items in random field sequence: a count, then number and item each (I001 RFS)."""
    found: Items = {}
    for _ in range(reader.octets(1)[0]):
        number = reader.octets(1)[0]
        name = order[number - 1] if 1 <= number <= len(order) else "-"
        if name not in items or name == "rfs":
            raise ValueError(f"random field sequence names item {number}")
        found[name] = reader.structure(items[name])
    return found


class _Reader:
    """Reads items one after the other out of a record."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0

    def octets(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.content):
            raise IndexError("record ends too early")
        taken = self.content[self.position : end]
        self.position = end
        return taken

    def fspec(self) -> list[bool]:
        """Presence bits, without the extension bit of each octet."""
        present: list[bool] = []
        while True:
            octet = self.octets(1)[0]
            present += [bool(octet >> shift & 1) for shift in range(7, 0, -1)]
            if not octet & 1:
                return present

    def structure(self, structure: Structure) -> Any:
        """The value of an item or subitem."""
        if "fixed" in structure:
            return self.part(structure["fixed"], has_fx=False)
        if "extended" in structure:
            return self.extended(structure)
        if "repetitive" in structure:
            return self.repetitive(structure)
        if "explicit" in structure:
            length = self.octets(1)[0]
            if length == 0:
                raise ValueError("item with length 0")
            return self.octets(length - 1).hex()
        present = self.fspec()
        found: Items = {}
        for slot, is_present in enumerate(present):
            if is_present:
                sub = structure["compound"][slot] if slot < len(structure["compound"]) else None
                if sub is None:
                    raise ValueError(f"part {slot + 1} of a compound item is unknown")
                found[sub[0]] = self.structure(sub[1])
        return found

    def extended(self, structure: Structure) -> Items:
        """Parts as long as FX bits say so; octets of parts that the edition does not know as hex."""
        found: Items = {}
        parts = structure["extended"]
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            has_fx = not is_last or bool(structure.get("fx_last"))
            found.update(self.part(part, has_fx))
            if not has_fx or not self.content[self.position - 1] & 1:
                return found
        unknown = b""
        while not unknown or unknown[-1] & 1:
            unknown += self.octets(1)
        found["unknown"] = unknown.hex()
        return found

    def repetitive(self, structure: Structure) -> list[Any]:
        if structure["repetitive"] != "fx":
            return [self.part(structure["of"], has_fx=False) for _ in range(self.octets(1)[0])]
        found = []
        while True:
            found.append(self.part(structure["of"], has_fx=True))
            if not self.content[self.position - 1] & 1:
                return found

    def part(self, fields: list[list[Any]], has_fx: bool) -> Any:
        """The fields of some octets: a dictionary, or the value itself of a single field without name."""
        bits = sum(field[1] for field in fields) + has_fx
        value = int.from_bytes(self.octets((bits + 7) // 8), "big") >> int(has_fx)
        left = bits - int(has_fx)
        found: Items = {}
        for name, count, *content in fields:
            left -= count
            if content:
                found[name] = _field_value(value >> left & (1 << count) - 1, count, content)
        return found[""] if list(found) == [""] else found


def _field_value(raw: int, bits: int, content: list[Any]) -> Any:
    kind = content[0]
    if kind == "icao":
        return "".join(_ICAO[raw >> shift & 63] for shift in range(bits - 6, -1, -6)).rstrip()
    if kind == "ascii":
        return raw.to_bytes((bits + 7) // 8, "big").decode("ascii", errors="replace").rstrip(" \x00")
    if kind == "octal":
        return f"{raw:0{(bits + 2) // 3}o}"
    if kind == "signed" and raw >> (bits - 1):
        raw -= 1 << bits
    if len(content) > 1:
        numerator, denominator = _bit_value(content[1])
        return raw * numerator if denominator == 1 else raw * numerator / denominator
    return f"{raw:0{(bits + 3) // 4}x}" if bits > _WIDEST_NUMBER else raw
