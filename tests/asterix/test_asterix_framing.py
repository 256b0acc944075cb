import json
import struct

import numpy as np
import pytest
from asterix_helpers import datagrams_of
from capture_helpers import (
    block,
    ethernet,
    final,
    gps,
    ipv4,
    ipv6,
    oradis,
    pcap,
    pcapng,
    pcapng_block,
    sll,
    sll2,
    udp,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.framing import ASSIGNED_CATEGORIES, read_recording
from skypact.asterix.framing_kernels import RAW, walk_units
from skypact.asterix.model import Datagrams
from skypact.asterix.pcap import write_pcap
from skypact.core.errors import BadInputError

pytestmark = pytest.mark.kernels

FRAME = ethernet(ipv4(udp(block())))


@pytest.fixture
def read(tmp_path):
    def read_content(content):
        path = tmp_path / "recording"
        path.write_bytes(content)
        return read_recording(path)

    return read_content


def contents(recording):
    datagrams = recording.datagrams
    return [
        datagrams.buffer[first : first + length].tobytes()
        for first, length in zip(datagrams.offset, datagrams.length, strict=True)
    ]


def counts(recording):
    return {kind: error.count for kind, error in recording.errors.items()}


# Recorders' files


@pytest.mark.parametrize(
    ("name", "content", "time"),
    [
        ("raw", block() + block(34, b"\x80\x01\x02"), np.nan),
        ("final", final(block(), 50_301.83) + final(block(34, b"\x80\x01\x02"), 50_301.83), 50_301.83),
        ("gps", gps(block(), block(34, b"\x80\x01\x02"), seconds=3.5), 3.5),
        ("oradis", oradis(block(), 45_826.101) + oradis(block(34, b"\x80\x01\x02"), 45_826.101), 45_826.101),
    ],
)
def test_the_framing_of_a_recorders_file_is_named_and_its_clock_read(read, name, content, time):
    recording = read(content)
    assert recording.framing == name
    assert contents(recording) == [block(), block(34, b"\x80\x01\x02")]
    assert recording.time_of_day == pytest.approx([time, time], nan_ok=True)
    assert np.isnan(recording.datagrams.received).all()
    assert not recording.errors


def test_a_unit_of_the_final_format_may_hold_several_blocks(read):
    recording = read(final(block() + block(34, b"\x80\x01\x02")) + final(block()))
    assert contents(recording) == [block() + block(34, b"\x80\x01\x02"), block()]


@pytest.mark.parametrize(
    "framed", [lambda content: content, final, oradis, lambda content: content + bytes(10)]
)
@pytest.mark.parametrize("cut", [1, 2, 3, 9])
def test_a_truncated_tail_is_counted_and_the_blocks_before_it_are_kept(read, framed, cut):
    units = b"".join(framed(block()) for _ in range(5))
    header = b"\xcd" * 2200 if len(framed(b"")) == 10 and framed(b"") == bytes(10) else b""
    recording = read(header + units[:-cut])
    kept = contents(recording)
    assert kept[:4] == [block()] * 4
    assert len(kept) == 4
    assert counts(recording) == {"truncated": 1}


@pytest.mark.parametrize("framed", [lambda content: content, final, oradis])
def test_blocks_before_and_after_garbage_are_kept(read, framed):
    rng = np.random.default_rng(4)
    unit = framed(block())
    recording = read(unit * 20 + b"\xff" * 5 + rng.bytes(200) + unit * 20)
    assert contents(recording).count(block()) == 40
    assert sum(counts(recording).values()) >= 1
    assert recording.errors["lost synchronisation"].first_offset == 20 * len(unit)


def test_a_block_length_that_lies_costs_its_own_block_only(read):
    good = block()
    lie = bytes([good[0], 0x01, 0x00]) + good[3:]
    recording = read(good * 10 + lie + good * 30)
    assert contents(recording).count(good) == 40
    decoded = decode_datagrams(recording.datagrams)
    assert sum(len(columns) for columns in decoded.records) == 40
    assert sum(error.count for error in decoded.errors.values()) == 1


def test_a_recording_that_starts_inside_a_block_is_read_from_the_next(read):
    recording = read(block()[5:] + block() * 12)
    assert contents(recording) == [block()] * 12
    assert sum(counts(recording).values()) == 1


def test_a_file_of_an_unassigned_category_is_raw_blocks(read):
    recording = read(block(200) * 5)
    assert recording.framing == "raw"
    assert contents(recording) == [block(200)] * 5


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"0", b"# Heading\n\nA text, some words long.\n" * 40, bytes(5000), b"\xff" * 5000],
)
def test_a_file_that_is_no_asterix_is_refused_in_one_line(read, content):
    with pytest.raises(BadInputError) as refused:
        read(content)
    assert "\n" not in str(refused.value)


def test_a_long_text_is_refused_whatever_lengths_its_letters_make(read):
    # Blanks, quotes and zeros are the numbers of categories, and letters lengths of 8 to 30 thousand octets.
    document = [{"time": number, "list": [{"x": number / 7, "word": "zürich"}]} for number in range(5000)]
    for text in (json.dumps(document, indent=4, ensure_ascii=False), " " * 300_000, "0" * 300_000):
        with pytest.raises(BadInputError, match="no ASTERIX framing fits"):
            read(text.encode())


def test_a_long_recording_of_an_unassigned_category_is_raw_blocks(read):
    assert len(contents(read(block(200) * 2000))) == 2000


@pytest.mark.parametrize("framed", [lambda content: content, final, oradis])
def test_a_recording_longer_than_what_its_framing_is_told_by_is_read_whole(read, framed):
    unit = framed(block(48, bytes(range(200)) * 5))
    assert len(contents(read(unit * 3000))) == 3000
    videos = framed(block(200, bytes(60_000)))  # few of these in the first octets, and the last is cut there
    assert len(contents(read(videos * 40))) == 40


def test_random_octets_are_refused(read):
    for seed in range(5):
        with pytest.raises(BadInputError):
            read(np.random.default_rng(seed).bytes(100_000))


def test_a_file_that_cannot_be_opened_is_refused_in_one_line(tmp_path):
    with pytest.raises(BadInputError, match="No such file"):
        read_recording(tmp_path / "missing.ast")
    with pytest.raises(BadInputError, match="directory"):
        read_recording(tmp_path)


# Captures


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (pcap(FRAME), "pcap"),
        (pcap(FRAME, order=">"), "pcap"),
        (pcap(FRAME, is_nano=True), "pcap"),
        (pcap(FRAME, order=">", is_nano=True), "pcap"),
        (pcapng(FRAME), "pcapng"),
        (pcapng(FRAME, order=">", resolution=9), "pcapng"),
        (pcap(ethernet(ipv4(udp(block())), 0x8100)), "pcap"),
        (pcap(ethernet(ipv4(udp(block())), 0x88A8, 0x8100)), "pcap"),
        (pcapng(ethernet(ipv4(udp(block())), 0x9100, 0x8100)), "pcapng"),
        (pcap(sll(ipv4(udp(block()))), link=113), "pcap"),
        (pcapng(sll2(ipv4(udp(block()))), link=276), "pcapng"),
        (pcap(ipv4(udp(block())), link=101), "pcap"),
        (pcap(b"\x02\x00\x00\x00" + ipv4(udp(block())), link=0), "pcap"),
        (pcap(ethernet(ipv4(udp(block()), options=b"\x94\x04\x00\x00"))), "pcap"),
        (pcap(ethernet(ipv6(udp(block())))), "pcap"),
        (pcap(ethernet(ipv6(b"\x11\x00" + bytes(6) + udp(block()), first=0))), "pcap"),
        (pcap(ethernet(ipv4(udp(block())) + bytes(6))), "pcap"),  # Ethernet padding
        (pcap(ethernet(ipv4(udp(block()), length=0))), "pcap"),  # length left to the network card
    ],
)
def test_udp_payloads_are_found_through_every_wrapping(read, content, name):
    recording = read(content)
    assert recording.framing == name
    assert contents(recording) == [block()]
    assert recording.datagrams.received == pytest.approx([1_700_000_000.0])
    assert not recording.errors


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 0, 1, 2, 2)])
def test_fragments_are_put_together_in_whatever_order_they_come(read, order):
    whole = udp(b"".join(block() for _ in range(10)))
    pieces = [
        ethernet(ipv4(whole[:48], number=7, more=True)),
        ethernet(ipv4(whole[48:96], number=7, place=48, more=True)),
        ethernet(ipv4(whole[96:], number=7, place=96)),
    ]
    recording = read(pcap(FRAME, *(pieces[number] for number in order), FRAME))
    assert contents(recording)[1] == block() * 10
    assert len(contents(recording)) == 3
    expected = {"fragment missing": 1} if len(order) > 3 else {}
    assert counts(recording) == expected  # a copy that came after the whole waits in vain


def test_fragments_of_ipv6_are_put_together(read):
    whole = udp(block() * 10)
    head = struct.Struct(">BBHI")
    pieces = [
        ethernet(ipv6(head.pack(17, 0, 0 | 1, 9) + whole[:64], first=44)),
        ethernet(ipv6(head.pack(17, 0, 64, 9) + whole[64:], first=44)),
    ]
    assert contents(read(pcap(*pieces))) == [block() * 10]


def test_a_missing_fragment_is_counted(read):
    whole = udp(block() * 10)
    recording = read(pcap(FRAME, ethernet(ipv4(whole[:48], number=7, more=True)), FRAME))
    assert contents(recording) == [block()] * 2
    assert counts(recording) == {"fragment missing": 1}


def test_oradis_headers_inside_udp_are_taken_off(read):
    payload = oradis(block(), 36_000.25) + oradis(block(34, b"\x80\x01\x02"), 36_000.5)
    recording = read(pcap(ethernet(ipv4(udp(payload)))))
    assert recording.framing == "pcap+oradis"
    assert contents(recording) == [block(), block(34, b"\x80\x01\x02")]
    assert recording.time_of_day == pytest.approx([36_000.25, 36_000.5])
    assert recording.datagrams.received == pytest.approx([1_700_000_000.0] * 2)


def test_trailing_octets_that_every_payload_has_are_left_out(read):
    frames = [ethernet(ipv4(udp(block() + bytes([0, number, 7, 9])))) for number in range(8)]
    recording = read(pcap(*frames))
    assert recording.framing == "pcap+trailing"
    assert recording.trailing == 4
    assert contents(recording) == [block()] * 8
    assert not decode_datagrams(recording.datagrams).errors


def test_trailing_octets_of_one_payload_stay_for_the_decoder_to_count(read):
    recording = read(pcap(FRAME, FRAME, FRAME, ethernet(ipv4(udp(block() + b"\x01\x02")))))
    assert recording.framing == "pcap"
    assert contents(recording)[3] == block() + b"\x01\x02"


def test_other_traffic_in_a_capture_is_no_broken_asterix(read):
    name_query = bytes.fromhex("1a2b01000001000000000000") + b"\x07example\x03net\x00\x00\x01\x00\x01"
    packets = [ethernet(ipv4(udp(name_query, port=53))) for _ in range(3)]
    tcp = ethernet(ipv4(bytes(20), protocol=6))
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    recording = read(pcap(FRAME, *packets, tcp, arp, FRAME))
    assert contents(recording) == [block()] * 2
    assert recording.other == 5
    assert not recording.errors


def test_a_lying_block_on_a_port_of_asterix_stays_for_the_decoder_to_count(read):
    lie = bytes([48, 0xFF, 0xFF]) + block()[3:]
    recording = read(pcap(FRAME, ethernet(ipv4(udp(lie))), FRAME))
    decoded = decode_datagrams(recording.datagrams)
    assert sum(len(columns) for columns in decoded.records) == 2
    assert sum(error.count for error in decoded.errors.values()) == 1


def test_an_empty_payload_is_no_error(read):
    recording = read(pcap(FRAME, ethernet(ipv4(udp(b""))), FRAME))
    assert contents(recording).count(block()) == 2
    assert not recording.errors


def test_a_payload_cut_by_the_capture_is_counted(read):
    recording = read(pcap(FRAME, FRAME, captured=len(FRAME) - 4))
    assert counts(recording) == {"payload cut by the capture": 2}


def test_a_udp_length_that_lies_is_counted(read):
    recording = read(
        pcap(FRAME, ethernet(ipv4(udp(block(), length=4000))), ethernet(ipv4(udp(block(), length=3))))
    )
    assert counts(recording) == {"malformed packet": 2}


@pytest.mark.parametrize("captured", [0xFFFFFFFF, 0x7FFFFFFF, 300_000])
def test_a_wrong_captured_length_costs_its_own_packet_only(read, captured):
    content = bytearray(pcap(*[FRAME] * 20))
    stride = 16 + len(FRAME)
    struct.pack_into("<I", content, 24 + 5 * stride + 8, captured)
    recording = read(bytes(content))
    assert contents(recording) == [block()] * 19
    assert counts(recording) == {"lost synchronisation": 1}


def test_a_truncated_capture_keeps_its_packets(read):
    for content in (pcap(*[FRAME] * 5), pcapng(*[FRAME] * 5)):
        recording = read(content[:-9])
        assert contents(recording) == [block()] * 4
        assert counts(recording) == {"truncated": 1}


def test_a_capture_of_nothing_is_empty(read):
    for content in (pcap(), pcapng()):
        recording = read(content)
        assert len(recording.datagrams) == 0
        assert not recording.errors


def test_blocks_of_pcapng_that_carry_no_packet_are_passed_over(read):
    name_table, statistics = pcapng_block(4, bytes(8)), pcapng_block(5, bytes(12))
    section = pcapng(FRAME)
    recording = read(section + name_table + statistics + section)
    assert contents(recording) == [block()] * 2


def test_packets_of_pcapng_without_time_have_no_time_of_arrival(read):
    simple = pcapng_block(3, struct.pack("<I", len(FRAME)) + FRAME)
    recording = read(pcapng() + simple)
    assert contents(recording) == [block()]
    assert np.isnan(recording.datagrams.received).all()


# Nothing crashes


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_octets_crash_the_reading(data, tmp_path_factory):
    sound = data.draw(
        st.sampled_from(
            [
                pcap(FRAME, FRAME, ethernet(ipv4(udp(block() * 3)[:40], more=True))),
                pcapng(FRAME, FRAME, ethernet(ipv6(udp(block())))),
                final(block()) * 4,
                oradis(block()) * 4,
                block() * 4 + block(34, b"\x80\x01\x02"),
                gps(block(), block()),
            ]
        )
    )
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    path = tmp_path_factory.mktemp("fuzz") / "recording"
    path.write_bytes(bytes(content[:cut]) + data.draw(st.binary(max_size=20)))
    try:
        recording = read_recording(path)
    except BadInputError:
        return
    datagrams = recording.datagrams
    assert (datagrams.offset >= 0).all()
    assert (datagrams.length >= 0).all()
    assert (datagrams.offset + datagrams.length <= len(datagrams.buffer)).all()
    decode_datagrams(datagrams)


@settings(max_examples=40, deadline=None)
@given(
    categories=st.lists(st.sampled_from([1, 34, 48, 62]), max_size=12),
    sizes=st.lists(st.integers(0, 30), min_size=12, max_size=12),
    tail=st.integers(0, 2),
)
def test_walking_sound_blocks_finds_what_a_plain_loop_finds(categories, sizes, tail):
    blocks = [block(category, bytes(size)) for category, size in zip(categories, sizes, strict=False)]
    content = np.frombuffer(b"".join(blocks) + b"\x30\x00"[:tail] or b"\x00", dtype=np.uint8)
    known = np.zeros(256, dtype=np.bool_)
    known[list(ASSIGNED_CATEGORIES)] = True
    offsets, lengths, _, gap_lengths = walk_units(content, 0, len(content), RAW, known, 100)
    assert lengths.tolist() == [len(part) for part in blocks]
    assert offsets.tolist() == [sum(map(len, blocks[:number])) for number in range(len(blocks))]
    assert int(lengths.sum() + gap_lengths.sum()) == len(content)


# Writing captures


def test_a_capture_written_is_read_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(3)
    payloads = [block(48, rng.bytes(int(size))) for size in rng.integers(1, 1400, 50)]
    datagrams = datagrams_of(*payloads)
    received = np.sort(1_790_000_000.0 + rng.uniform(0.0, 100.0, 50))
    datagrams = Datagrams(datagrams.buffer, datagrams.offset, datagrams.length, received)
    path = tmp_path / "written.pcap"
    write_pcap(path, datagrams, destination=("239.192.0.7", 8607))
    recording = read_recording(path)
    assert recording.framing == "pcap"
    assert contents(recording) == payloads
    assert np.array_equal(recording.datagrams.received, received)


def test_a_capture_written_has_right_addresses_and_checksums(tmp_path):
    datagrams = datagrams_of(block(), block() + b"\x07")
    datagrams = Datagrams(
        datagrams.buffer, datagrams.offset, datagrams.length, np.array([1.5, 2.999999999999])
    )
    path = tmp_path / "written.pcap"
    write_pcap(path, datagrams, ("239.192.129.7", 8607), ("10.1.2.3", 9000), ports=[8601, 8602])
    content = path.read_bytes()[24:]
    for port in (8601, 8602):
        _, nanoseconds, captured, original = struct.unpack_from("<IIII", content)
        frame, content = content[16 : 16 + captured], content[16 + captured :]
        assert captured == original
        assert nanoseconds < 1_000_000_000
        assert frame[:6] == bytes.fromhex("01005e408107")  # multicast: the lowest 23 bits of the address
        header, segment = frame[14:34], frame[34:]
        assert ones_sum(header) == 0xFFFF
        pseudo = header[12:20] + struct.pack(">HH", 17, len(segment))
        assert ones_sum(pseudo + segment) == 0xFFFF
        assert struct.unpack_from(">HHH", segment) == (9000, port, len(segment))
    assert not content


def ones_sum(octets):
    total = sum(struct.unpack(f">{(len(octets) + 1) // 2}H", octets + bytes(len(octets) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.counts("damaged recordings", sample=600, soak=60_000)
def test_damaged_recordings_are_read_or_refused(tmp_path, count):
    sound = [
        pcap(*[FRAME] * 6),
        pcapng(*[FRAME] * 6),
        final(block()) * 6,
        oradis(block()) * 6,
        block() * 6,
        gps(*[block()] * 6),
    ]
    rng = np.random.default_rng(17)
    path = tmp_path / "recording"
    for number in range(count):
        content = bytearray(sound[number % len(sound)])
        first = 2200 if number % len(sound) == 5 else 0
        for place in rng.integers(first, len(content), int(rng.integers(0, 12))):
            content[place] = rng.integers(256)
        path.write_bytes(bytes(content[: rng.integers(1, len(content) + 1)]))
        try:
            datagrams = read_recording(path).datagrams
        except BadInputError:
            continue
        assert (datagrams.offset + datagrams.length <= len(datagrams.buffer)).all()
        assert (datagrams.length >= 0).all()
        decode_datagrams(datagrams)
