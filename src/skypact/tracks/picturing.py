"""The picture's states: confirmed tracks extrapolated to one time."""

import numpy as np

from skypact.core.arrays import Floats2, Floats3, Ints1
from skypact.core.geodesy import geodetic_from_ecef
from skypact.core.jit import kernel
from skypact.tracks.earth import Frame, height_and_vertical
from skypact.tracks.filtering import combine_models, copy_bank
from skypact.tracks.measurement import level_axes
from skypact.tracks.motion import Motion, mix_models, predict_models
from skypact.tracks.state import ACTIVE, ACTIVE_LIST, CONFIRMED, T_HIDDEN, T_STATUS, T_TIME, Book, Tracks


@kernel
def list_shown(tracks: Tracks, book: Book) -> Ints1:
    """The slots of confirmed tracks that are not hidden."""
    shown = np.empty(book.counts[ACTIVE], np.int64)
    count = 0
    for place in range(book.counts[ACTIVE]):
        t = tracks.lists[ACTIVE_LIST, place]
        if tracks.ints[t, T_STATUS] == CONFIRMED and tracks.ints[t, T_HIDDEN] == 0:
            shown[count] = t
            count += 1
    return shown[:count].copy()


@kernel
def extrapolate_tracks(
    slots: Ints1,
    time: float,
    tracks: Tracks,
    frame: Frame,
    motion: Motion,
) -> tuple[Floats2, Floats2, Floats3, Floats2]:
    """States of the tracks in `slots` at `time` (s); the tracks themselves stay as they are.

    Returns:
        (N, 3) positions in the centre's frame, m; (N, 3) velocities east, north and up at the
        target, m/s; (N, 4, 4) covariances of position east and north and velocity east and north
        there, in m and m/s; and (N, 3) latitude (rad), longitude (rad) and height (m).
    """
    count = len(slots)
    position = np.empty((count, 3))
    velocity = np.empty((count, 3))
    covariance = np.empty((count, 4, 4))
    geodetic = np.empty((count, 3))
    models = tracks.weight.shape[1]
    mean, cov, weight = np.empty((models, 6)), np.empty((models, 6, 6)), np.empty(models)
    whole, whole_cov = np.empty(6), np.empty((6, 6))
    up = np.empty(3)
    axes = np.empty((2, 3))
    for n in range(count):
        t = slots[n]
        copy_bank(tracks.mean[t], tracks.cov[t], tracks.weight[t], mean, cov, weight)
        elapsed = time - tracks.real[t, T_TIME]
        if elapsed > 0.0:
            at = tracks.whole[t]
            _, up[0], up[1], up[2] = height_and_vertical(at[0], at[1], at[2], frame)
            mix_models(mean, cov, weight, elapsed, motion)
            predict_models(mean, cov, weight, elapsed, up, motion)
        combine_models(mean, cov, weight, whole, whole_cov)
        if elapsed < 0.0:
            for i in range(3):
                whole[i] += elapsed * whole[3 + i]
        x, y, z = whole[0], whole[1], whole[2]
        _, ux, uy, uz = height_and_vertical(x, y, z, frame)
        axes[0, 0], axes[0, 1], axes[0, 2], axes[1, 0], axes[1, 1], axes[1, 2] = level_axes(x, y, z, frame)
        ex, ey, ez = frame.origin[0], frame.origin[1], frame.origin[2]
        for i in range(3):
            position[n, i] = whole[i]
            ex += frame.rotation[i, 0] * whole[i]
            ey += frame.rotation[i, 1] * whole[i]
            ez += frame.rotation[i, 2] * whole[i]
        geodetic[n, 0], geodetic[n, 1], geodetic[n, 2] = geodetic_from_ecef(ex, ey, ez)
        velocity[n, 2] = ux * whole[3] + uy * whole[4] + uz * whole[5]
        for i in range(2):
            velocity[n, i] = axes[i, 0] * whole[3] + axes[i, 1] * whole[4] + axes[i, 2] * whole[5]
        for a in range(4):
            for b in range(4):
                value = 0.0
                for k in range(3):
                    for h in range(3):
                        value += (
                            axes[a % 2, k] * whole_cov[3 * (a // 2) + k, 3 * (b // 2) + h] * axes[b % 2, h]
                        )
                covariance[n, a, b] = value
    return position, velocity, covariance, geodetic
