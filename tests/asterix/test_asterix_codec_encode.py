"""The encoder: what it writes reads back, in our decoder and in libasterix, and never wraps."""

import naive_asterix
import numpy as np
import oracle_asterix
import pytest
from asterix_helpers import as_dicts

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.encode import encode_records
from skypact.asterix.tables import editions, load_table

ENCODED = (34, 48, 62, 65)


def blocks_of(datagrams):
    buffer = datagrams.buffer.tobytes()
    return [
        buffer[begin : begin + length]
        for begin, length in zip(datagrams.offset.tolist(), datagrams.length.tolist(), strict=True)
    ]


def random_columns(rng, category, edition, count, share):
    """Values on the grid of each field that can be encoded, each absent with a chance."""
    columns = {}
    for column in load_table(category, edition).columns:
        name = column.name
        if name.endswith(("/position", "/count", "/length", "/low")):
            continue
        bits = column.bits + 24 if name.endswith("/high") else column.bits
        name = name.removesuffix("/high")
        lowest = -(1 << (bits - 1)) + 1 if column.is_signed else 0
        highest = lowest + (1 << bits) - 2 if column.is_signed else (1 << bits) - 1
        if column.unit == "s" and bits == 24:
            highest = 86_400 * 128 - 1
        if name.endswith("LAT"):
            highest = min(highest, int(90 / column.scale))
            lowest = max(lowest, -highest)
        if name.endswith("LON"):
            highest = min(highest, int(180 / column.scale) - 1)
            lowest = max(lowest, -highest)
        values = rng.integers(lowest, highest, size=count, endpoint=True) * column.scale
        values[rng.random(count) > share] = np.nan
        columns[name] = values
    return columns


def check_round_trip(category, edition, columns, datagrams):
    """Each value reads back; what shares an item with a value and had none is 0."""
    decoded = decode_datagrams(datagrams, EveryEdition(category, edition))
    assert not decoded.errors
    (records,) = decoded.records
    for name, values in columns.items():
        known = f"{name}/high" in records.names or f"{name}/high" in records.absent
        read = records.packed(name).astype(float) if known else records.value(name)
        is_given = np.isfinite(values)
        assert len(read) == len(values)
        np.testing.assert_allclose(read[is_given], values[is_given], rtol=1e-12, atol=0)
        rest = read[~is_given]
        assert np.all(np.isnan(rest) | (rest == 0))


class EveryEdition(dict):
    def __init__(self, category, edition):
        super().__init__()
        self.editions = {category: edition}

    def get(self, source, default=None):
        return self.editions


@pytest.mark.kernels
@pytest.mark.parametrize("category", ENCODED)
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_what_is_encoded_reads_back_in_all_editions(category, share):
    rng = np.random.default_rng(category)
    for edition in editions(category):
        columns = random_columns(rng, category, edition, 12, share)
        columns["010/SAC"] = np.arange(12.0)
        datagrams = encode_records(category, columns, edition=edition)
        check_round_trip(category, edition, columns, datagrams)
        for data in blocks_of(datagrams):
            *_, fault = naive_asterix.Decoder(category, edition).read_block(data, 0, len(data))
            assert fault is None


@pytest.mark.parametrize("category", ENCODED)
def test_libasterix_reads_the_same_from_what_is_encoded(category):
    rng = np.random.default_rng(category)
    edition = editions(category)[-1]
    columns = random_columns(rng, category, edition, 40, 0.5)
    columns["010/SAC"] = np.arange(40.0)
    datagrams = encode_records(category, columns)
    theirs = [
        record
        for data in blocks_of(datagrams)
        for record in oracle_asterix.parse_block(data, category, edition)
    ]
    (records,) = decode_datagrams(datagrams).records
    widths = {column.name: column.bits for column in load_table(category, edition).columns}
    for row, record in zip(as_dicts(records), theirs, strict=True):
        for name, value in record.items():
            if name in row:
                assert row[name] & ((1 << widths[name]) - 1) == value


@pytest.mark.kernels
def test_values_out_of_range_are_clamped_and_never_wrap():
    columns = {
        "040/RHO": np.array([300.0, -1.0, 255.999]),
        "090/FL": np.array([9000.0, -9000.0, 370.1]),
        "161/TRN": np.array([5000.0, 1e300, -3.0]),
    }
    (records,) = decode_datagrams(encode_records(48, columns)).records
    assert records.raw("040/RHO").tolist() == [65535, 0, 65535]
    assert records.value("090/FL").tolist() == [2047.75, -2048.0, 370.0]
    assert records.raw("161/TRN").tolist() == [4095, 4095, 0]


@pytest.mark.kernels
def test_time_of_day_and_full_circles_go_round():
    columns = {
        "140": np.array([86_399.998, 86_401.0, -1.0]),
        "040/THETA": np.array([359.999, 361.0, -1.0]),
    }
    (records,) = decode_datagrams(encode_records(48, columns)).records
    assert records.value("140").tolist() == [0.0, 1.0, 86_399.0]
    np.testing.assert_allclose(records.value("040/THETA"), [0.0, 1.0, 359.0], atol=0.003)
    (records,) = decode_datagrams(encode_records(62, {"105/LON": np.array([180.0, -181.0, 179.0])})).records
    np.testing.assert_allclose(records.value("105/LON"), [-180.0, 179.0, 179.0], atol=3e-6)


@pytest.mark.kernels
def test_a_latitude_beyond_the_pole_does_not_come_out_on_the_other_side():
    columns = {"105/LAT": np.array([90.0, 90.1, -91.0])}
    (records,) = decode_datagrams(encode_records(62, columns)).records
    assert records.value("105/LAT").tolist() == [90.0, 90.0, -90.0]


@pytest.mark.kernels
def test_items_are_sent_only_where_a_field_has_a_value():
    nan = np.nan
    columns = {
        "010/SAC": np.array([1.0, 2.0]),
        "020/TYP": np.array([5.0, 3.0]),
        "020/TST": np.array([nan, 1.0]),
        "130/PRL": np.array([nan, 44 / 256 * 360 / 32]),
        "040/RHO": np.array([nan, 1.0]),
    }
    (records,) = decode_datagrams(encode_records(48, columns)).records
    first, second = as_dicts(records)
    assert set(first) == {"010/SAC", "010/SIC", "020/TYP", "020/SIM", "020/RDP", "020/SPI", "020/RAB"}
    assert second["020/TST"] == 1
    assert second["020/MI"] == 0
    assert {"130/PRL", "040/RHO", "040/THETA"} <= set(second)


@pytest.mark.kernels
def test_a_callsign_of_48_bits_goes_as_float_and_as_integer():
    callsign = 0x1234_5678_9ABC
    for values in (np.array([float(callsign), np.nan]), np.array([callsign, 0])):
        columns = {"010/SAC": np.ones(2), "380/ID": values}
        (records,) = decode_datagrams(encode_records(62, columns)).records
        assert records.packed("380/ID").tolist() == [callsign, 0]
        assert records.raw("380/ID/high").tolist()[1] == np.iinfo(np.int32).min


@pytest.mark.kernels
def test_a_record_without_a_value_is_left_out():
    datagrams = encode_records(48, {"161/TRN": np.array([np.nan, 7.0, np.inf])})
    (records,) = decode_datagrams(datagrams).records
    assert records.raw("161/TRN").tolist() == [7]
    assert len(encode_records(48, {"161/TRN": np.array([np.nan])})) == 0
    assert len(encode_records(48, {})) == 0


@pytest.mark.kernels
@pytest.mark.parametrize("max_length", [4, 20, 100, 1400])
def test_blocks_are_filled_up_to_their_longest(max_length):
    columns = {"010/SAC": np.arange(50.0), "010/SIC": np.ones(50), "140": np.arange(50.0)}
    datagrams = encode_records(48, columns, max_length=max_length)
    record_octets = 6
    fitting = max(1, (max_length - 3) // record_octets)
    assert datagrams.length.max() == 3 + min(fitting, 50) * record_octets
    assert len(datagrams) == -(-50 // fitting)
    assert int(datagrams.length.sum()) == len(datagrams.buffer)
    assert np.isnan(datagrams.received).all()
    decoded = decode_datagrams(datagrams)
    assert not decoded.errors
    assert decoded.records[0].raw("010/SAC").tolist() == list(range(50))


def test_what_can_not_be_encoded_is_refused_by_name():
    one = np.ones(1)
    with pytest.raises(ValueError, match="250"):
        encode_records(48, {"250": one})
    with pytest.raises(ValueError, match="named 390/CS"):
        encode_records(62, {"390/CS": one})
    with pytest.raises(ValueError, match="no edition"):
        encode_records(48, {"161/TRN": one}, edition="9.9")
    with pytest.raises(ValueError, match="category 240"):
        encode_records(240, {"161/TRN": one})
    with pytest.raises(ValueError, match="decoded only"):
        encode_records(1, {"161/TRN": one})
    with pytest.raises(ValueError, match="different lengths"):
        encode_records(48, {"161/TRN": one, "140": np.ones(2)})
    with pytest.raises(ValueError, match="octets"):
        encode_records(48, {"161/TRN": one}, max_length=70_000)
