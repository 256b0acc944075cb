"""Pictures and plot outcomes in Parquet files: one row per confirmed track per picture."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skypact.core.parquet import masked
from skypact.core.text import callsigns_to_text
from skypact.core.units import DEGREE
from skypact.plots.model import NO_ADDRESS, NO_SQUAWK
from skypact.tracks.model import Picture

_FLOATS = ("latitude_deg", "longitude_deg", "altitude", "height", "x", "y", "z", "vx", "vy", "vz")
_COVARIANCE = ("sigma_x", "sigma_y", "covariance_xy", "existence")
SCHEMA = pa.schema(
    [("time", pa.float64()), ("track", pa.int32()), ("uid", pa.string()), ("joint", pa.string())]
    + [(name, pa.float64()) for name in _FLOATS + _COVARIANCE]
    + [("coasting", pa.bool_()), ("squawk", pa.int16()), ("address", pa.int32())]
    + [("callsign", pa.string()), ("sensors", pa.string())]
)
ROWS_PER_GROUP = 100_000


def uid_texts(uid: NDArray[np.uint64]) -> list[str]:
    """Each of (N, 2) identifiers as 32 hex digits."""
    return [f"{high:016x}{low:016x}" for high, low in uid.tolist()]


def joint_numbers(picture: Picture) -> list[str]:
    """The joint track number of each track, as in `ALPHA-00017`."""
    return [
        f"{picture.centre_names[centre]}-{number:05d}"
        for centre, number in zip(picture.joint_centre.tolist(), picture.joint_number.tolist(), strict=True)
    ]


def sensor_lists(sensors: NDArray[np.uint64], names: tuple[str, ...]) -> list[str]:
    """Names of the sensors in each of (N, W) bit sets, joined by commas."""
    known: dict[bytes, str] = {}
    lists = []
    for words in np.ascontiguousarray(sensors):
        key = words.tobytes()
        if key not in known:
            bits = [s for s in range(len(names)) if int(words[s // 64]) >> (s % 64) & 1]
            known[key] = ",".join(names[s] for s in bits)
        lists.append(known[key])
    return lists


def picture_table(picture: Picture) -> pa.Table:
    """One picture as an Arrow table with the columns of tracks files."""
    covariance = picture.covariance
    columns: dict[str, Any] = {
        "time": np.full(len(picture), picture.time),
        "track": picture.number,
        "uid": uid_texts(picture.uid),
        "joint": joint_numbers(picture),
        "latitude_deg": picture.latitude / DEGREE,
        "longitude_deg": picture.longitude / DEGREE,
        "altitude": picture.altitude,
        "height": picture.height,
        **{axis: np.ascontiguousarray(picture.position[:, i]) for i, axis in enumerate("xyz")},
        **{f"v{axis}": np.ascontiguousarray(picture.velocity[:, i]) for i, axis in enumerate("xyz")},
        "sigma_x": np.sqrt(covariance[:, 0, 0]),
        "sigma_y": np.sqrt(covariance[:, 1, 1]),
        "covariance_xy": np.ascontiguousarray(covariance[:, 0, 1]),
        "existence": picture.existence,
        "coasting": picture.is_coasting,
        "squawk": masked(picture.squawk, NO_SQUAWK, pa.int16()),
        "address": masked(picture.address, NO_ADDRESS, pa.int32()),
        "callsign": callsigns_to_text(picture.callsign),
        "sensors": sensor_lists(picture.sensors, picture.sensor_names),
    }
    return pa.table(columns, schema=SCHEMA)


class TracksWriter:
    """Writes pictures to a tracks file, one after the other; use it in a `with` statement."""

    def __init__(self, path: Path) -> None:
        """Open `path`."""
        self._writer = pq.ParquetWriter(path, SCHEMA)
        self._waiting: list[pa.Table] = []
        self.rows = 0

    def write(self, picture: Picture) -> None:
        """Append the picture's tracks."""
        table = picture_table(picture)
        self._waiting.append(table)
        self.rows += table.num_rows
        if sum(waiting.num_rows for waiting in self._waiting) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()
