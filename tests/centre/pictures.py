"""Pictures made by hand, for the tests of what goes out."""

import numpy as np

from skypact.core.geodesy import Geodetic
from skypact.core.text import callsign_from_text
from skypact.core.units import DEGREE, FLIGHT_LEVEL
from skypact.tracks.model import Identity, Picture, TargetKind

TIME = 1_800_000_000.0


COVARIANCE = np.diag([2500.0, 1600.0, 9.0, 9.0])  # of east, north and their velocities
COVARIANCE[0, 1] = COVARIANCE[1, 0] = 400.0


def make_picture(
    numbers: list[int],
    *,
    time: float = TIME,
    sequence: int = 1,
    latitude_deg: list[float] | None = None,
    longitude_deg: list[float] | None = None,
    flight_level: list[float] | None = None,
    uid: list[int] | None = None,
    sensors: int = 1,
) -> Picture:
    """Tracks with plausible values, each with the callsign `TnNUMBER`."""
    count = len(numbers)
    levels = np.array(
        [100.0 + n for n in range(count)] if flight_level is None else flight_level, dtype=float
    )
    latitude = np.array(
        [50.0 + 0.1 * n for n in range(count)] if latitude_deg is None else latitude_deg, dtype=float
    )
    longitude = np.array([5.0] * count if longitude_deg is None else longitude_deg, dtype=float)
    identifiers = np.zeros((count, 2), dtype=np.uint64)
    identifiers[:, 1] = numbers if uid is None else uid
    return Picture(
        time=time,
        sequence=sequence,
        reference=Geodetic(50.0 * DEGREE, 5.0 * DEGREE, 0.0),
        sensor_names=("one",),
        centre_names=("ALPHA",),
        joint_centre=np.zeros(count, np.uint8),
        joint_number=np.array(numbers).astype(np.int32),
        centres=np.ones(count, np.uint64),
        reporter=np.zeros(count, np.uint8),
        report_age=np.full(count, np.nan),
        number=np.array(numbers, dtype=np.int32),
        uid=identifiers,
        position=np.zeros((count, 3)),
        latitude=latitude * DEGREE,
        longitude=longitude * DEGREE,
        height=np.full(count, 3000.0),
        velocity=np.tile([120.0, -80.0, 0.0], (count, 1)),
        covariance=np.tile(COVARIANCE, (count, 1, 1)),
        altitude=levels * FLIGHT_LEVEL,
        altitude_time=np.full(count, time - 1.5),
        vertical_rate=np.full(count, 5.0),
        movement=np.tile([0.9, 0.06, 0.04], (count, 1)),
        existence=np.ones(count),
        is_coasting=np.arange(count) % 2 == 1,
        is_simulated=np.zeros(count, dtype=np.bool_),
        updated=np.full(count, time - 1.5),
        born=np.full(count, time - 20.0),
        squawk=np.full(count, 0o1234, dtype=np.int16),
        address=np.array([0x400000 + n for n in numbers], dtype=np.int32),
        callsign=np.array([callsign_from_text(f"TN{n}") for n in numbers], dtype=np.int64),
        identity=np.full(count, Identity.PENDING, dtype=np.uint8),
        kind=np.full(count, TargetKind.UNKNOWN, dtype=np.uint8),
        sensors=np.full((count, 1), sensors, dtype=np.uint64),
    )
