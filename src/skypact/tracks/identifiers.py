"""Identifiers of tracks: 128 bits from the centre's seed and a counter, never used again."""

import numpy as np
from numpy.typing import NDArray

_MASK = 0xFFFF_FFFF_FFFF_FFFF


def make_uids(serials: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """(N, 2) identifiers of serials, high and low half; 0 for serial -1.

    Both halves are one-to-one functions of the serial, so no two serials of a centre share one.

    Source: G. L. Steele et al., Fast splittable pseudorandom number generators, 2014 (splitmix64).
    """
    uid = np.empty((len(serials), 2), np.uint64)
    counter = serials.astype(np.uint64)
    for half in range(2):
        salt = np.full(len(serials), (2 * seed + half + 1) & _MASK, np.uint64)
        uid[:, half] = _splitmix(_splitmix(counter) ^ _splitmix(salt))
    uid[serials < 0] = 0
    return uid


def _splitmix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = value + np.uint64(0x9E37_79B9_7F4A_7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return value ^ (value >> np.uint64(31))
