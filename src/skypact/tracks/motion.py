"""How targets move: the bank of motion models, their mixing, and prediction on the round earth."""

from math import cos, exp, sin, sqrt
from typing import NamedTuple

import numpy as np

from skypact.core.arrays import Floats1, Floats2, MutableFloats1, MutableFloats2, MutableFloats3
from skypact.core.geodesy import SEMI_MAJOR_AXIS
from skypact.core.jit import kernel
from skypact.core.units import DEGREE, STANDARD_GRAVITY

# Columns of `Motion.models`; each model is a turn about the vertical (or none) plus white acceleration.
M_TURN_SIGN = 0  # +1 or -1, 0 for straight flight
M_TURN_ACCELERATION = 1  # across the path, m/s²
M_TURN_LEAST = 2  # the turn rate is never less, rad/s
M_TURN_MOST = 3  # nor more, rad/s
M_NOISE_ACROSS = 4  # density of horizontal white acceleration at 100 m/s and above, m²/s³
M_NOISE_UP = 5  # and of vertical, m²/s³
M_STAY = 6  # mean time until a target leaves this way of moving, s
M_ENTRY = 7  # share of the leavers that change to it; sums to 1


class Motion(NamedTuple):
    """The bank of M motion models."""

    models: Floats2  # (M, 8)


def make_motion() -> Motion:
    """The bank for everything that flies.

    Straight flight; anything at all; turns of 3 degrees/s, the standard rate of air traffic (ICAO
    Doc 8168); and a fighter's moderate and hard turns. Slow craft turn faster: the bank's
    standard turns then follow a sideways acceleration. The hard models are wide in the
    vertical too, as who pulls 5 g climbs steeply. Chosen by what lowers error and breaks of the
    simulation's presets, jets of 2 to 7 g among them.
    """
    rate = 3.0 * DEGREE
    moderate, hard = 2.2 * STANDARD_GRAVITY, 5.0 * STANDARD_GRAVITY
    return Motion(
        np.array(
            [
                [0.0, 0.0, 0.0, 0.0, 0.5, 0.7, 45.0, 0.44],
                [0.0, 0.0, 0.0, 0.0, 500.0, 800.0, 6.0, 0.16],
                [1.0, 4.0, rate, 0.5, 4.0, 1.5, 18.0, 0.08],
                [-1.0, 4.0, rate, 0.5, 4.0, 1.5, 18.0, 0.08],
                [1.0, moderate, 0.0, 0.8, 130.0, 300.0, 8.0, 0.07],
                [-1.0, moderate, 0.0, 0.8, 130.0, 300.0, 8.0, 0.07],
                [1.0, hard, 0.0, 0.8, 350.0, 500.0, 8.0, 0.05],
                [-1.0, hard, 0.0, 0.8, 350.0, 500.0, 8.0, 0.05],
            ]
        )
    )


@kernel
def mix_models(
    mean: MutableFloats2, cov: MutableFloats3, weight: MutableFloats1, elapsed: float, motion: Motion
) -> None:
    """Let targets change their way of moving during `elapsed` seconds, in place.

    All that leave their model meet in one common pool, described by its mean and covariance, and
    enter the models by `entry`: the interacting multiple models filter with a transition matrix of rank
    one plus a diagonal, so that the work grows with the models and not with their square.

    Args:
        mean: (M, 6) position and velocity of each model, m and m/s.
        cov: (M, 6, 6) their covariances.
        weight: (M,) probability of each model.
        elapsed: s.
        motion: the bank.

    Source: H. A. P. Blom, Y. Bar-Shalom, The interacting multiple model algorithm, 1988.
    """
    models = len(weight)
    leaving = np.empty(models)
    pool = 0.0
    for m in range(models):
        leaving[m] = weight[m] * (1.0 - exp(-elapsed / motion.models[m, M_STAY]))
        pool += leaving[m]
    if pool <= 0.0:
        return
    pool_mean = np.zeros(6)
    pool_cov = np.zeros((6, 6))
    for m in range(models):
        share = leaving[m] / pool
        for i in range(6):
            pool_mean[i] += share * mean[m, i]
    for m in range(models):
        share = leaving[m] / pool
        for i in range(6):
            away = mean[m, i] - pool_mean[i]
            for j in range(6):
                pool_cov[i, j] += share * (cov[m, i, j] + away * (mean[m, j] - pool_mean[j]))
    apart = np.empty(6)
    for m in range(models):
        staying = weight[m] - leaving[m]
        entering = motion.models[m, M_ENTRY] * pool
        total = staying + entering
        weight[m] = total
        if total <= 0.0:
            continue
        own, other = staying / total, entering / total
        for i in range(6):
            apart[i] = mean[m, i] - pool_mean[i]
            mean[m, i] = own * mean[m, i] + other * pool_mean[i]
        for i in range(6):
            for j in range(6):
                cov[m, i, j] = own * cov[m, i, j] + other * pool_cov[i, j] + own * other * apart[i] * apart[j]


@kernel
def _turn_matrices(
    rate: float, elapsed: float, up: Floats1, move: MutableFloats2, turn: MutableFloats2
) -> None:
    """Velocity to displacement (`move`) and to later velocity (`turn`) in a turn about `up` (Rodrigues)."""
    angle = rate * elapsed
    if abs(angle) < 1e-6:
        cosine, sine, sine_time, versine_time = 1.0, angle, elapsed, 0.5 * angle * elapsed
    else:
        cosine, sine = cos(angle), sin(angle)
        sine_time, versine_time = sine / rate, (1.0 - cosine) / rate
    for i in range(3):
        for j in range(3):
            vertical = up[i] * up[j]
            turn[i, j] = (1.0 - cosine) * vertical
            move[i, j] = (elapsed - sine_time) * vertical
    for i in range(3):
        turn[i, i] += cosine
        move[i, i] += sine_time
        # The cross product with the vertical, as a matrix.
        after, before = (i + 1) % 3, (i + 2) % 3
        turn[after, i] += sine * up[before]
        turn[before, i] -= sine * up[after]
        move[after, i] += versine_time * up[before]
        move[before, i] -= versine_time * up[after]


@kernel
def _apply_move(
    mean: MutableFloats1,
    cov: MutableFloats2,
    move: Floats2,
    turn: Floats2,
    moved: MutableFloats2,
    crossed: MutableFloats2,
) -> None:
    """State and covariance after a linear move of the velocity, in place; the last two are work room."""
    vx, vy, vz = mean[3], mean[4], mean[5]
    for i in range(3):
        mean[i] += move[i, 0] * vx + move[i, 1] * vy + move[i, 2] * vz
        mean[3 + i] = turn[i, 0] * vx + turn[i, 1] * vy + turn[i, 2] * vz
    for i in range(3):
        for j in range(3):
            # Velocity with velocity moved into the position, and the new position with velocity.
            moved[i, j] = move[i, 0] * cov[3, 3 + j] + move[i, 1] * cov[4, 3 + j] + move[i, 2] * cov[5, 3 + j]
            crossed[i, j] = cov[i, 3 + j] + moved[i, j]
    for i in range(3):
        for j in range(i, 3):
            value = cov[i, j]
            for k in range(3):
                value += crossed[i, k] * move[j, k] + move[i, k] * cov[3 + k, j]
            cov[i, j] = value
    for i in range(3):
        for j in range(i):
            cov[i, j] = cov[j, i]
    for i in range(3):
        for j in range(3):
            value = 0.0
            turned = 0.0
            for k in range(3):
                value += crossed[i, k] * turn[j, k]
                turned += turn[i, k] * cov[3 + k, 3 + j]
            cov[i, 3 + j] = value
            moved[i, j] = turned
    for i in range(3):
        for j in range(i, 3):
            value = 0.0
            for k in range(3):
                value += moved[i, k] * turn[j, k]
            crossed[i, j] = value
    for i in range(3):
        for j in range(3):
            cov[3 + i, 3 + j] = crossed[i, j] if i <= j else crossed[j, i]
            cov[3 + j, i] = cov[i, 3 + j]


@kernel
def predict_models(
    mean: MutableFloats2, cov: MutableFloats3, weight: Floats1, elapsed: float, up: Floats1, motion: Motion
) -> None:
    """Move each model's state `elapsed` seconds on, in place.

    The turn and the noise are about the vertical at the target, and level flight follows the
    earth's curve. Turn rates and noise suit the speed of the whole track.

    Args:
        mean: (M, 6) position and velocity in the centre's frame, m and m/s.
        cov: (M, 6, 6) their covariances.
        weight: (M,) probability of each model.
        elapsed: s, 0 or more.
        up: (3,) unit vector, the vertical at the target.
        motion: the bank.
    """
    speed_squared = 0.0
    for m in range(len(weight)):
        for i in range(3, 6):
            speed_squared += weight[m] * (mean[m, i] * mean[m, i] + cov[m, i, i])
    speed = max(sqrt(speed_squared), 1.0)
    # Slow craft are small: they accelerate less, in proportion to their speed, down to a floor.
    scale = min(max(speed / 100.0, 0.15), 1.0)
    move = np.empty((3, 3))
    turn = np.empty((3, 3))
    moved = np.empty((3, 3))
    crossed = np.empty((3, 3))
    for m in range(len(weight)):
        rate = 0.0
        if motion.models[m, M_TURN_SIGN] != 0.0:
            rate = min(
                max(motion.models[m, M_TURN_ACCELERATION] / speed, motion.models[m, M_TURN_LEAST]),
                motion.models[m, M_TURN_MOST],
            )
            rate *= motion.models[m, M_TURN_SIGN]
        _turn_matrices(rate, elapsed, up, move, turn)
        _apply_move(mean[m], cov[m], move, turn, moved, crossed)
        level = 0.0
        rising = mean[m, 3] * up[0] + mean[m, 4] * up[1] + mean[m, 5] * up[2]
        for i in range(3):
            along = mean[m, 3 + i] - rising * up[i]
            level += along * along
        fall = level / SEMI_MAJOR_AXIS
        across, upward = motion.models[m, M_NOISE_ACROSS] * scale, motion.models[m, M_NOISE_UP] * scale
        cubic, square = elapsed * elapsed * elapsed / 3.0, elapsed * elapsed / 2.0
        for i in range(3):
            mean[m, i] -= 0.5 * fall * elapsed * elapsed * up[i]
            mean[m, 3 + i] -= fall * elapsed * up[i]
            for j in range(3):
                noise = (upward - across) * up[i] * up[j]
                if i == j:
                    noise += across
                cov[m, i, j] += noise * cubic
                cov[m, i, 3 + j] += noise * square
                cov[m, 3 + i, j] += noise * square
                cov[m, 3 + i, 3 + j] += noise * elapsed
