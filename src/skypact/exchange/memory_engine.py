"""The engine of the exchange in memory: whole federations on a simulated clock and network.

The network between two centres is one queue of bytes in each direction, shared by all that goes
that way, as a TCP connection under NATS is. What the real engine does when it is hurt is done here
too: a cut loses what is on its way, a link comes back a moment after the way does, stored records
and last values that were missed are then sent again by the engine, and nothing else is.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from skypact.core.clock import SimulatedClock
from skypact.exchange.engine import Inlet, Message, Outlet, StoredRecord

OVERHEAD = 64  # bytes that the engine adds to each message: subject, lengths, framing
RECONNECT = (0.2, 1.8)  # s from heal to flow; the range that was measured of NATS' leaf links


@dataclass
class Path:
    """One direction of the way between two centres; a test sets its numbers at any time."""

    latency: float = 0.002  # s
    bytes_per_second: float = math.inf
    loss: float = 0.0  # probability that a message that is sent at most once is lost
    is_cut: bool = False  # set by the network
    _parcels: "deque[_Parcel]" = field(default_factory=deque)
    _free: float = -math.inf  # when the last parcel will have left
    _last_due: float = -math.inf

    @property
    def waiting(self) -> int:
        """Bytes that were sent and have not arrived."""
        return sum(parcel.size for parcel in self._parcels)


class MemoryNetwork:
    """All centres of a federation and the ways between them.

    Everything that was due by the clock's time has happened before any call returns. The same
    calls at the same times with the same seed give the same deliveries.
    """

    def __init__(self, clock: SimulatedClock, seed: int = 0) -> None:
        self.clock = clock
        self._rng = np.random.default_rng(seed)
        self._nodes: dict[str, _Node] = {}
        self._paths: dict[tuple[str, str], Path] = {}
        self._links: dict[tuple[str, str], _Link] = {}  # by owner and reader

    def engine(self, centre: str, skew: float = 0.0) -> "MemoryEngine":
        """Start the engine of a centre, whose clock is ahead by `skew` s; what it had stored is there."""
        self._settle()
        node = self._nodes.setdefault(centre, _Node())
        node.is_up = True
        node.skew = skew
        self._review()
        return MemoryEngine(self, centre)

    def path(self, sender: str, receiver: str) -> Path:
        """The way from one centre to another."""
        return self._paths.setdefault((sender, receiver), Path())

    def cut(self, sender: str, receiver: str) -> None:
        """Cut one direction: what is on its way is lost, and nothing more gets through."""
        self._settle()
        path = self.path(sender, receiver)
        path.is_cut = True
        self._lose(path)
        self._review()

    def heal(self, sender: str, receiver: str) -> None:
        """Undo a cut of one direction; what needs a connection flows a moment after both are whole."""
        self._settle()
        self.path(sender, receiver).is_cut = False
        self._review()

    def stall(self, sender: str, receiver: str, seconds: float) -> None:
        """Hold everything in one direction for a while; nothing is lost."""
        self._settle()
        path = self.path(sender, receiver)
        for parcel in path._parcels:
            parcel.due += seconds
        path._free = max(path._free, self.clock.now()) + seconds
        path._last_due += seconds

    def restart(self, centre: str) -> None:
        """Kill an engine and start it: live messages and last values are lost, records stay."""
        self._stop(centre)
        self.engine(centre, self._nodes[centre].skew)

    def set_disk_full(self, centre: str, is_full: bool) -> None:
        """Let a centre's engine store nothing more, or let it go on."""
        self._settle()
        self._nodes[centre].is_disk_full = is_full
        for (owner, reader), link in self._links.items():
            if centre == owner:
                self._store(link)
            if centre == reader and not is_full and link.is_connected:
                self._send_records(link, self.clock.now())

    def set_skew(self, centre: str, skew: float) -> None:
        """Set a centre's clock ahead by `skew` s."""
        self._settle()
        self._nodes[centre].skew = skew

    def _stop(self, centre: str) -> None:
        self._settle()
        self._nodes[centre].is_up = False
        for (owner, reader), link in self._links.items():
            if centre == owner:
                link.values.clear()
                link.replies.clear()
            if centre == reader:
                link.mirrored.clear()
                link.mirrored_to = 0
                for inlet in link.inlets:
                    inlet.messages.clear()
        for (sender, receiver), path in self._paths.items():
            if centre in {sender, receiver}:
                self._lose(path)
        self._review()

    def _link(self, owner: str, reader: str) -> "_Link":
        if (owner, reader) not in self._links:
            self._links[owner, reader] = _Link(owner, reader)
            self._nodes.setdefault(reader, _Node())
            self._nodes.setdefault(owner, _Node())
            self._review()
        return self._links[owner, reader]

    def _lose(self, path: Path) -> None:
        path._parcels.clear()
        path._free = path._last_due = -math.inf

    def _review(self) -> None:
        """Find which links break and which come back after something changed."""
        for link in self._links.values():
            forth, back = self.path(link.owner, link.reader), self.path(link.reader, link.owner)
            are_up = self._nodes[link.owner].is_up and self._nodes[link.reader].is_up
            if forth.is_cut or not are_up:
                link.is_connected = False
            if forth.is_cut or back.is_cut or not are_up:
                link.connects_at = math.inf
            elif not link.is_connected and link.connects_at == math.inf:
                link.connects_at = self.clock.now() + float(self._rng.uniform(*RECONNECT))

    def _settle(self) -> None:
        """Let everything happen that was due by now."""
        now = self.clock.now()
        for link in self._links.values():
            if link.connects_at <= now:
                self._connect(link)
        for path in self._paths.values():
            while path._parcels and path._parcels[0].due <= now:
                self._arrive(path._parcels.popleft())

    def _connect(self, link: "_Link") -> None:
        at, link.connects_at = link.connects_at, math.inf
        link.is_connected = True
        self._send_records(link, at)
        for subject, (number, payload) in sorted(link.values.items(), key=lambda item: item[1][0]):
            if number > link.mirrored_to:
                self._send(link, _Parcel(_Way.VALUE, link, subject, number, payload), at)

    def _send_records(self, link: "_Link", at: float) -> None:
        for number in range(len(link.copied) + 1, len(link.stored) + 1):
            self._send(link, _Parcel(_Way.RECORD, link, "", number, link.stored[number - 1]), at)

    def _store(self, link: "_Link") -> None:
        """Store what was handed over, as far as there is room, and pass it on."""
        while link.handed and not self._nodes[link.owner].is_disk_full:
            link.stored.append(link.handed.popleft())
            number = len(link.stored)
            self._send(link, _Parcel(_Way.RECORD, link, "", number, link.stored[-1]), self.clock.now())

    def _send(self, link: "_Link", parcel: "_Parcel", at: float) -> None:
        if not link.is_connected:
            return
        if parcel.way is _Way.REPLY:
            path = self.path(link.reader, link.owner)
        else:
            path = self.path(link.owner, link.reader)
        if path.is_cut:
            return
        if parcel.way in {_Way.LIVE, _Way.REPLY} and self._rng.random() < path.loss:
            return
        path._free = max(path._free, at) + parcel.size / path.bytes_per_second
        parcel.due = path._last_due = max(path._free + path.latency, path._last_due)
        path._parcels.append(parcel)

    def _arrive(self, parcel: "_Parcel") -> None:
        link = parcel.link
        receiver = link.owner if parcel.way is _Way.REPLY else link.reader
        message = Message(parcel.subject, parcel.payload, parcel.due + self._nodes[receiver].skew)
        if parcel.way is _Way.REPLY:
            link.replies.append(message)
        elif parcel.way is _Way.LIVE:
            for inlet in link.inlets:
                inlet.messages.append(message)
        elif parcel.way is _Way.VALUE and parcel.number > link.mirrored_to:
            link.mirrored_to = parcel.number
            link.mirrored.pop(parcel.subject, None)  # so that the order of the subjects is that of their age
            link.mirrored[parcel.subject] = message
            for inlet in link.inlets:
                inlet.messages.append(message)
        elif (
            parcel.way is _Way.RECORD
            and not self._nodes[link.reader].is_disk_full
            and parcel.number == len(link.copied) + 1
        ):
            link.copied.append(parcel.payload)


class MemoryEngine:
    """The engine of one centre, as the network gave it."""

    def __init__(self, network: MemoryNetwork, centre: str) -> None:
        self.network = network
        self.centre = centre

    def outlet(self, partner: str) -> Outlet:
        """The outlet for a partner, by its name."""
        return _MemoryOutlet(self.network, self.network._link(self.centre, partner))

    def inlet(self, partner: str, after: int = 0, log: str = "") -> Inlet:
        """A new inlet from a partner; copies of another log than `log` are of no use and go."""
        network = self.network
        network._settle()
        link = network._link(partner, self.centre)
        if link.log != log:
            link.log = log
            link.copied.clear()
            network._send_records(link, network.clock.now())
        inlet = _MemoryInlet(network, link, after, deque(link.mirrored.values()))
        link.inlets.append(inlet)
        return inlet

    def forget(self, partner: str) -> None:
        """End the inlet of a partner that is one no longer; nothing here keeps an outlet running."""
        self.network._link(partner, self.centre).inlets.clear()

    def close(self) -> None:
        """Stop; records stay stored, last values go with the engine's memory."""
        self.network._stop(self.centre)
        for (_, reader), link in self.network._links.items():
            if reader == self.centre:
                link.inlets.clear()


@dataclass
class _Node:
    is_up: bool = False
    is_disk_full: bool = False
    skew: float = 0.0  # s that the centre's clock is ahead


class _Way(Enum):
    LIVE = 0
    VALUE = 1
    RECORD = 2
    REPLY = 3


@dataclass
class _Parcel:
    way: _Way
    link: "_Link"
    subject: str
    number: int  # in its stream; 0 without one
    payload: bytes
    due: float = 0.0

    @property
    def size(self) -> int:
        return len(self.payload) + OVERHEAD


@dataclass
class _Link:
    """What one centre owns for one reader, and what the reader holds of it."""

    owner: str
    reader: str
    is_connected: bool = False
    connects_at: float = math.inf
    # At the owner.
    values: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # number and last value
    value_count: int = 0
    handed: deque[bytes] = field(default_factory=deque)  # records that are not stored yet
    stored: list[bytes] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)
    # At the reader.
    mirrored: dict[str, Message] = field(default_factory=dict)  # last values, the oldest first
    mirrored_to: int = 0
    log: str = ""  # that the copied records are of
    copied: list[bytes] = field(default_factory=list)
    inlets: "list[_MemoryInlet]" = field(default_factory=list)


@dataclass(eq=False)
class _MemoryOutlet:
    network: MemoryNetwork
    link: _Link

    def publish(self, subject: str, payload: bytes) -> None:
        self.network._settle()
        parcel = _Parcel(_Way.LIVE, self.link, subject, 0, payload)
        self.network._send(self.link, parcel, self.network.clock.now())

    def put(self, subject: str, payload: bytes) -> None:
        self.network._settle()
        self.link.value_count += 1
        self.link.values[subject] = (self.link.value_count, payload)
        parcel = _Parcel(_Way.VALUE, self.link, subject, self.link.value_count, payload)
        self.network._send(self.link, parcel, self.network.clock.now())

    def clear(self) -> None:
        self.network._settle()
        self.link.values.clear()

    def append(self, sequence: int, payload: bytes) -> None:
        self.network._settle()
        following = len(self.link.stored) + len(self.link.handed) + 1
        assert sequence <= following, "records are handed over in order"
        if sequence == following:
            self.link.handed.append(payload)
            self.network._store(self.link)

    @property
    def wanted(self) -> int | None:
        return len(self.link.stored) + len(self.link.handed) + 1

    @property
    def stored(self) -> int:
        return len(self.link.stored)

    def take(self) -> list[Message]:
        self.network._settle()
        taken, self.link.replies = self.link.replies, []
        return taken


@dataclass(eq=False)
class _MemoryInlet:
    network: MemoryNetwork
    link: _Link
    taken: int  # records that the centre holds
    messages: deque[Message]

    def take(self) -> list[Message]:
        self.network._settle()
        taken = list(self.messages)
        self.messages.clear()
        return taken

    def take_records(self) -> list[StoredRecord]:
        self.network._settle()
        fresh = self.link.copied[self.taken :]
        records = [StoredRecord(self.taken + n, payload) for n, payload in enumerate(fresh, start=1)]
        self.taken += len(records)
        return records

    def reply(self, subject: str, payload: bytes) -> None:
        self.network._settle()
        parcel = _Parcel(_Way.REPLY, self.link, subject, 0, payload)
        self.network._send(self.link, parcel, self.network.clock.now())
