import tracemalloc
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_reports import SENSORS, made_plots, made_report, made_table

from skypact.core.geodesy import Geodetic
from skypact.exchange import wire
from skypact.exchange.model import REPORT_COLUMNS, Rung
from skypact.exchange.wire import Ack, Beat, Hello, WireError, decode
from skypact.plots.model import COLUMNS, make_plots
from skypact.sensors.model import SensorHealth, SensorState

EPOCH = 1_700_000_000_000_000_000
HELLO = Hello(
    epoch=EPOCH,
    sequence=1,
    time=1e9,
    centre="ALPHA",
    software="0.1.0",
    reference=Geodetic(0.9, 0.1, 0.0),
    mode="live",
    rung=Rung.PLOTS,
)
BEAT = Beat(epoch=EPOCH, sequence=2, time=1e9, rung=Rung.TRACKS, journal=17)
ACK = Ack(epoch=EPOCH, sequence=3, time=1e9, live=4, values=5, journal=6)
HEALTH = SensorHealth(
    name="west",
    kind="radar",
    state=SensorState.FRESH,
    last_received=None,
    plots_per_second=3.5,
    plots_total=10,
    errors_total=1,
    errors={"framing": 1},
    rotation_period=4.0,
    clock_offset=None,
)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def tracks_payload(count: int = 20, seed: int = 1) -> bytes:
    return wire.encode_tracks(made_report(rng(seed), count), EPOCH, 7, label="for Bravo")


def plots_payload(count: int = 20, seed: int = 1) -> bytes:
    return wire.encode_plots(made_plots(rng(seed), count), SENSORS, EPOCH, 8, 1e9, "for Bravo")


def messages() -> list[bytes]:
    return [
        tracks_payload(),
        plots_payload(),
        wire.encode_sensors(made_table().sensors, EPOCH, 9, 1e9),
        wire.encode_health([HEALTH], EPOCH, 10, 1e9),
        wire.encode_hello(HELLO),
        wire.encode_beat(BEAT),
        wire.encode_ack(ACK),
    ]


def changed(payload: bytes, **fields: object) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.decode(payload) | fields)


def with_column(payload: bytes, name: str, column: object) -> bytes:
    """The payload with another column; without it where `column` is None."""
    content = msgspec.msgpack.decode(payload)
    content["columns"][name] = column
    if column is None:
        del content["columns"][name]
    return msgspec.msgpack.encode(content)


def with_values(payload: bytes, name: str, values: object) -> bytes:
    """The payload with other values in one column, of the dtype that it has."""
    dtype = msgspec.msgpack.decode(payload)["columns"][name][0]
    return with_column(payload, name, [dtype, np.asarray(values).astype(dtype).tobytes()])


def assert_same_tables(left, right, names):
    for name in names:
        a, b = getattr(left, name), getattr(right, name)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        assert b.flags.aligned and b.flags.c_contiguous and b.flags.writeable, name
        if a.dtype.kind == "f":
            # Single precision keeps seven digits; what has to be exact is sent in double precision.
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 50))
def test_tracks_arrive_as_they_were_sent(seed, count):
    report = made_report(rng(seed), count)
    message = decode(wire.encode_tracks(report, EPOCH, 7, label="for Bravo"))
    assert (message.epoch, message.sequence, message.tile, message.tiles) == (EPOCH, 7, 0, 1)
    assert message.label == "for Bravo"
    assert (message.report.time, message.report.centre) == (report.time, "ALPHA")
    assert message.report.centre_names == report.centre_names
    assert message.report.sensor_names == report.sensor_names
    assert_same_tables(report, message.report, REPORT_COLUMNS)
    for exact in ("latitude", "longitude", "numbered", "updated"):
        np.testing.assert_array_equal(getattr(report, exact), getattr(message.report, exact))


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 50))
def test_plots_arrive_as_they_were_sent(seed, count):
    plots = made_plots(rng(seed), count)
    message = decode(wire.encode_plots(plots, SENSORS, EPOCH, 8, 1e9))
    assert (message.epoch, message.sequence, message.time) == (EPOCH, 8, 1e9)
    assert message.sensor_names == SENSORS
    assert_same_tables(plots, message.plots, COLUMNS)
    for exact in ("time", "received", "range", "azimuth", "latitude", "longitude"):
        np.testing.assert_array_equal(getattr(plots, exact), getattr(message.plots, exact))


def test_the_small_messages_arrive_as_they_were_sent():
    assert decode(wire.encode_hello(HELLO)) == HELLO
    assert decode(wire.encode_beat(BEAT)) == BEAT
    assert decode(wire.encode_ack(ACK)) == ACK
    assert decode(wire.encode_health([HEALTH], EPOCH, 1, 1e9)).health == (HEALTH,)
    table = made_table()
    assert decode(wire.encode_sensors(table.sensors, EPOCH, 1, 1e9)).sensors == table.sensors


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 300), tiles=st.integers(1, 64))
def test_tiles_hold_each_track_once_and_always_the_same_one(seed, count, tiles):
    report = made_report(rng(seed), count)
    cut = wire.cut_tiles(report, tiles)
    assert len(cut) == tiles
    messages = [decode(wire.encode_tile(part, EPOCH, 1, tile, tiles)) for tile, part in enumerate(cut)]
    parts = [message.report for message in messages]
    assert sorted(map(tuple, report.uid.tolist())) == sorted(
        uid for part in parts for uid in map(tuple, part.uid.tolist())
    )
    for tile, part in enumerate(parts):
        assert (wire.tile_of(part.uid, tiles) == tile).all()
        assert len(cut[tile]) == len(part)


def test_tracks_numbered_one_after_the_other_spread_over_the_tiles():
    uid = np.column_stack((np.full(20_000, 99, np.uint64), np.arange(20_000, dtype=np.uint64)))
    counts = np.bincount(wire.tile_of(uid), minlength=wire.TILES)
    assert counts.min() > 200 and counts.max() < 450  # 312 in each would be even


def test_a_column_of_no_value_is_not_sent_and_read_as_no_value():
    report = made_report(rng(1), 20)
    bare = replace(
        report,
        velocity=np.full((20, 3), np.nan),
        squawk=np.full(20, -1, np.int16),
        sensors=report.sensors * 0,
    )
    payload = wire.encode_tracks(bare, EPOCH, 1)
    columns = msgspec.msgpack.decode(payload)["columns"]
    assert not {"velocity", "squawk", "sensors"} & set(columns)
    assert_same_tables(bare, decode(payload).report, REPORT_COLUMNS)


def test_a_later_minor_version_is_read_without_what_it_added():
    payload = changed(tracks_payload(), version=[1, 9], colour="green", deep={"a": [[1], {"b": b"c"}]})
    payload = with_column(payload, "colour", ["<f8", b"12345678" * 20])
    assert_same_tables(decode(tracks_payload()).report, decode(payload).report, REPORT_COLUMNS)


def test_an_identity_of_a_later_version_is_read_as_pending():
    payload = with_values(tracks_payload(3), "identity", [2, 200, 3])
    assert decode(payload).report.identity.tolist() == [2, 0, 3]


def test_rows_that_no_reader_would_take_are_not_sent():
    report = made_report(rng(1), 20)
    report.latitude[3] = np.nan
    report.covariance[5] = np.inf
    report.covariance[6, 0, 0] = -1.0
    assert len(decode(wire.encode_tracks(report, EPOCH, 1)).report) == 17
    plots = make_plots(
        4, sensor=0, time=[np.nan, 1, 1, 1], received=1, range=9, sigma_range=[1, 1, 0, np.nan]
    )
    assert len(decode(wire.encode_plots(plots, SENSORS, EPOCH, 1, 1e9)).plots) == 1


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "truncated"),
        (b"\x93\x01\x02\x03", "Expected `object`"),
        (changed(tracks_payload(), schema="weather"), "schema"),
        (changed(tracks_payload(), version=[2, 0]), "version 2.0"),
        (changed(tracks_payload(), version=1), "version"),
        (changed(tracks_payload(), rows=19), "expected"),
        (changed(tracks_payload(), rows=wire.MAX_ROWS + 1), "rows"),
        (changed(tracks_payload(), rows=-1), "rows"),
        (changed(tracks_payload(), time=float("nan")), "time"),
        (changed(tracks_payload(), epoch=-1), "epoch"),
        (changed(tracks_payload(), tile=3, tiles=2), "tile"),
        (changed(tracks_payload(), tiles=64), "tile"),
        (changed(tracks_payload(), sensor_names=["west"]), "sensors"),
        (changed(tracks_payload(), sensor_names=["x"] * (wire.MAX_NAMES + 1)), "sensor_names"),
        (changed(tracks_payload(), centre_names=["ALPHA"]), "number_centre"),
        (with_column(tracks_payload(), "latitude", None), "latitude: is missing"),
        (with_column(tracks_payload(), "latitude", ["<f4", b"1234" * 20]), "latitude: dtype"),
        (with_column(tracks_payload(), "latitude", ["|O", b"12345678" * 20]), "latitude: dtype"),
        (with_column(tracks_payload(), "latitude", ["<f8", b"12345678" * 19]), "latitude: 152 bytes"),
        (with_column(tracks_payload(), "latitude", ["<f8", "text"]), "latitude"),
        (with_values(tracks_payload(2), "latitude", [0.0, 1.7]), "latitude: a value"),
        (with_values(tracks_payload(2), "latitude", [0.0, np.nan]), "latitude: a value"),
        (with_values(tracks_payload(2), "height", [0.0, np.inf]), "height: a value"),
        (with_values(tracks_payload(2), "existence", [0.0, 1.1]), "existence"),
        (with_values(tracks_payload(2), "number", [1, 40_000]), "number"),
        (with_values(tracks_payload(2), "covariance", np.zeros((2, 10))), "covariance"),
        (with_values(plots_payload(2), "sensor", [0, 4]), "sensor: points"),
        (with_values(plots_payload(2), "received", [2.0, 1.0]), "received"),
        (with_values(plots_payload(2), "time", [2.0, np.nan]), "time"),
        (with_values(plots_payload(2), "sigma_altitude", [0.0, -1.0]), "sigma_altitude"),
        (with_column(plots_payload(9), "sigma_range", None), "sigma_range: none for a range"),
        (changed(wire.encode_hello(HELLO), reference=[9.0, 0.0, 0.0]), "reference"),
        (changed(wire.encode_hello(HELLO), mode="war"), "mode"),
        (changed(wire.encode_hello(HELLO), rung=7), "rung"),
        (b"\0" * (wire.MAX_PAYLOAD + 1), "bytes"),
    ],
)
def test_a_message_that_cannot_be_used_is_refused_with_its_facts(payload, words):
    with pytest.raises(WireError, match=words):
        decode(payload)


def test_an_error_names_the_schema_and_the_field():
    with pytest.raises(WireError) as caught:
        decode(with_values(tracks_payload(2), "latitude", [0.0, np.nan]))
    assert (caught.value.schema, caught.value.field) == ("tracks", "latitude")
    assert str(caught.value) == "tracks message: latitude: a value out of its bounds"


def decodes_or_is_refused(payload: bytes) -> None:
    """Whatever the bytes are: a message or a `WireError`, and memory in proportion to their number."""
    tracemalloc.start()
    try:
        decode(payload)
    except WireError as error:
        assert len(str(error)) < 300
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 16 * len(payload) + 100_000


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(payload):
    decodes_or_is_refused(payload)


@given(st.integers(0, 6), st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=5))
def test_flipped_bits_do_not_crash_the_decoder(which, flips):
    payload = bytearray(messages()[which])
    for place, bits in flips:
        payload[place % len(payload)] ^= bits
    decodes_or_is_refused(bytes(payload))


@given(st.integers(0, 6), st.integers(0, 10**6))
def test_a_message_cut_off_is_refused(which, end):
    payload = messages()[which]
    with pytest.raises(WireError):
        decode(payload[: end % len(payload)])


@given(
    st.integers(0, 6),
    st.integers(0, 10**6),
    st.sampled_from([b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9\x01"]),
    st.sampled_from([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x10\x00\x00"]),
)
def test_huge_lengths_cost_nothing(which, place, kind, length):
    payload = messages()[which]
    at = place % len(payload)
    decodes_or_is_refused(payload[:at] + kind + length + payload[at:])


@pytest.mark.parametrize(
    "filler",
    [b"\x91", b"\x81\xa1a", b"\xa0", b"\xa2ab", b"\x90", b"\x80", b"\xc0", b"\xcb" + b"\0" * 8],
)
@pytest.mark.parametrize("key", ["junk", "sensor_names", "columns", "sensors", "errors", "health", "label"])
def test_many_small_values_cost_no_more_than_their_bytes(filler, key):
    count = 1_000_000 // len(filler)
    for start in messages():
        content = msgspec.msgpack.decode(start)
        content.pop(key, None)
        # The null that ends the map gives way to an array, and to a nest, of the filler.
        head = msgspec.msgpack.encode(content | {key: None})[:-1]
        decodes_or_is_refused(head + b"\xdd" + count.to_bytes(4, "big") + filler * count)
        decodes_or_is_refused(head + filler * count)


def test_rows_of_missing_columns_cost_no_more_than_some_times_the_bytes():
    count = 50_000
    report = made_report(rng(1), count)
    payload = wire.encode_tracks(report, EPOCH, 1)
    content = msgspec.msgpack.decode(payload)
    required = (
        "uid",
        "number_centre",
        "number",
        "numbered",
        "latitude",
        "longitude",
        "updated",
        "covariance",
    )
    content["columns"] = {name: content["columns"][name] for name in required}
    content["sensor_names"] = ["x"] * wire.MAX_NAMES
    decodes_or_is_refused(msgspec.msgpack.encode(content))
    plots = make_plots(count, sensor=0, time=1.0, received=1.0, squawk=1)
    decodes_or_is_refused(wire.encode_plots(plots, ["x"], EPOCH, 1, 1.0))


def test_a_picture_of_parts_with_different_times_is_read_set_by_set():
    for place, part in enumerate(
        tile for time in (1e9, 1e9 - 60.0) for tile in wire.cut_tiles(made_report(rng(1), 300, time))
    ):
        message = decode(wire.encode_tile(part, EPOCH, 1, place, 2 * wire.TILES))
        assert (message.tile, message.tiles, message.report.time) == (place, 2 * wire.TILES, part.report.time)
    with pytest.raises(WireError, match="a track of another tile"):
        decode(wire.encode_tile(part, EPOCH, 1, place - 1, 2 * wire.TILES))


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_read_as_no_value():
    payload = with_column(tracks_payload(1), "height", ["<f4", b"\x01\x00\x80\x7f"])
    assert np.isnan(decode(payload).report.height[0])
