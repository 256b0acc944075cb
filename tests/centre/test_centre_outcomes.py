import numpy as np
from hypothesis import given, settings
from hypothesis.strategies import integers

from skypact.centre.outcomes import OutcomeCounter
from skypact.plots.model import Outcome
from skypact.tracks.model import Outcomes


def settled(plots, outcome):
    plots = np.asarray(plots, dtype=np.int64)
    nothing = np.zeros(len(plots), dtype=np.int32)
    kind = np.broadcast_to(np.asarray(outcome, dtype=np.uint8), len(plots))
    return Outcomes(plots, kind, nothing, np.zeros((len(plots), 2), np.uint64), kind)


@given(seed=integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_every_plot_is_counted_once_for_its_sensor_in_whatever_order_fates_are_settled(seed):
    rng = np.random.default_rng(seed)
    counter = OutcomeCounter(3)
    sensors = [rng.integers(0, 3, size).astype(np.int32) for size in rng.integers(0, 6, 8)]
    for sensor in sensors:
        counter.add(sensor)
    sensor = np.concatenate(sensors)
    outcome = rng.integers(0, len(Outcome), len(sensor))
    order = rng.permutation(len(sensor))
    for part in np.array_split(order, 5):
        counter.settle(settled(part, outcome[part]))
    expected = np.zeros((3, len(Outcome)), dtype=np.int64)
    np.add.at(expected, (sensor, outcome), 1)
    np.testing.assert_array_equal(counter.counts, expected)


def test_batches_whose_plots_are_all_settled_are_forgotten():
    counter = OutcomeCounter(1)
    for _ in range(3):
        counter.add(np.zeros(2, dtype=np.int32))
    counter.settle(settled([0, 1, 2, 4, 5], Outcome.CLUTTER))
    assert len(counter._batches) == 2
    assert counter.by_name(0) == {"clutter": 5}
    counter.settle(settled([3], Outcome.UPDATED))
    assert len(counter._batches) == 0
    assert counter.by_name(0) == {"updated": 1, "clutter": 5}
