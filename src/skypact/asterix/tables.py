"""The tables of the ASTERIX editions: read from the package's JSON files and made into kernel programs.

The files are written by `tools/generate_asterix_tables.py`, which describes their form.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skypact.asterix import kernels
from skypact.asterix.profiles import CORE
from skypact.core.arrays import Floats1

Profile = Literal["full", "core"]
Structure = dict[str, Any]

CATEGORIES = (1, 2, 10, 19, 20, 21, 34, 48, 62, 63, 65)

_SLOTS_AN_OCTET = 7
_MOST_SLOTS = 64  # of a list; its presence bits are one integer
_WIDEST_COLUMN = 31  # bits of an unsigned field that an int32 column holds
_WIDEST_PAIR = 54  # bits of one that two columns hold: 30 above the lowest 24
_LOW_BITS = 24
_NO_COLUMN = -1  # until the number of columns is known


@dataclass(frozen=True, slots=True)
class Column:
    """One column of decoded records, and where its bits come from."""

    name: str
    scale: float  # value of one bit; 1 for codes
    unit: str
    bits: int
    is_signed: bool


@dataclass(frozen=True, slots=True)
class Table:
    """An edition of a category, ready for the kernels, with the columns of a profile."""

    category: int
    edition: str
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    known: frozenset[str]  # the names again
    scale: Floats1
    unit: tuple[str, ...]
    column_node: NDArray[np.intp]  # (C,) node that fills each column
    program: kernels.Program


@dataclass(slots=True)
class _Builder:
    """Nodes, fields and columns as they are laid out; node 0 is the spare one."""

    category: int
    profile: Profile
    nodes: list[list[int]] = field(default_factory=lambda: [[int(kernels.SPARE)] + [0] * 7])
    fields: list[list[int]] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    column_at: dict[str, int] = field(default_factory=dict)

    def add_node(self, kind: np.uint64, **places: int) -> int:
        """A node's row; returns the index of its start, which names it."""
        row = [int(kind)] + [0] * 7
        for place, value in places.items():
            row[int(getattr(kernels, place))] = value
        self.nodes.append(row)
        return (len(self.nodes) - 1) * int(kernels.STRIDE)

    def add_slots(self, nodes: list[int]) -> int:
        """A list of FSPEC bits, filled up to whole octets with spare ones; returns its first slot."""
        first = len(self.slots)
        assert len(nodes) < _MOST_SLOTS
        self.slots += nodes + [0] * (-len(nodes) % _SLOTS_AN_OCTET)
        return first

    def slot(self, node: int) -> int:
        """What a list of FSPEC bits has for a node."""
        return node | self.nodes[node // int(kernels.STRIDE)][0] << int(kernels.SLOT_KIND)

    def add_column(
        self, name: str, scale: float = 1.0, unit: str = "", bits: int = 31, is_signed: bool = False
    ) -> int | None:
        """The column's number; None where the profile leaves it out."""
        if self.profile == "core" and not _is_core(self.category, name):
            return None
        if name not in self.column_at:
            self.column_at[name] = len(self.columns)
            self.columns.append(Column(name, scale, unit, bits, is_signed))
        return self.column_at[name]

    def add_structure(self, name: str, structure: Structure) -> int:
        """The node of an item or subitem."""
        if "fixed" in structure:
            return self._add_part(kernels.FIXED, name, structure["fixed"])
        if "extended" in structure:
            return self._add_extended(name, structure)
        if "repetitive" in structure:
            octets = count_octets(structure["of"])
            places = self._place_columns(name, "count")
            if structure["repetitive"] != "fx":
                return self.add_node(kernels.REPETITIVE, LENGTH=octets, **places)
            tail = self.add_node(kernels.TAIL, LENGTH=octets)
            return self._add_part(kernels.REPETITIVE_FX, name, structure["of"], NEXT=tail, **places)
        if "explicit" in structure:
            return self.add_node(kernels.EXPLICIT, LENGTH=1, **self._place_columns(name, "length"))
        if "compound" in structure:
            nodes = [
                0 if sub is None else self.add_structure(f"{name}/{sub[0]}", sub[1])
                for sub in structure["compound"]
            ]
            first = self.add_slots(nodes)
            return self.add_node(kernels.COMPOUND, LENGTH=len(self.slots) - first, SLOTS=first)
        assert "rfs" in structure, structure
        return self.add_node(kernels.RANDOM_SEQUENCE)

    def _place_columns(self, name: str, second: str) -> dict[str, int]:
        position, count = self.add_column(f"{name}/position"), self.add_column(f"{name}/{second}")
        if position is None or count is None:
            return {}
        return {"POSITION": position + 1, "COUNT": count + 1}

    def _add_extended(self, name: str, structure: Structure) -> int:
        following = self.add_node(kernels.TAIL, LENGTH=1) if structure["fx_last"] else 0
        # Columns are numbered in the order of the item, nodes are linked from its end.
        for part in structure["extended"]:
            for bits in field_bits(name, part):
                list(bits.add_columns(self))
        for part in reversed(structure["extended"][1:]):
            following = self._add_part(kernels.FIXED, name, part, NEXT=following)
        return self._add_part(kernels.EXTENDED, name, structure["extended"][0], NEXT=following)

    def _add_part(self, kind: np.uint64, name: str, part: list[list[Any]], **places: int) -> int:
        octets = count_octets(part)
        assert octets <= kernels.PART_OCTETS, name
        stride = int(kernels.FIELD_STRIDE)
        begin = len(self.fields)
        for bits in field_bits(name, part):
            if bits.is_opaque:
                assert kind == kernels.FIXED and bits.bits == octets * 8, name
                position = self.add_column(f"{name}/position")
                found = {} if position is None else {"POSITION": position + 1}
                return self.add_node(kernels.OPAQUE, LENGTH=octets, **found)
            for column, start, count in bits.add_columns(self):
                self._add_field(column, start, count, bits.is_signed)
        self.fields += [
            [0, 0, 0, _NO_COLUMN] for _ in range((begin - len(self.fields)) % kernels.FIELD_GROUP)
        ]
        if len(self.fields) == begin:
            self.fields += [[0, 0, 0, _NO_COLUMN] for _ in range(kernels.FIELD_GROUP)]
        ranges = {"FIELD_BEGIN": begin * stride, "FIELD_END": len(self.fields) * stride}
        return self.add_node(kind, LENGTH=octets, **ranges, **places)

    def _add_field(self, column: int, start: int, count: int, is_signed: bool) -> None:
        """`count` bits from bit `start` of the part go to a column."""
        row = [0] * int(kernels.FIELD_STRIDE)
        row[int(kernels.SHIFT)] = 64 - start - count
        row[int(kernels.MASK)] = (1 << count) - 1
        row[int(kernels.SIGN)] = 1 << (count - 1) if is_signed else 0
        row[int(kernels.COLUMN)] = column
        self.fields.append(row)

    def column_nodes(self) -> list[int]:
        """The node that fills each column."""
        nodes = [0] * len(self.columns)
        for number, row in enumerate(self.nodes):
            begin, end = (row[int(place)] for place in (kernels.FIELD_BEGIN, kernels.FIELD_END))
            stride = int(kernels.FIELD_STRIDE)
            filled = [fields[int(kernels.COLUMN)] for fields in self.fields[begin // stride : end // stride]]
            filled += [row[int(place)] - 1 for place in (kernels.POSITION, kernels.COUNT) if row[int(place)]]
            for column in filled:
                if column == _NO_COLUMN:
                    continue
                assert nodes[column] == 0, self.columns[column].name
                nodes[column] = number * int(kernels.STRIDE)
        return nodes


@dataclass(frozen=True, slots=True)
class FieldBits:
    """A field of a part: its name, its bits and what they mean."""

    name: str
    start: int  # bits from the part's start
    bits: int
    scale: float
    unit: str
    is_signed: bool

    @property
    def is_opaque(self) -> bool:
        """Whether the field is too wide for columns, so that only its position is told."""
        return not self.is_signed and self.bits > _WIDEST_PAIR

    def add_columns(self, builder: _Builder) -> Iterator[tuple[int, int, int]]:
        """The columns that the field fills: number, first bit and bits of each."""
        parts = [(self.name, self.start, self.bits)]
        if not self.is_signed and self.bits > _WIDEST_COLUMN:
            high = self.bits - _LOW_BITS
            parts = [
                (f"{self.name}/high", self.start, high),
                (f"{self.name}/low", self.start + high, _LOW_BITS),
            ]
        for name, start, count in parts:
            column = builder.add_column(name, self.scale, self.unit, count, self.is_signed)
            if column is not None:
                yield column, start, count


def field_bits(item: str, part: list[list[Any]]) -> Iterator[FieldBits]:
    """The fields of a part of an item, without its spare bits."""
    start = 0
    for name, bits, *content in part:
        if content:
            scale = float(Fraction(content[1])) if len(content) > 1 else 1.0
            unit = content[2] if len(content) > 2 else ""
            path = f"{item}/{name}" if name else item
            yield FieldBits(path, start, bits, scale, unit, content[0] == "signed")
        start += bits


def count_octets(part: list[list[Any]]) -> int:
    """Octets of a part; one of an extended item is written without its FX bit."""
    return (sum(int(bits) for _, bits, *_ in part) + 7) // 8


def _is_core(category: int, name: str) -> bool:
    return any(name == chosen or name.startswith(f"{chosen}/") for chosen in CORE.get(category, ()))


@cache
def _read_category(category: int) -> dict[str, Any]:
    text = (files("skypact.asterix") / "tables" / f"cat{category:03d}.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def editions(category: int) -> tuple[str, ...]:
    """The editions of a category that there are tables for, oldest first; none for an unknown category."""
    return tuple(_read_category(category)["editions"]) if category in CATEGORIES else ()


def item_structures(category: int, edition: str) -> tuple[dict[str, Structure], dict[str, list[str]], Any]:
    """Structures by item name, UAPs by variation name, and the field that chooses between them."""
    table = _read_category(category)
    chosen = table["editions"][edition]
    items = {name: table["structures"][number] for name, number in chosen["items"].items()}
    return items, chosen["uap"], chosen.get("case")


@cache
def load_table(category: int, edition: str, profile: Profile = "full") -> Table:
    """The table of an edition. Raises KeyError where there is none."""
    items, uaps, case = item_structures(category, edition)
    builder = _Builder(category, profile)
    nodes = {name: builder.add_structure(name, structure) for name, structure in items.items()}
    compound_slots = builder.slots
    orders = [[nodes.get(slot, 0) for slot in order] for order in uaps.values()]
    switch = 0
    if case:
        switch_item, switch_field = case[0].split("/")
        # The kernel looks at the item's first bit.
        first_field = items[switch_item]["extended"][0][0]
        assert first_field[:2] == [switch_field, 1] and case[1] == list(uaps)
        switch = nodes[switch_item]
        undecided = builder.add_node(kernels.UNDECIDED)
        common = [first if first == second else undecided for first, second in zip(*orders, strict=False)]
        longest = max(len(order) for order in orders)
        orders.insert(0, common + [undecided] * (longest - len(common)))
    length = max(len(order) + -len(order) % _SLOTS_AN_OCTET for order in orders)
    assert length < _MOST_SLOTS
    uap_slots = [node for order in orders for node in order + [0] * (length - len(order))]
    column_nodes = builder.column_nodes()
    for row in builder.fields:
        if row[int(kernels.COLUMN)] == _NO_COLUMN:
            row[int(kernels.COLUMN)] = len(builder.columns)
    for row in builder.nodes:
        if row[0] == kernels.COMPOUND:
            row[int(kernels.SLOTS)] += len(uap_slots)
    return Table(
        category=category,
        edition=edition,
        columns=tuple(builder.columns),
        names=tuple(column.name for column in builder.columns),
        known=frozenset(column.name for column in builder.columns),
        scale=np.array([column.scale for column in builder.columns]),
        unit=tuple(column.unit for column in builder.columns),
        column_node=np.array(column_nodes, dtype=np.intp),
        program=kernels.Program(
            nodes=_flat(builder.nodes),
            fields=_flat(builder.fields),
            slots=_flat([[builder.slot(node) for node in uap_slots + compound_slots]]),
            uap_length=np.uint64(length),
            switch=np.uint64(switch),
        ),
    )


def _flat(rows: list[list[int]]) -> NDArray[np.uint64]:
    flat = np.array(rows, dtype=np.uint64).reshape(-1)
    flat.flags.writeable = False
    return flat
