"""The binary picture frame that a web page gets: a header and columns, little-endian, one row per track.

Header, 32 bytes: magic `SKYP`, version (u8), flags (u8, `FrameFlag`), sensor bytes a track (u8), a
spare byte, sequence (u32), tracks N (u32), epoch of the hub (u32), a spare u32, source time (f64,
UTC s since 1970). Then the columns in the order of `COLUMNS`, each N values long without padding
between them, and at the end N rows of sensor bytes: bit s % 8 of byte s // 8 says that sensor s of
the centre's table fed the track lately. Wider types come first, so every column is aligned.
"""

import struct
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.core.units import FOOT
from skypact.tracks.model import Picture

MAGIC = b"SKYP"
VERSION = 2
HEADER = struct.Struct("<4sBBBxIIIxxxxd")

DEGREES_1E7 = 1e7  # longitude and latitude are whole numbers of 1e-7 degree
HEADING_STEPS = 65_536.0  # of a full turn
SPEED_UNIT = 0.1  # m/s
ALTITUDE_UNIT = 25.0 * FOOT  # m; as in ASTERIX, a quarter of a flight level
VERTICAL_RATE_UNIT = 0.02  # m/s
AGE_UNIT = 0.25  # s
SIGMA_STEPS = 16.0  # of accuracy for each doubling from 1 m
NO_INT16 = -32_768
NO_UINT16 = 65_535

COLUMNS: tuple[tuple[str, str], ...] = (
    ("number", "<u4"),
    ("longitude", "<i4"),
    ("latitude", "<i4"),
    ("heading", "<u2"),
    ("speed", "<u2"),
    ("altitude", "<i2"),
    ("vertical_rate", "<i2"),
    ("squawk", "<u2"),
    ("flags", "<u2"),
    ("age", "u1"),
    ("sigma", "u1"),
    ("identity", "u1"),
    ("kind", "u1"),
)


class FrameFlag(IntFlag):
    """What a frame is besides the latest picture."""

    NONE = 0
    HISTORY = 1  # an earlier picture, sent on connecting so that the page has trails at once


class TrackFlag(IntFlag):
    """What the page shows of a track by shape or a word; the lowest bits of its flags."""

    COASTING = 1
    SINGLE_SENSOR = 2
    GEOMETRIC_ALTITUDE = 4  # the altitude column is height above the ellipsoid, not pressure altitude
    SIMULATED = 8  # fed by simulated plots alone, from its birth on


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame: what a client other than the page needs to read the stream."""

    flags: int
    sequence: int
    epoch: int
    time: float  # UTC s since 1970
    columns: dict[str, NDArray[np.generic]]  # (N,) as in COLUMNS
    sensors: NDArray[np.uint8]  # (N, B) bits


def sensor_bytes(sensors: int) -> int:
    """Bytes a track that hold one bit for each of `sensors`."""
    return (sensors + 7) // 8


def encode_frame(picture: Picture, epoch: int, flags: FrameFlag = FrameFlag.NONE) -> bytes:
    """The frame of a picture; values beyond a column's range are held at its limit."""
    width = sensor_bytes(len(picture.sensor_names))
    columns = _columns(picture)
    header = HEADER.pack(
        MAGIC, VERSION, flags, width, picture.sequence & 0xFFFFFFFF, len(picture), epoch, picture.time
    )
    parts = [header]
    parts += [np.ascontiguousarray(columns[name], dtype=kind).tobytes() for name, kind in COLUMNS]
    # Little-endian words, so that the bytes of a row are in the order of the sensors.
    rows = np.ascontiguousarray(picture.sensors, dtype="<u8").view(np.uint8)
    padded = np.zeros((len(picture), width), dtype=np.uint8)
    shared = min(width, rows.shape[1]) if len(picture) else 0
    padded[:, :shared] = rows[:, :shared]
    parts.append(padded.tobytes())
    return b"".join(parts)


def decode_frame(data: bytes) -> Frame:
    """The columns of a frame.

    Raises:
        ValueError: the bytes are no frame of this version, or too few.
    """
    if len(data) < HEADER.size:
        raise ValueError(f"a picture frame has at least {HEADER.size} bytes, not {len(data)}")
    magic, version, flags, width, sequence, count, epoch, time = HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"not a picture frame of version {VERSION}")
    row = sum(np.dtype(kind).itemsize for _, kind in COLUMNS) + width
    if len(data) != HEADER.size + count * row:
        raise ValueError(f"a frame of {count} tracks has {HEADER.size + count * row} bytes, not {len(data)}")
    columns: dict[str, NDArray[np.generic]] = {}
    offset = HEADER.size
    for name, kind in COLUMNS:
        columns[name] = np.frombuffer(data, dtype=kind, count=count, offset=offset)
        offset += columns[name].nbytes
    sensors = np.frombuffer(data, dtype=np.uint8, count=count * width, offset=offset)
    return Frame(flags, sequence, epoch, time, columns, sensors.reshape(count, width))


def course(velocity: NDArray[np.float64]) -> Floats1:
    """(N,) over ground, clockwise from true north, 0 to 2 pi, of (N, 3) east-north-up velocities."""
    return np.mod(np.arctan2(velocity[:, 0], velocity[:, 1]), 2.0 * np.pi)


def major_sigma(covariance: NDArray[np.float64]) -> Floats1:
    """(N,) standard deviation along the long axis of (N, 2, 2) covariances, m."""
    east, north, both = covariance[:, 0, 0], covariance[:, 1, 1], covariance[:, 0, 1]
    mean = 0.5 * (east + north)
    return np.sqrt(np.maximum(mean + np.hypot(0.5 * (east - north), both), 0.0))


def _columns(picture: Picture) -> dict[str, NDArray[np.generic]]:
    geometric = ~np.isfinite(picture.altitude)
    altitude = np.where(geometric, picture.height, picture.altitude)
    # A track is known by its symbol as single-sensor; the popcount says how many fed it lately.
    contributing = np.unpackbits(np.ascontiguousarray(picture.sensors).view(np.uint8), axis=1).sum(axis=1)
    flags = np.where(picture.is_coasting, int(TrackFlag.COASTING), 0)
    flags |= np.where(contributing == 1, int(TrackFlag.SINGLE_SENSOR), 0)
    flags |= np.where(geometric & np.isfinite(altitude), int(TrackFlag.GEOMETRIC_ALTITUDE), 0)
    flags |= np.where(picture.is_simulated, int(TrackFlag.SIMULATED), 0)
    sigma = np.log2(np.maximum(np.nan_to_num(major_sigma(picture.covariance), nan=np.inf), 1.0))
    speed = np.hypot(picture.velocity[:, 0], picture.velocity[:, 1])
    turn = course(picture.velocity) / (2.0 * np.pi)
    return {
        "number": picture.number.astype(np.uint32),
        "longitude": np.rint(np.degrees(picture.longitude) * DEGREES_1E7),
        "latitude": np.rint(np.degrees(picture.latitude) * DEGREES_1E7),
        "heading": np.rint(np.nan_to_num(turn) * HEADING_STEPS).astype(np.int64) % int(HEADING_STEPS),
        "speed": np.where(np.isnan(speed), NO_UINT16, np.clip(np.rint(speed / SPEED_UNIT), 0, NO_UINT16 - 1)),
        "altitude": _int16(altitude / ALTITUDE_UNIT),
        "vertical_rate": _int16(picture.vertical_rate / VERTICAL_RATE_UNIT),
        "squawk": np.where(picture.squawk < 0, NO_UINT16, picture.squawk.astype(np.int64)),
        "flags": flags,
        "age": np.clip(np.rint((picture.time - picture.updated) / AGE_UNIT), 0, 255),
        "sigma": np.clip(np.rint(sigma * SIGMA_STEPS), 0, 255),
        "identity": picture.identity,
        "kind": picture.kind,
    }


def _int16(values: Floats1) -> Floats1:
    held = np.clip(np.rint(values), -32_767, 32_767)
    return np.where(np.isnan(held), float(NO_INT16), held)
