"""Made track reports and plots for the tests of the exchange, from a seed."""

import numpy as np

from skypact.core.units import DEGREE
from skypact.exchange.model import TrackReport
from skypact.plots.model import PlotBatch, make_plots
from skypact.sensors.model import ReferencePoint, Sensor, SensorTable, make_sensor_table

SENSORS = ("west", "east", "coast-north", "coast-south")


def made_report(rng: np.random.Generator, count: int, time: float = 1e9) -> TrackReport:
    """Tracks around 55 north, 5 east, each value as its column allows, some without a value."""
    factors = rng.normal(size=(count, 4, 4)) * [100.0, 100.0, 5.0, 5.0]
    covariance = np.swapaxes(factors, 1, 2) @ factors + np.eye(4)
    altitude = rng.uniform(0.0, 12_000.0, count)
    altitude[rng.random(count) < 0.3] = np.nan
    return TrackReport(
        time=time,
        centre="ALPHA",
        centre_names=("ALPHA", "BRAVO"),
        sensor_names=SENSORS,
        uid=rng.integers(0, 2**64, (count, 2), dtype=np.uint64),
        number_centre=rng.integers(0, 2, count).astype(np.uint8),
        number=rng.integers(1, 32_768, count).astype(np.int32),
        numbered=time - rng.uniform(0.0, 1000.0, count),
        latitude=(55.0 + rng.uniform(-1.0, 1.0, count)) * DEGREE,
        longitude=(5.0 + rng.uniform(-2.0, 2.0, count)) * DEGREE,
        height=rng.uniform(0.0, 12_000.0, count),
        velocity=rng.normal(0.0, 100.0, (count, 3)),
        covariance=covariance,
        altitude=altitude,
        existence=rng.uniform(0.0, 1.0, count),
        updated=time - rng.uniform(0.0, 30.0, count),
        is_coasting=rng.random(count) < 0.2,
        is_simulated=rng.random(count) < 0.2,
        is_reporter=rng.random(count) < 0.5,
        squawk=rng.integers(-1, 4096, count).astype(np.int16),
        address=rng.integers(-1, 2**24, count).astype(np.int32),
        callsign=rng.integers(0, 2**48, count),
        identity=rng.integers(0, 7, count).astype(np.uint8),
        kind=rng.integers(0, 8, count).astype(np.uint8),
        sensors=rng.integers(0, 2 ** len(SENSORS), (count, 1)).astype(np.uint64),
    )


def made_table() -> SensorTable:
    """Three radars, and a last sensor that sends ready positions and has no site."""
    sited = [
        Sensor(name=name, latitude_deg=55.0 + 0.2 * n, longitude_deg=4.0 + n, height_m=100.0 * n)
        for n, name in enumerate(SENSORS[:-1])
    ]
    return make_sensor_table(
        [*sited, Sensor(name=SENSORS[-1], kind="adsb")], ReferencePoint(latitude_deg=55.0, longitude_deg=5.0)
    )


def made_plots(rng: np.random.Generator, count: int, time: float = 1e9) -> PlotBatch:
    """Plots of `made_table`'s sensors within the last 20 s, in order of arrival."""

    def perhaps(values: np.ndarray, share: float = 0.5) -> np.ndarray:
        return np.where(rng.random(count) < share, values, np.nan)

    sensor = rng.integers(0, len(SENSORS), count).astype(np.int32)
    is_ready = sensor == len(SENSORS) - 1
    received = np.sort(time - rng.uniform(0.0, 20.0, count))
    slant = np.where(is_ready, np.nan, rng.uniform(15_000.0, 100_000.0, count))
    elevation = perhaps(np.where(is_ready, np.nan, rng.uniform(0.0, 0.1, count)), 0.3)
    range_rate = perhaps(np.where(is_ready, np.nan, rng.normal(0.0, 100.0, count)))
    altitude, height = perhaps(rng.uniform(0.0, 12_000.0, count)), perhaps(rng.uniform(0, 12_000.0, count))
    has_level = ~np.isnan(altitude) | ~np.isnan(height)
    return make_plots(
        count,
        sensor=sensor,
        time=received - rng.uniform(0.0, 2.0, count),
        received=received,
        range=slant,
        azimuth=np.where(is_ready, np.nan, rng.uniform(0.0, 2.0 * np.pi, count)),
        elevation=elevation,
        range_rate=range_rate,
        altitude=altitude,
        height=height,
        latitude=np.where(is_ready, (55.0 + rng.uniform(-1.0, 1.0, count)) * DEGREE, np.nan),
        longitude=np.where(is_ready, (5.0 + rng.uniform(-2.0, 2.0, count)) * DEGREE, np.nan),
        sigma_range=np.where(is_ready, np.nan, 70.0),
        sigma_azimuth=np.where(is_ready, np.nan, 0.001),
        sigma_elevation=np.where(np.isnan(elevation), np.nan, 0.01),
        sigma_range_rate=np.where(np.isnan(range_rate), np.nan, 3.0),
        sigma_altitude=np.where(has_level, 10.0, np.nan),
        sigma_position=np.where(is_ready, 30.0, np.nan),
        squawk=rng.integers(-1, 4096, count),
        address=rng.integers(-1, 2**24, count),
        callsign=rng.integers(0, 2**48, count),
        flags=rng.integers(0, 32, count),
    )
