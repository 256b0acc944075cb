"""From a plot at one centre's receiver to the track that it updates at the partner's: two whole centres.

Each is a process with half of a preset's radars by UDP, its tracker, its gateway and reader, and its NATS
server; all by one clock, and on the cores of this machine.
"""

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from skypact.benchmarks.linked import EVERYTHING, LOOPBACK, STEP, Remote, introduce, together
from skypact.benchmarks.model import Figure
from skypact.centre.exchange import open_exchange
from skypact.centre.outcomes import OutcomeCounter
from skypact.centre.service import Centre
from skypact.centre.settings import CentreSettings, DisplaySettings, ExchangeSettings
from skypact.core.clock import SystemClock
from skypact.plots.batches import BATCH_DURATION
from skypact.plots.model import Outcome, PlotBatch
from skypact.sensors.model import ReferencePoint, Sensor, SensorTable, make_sensor_table
from skypact.sensors.receive import UdpReceiver, UdpSource
from skypact.simulation.live import LiveSender
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import FIRST_SAC, simulate
from skypact.tracks.model import Outcomes

WARM_UP = 25.0  # s in which tracks form, at most this and half of all
_LATEST = 2.0  # s at the end whose plots may still be under way

_BATCH_NOTE = f"a batch closes {BATCH_DURATION * 1e3:.0f} ms after its first plot"

Key = tuple[float, float]  # of a plot: its time of detection and its azimuth, which travel to the bit


@dataclass(slots=True)
class Noted:
    """What one centre saw of plots; times in UTC s."""

    received: dict[Key, float] = field(default_factory=dict)  # own plots: at the receiver
    given: dict[Key, float] = field(default_factory=dict)  # and when the gateway had handed them over
    came: dict[Key, float] = field(default_factory=dict)  # partners' plots: in the tracker's input
    updated: dict[Key, float] = field(default_factory=dict)  # those that updated a track, once it was
    tracks: int = 0
    used: float = 0.0  # processor time of all threads, s


class _NotingCounter(OutcomeCounter):
    """Notes when plots have updated tracks."""

    def __init__(self, sensors: SensorTable, noted: Noted) -> None:
        super().__init__(sensors)
        self.noted = noted
        self.keys: dict[int, Key] = {}  # partners' plots by their place in the tracker's order
        self.confirmed: set[bytes] = set()  # tracks that were updated before

    def settle(self, outcomes: Outcomes) -> None:
        """Note plots that updated a track which people had seen before."""
        now = time.time()
        tracks = [uid.tobytes() for uid in outcomes.uid]
        for plot, outcome, track in zip(outcomes.plot.tolist(), outcomes.outcome, tracks, strict=True):
            key = self.keys.pop(plot, None)
            if key is not None and outcome == Outcome.UPDATED and track in self.confirmed:
                self.noted.updated[key] = now
        self.confirmed.update(tracks)
        super().settle(outcomes)


class WholeCentre:
    """One centre as it runs, but for its page."""

    def __init__(
        self, folder: Path, name: str, port: int, sensors: list[Sensor], reference: ReferencePoint
    ) -> None:
        """Open the centre whose keys are in `folder`, to exchange everything with its partners."""
        table = make_sensor_table(sensors, reference, name)
        release = folder / name / "release"
        self._settings = CentreSettings(
            name=name,
            sensors=table,
            display=DisplaySettings(LOOPBACK, 0),
            data=folder / name,
            exchange=ExchangeSettings((LOOPBACK, port), policies=release),
        )
        release.mkdir()
        for partner in (path.name for path in folder.iterdir()):
            (release / f"{partner}.toml").write_bytes(EVERYTHING)
        self.receiver = UdpReceiver([UdpSource(LOOPBACK, 0) for _ in sensors])
        clock = SystemClock()
        self._exchange = open_exchange(self._settings, clock)
        self._centre = Centre(self._settings, self.receiver, clock, self._exchange.federation)
        self._own = len(sensors)
        self._noted = Noted()
        self._counter = self._centre.outcomes = _NotingCounter(table, self._noted)
        self._plots = 0
        self._centre.on_plots.append(self._note_plots)
        self.receiver.start()

    def ports(self) -> list[int]:
        """Where its radars send to."""
        return self.receiver.ports

    def run(self, seconds: float) -> Noted:
        """Run for a time; what was seen in it."""
        self._noted = self._counter.noted = Noted()
        used = time.process_time()
        ends = time.time() + seconds
        while (began := time.time()) < ends:
            self._centre.step()
            time.sleep(max(0.0, began + STEP - time.time()))
        self._noted.used = time.process_time() - used
        self._noted.tracks = len(self._centre.tracker.picture(time.time()))
        return self._noted

    def close(self) -> None:
        """Stop all."""
        self.receiver.stop()
        self._exchange.close()

    def _note_plots(self, plots: PlotBatch) -> None:
        now = time.time()
        keys = list(zip(plots.time.tolist(), plots.azimuth.tolist(), strict=True))
        for row, (key, sensor) in enumerate(zip(keys, plots.sensor.tolist(), strict=True)):
            if sensor < self._own:
                self._noted.received[key] = float(plots.received[row])
                self._noted.given[key] = now
            else:
                self._noted.came[key] = now
                self._counter.keys[self._plots + row] = key
        self._plots += len(plots)


def arrival_figures(preset: str, seconds: float) -> list[Figure]:
    """Figures of a preset whose radars are the two partners', after half a minute at most of warming up."""
    warm_up = min(WARM_UP, 0.5 * seconds)
    scenario = msgspec.structs.replace(read_scenario(preset), duration_s=int(seconds + warm_up) + 30)
    simulation = simulate(scenario, seed=1)
    names = ("ALPHA", "BRAVO")
    sensors = simulation.sensors.sensors
    rows = {
        name: [row for row, sensor in enumerate(sensors) if sensor.sac == FIRST_SAC + place]
        for place, name in enumerate(names)
    }
    reference = ReferencePoint(latitude_deg=scenario.latitude_deg, longitude_deg=scenario.longitude_deg)
    with tempfile.TemporaryDirectory() as folder:
        centres = [
            Remote(WholeCentre, Path(folder), name, port, [sensors[row] for row in rows[name]], reference)
            for name, port in introduce(Path(folder), names).items()
        ]
        try:
            addresses: dict[int, int] = {}
            for name, ports in zip(names, together(centres, "ports"), strict=True):
                addresses |= dict(zip(rows[name], ports, strict=True))
            sender = LiveSender(simulation, [(LOOPBACK, addresses[row]) for row in range(len(sensors))])
            sender.start()
            try:
                together(centres, "run", warm_up)
                alpha, bravo = together(centres, "run", seconds)
            finally:
                sender.stop()
        finally:
            for centre in centres:
                centre.close()
    return _figures(preset, seconds, alpha, bravo)


def _figures(preset: str, seconds: float, alpha: Noted, bravo: Noted) -> list[Figure]:
    ends = max(alpha.given.values()) - _LATEST
    known = [key for key in bravo.updated if key in alpha.received]
    whole = np.array([bravo.updated[key] - alpha.received[key] for key in known])
    parts = {
        "receiver to handed over": [alpha.given[key] - alpha.received[key] for key in known],
        "handed over to the partner's tracker": [bravo.came[key] - alpha.given[key] for key in known],
        "there to the updated track": [bravo.updated[key] - bravo.came[key] for key in known],
    }
    due = [key for key, given in alpha.given.items() if given < ends]
    lost = sum(key not in bravo.came for key in due)
    what = f"{preset}: plot at the receiver to the updated track at the partner"
    note = (
        f"{len(alpha.given) / seconds:.0f} plots/s given, {lost} lost; "
        f"{bravo.tracks} tracks there; the centres took {alpha.used / seconds:.2f} and "
        f"{bravo.used / seconds:.2f} of a core"
    )
    return [
        *(
            Figure(
                name=f"{what}, p{share}",
                value=float(np.percentile(whole, share)) * 1e3,
                unit="ms",
                target="at most 250" if share == 99 else "",
                note=note,
            )
            for share in (50, 99)
        ),
        *(
            Figure(
                name=f"of it, {part}, p{share}",
                value=float(np.percentile(spent, share)) * 1e3,
                unit="ms",
                note=_BATCH_NOTE if part.startswith("there") else "",
            )
            for part, spent in parts.items()
            for share in (50, 99)
        ),
    ]
