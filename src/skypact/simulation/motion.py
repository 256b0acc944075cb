"""Who flies and how: flights of each kind of aircraft over the round earth, from a seed.

Every second each target holds one turn rate and works towards one speed and one height; when a
manoeuvre has lasted its time, the next is drawn. Straight flight follows a great circle.
"""

import copy
import dataclasses
from dataclasses import dataclass

import numpy as np

from skypact.core.arrays import Floats1
from skypact.core.geodesy import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS
from skypact.core.text import callsign_from_text
from skypact.core.units import DEGREE, KILOMETRE, STANDARD_GRAVITY
from skypact.simulation.model import (
    KINDS,
    TRANSPONDER_MODE_AC,
    TRANSPONDER_MODE_S,
    Flights,
    Targets,
)
from skypact.simulation.scenario import Scenario

SUBSTEPS = 4  # of a second; a 7 g turn is then off its circle by less than a decimetre a second
SLOWEST_TURN = 3.0  # m/s; below it a turn rate from the load factor means nothing
EMERGENCY_CODES = (0o7500, 0o7600, 0o7700)
FIRST_ADDRESS = 0xF00000  # of a block that no state uses


@dataclass(frozen=True)
class Kinematics:
    """How one kind of aircraft moves; SI units."""

    speed: tuple[float, float]
    height: tuple[float, float]
    load_factor: tuple[float, float]  # of turns, in g; drawn towards the lower end
    load_factor_skew: float  # 1 draws evenly, more draws the strong ones more rarely
    turn_rate_max: float  # rad/s
    turn_angle: tuple[float, float]  # rad
    turn_share: float  # of new manoeuvres
    straight_mean: float  # s
    height_change_share: float  # of new straight legs
    speed_change_share: float  # of new straight legs
    hover_share: float  # of new straight legs: stops and stays
    climb_rate: float  # m/s
    climb_acceleration: float  # m/s²
    acceleration: float  # along the way, m/s²


# Load factors of airliners are those of 25 and 30 degrees of bank: 1 / cos(bank).
KINEMATICS = {
    "airliner": Kinematics(
        speed=(120.0, 250.0), height=(2_000.0, 12_500.0), load_factor=(1.103, 1.155), load_factor_skew=1.0,
        turn_rate_max=3.0 * DEGREE, turn_angle=(10.0 * DEGREE, 90.0 * DEGREE), turn_share=0.5,
        straight_mean=120.0, height_change_share=0.4, speed_change_share=0.2, hover_share=0.0,
        climb_rate=12.0, climb_acceleration=1.0, acceleration=0.6,
    ),
    "jet": Kinematics(
        speed=(200.0, 500.0), height=(1_000.0, 14_000.0), load_factor=(2.0, 7.0), load_factor_skew=2.0,
        turn_rate_max=20.0 * DEGREE, turn_angle=(30.0 * DEGREE, 180.0 * DEGREE), turn_share=0.6,
        straight_mean=40.0, height_change_share=0.5, speed_change_share=0.5, hover_share=0.0,
        climb_rate=80.0, climb_acceleration=15.0, acceleration=6.0,
    ),
    "light": Kinematics(
        speed=(40.0, 80.0), height=(500.0, 3_500.0), load_factor=(1.02, 1.155), load_factor_skew=1.0,
        turn_rate_max=6.0 * DEGREE, turn_angle=(20.0 * DEGREE, 180.0 * DEGREE), turn_share=0.5,
        straight_mean=60.0, height_change_share=0.3, speed_change_share=0.2, hover_share=0.0,
        climb_rate=4.0, climb_acceleration=1.0, acceleration=0.8,
    ),
    "drone": Kinematics(
        speed=(2.0, 30.0), height=(30.0, 300.0), load_factor=(1.05, 1.6), load_factor_skew=1.0,
        turn_rate_max=90.0 * DEGREE, turn_angle=(30.0 * DEGREE, 180.0 * DEGREE), turn_share=0.5,
        straight_mean=12.0, height_change_share=0.3, speed_change_share=0.5, hover_share=0.15,
        climb_rate=5.0, climb_acceleration=2.0, acceleration=4.0,
    ),
}  # fmt: skip


def make_targets(scenario: Scenario, rng: np.random.Generator) -> Targets:
    """Targets of all traffic of a scenario, with transponders, codes and their time of existence."""
    kind = np.concatenate([np.full(t.count, KINDS.index(t.kind)) for t in scenario.traffic]).astype(np.int64)
    count = len(kind)
    transponder = np.zeros(count, dtype=np.int64)
    born = np.zeros(count)
    died = np.full(count, float(scenario.duration_s))
    row = 0
    for traffic in scenario.traffic:
        rows = slice(row, row + traffic.count)
        row += traffic.count
        draw = rng.random(traffic.count)
        has_mode_ac = draw < traffic.mode_s + traffic.mode_ac
        transponder[rows] = np.where(
            draw < traffic.mode_s, TRANSPONDER_MODE_S, has_mode_ac * TRANSPONDER_MODE_AC
        )
        arrives = rng.random(traffic.count) < traffic.arriving
        leaves = rng.random(traffic.count) < traffic.leaving
        first, second = rng.random((2, traffic.count))
        born[rows] = np.where(arrives, np.floor(first * 0.6 * scenario.duration_s), 0.0)
        remaining = scenario.duration_s - born[rows]
        died[rows] = np.where(leaves, np.floor(born[rows] + (0.4 + 0.6 * second) * remaining), died[rows])
    squawk = np.setdiff1d(np.arange(1, 4096), EMERGENCY_CODES)
    squawk = np.resize(rng.permutation(squawk), count)
    address = FIRST_ADDRESS + rng.permutation(0x0FFFFF)[:count]
    prefix = ("SEA", "RAVEN", "OX", "UAS")
    callsign = np.array(
        [callsign_from_text(f"{prefix[k]}{n % (1000 if k == 1 else 100_000)}") for n, k in enumerate(kind)],
        dtype=np.int64,
    )
    is_mode_s = transponder == TRANSPONDER_MODE_S
    return Targets(
        kind=kind,
        transponder=transponder,
        squawk=np.where(transponder > 0, squawk, -1).astype(np.int16),
        address=np.where(is_mode_s, address, -1).astype(np.int32),
        callsign=np.where(is_mode_s, callsign, 0),
        born=born,
        died=died,
    )


def targets_after(scenario: Scenario, before: Targets, rng: np.random.Generator) -> Targets:
    """The same targets in the next stretch of as many seconds: who had left comes back some time in it."""
    count = len(before)
    duration = float(scenario.duration_s)
    leaving = np.repeat([t.leaving for t in scenario.traffic], [t.count for t in scenario.traffic])
    first, second, third = rng.random((3, count))
    born = np.where(before.died < duration, np.floor(first * 0.6 * duration), 0.0)
    left = np.floor(born + (0.4 + 0.6 * second) * (duration - born))
    return dataclasses.replace(before, born=born, died=np.where(third < leaving, left, duration))


class Flock:
    """All targets in flight: the state that one second changes."""

    def __init__(self, scenario: Scenario, kind: np.ndarray, rng: np.random.Generator) -> None:
        self.rng = rng
        count = len(kind)
        models = [KINEMATICS[name] for name in KINDS]
        self.parameters = {
            name: np.array([getattr(model, name) for model in models])[kind]
            for name in Kinematics.__annotations__
        }
        self.half_extent = scenario.extent_km * KILOMETRE / 2.0
        self.centre = (scenario.latitude_deg * DEGREE, scenario.longitude_deg * DEGREE)
        offset = rng.uniform(-self.half_extent, self.half_extent, (2, count))
        self.latitude = self.centre[0] + offset[1] / SEMI_MAJOR_AXIS
        self.longitude = self.centre[1] + offset[0] / (SEMI_MAJOR_AXIS * np.cos(self.latitude))
        self.height = self._between("height", rng.random(count))
        self.height_wanted = self.height.copy()
        self.heading = rng.uniform(0.0, 2.0 * np.pi, count)
        self.speed = self._between("speed", rng.random(count))
        self.speed_wanted = self.speed.copy()
        self.climb = np.zeros(count)
        self.turn_rate = np.zeros(count)
        # The first leg is under way at the start.
        self.remaining = np.ceil(rng.exponential(self.parameters["straight_mean"]))

    def _between(self, name: str, share: Floats1, rows: np.ndarray | slice = slice(None)) -> Floats1:
        bounds = self.parameters[name][rows]
        drawn: Floats1 = bounds[:, 0] + share * (bounds[:, 1] - bounds[:, 0])
        return drawn

    def choose_manoeuvres(self) -> None:
        """Draw the next manoeuvre of every target whose last one is over."""
        rows = np.flatnonzero(self.remaining <= 0.0)
        if not len(rows):
            return
        draw = self.rng.random((8, len(rows)))
        p = {name: values[rows] for name, values in self.parameters.items()}
        is_hovering = self.speed_wanted[rows] == 0.0
        north = (self.latitude[rows] - self.centre[0]) * SEMI_MAJOR_AXIS
        east = (self.longitude[rows] - self.centre[1]) * SEMI_MAJOR_AXIS * np.cos(self.latitude[rows])
        is_outside = np.maximum(np.abs(north), np.abs(east)) > self.half_extent
        homeward = (np.arctan2(-east, -north) - self.heading[rows] + np.pi) % (2.0 * np.pi) - np.pi
        is_turn = (draw[0] < p["turn_share"]) | (is_outside & (np.abs(homeward) > 0.5))

        load = self._between("load_factor", draw[1] ** p["load_factor_skew"], rows)
        speed = np.maximum(self.speed[rows], SLOWEST_TURN)
        rate = np.minimum(np.sqrt(load**2 - 1.0) * STANDARD_GRAVITY / speed, p["turn_rate_max"])
        angle = np.where(is_outside, np.abs(homeward), self._between("turn_angle", draw[2], rows))
        side = np.where(is_outside, np.sign(homeward), np.where(draw[3] < 0.5, -1.0, 1.0))
        straight = draw[4]
        self.turn_rate[rows] = np.where(is_turn, side * rate, 0.0)
        leg = -np.log1p(-straight) * p["straight_mean"]
        self.remaining[rows] = np.maximum(1.0, np.round(np.where(is_turn, angle / rate, leg)))

        hovers = ~is_turn & (draw[5] < p["hover_share"])
        changes_speed = is_hovering | (~is_turn & (draw[6] < p["speed_change_share"]))
        new_speed = np.where(changes_speed, self._between("speed", draw[5], rows), self.speed_wanted[rows])
        self.speed_wanted[rows] = np.where(hovers, 0.0, new_speed)
        changes_height = ~is_turn & (draw[7] < p["height_change_share"])
        new_height = self._between("height", draw[1], rows)
        self.height_wanted[rows] = np.where(changes_height, new_height, self.height_wanted[rows])

    def fly_one_second(self) -> None:
        """Move every target on by one second."""
        p = self.parameters
        acceleration = np.clip(self.speed_wanted - self.speed, -p["acceleration"], p["acceleration"])
        missing = self.height_wanted - self.height
        # Levelling off begins where the climb can still be taken out before the height is reached.
        reachable = np.sqrt(2.0 * 0.5 * p["climb_acceleration"] * np.abs(missing))
        climb_wanted = np.sign(missing) * np.minimum(np.minimum(p["climb_rate"], reachable), np.abs(missing))
        climb_change = np.clip(climb_wanted - self.climb, -p["climb_acceleration"], p["climb_acceleration"])
        step = 1.0 / SUBSTEPS
        for _ in range(SUBSTEPS):
            heading = self.heading + 0.5 * step * self.turn_rate
            travelled = (self.speed + 0.5 * step * acceleration) * step
            sin_latitude = np.sin(self.latitude)
            root = 1.0 - ECCENTRICITY_SQUARED * sin_latitude**2
            normal = SEMI_MAJOR_AXIS / np.sqrt(root)
            meridian = normal * (1.0 - ECCENTRICITY_SQUARED) / root
            east = travelled * np.sin(heading)
            around = east / ((normal + self.height) * np.cos(self.latitude))
            self.latitude = self.latitude + travelled * np.cos(heading) / (meridian + self.height)
            self.longitude = self.longitude + around
            # Meridians converge: the heading of straight flight turns with them.
            self.heading = (self.heading + step * self.turn_rate + around * sin_latitude) % (2.0 * np.pi)
            self.height = self.height + (self.climb + 0.5 * step * climb_change) * step
            self.climb = self.climb + step * climb_change
            self.speed = np.maximum(self.speed + step * acceleration, 0.0)
        self.remaining -= 1.0

    def velocity(self) -> np.ndarray:
        """(N, 3) east, north and up at each target, m/s."""
        return np.stack(
            [self.speed * np.sin(self.heading), self.speed * np.cos(self.heading), self.climb], axis=1
        )


def fly(flock: Flock, duration: int) -> Flights:
    """Fly all targets on for `duration` seconds; those not born yet fly unseen."""
    shape = (len(flock.height), duration + 2)  # one second past the end, to interpolate up to it
    latitude, longitude, height = np.empty(shape), np.empty(shape), np.empty(shape)
    velocity = np.empty((*shape, 3))
    for second in range(shape[1]):
        if second == duration:
            flock = copy.deepcopy(flock)  # the next stretch begins here and flies these seconds again
        latitude[:, second] = flock.latitude
        longitude[:, second] = (flock.longitude + np.pi) % (2.0 * np.pi) - np.pi
        height[:, second], velocity[:, second] = flock.height, flock.velocity()
        flock.choose_manoeuvres()
        flock.fly_one_second()
    return Flights(
        *_earth_centred(latitude, longitude, height, velocity), velocity, latitude, longitude, height
    )


def _earth_centred(
    latitude: np.ndarray, longitude: np.ndarray, height: np.ndarray, velocity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    sin_latitude, cos_latitude = np.sin(latitude), np.cos(latitude)
    sin_longitude, cos_longitude = np.sin(longitude), np.cos(longitude)
    normal = SEMI_MAJOR_AXIS / np.sqrt(1.0 - ECCENTRICITY_SQUARED * sin_latitude**2)
    position = np.empty((*latitude.shape, 3))
    position[..., 0] = (normal + height) * cos_latitude * cos_longitude
    position[..., 1] = (normal + height) * cos_latitude * sin_longitude
    position[..., 2] = (normal * (1.0 - ECCENTRICITY_SQUARED) + height) * sin_latitude
    east, north, up = velocity[..., 0], velocity[..., 1], velocity[..., 2]
    outward = cos_latitude * up - sin_latitude * north  # away from the earth's axis
    moved = np.empty_like(position)
    moved[..., 0] = outward * cos_longitude - east * sin_longitude
    moved[..., 1] = outward * sin_longitude + east * cos_longitude
    moved[..., 2] = cos_latitude * north + sin_latitude * up
    return position, moved
