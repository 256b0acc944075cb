"""The reader: what it takes, what it refuses, and what it says of the link."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import binary, sampled_from
from simulated_link import SENSORS, START, SimulatedLink, make_policy, make_report

from skypact.exchange.engine import Message, StoredRecord
from skypact.exchange.model import Rung, TrackReport
from skypact.exchange.reader import DOWN_AFTER, LATE_AFTER, SAMPLE, LinkState, Reader
from skypact.exchange.wire import (
    MAX_ROWS,
    TILES,
    Ack,
    Beat,
    Hello,
    cut_tiles,
    decode,
    encode_beat,
    encode_hello,
    encode_plots,
    encode_sensors,
    encode_tile,
    tile_of,
)
from skypact.plots.model import make_plots

EPOCH = int(START * 1e9)


class MadeInlet:
    """An inlet with what a test puts into it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.records: list[StoredRecord] = []
        self.replies: list[Ack] = []

    def add(self, subject: str, payload: bytes, received: float = START) -> None:
        self.messages.append(Message(subject, payload, received))

    def take(self) -> list[Message]:
        taken, self.messages = self.messages, []
        return taken

    def take_records(self) -> list[StoredRecord]:
        taken, self.records = self.records, []
        return taken

    def reply(self, subject: str, payload: bytes) -> None:
        assert subject == "ack"
        ack = decode(payload)
        assert isinstance(ack, Ack)
        self.replies.append(ack)


@pytest.fixture
def inlet() -> MadeInlet:
    return MadeInlet()


@pytest.fixture
def reader(inlet: MadeInlet) -> Reader:
    return Reader("ALPHA", inlet)


def beat(sequence: int, time: float = START, epoch: int = EPOCH, rung: Rung = Rung.PLOTS) -> bytes:
    return encode_beat(Beat(epoch=epoch, sequence=sequence, time=time, rung=rung, journal=0))


def hello(sequence: int, rung: Rung = Rung.PLOTS, centre: str = "ALPHA") -> bytes:
    return encode_hello(
        Hello(
            epoch=EPOCH,
            sequence=sequence,
            time=START,
            centre=centre,
            software="0.1.0",
            reference=SENSORS.reference,
            mode="live",
            rung=rung,
        )
    )


def put_report(inlet: MadeInlet, report: TrackReport, sequence: int, only: range = range(TILES)) -> None:
    for number, tile in enumerate(cut_tiles(report)):
        if number in only:
            inlet.add(f"tile.{number}", encode_tile(tile, EPOCH, sequence + number, number, TILES))


def settled(reader: Reader, now: float = START) -> TrackReport:
    """The picture that stands once no more tiles come."""
    first, second = reader.step(now).report, reader.step(now + 0.02).report
    report = first if second is None else second
    assert report is not None
    return report


def tile_message(report: TrackReport, sequence: int) -> tuple[str, bytes]:
    """Subject and payload of the tile that holds the report's only track."""
    (number,) = tile_of(report.uid).tolist()
    return f"tile.{number}", encode_tile(cut_tiles(report)[number], EPOCH, sequence, number, TILES)


def test_the_tiles_of_a_picture_come_out_as_one_report(inlet: MadeInlet, reader: Reader):
    report = make_report(500, START)
    put_report(inlet, report, 1)
    read = settled(reader)
    order = np.argsort(read.uid[:, 1])
    assert (read.time, read.centre, read.centre_names) == (START, "ALPHA", ("ALPHA",))
    assert read.sensor_names == ("north", "south")
    np.testing.assert_array_equal(read.uid[order], report.uid)
    np.testing.assert_allclose(read.latitude[order], report.latitude)
    np.testing.assert_array_equal(read.number[order], report.number)
    np.testing.assert_array_equal(read.sensors[order], report.sensors)
    assert reader.step(START + 1.0).report is None


def test_an_older_tile_is_moved_on_to_the_time_of_the_newest(inlet: MadeInlet, reader: Reader):
    put_report(inlet, make_report(500, START), 1)
    settled(reader)
    put_report(inlet, make_report(500, START + 4.0), 100, range(TILES // 2))
    read = settled(reader, START + 4.0)
    assert read.time == START + 4.0
    assert len(read) == 500
    expected = make_report(1, START + 4.0).latitude[0]
    np.testing.assert_allclose(read.latitude, expected, atol=20.0 / 6_371_000.0)  # sphere against ellipsoid
    assert (read.covariance[:, 0, 0] > 2500.0).any()
    assert (read.covariance[:, 0, 0] == 2500.0).any()


def test_tiles_that_name_sensors_and_centres_differently_are_put_under_one_list(
    inlet: MadeInlet, reader: Reader
):
    report = make_report(2, START)
    other = replace(
        report.take(slice(1, 2)),
        sensor_names=("south", "east"),
        sensors=np.array([[2]], np.uint64),
        centre_names=("BRAVO",),
    )
    inlet.add(*tile_message(report.take(slice(0, 1)), 1))
    inlet.add(*tile_message(other, 2))
    read = settled(reader)
    assert read.sensor_names == ("north", "south", "east")
    assert read.sensors[:, 0].tolist() == [3, 4]
    assert [read.centre_names[row] for row in read.number_centre] == ["ALPHA", "BRAVO"]


def test_plots_come_as_rows_of_the_partner_s_released_sensors_with_our_time_of_arrival(
    inlet: MadeInlet, reader: Reader
):
    sensors = (SENSORS.sensors[2], SENSORS.sensors[0])
    plots = make_plots(3, sensor=[0, 1, 2], time=START - 1.0, received=START - 0.9)
    inlet.add("sensors", encode_sensors(sensors, EPOCH, 1, START))
    inlet.add("plots", encode_plots(plots, ["north", "south", "ghost"], EPOCH, 1, START), START + 0.5)
    received = reader.step(START + 1.0)
    assert received.sensors == sensors
    assert received.plots.sensor.tolist() == [1, 0]
    assert received.plots.time.tolist() == [START - 1.0] * 2
    assert received.plots.received.tolist() == [START + 0.5] * 2
    assert reader.status.lost_plots == 1
    assert reader.step(START + 2.0).sensors is None


@pytest.mark.parametrize(
    ("subject", "payload", "reason"),
    [
        ("beat", b"nonsense", "bad content of an unknown schema"),
        ("plots", beat(1), "content of another subject"),
        ("tile.64", tile_message(make_report(1, START), 1)[1], "content of another subject"),
        (*tile_message(make_report(1, START, "EVIL"), 1), "tracks of another centre"),
        ("hello", hello(1, centre="EVIL"), "hello of another centre"),
        ("beat", beat(1, epoch=EPOCH + 7200 * 10**9), "epoch that is to come"),
    ],
)
def test_what_is_not_the_partner_s_to_say_is_refused_counted_and_sampled(
    inlet: MadeInlet, reader: Reader, subject: str, payload: bytes, reason: str
):
    inlet.add(subject, payload)
    received = reader.step(START)
    assert received.report is None and len(received.plots) == 0
    assert reader.status.refused == {reason: 1}
    assert reader.status.samples == {reason: payload[:SAMPLE]}
    assert reader.status.age is None
    assert inlet.replies == []


def test_an_epoch_that_is_over_and_a_sequence_that_is_over_are_refused(inlet: MadeInlet, reader: Reader):
    inlet.add("beat", beat(5))
    inlet.add("beat", beat(5))
    inlet.add("beat", beat(4))
    inlet.add("beat", beat(9, epoch=EPOCH - 1))
    reader.step(START)
    assert reader.status.refused == {"sequence that is over": 2, "epoch that is over": 1}


def test_a_new_epoch_begins_with_an_empty_picture(inlet: MadeInlet, reader: Reader):
    put_report(inlet, make_report(5, START), 1)
    assert len(settled(reader)) == 5
    inlet.add("beat", beat(1, epoch=EPOCH + 1))
    assert len(settled(reader, START + 1.0)) == 0
    assert reader.status.refused == {}


def test_live_messages_that_never_came_are_counted(inlet: MadeInlet, reader: Reader):
    for sequence in (7, 8, 11, 12, 20):
        inlet.add("beat", beat(sequence))
    reader.step(START)
    assert reader.status.lost == 2 + 7


def test_more_tracks_than_can_be_read_are_refused(inlet: MadeInlet, reader: Reader):
    put_report(inlet, make_report(MAX_ROWS, START), 1)
    assert len(settled(reader)) == MAX_ROWS
    put_report(inlet, make_report(MAX_ROWS + 64, START), 100)
    reader.step(START + 1.0)
    assert set(reader.status.refused) == {"more tracks or names than can be read"}


def test_more_names_than_can_be_read_are_refused(inlet: MadeInlet, reader: Reader):
    for row in range(2):
        report = make_report(2, START).take(slice(row, row + 1))
        names = tuple(f"{row}-{n}" for n in range(600))
        named = replace(report, sensor_names=names, sensors=np.ones((1, 10), np.uint64))
        inlet.add(*tile_message(named, row + 1))
    assert len(settled(reader)) == 1
    assert reader.status.refused == {"more tracks or names than can be read": 1}


def test_each_path_is_acknowledged_by_its_newest_sequence(inlet: MadeInlet, reader: Reader):
    inlet.add("beat", beat(3))
    inlet.add("hello", hello(8))
    inlet.records.append(StoredRecord(1, b"record"))
    received = reader.step(START)
    assert received.records == [StoredRecord(1, b"record")]
    ack = inlet.replies[-1]
    assert (ack.epoch, ack.live, ack.values, ack.journal) == (EPOCH, 3, 8, 1)
    reader.step(START + 1.0)
    assert len(inlet.replies) == 1  # nothing new, nothing to say: a one-way cut would not be noticed


def test_a_new_reader_goes_on_with_the_records_that_it_holds(inlet: MadeInlet):
    reader = Reader("ALPHA", inlet, journal=7)
    inlet.add("beat", beat(1))
    reader.step(START)
    assert inlet.replies[-1].journal == 7
    assert reader.status.journal == 7


def test_the_link_is_late_and_then_down_when_nothing_comes(inlet: MadeInlet, reader: Reader):
    reader.step(START - 5.0)
    assert reader.status.state is LinkState.DOWN
    inlet.add("beat", beat(1))
    reader.step(START)
    assert (reader.status.state, reader.status.since, reader.status.age) == (LinkState.UP, START, 0.0)
    assert reader.status.rung is Rung.PLOTS
    reader.step(START + LATE_AFTER + 0.1)
    assert (reader.status.state, reader.status.rung) == (LinkState.LATE, Rung.PLOTS)
    reader.step(START + DOWN_AFTER + 0.1)
    assert (reader.status.state, reader.status.rung) == (LinkState.DOWN, Rung.ALONE)


def test_tracks_stay_while_the_link_is_down_and_go_when_they_are_no_longer_offered(
    inlet: MadeInlet, reader: Reader
):
    put_report(inlet, make_report(5, START), 2)
    assert len(settled(reader)) == 5
    assert reader.step(START + 60.0).report is None
    inlet.add("hello", hello(100, Rung.ALERTS))
    assert len(settled(reader, START + 61.0)) == 0
    put_report(inlet, make_report(5, START + 61.0), 101)
    assert len(settled(reader, START + 62.0)) == 5


@pytest.mark.parametrize("skew", [-2.0, 0.0, 2.0])
def test_the_partner_s_clock_is_found_over_a_slow_link(skew: float):
    link = SimulatedLink(tracks=20, skew=skew)
    link.make_thin(100_000.0, 0.5)
    link.until_on(Rung.PLOTS)
    link.run(30.0)
    offset = link.reader.status.clock_offset  # of Alpha's clock, Bravo's being ahead by `skew`
    assert offset == pytest.approx(-skew, abs=0.05)


@pytest.mark.parametrize("skew", [-2.0, 2.0])
def test_clocks_that_differ_by_two_seconds_change_nothing_of_what_flows(skew: float):
    link = SimulatedLink(tracks=50, skew=skew)
    for _ in range(3):
        link.write()
        link.run(3.0)
    status = link.reader.status
    assert (status.state, status.rung, status.refused, status.lost) == (LinkState.UP, Rung.PLOTS, {}, 0)
    assert len(link.uids()) == 50
    assert len(link.records) == 3
    assert link.gateway.status.plots_dropped == 0
    assert status.age is not None and 0.0 <= status.age < 0.6


def test_a_reader_that_starts_while_the_link_is_cut_shows_the_last_picture_with_its_age():
    link = SimulatedLink(tracks=50)
    link.run(5.0)
    link.cut()
    link.run(10.0)
    link.bravo = link.network.engine("BRAVO")
    link.wake_bravo()
    link.run(1.0)
    assert len(link.uids()) == 50
    assert link.report is not None and link.report.time < link.now - 9.0
    assert link.reader.status.state is LinkState.DOWN


def test_lost_plots_and_beats_are_counted_and_the_rest_goes_on():
    link = SimulatedLink(tracks=50)
    link.until_on(Rung.PLOTS)
    link.network.path("ALPHA", "BRAVO").loss = 0.2
    link.run(20.0)
    assert link.reader.status.lost > 50
    assert link.gateway.status.rung is Rung.PLOTS
    assert link.plot_count() > 0


@settings(max_examples=300, deadline=None)
@given(
    payload=binary(max_size=300),
    subject=sampled_from(["beat", "plots", "tile.0", "hello", "sensors", "health", "ack", "", "x.y"]),
    cut=sampled_from([None, 10, 50, 100]),
)
def test_no_bytes_harm_the_reader(payload: bytes, subject: str, cut: int | None):
    inlet = MadeInlet()
    reader = Reader("ALPHA", inlet)
    _, whole = tile_message(make_report(1, START), 1)
    inlet.add(subject, payload)
    inlet.add(subject, whole[:cut] + payload)
    inlet.add("beat", beat(1))
    reader.step(START)
    assert reader.status.state is LinkState.UP
    assert sum(reader.status.refused.values()) >= 1


def test_a_policy_without_rules_gives_an_empty_picture_and_no_sensor():
    link = SimulatedLink(policy=make_policy(b""))
    link.run(5.0)
    assert link.uids() == set()
    assert link.plot_count() == 0
    assert link.reader.status.rung is Rung.PLOTS
