"""The proof of logs: whatever was done to a log is found, and the record is named."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_helpers import DAY, NOON, key_of, memory_journal, public_of, some_event, write_journal

from skypact.core.errors import BadInputError
from skypact.journal.log import open_journal
from skypact.journal.model import LinkUp, Person
from skypact.journal.seal import Head, canonical, encode_record, seal, withhold
from skypact.journal.verify import verify_folder, verify_log

RECORDS = 6


@pytest.fixture
def log(tmp_path):
    """A log of six records, and how its lines are put in their place."""
    write_journal(tmp_path, records=RECORDS)
    return tmp_path / "ALPHA"


def lines_of(log) -> list[bytes]:
    return (log / "2026-03-01.jsonl").read_bytes().splitlines()


def findings_of(log, lines: list[bytes]) -> list[tuple[int, str]]:
    (log / "2026-03-01.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return [(found.sequence, found.what) for found in verify_log(log, "ALPHA", public_of("ALPHA")).findings]


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_flipped_bit_anywhere_is_found_and_its_record_named(log, place, bit):
    path = log / "2026-03-01.jsonl"
    whole = path.read_bytes()
    position = int(place * len(whole))
    try:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << bit]) + whole[position + 1 :])
        found = verify_log(log, "ALPHA", public_of("ALPHA")).findings
    finally:
        path.write_bytes(whole)
    number = whole[:position].count(b"\n") + 1
    assert found
    assert found[0].sequence == number
    assert {finding.sequence for finding in found} <= {number, number + 1}


def test_a_record_with_another_content_is_the_only_finding(log):
    lines = lines_of(log)
    lines[1] = lines[1].replace(b"1 kB/s", b"9 kB/s")
    assert findings_of(log, lines) == [(2, "was changed after it was sealed")]


@pytest.mark.parametrize("removed", range(RECORDS - 1))
def test_a_removed_record_is_named(log, removed):
    lines = lines_of(log)
    del lines[removed]
    assert findings_of(log, lines) == [(removed + 1, "is missing")]


def test_removed_records_are_counted(log):
    lines = lines_of(log)
    assert findings_of(log, lines[:1] + lines[4:]) == [(2, "to 4: 3 missing")]


def test_a_lost_day_is_found(tmp_path):
    write_journal(tmp_path, records=6, step=DAY / 2)
    (tmp_path / "ALPHA" / "2026-03-02.jsonl").unlink()
    assert [finding.sequence for finding in verify_folder(tmp_path).all_findings] == [2]


def test_records_that_changed_places_are_found(log):
    lines = lines_of(log)
    lines[2], lines[3] = lines[3], lines[2]
    assert findings_of(log, lines) == [(3, "is missing"), (3, "stands at a wrong place")]


def test_a_record_that_stands_twice_is_found_and_the_rest_is_proved(log):
    lines = lines_of(log)
    assert findings_of(log, [*lines[:3], lines[2], *lines[3:]]) == [(3, "stands at a wrong place")]


def test_a_line_put_in_between_is_found_and_the_rest_is_proved(log):
    lines = lines_of(log)
    found = findings_of(log, [*lines[:3], b"{}", *lines[3:]])
    assert [sequence for sequence, _ in found] == [4]


def test_a_tail_rewritten_with_another_key_is_found(log):
    journal = memory_journal(records=4)
    lines = lines_of(log)[:4]
    head = journal.head
    content = journal.read(3, 1)[0].content
    for _ in range(2):
        forged = seal(content, head, key_of("mallory"))
        lines.append(encode_record(forged))
        head = Head("ALPHA", head.key, forged.sequence, forged.hash)
    what = "is not signed by the centre's key"
    assert findings_of(log, lines) == [(5, what), (6, what)]


def test_a_record_of_another_centre_is_found(log):
    lines = lines_of(log)
    other = seal(memory_journal(records=1).read(0, 1)[0].content, Head("BRAVO", ""), key_of("ALPHA"))
    assert findings_of(log, [*lines, encode_record(other)]) == [(1, "is of another centre")]


def test_an_act_that_its_person_did_not_sign_is_found_though_the_centre_signed_the_record(log):
    journal = memory_journal(records=RECORDS)
    act = {"kind": "vote", "word": "agree"}
    signature = key_of("person").sign(canonical(act | {"word": "disagree"})).hex()
    person = Person(name="R. Operator", key=public_of("person"), signature=signature)
    content = journal.read(0, 1)[0].content
    forged = seal(
        type(content)(received=NOON, exercise=False, salt="", act=act, person=person),
        journal.head,
        key_of("ALPHA"),
    )
    found = findings_of(log, [*lines_of(log), encode_record(forged)])
    assert found == [(7, "holds an act that the person did not sign")]


def test_a_faulty_change_of_key_is_not_followed(tmp_path):
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    journal.append(some_event(0), NOON)
    journal.change_key(key_of("new"), NOON)
    journal.append(some_event(1), NOON)
    journal.close()
    lines = lines_of(tmp_path / "ALPHA")
    lines[1] = lines[1].replace(public_of("new").encode(), public_of("mallory").encode())
    found = findings_of(tmp_path / "ALPHA", lines)
    assert found == [(2, "was changed after it was sealed"), (3, "is not signed by the centre's key")]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_log_with_withheld_records_proves_itself(log, seed):
    rng = random.Random(seed)
    records = memory_journal(records=RECORDS).read(0, RECORDS)
    given_out = [withhold(record) if rng.random() < 0.5 else record for record in records]
    assert findings_of(log, [encode_record(record) for record in given_out]) == []


def test_a_withheld_record_tells_neither_its_content_nor_its_time():
    record = memory_journal(records=2).read(1, 1)[0]
    assert set(record.__struct_fields__) - {
        name for name in record.__struct_fields__ if getattr(withhold(record), name)
    } == {"content"}
    assert str(record.content.received).encode() not in encode_record(withhold(record))
    assert withhold(record).kind == "withheld"


def test_a_change_of_key_is_never_withheld_so_that_what_follows_can_be_proved(log):
    journal = memory_journal(records=2)
    journal.change_key(key_of("new"), NOON)
    journal.append(some_event(0), NOON)
    records = [withhold(record) for record in journal.read(0, 9)]
    assert [record.withheld for record in records] == [True, True, False, True]
    assert findings_of(log, [encode_record(record) for record in records]) == []


def test_an_unfinished_line_is_a_finding(log):
    path = log / "2026-03-01.jsonl"
    path.write_bytes(path.read_bytes() + b'{"centre":"AL')
    (found,) = verify_log(log, "ALPHA", public_of("ALPHA")).findings
    assert (found.line, found.sequence) == (7, 7)
    assert "unfinished line of 13 octets" in found.what


def test_a_log_without_a_key_is_a_finding(tmp_path):
    write_journal(tmp_path)
    (tmp_path / "BRAVO").mkdir()
    (tmp_path / "BRAVO" / "2026-03-01.jsonl").write_bytes(b"")
    assert [found.what for found in verify_folder(tmp_path).all_findings] == [
        "has no key for the log of BRAVO"
    ]


def test_a_folder_without_a_journal_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"keys\.json"):
        verify_folder(tmp_path)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.just(b"[" * 100_000))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_log_is_a_finding_and_never_a_crash(log, octets):
    whole = (log / "2026-03-01.jsonl").read_bytes()
    line = octets.replace(b"\n", b"")
    try:
        found = findings_of(log, [*whole.splitlines(), line])
    finally:
        (log / "2026-03-01.jsonl").write_bytes(whole)
    assert [sequence for sequence, _ in found] == [7]


def test_a_record_that_is_longer_than_the_limit_is_refused():
    journal = memory_journal()
    with pytest.raises(Exception, match="longer than"):
        journal.append(LinkUp(partner="B" * 1_000_001), NOON)
