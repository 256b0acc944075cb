"""What is left of a journal whose process was killed, or whose disk was full."""

import logging
import random
import subprocess
import sys
from pathlib import Path

import pytest
from journal_helpers import NOON, key_of, some_event, write_journal

from skypact.journal.log import open_journal
from skypact.journal.verify import verify_folder

CHILD = Path(__file__).with_name("journal_child.py")


def start(folder: Path, what: str) -> subprocess.Popen:
    command = [sys.executable, str(CHILD), str(folder), what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.counts("kills of a process that writes its journal", sample=5, soak=100)
def test_every_record_that_was_told_durable_outlives_kill_9(tmp_path, count):
    told = 0
    rng = random.Random(7)
    for _ in range(count):
        with start(tmp_path, "run") as child:
            for _ in range(rng.randint(1, 20)):
                told = int(child.stdout.readline())
            child.kill()
            told = max([told, *map(int, child.stdout.read().split())])
        journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
        # One more may stand there: written whole, and killed before it was told.
        assert told <= journal.head.sequence <= told + 1
        told = journal.head.sequence
        journal.close()
        assert verify_folder(tmp_path).all_findings == []


def test_a_write_torn_by_kill_9_is_cut_off_and_told_at_the_next_start(tmp_path, caplog):
    with start(tmp_path, "die") as child:
        told, _ = child.communicate(timeout=60)
    assert (child.returncode, told.split()) == (-9, ["1"])
    (finding,) = verify_folder(tmp_path).all_findings
    assert "unfinished line" in finding.what
    with caplog.at_level(logging.WARNING):
        journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    (line,) = [record for record in caplog.records if record.name == "skypact.journal.store"]
    assert line.message == "unfinished line cut off"
    assert line.octets > 100
    assert journal.append(some_event(1), NOON + 1).sequence == 2
    journal.close()
    assert verify_folder(tmp_path).all_findings == []


@pytest.mark.parametrize("torn", [b'{"centre":"ALPHA","content":', b"\0" * 300])
def test_what_a_power_cut_left_unfinished_is_cut_off(tmp_path, torn):
    write_journal(tmp_path, records=3)
    path = tmp_path / "ALPHA" / "2026-03-01.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    assert journal.head.sequence == 3
    journal.close()
    assert path.read_bytes() == whole


def test_a_full_disk_is_an_error_leaves_nothing_half_written_and_passes(tmp_path):
    with start(tmp_path, "full") as child:
        told, said = child.communicate(timeout=60)
    assert child.returncode == 0, said
    assert told.split() == ["1", "2"]
    assert [line.rpartition(": ")[2] for line in said.splitlines()] == ["File too large"] * 3
    assert verify_folder(tmp_path).all_findings == []
