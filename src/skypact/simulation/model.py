"""What the simulation hands on: truth, plots, the antennas' marks, and the sensors that made them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats2, Floats3
from skypact.plots.model import PlotBatch
from skypact.sensors.model import SensorTable
from skypact.simulation.scenario import Scenario

KINDS = ("airliner", "jet", "light", "drone")
TRANSPONDER_NONE, TRANSPONDER_MODE_AC, TRANSPONDER_MODE_S = 0, 1, 2
SECTORS = 32  # sectors a turn in which a radar sends its plots
FALSE_PLOT = -1


@dataclass(frozen=True, slots=True)
class Targets:
    """Who flies: one row per target."""

    kind: NDArray[np.int64]  # (N,) place in KINDS
    transponder: NDArray[np.int64]  # (N,) TRANSPONDER_...
    squawk: NDArray[np.int16]  # (N,) -1 without a transponder
    address: NDArray[np.int32]  # (N,) -1 without Mode S
    callsign: NDArray[np.int64]  # (N,) packed; 0 without Mode S
    born: Floats1  # (N,) first second of the run in which it exists, s
    died: Floats1  # (N,) last second of the run in which it exists, s

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class Flights:
    """Where every target is at each whole second of the run, existing or not."""

    position: Floats3  # (N, T, 3) earth-centred, m
    velocity: Floats3  # (N, T, 3) earth-centred axes, m/s
    velocity_enu: Floats3  # (N, T, 3) east, north, up at the target, m/s
    latitude: Floats2  # (N, T) rad
    longitude: Floats2  # (N, T) rad
    height: Floats2  # (N, T) above the ellipsoid, m


@dataclass(frozen=True, slots=True)
class Marks:
    """North marks and sector crossings of all antennas, in order of arrival; one row per message."""

    sensor: NDArray[np.int32]  # (M,)
    time: Floats1  # (M,) of the crossing as the radar states it, UTC s since 1970
    received: Floats1  # (M,) UTC s since 1970
    sector: NDArray[np.int64]  # (M,) 0 to SECTORS - 1; 0 is the north mark
    period: Floats1  # (M,) duration of the turn that begins or goes on, s


@dataclass(frozen=True, slots=True)
class Simulation:
    """A scenario that was played: what was there, and what the radars made of it."""

    scenario: Scenario
    seed: int
    start: float  # UTC s since 1970, a whole second
    sensors: SensorTable
    targets: Targets
    flights: Flights
    covered: NDArray[np.int64]  # (N, T) sensors that can see the target at each whole second
    scan: Floats2  # (N, T) shortest rotation period among them, s; NaN when none
    plots: PlotBatch
    plot_target: NDArray[np.int64]  # (P,) row in `targets`; FALSE_PLOT for none
    plot_group: NDArray[np.int64]  # (P,) plots of one group left the radar together; rises with `received`
    marks: Marks
