"""Plays a scenario from a seed: the same scenario and seed give the same simulation to the bit."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats2
from skypact.core.units import DEGREE, KILOMETRE
from skypact.plots.model import PlotFlag, join_plots
from skypact.plots.parquet import fill_sigmas
from skypact.sensors.model import ReferencePoint, Sensor, make_sensor_table
from skypact.simulation.kernels import add_cover
from skypact.simulation.model import SECTORS, Flights, Marks, Simulation, Targets
from skypact.simulation.motion import Flock, fly, make_targets, targets_after
from skypact.simulation.radars import Observed, detectable, observe, offset_site, site_of, turn_antenna
from skypact.simulation.scenario import Radar, Scenario

# One stream of randomness for each purpose, so that a change in one leaves the others as they were.
_TARGETS, _MOTION, _RADAR, _ARRIVAL = range(4)
FIRST_SAC = 240  # of the first partner; not given to any state
DELAY_JITTER = 0.02  # s; largest part of a datagram's delay that changes from one to the next
# Steps of the plastic-number sequence, which spreads any number of points evenly over a square.
# Source: M. Roberts, The unreasonable effectiveness of quasirandom sequences, 2018.
SPREAD_STEP = (0.7548776662466927, 0.5698402909980532)

Progress = Callable[[str, int, int], None]  # what is done, parts done, parts in all


def place_radars(scenario: Scenario) -> list[tuple[Radar, Sensor]]:
    """Every single radar of a scenario beside its row of the sensor table."""
    placed: list[tuple[Radar, Sensor]] = []
    counts = dict.fromkeys(scenario.partners, 0)
    spread = 0
    for radar in scenario.radar:
        for n in range(radar.count):
            if radar.east_km is None or radar.north_km is None:
                east = ((0.5 + spread * SPREAD_STEP[0]) % 1.0 - 0.5) * scenario.extent_km
                north = ((0.5 + spread * SPREAD_STEP[1]) % 1.0 - 0.5) * scenario.extent_km
                spread += 1
            else:
                east, north = radar.east_km, radar.north_km
            strip = int((east / scenario.extent_km + 0.5) * len(scenario.partners))
            owner = min(max(strip, 0), len(scenario.partners) - 1)
            partner = scenario.partners[owner]
            counts[partner] += 1
            latitude, longitude = offset_site(
                scenario.latitude_deg * DEGREE,
                scenario.longitude_deg * DEGREE,
                east * KILOMETRE,
                north * KILOMETRE,
            )
            sensor = Sensor(
                name=radar.name or f"{partner}-{counts[partner]}",
                kind=radar.kind,
                sac=FIRST_SAC + owner,
                sic=counts[partner],
                latitude_deg=round(latitude / DEGREE, 7),
                longitude_deg=round(longitude / DEGREE, 7),
                height_m=radar.height_m,
                rotation_period_s=_nth(radar.rotation_period_s, n),
                range_max_km=_nth(radar.range_max_km, n),
                sigma_range_m=radar.sigma_range_m,
                sigma_azimuth_deg=radar.sigma_azimuth_deg,
                sigma_elevation_deg=radar.sigma_elevation_deg if radar.kind == "radar_3d" else None,
                detection_probability=radar.detection_probability,
                clutter_per_scan=radar.clutter_per_scan,
            )
            placed.append((radar, sensor))
    return placed


def _nth(values: float | list[float], n: int) -> float:
    return values[n % len(values)] if isinstance(values, list) else values


class World:
    """A scenario under way: each call of `play` gives its next stretch.

    A stretch has the duration of the scenario. In the next, targets fly on from where they were,
    antennas turn on, and who had left comes back.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Args: `seed` of all randomness."""
        self.scenario = scenario
        self.seed = seed
        self._stretch = 0
        self._placed = place_radars(scenario)
        reference = ReferencePoint(latitude_deg=scenario.latitude_deg, longitude_deg=scenario.longitude_deg)
        self.sensors = make_sensor_table([sensor for _, sensor in self._placed], reference, scenario.name)
        self._targets = make_targets(scenario, self._rng(_TARGETS))
        self._flock = Flock(scenario, self._targets.kind, self._rng(_MOTION))
        self._turns: list[Floats1 | None] = [None] * len(self._placed)

    def play(
        self, progress: Progress = lambda what, done, total: None, start: float | None = None
    ) -> Simulation:
        """The next stretch.

        Args:
            progress: told what is done.
            start: UTC second at which the first stretch begins, instead of the scenario's own.
        """
        scenario, placed = self.scenario, self._placed
        duration = scenario.duration_s
        if self._stretch > 0:
            self._targets = targets_after(scenario, self._targets, self._rng(_TARGETS))
        targets = self._targets
        progress("flying", 0, len(placed) + 1)
        flights = fly(self._flock, duration)
        begin = scenario.start.timestamp() if start is None else float(round(start))
        begin += self._stretch * duration
        observed: list[Observed] = []
        for row, (radar, sensor) in enumerate(placed):
            progress("sweeping", row + 1, len(placed) + 1)
            rng = self._rng(_RADAR, row)
            assert sensor.rotation_period_s is not None
            turns = turn_antenna(
                sensor.rotation_period_s, radar.rotation_jitter, duration, rng, self._turns[row]
            )
            self._turns[row] = turns
            observed.append(
                observe(
                    radar, sensor, row, targets, flights, duration,
                    scenario.height_minus_altitude_m, turns, rng,
                )
            )  # fmt: skip
        covered, scan = _cover(placed, targets, flights)
        progress("sweeping", len(placed) + 1, len(placed) + 1)
        arrivals = [
            _boundary_arrivals(radar, seen.turns, begin, self._rng(_ARRIVAL, row))
            for row, ((radar, _), seen) in enumerate(zip(placed, observed, strict=True))
        ]
        received = np.concatenate(
            [times[seen.sector + 1] for times, seen in zip(arrivals, observed, strict=True)]
        )
        plots = join_plots([seen.plots for seen in observed])
        order = np.lexsort((plots.time, plots.sensor, received))
        received = received[order]
        plots = dataclasses.replace(plots.take(order), received=received)
        plots.time[:] += begin
        if scenario.simulated:
            plots.flags[:] |= np.uint16(PlotFlag.SIMULATED)
        group = np.zeros(len(plots), dtype=np.int64)
        group[1:] = np.cumsum((np.diff(received) != 0.0) | (np.diff(plots.sensor) != 0))
        self._stretch += 1
        return Simulation(
            scenario=scenario,
            seed=self.seed,
            start=begin,
            sensors=self.sensors,
            targets=targets,
            flights=flights,
            covered=covered,
            scan=scan,
            plots=fill_sigmas(plots, self.sensors),
            plot_target=np.concatenate([seen.target for seen in observed])[order],
            plot_group=group,
            marks=_marks(placed, observed, arrivals, begin, duration),
        )

    def _rng(self, purpose: int, index: int = 0) -> np.random.Generator:
        """Randomness of the stretch for one purpose."""
        words = [self.seed, purpose, index]
        if self._stretch > 0:
            words.append(self._stretch)
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def simulate(
    scenario: Scenario,
    seed: int,
    progress: Progress = lambda what, done, total: None,
    start: float | None = None,
) -> Simulation:
    """Play a scenario once.

    Args:
        scenario: the world. seed: of all randomness. progress: told what is done.
        start: UTC second at which it begins, instead of the scenario's own.
    """
    return World(scenario, seed).play(progress, start)


def _cover(
    placed: list[tuple[Radar, Sensor]], targets: Targets, flights: Flights
) -> tuple[NDArray[np.int64], Floats2]:
    covered = np.zeros(flights.height.shape, dtype=np.int64)
    scan = np.full(flights.height.shape, np.inf)
    for radar, sensor in placed:
        assert sensor.rotation_period_s is not None
        add_cover(
            flights.position, flights.height, targets.born, targets.died, detectable(radar.kind, targets),
            site_of(radar, sensor), sensor.rotation_period_s, covered, scan,
        )  # fmt: skip
    scan[np.isinf(scan)] = np.nan
    return covered, scan


def _boundaries(turns: Floats1) -> Floats1:
    """When the beam passes from one sector to the next, s of the run: SECTORS a turn, and the end."""
    turn = np.arange((len(turns) - 1) * SECTORS + 1) / SECTORS
    return np.interp(turn, np.arange(len(turns)), turns)


def _boundary_arrivals(radar: Radar, turns: Floats1, begin: float, rng: np.random.Generator) -> Floats1:
    """When what a radar sends at the end of each sector arrives, UTC s, in whole microseconds."""
    boundaries = _boundaries(turns)
    sent = begin + boundaries + radar.delay_s + rng.uniform(0.0, DELAY_JITTER, len(boundaries))
    return np.round(sent * 1e6) / 1e6


def _marks(
    placed: list[tuple[Radar, Sensor]],
    observed: list[Observed],
    arrivals: list[Floats1],
    begin: float,
    duration: float,
) -> Marks:
    parts = []
    for row, ((radar, _), seen) in enumerate(zip(placed, observed, strict=True)):
        crossing = _boundaries(seen.turns)[:-1]
        number = np.flatnonzero((crossing >= 0.0) & (crossing <= duration))
        time = begin + crossing[number] + radar.bias.time_s
        period = np.diff(seen.turns)[number // SECTORS]
        parts.append(
            (np.full(len(number), row, np.int32), time, arrivals[row][number], number % SECTORS, period)
        )
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((columns[0], columns[2]))
    return Marks(*(column[order] for column in columns))
