import numpy as np
from hypothesis import given, settings
from hypothesis.strategies import integers

from skypact.benchmarks.scene import scene_sensors
from skypact.centre.outcomes import OutcomeCounter
from skypact.plots.model import Outcome
from skypact.sensors.model import SensorHealth, SensorState
from skypact.tracks.model import OutcomeReason, Outcomes


def settled(plots, outcome, reason=OutcomeReason.NONE):
    plots = np.asarray(plots, dtype=np.int64)
    nothing = np.zeros(len(plots), dtype=np.int32)
    kind = np.broadcast_to(np.asarray(outcome, dtype=np.uint8), len(plots))
    why = np.full(len(plots), reason, dtype=np.uint8)
    return Outcomes(plots, kind, nothing, np.zeros((len(plots), 2), np.uint64), why)


@given(seed=integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_every_plot_is_counted_once_for_its_sensor_in_whatever_order_fates_are_settled(seed):
    rng = np.random.default_rng(seed)
    counter = OutcomeCounter(scene_sensors())
    sensors = [rng.integers(0, 3, size).astype(np.int32) for size in rng.integers(0, 6, 8)]
    for sensor in sensors:
        counter.add(sensor)
    sensor = np.concatenate(sensors)
    outcome = rng.integers(0, len(Outcome), len(sensor))
    order = rng.permutation(len(sensor))
    for part in np.array_split(order, 5):
        counter.settle(settled(part, outcome[part]))
    expected = np.zeros((6, len(Outcome)), dtype=np.int64)
    np.add.at(expected, (sensor, outcome), 1)
    np.testing.assert_array_equal(counter.counts, expected)


def test_batches_whose_plots_are_all_settled_are_forgotten():
    counter = OutcomeCounter(scene_sensors())
    for _ in range(3):
        counter.add(np.zeros(2, dtype=np.int32))
    counter.settle(settled([0, 1, 2, 4, 5], Outcome.CLUTTER))
    assert len(counter._batches) == 2
    counter.settle(settled([3], Outcome.UPDATED))
    assert len(counter._batches) == 0


def silence(count, errors=None):
    """The health of sensors of which only errors are told."""
    return [
        SensorHealth(
            name=f"RADAR {number}",
            kind="ssr",
            state=SensorState.FRESH,
            last_received=None,
            plots_per_second=0.0,
            plots_total=0,
            errors_total=0,
            errors=errors or {},
            rotation_period=None,
            clock_offset=None,
        )
        for number in range(1, count + 1)
    ]


def test_health_tells_outcomes_and_reasons_of_the_tracker_the_assembler_and_impostors_together():
    counter = OutcomeCounter(scene_sensors())
    counter.add(np.zeros(20, dtype=np.int32))
    late = settled(range(12, 17), Outcome.LATE, OutcomeReason.OLDER_THAN_SENSOR)
    for part in (settled(range(12), Outcome.UPDATED), late):
        counter.settle(part)
    filtered = {("1/1", "no position"): 3, ("1/1", "duplicate"): 20, ("9/9", "unknown source"): 7}
    first, other, *_ = counter.add_to(silence(6, {"quarantined": 50}), 0.0, filtered)
    assert first.outcomes == {"updated": 12, "filtered": 23, "late": 5, "quarantined": 50}
    assert first.reasons == {"duplicate": 20, "older than sensor": 5, "no position": 3}
    assert list(first.reasons) == ["duplicate", "older than sensor", "no position"]
    # Neither copies nor what somebody else sent are the sensor's own plots: 12 + 3 + 5 of them are settled.
    assert (first.used_share, first.refused_share) == (12 / 20, 8 / 20)
    assert other.outcomes == {"quarantined": 50}
    assert other.used_share is None


def test_shares_are_of_the_last_minute_and_told_only_of_enough_plots():
    counter = OutcomeCounter(scene_sensors())
    counter.add(np.zeros(120, dtype=np.int32))
    counter.settle(settled(range(100), Outcome.UPDATED))
    used = [counter.add_to(silence(6), float(now), {})[0].used_share for now in range(59)]
    assert used == [1.0] * 59
    counter.settle(settled(range(100, 109), Outcome.LATE))
    assert counter.add_to(silence(6), 59.0, {})[0].refused_share == 9 / 109
    assert counter.add_to(silence(6), 60.0, {})[0].refused_share is None
    counter.settle(settled([109], Outcome.LATE))
    assert counter.add_to(silence(6), 61.0, {})[0].refused_share == 1.0
