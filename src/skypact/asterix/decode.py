"""Datagrams to columns of records: finds the blocks, chooses the edition of each source, reads the records.

Any bytes are taken: what is faulty ends its block (or, where its length lies, its datagram) and is counted.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skypact.asterix import kernels
from skypact.asterix.blocks import find_blocks
from skypact.asterix.model import MISSING, Datagrams, Decoded, ErrorCount, RecordColumns
from skypact.asterix.plausibility import implausible_records
from skypact.asterix.tables import CATEGORIES, Profile, Table, editions, load_table
from skypact.core.arrays import as_kernel_array

EditionChoice = Mapping[tuple[int, int], Mapping[int, str]]
"""Per source (SAC, SIC) the edition of its categories; the others are read with the newest known."""

FAULT_NAMES = {
    kernels.TRUNCATED: "item reaches beyond its block",
    kernels.FSPEC_ENDLESS: "FSPEC does not end within its block",
    kernels.FSPEC_TOO_LONG: "FSPEC longer than the category's (wrong edition?)",
    kernels.SPARE_ITEM: "FSPEC announces an item that the edition does not have (wrong edition?)",
    kernels.SPARE_SUBITEM: "compound item announces a part that the edition does not have (wrong edition?)",
    kernels.LENGTH_ZERO: "item with length 0",
    kernels.NO_VARIATION: "item 020 missing: neither plot nor track",
    kernels.BAD_SEQUENCE: "random field sequence names no item",
    kernels.SHORT_HEADER: "too few bytes for a block header",
    kernels.BLOCK_TOO_SHORT: "block length below 3",
    kernels.BLOCK_TOO_LONG: "block length beyond its datagram",
}
EMPTY_RECORD = "record without items"
UNKNOWN_EXTENSION = "extension that the edition does not know"

# Few enough that a chunk stays in the second-level cache; not a power of two, so that columns do not all
# fall on the same sets of the cache.
_CHUNK_ROWS = 528
_LEAST_SHARE = 0.01  # of the blocks, to expect from
_MARGIN = 1.125  # of rows above those expected
_FIRST_BYTES = 24  # of a fault, kept for people


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The data blocks of some datagrams."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    category: NDArray[np.int64]
    source: NDArray[np.int64]  # SAC times 256 plus SIC, kernels.NO_SOURCE for none
    datagram: NDArray[np.int64]

    def take(self, chosen: NDArray[np.bool_]) -> "_Blocks":
        columns = (self.begin, self.end, self.category, self.source, self.datagram)
        return _Blocks(*(column[chosen] for column in columns))


def decode_datagrams(
    datagrams: Datagrams, choice: EditionChoice | None = None, profile: Profile = "full"
) -> Decoded:
    """All records of the datagrams, one `RecordColumns` for each category and edition.

    Args:
        datagrams: of any content; slices must lie within the buffer.
        choice: editions by source.
        profile: the columns wanted; items without one are skipped, not checked.

    Raises:
        ValueError: a datagram lies outside of the buffer.
    """
    buffer = as_kernel_array(datagrams.buffer, np.uint8)
    decoded = Decoded()
    blocks = _find_blocks(buffer, datagrams, decoded)
    decoded.blocks = len(blocks.begin)
    if not decoded.blocks:
        return decoded
    for category, edition, chosen in _edition_groups(blocks, {} if choice is None else choice):
        some = blocks.take(chosen)
        if edition not in editions(category):
            decoded.skipped[category] = decoded.skipped.get(category, 0) + len(some.begin)
            continue
        records = _decode_group(buffer, some, load_table(category, edition, profile), decoded)
        if len(records):
            decoded.records.append(records)
    return decoded


def _find_blocks(buffer: NDArray[np.uint8], datagrams: Datagrams, decoded: Decoded) -> _Blocks:
    offset = as_kernel_array(datagrams.offset, np.int64)
    length = as_kernel_array(datagrams.length, np.int64)
    if len(offset) and (offset.min() < 0 or length.min() < 0 or int((offset + length).max()) > len(buffer)):
        raise ValueError("a datagram lies outside of the buffer")
    faults = np.empty((len(offset), 4), dtype=np.int64)
    rows = np.empty((len(offset) * 2 + 8, 5), dtype=np.int64)
    found, faulty = find_blocks(buffer, offset, length, rows, faults)
    if found > len(rows):
        rows = np.empty((found, 5), dtype=np.int64)
        found, faulty = find_blocks(buffer, offset, length, rows, faults)
    faults = faults[:faulty]
    _count_errors(decoded, buffer, faults[:, 0], faults[:, 1], faults[:, 2], faults[:, 3])
    return _Blocks(*np.ascontiguousarray(rows[:found].T))


def _edition_groups(blocks: _Blocks, choice: EditionChoice) -> list[tuple[int, str, NDArray[np.bool_]]]:
    """Category, edition and the blocks of both, by category; edition "" where there is no table."""
    keys = blocks.category << 32 | (blocks.source & 0xFFFFFFFF)
    distinct, which = np.unique(keys, return_inverse=True)
    wanted: dict[tuple[int, str], list[int]] = {}
    for number, key in enumerate(distinct.tolist()):
        category, source = key >> 32, key & 0xFFFFFFFF
        edition = choice.get((source >> 8, source & 0xFF), {}).get(category)
        if edition is None:
            edition = editions(category)[-1] if category in CATEGORIES else ""
        wanted.setdefault((category, edition), []).append(number)
    groups = []
    for (category, edition), numbers in wanted.items():
        is_wanted = np.zeros(len(distinct), dtype=np.bool_)
        is_wanted[numbers] = True
        groups.append((category, edition, is_wanted[which]))
    return groups


def _decode_group(
    buffer: NDArray[np.uint8], blocks: _Blocks, table: Table, decoded: Decoded
) -> RecordColumns:
    begin = blocks.begin.astype(np.uint64)
    end = blocks.end.astype(np.uint64)
    datagram = blocks.datagram.astype(np.int32)
    report = np.zeros((len(begin), kernels.REPORT_COLUMNS), dtype=np.int64)
    room = _room(table)
    gathered = _Gathered(len(table.columns))
    while gathered.progress[kernels.NEXT_BLOCK] < len(begin):
        gathered.make_room(len(begin), len(room.offset))
        kernels.gather_blocks(
            buffer,
            begin,
            end,
            datagram,
            gathered.progress,
            table.program,
            table.column_node,
            room,
            report,
            gathered.column,
            gathered.values,
            gathered.datagram,
            gathered.offset,
        )
    _count_reports(decoded, buffer, report, blocks)
    count = int(gathered.progress[kernels.RECORDS])
    columns = gathered.column[: gathered.progress[kernels.COLUMNS]].tolist()
    names = tuple(map(table.names.__getitem__, columns))
    records = RecordColumns(
        category=table.category,
        edition=table.edition,
        names=names,
        scale=table.scale[columns],
        unit=tuple(map(table.unit.__getitem__, columns)),
        values=gathered.values[: len(columns), :count],
        datagram=gathered.datagram[:count],
        offset=gathered.offset[:count],
        absent=table.known.difference(names),
    )
    return _drop_implausible(decoded, buffer, records, blocks)


class _Rooms(threading.local):
    """Room for the records of a chunk, kept by a thread for its next one.

    Between chunks all values are MISSING: only what was written is cleared, which is far
    less than all columns that an edition has.
    """

    def __init__(self) -> None:
        self.by_table: dict[tuple[int, str, int], kernels.Room] = {}


_rooms = _Rooms()


def _room(table: Table) -> kernels.Room:
    """The thread's room for a table."""
    key = (table.category, table.edition, len(table.columns))
    room = _rooms.by_table.get(key)
    if room is None:
        room = kernels.Room(
            # The last row takes what has no column.
            values=np.full((len(table.columns) + 1, _CHUNK_ROWS), MISSING, dtype=np.int32),
            is_seen=np.zeros(len(table.program.nodes), dtype=np.uint8),
            datagram=np.empty(_CHUNK_ROWS, dtype=np.int32),
            offset=np.empty(_CHUNK_ROWS, dtype=np.int64),
        )
        _rooms.by_table[key] = room
    return room


class _Gathered:
    """The output of `gather_blocks`, which grows as it has to."""

    def __init__(self, columns: int) -> None:
        self.progress = np.zeros(kernels.PROGRESS, dtype=np.int64)
        self.column = np.empty(columns, dtype=np.int64)
        self.values = np.empty((columns, 0), dtype=np.int32)
        self.datagram = np.empty(0, dtype=np.int32)
        self.offset = np.empty(0, dtype=np.int64)

    def make_room(self, blocks: int, chunk: int) -> None:
        """Rows for the next chunk, and for as many more as the records so far let expect."""
        count = int(self.progress[kernels.RECORDS])
        if count + chunk <= len(self.offset):
            return
        rows = count + chunk
        if count:
            blocks_left = 1.0 - int(self.progress[kernels.NEXT_BLOCK]) / blocks
            expected = count / max(1.0 - blocks_left, _LEAST_SHARE)
            rows = max(rows, int(expected * _MARGIN) + chunk)
        # Rows for columns that never come cost nothing: memory is taken when it is first written to.
        used = int(self.progress[kernels.COLUMNS])
        values = np.empty((len(self.column), rows), dtype=np.int32)
        values[:used, :count] = self.values[:used, :count]
        self.values = values
        self.datagram = np.concatenate([self.datagram, np.empty(rows - len(self.datagram), np.int32)])
        self.offset = np.concatenate([self.offset, np.empty(rows - len(self.offset), np.int64)])


def _drop_implausible(
    decoded: Decoded, buffer: NDArray[np.uint8], records: RecordColumns, blocks: _Blocks
) -> RecordColumns:
    """The records without those whose values no source can mean; a wrong edition reads as such."""
    found = implausible_records(records)
    if not found:
        return records
    is_bad = np.zeros(len(records), dtype=np.bool_)
    for name, rows in found.items():
        fresh = rows[~is_bad[rows]]
        is_bad[fresh] = True
        offsets = records.offset[fresh]
        # Blocks ascend within a datagram, but datagrams may lie in any order.
        order = np.argsort(blocks.begin)
        block = order[np.searchsorted(blocks.begin[order], offsets, side="right") - 1]
        kind = f"implausible {name} (wrong edition?)"
        _count_kind(decoded, buffer, kind, offsets, blocks.source[block], records.datagram[fresh])
    keep = ~is_bad
    return replace(
        records,
        values=records.values[:, keep],
        datagram=records.datagram[keep],
        offset=records.offset[keep],
    )


def _count_reports(
    decoded: Decoded, buffer: NDArray[np.uint8], report: NDArray[np.int64], blocks: _Blocks
) -> None:
    has_fault = report[:, kernels.FAULT] != kernels.NO_FAULT
    if has_fault.any():
        faults = report[has_fault]
        _count_errors(
            decoded,
            buffer,
            faults[:, kernels.FAULT],
            faults[:, kernels.FAULT_OFFSET],
            blocks.source[has_fault],
            blocks.datagram[has_fault],
        )
    anomalies = (
        (EMPTY_RECORD, kernels.EMPTY_RECORDS, kernels.EMPTY_OFFSET),
        (UNKNOWN_EXTENSION, kernels.UNKNOWN_PARTS, kernels.UNKNOWN_OFFSET),
    )
    for kind, count, offset in anomalies:
        rows = np.flatnonzero(report[:, count])
        if len(rows):
            _count_kind(
                decoded,
                buffer,
                kind,
                report[rows, offset],
                blocks.source[rows],
                blocks.datagram[rows],
                report[rows, count],
            )


def _count_errors(
    decoded: Decoded,
    buffer: NDArray[np.uint8],
    faults: NDArray[np.int64],
    offsets: NDArray[np.int64],
    sources: NDArray[np.int64],
    datagrams: NDArray[np.integer],
) -> None:
    for fault in np.unique(faults).tolist():
        rows = faults == fault
        _count_kind(decoded, buffer, FAULT_NAMES[fault], offsets[rows], sources[rows], datagrams[rows])


def _count_kind(
    decoded: Decoded,
    buffer: NDArray[np.uint8],
    kind: str,
    offsets: NDArray[np.int64],
    sources: NDArray[np.int64],
    datagrams: NDArray[np.integer],
    times: NDArray[np.int64] | None = None,
) -> None:
    """Count errors of one kind by source, and keep the first of each."""
    distinct, first, which = np.unique(sources, return_index=True, return_inverse=True)
    counts = np.bincount(which, weights=times).astype(np.int64)
    for source, row, count in zip(distinct.tolist(), first.tolist(), counts.tolist(), strict=True):
        key = (source_name(source), kind)
        known = decoded.errors.get(key)
        if known is not None:
            known.count += count
            continue
        offset = int(offsets[row])
        decoded.errors[key] = ErrorCount(
            count=count,
            first_bytes=buffer[offset : offset + _FIRST_BYTES].tobytes().hex(),
            first_datagram=int(datagrams[row]),
            first_offset=offset,
        )


def source_name(source: int) -> str:
    """`SAC/SIC` of a source number, `?` for none."""
    return "?" if source == kernels.NO_SOURCE else f"{source >> 8}/{source & 0xFF}"
