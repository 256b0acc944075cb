"""Copies of partners' logs: what proves itself is kept, all else is refused and counted."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_helpers import NOON, key_of, memory_journal, public_of, some_event

from skypact.journal.copies import Copy, open_copy
from skypact.journal.log import Journal, JournalDamagedError, open_journal
from skypact.journal.model import LinkUp
from skypact.journal.seal import Fault, Head, encode_record, seal, withhold
from skypact.journal.store import JournalWriteError, MemoryLines
from skypact.journal.verify import verify_folder


def handed_over(records) -> list[tuple[int, bytes]]:
    return [(record.sequence, encode_record(record)) for record in records]


def memory_copy(centre: str = "ALPHA") -> Copy:
    return Copy(MemoryLines(), centre, public_of(centre))


def sealed_after(head: Head, text: str, key: str = "ALPHA"):
    """A record that another history of ALPHA goes on with."""
    content = memory_journal(records=1).read(0, 1)[0].content
    changed = type(content)(
        received=content.received, exercise=False, salt="", event={"kind": "note", "text": text}
    )
    return seal(changed, head, key_of(key))


def test_a_copy_is_the_log_to_the_bit_also_after_restarts_and_with_withheld_records(tmp_path):
    records = memory_journal(records=9).read(0, 9)
    records[3] = withhold(records[3])
    for begin in (0, 3, 6):
        copy = open_copy(tmp_path, "ALPHA", public_of("ALPHA"))
        assert copy.head.sequence == begin
        assert copy.take(handed_over(records[begin : begin + 3]), NOON) == records[begin : begin + 3]
        copy.close()
    copy = open_copy(tmp_path, "ALPHA", public_of("ALPHA"))
    assert copy.read(0, 100) == records
    assert not copy.refused
    copy.close()
    proof = verify_folder(tmp_path)
    assert proof.all_findings == []
    assert (proof.logs[0].records, proof.logs[0].withheld) == (9, 1)


@given(data=st.data())
@settings(deadline=None)
def test_however_a_log_is_cut_repeated_and_shuffled_its_copy_is_a_beginning_of_it(data):
    records = memory_journal(records=8).read(0, 8)
    copy = memory_copy()
    for _ in range(data.draw(st.integers(1, 6))):
        batch = data.draw(st.lists(st.sampled_from(records), max_size=10))
        copy.take(handed_over(batch), NOON)
        assert copy.read(0, 99) == records[: copy.head.sequence]
    copy.take(handed_over(records[copy.head.sequence :]), NOON)
    assert copy.read(0, 99) == records
    assert set(copy.refused) <= {Fault.MISSING}


def test_a_record_after_a_gap_waits_until_the_gap_is_filled():
    records = memory_journal(records=4).read(0, 4)
    copy = memory_copy()
    assert copy.take(handed_over([records[0], records[2], records[3]]), NOON) == records[:1]
    assert copy.refused == {Fault.MISSING: 2}
    assert copy.take(handed_over(records[copy.head.sequence :]), NOON) == records[1:]


def test_a_second_history_is_refused_counted_and_kept_as_proof(tmp_path):
    journal = memory_journal(records=2)
    head = journal.head
    honest = [*journal.read(0, 2), journal.append(some_event(2), NOON)]
    copy = open_copy(tmp_path, "ALPHA", public_of("ALPHA"))
    copy.take(handed_over(honest), NOON)
    twin = sealed_after(head, "another story")
    later = sealed_after(Head("ALPHA", "", 3, twin.hash), "and how it went on")
    assert copy.take(handed_over([twin, later]), NOON) == []
    assert copy.refused == {Fault.FORKED: 1, Fault.UNCHAINED: 1}
    assert copy.read(0, 9) == honest
    copy.close()
    (found,) = verify_folder(tmp_path).all_findings
    assert found.sequence == 3
    assert "twin with another content, also signed by ALPHA" in found.what


def test_a_twin_that_the_partner_did_not_sign_is_no_proof_against_it(tmp_path):
    journal = memory_journal(records=2)
    copy = open_copy(tmp_path, "ALPHA", public_of("ALPHA"))
    copy.take(handed_over(journal.read(0, 2)), NOON)
    first = journal.read(0, 1)[0]
    before = Head("ALPHA", "", 1, first.hash)
    copy.take(handed_over([sealed_after(before, "made up", "mallory")]), NOON)
    assert copy.refused == {Fault.UNSIGNED: 1}
    copy.close()
    assert verify_folder(tmp_path).all_findings == []


def test_a_twin_is_found_within_one_batch():
    journal = memory_journal(records=1)
    twin = sealed_after(journal.head, "another story")
    records = [*journal.read(0, 1), journal.append(some_event(1), NOON), twin]
    copy = memory_copy()
    assert copy.take(handed_over(records), NOON) == records[:2]
    assert copy.refused == {Fault.FORKED: 1}


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda octets: octets[:-5], Fault.MALFORMED),
        (lambda octets: octets.replace(b":", b": "), Fault.MALFORMED),
        (lambda octets: octets.replace(b"9 kB", b"8 kB").replace(b"nothing", b"Nothing"), Fault.CHANGED),
        (lambda octets: octets.replace(b'"centre":"ALPHA"', b'"centre":"BRAVO"'), Fault.FOREIGN),
        (lambda octets: b"[" * 100_000, Fault.MALFORMED),
        (lambda octets: octets + b" " * 1_000_000, Fault.MALFORMED),
    ],
)
def test_a_spoilt_record_is_refused_and_the_true_one_taken_after_it(spoil, fault):
    records = memory_journal(records=3).read(0, 3)
    copy = memory_copy()
    copy.take(handed_over(records[:2]), NOON)
    assert copy.take([(3, spoil(encode_record(records[2])))], NOON) == []
    assert copy.refused == {fault: 1}
    assert copy.take(handed_over(records[2:]), NOON) == records[2:]


def test_a_record_under_another_key_or_number_is_refused():
    journal = memory_journal(records=1)
    copy = memory_copy()
    copy.take(handed_over(journal.read(0, 1)), NOON)
    forged = sealed_after(journal.head, "made up", "mallory")
    record = journal.append(LinkUp(partner="BRAVO"), NOON)
    assert copy.take([(2, encode_record(forged)), (7, encode_record(record))], NOON) == []
    assert copy.refused == {Fault.UNSIGNED: 1, Fault.MISPLACED: 1}


def test_a_copy_follows_its_partner_to_a_new_key_also_after_a_restart():
    store = MemoryLines()
    journal = memory_journal(records=1)
    journal.change_key(key_of("new"), NOON)
    journal.append(LinkUp(partner="BRAVO"), NOON)
    journal.change_key(key_of("newer"), NOON)
    journal.append(LinkUp(partner="BRAVO"), NOON)
    records = journal.read(0, 9)
    for record in records:
        copy = Copy(store, "ALPHA", public_of("ALPHA"))
        assert copy.take(handed_over([record]), NOON) == [record]
    forged = sealed_after(journal.head, "with the old key", "ALPHA")
    assert copy.take(handed_over([forged]), NOON) == []
    assert copy.refused == {Fault.UNSIGNED: 1}


def test_what_could_not_be_kept_is_asked_for_again():
    store = MemoryLines()
    copy = Copy(store, "ALPHA", public_of("ALPHA"))
    records = memory_journal(records=3).read(0, 3)
    store.is_full = True
    with pytest.raises(JournalWriteError):
        copy.take(handed_over(records), NOON)
    assert copy.head.sequence == 0
    store.is_full = False
    assert copy.take(handed_over(records[copy.head.sequence :]), NOON) == records


def test_the_log_of_a_partners_former_keys_is_set_aside_and_still_proves_itself(tmp_path):
    records = memory_journal("BRAVO", 3).read(0, 3)
    copy = open_copy(tmp_path, "BRAVO", public_of("BRAVO"))
    assert len(copy.take(handed_over(records), NOON)) == 3
    copy.close()
    anew = open_copy(tmp_path, "BRAVO", public_of("new"))
    assert anew.head.sequence == 0
    anew.close()
    former = tmp_path / "former" / f"BRAVO-{public_of('BRAVO')[:8]}"
    (proof,) = verify_folder(former).logs
    assert (proof.records, proof.findings) == (3, [])
    assert verify_folder(tmp_path).all_findings == []


def test_a_journal_goes_on_with_the_newest_of_its_keys_once_it_changed(tmp_path):
    with contextlib.closing(open_journal(tmp_path, "ALPHA", key_of("ALPHA"))) as journal:
        journal.append(some_event(0), NOON)
    keys = key_of("ALPHA"), key_of("new")
    with contextlib.closing(open_journal(tmp_path, "ALPHA", *keys)) as journal:
        assert journal.head.key == public_of("ALPHA")
        journal.change_key(keys[-1], NOON)
    with contextlib.closing(open_journal(tmp_path, "ALPHA", *keys)) as journal:
        journal.append(some_event(1), NOON)
    assert verify_folder(tmp_path).all_findings == []


def test_a_copy_that_does_not_prove_itself_is_not_written_on():
    store = MemoryLines()
    journal = Journal(store, "ALPHA", key_of("ALPHA"))
    journal.append(some_event(0), NOON)
    store.lines[0] = store.lines[0].replace(b'"exercise":false', b'"exercise":true')
    with pytest.raises(JournalDamagedError, match="was changed"):
        Copy(store, "ALPHA", public_of("ALPHA"))
