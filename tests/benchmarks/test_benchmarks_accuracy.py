import msgspec

from skypact.benchmarks.accuracy import score_tracker
from skypact.simulation.scenario import read_scenario


def test_a_simulated_scenario_is_tracked_and_scored():
    scenario = msgspec.structs.replace(read_scenario("drones"), duration_s=30)
    scores = score_tracker(scenario, 1)
    assert scores.targets > 50
    assert scores.completeness > 0.9
    assert scores.rmse < 20.0


def test_the_tracker_is_within_the_bars_of_the_standard_scenario():
    scenario = msgspec.structs.replace(read_scenario("standard"), duration_s=150)
    scores = score_tracker(scenario, 7)
    assert scores.completeness >= 0.97
    assert scores.spuriousness <= 0.03
    assert scores.ambiguity <= 1.03


def test_the_same_seed_scores_the_same():
    scenario = msgspec.structs.replace(read_scenario("small"), duration_s=60)
    assert msgspec.json.encode(score_tracker(scenario, 2)) == msgspec.json.encode(score_tracker(scenario, 2))
