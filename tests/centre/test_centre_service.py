import asyncio
import dataclasses
import socket
import time
from collections import Counter
from dataclasses import fields

import msgspec
import numpy as np
import pytest

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.model import Datagrams
from skypact.centre.ingest import Ingest
from skypact.centre.offline import track_plots
from skypact.centre.replay import RecordingFeed
from skypact.centre.service import Centre
from skypact.centre.settings import CentreSettings, ReceptionRule
from skypact.core.clock import SimulatedClock
from skypact.core.units import DAY
from skypact.plots.assemble import PlotAssembler
from skypact.plots.model import COLUMNS, PlotBatch, join_plots
from skypact.sensors.model import SensorHealth, SensorState, SensorTable
from skypact.sensors.receive import Received, UdpReceiver, UdpSource
from skypact.simulation.messages import radar_messages
from skypact.simulation.model import Simulation
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate
from skypact.tracks.model import Picture
from skypact.tracks.settings import TrackerSettings
from skypact.tracks.tracker import Tracker

SECONDS = 60
LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(msgspec.structs.replace(read_scenario("small"), duration_s=SECONDS), 3)


@pytest.fixture(scope="module")
def datagrams(simulation) -> Datagrams:
    return radar_messages(simulation).datagrams


class Stamped:
    """A UDP receiver whose datagrams get the times of arrival that a schedule gives, in order."""

    is_live = False

    def __init__(self, receiver: UdpReceiver, schedule: np.ndarray) -> None:
        self.receiver = receiver
        self.schedule = schedule
        self.taken = 0

    def start(self) -> None:
        self.receiver.start()

    def stop(self) -> None:
        self.receiver.stop()

    def read_losses(self) -> dict[str, int]:
        return self.receiver.read_losses()

    def take(self) -> Received:
        received = self.receiver.take()
        stamps = self.schedule[self.taken : self.taken + len(received.datagrams)]
        self.taken += len(stamps)
        return dataclasses.replace(
            received,
            datagrams=dataclasses.replace(received.datagrams, received=stamps),
            closed=self.schedule[self.taken - 1] if self.taken else -np.inf,
        )


def live_over_udp(simulation: Simulation, datagrams: Datagrams) -> tuple[list[PlotBatch], list[Picture]]:
    """What a running centre makes of datagrams that are sent to it over UDP."""
    feed = Stamped(UdpReceiver([UdpSource(LOOPBACK, 0)]), datagrams.received)
    centre = Centre(CentreSettings("ALPHA", simulation.sensors), feed)
    plots: list[PlotBatch] = []
    pictures: list[Picture] = []
    centre.on_plots.append(plots.append)
    centre.on_picture.append(pictures.append)
    feed.start()
    content = datagrams.buffer.tobytes()
    deadline = time.monotonic() + 60.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for n, (begin, length) in enumerate(
            zip(datagrams.offset.tolist(), datagrams.length.tolist(), strict=True)
        ):
            out.sendto(content[begin : begin + length], (LOOPBACK, feed.receiver.ports[0]))
            if n % 40 == 0:
                centre.step()
        while feed.taken < len(datagrams) and time.monotonic() < deadline:
            centre.step()
            time.sleep(0.01)
    feed.stop()
    return plots, pictures


def assert_same_picture(first: Picture, second: Picture) -> None:
    for column in fields(Picture):
        if column.name == "sequence":
            continue  # counts pictures since the start, also those before the first plot
        one, other = getattr(first, column.name), getattr(second, column.name)
        if isinstance(one, np.ndarray):
            assert one.tobytes() == other.tobytes(), column.name
        else:
            assert one == other, column.name


def test_live_over_udp_and_offline_give_the_same_plots_and_pictures_to_the_bit(simulation, datagrams):
    recorded, pictures = live_over_udp(simulation, datagrams)
    plots = join_plots(recorded)
    whole = PlotAssembler(simulation.sensors).assemble(decode_datagrams(datagrams), datagrams)
    for name in COLUMNS:
        assert getattr(plots, name).tobytes() == getattr(whole, name).tobytes(), name

    offline = {
        picture.time: picture
        for picture in track_plots(plots, Tracker(simulation.sensors, TrackerSettings(centre="ALPHA")), 1.0)
    }
    shared = [picture for picture in pictures if picture.time in offline]
    assert len(shared) >= SECONDS - 3
    assert max(len(picture) for picture in shared) >= 10
    for picture in shared:
        assert_same_picture(picture, offline[picture.time])


async def run_simulated(
    simulation: Simulation, datagrams: Datagrams, step: float, pace: float
) -> tuple[list[Picture], list[list[SensorHealth]]]:
    """A whole centre on a simulated clock that is moved on in steps, and looks at its feed at a pace."""
    clock = SimulatedClock(1_000_000.0)
    feed = RecordingFeed(datagrams, clock=clock)
    centre = Centre(CentreSettings("ALPHA", simulation.sensors), feed, clock, pace=pace)
    pictures: list[Picture] = []
    health: list[list[SensorHealth]] = []
    centre.on_picture.append(pictures.append)
    centre.on_health.append(health.append)
    stop = asyncio.Event()
    running = asyncio.create_task(centre.run(stop))
    await asyncio.sleep(0)
    while not feed.has_ended:
        await clock.advance(step)
    stop.set()
    await clock.advance(1.0)
    await running
    return pictures, health


async def test_a_whole_centre_runs_on_a_simulated_clock_and_repeats_itself_to_the_bit(simulation, datagrams):
    first, health = await run_simulated(simulation, datagrams, step=0.5, pace=0.1)
    second, _ = await run_simulated(simulation, datagrams, step=7.0, pace=0.23)
    assert len(first) >= SECONDS - 3
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert_same_picture(one, other)
    last = health[-5]
    assert [sensor.state for sensor in last] == [SensorState.FRESH] * 3
    turns = [sensor.rotation_period for sensor in last]
    assert turns == pytest.approx(simulation.sensors.rotation_period, rel=0.02)
    assert all(sensor.plots_per_second > 0.5 for sensor in last)
    assert all(0.0 < (sensor.clock_offset or 0.0) < 1.0 for sensor in last)


class Played:
    """A feed that hands out datagrams second by second, and then silence."""

    is_live = False

    def __init__(self, datagrams: Datagrams, sender: np.ndarray) -> None:
        self.datagrams = datagrams
        self.sender = sender
        self.closed = float(datagrams.received[0])

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def read_losses(self) -> dict[str, int]:
        return {}

    def take(self) -> Received:
        first, self.closed = self.closed, self.closed + 1.0
        received = self.datagrams.received
        rows = slice(*np.searchsorted(received, [first, self.closed]))
        columns = ("offset", "length", "received")
        some = Datagrams(self.datagrams.buffer, *(getattr(self.datagrams, name)[rows] for name in columns))
        return Received(some, self.sender[rows], np.zeros(len(some), dtype=np.int16), self.closed)


def with_last_plots(datagrams: Datagrams, sensors: SensorTable, after: float) -> Datagrams:
    """The datagrams and, `after` s behind the last of them, one more plot of each radar."""
    received = float(datagrams.received[-1]) + after
    time = int(received % DAY * 128).to_bytes(3, "big")
    blocks = [
        bytes([48, 0, 14, 0xF0, sensor.sac or 0, sensor.sic or 0, *time, 0x20, 0x28, 0, 0x40, 0])
        for sensor in sensors.sensors
    ]
    places = len(datagrams.buffer) + 14 * np.arange(len(blocks))
    return Datagrams(
        np.concatenate([datagrams.buffer, np.frombuffer(b"".join(blocks), dtype=np.uint8)]),
        np.append(datagrams.offset, places),
        np.append(datagrams.length, np.full(len(blocks), 14)),
        np.append(datagrams.received, np.full(len(blocks), received)),
    )


def test_every_plot_that_was_sent_ends_in_one_outcome_of_its_sensors_health(simulation, datagrams):
    # A plot without a track is settled when later plots show that none comes of it.
    sent = with_last_plots(datagrams, simulation.sensors, 100.0)
    rows = np.repeat(np.arange(len(sent)), 2)  # each twice: from the radar and from somebody else
    twice = Datagrams(sent.buffer, sent.offset[rows], sent.length[rows], sent.received[rows])
    sender = np.tile(np.array([11, 99], dtype=np.uint32), len(sent))
    rule = ReceptionRule(sensor=0, senders=frozenset({11}))
    centre = Centre(CentreSettings("ALPHA", simulation.sensors, rules=(rule,)), Played(twice, sender))
    health: list[list[SensorHealth]] = []
    centre.on_health.append(health.append)
    for _ in range(SECONDS + 120):
        centre.step()
    plots = np.bincount(simulation.plots.sensor, minlength=3)
    for row, sensor in enumerate(health[-1]):
        outcomes, reasons = Counter(sensor.outcomes), Counter(sensor.reasons)
        copies, foreign = reasons["duplicate"], outcomes["quarantined"]
        assert outcomes.total() - copies - foreign == plots[row] == sensor.plots_total - 1
        assert outcomes["updated"] + outcomes["started"] > 0.5 * plots[row]
        assert reasons.total() == outcomes.total() - outcomes["updated"] - outcomes["started"] - foreign
        assert (copies, foreign > 0) == ((0, True) if row == 0 else (plots[row] + 1, False))


def test_one_who_speaks_for_a_radar_from_another_address_is_kept_out(simulation, datagrams):
    class Pair:
        """Each datagram twice: from the radar's address, and from somebody else's."""

        is_live = False

        def start(self) -> None: ...
        def stop(self) -> None: ...
        def read_losses(self) -> dict[str, int]:
            return {}

        def take(self) -> Received:
            rows = np.repeat(np.arange(200), 2)
            sender = np.tile(np.array([11, 99], dtype=np.uint32), 200)
            chosen = Datagrams(
                datagrams.buffer,
                datagrams.offset[rows],
                datagrams.length[rows],
                np.sort(datagrams.received[rows]),
            )
            return Received(chosen, sender, np.zeros(400, dtype=np.int16), float(chosen.received[-1]))

    rule = ReceptionRule(sensor=0, senders=frozenset({11}))
    trusting, careful = (Ingest(Pair(), simulation.sensors, rules) for rules in ((), (rule,)))
    plots, _ = trusting.take()
    kept, closed = careful.take()
    assert len(kept) == len(plots) > 0  # the copies are dropped either way
    report = careful.health.report(closed)
    assert report[0].errors["quarantined"] > 0
    assert report[1].errors == {}


def test_broken_bytes_between_good_ones_are_counted_and_the_good_ones_kept(simulation, datagrams):
    count = 300
    buffer = datagrams.buffer.copy()
    spoilt = np.flatnonzero(datagrams.length[:count] > 40)[::10]
    for row in spoilt.tolist():
        buffer[datagrams.offset[row] + 1 : datagrams.offset[row] + 3] = 255  # a length that lies

    class Once:
        is_live = False

        def start(self) -> None: ...
        def stop(self) -> None: ...
        def read_losses(self) -> dict[str, int]:
            return {}

        def take(self) -> Received:
            some = Datagrams(
                buffer, datagrams.offset[:count], datagrams.length[:count], datagrams.received[:count]
            )
            empty = np.zeros(count, dtype=np.int64)
            return Received(some, empty.astype(np.uint32), empty.astype(np.int16), float(some.received[-1]))

    ingest = Ingest(Once(), simulation.sensors)
    plots, _ = ingest.take()
    assert len(plots) > 0
    assert sum(ingest.health.other_errors.values()) == len(spoilt) > 0


def test_time_passes_for_a_centre_to_which_nothing_is_sent():
    simulation = simulate(msgspec.structs.replace(read_scenario("small"), duration_s=5), 3)
    feed = UdpReceiver([UdpSource(LOOPBACK, 0)])
    centre = Centre(dataclasses.replace(CentreSettings("ALPHA", simulation.sensors), period=0.1), feed)
    pictures: list[Picture] = []
    centre.on_picture.append(pictures.append)
    feed.start()
    deadline = time.monotonic() + 10.0
    while len(pictures) < 3 and time.monotonic() < deadline:
        centre.step()
        time.sleep(0.02)
    feed.stop()
    assert [len(picture) for picture in pictures[:3]] == [0, 0, 0]
    assert np.allclose(np.diff([picture.time for picture in pictures]), 0.1)
