"""The log of a centre: what is appended is durable, chained, signed, and read back."""

import os
from pathlib import Path

import pytest
from journal_helpers import DAY, NOON, key_of, memory_journal, public_of, some_event, write_journal

from skypact.core.errors import BadInputError
from skypact.journal.log import Journal, JournalDamagedError, open_journal
from skypact.journal.model import KeyChanged, LinkUp, Person, PolicyChanged, TracksCorrelated, event_of
from skypact.journal.seal import BadRecordError, canonical, is_proved_by
from skypact.journal.store import JournalWriteError, MemoryLines
from skypact.journal.verify import verify_folder


def test_records_are_read_back_as_they_were_appended_over_days_and_restarts(tmp_path):
    appended = []
    for day in range(3):
        journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
        assert journal.head.sequence == len(appended)
        assert journal.read(0, 100) == appended
        for number in range(4):
            appended.append(journal.append(some_event(number), NOON + day * DAY + number))
        for after in range(len(appended) + 1):
            assert journal.read(after, 3) == appended[after : after + 3]
        journal.close()
    names = sorted(path.name for path in (tmp_path / "ALPHA").glob("*.jsonl"))
    assert names == ["2026-03-01.jsonl", "2026-03-02.jsonl", "2026-03-03.jsonl"]
    assert [record.sequence for record in appended] == list(range(1, 13))
    assert all(is_proved_by(record, public_of("ALPHA")) for record in appended)
    assert verify_folder(tmp_path).all_findings == []


def test_events_come_back_with_their_type():
    journal = memory_journal()
    events = [
        PolicyChanged(partner="BRAVO", sha256="0" * 64, text="[release]\nlabel = 'ü \U0001f6e9'\n"),
        TracksCorrelated(uids=("0" * 32, "f" * 32), by="R. Operator"),
    ]
    for event in events:
        journal.append(event, NOON + 0.123456, is_exercise=True)
    records = journal.read(0, 10)
    assert [event_of(record) for record in records] == events
    assert records[0].kind == "policy_changed"
    assert records[0].content.exercise
    assert records[0].content.received == NOON + 0.123456


def test_a_clock_that_steps_back_over_midnight_keeps_the_files_in_order(tmp_path):
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    journal.append(LinkUp(partner="BRAVO"), NOON + DAY)
    late = journal.append(LinkUp(partner="BRAVO"), NOON)
    journal.close()
    assert late.content.received == NOON
    assert [path.name for path in (tmp_path / "ALPHA").glob("*.jsonl")] == ["2026-03-02.jsonl"]
    assert verify_folder(tmp_path).all_findings == []


def test_the_same_appends_give_the_same_log_to_the_bit():
    assert memory_journal(records=5).read(0, 9) == memory_journal(records=5).read(0, 9)


def test_equal_contents_have_unequal_digests_so_that_withheld_ones_can_not_be_guessed():
    journal = memory_journal()
    digests = {journal.append(LinkUp(partner="BRAVO"), NOON).digest for _ in range(10)}
    assert len(digests) == 10


def test_an_act_is_recorded_with_the_signature_of_its_person():
    act = {"kind": "vote", "decision": "ALPHA-7", "word": "agree", "reason": "seen by two radars"}
    signature = key_of("person").sign(canonical(act)).hex()
    person = Person(name="R. Operator", key=public_of("person"), signature=signature)
    journal = memory_journal()
    record = journal.append_act(act, person, NOON)
    assert journal.read(0, 1) == [record]
    assert (record.kind, event_of(record)) == ("vote", None)
    with pytest.raises(BadRecordError, match="person did not sign"):
        journal.append_act(act | {"word": "disagree"}, person, NOON)
    assert journal.head.sequence == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 2**60, 1e20, "\ud800", {1: 2}])
def test_what_json_can_not_give_back_is_never_written(bad):
    journal = memory_journal()
    act = {"kind": "note", "value": bad}
    with pytest.raises(BadRecordError):
        journal.append_act(act, Person(name="", key="", signature=""), NOON)
    assert journal.read(0, 1) == []


def test_a_log_goes_on_under_a_changed_key_and_opens_with_no_other(tmp_path):
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    journal.append(LinkUp(partner="BRAVO"), NOON)
    changed = journal.change_key(key_of("new"), NOON + 1)
    journal.close()
    assert event_of(changed) == KeyChanged(key=public_of("new"))
    assert is_proved_by(changed, public_of("ALPHA"))
    with pytest.raises(JournalDamagedError, match="another key"):
        open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    for _ in range(2):
        journal = open_journal(tmp_path, "ALPHA", key_of("new"))
        assert is_proved_by(journal.append(LinkUp(partner="BRAVO"), NOON + 2), public_of("new"))
        journal.close()
    assert verify_folder(tmp_path).all_findings == []


def test_a_log_has_one_writer(tmp_path):
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    with pytest.raises(BadInputError, match="another process"):
        open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    journal.close()
    open_journal(tmp_path, "ALPHA", key_of("ALPHA")).close()


def test_a_log_with_a_changed_last_record_is_not_written_on(tmp_path):
    write_journal(tmp_path)
    path = tmp_path / "ALPHA" / "2026-03-01.jsonl"
    changed = path.read_bytes().replace(b'"sequence":5', b'"sequence":6')
    path.write_bytes(changed)
    with pytest.raises(JournalDamagedError, match="verify"):
        open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    assert path.read_bytes() == changed


def test_a_log_with_a_lost_day_is_not_written_on(tmp_path):
    write_journal(tmp_path, records=6, step=DAY / 2)
    (tmp_path / "ALPHA" / "2026-03-02.jsonl").unlink()
    with pytest.raises(JournalDamagedError, match="wrong place"):
        open_journal(tmp_path, "ALPHA", key_of("ALPHA"))


def test_a_record_is_synced_to_the_disk_before_append_returns(tmp_path, monkeypatch):
    calls = []

    def spy(name):
        real = getattr(os, name)

        def call(file, *rest):
            calls.append((name, str(Path(f"/proc/self/fd/{file}").readlink())))
            return real(file, *rest)

        monkeypatch.setattr(os, name, call)

    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    spy("write")
    spy("fsync")
    folder = str(tmp_path / "ALPHA")
    for day in ("2026-03-01", "2026-03-02"):
        now = NOON if day == "2026-03-01" else NOON + DAY
        file = f"{folder}/{day}.jsonl"
        calls.clear()
        journal.append(LinkUp(partner="BRAVO"), now)
        # A new file is found after a power cut only when its folder was synced too.
        assert calls == [("fsync", folder), ("write", file), ("fsync", file)]
        calls.clear()
        journal.append(LinkUp(partner="BRAVO"), now)
        assert calls == [("write", file), ("fsync", file)]
    journal.close()


@pytest.mark.parametrize("failing", [1, 2], ids=["of the new file's folder", "of the file"])
def test_a_failed_sync_is_an_error_and_leaves_no_record(tmp_path, monkeypatch, failing):
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    journal.append(some_event(0), NOON)
    synced = []
    countdown = iter(range(failing - 1, -1, -1))
    real = os.fsync

    def fail_once(file):
        synced.append(Path(f"/proc/self/fd/{file}").readlink())
        if next(countdown, None) == 0:
            raise OSError(5, "Input/output error")
        real(file)

    monkeypatch.setattr(os, "fsync", fail_once)
    with pytest.raises(JournalWriteError, match="Input/output error"):
        journal.append(some_event(1), NOON + DAY)
    synced.clear()
    journal.append(some_event(2), NOON + DAY)
    file = tmp_path / "ALPHA" / "2026-03-02.jsonl"
    # The folder is synced again where it was not: the file would be lost with its name.
    assert synced == ([file.parent, file] if failing == 1 else [file])
    assert [event_of(record) for record in journal.read(0, 9)] == [some_event(0), some_event(2)]
    journal.close()
    assert verify_folder(tmp_path).all_findings == []


def test_nothing_is_written_after_a_failed_write_that_could_not_be_undone(tmp_path, monkeypatch):
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    journal.append(some_event(0), NOON)

    def fail(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(JournalWriteError):
            journal.append(some_event(1), NOON + 1)
    with pytest.raises(JournalWriteError, match="restart"):
        journal.append(some_event(2), NOON + 2)
    journal.close()
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    journal.append(some_event(3), NOON + 3)
    journal.close()
    assert verify_folder(tmp_path).all_findings == []


def test_a_full_store_in_memory_keeps_nothing_and_goes_on_when_it_has_room():
    store = MemoryLines()
    journal = Journal(store, "ALPHA", key_of("ALPHA"))
    store.is_full = True
    with pytest.raises(JournalWriteError):
        journal.append(some_event(0), NOON)
    store.is_full = False
    assert journal.append(some_event(0), NOON).sequence == 1
    assert Journal(store, "ALPHA", key_of("ALPHA")).head == journal.head
