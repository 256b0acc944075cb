"""Decoded records in Parquet files: one a category, one column per field, in the specification's units."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skypact.asterix.model import MISSING, RecordColumns
from skypact.asterix.tables import item_structures
from skypact.centre.recordings import DecodedRecording
from skypact.core.errors import BadInputError
from skypact.core.text import callsigns_to_text
from skypact.plots.times import TimeResolver

# Units as a column's name ends; a column without one is a code or a count.
UNIT_WORDS = {
    "°": "deg",
    "°/s": "deg_per_s",
    "°C": "celsius",
    "%": "percent",
    "NM": "nmi",
    "NM/s": "nmi_per_s",
    "FL": "fl",
    "kt": "kt",
}


def write_categories(recordings: list[DecodedRecording], folder: Path) -> list[Path]:
    """Write `catNNN.parquet` for each category into a folder, made if need be; the files written.

    Columns: `file`, `offset` (octet of the record in it), `edition`, `time` and `received` (UTC s since
    1970), then a column per field, such as `i040_rho_nmi`.

    Raises:
        BadInputError: the folder can't be made or written.
    """
    tables: dict[int, list[pa.Table]] = defaultdict(list)
    for recorded in recordings:
        times = TimeResolver().resolve(recorded.decoded.records, recorded.datagrams.received)
        for columns, time in zip(recorded.decoded.records, times, strict=True):
            tables[columns.category].append(_records_table(recorded, columns, time))
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for category, parts in sorted(tables.items()):
            path = folder / f"cat{category:03d}.parquet"
            # Editions differ in their fields: what one lacks is null.
            pq.write_table(pa.concat_tables(parts, promote_options="permissive"), path)
            written.append(path)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be written", str(folder)) from None
    return written


def column_name(name: str, unit: str) -> str:
    """The Parquet column of a field, such as `i040_rho_nmi` for `040/RHO` in NM."""
    word = UNIT_WORDS.get(unit, unit.replace("/", "_per_").replace("²", "2"))
    parts = [part for part in re.split(r"\W+|_", f"i{name}_{word}".lower()) if part]
    if len(parts) > 1 and parts[-1] == parts[-2]:  # flight level in flight levels
        parts.pop()
    return "_".join(parts)


def _records_table(recorded: DecodedRecording, columns: RecordColumns, time: NDArray[np.float64]) -> pa.Table:
    count = len(columns)
    arrays: dict[str, Any] = {
        "file": pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(count, dtype=np.int32)), pa.array([str(recorded.path)])
        ),
        "offset": pa.array(columns.offset),
        "edition": pa.array([columns.edition] * count),
        "time": pa.array(time),
        "received": pa.array(recorded.datagrams.received[columns.datagram]),
    }
    texts = _text_fields(columns)
    for row, (name, unit) in enumerate(zip(columns.names, columns.unit, strict=True)):
        base, _, half = name.rpartition("/")
        if half == "position":
            continue
        if half in ("high", "low") and f"{base}/low" in columns.names:
            if half == "high":
                arrays[column_name(base, "")] = _wide(columns, base, base in texts)
            continue
        raw = columns.values[row]
        if unit:
            arrays[column_name(name, unit)] = pa.array(columns.value(name))
        else:
            arrays[column_name(name, "")] = pa.array(raw, type=pa.int32(), mask=np.asarray(raw == MISSING))
    for item in ("RE", "SP"):
        if f"{item}/position" in columns.names:
            arrays[column_name(item, "")] = _octets(recorded, columns, item)
    return pa.table(arrays)


def _text_fields(columns: RecordColumns) -> set[str]:
    """Names of the fields that hold the six-bit characters of callsigns."""
    items, _, _ = item_structures(columns.category, columns.edition)
    found: set[str] = set()

    def look(name: str, structure: dict[str, Any]) -> None:
        parts = [structure["fixed"]] if "fixed" in structure else structure.get("extended", [])
        for part in parts:
            for field, _, *content in part:
                if content and content[0] == "icao":
                    found.add(f"{name}/{field}" if field else name)
        for sub in structure.get("compound", []):
            if sub is not None:
                look(f"{name}/{sub[0]}", sub[1])

    for name, structure in items.items():
        look(name, structure)
    return found


def _wide(columns: RecordColumns, name: str, is_text: bool) -> pa.Array:
    packed = columns.packed(name)
    is_absent = columns.raw(f"{name}/high") == MISSING
    if is_text:
        return pa.array(callsigns_to_text(np.where(is_absent, 0, packed)), type=pa.string())
    return pa.array(packed, type=pa.int64(), mask=np.asarray(is_absent))


def _octets(recorded: DecodedRecording, columns: RecordColumns, item: str) -> pa.Array:
    """The octets of an item without a layout, null where a record has none."""
    position, length = columns.raw(f"{item}/position"), columns.raw(f"{item}/length")
    buffer = recorded.datagrams.buffer
    content: list[bytes | None] = [None] * len(columns)
    for row in np.flatnonzero(position != MISSING).tolist():
        first = int(columns.offset[row]) + int(position[row])
        content[row] = buffer[first : first + int(length[row])].tobytes()
    return pa.array(content, type=pa.binary())
