"""Whole federations for tests: each centre with all its stages, on one simulated clock and network."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from skypact.asterix.model import Datagrams
from skypact.centre.federation import Federation
from skypact.centre.number_file import FILE as NUMBER_FILE
from skypact.centre.number_file import NumberFile
from skypact.centre.replay import RecordingFeed
from skypact.centre.service import Centre
from skypact.centre.settings import CentreSettings
from skypact.core.clock import SimulatedClock
from skypact.exchange.memory_engine import MemoryNetwork
from skypact.exchange.model import PartnerState
from skypact.journal.copies import open_copy
from skypact.journal.log import open_journal
from skypact.journal.model import Record
from skypact.journal.seal import key_hex
from skypact.sensors.model import SensorHealth, SensorTable
from skypact.simulation.messages import radar_messages
from skypact.simulation.model import Simulation
from skypact.simulation.world import FIRST_SAC
from skypact.tracks.model import Picture
from skypact.tracks.settings import TrackerSettings

STEP = 0.1  # s between two steps of a centre; live ones take 0.02
ALL_PLOTS = 'journal = ["*"]\n[[tracks]]\nname = "all"\n[[plots]]\nname = "all"\n'
ALL_TRACKS = 'rung = "tracks"\n' + ALL_PLOTS


@dataclass
class Member:
    """One centre, and what it showed."""

    name: str
    centre: Centre
    federation: Federation
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
        skew: dict[str, float] | None = None,
    ) -> None:
        """Args: `policies` by owner and reader; without one, everything at rung plots."""
        self.simulation = simulation
        self.folder = folder
        self.clock = SimulatedClock(simulation.start)
        self.network = MemoryNetwork(self.clock, seed)
        self.names = [partner.upper() for partner in simulation.scenario.partners]
        self.keys = {
            name: Ed25519PrivateKey.from_private_bytes(bytes([place + 1] * 32))
            for place, name in enumerate(self.names)
        }
        self._policies = policies or {}
        self._messages = radar_messages(simulation)
        self.members: dict[str, Member] = {}
        for name in self.names:
            self.start(name)

    def start(self, name: str) -> Member:
        """Start a centre, or start it again with what it has on disk."""
        home = self.folder / name
        (home / "release").mkdir(parents=True, exist_ok=True)
        others = [other for other in self.names if other != name]
        for other in others:
            text = self._policies.get((name, other), ALL_PLOTS)
            (home / "release" / f"{other}.toml").write_text(text)
        sac = FIRST_SAC + self.names.index(name)
        rows = [row for row, s in enumerate(self.simulation.sensors.sensors) if s.sac == sac]
        table = self.simulation.sensors
        own = SensorTable(tuple(table.sensors[row] for row in rows), table.reference)
        mine = np.isin(self._messages.sensor, rows) & (self._messages.datagrams.received > self.clock.now())
        federation = Federation(
            own,
            self.network.engine(name),
            open_journal(home / "journal", name, self.keys[name]),
            {
                other: open_copy(home / "journal", other, key_hex(self.keys[other].public_key()))
                for other in others
            },
            home / "release",
            epoch=int(self.clock.now() * 1e9),
            suspended={},
            unit=self.names.index(name) + 1,
        )
        settings = CentreSettings(
            name, own, tracker=TrackerSettings(centre_seed=int(self.clock.now()) * 100 + sac)
        )
        sent = self._messages.datagrams
        datagrams = Datagrams(sent.buffer, sent.offset[mine], sent.length[mine], sent.received[mine])
        feed = RecordingFeed(datagrams, begin=self.clock.now(), clock=self.clock)
        numbers = NumberFile(home / NUMBER_FILE, self.clock.now())
        centre = Centre(settings, feed, self.clock, federation, number_file=numbers)
        member = Member(name, centre, federation)
        centre.on_picture.append(member.pictures.append)
        federation.on_partners.append(member.states.append)
        feed.start()
        self.members[name] = member
        return member

    def stop(self, name: str) -> None:
        """Stop a centre as a crash would: what is on disk stays."""
        member = self.members.pop(name)
        self.network.restart(name)
        member.federation.close()

    def run(self, seconds: float) -> None:
        """Let time pass for all centres."""
        for _ in range(round(seconds / STEP)):
            self.clock.time += STEP
            for member in self.members.values():
                member.centre.step()

    def cut(self) -> None:
        """Cut all links, both ways."""
        for one in self.names:
            for other in self.names:
                if one != other:
                    self.network.cut(one, other)

    def heal(self) -> None:
        """Heal all links."""
        for one in self.names:
            for other in self.names:
                if one != other:
                    self.network.heal(one, other)
