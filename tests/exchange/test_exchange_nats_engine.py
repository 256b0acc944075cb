"""The engine over NATS when the way is cut, the server dies, and more is handed over than it can hold."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations

import pytest
from nats_federation import Federation, NatsPair

from skypact.exchange import nats_engine
from skypact.exchange.engine import Message, StoredRecord
from skypact.exchange.nats_engine import NatsEngine, NatsInlet, NatsOutlet
from skypact.exchange.nats_existing import ExistingServer
from skypact.exchange.nats_server import NatsServer


@dataclass(repr=False)
class Traffic:
    """Alpha gives Bravo records and values without end, in a thread of its own, as a centre does."""

    outlet: NatsOutlet
    inlet: NatsInlet
    last: int = 0
    records: list[StoredRecord] = field(default_factory=list)
    values: dict[str, Message] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Traffic":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.005):
            self.last += 1
            self.outlet.append(self.last, b"%d" % self.last)
            self.outlet.put(f"tile.{self.last % 8}", b"%d" % self.last)
            self.outlet.publish("plots", b"%d" % self.last)
            for message in self.inlet.take():
                if message.subject != "plots":
                    self.values[message.subject] = message
            self.records += self.inlet.take_records()

    def __repr__(self) -> str:
        newest = {name: message.payload for name, message in self.values.items()}
        ends = [(end.is_connected, end.counts) for end in (self.outlet, self.inlet)]
        return f"{self.last} given, {self.outlet.stored} stored, {len(self.records)} came, {newest}, {ends}"

    def has_all(self) -> bool:
        """After the traffic has ended: whether all that was given has come."""
        for message in self.inlet.take():
            self.values[message.subject] = message
        self.records += self.inlet.take_records()
        newest = {f"tile.{n % 8}": b"%d" % n for n in range(self.last - 7, self.last + 1)}
        come = {name: m.payload for name, m in self.values.items() if name in newest}
        return len(self.records) >= self.last and come == newest

    def came_once_and_in_order(self) -> bool:
        return self.records == [StoredRecord(n, b"%d" % n) for n in range(1, self.last + 1)]


def between(pair: NatsPair) -> Traffic:
    return Traffic(pair.alpha.outlet("BRAVO"), pair.bravo.inlet("ALPHA"))


def cut_off(pair: NatsPair, kind: int) -> None:
    """One of the ways in which a link fails."""
    if kind == 0:
        pair.cut()
    else:
        for proxy in pair.proxies.values():
            proxy.silence(*(("forth", "back"), ("forth",), ("back",))[kind - 1])


@pytest.mark.counts("cuts of the link between two NATS servers", sample=4, soak=20)
def test_no_record_is_lost_doubled_or_out_of_order_by_cuts_under_load(nats_pair: NatsPair, count: int):
    with between(nats_pair) as traffic:
        for cut in range(count):
            come = len(traffic.records)
            nats_pair.until(lambda come=come: len(traffic.records) > come)
            cut_off(nats_pair, cut % 4)
            stored = traffic.outlet.stored
            wanted = stored + (50 if cut % 8 else 1200)  # now and then for longer than the links' patience
            nats_pair.until(lambda wanted=wanted: traffic.outlet.stored > wanted)
            nats_pair.heal()
    nats_pair.until(traffic.has_all)
    assert traffic.came_once_and_in_order()
    assert traffic.outlet.counts.out_of_order == 0


@pytest.mark.counts("servers killed under appends", sample=4, soak=20)
def test_no_record_is_lost_or_doubled_when_servers_are_killed_under_load(nats_pair: NatsPair, count: int):
    with between(nats_pair) as traffic:
        for kill in range(count):
            come = len(traffic.records)
            nats_pair.until(lambda come=come: len(traffic.records) > come + 20)
            nats_pair.kill(("ALPHA", "BRAVO")[kill % 2])
    nats_pair.until(traffic.has_all)
    assert traffic.came_once_and_in_order()


def test_a_link_cut_as_soon_as_it_stood_heals_too(nats_pair: NatsPair):
    traffic = between(nats_pair)
    nats_pair.until(lambda: any(server.links() for server in nats_pair.servers.values()))
    nats_pair.cut()
    traffic.last = 8
    for n in range(1, 9):
        traffic.outlet.append(n, b"%d" % n)
        traffic.outlet.put(f"tile.{n % 8}", b"%d" % n)
    nats_pair.until(lambda: traffic.outlet.stored == 8)
    nats_pair.heal()
    nats_pair.until(traffic.has_all, 40.0)
    assert traffic.came_once_and_in_order()


def test_all_arrives_over_a_slow_link(nats_pair: NatsPair):
    for proxy in nats_pair.proxies.values():
        proxy.bytes_per_second, proxy.latency = 100_000.0, 0.25
    outlet, inlet = nats_pair.alpha.outlet("BRAVO"), nats_pair.bravo.inlet("ALPHA")
    values = {f"tile.{n}": bytes([n]) * 20_000 for n in range(10)}
    came: dict[str, bytes] = {}
    records: list[StoredRecord] = []

    def has_all() -> bool:
        came.update({m.subject: m.payload for m in inlet.take()})
        records.extend(inlet.take_records())
        return came == values and len(records) == 20

    for subject, payload in values.items():
        outlet.put(subject, payload)
    for n in range(1, 21):
        outlet.append(n, b"%d" % n)
    nats_pair.until(has_all)
    assert inlet.counts.mirrors_renewed == 0


def test_what_was_cleared_is_gone_from_the_partners_mirror_too(nats_pair: NatsPair):
    outlet, inlet = nats_pair.alpha.outlet("BRAVO"), nats_pair.bravo.inlet("ALPHA")
    outlet.put("tile.0", b"released")
    nats_pair.until(lambda: any(m.subject == "tile.0" for m in inlet.take()))
    outlet.clear()
    outlet.put("hello", b"after")
    nats_pair.until(lambda: any(m.subject == "hello" for m in inlet.take()))
    late = nats_pair.bravo.inlet("ALPHA")
    came: list[Message] = []

    def has_hello() -> bool:
        came.extend(late.take())
        return any(m.subject == "hello" for m in came)

    nats_pair.until(has_hello)
    assert [m.payload for m in came if m.subject == "tile.0"] == []


def test_nobody_waits_for_a_server_that_is_not_there():
    engine = NatsEngine(ExistingServer("ALPHA", "nats://127.0.0.1:1", "none"))
    outlet, inlet = engine.outlet("BRAVO"), engine.inlet("BRAVO")
    for n in range(1, 101):
        outlet.publish("plots", b"")
        outlet.put("tile.0", b"")
        outlet.append(n, b"")
        inlet.reply("ack", b"")
    outlet.clear()
    assert inlet.take() == inlet.take_records() == outlet.take() == []
    assert outlet.stored == 0
    assert not outlet.is_connected and not inlet.is_connected
    assert (outlet.counts.dropped, inlet.counts.dropped) == (100, 100)
    engine.close()


def test_what_was_handed_over_before_the_server_ran_arrives(nats_federation: Callable[..., Federation]):
    federation = nats_federation("ALPHA", "BRAVO")
    servers = federation.servers
    federation.engines = {name: NatsEngine(server) for name, server in servers.items()}
    outlet, inlet = federation.engines["ALPHA"].outlet("BRAVO"), federation.engines["BRAVO"].inlet("ALPHA")
    traffic = Traffic(outlet, inlet, last=8)
    for n in range(1, 9):
        outlet.append(n, b"%d" % n)
        outlet.put(f"tile.{n % 8}", b"%d" % n)
    for server in servers.values():
        server.start()
    federation.until(traffic.has_all)
    assert traffic.came_once_and_in_order()


def test_a_full_queue_drops_and_counts_and_the_owner_goes_on_from_what_was_stored(
    nats_pair: NatsPair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nats_engine, "RECORDS_WAITING", 10)
    outlet, inlet = nats_pair.alpha.outlet("BRAVO"), nats_pair.bravo.inlet("ALPHA")
    server = nats_pair.servers["ALPHA"]
    nats_pair.until(lambda: outlet.is_connected)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    for n in range(1, 31):
        outlet.append(n, b"%d" % n)
    assert outlet.counts.dropped + outlet.counts.out_of_order == 20
    os.kill(server.pid, signal.SIGCONT)
    records: list[StoredRecord] = []

    def has_all() -> bool:
        for n in range(outlet.stored + 1, 31):
            outlet.append(n, b"%d" % n)
        records.extend(inlet.take_records())
        return len(records) >= 30

    nats_pair.until(has_all)
    assert records == [StoredRecord(n, b"%d" % n) for n in range(1, 31)]


def test_a_reader_that_does_not_take_loses_no_record(nats_pair: NatsPair, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nats_engine, "RECORDS_WAITING", 50)
    outlet, inlet = nats_pair.alpha.outlet("BRAVO"), nats_pair.bravo.inlet("ALPHA")
    records: list[StoredRecord] = []

    def hand_over() -> bool:
        for n in range(outlet.stored + 1, 2001):
            outlet.append(n, b"%d" % n)
        return outlet.stored == 2000

    nats_pair.until(hand_over)
    nats_pair.until(lambda: len(inlet._records) == 50)

    def take() -> bool:
        records.extend(inlet.take_records())
        return len(records) >= 2000

    nats_pair.until(take)
    assert records == [StoredRecord(n, b"%d" % n) for n in range(1, 2001)]


def test_a_full_queue_of_live_messages_drops_the_oldest(nats_pair: NatsPair, monkeypatch: pytest.MonkeyPatch):
    outlet, inlet = nats_pair.alpha.outlet("BRAVO"), nats_pair.bravo.inlet("ALPHA")
    outlet.put("hello", b"")
    nats_pair.until(lambda: any(m.subject == "hello" for m in inlet.take()))
    monkeypatch.setattr(nats_engine, "LIVE_MESSAGES", 5)
    for n in range(20):
        outlet.publish("plots", b"%d" % n)
        nats_pair.until(lambda n=n: inlet.counts.dropped + len(inlet._live.messages) > n)
    came = [m.payload for m in inlet.take() if m.subject == "plots"]
    assert came == [b"%d" % n for n in range(15, 20)]
    assert inlet.counts.dropped == 15


def test_a_partner_can_not_fill_our_memory_with_subjects(
    nats_pair: NatsPair, monkeypatch: pytest.MonkeyPatch
):
    outlet, inlet = nats_pair.alpha.outlet("BRAVO"), nats_pair.bravo.inlet("ALPHA")
    monkeypatch.setattr(nats_engine, "SUBJECTS_MAX", 100)
    for n in range(100):
        outlet.put(f"tile.{n}", b"")
    monkeypatch.setattr(nats_engine, "SUBJECTS_MAX", 10)
    nats_pair.until(lambda: inlet.counts.dropped == 90)
    assert len(inlet.take()) == 10


def test_an_ended_partner_is_left_alone_and_may_come_back(nats_pair: NatsPair):
    first = nats_pair.alpha.outlet("BRAVO")
    first.append(1, b"1")
    nats_pair.until(lambda: first.stored == 1)
    nats_pair.alpha.forget("BRAVO")
    again = nats_pair.alpha.outlet("BRAVO")
    assert again is not first
    nats_pair.until(lambda: again.stored == 1)


def test_a_centre_that_starts_anew_goes_on_with_what_it_had_stored(nats_pair: NatsPair):
    outlet = nats_pair.alpha.outlet("BRAVO")
    for n in range(1, 11):
        outlet.append(n, b"%d" % n)
    nats_pair.until(lambda: outlet.stored == 10)
    nats_pair.alpha.close()
    nats_pair.servers["ALPHA"].stop()
    nats_pair.servers["ALPHA"] = NatsServer(nats_pair.config("ALPHA"))
    nats_pair.servers["ALPHA"].start()
    nats_pair.engines["ALPHA"] = NatsEngine(nats_pair.servers["ALPHA"])
    traffic = between(nats_pair)
    traffic.last = 20
    nats_pair.until(lambda: traffic.outlet.stored == 10)
    for n in range(1, 21):
        traffic.outlet.append(n, b"%d" % n)
        traffic.outlet.put(f"tile.{n % 8}", b"%d" % n)
    nats_pair.until(traffic.has_all)
    assert traffic.came_once_and_in_order()


def test_a_reader_that_begins_does_not_wait_for_the_next_beacon(
    nats_pair: NatsPair, monkeypatch: pytest.MonkeyPatch
):
    outlet = nats_pair.alpha.outlet("BRAVO")
    outlet.put("tile.1", b"one")
    nats_pair.until(lambda: outlet.is_connected)
    nats_pair.until(lambda: any(link.we_read for link in nats_pair.servers["BRAVO"].links().values()))
    monkeypatch.setattr(nats_engine, "BEACON_PERIOD", 1000.0)
    time.sleep(2.5)  # the beacon that was under way by the period of before
    inlet = nats_pair.bravo.inlet("ALPHA")
    came: list[Message] = []

    def has_come() -> bool:
        came.extend(inlet.take())
        return bool(came)

    nats_pair.until(has_come)
    assert [message.payload for message in came] == [b"one"]


def test_each_of_six_centres_reads_each_other(nats_federation: Callable[..., Federation]):
    names = ("ALPHA", "BRAVO", "CHARLIE", "DELTA", "ECHO", "FOXTROT")
    federation = nats_federation(*names)
    federation.start()
    inlets = {}
    for owner, reader in permutations(names, 2):
        outlet = federation.engines[owner].outlet(reader)
        outlet.put("tile.1", f"{owner} for {reader}".encode())
        outlet.append(1, b"record")
        inlets[owner, reader] = federation.engines[reader].inlet(owner)
    came: dict[tuple[str, str], set[bytes]] = {link: set() for link in inlets}

    def have_all() -> bool:
        for link, inlet in inlets.items():
            came[link].update(message.payload for message in inlet.take())
            came[link].update(record.payload for record in inlet.take_records())
        return all(len(payloads) == 2 for payloads in came.values())

    federation.until(have_all, 90.0)
    assert all(came[link] == {f"{link[0]} for {link[1]}".encode(), b"record"} for link in inlets)
