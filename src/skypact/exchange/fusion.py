"""States of one aircraft from several centres' tracks, fused by what their lineages have in common."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.exchange.correlation import Correlation
from skypact.exchange.model import REPORT_COLUMNS, TrackReport
from skypact.exchange.numbers import JointNumbers


class Source(IntEnum):
    """Where the state of a system track comes from."""

    OWN = 0  # our own tracker alone
    FUSED = 1  # own and partners' tracks whose lineages are disjoint
    INTERSECTED = 2  # the same where lineages overlap or are in doubt: covariance intersection
    PARTNER = 3  # partners' tracks alone


@dataclass(frozen=True, slots=True)
class FusedReport:
    """The system picture; rows as `Correlation.members`, so the own tracks come first and in order."""

    tracks: (
        TrackReport  # fused states, with joint numbers; `uid` of the own track, else of the first partner's
    )
    source: NDArray[np.uint8]  # (G,) Source
    centres: tuple[str, ...]  # that the bits of `centre_bits` and `reporter` point into
    centre_bits: NDArray[np.uint64]  # (G,) bit c: centre c has a track of it
    age: Floats1  # (G,) of the oldest partner's report in the state, s; NaN where there is none
    reporter: NDArray[np.int8]  # (G,) place in `centres` of who holds reporting responsibility

    def __len__(self) -> int:
        return len(self.source)


def fuse(correlation: Correlation, numbers: JointNumbers, plots_shared: Collection[str] = ()) -> FusedReport:
    """The system picture at the time of the correlation.

    Args:
        correlation: which tracks belong together, with their reports.
        numbers: of the same correlation.
        plots_shared: partners whose plots our tracker gets, and ours theirs: the own state stands
            where there is one.
    """
    members = correlation.members
    lead = (members >= 0).argmax(axis=1)
    columns = {}
    for name in REPORT_COLUMNS:
        parts = [getattr(report, name)[members[lead == c, c]] for c, report in enumerate(correlation.reports)]
        whole = np.empty((len(members), *parts[0].shape[1:]), parts[0].dtype)
        for c, part in enumerate(parts):
            if name != "sensors":
                whole[lead == c] = part
        columns[name] = whole
    width = max(lineage.shape[1] for lineage in correlation.lineage)
    columns["sensors"] = np.zeros((len(members), width), np.uint64)
    columns |= {
        "number_centre": numbers.number_centre,
        "number": numbers.number,
        "numbered": numbers.numbered,
        "is_reporter": numbers.reporter == 0,
    }
    bits = (members >= 0).astype(np.uint64) << np.arange(members.shape[1], dtype=np.uint64)
    return FusedReport(
        tracks=TrackReport(
            correlation.time,
            correlation.centres[0],
            numbers.centre_names,
            correlation.sensor_names,
            **columns,
        ),
        source=np.where(lead == 0, Source.OWN, Source.PARTNER).astype(np.uint8),
        centres=correlation.centres,
        centre_bits=bits.sum(axis=1),
        age=np.where(lead == 0, np.nan, correlation.ages[lead]),
        reporter=numbers.reporter,
    )
