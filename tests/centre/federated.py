"""Whole federations for tests: each centre with all its stages, on one simulated clock and network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from skypact.asterix.model import Datagrams
from skypact.centre.federation import Federation
from skypact.centre.number_file import FILE as NUMBER_FILE
from skypact.centre.number_file import NumberFile
from skypact.centre.service import Centre
from skypact.centre.settings import CentreSettings
from skypact.core.clock import SimulatedClock
from skypact.exchange.memory_engine import MemoryNetwork
from skypact.exchange.model import PartnerState, Rung
from skypact.journal.copies import open_copy
from skypact.journal.log import open_journal
from skypact.journal.model import Record
from skypact.journal.seal import key_hex
from skypact.journal.store import JournalWriteError, LineStore
from skypact.sensors.model import SensorHealth, SensorTable
from skypact.sensors.receive import Received
from skypact.simulation.messages import RadarMessages, radar_messages
from skypact.simulation.model import Simulation
from skypact.simulation.world import FIRST_SAC
from skypact.tracks.model import Picture
from skypact.tracks.settings import TrackerSettings

STEP = 0.1  # s between two steps of a centre; live ones take 0.02
ALL_PLOTS = 'journal = ["*"]\n[[tracks]]\nname = "all"\n[[plots]]\nname = "all"\n'
ALL_TRACKS = 'rung = "tracks"\n' + ALL_PLOTS


@dataclass
class MemberClock:
    """The clock of one centre, that may be ahead, behind, or set while the centre runs."""

    world: SimulatedClock
    ahead: float = 0.0  # s

    def now(self) -> float:
        return self.world.time + self.ahead

    async def sleep_until(self, due: float) -> None:
        await self.world.sleep_until(due - self.ahead)


class Antennas:
    """Radars as a feed: what they sent by now, received by the centre's clock."""

    is_live = False

    def __init__(self, sent: Datagrams, clock: MemberClock) -> None:
        self._sent = sent
        self._clock = clock
        self._next = int(np.searchsorted(sent.received, clock.world.time, side="right"))

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def take(self) -> Received:
        sent, first = self._sent, self._next
        self._next = int(np.searchsorted(sent.received, self._clock.world.time, side="right"))
        part = slice(first, self._next)
        count = self._next - first
        taken = Datagrams(
            sent.buffer, sent.offset[part], sent.length[part], sent.received[part] + self._clock.ahead
        )
        senders, ports = np.zeros(count, dtype=np.uint32), np.zeros(count, dtype=np.int16)
        return Received(taken, senders, ports, self._clock.now())

    def read_losses(self) -> dict[str, int]:
        return {}


class Disk(LineStore):
    """A log on a disk that may be full."""

    def __init__(self, inner: LineStore) -> None:
        self._inner = inner
        self.is_full = False

    @property
    def count(self) -> int:
        return self._inner.count

    def append(self, lines: Sequence[bytes], now: float) -> None:
        if self.is_full:
            raise JournalWriteError("the disk is full")
        self._inner.append(lines, now)

    def read(self, after: int, limit: int) -> list[bytes]:
        return self._inner.read(after, limit)

    def set_aside(self, line: bytes) -> None:
        self._inner.set_aside(line)

    def close(self) -> None:
        self._inner.close()


@dataclass
class Member:
    """One centre, and what it showed."""

    name: str
    clock: MemberClock
    centre: Centre
    federation: Federation
    disks: list[Disk]
    pictures: list[Picture] = field(default_factory=list)
    states: list[list[PartnerState]] = field(default_factory=list)
    health: list[SensorHealth] = field(default_factory=list)

    def state(self, partner: str) -> PartnerState:
        """How the exchange with a partner stood last."""
        return next(state for state in self.states[-1] if state.name == partner)

    def records(self) -> list[Record]:
        """Its own journal."""
        return self.federation._journal.read(0, 100_000)


class FederatedWorld:
    """Centres that divide the radars of one simulation, each linked to each."""

    def __init__(
        self,
        simulation: Simulation,
        folder: Path,
        policies: dict[tuple[str, str], str] | None = None,
        seed: int = 1,
        ahead: dict[str, float] | None = None,
        messages: RadarMessages | None = None,
    ) -> None:
        """Args:
        policies: by owner and reader; without one, everything at rung plots. ahead: s by which a
            centre's clock is. messages: of the simulation, where they are made already.
        """
        self.simulation = simulation
        self.folder = folder
        self.clock = SimulatedClock(simulation.start)
        self.network = MemoryNetwork(self.clock, seed)
        self.names = [partner.upper() for partner in simulation.scenario.partners]
        self.keys = {
            name: Ed25519PrivateKey.from_private_bytes(bytes([place + 1] * 32))
            for place, name in enumerate(self.names)
        }
        self.clocks = {name: MemberClock(self.clock, (ahead or {}).get(name, 0.0)) for name in self.names}
        self._policies = policies or {}
        self._sent = self._divide(messages or radar_messages(simulation))
        self._suspended: dict[str, dict[str, tuple[Rung, str]]] = {name: {} for name in self.names}
        self.members: dict[str, Member] = {}
        for name in self.names:
            self.start(name)

    def _divide(self, messages: RadarMessages) -> dict[str, Datagrams]:
        """The datagrams of each centre's radars."""
        owner = np.array([sensor.sac for sensor in self.simulation.sensors.sensors]) - FIRST_SAC
        sent = messages.datagrams
        divided = {}
        for place, name in enumerate(self.names):
            mine = owner[messages.sensor] == place
            divided[name] = Datagrams(sent.buffer, sent.offset[mine], sent.length[mine], sent.received[mine])
        return divided

    def start(self, name: str) -> Member:
        """Start a centre, or start it again with what it has on disk."""
        home = self.folder / name
        (home / "release").mkdir(parents=True, exist_ok=True)
        others = [other for other in self.names if other != name]
        for other in others:
            self.set_policy(name, other, self._policies.get((name, other), ALL_PLOTS))
        sac = FIRST_SAC + self.names.index(name)
        table = self.simulation.sensors
        own = SensorTable(tuple(s for s in table.sensors if s.sac == sac), table.reference)
        clock = self.clocks[name]
        journal = open_journal(home / "journal", name, self.keys[name])
        copies = {
            other: open_copy(home / "journal", other, key_hex(self.keys[other].public_key()))
            for other in others
        }
        disks = []
        for log in (journal, *copies.values()):
            log._store = Disk(log._store)
            disks.append(log._store)
        federation = Federation(
            own,
            self.network.engine(name, clock.ahead),
            journal,
            copies,
            home / "release",
            epoch=int(clock.now() * 1e9),
            suspended=self._suspended[name],
            unit=self.names.index(name) + 1,
        )
        settings = CentreSettings(
            name, own, tracker=TrackerSettings(centre_seed=int(clock.now()) * 100 + sac)
        )
        feed = Antennas(self._sent[name], clock)
        numbers = NumberFile(home / NUMBER_FILE, clock.now())
        centre = Centre(settings, feed, clock, federation, number_file=numbers)
        member = Member(name, clock, centre, federation, disks)
        centre.on_picture.append(member.pictures.append)
        federation.on_partners.append(member.states.append)
        self.members[name] = member
        return member

    def stop(self, name: str) -> None:
        """Stop a centre as a crash would: what is on disk stays."""
        member = self.members.pop(name)
        links = member.federation.links.items()
        ladders = {partner: link.gateway.ladder for partner, link in links}
        self._suspended[name] = {
            partner: (ladder.suspended_to, ladder.reason)
            for partner, ladder in ladders.items()
            if ladder.suspended_to is not None
        }
        self.network.restart(name)
        member.federation.close()

    def set_policy(self, owner: str, reader: str, text: str) -> None:
        """What a reader may have; a running centre sees it within a second."""
        self._policies[owner, reader] = text
        (self.folder / owner / "release" / f"{reader}.toml").write_text(text)

    def set_disk_full(self, name: str, is_full: bool) -> None:
        """Let nothing more be stored on a running centre's disk, or let it go on."""
        self.network.set_disk_full(name, is_full)
        for disk in self.members[name].disks:
            disk.is_full = is_full

    def set_clock(self, name: str, ahead: float) -> None:
        """Set a centre's clock."""
        self.clocks[name].ahead = ahead
        self.network.set_skew(name, ahead)

    def run(self, seconds: float) -> None:
        """Let time pass for all centres."""
        for _ in range(round(seconds / STEP)):
            self.step()

    def step(self) -> None:
        """Let one step of time pass for all centres."""
        self.clock.time += STEP
        for member in self.members.values():
            member.centre.step()

    def until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Run until the condition holds; the seconds that it took."""
        begin = self.clock.time
        while not condition():
            assert self.clock.time < begin + seconds, "it never came to hold"
            self.step()
        return self.clock.time - begin

    @property
    def ways(self) -> list[tuple[str, str]]:
        """Every way from one centre to another."""
        return list(permutations(self.names, 2))

    def cut(self) -> None:
        """Cut all links, both ways."""
        for way in self.ways:
            self.network.cut(*way)

    def heal(self) -> None:
        """Heal all links."""
        for way in self.ways:
            self.network.heal(*way)

    def close(self) -> None:
        """Stop all centres."""
        for member in self.members.values():
            member.federation.close()
