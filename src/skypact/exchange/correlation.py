"""Which tracks of several centres are of one aircraft: pairs, bound and let go by rules."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.exchange.extrapolation import extrapolate_report
from skypact.exchange.kernels import group_members
from skypact.exchange.model import TrackReport


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationSettings:
    """Choices of the correlation; times are in s."""

    drop_after: float = 30.0  # tracks of a partner that sent no report for so long leave the picture


@dataclass(frozen=True, slots=True)
class Correlation:
    """The system tracks: which tracks of which centres belong together at one time."""

    time: float  # UTC s since 1970
    centres: tuple[str, ...]  # C of them: the own one first, then the partners by name
    reports: tuple[TrackReport, ...]  # of each centre, extrapolated to `time`
    ages: Floats1  # (C,) of each centre's report, s
    members: NDArray[
        np.int32
    ]  # (G, C) row of each centre's track; -1 for none. The first rows are the own tracks
    sensor_names: tuple[str, ...]  # of all centres, that the bits of `lineage` point into
    lineage: tuple[NDArray[np.uint64], ...]  # of each centre (N, W): sensors that a track owes anything to
    waiting: NDArray[np.int64]  # (C,) likely pairs of the own centre and a partner that wait to be bound

    def rows_of(self, partner: str) -> NDArray[np.int32]:
        """The partner's row for each own track; -1 for none."""
        return self.members[: len(self.reports[0]), self.centres.index(partner)]


class Correlator:
    """Binds and lets go pairs of tracks; keeps what it knows of each pair between calls."""

    def __init__(self, settings: CorrelationSettings = CorrelationSettings()) -> None:
        self.settings = settings
        self._by_hand: dict[tuple[bytes, bytes], bool] = {}

    def bind(self, one: NDArray[np.uint64], other: NDArray[np.uint64]) -> None:
        """A person says that two tracks, by their identifiers (2,), are one aircraft."""
        self._by_hand[_pair_key(one, other)] = True

    def forbid(self, one: NDArray[np.uint64], other: NDArray[np.uint64]) -> None:
        """A person says that two tracks are not one aircraft."""
        self._by_hand[_pair_key(one, other)] = False

    def leave_to_rules(self, one: NDArray[np.uint64], other: NDArray[np.uint64]) -> None:
        """Take back what a person said of two tracks."""
        self._by_hand.pop(_pair_key(one, other), None)

    def update(self, own: TrackReport, partners: Mapping[str, TrackReport], now: float) -> Correlation:
        """The system tracks at `now`.

        Args:
            own: the tracks of our own tracker.
            partners: the newest report of each partner, by the partner's name.
            now: UTC s since 1970.
        """
        fresh = {
            name: partners[name]
            for name in sorted(partners)
            if now - partners[name].time <= self.settings.drop_after
        }
        reports = tuple(extrapolate_report(report, now) for report in (own, *fresh.values()))
        edges = np.zeros((0, 4), np.int64)
        counts = np.array([len(report) for report in reports], np.int64)
        return Correlation(
            time=now,
            centres=(own.centre, *fresh),
            reports=reports,
            ages=np.array([now - report.time for report in (own, *fresh.values())]),
            members=group_members(counts, edges),
            sensor_names=own.sensor_names,
            lineage=tuple(report.sensors for report in reports),
            waiting=np.zeros(len(reports), np.int64),
        )


def _pair_key(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> tuple[bytes, bytes]:
    first, second = sorted((one.tobytes(), other.tobytes()))
    return first, second
