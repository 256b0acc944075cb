"""One hour of a real Mode S radar, its addresses hidden from the tracker and used to score the tracks.

An address is the truth of who a plot belongs to, so no second truth is needed. A track owns a plot
when the plot started or updated it. The recording is not part of the project: `SKYPACT_TEST_DATA`,
else `../shared/data`, is its folder.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skypact.benchmarks.model import Figure
from skypact.centre.offline import PlotFates, track_plots
from skypact.centre.recordings import read_asterix, recorded_plots
from skypact.core.errors import BadInputError
from skypact.plots.model import NO_ADDRESS, NO_CALLSIGN, PlotBatch
from skypact.sensors.model import Sensor, SensorTable, make_sensor_table
from skypact.tracks.tracker import Tracker

RECORDING = Path("asterix") / "bcn_radar_20_129_1h_cat048.ast"
# The recording does not tell the site; the place matters little to one radar alone.
RADAR = Sensor(
    name="bcn", kind="mode_s", sac=20, sic=129, latitude_deg=41.3, longitude_deg=2.1, rotation_period_s=4.0
)
INITIATION_PLOTS = 2  # of each address before its track is expected
LONG_ENOUGH = 10  # plots of an address that make it a target to be scored


@dataclass(frozen=True, slots=True)
class AddressScore:
    """How the tracks of a recording follow its Mode S addresses."""

    targets: int
    completeness: float  # plots of the targets, from the third on, that fed a confirmed track
    breaks_per_hour: float  # changes from one track to another, per hour of target
    swaps_per_hour: float  # tracks that move on to another address, per hour of target
    tracks: int


def run() -> list[Figure]:
    """Completeness, breaks and swaps on the recorded hour; raises BadInputError without the recording."""
    path = _data_folder() / RECORDING
    if not path.exists():
        raise BadInputError("the recording is not there", str(path), "set SKYPACT_TEST_DATA")
    recordings = [read_asterix(path)]
    sensors = make_sensor_table([RADAR])
    plots, _ = recorded_plots(recordings, sensors)
    score = score_by_address(plots, sensors)
    what = f"{len(plots)} plots of {score.targets} addresses, one Mode S radar, 1 h; {score.tracks} tracks"
    return [
        Figure(name="completeness, addresses hidden", value=score.completeness, unit="", note=what),
        Figure(name="breaks per target-hour", value=score.breaks_per_hour, unit=""),
        Figure(name="swaps per target-hour", value=score.swaps_per_hour, unit=""),
    ]


def score_by_address(plots: PlotBatch, sensors: SensorTable) -> AddressScore:
    """Track the plots without their addresses and callsigns, then score the tracks by the addresses."""
    hidden = replace(
        plots,
        address=np.full_like(plots.address, NO_ADDRESS),
        callsign=np.full_like(plots.callsign, NO_CALLSIGN),
    )
    tracker = Tracker(sensors)
    fates = PlotFates(len(plots))
    for _ in track_plots(hidden, tracker, period=1.0):
        fates.settle(tracker.take_outcomes())
    fates.close()
    return _score(plots, fates.track_index())


def _score(plots: PlotBatch, track: NDArray[np.int64]) -> AddressScore:
    """Score plots that know their address by the track that each fed, -1 for none."""
    owners: dict[int, int] = {}  # track -> address of its latest plot
    expected = fed = breaks = swaps = 0
    seconds = 0.0
    addresses, counts = np.unique(plots.address[plots.address != NO_ADDRESS], return_counts=True)
    targets = set(addresses[counts >= LONG_ENOUGH].tolist())
    last: dict[int, int] = {}  # address -> track of its latest plot that fed one
    seen: dict[int, tuple[int, float]] = {}  # address -> plots so far, time of the latest
    for address, number, time in zip(
        plots.address.tolist(), track.tolist(), plots.time.tolist(), strict=True
    ):
        if address not in targets:
            continue
        count, before = seen.get(address, (0, time))
        seen[address] = (count + 1, time)
        seconds += time - before
        if count >= INITIATION_PLOTS:
            expected += 1
            fed += number >= 0
        if number < 0:
            continue
        breaks += last.get(address, number) != number
        last[address] = number
        swaps += owners.get(number, address) != address
        owners[number] = address
    hours = seconds / 3600.0
    return AddressScore(len(targets), fed / expected, breaks / hours, swaps / hours, len(owners))


def _data_folder() -> Path:
    return Path(os.environ.get("SKYPACT_TEST_DATA") or Path.cwd().parent / "shared" / "data")
