import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, lists

from skypact.plots.batches import BATCH_DURATION, batch_starts

pytestmark = pytest.mark.kernels


def naive_starts(received):
    starts = []
    for p, time in enumerate(received):
        if not starts or time >= received[starts[-1]] + BATCH_DURATION:
            starts.append(p)
    return starts


@given(gaps=lists(floats(0.0, 0.1), max_size=40))
@settings(max_examples=100)
def test_batches_are_those_of_the_naive_twin(gaps):
    received = 1e9 + np.cumsum(np.array(gaps, dtype=np.float64))
    assert batch_starts(received).tolist() == naive_starts(received)
