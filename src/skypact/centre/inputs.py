"""Plots from whatever a user has: ASTERIX recordings, plots files, folders that `simulate` wrote."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skypact.centre.recordings import read_asterix, recorded_plots
from skypact.core.errors import BadInputError
from skypact.plots.model import PlotBatch, join_plots
from skypact.plots.parquet import read_plots
from skypact.sensors.model import SensorTable, read_sensor_table

_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class RecordedPlots:
    """Plots of recordings, in order of arrival."""

    plots: PlotBatch
    filtered: Counter[tuple[str, str]]  # (source, reason) -> records that are no plots
    errors: int  # in the files' framing, and of records and blocks that could not be decoded
    undated: bool  # the day was not in the files


def sensors_of(path: Path) -> Path:
    """The sensor table that lies beside a recording.

    Raises:
        BadInputError: there is none.
    """
    folder = path if path.is_dir() else path.parent
    table = folder / "sensors.toml"
    if not table.exists():
        raise BadInputError("no sensor table", str(path), "give one with --sensors S.toml")
    return table


def plots_file(path: Path) -> Path:
    """The file to read: the plots of a folder that `simulate` wrote, else the file itself.

    Raises:
        BadInputError: another folder; which of its files belong together is for a person to say.
    """
    if not path.is_dir():
        return path
    plots = path / "plots.parquet"
    if not plots.exists():
        raise BadInputError("no plots.parquet in the folder", str(path), "name the recordings themselves")
    return plots


def read_recorded_plots(files: Iterable[Path], sensors: SensorTable, first_day: float = 0.0) -> RecordedPlots:
    """The plots of all files together.

    Args:
        files: ASTERIX recordings and plots files.
        sensors: whose plots are wanted.
        first_day: UTC s since 1970 of the day of the first record, for files that tell no date.

    Raises:
        BadInputError: a file can't be read or is none of these.
    """
    batches: list[PlotBatch] = []
    asterix = []
    for file in files:
        if _is_parquet(file):
            batches.append(read_plots(file, sensors))
        else:
            asterix.append(read_asterix(file, sensors.editions, first_day))
    plots, filtered = recorded_plots(asterix, sensors)
    if batches:
        plots = join_plots([*batches, plots])
        if len(batches) + len(asterix) > 1:
            plots = plots.take(np.argsort(plots.received, kind="stable"))
    errors = sum(
        error.count
        for file in asterix
        for error in (*file.recording.errors.values(), *file.decoded.errors.values())
    )
    undated = any(not file.is_dated for file in asterix)
    return RecordedPlots(plots, filtered, errors, undated)


def sensors_for(paths: Sequence[Path], sensors: Path | None) -> SensorTable:
    """The sensor table that was given, else the one beside the first recording.

    Raises:
        BadInputError: there is none, or it can't be used.
    """
    return read_sensor_table(sensors if sensors is not None else sensors_of(paths[0]))


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == _PARQUET_MAGIC
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(path)) from None
