"""Centres linked over real NATS servers with mutual TLS, each in a process of its own, for benchmarks."""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from skypact.benchmarks.plain import PlainLink
from skypact.benchmarks.scene import Scene, scene_sensors
from skypact.centre.system_picture import report_of
from skypact.exchange.engine import Inlet, Message, Outlet, StoredRecord
from skypact.exchange.gateway import Gateway
from skypact.exchange.model import TrackReport
from skypact.exchange.nats_config import VALUES_MIRROR
from skypact.exchange.nats_engine import NatsEngine
from skypact.exchange.nats_server import NatsServer, free_port, link_config
from skypact.exchange.policy import parse_policy
from skypact.exchange.reader import Reader
from skypact.exchange.trust import TrustStore, read_partner_file
from skypact.plots.model import make_plots

LOOPBACK = "127.0.0.1"
STEP = 0.02  # s, as a centre's
START_WAIT = 120.0  # s for a process to be ready
EVERYTHING = b"""
rung = "plots"
journal = ["*"]
[[tracks]]
name = "all"
[[plots]]
name = "all"
"""
_TICKS = os.sysconf("SC_CLK_TCK")


def introduce(folder: Path, names: Sequence[str]) -> dict[str, int]:
    """Make keys in `folder`/NAME/partners, join the first centre with each other one; the ports of links."""
    now = time.time()
    ports = {name: free_port() for name in names}
    stores = {
        name: TrustStore.create(folder / name / "partners", name, f"{LOOPBACK}:{port}", now)
        for name, port in ports.items()
    }
    for owner, reader in [(names[0], name) for name in names[1:]] + [(name, names[0]) for name in names[1:]]:
        content = stores[owner].partner_file(now)
        stores[reader].accept(content, now, read_partner_file(content, now).fingerprint)
    return ports


class Remote:
    """An object in a process of its own, whose methods are called from here; a call may be answered later."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        """Begin to make it there: `make` and its arguments must be such as can be sent."""
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, method: str, *arguments: Any) -> None:
        """Call a method; `end` gives its result."""
        self._ours.send((method, arguments))

    def end(self, wait: float = START_WAIT) -> Any:
        """The result of the call begun first.

        Raises:
            RuntimeError: it failed there, or gives no answer.
        """
        if not self._ours.poll(wait):
            raise RuntimeError("a centre of the benchmark gives no answer")
        kind, result = self._ours.recv()
        if kind == "failed":
            raise RuntimeError(f"a centre of the benchmark failed: {result}")
        return result

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method and wait for its result."""
        self.begin(method, *arguments)
        return self.end()

    def close(self) -> None:
        """End it and its process."""
        with contextlib.suppress(OSError, RuntimeError, EOFError):
            self.call("close")
        self._process.join(10.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    served = make(*arguments)
    method = ""
    while method != "close":
        try:
            method, values = connection.recv()
        except EOFError:
            served.close()
            return
        try:
            connection.send(("done", getattr(served, method)(*values)))
        except Exception as error:
            connection.send(("failed", repr(error)))


@dataclass(slots=True)
class Exchanged:
    """What one centre did in a time of exchange."""

    seconds: float
    process: float = 0.0  # processor time of gateways, readers and engine, s
    server: float = 0.0  # processor time of the NATS server, s
    octets: int = 0  # acknowledged by partners
    given: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # to whom: sequence and time
    came: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # from whom: the same of arrival
    pictures: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # whose: its time, and now
    refused: int = 0  # messages


class _Numbered(msgspec.Struct):
    sequence: int


_NUMBER = msgspec.msgpack.Decoder(_Numbered)


class _NotingOutlet:
    """Notes when each tile is handed to the engine."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.given: list[tuple[int, float]] = []

    def put(self, subject: str, payload: bytes) -> None:
        if subject.startswith("tile."):
            self.given.append((_NUMBER.decode(payload).sequence, time.time()))
        self.outlet.put(subject, payload)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outlet, name)


class _NotingInlet:
    """Notes when each tile came."""

    def __init__(self, inlet: Inlet) -> None:
        self.inlet = inlet
        self.came: list[tuple[int, float]] = []

    def take(self) -> list[Message]:
        messages = self.inlet.take()
        self.came += [
            (_NUMBER.decode(message.payload).sequence, message.received)
            for message in messages
            if message.subject.startswith("tile.")
        ]
        return messages

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inlet, name)


class Member:
    """One centre's part in the exchange, without a tracker: server, gateways and readers."""

    def __init__(self, folder: Path, name: str, port: int) -> None:
        """Start the server of the centre whose keys are in `folder`."""
        self.name = name
        self._folder, self._port = folder / name, port
        self._store = TrustStore(self._folder / "partners")
        self.partners = [partner.name for partner in self._store.partners()]
        self._records = 0  # of our made journal
        self._gateways: dict[str, Gateway] = {}
        self._readers: dict[str, Reader] = {}
        self._outlets: dict[str, _NotingOutlet] = {}
        self._inlets: dict[str, _NotingInlet] = {}
        self._sensors = scene_sensors()
        self._engine: NatsEngine | None = None
        self.start_server()

    def start_server(self) -> None:
        """Start the server on what it has stored."""
        listen = f"{LOOPBACK}:{self._port}"
        self._server = NatsServer(link_config(self._store, self._folder / "nats", listen, time.time()))
        self._server.start()

    def stop_server(self) -> None:
        """Stop the server and what works with it."""
        self.leave()
        self._server.stop()

    def wait_for_links(self) -> None:
        """Return when each partner's link stands."""
        _until(lambda: all(self._is_linked(partner) for partner in self.partners))

    def join(self) -> None:
        """Begin the exchange with all partners."""
        self._engine = NatsEngine(self._server)
        epoch, policy = time.time_ns(), parse_policy(EVERYTHING, Path("bench.toml"))
        for name in self.partners:
            outlet = _NotingOutlet(self._engine.outlet(name))
            self._outlets[name] = outlet
            self._gateways[name] = Gateway(self.name, name, outlet, policy, epoch)
            self._read(name)

    def leave(self) -> None:
        """End the exchange; the server goes on."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def run(self, seconds: float, tracks: int) -> Exchanged:
        """Exchange for a time, with a picture of `tracks` tracks each second for every partner."""
        report = made_report(self.name, tracks) if tracks else None
        exchanged = Exchanged(seconds, pictures={name: [] for name in self.partners})
        for name in self.partners:
            self._outlets[name].given, self._inlets[name].came = [], []
        begun, due = time.process_time(), time.time()
        server = self._server_time()
        end = due + seconds
        pictured = np.floor(due)
        while (now := time.time()) < end:
            is_due = now >= pictured + 1.0
            pictured = np.floor(now) if is_due else pictured
            new = replace(report, time=now, updated=report.updated + (now - report.time)) if report else None
            for name, when in self._step(now, new if is_due else None):
                exchanged.pictures[name].append((when, time.time()))
            due = max(due + STEP, time.time())
            time.sleep(max(0.0, due - time.time()))
            exchanged.octets += sum(int(g.flow.rate) for g in self._gateways.values()) if is_due else 0
        exchanged.process = time.process_time() - begun
        exchanged.server = self._server_time() - server
        exchanged.given = {name: outlet.given for name, outlet in self._outlets.items()}
        exchanged.came = {name: inlet.came for name, inlet in self._inlets.items()}
        exchanged.refused = sum(sum(reader.status.refused.values()) for reader in self._readers.values())
        return exchanged

    def rejoin(self, partner: str, tracks: int, is_remote: bool) -> float:
        """Seconds until a new reader has a partner's whole picture of so many tracks.

        Args:
            partner: whose it is. tracks: of its picture.
            is_remote: our server has nothing of it yet and gets it over the link, which stands.
        """
        assert self._engine is not None
        if is_remote:
            self.plain(partner).delete_mirror(VALUES_MIRROR)
        begun = time.perf_counter()
        self._read(partner)
        held = 0

        def has_all() -> bool:
            nonlocal held
            report = self._readers[partner].step(time.time()).report
            held = held if report is None else len(report)
            return held >= tracks

        _until(has_all, pause=0.001)
        return time.perf_counter() - begun

    def append(self, partner: str, count: int, size: int) -> float:
        """Hand over so many records of `size` bytes; seconds until all are stored durably for the partner."""
        outlet = self._outlets[partner]
        begun = time.perf_counter()
        for _ in range(count):
            self._records += 1
            outlet.append(self._records, b"%d " % self._records + bytes(size))
        _until(lambda: outlet.stored >= self._records, pause=0.001)
        return time.perf_counter() - begun

    def catch_up(self, partner: str, count: int) -> tuple[float, float]:
        """Until records up to `count` are here: seconds to the first one, and from there to the last."""
        begun = time.perf_counter()
        first = 0.0
        records: list[StoredRecord] = []
        inlet = self._inlets[partner]

        def has_all() -> bool:
            nonlocal first
            records.extend(inlet.take_records())
            first = first or (time.perf_counter() if records else 0.0)
            return bool(records) and records[-1].sequence >= count

        _until(has_all, pause=0.001)
        if [record.sequence for record in records] != list(range(1, count + 1)):
            raise RuntimeError("records lost or out of order")
        return first - begun, time.perf_counter() - first

    def plain(self, partner: str) -> PlainLink:
        """A plain client in the two accounts of a partner: what the exchange is held against."""
        return PlainLink(self._server, partner)

    def run_plain(self, method: str, partner: str, *arguments: Any) -> Any:
        """The result of a method of `plain`."""
        return getattr(self.plain(partner), method)(*arguments)

    def close(self) -> None:
        """End everything."""
        self.stop_server()

    def _read(self, partner: str) -> None:
        assert self._engine is not None
        self._inlets[partner] = _NotingInlet(self._engine.inlet(partner))
        self._readers[partner] = Reader(partner, self._inlets[partner])

    def _step(self, now: float, report: TrackReport | None) -> Iterator[tuple[str, float]]:
        """Move all links on; whose new picture came, and of when it is."""
        none = make_plots(0)
        for name, gateway in self._gateways.items():
            received = self._readers[name].step(now, gateway.flow.round_trip)
            gateway.step(now, report, none, self._sensors, (), ())
            if received.report is not None and len(received.report):
                yield name, received.report.time

    def _is_linked(self, partner: str) -> bool:
        state = self._server.links().get(partner)
        return state is not None and state.we_read and state.it_reads

    def _server_time(self) -> float:
        """Processor time that the server has used, s; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICKS


def made_report(centre: str, tracks: int) -> TrackReport:
    """A picture of so many tracks, as a centre's tracker reports it."""
    report = report_of(Scene(tracks, seed=sum(centre.encode())).picture(1))
    # Joint numbers end at 32,767.
    return replace(report, centre=centre, centre_names=(centre,), number=(report.number - 1) % 32_767 + 1)


@contextlib.contextmanager
def federation(folder: Path, names: Sequence[str]) -> Iterator[list[Remote]]:
    """Members of these names, the first linked with each other one; ended after the block."""
    ports = introduce(folder, names)
    members = [Remote(Member, folder, name, port) for name, port in ports.items()]
    try:
        together(members, "wait_for_links")
        yield members
    finally:
        for member in members:
            member.close()


def together(members: Sequence[Remote], method: str, *arguments: Any) -> list[Any]:
    """Call a method of all at the same time."""
    for member in members:
        member.begin(method, *arguments)
    return [member.end() for member in members]


def _until(condition: Callable[[], bool], wait: float = 60.0, pause: float = 0.02) -> None:
    due = time.monotonic() + wait
    while not condition():
        if time.monotonic() > due:
            raise RuntimeError(f"not within {wait:.0f} s")
        time.sleep(pause)
