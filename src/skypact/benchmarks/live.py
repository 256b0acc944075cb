"""A whole centre at a large one's load: from a datagram's arrival by UDP to the picture that holds it."""

import time
from pathlib import Path

import msgspec
import numpy as np

from skypact.benchmarks.model import Figure
from skypact.centre.service import Centre
from skypact.centre.settings import CentreSettings, DisplaySettings
from skypact.core.arrays import Floats1
from skypact.plots.batches import BATCH_DURATION
from skypact.plots.model import PlotBatch
from skypact.sensors.receive import UdpReceiver, UdpSource
from skypact.simulation.live import LiveSender
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate
from skypact.tracks.model import Picture

LOOPBACK = "127.0.0.1"
WARM_UP = 25.0  # s in which tracks form
MEASURED = 35.0  # s
STEP = 0.02  # s between two looks at what arrived, as a running centre does


class _Stopwatch:
    """Notes for each plot how long after its arrival the first picture that holds it was handed out."""

    def __init__(self) -> None:
        self.waiting: list[Floats1] = []
        self.delays: list[Floats1] = []
        self.late: list[float] = []  # s from a picture's time until it was handed out
        self.plots = self.tracks = 0

    def note_plots(self, plots: PlotBatch) -> None:
        self.plots += len(plots)
        self.waiting.append(plots.received)

    def note_picture(self, picture: Picture) -> None:
        now = time.time()
        received = np.concatenate(self.waiting) if self.waiting else np.empty(0)
        is_held = received <= picture.time - BATCH_DURATION
        self.delays.append(now - received[is_held])
        self.late.append(now - picture.time)
        self.waiting = [received[~is_held]]
        self.tracks = len(picture)


def run() -> list[Figure]:
    """Delays at 30 sensors, 2,000 plots/s and 4,000 tracks, and the share of one core that it takes."""
    scenario = msgspec.structs.replace(read_scenario("artas"), duration_s=int(WARM_UP + MEASURED) + 10)
    simulation = simulate(scenario, seed=1)
    receiver = UdpReceiver([UdpSource(LOOPBACK, 0) for _ in simulation.sensors.sensors])
    settings = CentreSettings(
        name="BENCH", sensors=simulation.sensors, display=DisplaySettings(LOOPBACK, 0), data=Path()
    )
    centre = Centre(settings, receiver)
    sender = LiveSender(simulation, [(LOOPBACK, port) for port in receiver.ports])
    stopwatch = _Stopwatch()
    receiver.start()
    sender.start()
    try:
        _step_for(centre, WARM_UP)
        centre.on_plots.append(stopwatch.note_plots)
        centre.on_picture.append(stopwatch.note_picture)
        used = _step_for(centre, MEASURED)
    finally:
        sender.stop()
        receiver.stop()
    delays, late = np.concatenate(stopwatch.delays), np.array(stopwatch.late)
    lost = sum(receiver.read_losses().values())
    what = (
        f"{stopwatch.plots / MEASURED:,.0f} plots/s of {len(simulation.sensors)} sensors by UDP, "
        f"{stopwatch.tracks} tracks, a picture each second, {lost} datagrams lost"
    )
    return [
        Figure(name="datagram to picture, p50", value=float(np.median(delays)), unit="s", note=what),
        Figure(name="datagram to picture, p99", value=float(np.quantile(delays, 0.99)), unit="s"),
        Figure(name="picture's time to picture, p50", value=float(np.median(late)) * 1e3, unit="ms"),
        Figure(name="picture's time to picture, p99", value=float(np.quantile(late, 0.99)) * 1e3, unit="ms"),
        Figure(
            name="share of one core for decoding, assembling, tracking",
            value=used / MEASURED,
            unit="",
            target="real time with margin: below 0.5",
        ),
    ]


def _step_for(centre: Centre, seconds: float) -> float:
    """Run the centre for a time; the processor time that its steps took, s."""
    ends = time.monotonic() + seconds
    used = 0.0
    while time.monotonic() < ends:
        began = time.thread_time()
        centre.step()
        used += time.thread_time() - began
        time.sleep(STEP)
    return used
