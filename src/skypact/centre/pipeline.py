"""Joins the stages: plots in, pictures out, by the plots' times of arrival alone.

The same plots with the same times of arrival give the same pictures to the bit, live, from an
ASTERIX recording or from a plots file, however they were handed over.
"""

from math import ceil, floor

import numpy as np

from skypact.plots.batches import BATCH_DURATION, batch_starts
from skypact.plots.model import PlotBatch, join_plots
from skypact.tracks.model import Picture
from skypact.tracks.tracker import Tracker

LONGEST_SILENCE = 600.0  # s; in a longer gap between plots no pictures are taken


class Pipeline:
    """Batches arriving plots, tracks them, and takes a picture at each whole multiple of `period`.

    A picture holds the batches that closed up to its time, and is taken when time has reached it.
    """

    def __init__(self, tracker: Tracker, period: float = 1.0) -> None:
        """Args: `tracker` gets the batches; `period` between pictures in s."""
        self.tracker = tracker
        self.period = period
        self._open: list[PlotBatch] = []  # plots of batches that have not closed yet
        self._next_picture: int | None = None  # in periods since 1970
        self._time = -np.inf  # up to which everything has arrived

    def feed(self, plots: PlotBatch) -> list[Picture]:
        """Take plots that arrived, in order of arrival; the pictures that fell due up to the last of them.

        A plot that claims to have arrived before time that has already passed counts as arriving now.
        """
        if len(plots) == 0:
            return []
        received = np.maximum.accumulate(np.maximum(plots.received, self._time))
        if not np.array_equal(received, plots.received):
            columns = {name: getattr(plots, name) for name in PlotBatch.__slots__}
            plots = PlotBatch(**(columns | {"received": received}))
        self._open.append(plots)
        return self._run(float(received[-1]))

    def advance(self, time: float) -> list[Picture]:
        """Let time pass up to `time` (UTC s since 1970) without further plots; the pictures that fell due."""
        return self._run(max(time, self._time))

    def finish(self) -> list[Picture]:
        """Let time pass to the first picture that holds every plot."""
        if not self._open:
            return []
        closes = float(self._open[0].received[0]) + BATCH_DURATION
        return self._run(ceil(closes / self.period) * self.period)

    def _run(self, time: float) -> list[Picture]:
        self._time = time
        plots = join_plots(self._open)
        if self._next_picture is None:
            first = float(plots.received[0]) if len(plots) else time
            self._next_picture = ceil(first / self.period)
        pictures: list[Picture] = []
        starts = batch_starts(plots.received)
        ends = np.append(starts, len(plots))[1:]
        kept = 0
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            closes = float(plots.received[start]) + BATCH_DURATION
            if closes > time:
                break
            # A picture at the very time at which a batch closes holds it.
            pictures += self._take_pictures(ceil(closes / self.period))
            self.tracker.process(plots.take(slice(start, end)))
            kept = end
        self._open = [plots.take(slice(kept, len(plots)))] if kept < len(plots) else []
        return pictures + self._take_pictures(floor(time / self.period) + 1)

    def _take_pictures(self, end: int) -> list[Picture]:
        assert self._next_picture is not None
        if (end - self._next_picture) * self.period > LONGEST_SILENCE:
            self._next_picture = end - 1
        pictures = [self.tracker.picture(due * self.period) for due in range(self._next_picture, end)]
        self._next_picture = max(self._next_picture, end)
        return pictures
