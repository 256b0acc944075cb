"""Reports of made aircraft as several centres see them, for the tests of the one picture."""

import numpy as np

from skypact.exchange.model import TrackReport

NORTH = 6_371_000.0  # m for each radian, near enough for aircraft some kilometres apart


def report(
    centre: str,
    time: float,
    east: list[float],
    north: list[float] | None = None,
    *,
    velocity: tuple[float, float] = (200.0, 0.0),
    sigma: float = 50.0,
    origin: tuple[float, float] = (0.7, 0.1),
    ids: list[int] | None = None,
    **columns: object,
) -> TrackReport:
    """Tracks at places (m from the origin in rad) that fly alike; other columns by name, a value or list."""
    count = len(east)
    latitude = origin[0] + np.array(north or [0.0] * count) / NORTH
    longitude = origin[1] + np.array(east) / (NORTH * np.cos(origin[0]))
    ids = ids or list(range(1, count + 1))
    salt = int.from_bytes(centre.encode()[:4], "big")
    values: dict[str, object] = {
        "uid": np.array([[salt, one] for one in ids], np.uint64).reshape(count, 2),
        "number_centre": np.zeros(count, np.uint8),
        "number": np.array(ids, np.int32),
        "numbered": np.full(count, 0.0),
        "latitude": latitude,
        "longitude": (longitude + np.pi) % (2.0 * np.pi) - np.pi,
        "height": np.full(count, np.nan),
        "velocity": np.tile([*velocity, 0.0], (count, 1)),
        "covariance": np.tile(np.diag([sigma**2, sigma**2, 25.0, 25.0]), (count, 1, 1)),
        "altitude": np.full(count, np.nan),
        "existence": np.full(count, 0.99),
        "updated": np.full(count, time),
        "is_coasting": np.zeros(count, np.bool_),
        "is_simulated": np.zeros(count, np.bool_),
        "is_reporter": np.ones(count, np.bool_),
        "squawk": np.full(count, -1, np.int16),
        "address": np.full(count, -1, np.int32),
        "callsign": np.zeros(count, np.int64),
        "identity": np.zeros(count, np.uint8),
        "kind": np.zeros(count, np.uint8),
        "sensors": np.ones((count, 1), np.uint64),
    }
    named = {"centre_names": (centre,), "sensor_names": (f"{centre}/1",)}
    for name, value in columns.items():
        if name in named:
            named[name] = tuple(value)
        else:
            array = np.empty_like(values[name])
            array[:] = value
            values[name] = array
    return TrackReport(time=time, centre=centre, **named, **values)


def random_report(rng: np.random.Generator, count: int, area: float) -> TrackReport:
    """Tracks with all kinds of covariances, velocities and codes within a square of `area` m."""
    factors = rng.normal(size=(count, 4, 4)) * np.array([80.0, 80.0, 8.0, 8.0])[:, np.newaxis]
    made = report(
        "ALPHA",
        100.0,
        list(rng.uniform(0, area, count)),
        list(rng.uniform(0, area, count)),
        covariance=factors @ factors.transpose(0, 2, 1) + np.diag([100.0, 100.0, 4.0, 4.0]),
        altitude=np.where(rng.random(count) < 0.5, rng.uniform(0, 3000, count), np.nan),
        height=np.where(rng.random(count) < 0.5, rng.uniform(0, 3000, count), np.nan),
        squawk=rng.integers(-1, 3, count),
        address=rng.integers(-3, 6, count).clip(-1),
        callsign=rng.integers(0, 3, count),
        is_simulated=rng.random(count) < 0.3,
    )
    made.velocity[:] = rng.normal(0.0, 60.0, (count, 3))
    made.velocity[rng.random(count) < 0.2] = np.nan
    return made
