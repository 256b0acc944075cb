"""What partners' tracks bring: position error, completeness and honesty of the fused picture.

The radars of scenario `standard` are dealt out to two centres (or three), each with a tracker of its
own. Reports travel for one second. Errors, honesty (normalised error squared, 1 when covariances are
exact) and completeness are those of `skypact evaluate`; what is fused is held against the same tracks
before fusion, at the same seconds.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skypact.benchmarks.model import Figure
from skypact.centre.offline import track_plots
from skypact.centre.system_picture import report_of, with_numbers
from skypact.core.arrays import Floats1
from skypact.evaluation.model import Scores, Tracks, Truth
from skypact.evaluation.read import read_truth
from skypact.evaluation.scores import score
from skypact.exchange.correlation import Correlation, Correlator
from skypact.exchange.fusion import Source, fuse
from skypact.exchange.model import TrackReport
from skypact.exchange.numbers import JointNumbers, NumberBook
from skypact.simulation.files import write_truth
from skypact.simulation.model import Simulation
from skypact.simulation.scenario import Scenario, read_scenario
from skypact.simulation.world import simulate
from skypact.tracks.settings import TrackerSettings
from skypact.tracks.tracker import Tracker

_TWO = ((0, 1, 2), (3, 4, 5))  # radars of each centre: west and east
_THREE = ((0, 3), (1, 4), (2, 5))  # mixed, so that all see most of the area
_SETTLED = 60.0  # s from the start that are not scored
_FALL = 300.0  # s of the start at which plots cease to be shared
_FADED = 60.0  # s after which the memory of shared plots is taken to have faded
_GOAL = "at most 1.1"


@dataclass(slots=True)
class _Rows:
    """Tracks of one second after the other, to be scored."""

    parts: list[tuple[float, TrackReport]] = field(default_factory=list)

    def add(self, report: TrackReport, rows: NDArray) -> None:
        self.parts.append((report.time, report.take(rows)))

    def tracks(self) -> Tracks:
        """All as the evaluation takes them; a track is what bears one joint number."""
        reports = [report for _, report in self.parts]
        names = sorted({name for report in reports for name in report.centre_names})
        track = np.concatenate(
            [
                np.array([names.index(name) for name in report.centre_names])[report.number_centre] * 100_000
                + report.number
                for report in reports
            ]
        )
        numbers, place = np.unique(track, return_inverse=True)

        def column(name: str) -> NDArray[np.float64]:
            return np.concatenate([getattr(report, name) for report in reports])

        velocity, covariance = column("velocity"), column("covariance")
        return Tracks(
            time=np.concatenate([np.full(len(report), time) for time, report in self.parts]),
            track=place,
            latitude=column("latitude"),
            longitude=column("longitude"),
            height=column("height"),
            east=velocity[:, 0],
            north=velocity[:, 1],
            variance_east=covariance[:, 0, 0],
            variance_north=covariance[:, 1, 1],
            covariance=covariance[:, 0, 1],
            names=numbers,
        )


@dataclass(slots=True)
class _Mode:
    """One way of sharing: the whole pictures, and fused tracks beside the same before fusion."""

    alone: _Rows = field(default_factory=_Rows)
    together: _Rows = field(default_factory=_Rows)
    fused: _Rows = field(default_factory=_Rows)
    unfused: list[_Rows] = field(default_factory=lambda: [_Rows(), _Rows(), _Rows()])
    changes: int = 0


def run(seeds: int = 3) -> list[Figure]:
    """Figures of each way of sharing, over `seeds` seeds."""
    figures: list[Figure] = []
    for name, measure in (
        ("tracks", share_tracks),
        ("after a fall from plots", fall_from_plots),
        ("three centres", three_centres),
    ):
        scored = [measure(read_scenario("standard"), seed) for seed in range(1, seeds + 1)]
        figures += _figures(name, scored)
    return figures


@dataclass(frozen=True, slots=True)
class FusionScores:
    """Scores of one run, all of the first centre's pictures but `unfused`."""

    alone: Scores  # its own tracks
    together: Scores  # the system picture
    fused: Scores  # the tracks that all centres have, fused
    unfused: list[Scores]  # the same tracks as each centre has them, at the same seconds
    changes: int  # of joint numbers of its own tracks


def _figures(name: str, scored: Sequence[FusionScores]) -> list[Figure]:
    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    def peers(one: FusionScores, key: str) -> float:
        return mean([float(getattr(scores, key)) for scores in one.unfused])

    seeds = f"mean of {len(scored)} seeds"
    honest, before = mean([one.fused.anees for one in scored]), mean([peers(one, "anees") for one in scored])
    figures = [
        Figure(
            name=f"{name}: normalised error squared, fused to unfused",
            value=honest / before,
            unit="",
            target=_GOAL,
            note=f"{honest:.3f} against {before:.3f}; {seeds}",
        )
    ]
    for key in ("rmse", "median_error"):
        value, peer = (
            mean([getattr(one.fused, key) for one in scored]),
            mean([peers(one, key) for one in scored]),
        )
        figures.append(
            Figure(
                name=f"{name}: {key.replace('_', ' ')}",
                value=value,
                unit="m",
                peer="the same tracks before fusion",
                peer_value=peer,
                ratio=peer / value,
                note=seeds,
            )
        )
    for key in ("completeness", "ambiguity"):
        value, peer = (
            mean([getattr(one.together, key) for one in scored]),
            mean([getattr(one.alone, key) for one in scored]),
        )
        figures.append(
            Figure(name=f"{name}: {key}", value=value, unit="", peer="alone", peer_value=peer, note=seeds)
        )
    return figures


def share_tracks(scenario: Scenario, seed: int) -> FusionScores:
    """Two centres share tracks; the first minute is not scored."""
    simulation = simulate(scenario, seed)
    reports = [_reports(simulation, radars, place) for place, radars in enumerate(_TWO)]
    return _scored(simulation, _combine(reports), simulation.start + _SETTLED)


def fall_from_plots(scenario: Scenario, seed: int) -> FusionScores:
    """Two centres share plots for five minutes and tracks from then on: the minute after that."""
    simulation = simulate(scenario, seed)
    fall = simulation.start + _FALL
    reports = [_reports(simulation, radars, place, shared_until=fall) for place, radars in enumerate(_TWO)]
    return _scored(simulation, _combine(reports, fall), fall, fall + _FADED)


def three_centres(scenario: Scenario, seed: int) -> FusionScores:
    """Three centres share tracks; the first minute is not scored."""
    simulation = simulate(scenario, seed)
    reports = [_reports(simulation, radars, place) for place, radars in enumerate(_THREE)]
    return _scored(simulation, _combine(reports), simulation.start + _SETTLED)


def _reports(
    simulation: Simulation, radars: tuple[int, ...], place: int, shared_until: float = -np.inf
) -> list[TrackReport]:
    """What the tracker of one centre reports each second, from its radars and, for a time, from all."""
    plots = simulation.plots
    mine = np.isin(plots.sensor, radars) | (plots.received < shared_until)
    tracker = Tracker(simulation.sensors, TrackerSettings(centre_seed=place + 1))
    name = ("ALPHA", "BRAVO", "CHARLIE")[place]
    pictures = track_plots(plots.take(mine), tracker, 1.0)
    return [replace(report_of(picture), centre=name, centre_names=(name,)) for picture in pictures]


def _combine(reports: list[list[TrackReport]], plots_shared_until: float = -np.inf) -> _Mode:
    """The picture of the first centre, with the others' reports of the second before."""
    mode = _Mode()
    names = [centre[0].centre for centre in reports]
    correlator, book = Correlator(), NumberBook(names[0])
    books = [NumberBook(name) for name in names[1:]]
    by_time = [{report.time: report for report in centre} for centre in reports]
    for before, own in pairwise(reports[0]):
        partners = {
            name: _numbered(other, by_time[c][before.time])
            for c, (name, other) in enumerate(zip(names[1:], books, strict=True), start=1)
            if before.time in by_time[c]
        }
        correlation = correlator.update(own, partners, own.time)
        numbers = book.update(correlation, {})
        mode.changes += numbers.changes
        fused = fuse(correlation, numbers, names[1:] if own.time < plots_shared_until else ())
        mode.alone.add(with_numbers(own, numbers), np.arange(len(own)))
        mode.together.add(fused.tracks, np.arange(len(fused)))
        is_fused = (fused.source == Source.FUSED) | (fused.source == Source.INTERSECTED)
        _add_pairs(mode, correlation, numbers, fused.tracks, is_fused)
    return mode


def _numbered(book: NumberBook, report: TrackReport) -> TrackReport:
    """A partner's report under the numbers that it gives while it hears of nobody."""
    alone = Correlator().update(report, {}, report.time)
    return with_numbers(report, book.update(alone, {}))


def _add_pairs(
    mode: _Mode,
    correlation: Correlation,
    numbers: JointNumbers,
    tracks: TrackReport,
    is_fused: NDArray[np.bool_],
) -> None:
    """Tracks that all centres have, fused and as each centre has them, at the same time."""
    everywhere = np.flatnonzero(is_fused & (correlation.members >= 0).all(axis=1))
    mode.fused.add(tracks, everywhere)
    for c, report in enumerate(correlation.reports):
        part = report.take(correlation.members[everywhere, c])
        named = replace(
            part,
            centre_names=numbers.centre_names,
            number_centre=numbers.number_centre[everywhere],
            number=numbers.number[everywhere],
        )
        mode.unfused[c].add(named, np.arange(len(named)))


def _scored(simulation: Simulation, mode: _Mode, begin: float, end: float = np.inf) -> FusionScores:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.parquet"
        write_truth(path, simulation)
        truth = _between(read_truth(path), begin, end)

    def scores(rows: _Rows) -> Scores:
        rows.parts = [(time, report) for time, report in rows.parts if begin <= time < end]
        return score(truth, rows.tracks())

    return FusionScores(
        alone=scores(mode.alone),
        together=scores(mode.together),
        fused=scores(mode.fused),
        unfused=[scores(rows) for rows in mode.unfused if rows.parts],
        changes=mode.changes,
    )


def _between(truth: Truth, begin: float, end: float) -> Truth:
    rows = (truth.time >= begin) & (truth.time < end)
    per_row = ("time", "target", "latitude", "longitude", "height", "east", "north")
    columns: dict[str, Floats1] = {
        name: getattr(truth, name)[rows] for name in (*per_row, "is_counted", "is_covered", "scan")
    }
    return replace(truth, **columns)  # type: ignore[arg-type]
