"""The engine in memory: the contract of all engines, and the network that it simulates."""

from collections.abc import Callable

import pytest
from engine_contract import Ends, EngineContract, EnginePair

from skypact.core.clock import SimulatedClock
from skypact.exchange.memory_engine import OVERHEAD, MemoryNetwork

START = 1_750_000_000.0


class MemoryPair:
    """Alpha and Bravo on a simulated network."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = SimulatedClock(START)
        self.network = MemoryNetwork(self.clock, seed)
        self.alpha = self.network.engine("ALPHA")
        self.bravo = self.network.engine("BRAVO")

    def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        end = self.clock.time + seconds
        while not condition():
            assert self.clock.time < end, "it never came to hold"
            self.clock.time += 0.01

    def cut(self) -> None:
        self.network.cut("ALPHA", "BRAVO")
        self.network.cut("BRAVO", "ALPHA")

    def heal(self) -> None:
        self.network.heal("ALPHA", "BRAVO")
        self.network.heal("BRAVO", "ALPHA")

    def restart_alpha(self) -> None:
        self.network.restart("ALPHA")


@pytest.fixture
def memory() -> MemoryPair:
    return MemoryPair()


@pytest.fixture
def pair(memory: MemoryPair) -> EnginePair:
    return memory


class TestContract(EngineContract):
    """All of it holds of the engine in memory."""


def test_messages_take_the_latency_and_the_time_of_their_bytes(memory: MemoryPair):
    ends = Ends(memory)
    ends.until_linked()
    path = memory.network.path("ALPHA", "BRAVO")
    path.latency, path.bytes_per_second = 0.5, 1000.0
    now = memory.clock.time
    for _ in range(2):
        ends.outlet.publish("plots", bytes(1000 - OVERHEAD))
    ends.until(lambda: len(ends.payloads("plots")) == 2)
    times = [message.received - now for message in ends.came if message.subject == "plots"]
    assert times == pytest.approx([1.5, 2.5])


def test_a_stall_holds_all_and_loses_nothing(memory: MemoryPair):
    ends = Ends(memory)
    ends.until_linked()
    now = memory.clock.time
    ends.outlet.publish("plots", b"before")
    memory.network.stall("ALPHA", "BRAVO", 2.0)
    ends.outlet.publish("plots", b"after")
    ends.until(lambda: len(ends.payloads("plots")) == 2)
    assert all(m.received >= now + 2.0 for m in ends.came if m.subject == "plots")


def test_a_cut_of_the_way_back_stops_replies_and_nothing_else(memory: MemoryPair):
    ends = Ends(memory)
    ends.until_linked()
    memory.network.cut("BRAVO", "ALPHA")
    ends.came_back = []
    ends.inlet.reply("ack", b"")
    ends.outlet.publish("plots", b"")
    ends.outlet.append(1, b"")
    ends.until(lambda: bool(ends.payloads("plots")) and bool(ends.records))
    assert ends.came_back == []


def test_what_was_on_its_way_when_the_link_was_cut_is_repeated_if_it_is_stored(memory: MemoryPair):
    ends = Ends(memory)
    ends.until_linked()
    memory.network.path("ALPHA", "BRAVO").latency = 1.0
    ends.outlet.publish("plots", b"")
    ends.outlet.put("tile.0", b"value")
    ends.outlet.append(1, b"record")
    memory.cut()
    memory.heal()
    ends.until(lambda: bool(ends.records) and bool(ends.payloads("tile.0")))
    assert ends.payloads("plots") == []


def test_a_full_disk_at_the_owner_leaves_records_unstored_until_there_is_room(memory: MemoryPair):
    ends = Ends(memory)
    ends.until_linked()
    memory.network.set_disk_full("ALPHA", True)
    ends.outlet.append(1, b"1")
    ends.outlet.append(2, b"2")
    ends.until_linked()
    assert ends.outlet.stored == 0 and ends.records == []
    memory.network.set_disk_full("ALPHA", False)
    ends.until(lambda: [record.sequence for record in ends.records] == [1, 2])
    assert ends.outlet.stored == 2


def test_a_full_disk_at_the_reader_delays_its_copy_only(memory: MemoryPair):
    ends = Ends(memory)
    ends.until_linked()
    memory.network.set_disk_full("BRAVO", True)
    ends.outlet.append(1, b"1")
    ends.until_linked()
    assert ends.outlet.stored == 1 and ends.records == []
    memory.network.set_disk_full("BRAVO", False)
    ends.until(lambda: [record.payload for record in ends.records] == [b"1"])


def test_a_restart_forgets_last_values_and_a_restarted_reader_gets_them_again(memory: MemoryPair):
    ends = Ends(memory)
    ends.outlet.put("tile.0", b"1")
    ends.until(lambda: ends.payloads("tile.0") == [b"1"])
    memory.network.restart("BRAVO")
    ends.until(lambda: ends.payloads("tile.0") == [b"1", b"1"])
    memory.network.restart("ALPHA")
    memory.network.restart("BRAVO")
    ends.until_linked()
    assert ends.payloads("tile.0") == []


def test_the_reader_s_clock_stamps_what_it_receives(memory: MemoryPair):
    network = MemoryNetwork(memory.clock)
    memory.alpha, memory.bravo = network.engine("ALPHA"), network.engine("BRAVO", skew=2.0)
    ends = Ends(memory)
    ends.until_linked()
    ends.outlet.publish("plots", b"")
    ends.until(lambda: bool(ends.payloads("plots")))
    assert ends.came[-1].received == pytest.approx(memory.clock.time + 2.0, abs=0.02)


def test_the_same_seed_loses_the_same_messages():
    def arrivals(seed: int) -> list[bytes]:
        memory = MemoryPair(seed)
        ends = Ends(memory)
        ends.until_linked()
        memory.network.path("ALPHA", "BRAVO").loss = 0.5
        for n in range(100):
            ends.outlet.publish("plots", b"%d" % n)
        memory.network.path("ALPHA", "BRAVO").loss = 0.0
        ends.outlet.publish("end", b"")
        ends.until(lambda: bool(ends.payloads("end")))
        return ends.payloads("plots")

    assert arrivals(1) == arrivals(1) != arrivals(2)
    assert 20 < len(arrivals(1)) < 80
