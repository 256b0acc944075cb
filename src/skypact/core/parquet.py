"""Tables in Parquet files: reading with one clear line for what is wrong, writing in one place."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skypact.core.errors import BadInputError


def read_table(path: Path, required: tuple[str, ...]) -> pa.Table:
    """The table in a Parquet file.

    Raises:
        BadInputError: it can't be read, or lacks a required column.
    """
    try:
        table = pq.read_table(path)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(path)) from None
    except pa.ArrowException as error:
        raise BadInputError(f"no Parquet table: {str(error).splitlines()[0]}", str(path)) from None
    missing = [name for name in required if name not in table.column_names]
    if missing:
        raise BadInputError(f"lacks the column {', '.join(missing)}", str(path))
    return table


def floats(table: pa.Table, name: str, where: str = "table") -> NDArray[np.float64]:
    """A float64 column with NaN for null; all NaN where the table lacks it.

    Raises:
        BadInputError: the column holds something else than numbers.
    """
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    try:
        column = pc.cast(table[name], pa.float64())
    except pa.ArrowException:
        raise BadInputError(f"column {name} holds no numbers", where) from None
    return np.array(pc.fill_null(column, np.nan).to_numpy(), dtype=np.float64)


def integers(table: pa.Table, name: str, missing: int, where: str = "table") -> NDArray[np.int64]:
    """An int64 column with `missing` for null, or for the whole column where the table lacks it.

    Raises:
        BadInputError: the column holds something else than integers.
    """
    if name not in table.column_names:
        return np.full(table.num_rows, missing, dtype=np.int64)
    try:
        column = pc.cast(table[name], pa.int64())
    except pa.ArrowException:
        raise BadInputError(f"column {name} holds no integers", where) from None
    return np.array(pc.fill_null(column, missing).to_numpy(), dtype=np.int64)


def texts(table: pa.Table, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """A text column as codes and the distinct texts that they stand for; null and absent have the code -1."""
    if name not in table.column_names:
        return np.full(table.num_rows, -1, dtype=np.int64), []
    encoded = pc.dictionary_encode(pc.cast(table[name], pa.string()).combine_chunks())
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1)
    return np.array(codes.to_numpy(), dtype=np.int64), encoded.dictionary.to_pylist()


def masked(values: NDArray[Any], missing: int, kind: Any) -> pa.Array:
    """An integer column of type `kind` with null where the value is `missing`."""
    return pa.array(values, type=kind, mask=np.asarray(values == missing))


def named(codes: NDArray[Any], names: list[str]) -> pa.Array:
    """A text column of `names[code]`, kept as a dictionary; null where the code is negative."""
    indices = pa.array(codes, type=pa.int32(), mask=np.asarray(codes < 0))
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, type=pa.string()))
