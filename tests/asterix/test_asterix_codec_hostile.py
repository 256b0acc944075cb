"""What no sender should send: the codec counts it, keeps what came before, and goes on with what follows."""

import numpy as np
import pytest
from asterix_helpers import as_dicts, block, datagrams_of, error_kinds, record

from skypact.asterix import kernels
from skypact.asterix.decode import EMPTY_RECORD, FAULT_NAMES, UNKNOWN_EXTENSION, decode_datagrams
from skypact.asterix.model import Datagrams

pytestmark = pytest.mark.kernels

PLOT = record(48, i010="1481", i140="380000", i020="20", i040="0100 4000")
MARK = record(34, i010="1481", i000="01", i030="380000")
GOOD = block(48, PLOT)
AFTER = block(34, MARK)


def decode(*octets):
    return decode_datagrams(datagrams_of(*octets))


def counts(decoded):
    return {records.category: len(records) for records in decoded.records}


def only_error(decoded):
    ((key, error),) = decoded.errors.items()
    return key, error


@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_length_below_the_header_ends_its_datagram_only(length):
    lying = bytes([48]) + length.to_bytes(2) + PLOT
    decoded = decode(GOOD + lying + AFTER, AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.BLOCK_TOO_SHORT]: 1}


def test_a_length_beyond_the_datagram_ends_it_and_the_next_datagram_is_read():
    lying = bytes([48]) + (len(PLOT) + 4).to_bytes(2) + PLOT
    decoded = decode(GOOD + lying, AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    (source, kind), error = only_error(decoded)
    assert (source, kind) == ("20/129", FAULT_NAMES[kernels.BLOCK_TOO_LONG])
    assert error.first_offset == len(GOOD)
    assert error.first_bytes.startswith(lying.hex())


def test_a_length_one_short_cuts_the_last_record_and_leaves_a_stray_byte():
    short = bytes([48]) + (len(PLOT) * 2 + 2).to_bytes(2) + PLOT * 2
    decoded = decode(short, AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {
        FAULT_NAMES[kernels.TRUNCATED]: 1,
        FAULT_NAMES[kernels.SHORT_HEADER]: 1,
    }


def test_a_bare_header_holds_no_record_and_is_no_error():
    decoded = decode(block(48) + AFTER)
    assert counts(decoded) == {34: 1}
    assert decoded.blocks == 2
    assert not decoded.errors


@pytest.mark.parametrize("stray", [b"\x00", b"\xff\xff"])
def test_one_or_two_stray_bytes_after_the_last_block_are_counted(stray):
    decoded = decode(GOOD + stray, AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.SHORT_HEADER]: 1}


def test_an_empty_datagram_is_nothing():
    decoded = decode(b"", GOOD)
    assert counts(decoded) == {48: 1}
    assert not decoded.errors


def test_no_datagram_gives_nothing():
    decoded = decode()
    assert (decoded.blocks, decoded.records, decoded.errors) == (0, [], {})


def test_an_unknown_category_is_counted_and_skipped_by_its_length():
    decoded = decode(block(8, b"\xff" * 40) + GOOD, block(255) + block(8, b"\x00"))
    assert decoded.skipped == {8: 2, 255: 1}
    assert counts(decoded) == {48: 1}
    assert not decoded.errors


def test_an_edition_without_a_table_is_counted_and_skipped():
    decoded = decode_datagrams(datagrams_of(GOOD, AFTER), {(20, 129): {48: "0.9"}})
    assert decoded.skipped == {48: 1}
    assert counts(decoded) == {34: 1}


def test_an_fspec_that_never_ends_is_a_fault_of_its_block_only():
    decoded = decode(block(48, PLOT, b"\xff" * 3) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.FSPEC_ENDLESS]: 1}


def test_an_fspec_longer_than_the_uap_is_a_fault():
    decoded = decode(block(48, PLOT, b"\x01" * 5 + b"\x00" * 30) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.FSPEC_TOO_LONG]: 1}


def test_an_extension_chain_without_end_is_a_fault():
    decoded = decode(block(48, PLOT, record(48, i020="ff" * 40)) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.TRUNCATED]: 1}


def test_an_extension_that_the_edition_does_not_know_is_skipped_and_counted():
    extended = record(48, i020="21" + "01" * 5 + "0102")
    decoded = decode(block(48, extended, PLOT))
    assert counts(decoded) == {48: 2}
    assert error_kinds(decoded) == {UNKNOWN_EXTENSION: 2}
    assert decoded.records[0].raw("020/TYP").tolist() == [1, 1]


def test_a_chain_of_repetitions_without_end_is_a_fault():
    decoded = decode(block(48, PLOT, record(48, i030="83" * 20)) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.TRUNCATED]: 1}


def test_a_spare_item_is_a_fault_that_hints_at_the_edition():
    second_is_spare = bytes.fromhex("40 000000")
    decoded = decode(block(62, record(62, i010="1481"), second_is_spare) + GOOD)
    assert counts(decoded) == {62: 1, 48: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.SPARE_ITEM]: 1}


@pytest.mark.parametrize("presence", ["02", "0101010101010101010180", "0180"])
def test_a_part_that_a_compound_item_does_not_have_is_a_fault(presence):
    doppler_of_two_parts = record(48, i120=presence + "00" * 9)
    decoded = decode(block(48, PLOT, doppler_of_two_parts) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.SPARE_SUBITEM]: 1}


def test_a_compound_presence_that_does_not_end_in_the_block_is_a_fault():
    decoded = decode(block(48, PLOT, record(48, i130="ff")) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.TRUNCATED]: 1}


def test_repetitions_past_the_end_are_a_fault():
    decoded = decode(block(48, PLOT, record(48, i250="ff" + "00" * 20)) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.TRUNCATED]: 1}


def test_an_explicit_item_of_length_zero_is_a_fault():
    decoded = decode(block(48, PLOT, record(48, iRE="00")) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.LENGTH_ZERO]: 1}


def test_an_explicit_item_past_the_end_is_a_fault():
    decoded = decode(block(48, PLOT, record(48, iRE="05 000000")) + AFTER)
    assert counts(decoded) == {48: 1, 34: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.TRUNCATED]: 1}


def test_the_content_of_expansion_fields_is_never_looked_at_and_told_by_position():
    decoded = decode(block(48, record(48, i010="1481", iSP="04ffffff", iRE="01")))
    assert as_dicts(decoded.records[0]) == [
        {
            "010/SAC": 20,
            "010/SIC": 129,
            "SP/position": 7,
            "SP/length": 3,
            "RE/position": 11,
            "RE/length": 0,
        }
    ]


def test_a_block_full_of_empty_records_is_counted_not_kept():
    decoded = decode(block(48, PLOT, b"\x00" * 252, PLOT))
    assert counts(decoded) == {48: 2}
    assert error_kinds(decoded) == {EMPTY_RECORD: 252}


def test_the_longest_block_of_one_octet_records_stays_within_its_rows():
    decoded = decode(block(48, b"\x00" * 65_532), GOOD)
    assert counts(decoded) == {48: 1}
    assert error_kinds(decoded) == {EMPTY_RECORD: 65_532}


def test_a_block_as_full_of_records_as_can_be_is_read_whole():
    smallest = record(48, i020="20")
    assert counts(decode(block(48, smallest * 30_000))) == {48: 30_000}


def test_text_of_any_bits_is_handed_on_as_bits():
    (records,) = decode(block(48, record(48, i240="ff" * 6))).records
    assert records.packed("240").tolist() == [(1 << 48) - 1]


def test_a_plot_or_track_report_that_does_not_say_which_is_a_fault():
    unsaid = record(1, i010="1902", i040="0100 0200")
    said = record(1, i010="1902", i020="00", i040="0100 0200")
    decoded = decode(block(1, said, unsaid, said))
    assert counts(decoded) == {1: 1}
    assert error_kinds(decoded) == {FAULT_NAMES[kernels.NO_VARIATION]: 1}


@pytest.mark.parametrize("sequence", ["01 00 00", "01 ff 00", "01 15 00", "ff"])
def test_a_random_field_sequence_that_names_no_item_is_a_fault(sequence):
    decoded = decode(block(1, record(1, i010="1902", i020="00", irfs=sequence)), AFTER)
    assert counts(decoded) == {34: 1}
    assert len(decoded.errors) == 1


def test_plots_and_tracks_of_one_block_are_each_read_by_their_own_uap():
    plot = record(1, i010="1902", i020="00", i040="0100 0200")
    track = bytes.fromhex("f0 1902 80 0007 0300 0400")
    (records,) = decode(block(1, plot, track)).records
    assert records.raw("020/TYP").tolist() == [0, 1]
    assert records.value("040/RHO").tolist() == [2.0, 6.0]
    assert records.raw("161").tolist()[1] == 7


def test_a_random_field_sequence_is_read_in_its_own_order():
    in_sequence = record(1, i010="1902", i020="00", irfs="02 04 0041 03 0100 0200")  # 070, then 040
    (records,) = decode(block(1, in_sequence)).records
    assert records.value("040/RHO").tolist() == [2.0]
    assert records.raw("070/MODE3A").tolist() == [0x41]


def test_errors_are_counted_by_the_source_that_sent_them():
    bad = record(48, i020="ff" * 40)
    other = PLOT.replace(b"\x14\x81", b"\x14\x82")
    decoded = decode(block(48, PLOT, bad), block(48, other, bad), block(48, PLOT, bad), block(48, bad))
    kind = FAULT_NAMES[kernels.TRUNCATED]
    assert {key: error.count for key, error in decoded.errors.items()} == {
        ("20/129", kind): 2,
        ("20/130", kind): 1,
        ("?", kind): 1,
    }
    assert decoded.errors["20/130", kind].first_datagram == 1


def test_values_that_no_source_can_mean_are_refused_and_hint_at_the_edition():
    decoded = decode(block(48, PLOT, record(48, i010="1481", i140="ffffff")))
    assert counts(decoded) == {48: 1}
    assert error_kinds(decoded) == {"implausible time of day (wrong edition?)": 1}
    decoded = decode(block(62, record(62, i010="1481", i105="7fffffff 00000000")))
    assert error_kinds(decoded) == {"implausible latitude (wrong edition?)": 1}


def test_a_datagram_outside_of_the_buffer_is_refused():
    buffer = np.zeros(10, dtype=np.uint8)
    one = np.ones(1, dtype=np.int64)
    for offset, length in ((8, 3), (-1, 2), (2, -1)):
        with pytest.raises(ValueError, match="outside"):
            decode_datagrams(Datagrams(buffer, one * offset, one * length, np.full(1, np.nan)))


def test_a_chunk_leaves_nothing_behind_for_the_next():
    faulty = block(48, record(48, i010="1481", i140="380000", i040="0100 4000", i220="00"))
    decode(GOOD, faulty, GOOD)
    (records,) = decode(block(48, record(48, i010="1481"))).records
    assert as_dicts(records) == [{"010/SAC": 20, "010/SIC": 129}]
