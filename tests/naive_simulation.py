"""Slow and obvious twins of the simulation's kernels, written apart from them."""

import numpy as np
from pyproj import Transformer

GEOCENTRIC = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


def earth_centred(latitude, longitude, height):
    return np.array(GEOCENTRIC.transform(np.degrees(longitude), np.degrees(latitude), height)).T


def seen_from(site, points):
    """Range, azimuth and elevation of earth-centred points (P, 3) from latitude, longitude, height."""
    latitude, longitude, height = site
    east = np.array([-np.sin(longitude), np.cos(longitude), 0.0])
    up = np.array(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    )
    north = np.cross(up, east)
    sight = np.atleast_2d(points) - earth_centred(latitude, longitude, height)
    distance = np.linalg.norm(sight, axis=1)
    azimuth = np.arctan2(sight @ east, sight @ north) % (2 * np.pi)
    return distance, azimuth, np.arcsin(sight @ up / distance)


def passages(place, site, turn_start, turn_end, steps=4000):
    """Times at which a beam that turns evenly crosses a target whose place is a function of time."""
    times = np.linspace(turn_start, turn_end, steps)
    azimuth = seen_from(site, np.array([place(time) for time in times]))[1]
    beam = (times - turn_start) / (turn_end - turn_start) * 2 * np.pi
    ahead = beam - np.unwrap(azimuth)
    crossing = []
    for turn in (-2 * np.pi, 0.0, 2 * np.pi):
        rows = np.flatnonzero((ahead[:-1] - turn < 0) & (ahead[1:] - turn >= 0))
        crossing += [
            times[row] + (turn - ahead[row]) / (ahead[row + 1] - ahead[row]) * (times[1] - times[0])
            for row in rows
        ]
    return crossing


def melted_into(turn, azimuth, distance, cell_azimuth, cell_range):
    owner = [-1] * len(turn)
    for late in range(len(turn)):
        for early in reversed(range(late)):
            in_cell = (
                turn[early] == turn[late]
                and azimuth[late] - azimuth[early] < cell_azimuth
                and abs(distance[late] - distance[early]) < cell_range
            )
            if in_cell:
                owner[late] = early if owner[early] < 0 else owner[early]
                break
    return owner
