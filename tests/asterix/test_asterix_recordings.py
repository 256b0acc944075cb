"""Every recording in the data folder against the counts of other decoders that its README gives."""

import re

import numpy as np
import pytest

from skypact.asterix.tables import CATEGORIES
from skypact.centre.decoding import summarise
from skypact.centre.recordings import read_asterix
from skypact.core.text import callsigns_to_text

# Counts of other decoders that are wrong, and what is right.
EXPLAINED = {
    # The reference read this vector with the newest edition, under which it falls apart into two
    # "records": one at 216 degrees north, and one without a source. With the edition that
    # its name says it is one record, see below.
    "asterix/jasterix/cat021ed0.26.bin": {"021": 1},
}
# Framing of each file, by suffix; whatever else is raw blocks.
FRAMINGS = {".gps": "gps", ".ff": "final", ".pcap": "pcap"}


def reference_rows(folder):
    """Path and found counts of each ASTERIX recording in the table of the README."""
    for line in (folder / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) >= 7 and cells[0].startswith("asterix/"):
            yield cells[0], cells[6].split("Second decoder")[0]


def reference_counts(text):
    """Records by category, by source, and the first and last time of day of each category."""
    records, sources, times = {}, {}, {}
    for category, count, inside in re.findall(r"CAT(\d{3}) (\d+) \(([^)]*)\)", text):
        records[category] = int(count)
        for source, number in re.findall(r"(\d+/\d+) x(\d+)", inside):
            sources[source] = sources.get(source, 0) + int(number)
        for first, last in re.findall(r"ToD ([\d.]+)\.\.([\d.]+) s", inside):
            times[category] = (float(first), float(last))
    return records, sources, times


@pytest.fixture(scope="module")
def decoded(recordings):
    return {name: read_asterix(recordings / name) for name, _ in reference_rows(recordings)}


def test_the_readme_names_every_recording(recordings, decoded):
    there = {path.relative_to(recordings).as_posix() for path in (recordings / "asterix").rglob("*.*")}
    assert there == set(decoded)
    assert len(decoded) >= 23


def test_records_and_blocks_of_every_recording_are_counted_as_other_decoders_do(recordings, decoded):
    for name, text in reference_rows(recordings):
        expected, _, _ = reference_counts(text)
        summary = summarise(decoded[name])
        with_table = {category: n for category, n in expected.items() if int(category) in CATEGORIES}
        assert summary.records == EXPLAINED.get(name, with_table), name
        # One record a block in what these files hold of categories without a table.
        without = {category: n for category, n in expected.items() if int(category) not in CATEGORIES}
        assert summary.skipped == without, name


def test_no_recording_has_errors_but_the_one_of_an_old_edition(decoded):
    with_errors = {
        name: summarise(found).errors for name, found in decoded.items() if summarise(found).errors
    }
    assert with_errors == {"asterix/jasterix/cat021ed0.26.bin": {"implausible latitude (wrong edition?)": 1}}


def test_sources_of_every_recording_are_those_that_other_decoders_find(recordings, decoded):
    for name, text in reference_rows(recordings):
        if name in EXPLAINED:
            continue
        expected, sources, _ = reference_counts(text)
        if all(int(category) in CATEGORIES for category in expected):
            assert summarise(decoded[name]).sources == sources, name


def test_the_framing_of_every_recording_is_named(decoded):
    for name, found in decoded.items():
        expected = FRAMINGS.get(found.path.suffix, "raw")
        if name == "asterix/croatia_cat_001_002.pcap":
            expected = "pcap+oradis"
        assert found.recording.framing == expected, name


def test_times_of_day_are_those_that_other_decoders_find(recordings, decoded):
    for name, text in reference_rows(recordings):
        _, _, times = reference_counts(text)
        truncated = "001" in reference_counts(text)[0]  # its times are rebuilt from others'
        if not times or name in EXPLAINED or truncated or "midnight" in name:
            continue
        summary = summarise(decoded[name])
        if summary.time_first is None:  # a category without a table
            continue
        day = summary.time_first // 86_400.0 * 86_400.0
        assert summary.time_first - day == pytest.approx(min(first for first, _ in times.values()), abs=6e-4)
        assert summary.time_last - day == pytest.approx(max(last for _, last in times.values()), abs=6e-4)


def test_an_old_edition_chosen_for_its_source_reads_its_record(recordings):
    path = recordings / "asterix/jasterix/cat021ed0.26.bin"
    found = read_asterix(path, {(0, 5): {21: "0.26"}})
    summary = summarise(found)
    assert (summary.records, summary.sources, summary.errors) == ({"021": 1}, {"0/5": 1}, {})
    columns = found.decoded.records[0]
    assert columns.edition == "0.26"
    assert -90.0 <= columns.value("130/LAT")[0] <= 90.0


def test_vectors_of_older_editions_read_right_with_the_newest_tables(decoded):
    # What changed since CAT048 1.15 and CAT062 1.12 are parts of items that these records do not carry.
    plot = decoded["asterix/jasterix/cat048ed1.15.bin"].decoded.records[0]
    assert callsigns_to_text(plot.packed("240")) == ["RYR5XW"]
    assert plot.value("090/FL")[0] == 370.0
    track = decoded["asterix/jasterix/cat062ed1.12.bin"].decoded.records[0]
    assert callsigns_to_text(track.packed("380/ID")) == ["DLH9CK"]
    assert track.value("105/LAT")[0] == pytest.approx(45.465, abs=0.001)
    assert track.value("136")[0] == 349.75


def test_the_night_is_crossed_forwards(recordings):
    found = read_asterix(
        recordings / "asterix/es_midnight_cross.gps", first_day=1_600_000_000 // 86_400 * 86_400
    )
    summary = summarise(found)
    assert summary.time_last - summary.time_first == pytest.approx(0.43, abs=0.01)
    assert summary.time_first == pytest.approx(1_600_000_000 // 86_400 * 86_400 + 86_399.586, abs=0.001)
    assert (np.diff(found.datagrams.received) >= 0.0).all()


def test_truncated_times_are_rebuilt_near_the_latest_service_message(recordings):
    found = read_asterix(recordings / "asterix/croatia_cat_001_002.pcap")
    summary = summarise(found)
    # CAT002 of the same radar says 45,826.18 s; the plots are of the turn before it.
    assert summary.time_last % 86_400.0 == pytest.approx(45_826.180, abs=0.001)
    assert 0.0 < summary.time_last - summary.time_first < 5.0


def test_a_recorders_clock_that_disagrees_with_the_records_is_not_believed(recordings):
    found = read_asterix(recordings / "asterix/jade_cat062_063_065_30min.ff")
    assert found.recording.time_of_day[0] == pytest.approx(38_247.0)
    assert found.datagrams.received[0] == pytest.approx(50_301.83, abs=0.01)
    believed = read_asterix(recordings / "asterix/es_multiradar_8s.gps")
    assert np.array_equal(believed.datagrams.received, believed.recording.time_of_day)
