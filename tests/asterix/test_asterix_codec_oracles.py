"""The decoder against a slow one from the same tables, and against libasterix."""

from itertools import pairwise

import naive_asterix
import numpy as np
import oracle_asterix
import pytest
from asterix_helpers import as_dicts, datagrams_of, made_block, read_blocks

from skypact.asterix import kernels
from skypact.asterix.decode import EMPTY_RECORD, FAULT_NAMES, UNKNOWN_EXTENSION, decode_datagrams
from skypact.asterix.tables import CATEGORIES, editions, load_table

EDITIONS = [(category, edition) for category in CATEGORIES for edition in editions(category)]
# Random field sequences of 001 and 002 may send an item twice, which libasterix keeps apart.
ORACLE_EDITIONS = [(category, edition) for category, edition in EDITIONS if category > 2]


def decode_one(data, category, edition):
    """Records, empty ones, unknown extensions and fault of one block, as the naive decoder tells them."""
    decoded = decode_datagrams(datagrams_of(data), EveryEdition(category, edition))
    kinds = {kind: error for (_, kind), error in decoded.errors.items()}
    implausible = any(kind.startswith("implausible") for kind in kinds)
    faults = [(number, kinds[name].first_offset) for number, name in FAULT_NAMES.items() if name in kinds]
    records = decoded.records[0] if decoded.records else None
    rows = list(zip(records.offset.tolist(), as_dicts(records), strict=True)) if records else []
    empty, unknown = (kinds[kind].count if kind in kinds else 0 for kind in (EMPTY_RECORD, UNKNOWN_EXTENSION))
    return rows, empty, unknown, faults[0] if faults else None, implausible


class EveryEdition(dict):
    """A choice of edition that holds for all sources."""

    def __init__(self, category, edition):
        super().__init__()
        self.editions = {category: edition}

    def get(self, source, default=None):
        return self.editions


def mutate(rng, data):
    """The block with some octets changed, its length field still true unless that was hit."""
    octets = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(3, len(octets)))
        match rng.integers(4):
            case 0:
                octets[place] ^= 1 << rng.integers(8)
            case 1:
                octets[place] = rng.integers(256)
            case 2:
                del octets[place:]
                break
            case _:
                octets[place:place] = rng.bytes(int(rng.integers(1, 4)))
    octets[1:3] = len(octets).to_bytes(2)
    return bytes(octets)


def check_against_naive(data, category, edition):
    ours = decode_one(data, category, edition)
    *expected, fault = naive_asterix.Decoder(category, edition).read_block(data, 0, len(data))
    if not ours[4]:
        assert ours[:4] == (*expected, fault), (category, edition, data.hex())


def check_against_libasterix(data, category, edition):
    rows, _, unknown, fault, implausible = decode_one(data, category, edition)
    theirs = oracle_asterix.parse_block(data, category, edition)
    # libasterix refuses extensions that it does not know; we skip and count them.
    assert (theirs is None) == (fault is not None or unknown > 0), (category, edition, data.hex())
    if theirs is None or implausible:
        return
    assert len(rows) == len(theirs)
    columns = {column.name: column for column in load_table(category, edition).columns}
    for (_, row), record in zip(rows, theirs, strict=True):
        compared = 0
        for name, value in record.items():
            if name in columns:
                assert row[name] & ((1 << columns[name].bits) - 1) == value, (name, data.hex())
                compared += 1
            elif f"{name}/high" in columns:
                assert row[f"{name}/high"] << 24 | row[f"{name}/low"] == value
                compared += 1
        assert compared or not row


@pytest.mark.kernels
@pytest.mark.parametrize(("category", "edition"), EDITIONS)
def test_made_blocks_read_as_by_the_naive_decoder(category, edition):
    rng = np.random.default_rng(category)
    for _ in range(3):
        check_against_naive(made_block(rng, category, edition), category, edition)


@pytest.mark.kernels
@pytest.mark.counts("mutated blocks against the naive decoder", sample=50, soak=3_000)
@pytest.mark.parametrize(("category", "edition"), EDITIONS)
def test_mutated_blocks_read_as_by_the_naive_decoder(category, edition, count):
    rng = np.random.default_rng([category, len(edition)])
    for _ in range(count):
        check_against_naive(mutate(rng, made_block(rng, category, edition)), category, edition)


@pytest.mark.counts("made and mutated blocks against libasterix", sample=60, soak=6_000)
@pytest.mark.parametrize(("category", "edition"), ORACLE_EDITIONS)
def test_made_and_mutated_blocks_read_as_by_libasterix(category, edition, count):
    rng = np.random.default_rng([category, len(edition), 2000])
    for _ in range(count // 2):
        data = made_block(rng, category, edition)
        check_against_libasterix(data, category, edition)
        check_against_libasterix(mutate(rng, data), category, edition)


@pytest.mark.parametrize(
    ("name", "category", "edition"),
    [
        ("bcn_radar_20_129_1h_cat048.ast", 48, "1.32"),
        ("lebl_mlat_hour1_cat010.ast", 10, "1.1"),
        ("lebl_smr_hour1_cat010.ast", 10, "1.1"),
        ("jasterix/cat021ed0.26.bin", 21, "0.26"),
    ],
)
def test_recorded_blocks_read_as_by_both(recordings, name, category, edition):
    datagrams = read_blocks(recordings / "asterix" / name)
    buffer = datagrams.buffer.tobytes()
    bounds = [*datagrams.offset.tolist(), len(buffer)]
    blocks = [buffer[begin:end] for begin, end in pairwise(bounds)]
    for data in blocks[:: max(1, len(blocks) // 150)]:
        check_against_naive(data, category, edition)
        check_against_libasterix(data, category, edition)


@pytest.mark.counts("mutated recorded blocks against the naive decoder", sample=300, soak=30_000)
def test_recorded_blocks_survive_any_mutation_as_the_naive_decoder_says(recordings, count):
    datagrams = read_blocks(recordings / "asterix" / "bcn_radar_20_129_1h_cat048.ast")
    buffer = datagrams.buffer.tobytes()
    rng = np.random.default_rng(48)
    for number in rng.integers(len(datagrams), size=count):
        begin = int(datagrams.offset[number])
        data = mutate(rng, buffer[begin : begin + int(datagrams.length[number])])
        check_against_naive(data, 48, "1.32")


def test_whole_recordings_decode_with_the_counts_of_their_readme(recordings):
    counts = {
        "bcn_radar_20_129_1h_cat048.ast": {48: 44085},
        "croatia_cat21_re.ast": {21: 2},
        "lebl_mlat_hour1_cat010.ast": {10: 52838},
        "lebl_smr_hour1_cat010.ast": {10: 25251},
    }
    for name, expected in counts.items():
        decoded = decode_datagrams(read_blocks(recordings / "asterix" / name))
        assert {records.category: len(records) for records in decoded.records} == expected
        assert not decoded.errors


def test_a_wrong_edition_is_caught_by_what_it_reads(recordings):
    datagrams = read_blocks(recordings / "asterix" / "jasterix" / "cat021ed0.26.bin")
    wrong = decode_datagrams(datagrams)
    assert any("wrong edition" in kind for _, kind in wrong.errors)
    right = decode_datagrams(datagrams, {(0, 5): {21: "0.26"}})
    assert not right.errors
    assert len(right.records[0]) == 1
    assert right.records[0].edition == "0.26"


def test_the_fault_numbers_all_have_a_name():
    numbers = {value for name, value in vars(kernels).items() if name in FAULT_CONSTANTS}
    assert numbers == set(FAULT_NAMES)


FAULT_CONSTANTS = (
    *("TRUNCATED", "FSPEC_ENDLESS", "FSPEC_TOO_LONG", "SPARE_ITEM", "SPARE_SUBITEM", "LENGTH_ZERO"),
    *("NO_VARIATION", "BAD_SEQUENCE", "SHORT_HEADER", "BLOCK_TOO_SHORT", "BLOCK_TOO_LONG"),
)
