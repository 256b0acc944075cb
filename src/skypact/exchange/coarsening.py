"""Data made coarser before it leaves: rounded to whole steps, with an accuracy that says so.

Rounding is the same each time, so that many reports of one place tell no more of it than one does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats3
from skypact.core.geodesy import SEMI_MAJOR_AXIS


def round_to(values: NDArray[Any], step: float | Floats1) -> NDArray[Any]:
    """The multiple of `step` that is nearest to each value; NaN stays."""
    rounded: NDArray[Any] = np.round(values / step) * step
    return rounded


def round_place(latitude: Floats1, longitude: Floats1, step: float) -> tuple[Floats1, Floats1]:
    """The middle of the cell of about `step` by `step` m that each place (rad) lies in, rad."""
    turn = step / SEMI_MAJOR_AXIS
    row = np.clip(round_to(latitude, turn), -np.pi / 2.0, np.pi / 2.0)
    # The width of a cell follows from its row alone, so that it tells nothing of the place in it.
    column = round_to(longitude, turn / np.maximum(np.cos(row), 0.01))
    return row, np.clip(column, -np.pi, np.pi)


def coarse_sigma(sigma: Floats1, step: float | Floats1) -> Floats1:
    """A standard deviation with the error of rounding in it, rounded up to whole steps."""
    rounded: Floats1 = np.ceil(np.hypot(sigma, step / np.sqrt(12.0)) / step) * step
    return rounded


def coarse_covariance(covariance: Floats3, position_step: float, velocity_step: float) -> Floats3:
    """(N, 4, 4) covariances that are nowhere smaller than the given ones with the error of rounding.

    For a whole with blocks A, B on its diagonal, that with blocks 2A, 2B and nothing beside them is
    never smaller; a block that is to be coarse then becomes a multiple of the unit matrix, so that the
    accuracy shows in whole steps only.
    """
    coarse = np.zeros_like(covariance)
    for block, step in ((slice(0, 2), position_step), (slice(2, 4), velocity_step)):
        doubled = 2.0 * covariance[:, block, block]
        if step:
            largest = np.sqrt(_largest_eigenvalues(doubled))
            doubled = (coarse_sigma(largest, step) ** 2)[:, np.newaxis, np.newaxis] * np.eye(2)
        coarse[:, block, block] = doubled
    return coarse


def _largest_eigenvalues(matrices: Floats3) -> Floats1:
    """(N,) of (N, 2, 2) symmetric matrices."""
    mean = (matrices[:, 0, 0] + matrices[:, 1, 1]) / 2.0
    half: Floats1 = np.hypot((matrices[:, 0, 0] - matrices[:, 1, 1]) / 2.0, matrices[:, 0, 1])
    largest: Floats1 = mean + half
    return largest
