"""What `skypact track` reads, and what it says of files that it can't read whole."""

import msgspec
import pytest
from typer.testing import CliRunner

from skypact.cli import app
from skypact.core.errors import BadInputError
from skypact.simulation.files import write_simulation
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    write_simulation(simulate(msgspec.structs.replace(read_scenario("small"), duration_s=30), 1), folder)
    return folder


def track(tmp_path, *arguments):
    return CliRunner().invoke(app, ["track", *map(str, arguments), "--out", str(tmp_path / "tracks.parquet")])


def test_a_simulated_folder_is_tracked_by_its_plots_and_nothing_else_is_said(tmp_path, simulated):
    done = track(tmp_path, simulated, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    assert msgspec.json.decode(done.stdout)["errors"] == 0


def test_a_folder_of_recordings_is_refused_with_what_to_do(tmp_path, simulated):
    (tmp_path / "recordings").mkdir()
    done = track(tmp_path, tmp_path / "recordings", "--sensors", simulated / "sensors.toml")
    assert isinstance(done.exception, BadInputError)
    assert "no plots.parquet in the folder (name the recordings themselves)" in str(done.exception)


def test_a_recording_with_its_end_missing_is_tracked_and_is_a_finding(tmp_path, simulated):
    cut = tmp_path / "cut.pcap"
    cut.write_bytes((simulated / "asterix.pcap").read_bytes()[:-9])
    done = track(tmp_path, cut, "--sensors", simulated / "sensors.toml", "--json")
    assert done.exit_code == 1
    assert msgspec.json.decode(done.stdout)["errors"] == 1
