"""Made air pictures on a served page: what display benchmarks and tests look at."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skypact.core.geodesy import Geodetic, enu_from_geodetic
from skypact.core.text import callsign_from_text
from skypact.core.units import DEGREE, FLIGHT_LEVEL, KNOT
from skypact.display.hub import DisplayHub
from skypact.display.model import CentreInfo
from skypact.display.server import create_app, make_server
from skypact.display.views import PartnerViews
from skypact.sensors.model import Sensor, SensorHealth, SensorState, SensorTable, make_sensor_table
from skypact.tracks.model import Identity, Picture, TargetKind

METRES_PER_RADIAN = 6_371_008.8
_OPERATORS = ("SKP", "AQN", "BVO", "NRD", "ZEF", "LMA")


def scene_sensors() -> SensorTable:
    """Six radars around a stretch of open sea."""
    sites = ((55.6, 2.4), (56.9, 4.6), (54.4, 4.9), (56.2, 6.9), (53.9, 2.6), (57.4, 1.6))
    return make_sensor_table(
        [
            Sensor(
                name=f"RADAR {number}",
                kind="mode_s" if number % 2 else "ssr",
                sac=1,
                sic=number,
                latitude_deg=latitude,
                longitude_deg=longitude,
                range_max_km=300.0,
            )
            for number, (latitude, longitude) in enumerate(sites, start=1)
        ]
    )


@dataclass
class Scene:
    """Aircraft that fly straight, drawn from a seed."""

    tracks: int
    seed: int = 1
    spread: float = 2.5  # degrees of latitude around the middle
    latitude: float = 55.7  # degrees
    longitude: float = 4.2
    start: float = field(default_factory=time.time)  # UTC s since 1970 of the first picture
    sensors: SensorTable = field(default_factory=scene_sensors)

    def picture(self, sequence: int, elapsed: float | None = None) -> Picture:
        """The picture `elapsed` seconds after the start (by default one second a picture)."""
        after = float(sequence) if elapsed is None else elapsed
        now = self.start + after
        draw = np.random.default_rng(self.seed)
        count = self.tracks
        heading = draw.uniform(0.0, 2.0 * np.pi, count)
        speed = draw.uniform(180.0, 480.0, count) * KNOT
        velocity = np.column_stack([speed * np.sin(heading), speed * np.cos(heading), np.zeros(count)])
        north = self.latitude + self.spread * draw.uniform(-1.0, 1.0, count)
        east = self.longitude + 1.8 * self.spread * draw.uniform(-1.0, 1.0, count)
        latitude = north * DEGREE + velocity[:, 1] * after / METRES_PER_RADIAN
        longitude = east * DEGREE + velocity[:, 0] * after / METRES_PER_RADIAN / np.cos(north * DEGREE)
        altitude = (draw.integers(40, 410, count) * FLIGHT_LEVEL).astype(np.float64)
        altitude[draw.random(count) < 0.04] = np.nan
        coasting = draw.random(count) < 0.06
        lag = np.where(
            coasting, draw.uniform(8.0, 45.0, count), (after * 0.5 + draw.uniform(0, 4, count)) % 4.0
        )
        sigma = draw.uniform(25.0, 200.0, count)
        covariance = np.tile(np.diag([0.0, 0.0, 4.0, 4.0]), (count, 1, 1))
        covariance[:, 0, 0], covariance[:, 1, 1] = sigma**2, (0.6 * sigma) ** 2
        words = (draw.random((count, 6)) < 0.45) @ (1 << np.arange(6))
        height = np.where(np.isfinite(altitude), altitude, 9000.0) + 40.0
        squawk = draw.integers(0o1000, 0o6777, count).astype(np.int16)
        squawk[draw.random(count) < 0.05] = -1
        callsign = np.array(
            [callsign_from_text(f"{_OPERATORS[n % 6]}{100 + n * 7 % 900}") for n in range(count)], np.int64
        )
        callsign[draw.random(count) < 0.12] = 0
        reference = self.sensors.reference
        rows = np.arange(count)
        return Picture(
            time=now,
            sequence=sequence,
            reference=reference,
            sensor_names=tuple(self.sensors.names),
            centre_names=("ALPHA",),
            joint_centre=np.zeros(count, np.uint8),
            joint_number=(rows + 1).astype(np.int32),
            centres=np.ones(count, np.uint64),
            reporter=np.zeros(count, np.uint8),
            report_age=np.full(count, np.nan),
            number=(rows + 1).astype(np.int32),
            uid=np.column_stack([np.full(count, self.seed), rows + 1]).astype(np.uint64),
            position=enu_from_geodetic(latitude, longitude, height, (*reference,)),
            latitude=latitude,
            longitude=longitude,
            height=height,
            velocity=velocity,
            covariance=covariance,
            altitude=altitude,
            altitude_time=np.where(np.isfinite(altitude), now - lag, np.nan),
            vertical_rate=draw.choice([-8.0, 0.0, 0.0, 7.0], count),
            movement=np.tile([1.0, 0.0, 0.0], (count, 1)),
            existence=np.full(count, 0.99),
            is_coasting=coasting,
            is_simulated=np.zeros(count, np.bool_),
            updated=now - lag,
            born=np.full(count, self.start - 600.0),
            squawk=squawk,
            address=draw.integers(0x100000, 0xEFFFFF, count).astype(np.int32),
            callsign=callsign,
            identity=np.full(count, Identity.PENDING, np.uint8),
            kind=np.full(count, TargetKind.UNKNOWN, np.uint8),
            sensors=np.maximum(words, 1).astype(np.uint64)[:, None],
        )

    def health(self, silent: frozenset[str] = frozenset()) -> list[SensorHealth]:
        """The sensors' state, all fresh but those named `silent`."""
        return [
            SensorHealth(
                name=sensor.name,
                kind=sensor.kind,
                state=SensorState.SILENT if sensor.name in silent else SensorState.FRESH,
                last_received=self.start,
                plots_per_second=self.tracks / 8.0,
                plots_total=1000,
                errors_total=0,
                errors={},
                rotation_period=8.0,
                clock_offset=0.1,
                outcomes={"updated": 880, "started": 20, "clutter": 100},
                reasons={"no second plot": 100},
                used_share=0.9,
                refused_share=0.0,
            )
            for sensor in self.sensors.sensors
        ]

    @property
    def info(self) -> CentreInfo:
        """The centre whose picture this is."""
        middle = Geodetic(self.latitude * DEGREE, self.longitude * DEGREE, 0.0)
        return CentreInfo(name="Alpha", reference=middle, sensors=self.sensors)


@contextmanager
def served(
    hub: DisplayHub,
    info: CentreInfo,
    static: Path | None = None,
    port: int = 0,
    views: PartnerViews | None = None,
) -> Iterator[str]:
    """The hub's page on a port of this machine (0: a free one) while the block runs; gives its address."""
    server = make_server(create_app(hub, info=info, static=static, views=views), "127.0.0.1", 0)
    listener = socket.create_server(("127.0.0.1", port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10.0)
        listener.close()


class Publisher:
    """Publishes a scene's pictures at its own pace on a thread of its own, until it is closed."""

    def __init__(self, hub: DisplayHub, scene: Scene, period: float = 1.0) -> None:
        """Args: `period` is the time between pictures, s; the scene's clock starts now."""
        self.hub = hub
        self.scene = scene
        self.period = period
        self.sequence = 0
        self._begun = time.time()
        self.silent: frozenset[str] = frozenset()
        self._running = threading.Event()  # cleared: the feed has stopped
        self._ended = threading.Event()
        self._running.set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Publisher":
        """Start publishing."""
        self.publish()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._ended.set()
        self._thread.join(5.0)

    def pause(self) -> None:
        """Let the feed stall."""
        self._running.clear()

    def resume(self) -> None:
        """Let it go on."""
        self._running.set()

    def publish(self) -> None:
        """Publish the next picture now."""
        self.sequence += 1
        self.hub.publish_picture(self.scene.picture(self.sequence, time.time() - self._begun))
        self.hub.publish_health(self.scene.health(self.silent))

    def _run(self) -> None:
        while not self._ended.wait(self.period):
            if self._running.is_set():
                self.publish()
