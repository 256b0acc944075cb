"""How fast the tracker is: plots a second on one core, and how long a batch and a picture take.

Speeds are per second of processor time of the one thread, as other work on the machine would blur
them; latencies are by the wall clock. The peers do far less: one Kalman filter for one target,
predicted and updated, without any association.
"""

import time
from importlib.util import find_spec

import numpy as np

from skypact.benchmarks.model import Figure
from skypact.core.arrays import Floats1
from skypact.plots.batches import batch_starts
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate
from skypact.tracks.tracker import Tracker

PERIOD = 1.0  # s between pictures
WARM_UP = 30.0  # s of the run whose batches don't count as latency: tracks are still forming
PEER_STEPS = 2_000
STONE_SOUP_STEPS = 300


def run() -> list[Figure]:
    """Speed and latency at the load of a large centre (`artas`) and of a nation (`national`)."""
    peers = {"a Kalman filter in numpy, one target": numpy_filter_rate()}
    if find_spec("stonesoup"):
        peers["Stone Soup, one extended Kalman filter"] = stone_soup_rate()
    figures = []
    for preset, target in (("artas", "real time with margin: 2,000 plots/s"), ("national", "50,000 plots/s")):
        figures += tracker_speed(preset, target, peers)
    return figures


def tracker_speed(preset: str, target: str, peers: dict[str, float]) -> list[Figure]:
    """Track a preset; plots a second against each peer's updates a second, and latencies."""
    simulation = simulate(read_scenario(preset), seed=1)
    plots = simulation.plots
    tracker = Tracker(simulation.sensors)
    starts = batch_starts(plots.received)
    ends = np.append(starts, len(plots))[1:]
    due = float(np.ceil(plots.received[0]))
    first = due + WARM_UP
    used = 0.0
    batches: list[float] = []
    pictures: list[float] = []
    shown = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        batch = plots.take(slice(start, end))
        arrived = float(batch.received[0])
        while arrived > due:
            begin = time.perf_counter()
            shown = len(tracker.picture(due))
            pictures.append(time.perf_counter() - begin)
            due += PERIOD
        begin, begin_used = time.perf_counter(), time.thread_time()
        tracker.process(batch)
        used += time.thread_time() - begin_used
        if arrived > first:
            batches.append(time.perf_counter() - begin)
    speed = len(plots) / used
    span = float(plots.received[-1] - plots.received[0])
    what = (
        f"{len(plots)} plots of {len(simulation.sensors)} sensors in {span:.0f} s, "
        f"{shown} tracks shown; {speed * span / len(plots):.0f} times real time"
    )
    figures = [
        Figure(
            name=f"{preset}: plots tracked per second",
            value=speed,
            unit="1/s",
            peer=peer,
            peer_value=rate,
            ratio=speed / rate,
            target=target,
            note=what,
        )
        for peer, rate in peers.items()
    ]
    for name, seconds in (("batch", batches), ("picture", pictures)):
        for share in (50, 99):
            value = float(np.percentile(seconds, share)) * 1e3
            note = f"{len(seconds)} of them, wall clock"
            figures.append(Figure(name=f"{preset}: {name}, p{share}", value=value, unit="ms", note=note))
    return figures


def numpy_filter_rate(steps: int = PEER_STEPS) -> float:
    """Updates a second of one Kalman filter with six states and three measurements, in plain numpy."""
    rng = np.random.default_rng(1)
    move = np.eye(6) + np.diag(np.full(3, 4.0), 3)
    noise = np.diag([30.0, 30.0, 30.0, 4.0, 4.0, 4.0])
    seen = np.eye(3, 6)
    error = np.diag([100.0**2, 100.0**2, 30.0**2])
    mean: Floats1 = np.zeros(6)
    cov = np.diag([1e4, 1e4, 1e4, 1e4, 1e4, 1e2])
    measured = rng.standard_normal((steps, 3)) * 100.0
    begin = time.thread_time()
    for z in measured:
        mean, cov = move @ mean, move @ cov @ move.T + noise
        innovation = seen @ cov @ seen.T + error
        gain = np.linalg.solve(innovation, seen @ cov).T
        mean, cov = mean + gain @ (z - seen @ mean), cov - gain @ innovation @ gain.T
    return steps / (time.thread_time() - begin)


def stone_soup_rate(steps: int = STONE_SOUP_STEPS) -> float:
    """Updates a second of Stone Soup's extended Kalman filter with range and bearing, one target."""
    from datetime import datetime, timedelta

    from stonesoup.models.measurement.nonlinear import CartesianToBearingRange
    from stonesoup.models.transition.linear import CombinedLinearGaussianTransitionModel, ConstantVelocity
    from stonesoup.predictor.kalman import KalmanPredictor
    from stonesoup.types.detection import Detection
    from stonesoup.types.hypothesis import SingleHypothesis
    from stonesoup.types.state import GaussianState
    from stonesoup.updater.kalman import ExtendedKalmanUpdater

    predictor = KalmanPredictor(
        CombinedLinearGaussianTransitionModel([ConstantVelocity(30.0), ConstantVelocity(30.0)])
    )
    sensor = CartesianToBearingRange(
        ndim_state=4, mapping=(0, 2), noise_covar=np.diag([np.radians(0.08) ** 2, 70.0**2])
    )
    updater = ExtendedKalmanUpdater(sensor)
    at = datetime(2026, 1, 1)
    state = GaussianState([[50e3], [200.0], [50e3], [0.0]], np.diag([1e4, 1e4, 1e4, 1e4]), timestamp=at)
    begin = time.thread_time()
    for _ in range(steps):
        at += timedelta(seconds=4)
        prediction = predictor.predict(state, timestamp=at)
        detection = Detection(
            sensor.function(prediction, noise=False), timestamp=at, measurement_model=sensor
        )
        state = updater.update(SingleHypothesis(prediction, detection))
    return steps / (time.thread_time() - begin)
