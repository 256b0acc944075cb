"""The bank's measurement side: how likely a plot is under each model, and what it does to the states."""

from math import exp, pi, sqrt

import numpy as np

from skypact.core.arrays import Floats1, Floats2, Floats3, MutableFloats1, MutableFloats2, MutableFloats3
from skypact.core.jit import kernel
from skypact.tracks.measurement import ROWS_MOST, Rows

_PER_ROOT_TWO_PI = 1.0 / sqrt(2.0 * pi)


@kernel
def pair_likelihoods(
    mean: Floats2, cov: Floats3, rows: Rows, k: int, late: float, likelihood: MutableFloats1
) -> float:
    """How likely a plot is under each model's prediction.

    Args:
        mean: (M, 6) predictions, m and m/s. cov: (M, 6, 6) their covariances.
        rows: the plot's rows, at place `k`.
        late: time of the plot minus that of the prediction, s; taken along the velocity.
        likelihood: (M,) written to: densities in the units of the rows (1/m for each, s/m for a rate).

    Returns:
        The smallest squared Mahalanobis distance of any model; infinite when no model gives a proper one.
    """
    count = rows.used[k]
    row = np.empty((ROWS_MOST, 6))
    spread = np.empty((ROWS_MOST, 6))
    joint = np.empty((ROWS_MOST, ROWS_MOST))
    residual = np.empty(ROWS_MOST)
    for r in range(count):
        for i in range(3):
            row[r, i] = rows.direction[k, r, i]
            row[r, 3 + i] = rows.direction[k, r, 3 + i] + late * rows.direction[k, r, i]
    nearest = np.inf
    for m in range(len(mean)):
        for r in range(count):
            left = rows.value[k, r, 0]
            for i in range(3):
                left += row[r, i] * (rows.place[k, i] - mean[m, i]) - row[r, 3 + i] * mean[m, 3 + i]
            residual[r] = left
            for i in range(6):
                total = 0.0
                for j in range(6):
                    total += cov[m, i, j] * row[r, j]
                spread[r, i] = total
            for c in range(r + 1):
                total = 0.0
                for i in range(6):
                    total += row[c, i] * spread[r, i]
                joint[r, c] = total
            joint[r, r] += rows.value[k, r, 1]
        distance = 0.0
        density = 1.0
        # One row after the other, each freed of what the earlier ones tell (a Cholesky factorisation).
        for r in range(count):
            pivot = joint[r, r]
            if not pivot > 0.0:
                density, distance = 0.0, np.inf
                break
            distance += residual[r] * residual[r] / pivot
            density *= _PER_ROOT_TWO_PI / sqrt(pivot)
            for later in range(r + 1, count):
                gain = joint[later, r] / pivot
                residual[later] -= gain * residual[r]
                for c in range(r + 1, later + 1):
                    joint[later, c] -= gain * joint[c, r]
        likelihood[m] = density * exp(-0.5 * distance) if distance < 1400.0 else 0.0
        nearest = min(nearest, distance)
    return nearest


@kernel
def update_models(
    mean: MutableFloats2, cov: MutableFloats3, weight: MutableFloats1, rows: Rows, k: int, late: float
) -> float:
    """Take a plot into every model, one scalar at a time, and reweigh the models, all in place.

    Args and units as for `pair_likelihoods`; `weight`: (M,) probability of each model.

    Returns:
        The density of the plot under the whole bank before the update; 0 (and nothing
        changed but the states) when no model finds it possible.
    """
    row = np.empty(6)
    gain = np.empty(6)
    density_total = 0.0
    models = len(weight)
    density = np.empty(models)
    for m in range(models):
        density[m] = weight[m]
        distance = 0.0
        for r in range(rows.used[k]):
            left = rows.value[k, r, 0]
            for i in range(3):
                row[i] = rows.direction[k, r, i]
                row[3 + i] = rows.direction[k, r, 3 + i] + late * row[i]
                left += row[i] * (rows.place[k, i] - mean[m, i]) - row[3 + i] * mean[m, 3 + i]
            total = rows.value[k, r, 1]
            for i in range(6):
                spread = 0.0
                for j in range(6):
                    spread += cov[m, i, j] * row[j]
                gain[i] = spread
                total += row[i] * spread
            if not total > 0.0:
                continue
            distance += left * left / total
            density[m] *= _PER_ROOT_TWO_PI / sqrt(total)
            for i in range(6):
                mean[m, i] += gain[i] * left / total
                for j in range(i, 6):
                    cov[m, i, j] -= gain[i] * gain[j] / total
                    cov[m, j, i] = cov[m, i, j]
        density[m] *= exp(-0.5 * min(distance, 1400.0))
        density_total += density[m]
    if density_total > 0.0:
        for m in range(models):
            # No model dies out: it would take too long to come back.
            weight[m] = max(density[m] / density_total, 1e-4)
    return density_total


@kernel
def combine_models(
    mean: Floats2, cov: Floats3, weight: Floats1, whole_mean: MutableFloats1, whole_cov: MutableFloats2
) -> None:
    """Mean (6,) and covariance (6, 6) of the whole bank, written to the last two arguments."""
    total = 0.0
    for m in range(len(weight)):
        total += weight[m]
    for i in range(6):
        value = 0.0
        for m in range(len(weight)):
            value += weight[m] * mean[m, i]
        whole_mean[i] = value / total
    for i in range(6):
        for j in range(i, 6):
            value = 0.0
            for m in range(len(weight)):
                away = (mean[m, i] - whole_mean[i]) * (mean[m, j] - whole_mean[j])
                value += weight[m] * (cov[m, i, j] + away)
            whole_cov[i, j] = value / total
            whole_cov[j, i] = whole_cov[i, j]


@kernel
def blend_banks(
    mean: MutableFloats2,
    cov: MutableFloats3,
    weight: MutableFloats1,
    share: float,
    other_mean: Floats2,
    other_cov: Floats3,
    other_weight: Floats1,
    other_share: float,
) -> None:
    """Blend a second hypothesis into the bank, model by model, keeping mean and covariance, in place.

    Args:
        mean, cov, weight: the bank so far, with probability `share`.
        other_mean, other_cov, other_weight: the same of the other hypothesis, with probability `other_share`.
    """
    apart = np.empty(6)
    for m in range(len(weight)):
        own = share * weight[m]
        other = other_share * other_weight[m]
        total = own + other
        weight[m] = total / (share + other_share)
        if total <= 0.0:
            continue
        own, other = own / total, other / total
        for i in range(6):
            apart[i] = other_mean[m, i] - mean[m, i]
            mean[m, i] += other * apart[i]
        for i in range(6):
            for j in range(6):
                cov[m, i, j] = (
                    own * cov[m, i, j] + other * other_cov[m, i, j] + own * other * apart[i] * apart[j]
                )


@kernel
def copy_bank(
    mean: Floats2,
    cov: Floats3,
    weight: Floats1,
    new_mean: MutableFloats2,
    new_cov: MutableFloats3,
    new_weight: MutableFloats1,
) -> None:
    """Copy the states, covariances and probabilities of a bank to the last three arguments."""
    for m in range(len(weight)):
        new_weight[m] = weight[m]
        for i in range(6):
            new_mean[m, i] = mean[m, i]
            for j in range(6):
                new_cov[m, i, j] = cov[m, i, j]
