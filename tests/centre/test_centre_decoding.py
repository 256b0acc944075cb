import io
import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from skypact.asterix.lines import read_record, record_at
from skypact.centre.columns import column_name
from skypact.centre.decoding import parse_editions
from skypact.centre.reading import reading_bar
from skypact.centre.recordings import read_asterix
from skypact.core.clock import parse_day
from skypact.core.errors import BadInputError

# A CAT048 block of one record: 25/16, 100 s, detection, 40 NM at 90 degrees.
GOOD = bytes.fromhex("30000e f0 1910 003200 a0 2800 4000")
EMPTY = {"skipped": {}, "errors": {}}


def decode(*arguments):
    command = [sys.executable, "-m", "skypact.cli", "decode", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def files(tmp_path):
    good, bad, text = tmp_path / "good.ast", tmp_path / "bad.ast", tmp_path / "notes.txt"
    good.write_bytes(GOOD * 3)
    bad.write_bytes(GOOD * 3 + b"\x30\x00\x0e\xf0\x19")
    text.write_text("These are words.\n" * 20)
    return good, bad, text


def test_the_summary_as_json_is_one_document_with_the_promised_keys(files):
    good, bad, text = files
    run = decode(bad, text, good, good.with_name("missing"), "--summary", "--json")
    assert run.returncode == 2
    document = json.loads(run.stdout)
    assert set(document) == {"files"}
    assert document["files"] == [
        {
            "path": str(bad),
            "framing": "raw",
            "blocks": 3,
            "records": {"048": 3},
            "sources": {"25/16": 3},
            "skipped": {},
            "errors": {"truncated": 1},
            "time_first": 100.0,
            "time_last": 100.0,
        },
        {
            "path": str(good),
            "framing": "raw",
            "blocks": 3,
            "records": {"048": 3},
            "sources": {"25/16": 3},
            "time_first": 100.0,
            "time_last": 100.0,
            **EMPTY,
        },
    ]
    assert "no ASTERIX framing fits" in run.stderr
    assert "No such file" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_folder_is_all_recordings_in_it_and_what_is_none_is_named_in_one_line(files):
    good, bad, text = files
    below = text.parent / "monday"
    below.mkdir()
    for source, name in ((good, "late.ast"), (text, "README.md"), (good, ".hidden.ast")):
        (below / name).write_bytes(source.read_bytes())
    run = decode(text.parent, "--summary", "--json")
    assert run.returncode == 2
    read = [entry["path"] for entry in json.loads(run.stdout)["files"]]
    assert read == [str(bad), str(good), str(below / "late.ast")]
    (line,) = [line for line in run.stderr.splitlines() if "framing" in line]
    assert f"{text.parent}: 2 files" in line
    assert line.endswith("monday/README.md, notes.txt")
    for other in (text, below / "README.md"):
        other.unlink()
    assert decode(text.parent, "--summary").returncode == 1  # only the truncated block is left
    assert decode(below).returncode == 0


def test_a_folder_without_files_is_bad_input_that_does_not_hinder_the_others(files, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    run = decode(empty, files[0], "--json")
    assert run.returncode == 2
    assert [entry["path"] for entry in json.loads(run.stdout)["files"]] == [str(files[0])]
    assert str(empty) in run.stderr


def test_the_bar_tells_the_octets_read_of_all(files):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    with reading_bar(files, terminal) as bar:
        for _ in bar:
            pass
    shown = terminal.file.getvalue()
    total = sum(file.stat().st_size for file in files)
    assert f"{total}/{total} bytes" in shown
    silent = Console(file=io.StringIO(), force_terminal=False)
    with reading_bar([*files, files[0].with_name("missing")], silent) as bar:
        assert len(list(bar)) == 4
    assert silent.file.getvalue() == ""


def test_an_error_makes_the_exit_code_1_and_is_shown_with_its_first_octets(files):
    _, bad, _ = files
    run = decode(bad)
    assert run.returncode == 1
    for words in ("raw blocks", "CAT048", "1.32", "25/16", "truncated", "3000 0ef0 19", "give --date"):
        assert words in run.stdout + run.stderr


def test_lines_plots_and_columns_come_from_one_call(files, tmp_path):
    good, _, _ = files
    out, plots = tmp_path / "out", tmp_path / "plots.parquet"
    run = decode(good, "--lines", "--out", out, "--plots", plots, "--date", "2020-09-13")
    assert run.returncode == 0, run.stderr
    first, *others = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(others) == 2
    assert first == {
        "offset": 3,
        "category": "048",
        "edition": "1.32",
        "source": "25/16",
        "time": parse_day("2020-09-13") + 100.0,
        "received": parse_day("2020-09-13") + 100.0,
        "items": {
            "010": {"SAC": 25, "SIC": 16},
            "140": 100.0,
            "020": {"TYP": 5, "SIM": 0, "RDP": 0, "SPI": 0, "RAB": 0},
            "040": {"RHO": 40.0, "THETA": 90.0},
        },
    }
    table = pq.read_table(out / "cat048.parquet").to_pylist()
    assert table[1]["offset"] == 17
    assert (table[1]["i010_sac"], table[1]["i040_rho_nmi"], table[1]["i040_theta_deg"]) == (25, 40.0, 90.0)
    plot = pq.read_table(plots).to_pylist()[0]
    assert (plot["sensor"], plot["time"]) == ("25/16", parse_day("2020-09-13") + 100.0)
    assert plot["range"] == pytest.approx(40 * 1852.0)


def test_every_column_of_a_real_recording_agrees_with_the_records_in_full(recordings, tmp_path):
    path = recordings / "asterix/croatia_cat_062_065.pcap"
    run = decode(path, "--lines", "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["category"] for line in lines] == ["062", "062", "065"]
    for line, row in zip(lines, pq.read_table(tmp_path / "cat062.parquet").to_pylist(), strict=False):
        assert row["offset"] == line["offset"]
        assert row["i380_id"] == line["items"]["380"]["ID"]
        assert row["i105_lat_deg"] == pytest.approx(line["items"]["105"]["LAT"])
        assert row["i290_psr_s"] == line["items"]["290"]["PSR"]


def flat(items, path=""):
    """Values by field as columns name them; text and repetitions are left out."""
    for name, value in items.items():
        place = f"{path}/{name}" if path else name
        if isinstance(value, dict):
            yield from flat(value, place)
        elif isinstance(value, int | float):
            yield place, value
        elif isinstance(value, str) and name in ("MODE3A", "070", "060"):
            yield place, int(value, 8)


def test_full_records_and_columns_say_the_same_of_every_recording(recordings):
    compared = 0
    for path in sorted((recordings / "asterix").rglob("*.*")):
        recorded = read_asterix(path)
        for columns in recorded.decoded.records:
            scaled = {name: columns.value(name) for name in columns.names}
            for row in range(0, len(columns), 1 + len(columns) // 100):
                items = record_at(columns, row, recorded.datagrams)
                assert "error" not in items, (path.name, items)
                for name, value in flat(items):
                    if name in scaled:
                        assert scaled[name][row] == pytest.approx(value, rel=1e-12), (path.name, name)
                        compared += 1
    assert compared > 10_000


def test_full_records_hold_repetitions_extensions_octal_text_and_unknown_parts():
    extended = bytes.fromhex("e0 1914 003200 41 81 03 05 00")
    items = read_record(extended, 48, "1.32")
    assert (items["020"]["TYP"], items["020"]["TST"], items["020"]["POXPR/VAL"]) == (2, 1, 0)
    assert read_record(extended, 48, "1.27")["020"]["unknown"] == "030500"
    repeated = bytes.fromhex("8120 1914 02 c8480030a80000 40 80919f39a004dd 51")
    assert read_record(repeated, 48, "1.32")["250"] == [
        {"MBDATA": "c8480030a80000", "BDS1": 4, "BDS2": 0},
        {"MBDATA": "80919f39a004dd", "BDS1": 5, "BDS2": 1},
    ]
    assert read_record(bytes.fromhex("fd80 1914"), 48, "1.32")["error"] == "record ends too early"
    assert read_record(bytes.fromhex("0102"), 48, "1.32")["error"]
    assert read_record(b"", 48, "1.32") == {"error": "record ends too early"}


@pytest.mark.parametrize(
    "text", ["0/5", "0/5=21", "0/5=021:9.9", "0/5=300:1.0", "a/5=021:0.26", "0/256=021:0.26"]
)
def test_an_edition_that_there_is_no_table_for_is_refused(text):
    with pytest.raises(BadInputError):
        parse_editions([text])


def test_editions_are_chosen_by_source_and_category():
    assert parse_editions(["0/5=021:0.26", "0/5=48:1.27"]) == {(0, 5): {21: "0.26", 48: "1.27"}}


@pytest.mark.parametrize("text", ["2020-13-01", "yesterday", "", "01.02.2020"])
def test_a_day_that_is_none_is_refused(text):
    with pytest.raises(BadInputError, match="YYYY-MM-DD"):
        parse_day(text)


def test_columns_are_named_by_item_field_and_unit():
    names = {
        ("040/RHO", "NM"): "i040_rho_nmi",
        ("090/FL", "FL"): "i090_fl",
        ("210/AX", "m/s²"): "i210_ax_m_per_s2",
    }
    assert {key: column_name(*key) for key in names} == names


def test_wishes_that_exclude_each_other_are_refused(files):
    run = decode(files[0], "--json", "--lines")
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.strip().splitlines()) == 1


@pytest.mark.counts("random records shown as lines", sample=1_200, soak=400_000)
def test_lines_of_random_records_never_crash(count):
    rng = np.random.default_rng(8)
    kinds = [(48, "1.32"), (62, "1.21"), (1, "1.4"), (21, "0.26")]
    for number in range(count):
        category, edition = kinds[number % len(kinds)]
        assert isinstance(read_record(rng.bytes(int(rng.integers(1, 60))), category, edition), dict)


def test_a_random_field_sequence_inside_a_random_field_sequence_is_an_error():
    sequence_of_itself = bytes.fromhex("010102 01 15 00")
    assert read_record(sequence_of_itself, 1, "1.4") == {"error": "random field sequence names item 21"}
