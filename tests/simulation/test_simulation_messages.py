import socket
import threading

import asterix.generated as libasterix
import msgspec
import numpy as np
import pytest
from asterix.base import Bits, RawDatablock
from numpy.testing import assert_allclose

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.framing import read_recording
from skypact.asterix.model import Datagrams
from skypact.core.errors import BadInputError
from skypact.plots.assemble import PlotAssembler
from skypact.simulation.files import write_simulation
from skypact.simulation.live import LiveSender, move_to, parse_address
from skypact.simulation.messages import radar_messages
from skypact.simulation.model import SECTORS
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import World, simulate

DAY = 86_400.0
NAUTICAL_MILE = 1852.0


@pytest.fixture(scope="module")
def simulation():
    scenario = msgspec.structs.replace(read_scenario("standard"), duration_s=40)
    return simulate(scenario, 5)


def test_the_recording_decodes_to_the_plots_within_one_bit(simulation, tmp_path):
    path = write_simulation(simulation, tmp_path)["asterix.pcap"]
    recording = read_recording(path)
    decoded = decode_datagrams(recording.datagrams)
    assert decoded.errors == {}
    assembler = PlotAssembler(simulation.sensors)
    found = assembler.assemble(decoded, recording.datagrams)
    made = simulation.plots
    assert not assembler.filtered
    for name in ("sensor", "received", "squawk", "address", "callsign", "flags"):
        assert (getattr(found, name) == getattr(made, name)).all(), name
    half = 0.5001
    assert_allclose(found.time, made.time, rtol=0, atol=half / 128)
    assert_allclose(found.range, made.range, rtol=0, atol=half * NAUTICAL_MILE / 256)
    around = (found.azimuth - made.azimuth + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(around).max() <= half * 2 * np.pi / 65_536
    assert_allclose(found.altitude, made.altitude, atol=1e-6)
    # Elevation travels as a height in steps of 25 ft.
    both = ~np.isnan(found.elevation) & ~np.isnan(made.elevation)
    assert both.sum() > 0.99 * (~np.isnan(made.elevation)).sum()
    # Far plots make a bit of height small, near ones a bit of range: neither exceeds 30 m of height.
    assert (np.abs(found.elevation - made.elevation)[both] * made.range[both]).max() < 30.0


def test_libasterix_reads_the_same_reports(simulation):
    messages = radar_messages(simulation)
    datagrams, plots = messages.datagrams, simulation.plots
    latest = libasterix.Cat_048_1_32
    row = 0
    for number in range(len(datagrams)):
        begin, length = int(datagrams.offset[number]), int(datagrams.length[number])
        octets = bytes(datagrams.buffer[begin : begin + length])
        (block,) = RawDatablock.parse(Bits.from_bytes(octets))
        if block.get_category() != 48:
            continue
        for record in latest.cv_uap.parse(block.get_raw_records()):
            time = record.get_item("140").variation.content.as_quantity()
            assert_allclose(time, plots.time[row] % DAY, atol=1 / 256)
            place = record.get_item("040").variation
            assert_allclose(
                place.get_item("RHO").variation.content.as_quantity() * 1852, plots.range[row], atol=4
            )
            assert messages.sensor[number] == plots.sensor[row]
            row += 1
        if row > 300:
            break
    assert row > 300


def test_marks_tell_north_sectors_and_the_period(simulation):
    decoded = decode_datagrams(radar_messages(simulation).datagrams)
    (service,) = [records for records in decoded.records if records.category == 34]
    marks = simulation.marks
    assert len(service) == len(marks.time)
    is_north = service.raw("000") == 1
    assert (is_north == (marks.sector == 0)).all()
    assert_allclose(service.value("041")[is_north], marks.period[is_north], atol=1 / 128)
    assert_allclose(service.value("020")[~is_north], marks.sector[~is_north] * 360.0 / SECTORS)


def test_datagrams_fit_a_frame_and_arrive_in_order(simulation):
    datagrams = radar_messages(simulation).datagrams
    assert datagrams.length.max() <= 1400
    assert (np.diff(datagrams.received) >= 0.0).all()


def test_a_moved_run_differs_in_its_times_alone(simulation):
    moved = move_to(simulation, simulation.start + 1000.0)
    assert_allclose(moved.plots.time - simulation.plots.time, 1000.0)
    assert_allclose(moved.marks.received - simulation.marks.received, 1000.0)
    assert (moved.plots.range == simulation.plots.range).all()


def test_a_live_run_sends_every_datagram_to_its_radars_address():
    simulation = simulate(msgspec.structs.replace(read_scenario("small"), duration_s=30), 5)
    messages = radar_messages(simulation)
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in simulation.sensors.sensors]
    received = [[] for _ in sockets]
    finished = threading.Event()

    def listen(row):
        while True:
            try:
                received[row].append(sockets[row].recv(65_536))
            except TimeoutError:
                if finished.is_set():  # and what was sent before has been read
                    return

    for one in sockets:
        one.bind(("127.0.0.1", 0))
        one.settimeout(0.3)
    listeners = [threading.Thread(target=listen, args=(row,)) for row in range(len(sockets))]
    for listener in listeners:
        listener.start()
    sender = LiveSender(simulation, [one.getsockname() for one in sockets], speed=60.0)
    try:
        sender.start()
        assert sender.wait(30.0)
    finally:
        sender.stop()
        finished.set()
        for listener in listeners:
            listener.join()
        for one in sockets:
            one.close()
    assert sender.sent == len(messages.datagrams)
    assert sender.start_time is not None
    for row, octets in enumerate(received):
        assert len(octets) == int((messages.sensor == row).sum())
        assert {datagram[0] for datagram in octets} == {34, 48}


def test_a_live_run_ends_when_told_to():
    world = World(msgspec.structs.replace(read_scenario("small"), duration_s=30), 5)
    sender = LiveSender(world.play(), [("127.0.0.1", 9)], next_stretch=world.play)
    sender.start()
    sender.stop()
    assert sender.wait(0.0)


def test_stretches_follow_each_other_without_a_gap_in_the_times_of_records():
    world = World(msgspec.structs.replace(read_scenario("small"), duration_s=10), 5)
    times = np.empty(0)  # since the first one, s; by way of half a day, so that midnight may pass
    first = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(20.0)
        sender = LiveSender(world.play(), [one.getsockname()], speed=20.0, next_stretch=world.play)
        sender.start()
        try:
            while len(times) < 10 or np.ptp(times) < 35.0:
                octets = np.frombuffer(one.recv(65_536), dtype=np.uint8)
                whole = np.array([0]), np.array([len(octets)])
                for records in decode_datagrams(Datagrams(octets, *whole, np.zeros(1))).records:
                    told = records.value("030" if records.category == 34 else "140")
                    first = told[0] if first is None else first
                    times = np.append(times, (told - first + DAY / 2) % DAY)
        finally:
            sender.stop()
    assert np.diff(np.sort(times)).max() < 1.0


@pytest.mark.parametrize("text", ["host", "host:", ":1", "host:0", "host:70000", "host:x"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(BadInputError, match="HOST:PORT"):
        parse_address(text)


def test_addresses_must_fit_the_radars(simulation):
    with pytest.raises(BadInputError, match="2 addresses for 6 radars"):
        LiveSender(simulation, [("127.0.0.1", 1), ("127.0.0.1", 2)])


def test_injects_are_the_same_plots_and_say_in_asterix_that_they_are_simulated():
    scenario = msgspec.structs.replace(read_scenario("small"), duration_s=30)
    live, injects = (simulate(msgspec.structs.replace(scenario, simulated=flag), 5) for flag in (False, True))
    assert not live.plots.is_simulated.any()
    assert injects.plots.is_simulated.all()
    assert (injects.plots.range == live.plots.range).all()
    datagrams = radar_messages(injects).datagrams
    found = PlotAssembler(injects.sensors).assemble(decode_datagrams(datagrams), datagrams)
    assert len(found) == len(injects.plots)
    assert found.is_simulated.all()
