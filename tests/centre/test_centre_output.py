import socket
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from asterix.base import Bits, RawDatablock
from asterix.generated import Cat_062_1_21, Cat_065_1_6
from pictures import TIME, make_picture

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.model import Datagrams
from skypact.centre.ages import SourceAges
from skypact.centre.output import PictureSender, source_columns
from skypact.centre.settings import OutputUser
from skypact.core.areas import Box, Polygon
from skypact.core.text import callsign_to_text
from skypact.core.units import DEGREE, FLIGHT_LEVEL
from skypact.plots.model import Outcome, make_plots
from skypact.sensors.model import Sensor, make_sensor_table
from skypact.tracks.model import Outcomes, Picture

SENSORS = make_sensor_table(
    [Sensor(name="one", kind="radar_3d", sac=1, sic=1, latitude_deg=50, longitude_deg=5)]
)
SPECS = {62: Cat_062_1_21, 65: Cat_065_1_6}
Record = dict[str, object]


class Listener:
    """A user's system: takes what was sent to its port and reads it with libasterix."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def records(self) -> list[tuple[int, object]]:
        """Category and record, in the order of arrival."""
        found = []
        while True:
            try:
                datagram = self.socket.recv(65_536)
            except BlockingIOError:
                return found
            assert len(datagram) <= 1400
            for block in RawDatablock.parse(Bits.from_bytes(datagram)):
                category = block.get_category()
                records = SPECS[category].cv_uap.parse(block.get_raw_records())
                assert not isinstance(records, ValueError), records
                found += [(category, record) for record in records]


@pytest.fixture
def listener() -> Iterator[Listener]:
    opened = Listener()
    yield opened
    opened.socket.close()


def send(listener: Listener, pictures: list[Picture], **options: object) -> list[list[tuple[int, object]]]:
    """What arrived after each picture."""
    user = OutputUser("tower", "127.0.0.1", listener.port, sac=25, sic=7, **{"period": 1.0, **options})  # type: ignore[arg-type]
    sender = PictureSender((user,), SENSORS)
    arrived = []
    for picture in pictures:
        sender.send(picture)
        arrived.append(listener.records())
    sender.close()
    return arrived


def code(record: object, *path: str) -> int:
    content = record.get_item(path[0])  # type: ignore[attr-defined]
    for name in path[1:]:
        content = content.variation.get_item(name)
    return int(content.as_uint())


def quantity(record: object, unit: str, *path: str) -> float:
    content = record.get_item(path[0])  # type: ignore[attr-defined]
    for name in path[1:]:
        content = content.variation.get_item(name)
    return float(content.variation.content.as_quantity(unit))


def numbers(arrived: list[tuple[int, object]], *, ended: bool = False) -> list[int]:
    tracks = [record for category, record in arrived if category == 62]
    return [code(record, "040") for record in tracks if _is_last(record) == ended]


def _is_last(record: object) -> bool:
    return bool(code(record, "080", "TSE")) if record.get_item("070") and _has_extent(record) else False  # type: ignore[attr-defined]


def _has_extent(record: object) -> bool:
    return record.get_item("080").variation.get_item("TSE") is not None  # type: ignore[attr-defined]


def test_another_decoder_reads_each_field_of_a_track(listener):
    (arrived,) = send(listener, [make_picture([17, 18])])
    first, second = (record for category, record in arrived if category == 62)
    assert (code(first, "010", "SAC"), code(first, "010", "SIC"), code(first, "015")) == (25, 7, 1)
    assert code(first, "040") == 17
    assert quantity(first, "s", "070") == TIME % 86_400
    assert quantity(second, "°", "105", "LAT") == pytest.approx(50.1, abs=6e-6)
    assert quantity(second, "°", "105", "LON") == pytest.approx(5.0, abs=6e-6)
    assert quantity(first, "m/s", "185", "VX") == 120.0
    assert quantity(first, "m/s", "185", "VY") == -80.0
    assert code(first, "060", "MODE3A") == 0o1234
    assert code(first, "380", "ADR") == 0x400011
    assert callsign_to_text(code(first, "380", "ID")) == "TN17"
    assert quantity(second, "FL", "136") == 101.0
    assert quantity(first, "ft", "130") == pytest.approx(3000 / 0.3048, abs=3.2)
    assert quantity(first, "ft/min", "220") == pytest.approx(984.25, abs=3.2)
    assert quantity(first, "s", "290", "TRK") == 20.0
    assert (quantity(first, "m", "500", "APC", "X"), quantity(first, "m", "500", "APC", "Y")) == (50.0, 40.0)
    assert quantity(first, "m", "500", "COV") == 20.0
    assert [code(record, "080", "TSB") for record in (first, second)] == [1, 1]
    assert [code(record, "080", "CST") for record in (first, second)] == [0, 1]
    assert code(first, "080", "MON") == 1
    assert [code(first, "080", name) for name in ("SIM", "EMS", "SDS")] == [0, 0, 3]
    # 5 m/s for 1.5 s, to a quarter of a flight level.
    assert quantity(second, "FL", "135", "CTB") == 101.25
    assert code(second, "135", "QNH") == 0
    assert first.get_item("100") is None


def tracks(arrived: list[tuple[int, object]]) -> list[object]:
    return [record for category, record in arrived if category == 62]


def test_a_simulated_track_and_an_emergency_are_told_in_its_status(listener):
    picture = make_picture([1, 2, 3, 4])
    picture.is_simulated[:] = [False, True, False, False]
    picture.squawk[:] = [0o7500, 0o7600, 0o7700, 0o7000]
    (arrived,) = send(listener, [picture])
    assert [code(record, "080", "SIM") for record in tracks(arrived)] == [0, 1, 0, 0]
    assert [code(record, "080", "EMS") for record in tracks(arrived)] == [5, 4, 1, 0]


def numbered_picture() -> Picture:
    """Three tracks: our own alone; one that we and BRAVO have, numbered by BRAVO; one of CHARLIE alone."""
    picture = replace(make_picture([1, 2, 40_000]), centre_names=("ALPHA", "BRAVO", "CHARLIE"))
    picture.joint_centre[:] = [0, 1, 2]
    picture.joint_number[:] = [1, 32_767, 5]
    picture.centres[:] = [0b001, 0b011, 0b100]
    picture.reporter[:] = [0, 0, 2]
    return picture


def test_another_decoder_reads_the_joint_number_and_whose_tracks_are_in_it(listener):
    user = OutputUser("tower", "127.0.0.1", listener.port, period=1.0)
    sender = PictureSender((user,), SENSORS, None, {"ALPHA": 179, "BRAVO": 131})
    sender.send(numbered_picture())
    sender.close()
    own, shared, foreign = tracks(listener.records())
    composed = [
        [
            [int(part.get_item(name).as_uint()) for name in ("IDENT", "TRACK")]
            for part in record.get_item("510").variation.get_list()
        ]
        for record in (own, shared)
    ]
    assert composed == [[[179, 1]], [[131, 32_767]]]
    # CHARLIE's unit is not known: a wrong one would name another aircraft.
    assert foreign.get_item("510") is None
    assert [code(record, "040") for record in (own, shared, foreign)] == [1, 2, 40_000]
    told = [[code(record, "080", name) for name in ("AMA", "STP")] for record in (own, shared, foreign)]
    assert told == [[0, 0], [1, 1], [0, 0]]


def test_our_own_decoder_reads_the_joint_number(listener):
    units = {"ALPHA": 179, "BRAVO": 131}
    user = OutputUser("tower", "127.0.0.1", listener.port, period=1.0)
    sender = PictureSender((user,), SENSORS, None, units)
    sender.send(numbered_picture())
    sender.close()
    content = listener.socket.recv(65_536)
    buffer = np.frombuffer(content, np.uint8)
    datagram = Datagrams(buffer, np.array([0]), np.array([len(content)]), np.array([TIME]))
    decoded = decode_datagrams(datagram)
    assert not decoded.errors
    (records,) = decoded.records
    np.testing.assert_array_equal(records.value("510/IDENT"), [179, 131, np.nan])
    np.testing.assert_array_equal(records.value("510/TRACK"), [1, 32_767, np.nan])
    assert records.value("080/AMA").tolist() == [0, 1, 0]


def test_a_track_for_which_there_was_no_joint_number_has_none_in_its_report(listener):
    picture = make_picture([1, 2])
    picture.joint_number[:] = [0, 2]
    user = OutputUser("tower", "127.0.0.1", listener.port, period=1.0)
    sender = PictureSender((user,), SENSORS, None, {"ALPHA": 1})
    sender.send(picture)
    sender.close()
    assert [record.get_item("510") is None for record in tracks(listener.records())] == [True, False]


def test_the_calculated_altitude_is_the_measured_one_carried_on_while_it_is_young(listener):
    picture = make_picture([1, 2, 3, 4], flight_level=[100.0] * 4)
    picture.altitude[3] = picture.altitude_time[3] = np.nan
    picture.altitude_time[:3] = TIME - np.array([0.0, 20.0, 30.0])
    picture.vertical_rate[:] = -10.0 * 0.3048  # 10 ft/s
    (arrived,) = send(listener, [picture])
    young, carried, old, unknown = tracks(arrived)
    assert [quantity(record, "FL", "135", "CTB") for record in (young, carried)] == [100.0, 98.0]
    assert [record.get_item("135") for record in (old, unknown)] == [None, None]  # type: ignore[attr-defined]
    assert quantity(old, "FL", "136") == 100.0


def test_the_mode_of_movement_says_what_is_sure_and_else_undetermined(listener):
    picture = make_picture([1, 2, 3, 4, 5, 6], sensors=0)
    picture.movement[:] = [
        [0.9, 0.1, 0],
        [0.2, 0.7, 0.1],
        [0.1, 0, 0.8],
        [0.5, 0.3, 0.2],
        [0.9, 0, 0],
        [np.nan] * 3,
    ]
    picture.vertical_rate[:] = [0.5, 4.0, -4.0, 4.0, 4.0, np.nan]
    picture.altitude[3] = np.nan
    picture.is_coasting[:] = [False, False, False, False, True, False]
    (arrived,) = send(listener, [picture])
    told = [[code(record, "200", name) for record in tracks(arrived)] for name in ("TRANS", "LONG", "VERT")]
    assert told == [[0, 1, 2, 3, 3, 3], [3] * 6, [0, 1, 2, 3, 3, 3]]


def test_each_picture_ends_with_service_status_and_end_of_batch(listener):
    (arrived,) = send(listener, [make_picture([1])])
    status, end = (record for category, record in arrived if category == 65)
    assert [category for category, _ in arrived] == [62, 65, 65]
    assert (code(status, "000"), code(end, "000")) == (1, 2)
    assert (code(status, "040", "NOGO"), code(status, "040", "TSV")) == (0, 0)
    assert code(end, "020") == 0
    assert quantity(end, "s", "030") == TIME % 86_400
    assert (code(end, "010", "SAC"), code(end, "015")) == (25, 1)


def test_an_empty_picture_still_tells_that_the_service_lives(listener):
    (arrived,) = send(listener, [make_picture([])])
    assert [category for category, _ in arrived] == [65, 65]


def test_the_end_of_a_track_is_sent_once_and_its_number_then_means_another_track(listener):
    pictures = [
        make_picture([1, 2], time=TIME),
        make_picture([1], time=TIME + 1),
        make_picture([1], time=TIME + 2),
        make_picture([1, 2], time=TIME + 3, uid=[1, 99]),
        make_picture([1, 2], time=TIME + 4, uid=[1, 100]),
    ]
    arrived = send(listener, pictures)
    assert [numbers(part) for part in arrived] == [[1, 2], [1], [1], [1, 2], [1, 2]]
    assert [numbers(part, ended=True) for part in arrived] == [[], [2], [], [], [2]]
    begun = [
        [
            code(record, "040")
            for category, record in part
            if category == 62 and _has_extent(record) and code(record, "080", "TSB")
        ]
        for part in arrived
    ]
    assert begun == [[1, 2], [], [], [2], [2]]


def test_a_user_gets_its_own_area_height_band_and_period(listener):
    area = Box(49.0 * DEGREE, 4.0 * DEGREE, 51.0 * DEGREE, 6.0 * DEGREE)
    options = {"area": area, "floor": 50 * FLIGHT_LEVEL, "ceiling": 200 * FLIGHT_LEVEL, "period": 4.0}
    start = TIME // 4 * 4

    def picture(second: int, longitude: float) -> Picture:
        return make_picture(
            [1, 2, 3, 4, 5],
            time=start + second,
            latitude_deg=[50, 52, 50, 50, 50],
            longitude_deg=[longitude, 5, 5, 5, 7],
            flight_level=[100, 100, 300, 10, 100],
        )

    arrived = send(listener, [picture(second, 5.0 if second < 4 else 6.5) for second in range(9)], **options)
    assert [numbers(part) for part in arrived] == [[1], [], [], [], [], [], [], [], []]
    assert [numbers(part, ended=True) for part in arrived][4] == [1]
    assert [bool(part) for part in arrived] == [second % 4 == 0 for second in range(9)]


def test_many_tracks_are_split_into_datagrams_that_fit_a_frame(listener):
    (arrived,) = send(listener, [make_picture(list(range(1, 501)), latitude_deg=[50.0] * 500)])
    assert numbers(arrived) == list(range(1, 501))


def test_a_user_who_cannot_be_reached_holds_up_nobody(listener):
    unreachable = OutputUser("nobody", "255.255.255.255", 9, period=1.0)
    reached = OutputUser("tower", "127.0.0.1", listener.port, period=1.0)
    sender = PictureSender((unreachable, reached), SENSORS)
    sender.send(make_picture([1]))
    sender.close()
    assert numbers(listener.records()) == [1]
    assert sender.datagrams == {"nobody": 0, "tower": 2}


def test_a_network_that_is_too_slow_costs_the_rest_of_a_picture_and_no_time(monkeypatch):
    class Full:
        """A socket whose buffer has room for three datagrams."""

        asked = 0

        def sendto(self, content: object, target: object) -> None:
            self.asked += 1
            if self.asked > 3:
                raise TimeoutError

        def close(self) -> None: ...

    full = Full()
    monkeypatch.setattr("skypact.centre.output._open", lambda user: full)
    sender = PictureSender((OutputUser("tower", "127.0.0.1", 9, period=1.0),), SENSORS)
    sender.send(make_picture(list(range(1, 501)), latitude_deg=[50.0] * 500))
    assert sender.datagrams == {"tower": 3}
    assert sender.lost["tower"] > 10
    assert full.asked == 5  # the fourth, and the one that tells the state of the service


@pytest.mark.parametrize("crossing", [False, True])
def test_a_box_and_its_polygon_hold_the_same_places(crossing):
    west, east = (175.0, -170.0) if crossing else (-10.0, 5.0)
    box = Box(-0.2, west * DEGREE, 0.3, east * DEGREE)
    polygon = Polygon((-0.2, -0.2, 0.3, 0.3), tuple(value * DEGREE for value in (west, east, east, west)))
    rng = np.random.default_rng(1)
    latitude, longitude = rng.uniform(-0.4, 0.4, 500), rng.uniform(-np.pi, np.pi, 500)
    inside = box.contains(latitude, longitude)
    assert 0 < inside.sum() < 500
    assert (polygon.contains(latitude, longitude) == inside).all()


def test_ages_tell_when_each_technology_last_fed_a_track(listener):
    sensors = make_sensor_table(
        [
            Sensor(name="one", kind="radar", sac=1, sic=1, latitude_deg=50, longitude_deg=5),
            Sensor(name="dish", kind="adsb", sac=1, sic=2),
        ]
    )
    ages = SourceAges(sensors)
    plots = make_plots(
        5,
        sensor=[0, 0, 0, 1, 0],
        time=TIME - np.array([9.0, 6.0, 4.0, 2.0, 1.0]),
        received=TIME - np.array([9.0, 6.0, 4.0, 2.0, 1.0]),
        squawk=[-1, 0o1234, 0o1234, -1, -1],
        address=[-1, -1, 0x400001, 0x400001, -1],
    )
    ages.note_plots(plots.take(slice(0, 3)))
    ages.note_plots(plots.take(slice(3, 5)))
    picture = make_picture([1, 2])
    ages.note_outcomes(
        Outcomes(
            plot=np.arange(5),
            outcome=np.array([Outcome.STARTED, *[Outcome.UPDATED] * 3, Outcome.CLUTTER], dtype=np.uint8),
            number=np.array([1, 1, 1, 1, -1], dtype=np.int32),
            uid=picture.uid[[0, 0, 0, 0, 0]],
            reason=np.zeros(5, dtype=np.uint8),
        )
    )
    user = OutputUser("tower", "127.0.0.1", listener.port, period=1.0)
    sender = PictureSender((user,), sensors, ages)
    sender.send(picture)
    sender.close()
    first, second = (record for category, record in listener.records() if category == 62)
    told = [quantity(first, "s", "290", name) for name in ("PSR", "SSR", "MDS", "ES")]
    assert told == [9.0, 6.0, 4.0, 2.0]
    assert first.get_item("290").variation.get_item("MLT") is None
    assert second.get_item("290").variation.get_item("PSR") is None
    is_old = [
        [code(record, "080", name) for name in ("PSR", "SSR", "MDS", "ADS", "MLAT")]
        for record in (first, second)
    ]
    assert is_old == [[0, 0, 0, 0, 1], [1, 1, 1, 1, 1]]
    assert [code(record, "080", "SDS") for record in (first, second)] == [0, 3]


def test_the_status_of_a_track_tells_which_technologies_feed_it():
    nan, old = np.nan, 60.0
    ages = np.array(
        [[2.0, 3.0, nan, nan, nan], [2.0, old, nan, nan, nan], [nan, 3.0, 1.0, nan, nan], [nan] * 5]
    )
    status = source_columns(ages)
    assert status["080/SDS"].tolist() == [0, 2, 3, 3]
    assert status["080/PSR"].tolist() == [0, 0, 1, 1]
    assert status["080/SSR"].tolist() == [0, 1, 0, 1]
