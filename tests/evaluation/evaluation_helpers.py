"""Truth and tracks files from plain lists of places in metres east and north of a point on the equator."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skypact.evaluation.read import read_tracks, read_truth

START = 1_800_000_000.0
# Metres of a degree at the equator at height 0: of the equatorial radius, and of the meridian's radius there.
EAST = 6_378_137.0 * np.pi / 180.0
NORTH = 6_378_137.0 * (1.0 - 0.00669437999014) * np.pi / 180.0


def degrees(east, north):
    return np.asarray(north) / NORTH, -30.0 + np.asarray(east) / EAST


def write(path, rows, **extra):
    """Rows of (second, number, east, north); `extra` are more columns, one value for all or one a row."""
    second, number, east, north = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    latitude, longitude = degrees(east, north)
    key = "target" if "covered" in extra or "kind" in extra else "track"
    columns = {
        "time": START + second,
        key: number.astype(np.int64),
        "latitude_deg": latitude,
        "longitude_deg": longitude,
    }
    for name, value in extra.items():
        columns[name] = value if np.ndim(value) else [value] * len(rows)
    pq.write_table(pa.table(columns), path)
    return path


def truth_of(tmp_path, rows, **extra):
    return read_truth(write(tmp_path / "truth.parquet", rows, **{"covered": 1, "scan": 0.0, **extra}))


def tracks_of(tmp_path, rows, **extra):
    return read_tracks(write(tmp_path / "tracks.parquet", rows, **extra))


def flight(number, seconds, east=0.0, north=0.0, speed=0.0):
    """A target or track that moves east."""
    return [(second, number, east + speed * second, north) for second in seconds]
