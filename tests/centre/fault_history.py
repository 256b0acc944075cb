"""Random histories of faults over whole centres, what must hold at each moment of them, and after."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from federated import ALL_PLOTS, ALL_TRACKS, STEP, FederatedWorld, Member
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.core.units import DEGREE
from skypact.exchange.correlation import Correlation
from skypact.exchange.model import Rung, TrackReport
from skypact.exchange.reader import LinkState
from skypact.journal.verify import verify_folder
from skypact.simulation.messages import RadarMessages
from skypact.simulation.model import Simulation
from skypact.simulation.scenario import Radar, Scenario, Traffic
from skypact.tracks.model import Picture

RUN_UP = 16.0  # s; by then all aircraft have tracks and numbers
STRIKES = 8
SLOWEST = 6.0  # s a turn of the slowest radar
FIRST_MESSAGE, ALIKE = 5.0, 2.0 * SLOWEST  # s from heal to the first message, and from there to one picture
EARTH = 6_371_000.0  # m
SITES = {
    2: ((-50, 20), (-25, -40), (25, 45), (50, -15)),
    3: ((-55, 20), (-45, -40), (0, 50), (10, -45), (45, 35), (55, -20)),
}
PERIODS = (4.0, 5.0, SLOWEST)
HIDDEN = 'journal = ["*"]\n[[plots]]\nname = "all"\n[[tracks]]\nname = "the south"\n' + (
    "area = { south_deg = 40, north_deg = 45.1, west_deg = -40, east_deg = -30 }\n"
)
POLICIES = (ALL_PLOTS, ALL_PLOTS, ALL_TRACKS, HIDDEN, 'rung = "alerts"\njournal = ["*"]\n', "")
FAULTS = (
    *("cut", "cut one way", "cut all", "heal", "heal", "flap", "stall", "thin", "loss", "set clock"),
    *("crash", "restart engine", "disk full", "disk free", "suspend", "resume", "resume", "policy"),
)


def fault_scenario(partners: int) -> Scenario:
    """A small world whose aircraft all partners' radars see."""
    radars = [
        Radar(
            kind=("radar", "mode_s")[place % 2],
            east_km=east,
            north_km=north,
            rotation_period_s=PERIODS[place % 3],
            clutter_per_scan=2.0,
        )
        for place, (east, north) in enumerate(SITES[partners])
    ]
    traffic = [
        Traffic(kind="airliner", count=16, mode_s=1.0, arriving=0.0, leaving=0.0),
        Traffic(kind="jet", count=4, mode_s=0.5, mode_ac=0.5, arriving=0.0, leaving=0.0),
        Traffic(kind="light", count=4, mode_s=0.5, mode_ac=0.5, arriving=0.0, leaving=0.0),
    ]
    return Scenario(
        name="faults",
        duration_s=130,
        extent_km=150,
        latitude_deg=45,
        longitude_deg=-35,
        traffic=traffic,
        radar=radars,
        partners=("alpha", "bravo", "charlie")[:partners],
    )


class History:
    """One random history; its checks hold at each moment of it."""

    def __init__(self, simulation: Simulation, messages: RadarMessages, folder: Path, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.is_skewed = bool(self.rng.random() < 0.5)
        names = [name.upper() for name in simulation.scenario.partners]
        ahead = {name: float(self.rng.uniform(-2.0, 2.0)) for name in names} if self.is_skewed else {}
        self.world = FederatedWorld(simulation, folder, seed=seed, ahead=ahead, messages=messages)
        self.told: list[str] = []  # what befell, for whom a failure is to be explained
        self.seen: dict[str, int] = {}  # pictures of each centre that were checked
        self.shown: dict[str, float] = {}  # when each centre showed its last picture, by the world's clock
        self.changes: dict[tuple[str, bytes], int] = {}  # of the number of each own track since the heal
        self.numbers: dict[tuple[str, bytes], tuple[str, int]] = {}
        self.errors: list[float] = []  # normalised, squared, of fused tracks
        self.down: dict[str, float] = {}  # crashed centres: when they start again
        self.digest = hashlib.sha256()
        for member in self.world.members.values():
            self._watch(member)

    @property
    def now(self) -> float:
        """s since the beginning."""
        return self.world.clock.time - self.world.simulation.start

    def run(self, seconds: float) -> None:
        """Let time pass, and check what each centre shows."""
        for _ in range(round(seconds / STEP)):
            self.step()

    def step(self) -> None:
        """Let one step pass, and check what each centre shows."""
        for name, due in list(self.down.items()):
            if self.now >= due:
                self._start(name)
        self.world.step()
        for member in self.world.members.values():
            self._check(member)

    def strike(self) -> None:
        """Let one random thing go wrong, or right."""
        world, network, rng = self.world, self.world.network, self.rng
        way = world.ways[rng.integers(len(world.ways))]
        path = network.path(*way)
        name, other = way
        member = world.members.get(name)
        fault = str(rng.choice(FAULTS))
        match fault:
            case "cut one way":
                network.cut(*way)
            case "cut":
                network.cut(*way)
                network.cut(*way[::-1])
            case "cut all":
                world.cut()
            case "heal":
                network.heal(*way)
                network.heal(*way[::-1])
            case "flap":
                for _ in range(int(rng.integers(2, 6))):
                    network.cut(*way)
                    self.run(float(rng.uniform(0.1, 1.5)))
                    network.heal(*way)
                    self.run(float(rng.uniform(0.1, 1.5)))
            case "stall":
                network.stall(*way, 2.0)
            case "thin":
                path.bytes_per_second, path.latency = 100_000.0, 0.5
            case "loss":
                path.loss = float(rng.uniform(0.0, 0.3))
            case "set clock" if self.is_skewed:
                world.set_clock(name, float(rng.uniform(-2.0, 2.0)))
            case "crash" if member is not None:
                world.stop(name)
                self.down[name] = self.now + float(rng.uniform(0.0, 6.0))
            case "restart engine" if member is not None:
                network.restart(name)
            case "disk full" if member is not None:
                world.set_disk_full(name, True)
            case "disk free" if member is not None:
                world.set_disk_full(name, False)
            case "suspend" if member is not None and not member.disks[0].is_full:
                rung = Rung(int(rng.integers(2)))
                member.federation.suspend(other, rung, "a person", "as told", member.clock.now())
            case "resume" if member is not None:
                self._resume(member, other)
            case "policy":
                world.set_policy(name, other, POLICIES[rng.integers(len(POLICIES))])
            case _:
                return
        self.told.append(f"{self.now:.1f} {fault} {name} {other}")

    def mend(self) -> None:
        """Let everything go right again, but for clocks, which stay as they are."""
        world = self.world
        for name in list(self.down):
            self._start(name)
        for name, member in world.members.items():
            world.set_disk_full(name, False)
            for other in member.federation.links:
                self._resume(member, other)
        for way in world.ways:
            path = world.network.path(*way)
            path.bytes_per_second, path.latency, path.loss = 10e6, 0.005, 0.0
            world.set_policy(*way, ALL_PLOTS)

    def heal(self) -> None:
        """Heal all links; from here on changes of numbers count."""
        self.world.heal()
        self.changes.clear()
        self.numbers.clear()
        self.told.append(f"{self.now:.1f} healed")

    @property
    def is_linked(self) -> bool:
        """Whether everybody hears everybody."""
        return all(
            link.reader.status.state is not LinkState.DOWN
            for member in self.world.members.values()
            for link in member.federation.links.values()
        )

    @property
    def is_alike(self) -> bool:
        """Whether everybody shows the same numbers as everybody else."""
        return not self.unlike

    @property
    def unlike(self) -> list[tuple[str, str, object]]:
        """Who does not show the same numbers as whom."""
        return [
            (member.name, name, link.commonality)
            for member in self.world.members.values()
            for name, link in member.federation.links.items()
            if link.commonality is None or link.commonality.held < 12 or link.commonality.number < 0.95
        ]

    def _start(self, name: str) -> None:
        self.down.pop(name, None)
        self._watch(self.world.start(name))
        self.shown.pop(name, None)
        self.told.append(f"{self.now:.1f} {name} starts")

    def _resume(self, member: Member, other: str) -> None:
        if member.federation.links[other].gateway.ladder.suspended_to is None or member.disks[0].is_full:
            return
        member.federation.resume(other, "a person", "as told", member.clock.now())

    def _watch(self, member: Member) -> None:
        """See each correlation that a centre makes."""
        self.seen[member.name] = 0
        correlate = member.federation._correlator.update

        def watched(own: TrackReport, partners: Mapping[str, TrackReport], now: float) -> Correlation:
            correlation = correlate(own, partners, now)
            self._check_pairs(member.name, correlation, partners)
            return correlation

        member.federation._correlator.update = watched

    def _check(self, member: Member) -> None:
        """Pictures come each second, whatever happens to the links."""
        fresh = member.pictures[self.seen[member.name] :]
        self.seen[member.name] = len(member.pictures)
        for picture in fresh:
            self.shown[member.name] = self.now
            self._check_picture(member.name, picture)
        # A clock that is set back stands still for people until its time has come again.
        wait = 1.0 + STEP + (4.0 if self.is_skewed else 0.0)
        late = self.now - self.shown.setdefault(member.name, self.now)
        assert late <= wait + 1e-6, f"{member.name} showed nothing for {late:.1f} s"

    def _check_picture(self, name: str, picture: Picture) -> None:
        self.digest.update(
            picture.uid.tobytes() + picture.position.tobytes() + picture.joint_number.tobytes()
        )
        flown = self._followed(picture)
        bearers: dict[tuple[int, int], set[int]] = {}
        for row in np.flatnonzero((picture.joint_number > 0) & (flown >= 0)):
            key = (int(picture.joint_centre[row]), int(picture.joint_number[row]))
            bearers.setdefault(key, set()).add(int(flown[row]))
        shared = {
            f"{picture.centre_names[centre]}-{number}": aircraft
            for (centre, number), aircraft in bearers.items()
            if len(aircraft) > 1
        }
        assert not shared, f"{name} shows several aircraft under {shared}"
        assert np.isfinite(picture.position).all() and np.isfinite(picture.covariance).all()
        own = (picture.centres >> np.uint64(picture.centre_names.index(name)) & np.uint64(1)).astype(bool)
        ages = picture.report_age[~own]
        assert (ages <= 30.0 + 1e-6).all(), f"{name} shows a partner's track of {ages.max():.1f} s"
        for row in np.flatnonzero(own):
            key = (name, picture.uid[row].tobytes())
            number = (picture.centre_names[picture.joint_centre[row]], int(picture.joint_number[row]))
            if self.numbers.setdefault(key, number) != number:
                self.numbers[key] = number
                self.changes[key] = self.changes.get(key, 0) + 1

    def note_errors(self) -> None:
        """Keep the normalised errors of what the centres show now."""
        for member in self.world.members.values():
            picture = member.pictures[-1]
            target, distance, _ = self._aircraft(picture.latitude, picture.longitude, picture.time)
            second = round(picture.time - self.world.simulation.start)
            flights = self.world.simulation.flights
            east = (picture.longitude - flights.longitude[target, second]) * EARTH * np.cos(picture.latitude)
            north = (picture.latitude - flights.latitude[target, second]) * EARTH
            error = np.stack([east, north], axis=1)[:, :, None]
            normal = (np.linalg.solve(picture.covariance[:, :2, :2], error) * error).sum(axis=(1, 2)) / 2.0
            self.errors += normal[distance < 1_500.0].tolist()

    def _check_pairs(self, name: str, correlation: Correlation, partners: Mapping[str, TrackReport]) -> None:
        """No system track is made of tracks that plainly follow two aircraft."""
        reports = [correlation.reports[0], *(partners[other] for other in correlation.centres[1:])]
        follows = [self._followed(report) for report in reports]
        for members in correlation.members:
            flown = {int(follows[c][row]) for c, row in enumerate(members.tolist()) if row >= 0} - {-1}
            assert len(flown) <= 1, f"{name} takes aircraft {flown} for one"

    def _followed(self, report: TrackReport | Picture) -> NDArray[np.int64]:
        """(N,) the aircraft that each track plainly follows; -1 where that is open."""
        target, distance, next_distance = self._aircraft(report.latitude, report.longitude, report.time)
        plain = (distance < 400.0) & (next_distance > 1_500.0) & (report.time - report.updated < 8.0)
        return np.where(plain, target, -1)

    def _aircraft(
        self, latitude: Floats1, longitude: Floats1, time: float
    ) -> tuple[NDArray[np.int64], Floats1, Floats1]:
        """The nearest aircraft (N,), its distance and that of the next, m."""
        flights = self.world.simulation.flights
        second = min(max(round(time - self.world.simulation.start), 0), flights.latitude.shape[1] - 1)
        east = (longitude[:, None] - flights.longitude[None, :, second]) * EARTH * np.cos(45.0 * DEGREE)
        north = (latitude[:, None] - flights.latitude[None, :, second]) * EARTH
        distance = np.hypot(east, north)
        near = np.sort(distance, axis=1)
        return distance.argmin(axis=1), near[:, 0], near[:, 1]


def check_history(simulation: Simulation, messages: RadarMessages, folder: Path, seed: int) -> History:
    """Run one history to its end and check how it ends."""
    history = History(simulation, messages, folder, seed)
    try:
        _check_history(history)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}; {'; '.join(history.told)}") from error
    finally:
        history.world.close()
    return history


def _check_history(history: History) -> None:
    world = history.world
    history.run(RUN_UP)
    for _ in range(STRIKES):
        history.strike()
        history.run(float(history.rng.uniform(0.3, 4.0)))
    world.cut()
    history.mend()
    history.run(6.0)
    history.heal()
    healed = history.now
    while not history.is_linked:
        assert history.now - healed <= FIRST_MESSAGE, "no message"
        history.step()
    first = history.now
    while not history.is_alike:
        assert history.now - first <= ALIKE, f"not alike: {history.unlike}"
        history.step()
    history.told.append(f"{history.now:.1f} alike")
    for _ in range(4):
        history.run(1.0)
        history.note_errors()
    often = {key: count for key, count in history.changes.items() if count > 1}
    assert not often, f"numbers changed more than once: {often}"
    honest = float(np.mean(history.errors))
    assert honest < 4.0, f"ANEES {honest:.2f}"
    for member in world.members.values():
        for other, link in member.federation.links.items():
            head = world.members[other].federation.journal_head
            held = link.copy.head.sequence
            assert held == head, f"{member.name} holds {held} of {head} records of {other}"
            assert link.gateway.status.acknowledged == member.federation.journal_head
            assert not link.copy.refused, f"{member.name} refused {link.copy.refused} of {other}"
            assert link.gateway.status.rung is Rung.PLOTS, (
                f"{member.name} to {other}: {link.gateway.ladder.why}"
            )
        proof = verify_folder(world.folder / member.name / "journal")
        assert not proof.all_findings, f"{proof.all_findings}"
