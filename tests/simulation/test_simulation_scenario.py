import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from skypact.cli import app
from skypact.core.errors import BadInputError
from skypact.plots.parquet import read_plots
from skypact.sensors.model import read_sensor_table
from skypact.simulation.scenario import (
    Radar,
    Scenario,
    Traffic,
    parse_scenario,
    preset_names,
    read_scenario,
)
from skypact.simulation.world import place_radars

GOOD = """
duration_s = 20
extent_km = 100
latitude_deg = 45
longitude_deg = -35
[[traffic]]
kind = "airliner"
count = 5
mode_s = 1.0
[[radar]]
kind = "mode_s"
"""

SIZES = {
    "small": (20, 3, 600, 400),
    "standard": (200, 6, 600, 500),
    "national": (2_000, 20, 300, 1_000),
    "continental": (20_000, 60, 120, 2_400),
    "drones": (60, 4, 300, 10),
    "artas": (4_000, 30, 120, 1_500),
}


def test_every_preset_has_the_size_that_it_is_known_for():
    assert set(preset_names()) == set(SIZES)
    for name, (targets, radars, duration, extent) in SIZES.items():
        scenario = read_scenario(name)
        assert sum(traffic.count for traffic in scenario.traffic) == targets
        assert len(place_radars(scenario)) == radars
        assert (scenario.duration_s, scenario.extent_km) == (duration, extent)


def test_radars_belong_to_the_partner_in_whose_strip_they_stand():
    sensors = [sensor for _, sensor in place_radars(read_scenario("standard"))]
    assert [sensor.name for sensor in sensors] == [
        "alpha-1", "alpha-2", "alpha-3", "bravo-1", "bravo-2", "bravo-3",
    ]  # fmt: skip
    assert len({(sensor.sac, sensor.sic) for sensor in sensors}) == 6


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("duration_s = 20", "duration_s = 0"), "duration_s"),
        (("count = 5", "number = 5"), "number"),
        (('"airliner"', '"balloon"'), "balloon"),
        (("mode_s = 1.0", "mode_s = 0.7\nmode_ac = 0.7"), "exceed 1"),
        (('kind = "mode_s"', 'kind = "mode_s"\neast_km = 1'), "half a site"),
        (('kind = "mode_s"', 'kind = "mode_s"\ncount = 2\nname = "x"'), "share"),
        (("duration_s = 20", "duration_s ="), "x.toml"),
        (('kind = "mode_s"', 'kind = "mode_s"\nrange_min_km = 300'), "sees nothing"),
        (('kind = "mode_s"', 'kind = "mode_s"\nrotation_period_s = []'), "rotation_period_s"),
        (("count = 5", "count = 100_000\n[[traffic]]\nkind = 'jet'\ncount = 10_000_000"), "count"),
        (("duration_s = 20", "duration_s = 20\npartners = []"), "0 partners"),
        (
            ('kind = "mode_s"', 'kind = "mode_s"\ncount = 200\n[[radar]]\nkind = "psr"\ncount = 51'),
            "250 radars",
        ),
    ],
)
def test_a_bad_scenario_is_refused_in_one_line(change, complaint):
    with pytest.raises(BadInputError) as refused:
        parse_scenario(GOOD.replace(*change).encode(), "x.toml")
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_that_would_not_fit_into_memory_is_refused():
    long = GOOD.replace("duration_s = 20", "duration_s = 86400").replace("count = 5", "count = 5000")
    with pytest.raises(BadInputError, match="too much"):
        parse_scenario(long.encode(), "x.toml")


def test_an_unknown_name_lists_the_presets():
    with pytest.raises(BadInputError, match="presets: artas"):
        read_scenario("nowhere")


def test_the_command_writes_a_folder_that_its_readers_take(tmp_path):
    path, out = tmp_path / "mine.toml", tmp_path / "run"
    path.write_text(GOOD)
    result = CliRunner().invoke(app, ["simulate", str(path), "--out", str(out), "--seed", "3", "--json"])
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert (facts["scenario"], facts["targets"], facts["sensors"]) == ("mine", 5, 1)
    sensors = read_sensor_table(out / "sensors.toml")
    plots = read_plots(out / "plots.parquet", sensors)
    assert len(plots) == facts["plots"] > 0
    assert {path.name for path in out.iterdir()} == {
        "truth.parquet", "plots.parquet", "sensors.toml", "asterix.pcap",
    }  # fmt: skip


def test_the_command_needs_somewhere_to_put_the_run():
    result = CliRunner().invoke(app, ["simulate", "small"])
    assert isinstance(result.exception, BadInputError)
    assert "--out" in str(result.exception)


def test_the_scenario_in_the_documentation_can_be_played():
    page = Path(__file__).resolve().parents[2] / "docs" / "simulation.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    scenario = parse_scenario(example.encode(), "docs")
    assert next(sensor.name for _, sensor in place_radars(scenario)) == "cape"
    for key in (*Radar.__struct_fields__, *Scenario.__struct_fields__, *Traffic.__struct_fields__):
        assert key in {"name", "sigma_elevation_deg"} or re.search(rf"\b{key}\b", example), key
