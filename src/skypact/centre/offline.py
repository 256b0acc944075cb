"""Tracks recordings offline, with the same pipeline as a live centre."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skypact.centre.pipeline import Pipeline
from skypact.core.parquet import masked, named
from skypact.plots.model import Outcome, PlotBatch
from skypact.plots.parquet import plots_table
from skypact.sensors.model import SensorTable
from skypact.tracks.model import OutcomeReason, Outcomes, Picture
from skypact.tracks.parquet import TracksWriter, uid_texts
from skypact.tracks.tracker import Tracker

CHUNK = 20_000  # plots handed to the pipeline at a time; the result does not depend on it

Progress = Callable[[int, int], None]  # plots done, plots in all


@dataclass(slots=True)
class TrackingSummary:
    """What came of tracking a recording."""

    plots: int = 0
    pictures: int = 0
    tracks: int = 0
    rows: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


def track_plots(
    plots: PlotBatch, tracker: Tracker, period: float, progress: Progress = lambda done, total: None
) -> Iterator[Picture]:
    """The pictures that the plots give, in order of time."""
    pipeline = Pipeline(tracker, period)
    for start in range(0, len(plots), CHUNK):
        yield from pipeline.feed(plots.take(slice(start, start + CHUNK)))
        progress(min(start + CHUNK, len(plots)), len(plots))
    yield from pipeline.finish()


def track_to_files(
    plots: PlotBatch,
    sensors: SensorTable,
    out: Path,
    plots_out: Path | None,
    period: float,
    progress: Progress = lambda done, total: None,
) -> TrackingSummary:
    """Track the plots; write a tracks file and, where asked for, the plots with their outcomes."""
    tracker = Tracker(sensors)
    fates = PlotFates(len(plots))
    summary = TrackingSummary(plots=len(plots))
    numbers: set[bytes] = set()
    with ExitStack() as stack:
        writer = stack.enter_context(TracksWriter(out))
        for picture in track_plots(plots, tracker, period, progress):
            writer.write(picture)
            summary.pictures += 1
            numbers.update(uid.tobytes() for uid in picture.uid)
            fates.settle(tracker.take_outcomes())
        fates.close()
        summary.rows = writer.rows
    summary.tracks = len(numbers)
    summary.outcomes = fates.counts()
    if plots_out is not None:
        pq.write_table(fates.append_to(plots_table(plots, sensors)), plots_out)
    return summary


class PlotFates:
    """Collects the outcome of each plot of a recording."""

    def __init__(self, count: int) -> None:
        """Args: `count` plots in the recording."""
        self._outcome: NDArray[np.int16] = np.full(count, -1, dtype=np.int16)
        self._reason: NDArray[np.int16] = np.full(count, -1, dtype=np.int16)
        self._uid: NDArray[np.uint64] = np.zeros((count, 2), dtype=np.uint64)
        self._number: NDArray[np.int32] = np.full(count, -1, dtype=np.int32)

    def settle(self, outcomes: Outcomes) -> None:
        """Note the outcomes that the tracker has settled."""
        self._outcome[outcomes.plot] = outcomes.outcome
        self._reason[outcomes.plot] = outcomes.reason
        self._uid[outcomes.plot] = outcomes.uid
        self._number[outcomes.plot] = outcomes.number

    def close(self) -> None:
        """Settle the plots that no track has claimed by the end of the recording."""
        open_plots = self._outcome < 0
        self._outcome[open_plots] = Outcome.CLUTTER
        self._reason[open_plots] = OutcomeReason.STILL_OPEN

    def counts(self) -> dict[str, int]:
        """Plots by outcome, in the words of plots files."""
        return {kind.name.lower(): int((self._outcome == kind).sum()) for kind in Outcome}

    def track_index(self) -> NDArray[np.int64]:
        """(P,) a number for the track that each plot started or updated; -1 where it fed none."""
        fed = (self._outcome == Outcome.UPDATED) | (self._outcome == Outcome.STARTED)
        _, index = np.unique(self._uid, axis=0, return_inverse=True)
        return np.where(fed, index.ravel(), -1)

    def append_to(self, table: pa.Table) -> pa.Table:
        """The plots' table with `outcome, track, uid, reason`."""
        uids = pa.array(uid_texts(self._uid), type=pa.string(), mask=(self._uid == 0).all(axis=1))
        return (
            table.append_column("outcome", named(self._outcome, _words(Outcome)))
            .append_column("track", masked(self._number, -1, pa.int32()))
            .append_column("uid", uids)
            .append_column("reason", named(self._reason, _words(OutcomeReason)))
        )


def _words(kind: type[Outcome] | type[OutcomeReason]) -> list[str]:
    return [member.name.lower().replace("_", " ") for member in kind]
