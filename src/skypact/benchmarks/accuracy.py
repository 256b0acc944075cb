"""How good the air picture is on the simulated scenarios: simulate, track offline, evaluate.

The same steps as `skypact simulate`, `skypact track` and `skypact evaluate`; figures are means over seeds.
"""

import tempfile
from pathlib import Path

import numpy as np

from skypact.benchmarks.model import Figure
from skypact.centre.offline import track_to_files
from skypact.evaluation.model import Scores
from skypact.evaluation.read import read_tracks, read_truth
from skypact.evaluation.scores import score
from skypact.simulation.files import write_truth
from skypact.simulation.scenario import Scenario, read_scenario
from skypact.simulation.world import simulate

PERIOD = 1.0  # s between pictures
PRESETS = ("small", "standard", "drones")
LARGE_PRESETS = ("national",)  # one seed
_TARGETS = {
    ("standard", "completeness"): "at least 0.97",
    ("standard", "spuriousness"): "at most 0.03",
    ("standard", "ambiguity"): "at most 1.03",
}
_SHOWN = (
    ("completeness", ""),
    ("spuriousness", ""),
    ("ambiguity", ""),
    ("longest_segment", ""),
    ("breaks_per_hour", "1/h"),
    ("swaps_per_hour", "1/h"),
    ("rmse", "m"),
    ("median_error", "m"),
    ("anees", ""),
)


def run(seeds: int = 5) -> list[Figure]:
    """Scores of each preset over `seeds` seeds, of the large ones over one."""
    figures = []
    for preset in (*PRESETS, *LARGE_PRESETS):
        scenario = read_scenario(preset)
        count = 1 if preset in LARGE_PRESETS else seeds
        scores = [score_tracker(scenario, seed) for seed in range(1, count + 1)]
        for name, unit in _SHOWN:
            values = [float(getattr(one, name)) for one in scores]
            figures.append(_figure(preset, name, unit, values))
        figures.append(_figure(preset, "gospa", "m", [one.gospa.total for one in scores]))
    return figures


def _figure(preset: str, name: str, unit: str, values: list[float]) -> Figure:
    spread = (
        f"{min(values):.4g} to {max(values):.4g} over {len(values)} seeds" if len(values) > 1 else "one seed"
    )
    return Figure(
        name=f"{preset}: {name.replace('_', ' ')}",
        value=float(np.mean(values)),
        unit=unit,
        target=_TARGETS.get((preset, name), ""),
        note=spread,
    )


def score_tracker(scenario: Scenario, seed: int) -> Scores:
    """Scores of this version's tracks of a scenario."""
    simulation = simulate(scenario, seed)
    with tempfile.TemporaryDirectory() as folder:
        truth, tracks = Path(folder) / "truth.parquet", Path(folder) / "tracks.parquet"
        write_truth(truth, simulation)
        track_to_files(simulation.plots, simulation.sensors, tracks, None, PERIOD)
        return score(read_truth(truth), read_tracks(tracks))
