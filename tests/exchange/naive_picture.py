"""Slow and obvious twins of the kernels of the one picture, written apart from them."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from skypact.exchange.kernels import offset_between


def compare(one, i, other, j, gate):
    """Squared distance and log-likelihood ratio of two rows of reports, None where the pair is forbidden."""
    if one.is_simulated[i] != other.is_simulated[j]:
        return None
    both_addressed = one.address[i] >= 0 and other.address[j] >= 0
    if both_addressed and one.address[i] != other.address[j]:
        return None
    widest = gate.address_distance if both_addressed else gate.distance
    place = offset_between(
        one.latitude[i], one.longitude[i], one.height[i], other.latitude[j], other.longitude[j]
    )
    apart = np.array([*place, *(other.velocity[j, :2] - one.velocity[i, :2])])
    joint = one.covariance[i] + other.covariance[j]
    joint[:2, :2] += np.eye(2) * gate.bias**2
    if np.isnan(apart).any():
        apart, joint = apart[:2], joint[:2, :2]
    else:
        for velocity in (one.velocity[i, :2], other.velocity[j, :2]):
            joint[:2, :2] += 0.5 * gate.skew**2 * np.outer(velocity, velocity)
    distance = apart @ np.linalg.inv(joint) @ apart
    density = np.exp(-0.5 * distance) / np.sqrt(np.linalg.det(2.0 * np.pi * joint))
    unrelated = gate.density
    if len(apart) == 4:
        unrelated /= 4.0 * np.pi * gate.speed**2
    ratio = np.log(density / unrelated) if density > 0 else -np.inf
    rise, sigma = other.altitude[j] - one.altitude[i], gate.altitude
    if np.isnan(rise):
        rise, sigma = other.height[j] - one.height[i], gate.height
    if not np.isnan(rise):
        distance += (rise / sigma) ** 2
        ratio += max(np.log(12_000.0 / (2.5 * sigma)), 0.0) - 0.5 * (rise / sigma) ** 2
    if distance > widest:
        return None
    if both_addressed:
        ratio += gate.same_address
    if min(one.squawk[i], other.squawk[j]) >= 0:
        ratio += gate.same_squawk if one.squawk[i] == other.squawk[j] else gate.other_squawk
    if one.callsign[i] and other.callsign[j]:
        ratio += gate.same_callsign if one.callsign[i] == other.callsign[j] else gate.other_callsign
    return distance, ratio


def best_sum(pairs, ratio, ones, others):
    """The largest sum of ratios that an assignment can have."""
    table = np.zeros((ones, others + ones))
    for (i, j), value in zip(pairs, ratio, strict=True):
        table[i, j] = max(table[i, j], value)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return table[rows, columns].sum()


def fuse(apart, covariance, other, is_in_doubt, correlation):
    """Step and covariance of one fused pair."""
    one_information, other_information = np.linalg.inv(covariance), np.linalg.inv(other)
    distance = apart @ np.linalg.inv(covariance + other) @ apart
    scale = max(1.0, distance / 4.0)
    if is_in_doubt:
        det = np.linalg.det
        both = det(one_information + other_information)
        weight = np.clip((both - det(other_information) + det(one_information)) / (2.0 * both), 0.0, 1.0)
        fused = np.linalg.inv(weight * one_information + (1.0 - weight) * other_information)
        return fused @ ((1.0 - weight) * other_information) @ apart, scale * fused
    gain = covariance @ np.linalg.inv(covariance + other)
    # The covariance of a weighted sum of two errors that are correlated.
    cross = correlation * np.linalg.cholesky(covariance) @ np.linalg.cholesky(other).T
    weights = np.hstack([np.eye(4) - gain, gain])
    both = np.block([[covariance, cross], [cross.T, other]])
    return gain @ apart, scale * (weights @ both @ weights.T)


def extrapolate(covariance, speed, elapsed, noise):
    """The covariance of straight flight with white acceleration."""
    move = np.eye(4)
    move[0, 2] = move[1, 3] = elapsed
    q = noise * np.clip(speed / 100.0, 0.15, 1.0) * abs(elapsed)
    span = abs(elapsed)
    added = np.zeros((4, 4))
    added[:2, :2] = np.eye(2) * q * span**3 / 3.0
    added[:2, 2:] = added[2:, :2] = np.eye(2) * q * span * elapsed / 2.0
    added[2:, 2:] = np.eye(2) * q * span
    return move @ covariance @ move.T + added
