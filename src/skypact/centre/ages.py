"""How long ago each kind of sensor fed each track, from the outcomes of the plots."""

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats2
from skypact.plots.model import Outcome, PlotBatch
from skypact.sensors.model import SensorKind, SensorTable
from skypact.tracks.model import Outcomes, Picture

TECHNOLOGIES = ("PSR", "SSR", "MDS", "ES", "MLT")  # as I062/290 names them
_PSR, _SSR, _MDS, _ES, _MLT = range(5)
_NUMBERS = 65_536  # track numbers are below; those from 32,768 are of tracks that only partners have
KEPT = 120.0  # s; a plot whose fate is settled later than that no longer makes a track younger


class SourceAges:
    """The latest detection that fed each track, by technology.

    Plots must be noted in the order in which the tracker gets them, since outcomes name them by place.
    """

    def __init__(self, sensors: SensorTable) -> None:
        """Args: `sensors` of the plots."""
        self._kind = sensors.kind
        self._latest = np.full((_NUMBERS, len(TECHNOLOGIES)), -np.inf)
        self._uid = np.zeros((_NUMBERS, 2), dtype=np.uint64)
        self._first = 0  # place of the first plot that is kept
        self._time = np.empty(0)
        self._technology = np.empty(0, dtype=np.int64)
        self._received = np.empty(0)

    def add_sensors(self, sensors: SensorTable) -> None:
        """Go on with a longer table that begins with the present sensors."""
        self._kind = sensors.kind

    def note_plots(self, plots: PlotBatch) -> None:
        """Remember what the next plots of the tracker were."""
        kind = self._kind[plots.sensor]
        technology = np.select(
            [kind == SensorKind.ADSB, kind == SensorKind.MLAT, plots.address >= 0, plots.squawk >= 0],
            [_ES, _MLT, _MDS, _SSR],
            default=_PSR,
        )
        old = int(np.searchsorted(self._received, plots.received[-1] - KEPT)) if len(plots) else 0
        self._first += old
        self._time = np.concatenate([self._time[old:], plots.time])
        self._received = np.concatenate([self._received[old:], plots.received])
        self._technology = np.concatenate([self._technology[old:], technology])

    def note_outcomes(self, outcomes: Outcomes) -> None:
        """Take in which tracks the plots fed."""
        place = outcomes.plot - self._first
        fed = (outcomes.outcome == Outcome.UPDATED) | (outcomes.outcome == Outcome.STARTED)
        rows = np.flatnonzero(fed & (outcomes.number >= 0) & (place >= 0) & (place < len(self._time)))
        number = outcomes.number[rows]
        is_other = (self._uid[number] != outcomes.uid[rows]).any(axis=1)
        self._latest[number[is_other]] = -np.inf
        self._uid[number] = outcomes.uid[rows]
        np.maximum.at(self._latest, (number, self._technology[place[rows]]), self._time[place[rows]])

    def ages(self, picture: Picture, rows: NDArray[np.intp]) -> Floats2:
        """(R, 5) s since each of `TECHNOLOGIES` fed each track; NaN where it never did."""
        number = picture.number[rows]
        age = np.maximum(picture.time - self._latest[number], 0.0)
        is_known = np.isfinite(age) & (self._uid[number] == picture.uid[rows]).all(axis=1)[:, None]
        return np.where(is_known, age, np.nan)
