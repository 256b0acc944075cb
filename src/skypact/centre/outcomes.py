"""Counts what became of plots, by sensor, as the tracker settles them."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Int32s1
from skypact.plots.model import Outcome
from skypact.tracks.model import Outcomes


class OutcomeCounter:
    """Remembers which sensor each plot came from until its fate is settled."""

    def __init__(self, sensors: int) -> None:
        """Args: `sensors` in the table."""
        self.counts: NDArray[np.int64] = np.zeros((sensors, len(Outcome)), dtype=np.int64)  # (S, outcomes)
        self._batches: deque[tuple[int, Int32s1]] = deque()  # first plot, sensor of it and those after it
        self._open: deque[int] = deque()  # plots of each batch that are not settled yet
        self._given = 0

    def add(self, sensor: Int32s1) -> None:
        """Note plots, as the tracker is given them: (P,) row of each in the sensor table."""
        if len(sensor):
            self._batches.append((self._given, sensor))
            self._open.append(len(sensor))
            self._given += len(sensor)

    def settle(self, outcomes: Outcomes) -> None:
        """Count outcomes of plots that were added, and forget batches of which all are settled."""
        if len(outcomes.plot) == 0:
            return
        firsts = np.array([first for first, _ in self._batches])
        batch = np.searchsorted(firsts, outcomes.plot, side="right") - 1
        for place in np.unique(batch).tolist():
            mine = batch == place
            first, sensor = self._batches[place]
            np.add.at(self.counts, (sensor[outcomes.plot[mine] - first], outcomes.outcome[mine]), 1)
            self._open[place] -= int(mine.sum())
        while self._open and self._open[0] == 0:
            self._open.popleft()
            self._batches.popleft()

    def by_name(self, sensor: int) -> dict[str, int]:
        """Plots of a sensor by outcome, in the words of plots files; without those that never occurred."""
        row = self.counts[sensor].tolist()
        return {kind.name.lower(): row[kind] for kind in Outcome if row[kind]}
