"""Copies of partners' logs: only what proves itself at its place is kept, all else is refused and counted."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from skypact.core.errors import SkypactError
from skypact.journal.folder import remember_key, set_aside_former
from skypact.journal.log import resume
from skypact.journal.model import Record
from skypact.journal.seal import (
    BadRecordError,
    Fault,
    advance,
    decode_record,
    encode_record,
    faults_of,
    is_proved_by,
)
from skypact.journal.store import DayFiles, LineStore


class Copy:
    """A partner's log as it came here, in the partner's order and without gaps.

    A partner that signs two records under one number has two histories: the first one stays, the
    other is refused and kept aside, as proof that nobody but the partner could have made.
    """

    def __init__(self, store: LineStore, centre: str, first_key: str) -> None:
        """Go on at the end of what the store holds.

        Args:
            store: kept lines. centre: whose log it is. first_key: public key that the log begins
                with, hexadecimal; later ones are named in the log.

        Raises:
            JournalDamagedError: the last record does not prove itself.
        """
        self.first_key = first_key
        self._store = store
        self.head = resume(store, centre, first_key)
        self.refused: Counter[Fault] = Counter()
        self.repeated = 0  # records that came again, which is no harm

    @property
    def centre(self) -> str:
        """Whose log it is."""
        return self.head.centre

    def take(self, stored: Iterable[tuple[int, bytes]], now: float) -> list[Record]:
        """Keep what the partner's log goes on with; the records that are new and durable here.

        Args:
            stored: sequence in the partner's stream and octets of each record. now: UTC s since 1970.

        A record after a gap is refused as `Fault.MISSING`: the reader asks again for what comes
        after `head`.

        Raises:
            JournalWriteError: the disk is full or failed; none is kept, and the reader asks again.
        """
        head = self.head
        records: list[Record] = []
        for sequence, octets in stored:
            try:
                record = decode_record(octets)
            except BadRecordError:
                self.refused[Fault.MALFORMED] += 1
                continue
            if record.centre == head.centre and record.sequence == sequence <= head.sequence:
                held = records[sequence - 1 - self.head.sequence] if sequence > self.head.sequence else None
                self._compare(record, held or self.read(sequence - 1, 1)[0])
                continue
            if faults := faults_of(record, head):
                is_gap = record.sequence == sequence > head.sequence + 1 and Fault.FOREIGN not in faults
                self.refused[Fault.MISSING if is_gap else faults[0]] += 1
                continue
            if record.sequence != sequence:
                self.refused[Fault.MISPLACED] += 1
                continue
            records.append(record)
            head = advance(head, record)
        if records:
            self._store.append([encode_record(record) for record in records], now)
            self.head = head
        return records

    def read(self, after: int, limit: int) -> list[Record]:
        """At most `limit` records after sequence `after`, in order."""
        return [decode_record(line) for line in self._store.read(after, limit)]

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _compare(self, record: Record, held: Record) -> None:
        if record.hash == held.hash:
            self.repeated += 1
        elif is_proved_by(record, self.head.key):
            self.refused[Fault.FORKED] += 1
            self._store.set_aside(encode_record(record))
        else:
            self.refused[Fault.UNSIGNED] += 1


def open_copy(folder: Path, centre: str, first_key: str) -> Copy:
    """The copy of a partner's log in the folder of all logs.

    A partner whose keys were revoked and that came back with new ones begins a new log; the copy of its
    former one is set aside, where it still proves itself.

    Args:
        folder: of all logs. centre: the partner. first_key: public key that its log begins with,
            hexadecimal, as its partner file names it.

    Raises:
        BadInputError: another process writes it, or the folder can't be used.
        JournalDamagedError: its end does not prove itself.
    """
    set_aside_former(folder, centre, first_key)
    store = DayFiles(folder / centre)
    try:
        remember_key(folder, centre, first_key)
        return Copy(store, centre, first_key)
    except SkypactError:
        store.close()
        raise
