"""Slow, obvious twins of the tracker's kernels, in matrix form."""

from itertools import product

import numpy as np
from scipy.linalg import expm


def cross_matrix(v):
    return np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])


def mix(mean, cov, weight, elapsed, stay, entry):
    """Full interacting multiple models mixing with the transition matrix that the bank implies."""
    models = len(weight)
    leave = 1.0 - np.exp(-elapsed / stay)
    transition = np.diag(1.0 - leave) + np.outer(leave, entry)
    joint = weight[:, None] * transition
    new_weight = joint.sum(axis=0)
    new_mean, new_cov = np.zeros_like(mean), np.zeros_like(cov)
    for j in range(models):
        share = joint[:, j] / new_weight[j]
        new_mean[j] = share @ mean
        for i in range(models):
            away = mean[i] - new_mean[j]
            new_cov[j] += share[i] * (cov[i] + np.outer(away, away))
    return new_mean, new_cov, new_weight


def predict(mean, cov, rate, elapsed, up, noise_across, noise_up, radius):
    """One model's state after a turn about `up`, by the matrix exponential of its motion."""
    motion = np.zeros((6, 6))
    motion[:3, 3:] = np.eye(3)
    motion[3:, 3:] = rate * cross_matrix(up)
    step = expm(motion * elapsed)
    density = noise_across * (np.eye(3) - np.outer(up, up)) + noise_up * np.outer(up, up)
    noise = np.block(
        [
            [density * elapsed**3 / 3, density * elapsed**2 / 2],
            [density * elapsed**2 / 2, density * elapsed],
        ]
    )
    new_mean = step @ mean
    velocity = new_mean[3:]
    level = velocity - (velocity @ up) * up
    fall = level @ level / radius * up
    new_mean = new_mean - np.concatenate([fall * elapsed**2 / 2, fall * elapsed])
    return new_mean, step @ cov @ step.T + noise


def observation(rows, k, late):
    """Matrix, measured vector and covariance that a set of rows stands for."""
    count = rows.used[k]
    matrix = rows.direction[k, :count].copy()
    measured = rows.value[k, :count, 0] + matrix[:, :3] @ rows.place[k, :3]
    matrix[:, 3:] += late * matrix[:, :3]
    return matrix, measured, np.diag(rows.value[k, :count, 1])


def likelihood(mean, cov, rows, k, late):
    matrix, measured, noise = observation(rows, k, late)
    spread = matrix @ cov @ matrix.T + noise
    residual = measured - matrix @ mean
    distance = residual @ np.linalg.solve(spread, residual)
    return np.exp(-distance / 2) / np.sqrt(np.linalg.det(2 * np.pi * spread)), distance


def update(mean, cov, rows, k, late):
    matrix, measured, noise = observation(rows, k, late)
    spread = matrix @ cov @ matrix.T + noise
    gain = cov @ matrix.T @ np.linalg.inv(spread)
    return mean + gain @ (measured - matrix @ mean), cov - gain @ spread @ gain.T


def pair_beliefs(odds):
    """Exact marginals of a (T, P) matrix of odds, by all assignments of at most one plot a track."""
    tracks, plots = odds.shape
    belief, total = np.zeros_like(odds), 0.0
    for choice in product(range(plots + 1), repeat=tracks):
        chosen = [p for p in choice if p < plots]
        if len(set(chosen)) < len(chosen):
            continue
        weight = np.prod([odds[t, p] for t, p in enumerate(choice) if p < plots])
        total += weight
        for t, p in enumerate(choice):
            if p < plots:
                belief[t, p] += weight
    return belief / total
