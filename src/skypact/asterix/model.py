"""What the ASTERIX stage hands on: datagrams with their arrival times, and records as columns."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Bytes1, Floats1, Ints1

MISSING = np.iinfo(np.int32).min  # in a column: the record does not carry the field


@dataclass(frozen=True, slots=True)
class Datagrams:
    """ASTERIX data blocks as they arrived: slices of one buffer, each with one or more blocks."""

    buffer: Bytes1  # all bytes
    offset: Ints1  # (D,) first byte of each datagram in the buffer
    length: Ints1  # (D,) bytes
    received: Floats1  # (D,) arrival, UTC s since 1970; NaN where the recording has none

    def __len__(self) -> int:
        return len(self.offset)


@dataclass(frozen=True, slots=True)
class RecordColumns:
    """Records of one category and edition, one column per field, one row per record.

    A field is named `ITEM/FIELD` as the specification has it: `040/RHO`, `380/SAL/ALT`; an
    item that is one field has the item's name alone: `070`, `380/ADR`. An unsigned field of
    32 to 54 bits, such as a callsign, is two columns, `/high` and `/low` (the lowest 24 bits),
    that `packed` joins. Other content is told by where it lies, in octets from the record's
    start: `/position` of a wider field; `/position` and `/count` of repetitions (where they
    are chained by FX, the fields are those of the first); `/position` and `/length` of the
    content of RE and SP.
    """

    category: int
    edition: str
    names: tuple[str, ...]  # of the columns; a field that no record carries has none
    scale: Floats1  # (C,) value of one bit in the unit of the specification; 1 for codes
    unit: tuple[str, ...]  # (C,) unit of the specification, "" for codes
    values: NDArray[np.int32]  # (C, R) raw integers; MISSING where absent
    datagram: NDArray[np.int32]  # (R,) which datagram the record came in
    offset: Ints1  # (R,) first byte of the record (its FSPEC) in the buffer
    absent: frozenset[str] = frozenset()  # fields of the edition that none of the records carries

    def __len__(self) -> int:
        return len(self.offset)

    def raw(self, name: str) -> NDArray[np.int32]:
        """(R,) raw integers of a field, MISSING where absent. Raises KeyError for an unknown field."""
        if name in self.absent:
            return np.full(len(self), MISSING, dtype=np.int32)
        raw: NDArray[np.int32] = self.values[self._row(name)]
        return raw

    def value(self, name: str) -> Floats1:
        """(R,) scaled values in the unit of the specification, NaN where absent."""
        if name in self.absent:
            return np.full(len(self), np.nan)
        row = self._row(name)
        raw = self.values[row]
        scaled: Floats1 = np.where(raw == MISSING, np.nan, raw * self.scale[row])
        return scaled

    def packed(self, name: str) -> Ints1:
        """(R,) a field of 32 to 54 bits in one integer, such as a callsign; 0 where absent."""
        high, low = self.raw(f"{name}/high"), self.raw(f"{name}/low")
        joined: Ints1 = np.where(high == MISSING, 0, high.astype(np.int64) << 24 | low)
        return joined

    def _row(self, name: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(
                f"category {self.category:03d} edition {self.edition} has no field {name}"
            ) from None


@dataclass(slots=True)
class ErrorCount:
    """How often one kind of error was seen from one source, and the bytes of the first."""

    count: int
    first_bytes: str  # hex of the first offending bytes
    first_datagram: int
    first_offset: int


@dataclass(slots=True)
class Decoded:
    """All that a run of datagrams held."""

    records: list[RecordColumns] = field(default_factory=list)
    blocks: int = 0
    skipped: dict[int, int] = field(default_factory=dict)  # category without a table -> blocks
    errors: dict[tuple[str, str], ErrorCount] = field(default_factory=dict)  # (source, kind) -> count


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file held, as datagrams in the order of the file."""

    framing: str  # raw, final, gps, oradis, pcap, pcapng; with +oradis, +trailing for what UDP payloads add
    datagrams: Datagrams  # `received` is NaN unless the file tells the date as well
    time_of_day: Floats1  # (D,) by the recorder's own clock, s since its midnight; NaN where it has none
    octets: int  # size of the file
    other: int = 0  # packets that carry no ASTERIX
    trailing: int = 0  # octets after the blocks of each UDP payload, left out
    errors: dict[str, ErrorCount] = field(default_factory=dict)  # by kind
