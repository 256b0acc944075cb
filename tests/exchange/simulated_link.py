"""Two centres on a simulated network: what Alpha gives Bravo, step by step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from skypact.core.clock import SimulatedClock
from skypact.core.units import DEGREE
from skypact.exchange.engine import Message, Outlet, StoredRecord
from skypact.exchange.gateway import Gateway
from skypact.exchange.memory_engine import MemoryNetwork
from skypact.exchange.model import Rung, TrackReport
from skypact.exchange.policy import ReleasePolicy, parse_policy
from skypact.exchange.reader import Reader, Received
from skypact.plots.model import PlotBatch, PlotFlag, make_plots
from skypact.sensors.model import Sensor, SensorHealth, SensorState, make_sensor_table

START = 1_750_000_000.0
STEP = 0.02  # s, as a centre's
SENSORS = make_sensor_table(
    [
        Sensor(name="north", latitude_deg=55.0, longitude_deg=5.0),
        Sensor(name="secret", latitude_deg=55.5, longitude_deg=5.0),
        Sensor(name="south", latitude_deg=54.5, longitude_deg=5.0),
    ]
)
ALL = b"""
[[tracks]]
name = "all"
[[plots]]
name = "not the secret one"
sensors = ["north", "south"]
"""


def make_policy(content: bytes = ALL) -> ReleasePolicy:
    return parse_policy(content, Path("bravo.toml"))


def make_report(count: int, time: float, centre: str = "ALPHA") -> TrackReport:
    """Tracks that fly north at 200 m/s from 50 degrees, each at its own longitude; always the same ones."""
    row = np.arange(count)
    covariance = np.zeros((count, 4, 4))
    covariance[:] = np.diag([2500.0, 2500.0, 25.0, 25.0])
    return TrackReport(
        time=time,
        centre=centre,
        centre_names=(centre,),
        sensor_names=("north", "south"),
        uid=np.column_stack((np.full(count, 7), row + 1)).astype(np.uint64),
        number_centre=np.zeros(count, np.uint8),
        number=(row % 32_767 + 1).astype(np.int32),
        numbered=np.full(count, START - 100.0),
        latitude=50.0 * DEGREE + np.full(count, (time - START) * 200.0 / 6_371_000.0),
        longitude=row * 1e-5,
        height=np.full(count, 10_000.0),
        velocity=np.tile([0.0, 200.0, 0.0], (count, 1)),
        covariance=covariance,
        altitude=np.full(count, 9_900.0),
        existence=np.full(count, 0.99),
        updated=np.full(count, time - 1.0),
        is_coasting=np.zeros(count, np.bool_),
        is_simulated=np.zeros(count, np.bool_),
        is_reporter=np.ones(count, np.bool_),
        squawk=np.full(count, 0o1000, np.int16),
        address=(row + 1).astype(np.int32),
        callsign=np.zeros(count, np.int64),
        identity=np.zeros(count, np.uint8),
        kind=np.zeros(count, np.uint8),
        sensors=np.full((count, 1), 3, np.uint64),
    )


def make_health(now: float) -> list[SensorHealth]:
    return [
        SensorHealth(
            name=name,
            kind="radar",
            state=SensorState.FRESH,
            last_received=now,
            plots_per_second=1.0,
            plots_total=1,
            errors_total=0,
            errors={},
            rotation_period=8.0,
            clock_offset=0.1,
        )
        for name in SENSORS.names
    ]


class WatchedOutlet:
    """An outlet that keeps what was handed to it, with the time."""

    def __init__(self, inner: Outlet, clock: SimulatedClock) -> None:
        self.inner = inner
        self.clock = clock
        self.handed: list[tuple[float, str, bytes]] = []  # time, subject, payload

    def publish(self, subject: str, payload: bytes) -> None:
        self.handed.append((self.clock.time, subject, payload))
        self.inner.publish(subject, payload)

    def put(self, subject: str, payload: bytes) -> None:
        self.handed.append((self.clock.time, subject, payload))
        self.inner.put(subject, payload)

    def clear(self) -> None:
        self.inner.clear()

    def append(self, sequence: int, payload: bytes) -> None:
        self.handed.append((self.clock.time, "journal", payload))
        self.inner.append(sequence, payload)

    @property
    def wanted(self) -> int | None:
        return self.inner.wanted

    @property
    def stored(self) -> int:
        return self.inner.stored

    def take(self) -> list[Message]:
        return self.inner.take()


class SimulatedLink:
    """Alpha's gateway for Bravo and Bravo's reader of Alpha; Alpha has `tracks` and `plots_per_second`."""

    def __init__(
        self,
        tracks: int = 100,
        plots_per_second: int = 100,
        policy: ReleasePolicy | None = None,
        seed: int = 0,
        skew: float = 0.0,
        pace: float = STEP,
        simulated: int = 0,
    ) -> None:
        self.clock = SimulatedClock(START)
        self.network = MemoryNetwork(self.clock, seed)
        self.skew = skew  # s that Bravo's clock is ahead
        self.tracks = tracks
        self.simulated = simulated  # of these tracks, the first; half of the plots are, too, if any
        self.plots_per_second = plots_per_second
        self.policy = policy or make_policy()
        self.pace = pace
        self.steps = 0
        self.journal: list[bytes] = []  # Alpha's
        self.written: dict[int, float] = {}  # records: when
        self.arrived: dict[int, float] = {}
        self.plots: list[PlotBatch] = []  # what reached Bravo, from here on
        self.report: TrackReport | None = None
        self.records: list[StoredRecord] = []
        self.seen: list[Received] = []
        self.wake_alpha()
        self.wake_bravo()

    def wake_alpha(self) -> None:
        """Start Alpha, or start it again with a new epoch."""
        self.alpha = self.network.engine("ALPHA")
        self.outlet = WatchedOutlet(self.alpha.outlet("BRAVO"), self.clock)
        self.gateway = Gateway("ALPHA", "BRAVO", self.outlet, self.policy, int(self.clock.time * 1e9))
        self.given = self.outlet.stored  # records that the gateway was given

    def wake_bravo(self) -> None:
        """Start Bravo, or start it again with the records that it holds."""
        self.bravo = self.network.engine("BRAVO", self.skew)
        held = len(self.records)
        self.reader = Reader("ALPHA", self.bravo.inlet("ALPHA", held), held)
        self.report = None

    @property
    def now(self) -> float:
        return self.clock.time

    def write(self, size: int = 400) -> int:
        """Write a record into Alpha's journal."""
        self.journal.append((b"record %d " % (len(self.journal) + 1)).ljust(size, b"."))
        self.written[len(self.journal)] = self.clock.time
        return len(self.journal)

    def step(self) -> None:
        now = self.clock.time
        share = self.plots_per_second * self.pace
        count = int((self.steps + 1) * share) - int(self.steps * share)
        plots = make_plots(
            count,
            sensor=np.arange(self.steps, self.steps + count) % len(SENSORS),
            time=now - 0.1,
            received=now,
            range=50_000.0,
            azimuth=1.0,
            sigma_range=50.0,
            sigma_azimuth=0.001,
        )
        if self.simulated:
            plots.flags[::2] = PlotFlag.SIMULATED
        report = make_report(self.tracks, now) if self.steps % round(1.0 / self.pace) == 0 else None
        if report is not None:
            report.is_simulated[: self.simulated] = True
        records = list(enumerate(self.journal[self.given :], start=self.given + 1))
        self.given = len(self.journal)
        self.gateway.step(now, report, plots, SENSORS, make_health(now), records)
        received = self.reader.step(now + self.skew, self.gateway.status.round_trip)
        if len(received.plots):
            self.plots.append(received.plots)
        if received.report is not None:
            self.report = received.report
        if received.sensors is not None or received.health is not None:
            self.seen.append(received)
        for record in received.records:
            self.arrived[record.sequence] = now
        self.records += received.records
        self.steps += 1
        self.clock.time = START + self.steps * self.pace

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / self.pace)):
            self.step()

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> float:
        """Step until the condition holds; the seconds that it took."""
        begin = self.clock.time
        while not condition():
            assert self.clock.time < begin + seconds, "it never came to hold"
            self.step()
        return self.clock.time - begin

    def until_on(self, rung: Rung) -> float:
        return self.until(lambda: self.gateway.status.rung is rung)

    def cut(self) -> None:
        self.network.cut("ALPHA", "BRAVO")
        self.network.cut("BRAVO", "ALPHA")

    def heal(self) -> None:
        self.network.heal("ALPHA", "BRAVO")
        self.network.heal("BRAVO", "ALPHA")

    def make_thin(self, bytes_per_second: float = 100_000.0, latency: float = 0.5) -> None:
        for ends in (("ALPHA", "BRAVO"), ("BRAVO", "ALPHA")):
            path = self.network.path(*ends)
            path.bytes_per_second, path.latency = bytes_per_second, latency

    def delay(self, record: int) -> float:
        """How long a record took from Alpha's journal to Bravo, s."""
        return self.arrived[record] - self.written[record]

    def plot_count(self) -> int:
        """Plots that reached Bravo."""
        return sum(len(plots) for plots in self.plots)

    def uids(self) -> set[int]:
        """Alpha's tracks in Bravo's picture."""
        return set() if self.report is None else set(self.report.uid[:, 1].tolist())
