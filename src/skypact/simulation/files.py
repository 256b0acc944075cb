"""A simulation as files: truth and plots as Parquet, sensor table as TOML, the radars' ASTERIX as pcap."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skypact.asterix.pcap import write_pcap
from skypact.core.errors import BadInputError
from skypact.core.parquet import named
from skypact.core.units import DEGREE
from skypact.plots.parquet import write_plots
from skypact.sensors.model import Sensor, SensorTable
from skypact.simulation.messages import radar_messages
from skypact.simulation.model import KINDS, Simulation

FIRST_PORT = 8600  # UDP destination of the first radar; each has its own

Progress = Callable[[str], None]  # name of the file that is written next


def truth_table(simulation: Simulation) -> pa.Table:
    """One row for each target at each whole second at which it exists, by time, then by target."""
    targets, flights = simulation.targets, simulation.flights
    seconds = np.arange(simulation.scenario.duration_s + 1.0)
    exists = (seconds[:, None] >= targets.born) & (seconds[:, None] <= targets.died)
    second, target = np.nonzero(exists)
    velocity = flights.velocity_enu[target, second]
    return pa.table(
        {
            "time": simulation.start + seconds[second],
            "target": target,
            "latitude_deg": flights.latitude[target, second] / DEGREE,
            "longitude_deg": flights.longitude[target, second] / DEGREE,
            "height": flights.height[target, second],
            **{name: np.ascontiguousarray(velocity[:, axis]) for axis, name in enumerate(("vx", "vy", "vz"))},
            "kind": named(targets.kind[target], list(KINDS)),
            "covered": simulation.covered[target, second],
            "scan": simulation.scan[target, second],
        }
    )


def write_truth(path: Path, simulation: Simulation) -> None:
    """Write a truth file."""
    pq.write_table(truth_table(simulation), path)


def sensors_text(sensors: SensorTable) -> str:
    """The sensor table as `sensors.toml` has it."""
    lines = [
        "[centre]",
        f"latitude_deg = {sensors.reference.latitude / DEGREE:.9f}",
        f"longitude_deg = {sensors.reference.longitude / DEGREE:.9f}",
        f"height_m = {sensors.reference.height:.3f}",
    ]
    for sensor in sensors.sensors:
        lines += ["", *sensor_lines(sensor)]
    return "\n".join(lines) + "\n"


def sensor_lines(sensor: Sensor) -> list[str]:
    """One sensor as `sensors.toml` and a centre's configuration have it."""
    columns = msgspec.structs.asdict(sensor)
    return ["[[sensor]]"] + [
        f"{name} = {_toml_value(value)}"
        for name, value in columns.items()
        if name != "edition" and value is not None
    ]


def _toml_value(value: str | float) -> str:
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()  # a JSON string is a TOML string
    return repr(value)


def write_simulation(
    simulation: Simulation, folder: Path, progress: Progress = lambda name: None
) -> dict[str, Path]:
    """Write the files of a simulation into a folder, which is made; the same simulation gives the same bytes.

    Raises:
        BadInputError: the folder can't be made or written to.
    """
    paths = {
        name: folder / name for name in ("truth.parquet", "plots.parquet", "sensors.toml", "asterix.pcap")
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        progress("truth.parquet")
        write_truth(paths["truth.parquet"], simulation)
        progress("plots.parquet")
        write_plots(paths["plots.parquet"], simulation.plots, simulation.sensors)
        paths["sensors.toml"].write_text(sensors_text(simulation.sensors), encoding="utf-8")
        progress("asterix.pcap")
        messages = radar_messages(simulation)
        write_pcap(paths["asterix.pcap"], messages.datagrams, ports=FIRST_PORT + messages.sensor)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be written", str(folder)) from None
    return paths
