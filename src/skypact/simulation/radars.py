"""One radar at work: from beams over targets to plots with noise, bias, merged echoes and clutter."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats2
from skypact.core.geodesy import ecef_from_geodetic, enu_rotation, geodetic_from_ecef
from skypact.core.units import DEGREE, FOOT, KILOMETRE
from skypact.plots.model import NO_SQUAWK, PlotBatch, PlotFlag, make_plots
from skypact.sensors.model import Sensor
from skypact.simulation.kernels import Site, sweep, unresolved_with
from skypact.simulation.model import (
    FALSE_PLOT,
    SECTORS,
    TRANSPONDER_MODE_S,
    TRANSPONDER_NONE,
    Flights,
    Targets,
)
from skypact.simulation.motion import EMERGENCY_CODES
from skypact.simulation.scenario import Radar

PRIMARY_KINDS = ("psr", "radar", "radar_3d")
SECONDARY_KINDS = ("ssr", "mode_s", "radar")
REPLY_PROBABILITY = 0.97  # that a detection of a secondary radar carries its code, and its height
EDGE = 0.9  # share of the range beyond which detection falls, to half at the end
MODE_C_STEP = 100.0 * FOOT
MODE_S_STEP = 25.0 * FOOT
FALSE_REPLY_GARBLED = 0.2  # share of a secondary radar's false plots whose code is marked garbled
FALSE_REPLY_HEIGHT = 0.7  # share of a secondary radar's false plots that carry a height
CLUTTER_CEILING = {False: 12_000.0, True: 400.0}  # m; height that false plots seem to have; True: short range
SHORT_RANGE = 30.0 * KILOMETRE
EARTH_RADIUS = 6_371_000.0  # m
PATCHES = 3
PATCH_AZIMUTH, PATCH_RANGE = 4.0 * DEGREE, 0.04  # sigma of a patch; its range as a share of the radar's


@dataclass(frozen=True, slots=True)
class Observed:
    """The plots of one radar, not yet in order of arrival."""

    plots: PlotBatch
    target: NDArray[np.int64]  # (P,) FALSE_PLOT for none
    sector: NDArray[np.int64]  # (P,) sectors since the radar's first turn began
    turns: Floats1  # (K + 1,) times of the run at which the beam passes north, s


def site_of(radar: Radar, sensor: Sensor) -> Site:
    """The site that kernels read."""
    assert sensor.latitude_deg is not None and sensor.longitude_deg is not None
    assert sensor.range_max_km is not None
    return Site(
        sensor.latitude_deg * DEGREE,
        sensor.longitude_deg * DEGREE,
        sensor.height_m,
        radar.range_min_km * KILOMETRE,
        sensor.range_max_km * KILOMETRE,
        radar.elevation_max_deg * DEGREE,
    )


def detectable(kind: str, targets: Targets) -> NDArray[np.bool_]:
    """(N,) whether a radar of this kind can detect each target: by its echo, or by its transponder."""
    if kind in PRIMARY_KINDS:
        return np.ones(len(targets), dtype=np.bool_)
    return np.asarray(targets.transponder != TRANSPONDER_NONE)


def observe(
    radar: Radar, sensor: Sensor, row: int, targets: Targets, flights: Flights, duration: float,
    height_minus_altitude: float, turns: Floats1, rng: np.random.Generator,
) -> Observed:  # fmt: skip
    """All plots of one radar; times are seconds of the run, `received` is left out.

    Args:
        radar: how it works. sensor: its row in the sensor table, with the site. row: that row.
        targets: who flies. flights: where. duration: of the run, s.
        height_minus_altitude: of the day's air, m.
        turns: of its antenna, as `turn_antenna` gives them.
        rng: this radar's own randomness.
    """
    site = site_of(radar, sensor)
    hits = sweep(
        flights.position, flights.velocity, flights.height, targets.born, targets.died,
        detectable(radar.kind, targets), site, turns,
    )  # fmt: skip
    distance = hits[:, 3]
    edge = np.clip((distance / site.range_max - EDGE) / (1.0 - EDGE), 0.0, 1.0)
    is_detected = rng.random(len(hits)) < radar.detection_probability * (1.0 - 0.5 * edge)
    hits = hits[is_detected]
    hits = hits[np.lexsort((hits[:, 4], hits[:, 1]))]
    real = _real_plots(radar, hits, targets, flights, height_minus_altitude, rng)
    false = _false_plots(radar, site, turns, duration, rng)
    time = np.concatenate([real.time, false.time])
    turn = np.concatenate([real.turn, false.turn])
    beam = np.concatenate([real.beam, false.beam]) * (SECTORS / (2.0 * np.pi))
    columns = {name: np.concatenate([real.measured[name], false.measured[name]]) for name in real.measured}
    columns["sensor"] = np.full(len(time), row)
    is_clear = (columns["flags"] & int(PlotFlag.GARBLED)) == 0
    is_emergency = is_clear & np.isin(columns["squawk"], EMERGENCY_CODES)
    columns["flags"][is_emergency] |= int(PlotFlag.EMERGENCY)
    columns["time"] = time + radar.bias.time_s
    return Observed(
        plots=make_plots(len(time), **columns),
        target=np.concatenate([real.target, false.target]),
        sector=turn * SECTORS + np.minimum(beam.astype(np.int64), SECTORS - 1),
        turns=turns,
    )


Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Sightings:
    """Detections of one radar in the order in which they were made up; one row per plot."""

    target: NDArray[np.int64]  # (P,)
    turn: NDArray[np.int64]  # (P,)
    time: Floats1  # (P,) of detection, s of the run
    beam: Floats1  # (P,) where the beam was then, rad
    measured: Columns  # (P,) each: columns of the plots


def turn_antenna(
    period: float, jitter: float, duration: float, rng: np.random.Generator, before: Floats1 | None = None
) -> Floats1:
    """When an antenna passes north: from the last time before the run to the first after its end.

    Args:
        period: of a turn, s. jitter: standard deviation of turns, as a share of the period.
        duration: of the run, s. rng: of this radar.
        before: what this function gave for a run of the same duration that this one follows.

    Returns:
        (K + 1,) times of the run, s.
    """
    count = int(np.ceil(duration / period * 1.05)) + 2
    lengths = period * (1.0 + jitter * np.clip(rng.standard_normal(count), -3.0, 3.0))
    if before is None:
        starts = np.concatenate([[0.0], np.cumsum(lengths)]) - rng.random() * period
    else:
        under_way, next_north = before[-2:] - duration
        starts = np.concatenate([[under_way, next_north], next_north + np.cumsum(lengths)])
    return starts[: int(np.searchsorted(starts, duration)) + 1].copy()


def _real_plots(
    radar: Radar, hits: Floats2, targets: Targets, flights: Flights,
    height_minus_altitude: float, rng: np.random.Generator,
) -> _Sightings:  # fmt: skip
    target = hits[:, 0].astype(np.int64)
    count = len(target)
    noise = rng.standard_normal((4, count))
    draw = rng.random((2, count))
    is_selective = (radar.kind == "mode_s") & (targets.transponder[target] == TRANSPONDER_MODE_S)
    replies = np.zeros(count, dtype=np.bool_)
    if radar.kind in SECONDARY_KINDS:
        replies = (targets.transponder[target] != TRANSPONDER_NONE) & (draw[0] < REPLY_PROBABILITY)
        if radar.kind != "radar":  # without an echo, a detection is a reply
            replies[:] = True
    second = np.floor(hits[:, 2]).astype(np.int64)
    share = hits[:, 2] - second
    height = (1.0 - share) * flights.height[target, second] + share * flights.height[target, second + 1]
    step = np.where(is_selective, MODE_S_STEP, MODE_C_STEP)
    altitude = np.round((height - height_minus_altitude) / step) * step
    columns: Columns = {
        "range": hits[:, 3].copy(),
        "azimuth": hits[:, 4].copy(),
        "elevation": hits[:, 5].copy(),
        "altitude": np.where(replies & (draw[1] < REPLY_PROBABILITY), altitude, np.nan),
        "squawk": np.where(replies, targets.squawk[target], NO_SQUAWK),
        "address": np.where(is_selective, targets.address[target], -1),
        "callsign": np.where(is_selective, targets.callsign[target], 0),
        "flags": np.zeros(count, dtype=np.int64),
    }
    keep = _merge(radar, hits, is_selective, columns)
    bias = radar.bias
    columns["range"] = (
        columns["range"] * (1.0 + bias.range_gain) + bias.range_m + noise[0] * radar.sigma_range_m
    )
    columns["range"] = np.maximum(columns["range"], 0.0)
    azimuth = columns["azimuth"] + (bias.azimuth_deg + noise[1] * radar.sigma_azimuth_deg) * DEGREE
    columns["azimuth"] = azimuth % (2.0 * np.pi)
    measured = columns["elevation"] + noise[2] * radar.sigma_elevation_deg * DEGREE
    columns["elevation"] = measured if radar.kind == "radar_3d" else np.full(count, np.nan)
    kept = {name: values[keep] for name, values in columns.items()}
    return _Sightings(target[keep], hits[keep, 1].astype(np.int64), hits[keep, 2], hits[keep, 4], kept)


def _merge(
    radar: Radar, hits: Floats2, is_selective: NDArray[np.bool_], columns: Columns
) -> NDArray[np.bool_]:
    """Melt detections in one resolution cell into the first of them; returns which rows remain.

    Mode S replies come one by one, as each aircraft is called by its address: nothing melts.
    """
    keep = np.ones(len(hits), dtype=np.bool_)
    rows = np.flatnonzero(~is_selective)
    owner = unresolved_with(
        hits[rows, 1], hits[rows, 4], hits[rows, 3],
        radar.resolution_azimuth_deg * DEGREE, radar.resolution_range_m,
    ).astype(np.int64)  # fmt: skip
    late = np.flatnonzero(owner >= 0)
    if not len(late):
        return keep
    melted, into = rows[late], rows[owner[late]]
    members = np.ones(len(hits))
    np.add.at(members, into, 1.0)
    for name in ("range", "azimuth", "elevation"):
        total = columns[name].copy()
        np.add.at(total, into, columns[name][melted])
        columns[name][into] = total[into] / members[into]
    keep[melted] = False
    both_reply = (columns["squawk"][into] >= 0) & (columns["squawk"][melted] >= 0)
    # Replies that overlap give the bits of both codes, and no height that could be trusted.
    columns["squawk"][into[both_reply]] |= columns["squawk"][melted[both_reply]]
    columns["altitude"][into[both_reply]] = np.nan
    columns["flags"][into[both_reply]] = int(PlotFlag.GARBLED)
    takes_over = (columns["squawk"][into] < 0) & (columns["squawk"][melted] >= 0)
    for name in ("squawk", "altitude"):
        columns[name][into[takes_over]] = columns[name][melted[takes_over]]
    return keep


def _false_plots(
    radar: Radar, site: Site, turns: Floats1, duration: float, rng: np.random.Generator
) -> _Sightings:
    lengths = np.diff(turns)
    turn = np.repeat(np.arange(len(lengths)), rng.poisson(radar.clutter_per_scan, len(lengths)))
    count = len(turn)
    near, far = (site.range_min / site.range_max) ** 2, 1.0
    distance = site.range_max * np.sqrt(rng.uniform(near, far, count))  # even over the area
    azimuth = rng.uniform(0.0, 2.0 * np.pi, count)
    patch_azimuth, patch_range = rng.uniform(0.0, 2.0 * np.pi, PATCHES), rng.uniform(0.1, 0.7, PATCHES)
    patch = rng.integers(0, PATCHES, count)
    spread = rng.standard_normal((2, count))
    in_patch = rng.random(count) < radar.clutter_in_patches
    azimuth = np.where(in_patch, patch_azimuth[patch] + spread[0] * PATCH_AZIMUTH, azimuth) % (2.0 * np.pi)
    patch_distance = site.range_max * (patch_range[patch] + spread[1] * PATCH_RANGE)
    distance = np.where(in_patch, np.clip(patch_distance, site.range_min, site.range_max), distance)
    time = turns[turn] + azimuth / (2.0 * np.pi) * lengths[turn]

    fall = distance**2 / (2.0 * EARTH_RADIUS)  # of the earth below the horizontal plane
    ceiling = CLUTTER_CEILING[site.range_max <= SHORT_RANGE]
    highest = np.minimum(ceiling, site.height + fall + distance * np.sin(site.elevation_max))
    seeming_height = rng.random(count) * highest
    rise = (seeming_height - site.height - fall) / np.maximum(distance, 1.0)
    elevation = np.arcsin(np.clip(rise, -1.0, 1.0))
    squawk = rng.integers(0, 4096, count)
    is_garbled, has_height = rng.random((2, count))
    replies = radar.kind in ("ssr", "mode_s")
    altitude = np.round(seeming_height / MODE_C_STEP) * MODE_C_STEP
    columns: Columns = {
        "range": distance,
        "azimuth": azimuth,
        "elevation": elevation if radar.kind == "radar_3d" else np.full(count, np.nan),
        "altitude": np.where(replies & (has_height < FALSE_REPLY_HEIGHT), altitude, np.nan),
        "squawk": squawk if replies else np.full(count, NO_SQUAWK),
        "address": np.full(count, -1),
        "callsign": np.zeros(count, dtype=np.int64),
        "flags": np.where(replies & (is_garbled < FALSE_REPLY_GARBLED), int(PlotFlag.GARBLED), 0),
    }
    seen = (time >= 0.0) & (time <= duration)
    kept = {name: values[seen] for name, values in columns.items()}
    nobody = np.full(int(seen.sum()), FALSE_PLOT)
    return _Sightings(nobody, turn[seen], time[seen], azimuth[seen], kept)


def offset_site(latitude: float, longitude: float, east: float, north: float) -> tuple[float, float]:
    """Latitude and longitude (rad) of the point east and north (m) of a place, on its tangent plane."""
    rotation = enu_rotation(latitude, longitude)
    origin = np.array(ecef_from_geodetic(latitude, longitude, 0.0))
    x, y, z = origin + np.array([east, north, 0.0]) @ rotation
    found_latitude, found_longitude, _ = geodetic_from_ecef(x, y, z)
    return found_latitude, found_longitude
