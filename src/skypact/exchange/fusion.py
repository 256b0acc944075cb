"""States of one aircraft from several centres' tracks, fused by what their lineages have in common.

Only tracks of a centre's own tracker travel, so nothing that was fused is ever fused again. Two of them
have data in common only where plots were shared, which their lineages tell.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.exchange.correlation import Correlation
from skypact.exchange.kernels import fuse_states, radii_along, separations
from skypact.exchange.model import REPORT_COLUMNS, STALE, TrackReport
from skypact.exchange.numbers import JointNumbers
from skypact.plots.model import NO_ADDRESS, NO_CALLSIGN, NO_SQUAWK

# Correlation of the errors of two trackers without common data: both lag behind a target that manoeuvres.
# Makes the fused covariance as honest as those of the trackers; figures in docs/adr/0004.
ERROR_CORRELATION = 0.6
_UNKNOWN_SPEED = 1_000.0  # m/s; a sigma that takes a velocity out of the fusion
_NO_VALUE = {"squawk": NO_SQUAWK, "address": NO_ADDRESS, "callsign": NO_CALLSIGN, "identity": 0, "kind": 0}


class Source(IntEnum):
    """Where the state of a system track comes from."""

    OWN = 0  # our own tracker alone
    FUSED = 1  # own and partners' tracks whose lineages are disjoint
    INTERSECTED = 2  # the same where lineages overlap: covariance intersection
    PARTNER = 3  # partners' tracks alone, one or several


@dataclass(frozen=True, slots=True)
class FusedReport:
    """The system picture; rows as `Correlation.members`, so the own tracks come first and in order."""

    tracks: TrackReport  # fused states, joint numbers; `uid` of the own track, else of the first partner's
    source: NDArray[np.uint8]  # (G,) Source
    centres: tuple[str, ...]  # that the bits of `centre_bits` and `reporter` point into
    centre_bits: NDArray[np.uint64]  # (G,) bit c: centre c has a track of it
    age: Floats1  # (G,) of the oldest partner's report in the state, s; NaN where there is none
    reporter: NDArray[np.int8]  # (G,) place in `centres` of who holds reporting responsibility

    def __len__(self) -> int:
        return len(self.source)


def fuse(correlation: Correlation, numbers: JointNumbers, plots_shared: Collection[str] = ()) -> FusedReport:
    """The system picture at the time of the correlation.

    The states of a system track are fused in the order of their centres' names, so that two sides with
    the same tracks get the same state.

    Args:
        correlation: which tracks belong together, with their reports.
        numbers: of the same correlation.
        plots_shared: partners with which plots are shared: where there is an own track, its state has
            all that theirs has, and stands.
    """
    members, reports = correlation.members, correlation.reports
    lead = (members >= 0).argmax(axis=1)
    has_own = members[:, 0] >= 0
    columns = {name: _led(correlation, lead, name) for name in REPORT_COLUMNS if name != "sensors"}
    used = members >= 0
    for c, centre in enumerate(correlation.centres):
        if c and centre in plots_shared:
            used[:, c] &= ~has_own
    used = _without_stale(used, correlation.ages)
    lineage = np.zeros((len(members), correlation.lineage[0].shape[1]), np.uint64)
    in_doubt = np.zeros(len(members), np.bool_)
    is_started = np.zeros(len(members), np.bool_)
    missing = np.ones(len(members))  # probability that none of the used tracks has a target
    for c in np.argsort(correlation.centres):
        rows = np.flatnonzero(used[:, c])
        part = members[rows, c]
        report = reports[c]
        overlaps = (lineage[rows] & correlation.lineage[c][part]).any(axis=1)
        joins = is_started[rows]
        in_doubt[rows] |= overlaps & joins
        _fuse_into(columns, rows[joins], report, part[joins], overlaps[joins])
        _start(columns, rows[~joins], report, part[~joins])
        lineage[rows] |= correlation.lineage[c][part]
        is_started[rows] = True
        _merge_facts(columns, rows, report, part)
        disjoint_missing = missing[rows] * (1.0 - report.existence[part])
        missing[rows] = np.where(
            overlaps, np.minimum(missing[rows], 1.0 - report.existence[part]), disjoint_missing
        )
    columns |= {
        "sensors": _sensors_now(correlation, used),
        "existence": 1.0 - missing,
        "number_centre": numbers.number_centre,
        "number": numbers.number,
        "numbered": numbers.numbered,
        "is_reporter": numbers.reporter == 0,
    }
    several = used.sum(axis=1) > 1
    source = np.where(has_own, Source.OWN, Source.PARTNER)
    source[has_own & several] = Source.FUSED
    source[has_own & several & in_doubt] = Source.INTERSECTED
    ages = np.where(used[:, 1:], correlation.ages[1:], -np.inf).max(axis=1, initial=-np.inf)
    bits = (members >= 0).astype(np.uint64) << np.arange(members.shape[1], dtype=np.uint64)
    return FusedReport(
        tracks=TrackReport(
            correlation.time,
            correlation.centres[0],
            numbers.centre_names,
            correlation.sensor_names,
            **columns,
        ),
        source=source.astype(np.uint8),
        centres=correlation.centres,
        centre_bits=np.bitwise_or.reduce(bits, axis=1),
        age=np.where(np.isfinite(ages), ages, np.nan),
        reporter=numbers.reporter,
    )


def _without_stale(used: NDArray[np.bool_], ages: Floats1) -> NDArray[np.bool_]:
    """(G, C) the same without members of old reports, wherever there is one of a newer report."""
    is_stale = ages > STALE
    has_newer = used[:, ~is_stale].any(axis=1, keepdims=True)
    return np.asarray(used & ~(is_stale & has_newer))


def _led(correlation: Correlation, lead: NDArray[np.intp], name: str) -> NDArray:
    """(G, ...) the column of each system track's first member."""
    columns = [getattr(report, name) for report in correlation.reports]
    whole = np.empty((len(lead), *columns[0].shape[1:]), columns[0].dtype)
    for c, column in enumerate(columns):
        rows = np.flatnonzero(lead == c)
        whole[rows] = column[correlation.members[rows, c]]
    return whole


def _start(
    columns: dict[str, NDArray], rows: NDArray[np.intp], report: TrackReport, part: NDArray[np.int32]
) -> None:
    for name in ("latitude", "longitude", "covariance"):
        columns[name][rows] = getattr(report, name)[part]
    columns["velocity"][rows, :2] = report.velocity[part, :2]


def _fuse_into(
    columns: dict[str, NDArray],
    rows: NDArray[np.intp],
    report: TrackReport,
    part: NDArray[np.int32],
    overlaps: NDArray[np.bool_],
) -> None:
    """Fuse the states of a report's rows into those of the columns' rows."""
    latitude, longitude = columns["latitude"][rows], columns["longitude"][rows]
    height, velocity = columns["height"][rows], columns["velocity"][rows]
    their_velocity = report.velocity[part]
    apart = separations(
        latitude, longitude, height, velocity, report.latitude[part], report.longitude[part], their_velocity
    )
    # A velocity that is withheld counts for nothing.
    ours_known = np.isfinite(velocity[:, 0])[:, np.newaxis]
    theirs_known = np.isfinite(their_velocity[:, 0])[:, np.newaxis]
    apart[np.isnan(apart)] = 0.0
    step, covariance = fuse_states(
        apart,
        _without_velocity(columns["covariance"][rows], ~ours_known),
        _without_velocity(report.covariance[part], ~theirs_known),
        overlaps,
        ERROR_CORRELATION,
    )
    east, north = radii_along(latitude, height)
    columns["latitude"][rows] = latitude + step[:, 1] / north
    longitude = longitude + step[:, 0] / east
    columns["longitude"][rows] = (longitude + np.pi) % (2.0 * np.pi) - np.pi
    start = np.where(ours_known, velocity[:, :2], their_velocity[:, :2])
    columns["velocity"][rows, :2] = start + step[:, 2:]
    columns["covariance"][rows] = covariance


def _without_velocity(covariance: NDArray[np.float64], is_unknown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The covariances (K, 4, 4), changed in place to tell nothing of a velocity (K, 1) that is unknown."""
    rows = np.flatnonzero(is_unknown)
    covariance[rows, :2, 2:] = covariance[rows, 2:, :2] = 0.0
    covariance[rows, 2:, 2:] = np.eye(2) * _UNKNOWN_SPEED**2
    return covariance


def _merge_facts(
    columns: dict[str, NDArray], rows: NDArray[np.intp], report: TrackReport, part: NDArray[np.int32]
) -> None:
    """What is not a state: known before unknown, the first member before the others, the newest time."""
    for name, nothing in _NO_VALUE.items():
        held = columns[name][rows]
        columns[name][rows] = np.where(held == nothing, getattr(report, name)[part], held)
    for name in ("height", "altitude"):
        held = columns[name][rows]
        columns[name][rows] = np.where(np.isnan(held), getattr(report, name)[part], held)
    rising = columns["velocity"][rows, 2]
    columns["velocity"][rows, 2] = np.where(np.isnan(rising), report.velocity[part, 2], rising)
    columns["updated"][rows] = np.maximum(columns["updated"][rows], report.updated[part])
    columns["is_coasting"][rows] &= report.is_coasting[part]
    columns["is_simulated"][rows] |= report.is_simulated[part]


def _sensors_now(correlation: Correlation, used: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """(G, W) the sensors that feed a system track now, of all its used members."""
    sensors = np.zeros((len(used), correlation.sensors[0].shape[1]), np.uint64)
    for c, bits in enumerate(correlation.sensors):
        rows = np.flatnonzero(used[:, c])
        sensors[rows] |= bits[correlation.members[rows, c]]
    return sensors
