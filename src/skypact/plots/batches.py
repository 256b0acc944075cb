"""Cuts arriving plots into batches, by their times of arrival alone."""

import numpy as np

from skypact.core.arrays import Floats1, Ints1
from skypact.core.jit import kernel

BATCH_DURATION = 0.05  # s; a batch closes this long after its first plot


@kernel
def batch_starts(received: Floats1) -> Ints1:
    """Index of the first plot of each batch.

    Args:
        received: (P,) times of arrival, never decreasing, s.

    Returns:
        (B,) indices; a plot that arrives 50 ms or more after the first of a batch starts the next.
    """
    starts = np.empty(len(received), dtype=np.int64)
    count = 0
    first = -np.inf
    for p in range(len(received)):
        if received[p] >= first + BATCH_DURATION:
            starts[count] = p
            first = received[p]
            count += 1
    return starts[:count].copy()
