"""ASTERIX recordings as the stages see them: read, decoded, dated, and assembled into plots."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skypact.asterix.decode import EditionChoice, decode_datagrams
from skypact.asterix.framing import read_recording
from skypact.asterix.model import Datagrams, Decoded, Recording
from skypact.core.errors import BadInputError
from skypact.plots.assemble import PlotAssembler
from skypact.plots.infer import infer_sensors
from skypact.plots.model import PlotBatch, join_plots
from skypact.plots.times import date_datagrams
from skypact.sensors.model import ReferencePoint, Sensor, SensorTable, make_sensor_table


@dataclass(frozen=True, slots=True)
class DecodedRecording:
    """A recording with its records and a time of arrival for each datagram."""

    path: Path
    recording: Recording
    decoded: Decoded
    datagrams: Datagrams  # those of the recording, all with a time of arrival

    @property
    def is_dated(self) -> bool:
        """Whether the file itself tells the date."""
        return len(self.datagrams) == 0 or not bool(np.isnan(self.recording.datagrams.received).all())


def read_asterix(path: Path, choice: EditionChoice | None = None, first_day: float = 0.0) -> DecodedRecording:
    """Read and decode a recording.

    Args:
        path: the file. choice: editions by source.
        first_day: UTC s since 1970 of the day of the first record, for a file that tells no date.

    Raises:
        BadInputError: the file can't be read, or no framing fits its content.
    """
    recording = read_recording(path)
    decoded = decode_datagrams(recording.datagrams, choice)
    return DecodedRecording(path, recording, decoded, date_datagrams(recording, decoded, first_day))


def recorded_plots(
    recordings: Iterable[DecodedRecording], sensors: SensorTable
) -> tuple[PlotBatch, Counter[tuple[str, str]]]:
    """The plots of recordings together, in order of arrival, and what was no plot by source and reason."""
    batches: list[PlotBatch] = []
    filtered: Counter[tuple[str, str]] = Counter()
    for recorded in recordings:
        assembler = PlotAssembler(sensors)
        batches.append(assembler.assemble(recorded.decoded, recorded.datagrams))
        filtered.update(assembler.filtered)
    plots = join_plots(batches)
    if len(batches) > 1:
        plots = plots.take(np.argsort(plots.received, kind="stable"))
    return plots, filtered


def inferred_sensor_table(recordings: Sequence[DecodedRecording]) -> SensorTable:
    """A sensor table from what the recordings tell of their sources; around 0° 0° when they tell no site.

    Raises:
        BadInputError: no recording holds a sensor's report.
    """
    found: dict[str, Sensor] = {}
    for recorded in recordings:
        for sensor in infer_sensors(recorded.decoded, recorded.datagrams):
            known = found.get(sensor.name)
            if known is None or (sensor.has_site and not known.has_site):
                found[sensor.name] = sensor
    if not found:
        raise BadInputError("no record of a sensor in it", ", ".join(str(file.path) for file in recordings))
    has_site = any(sensor.has_site for sensor in found.values())
    reference = None if has_site else ReferencePoint(latitude_deg=0.0, longitude_deg=0.0)
    return make_sensor_table(list(found.values()), reference, "sources of the recordings")
