"""The log of a centre's own journal: one writer, durable before anybody is told."""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from skypact.core.errors import SkypactError
from skypact.journal.folder import read_keys, remember_key
from skypact.journal.model import GENESIS, AnyEvent, Content, KeyChanged, Person, Record
from skypact.journal.seal import (
    BadRecordError,
    Head,
    advance,
    decode_record,
    encode_record,
    faults_of,
    key_hex,
    make_salt,
    seal,
)
from skypact.journal.store import DayFiles, LineStore

KEY_CHANGED = b'"kind":"key_changed"'  # in the line of every record that changes the key
_LINES_A_READ = 10_000


class JournalDamagedError(SkypactError):
    """A log whose end does not prove itself; nothing more is written to it."""


class Journal:
    """Appends records to one centre's log and gives them back.

    A record is durable when `append` returns; what it raises, nobody ever reads as a record. A call
    takes as long as the disk needs to sync.
    """

    def __init__(
        self, store: LineStore, centre: str, key: Ed25519PrivateKey, first_key: str | None = None
    ) -> None:
        """Go on at the end of what the store holds.

        Args:
            store: kept lines. centre: whose log it is. key: signs what comes next. first_key: public
                key that the log begins with, hexadecimal; None: this one, as it never changed.

        Raises:
            JournalDamagedError: the last record does not prove itself, or names another key than
                this one for what comes next.
        """
        public = key_hex(key.public_key())
        self._store = store
        self._key = key
        self.head = resume(store, centre, first_key or public)
        if self.head.key != public:
            raise JournalDamagedError(f"journal of {centre}: goes on with another key than the one given")

    @property
    def centre(self) -> str:
        """Whose log it is."""
        return self.head.centre

    def append(self, event: AnyEvent, now: float, is_exercise: bool = False) -> Record:
        """Record what befell, by the machine's word; the record, durable.

        Args:
            event: what befell. now: UTC s since 1970. is_exercise: it belongs to an exercise.

        Raises:
            JournalWriteError: the disk is full or failed; there is no such record.
            BadRecordError: a content that no record can hold.
        """
        return self._append(now, is_exercise, event=msgspec.to_builtins(event))

    def append_act(
        self, act: dict[str, object], person: Person, now: float, is_exercise: bool = False
    ) -> Record:
        """Record what a person did and signed; the record, durable.

        Raises:
            JournalWriteError: the disk is full or failed; there is no such record.
            BadRecordError: the signature is not of this act, or no record can hold it.
        """
        return self._append(now, is_exercise, act=act, person=person)

    def change_key(self, key: Ed25519PrivateKey, now: float) -> Record:
        """Sign all later records by another key, vouched for by the one so far; the last of the old.

        The new key must be stored before: once this returns, the log opens with no other.
        """
        record = self.append(KeyChanged(key=key_hex(key.public_key())), now)
        self._key = key
        return record

    def read(self, after: int, limit: int) -> list[Record]:
        """At most `limit` records after sequence `after`, in order."""
        return [decode_record(line) for line in self._store.read(after, limit)]

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _append(
        self,
        now: float,
        is_exercise: bool,
        event: dict[str, object] | None = None,
        act: dict[str, object] | None = None,
        person: Person | None = None,
    ) -> Record:
        salt = make_salt(self.head, self._key)
        content = Content(received=now, exercise=is_exercise, salt=salt, event=event, act=act, person=person)
        record = seal(content, self.head, self._key)
        if faults := faults_of(record, self.head):
            raise BadRecordError(f"the record {' and '.join(faults)}")
        self._store.append([encode_record(record)], now)
        self.head = advance(self.head, record)
        return record


def resume(store: LineStore, centre: str, first_key: str) -> Head:
    """Where a log ends; its last record is proved here, all of them by `verify`.

    Raises:
        JournalDamagedError: the last record does not stand at its place, or does not prove itself.
    """
    count = store.count
    head = Head(centre, first_key)
    try:
        for after in range(0, count - 1, _LINES_A_READ):
            for line in store.read(after, min(_LINES_A_READ, count - 1 - after)):
                if KEY_CHANGED in line:
                    head = advance(head, decode_record(line))
        previous = [decode_record(line) for line in store.read(max(count - 2, 0), 2)]
    except BadRecordError as error:
        raise JournalDamagedError(f"journal of {centre}: {error} (run skypact journal verify)") from None
    if not previous:
        return head
    last = previous.pop()
    before = Head(centre, head.key, count - 1, previous[0].hash if previous else GENESIS)
    if faults := faults_of(last, before):
        words = " and ".join(faults)
        raise JournalDamagedError(f"journal of {centre}: record {count} {words} (run skypact journal verify)")
    return advance(before, last)


def open_journal(folder: Path, centre: str, *keys: Ed25519PrivateKey) -> Journal:
    """The journal of a centre in the folder of all its logs.

    Args:
        folder: of all logs. centre: whose log it is.
        keys: that the centre has had, the newest last; what comes next is signed by the one that the
            log's last record names, until `change_key`.

    Raises:
        BadInputError: another process writes it, or the folder can't be used.
        JournalDamagedError: its end does not prove itself.
    """
    store = DayFiles(folder / centre)
    try:
        if not store.count:
            remember_key(folder, centre, key_hex(keys[-1].public_key()))
        first_key = read_keys(folder).get(centre)
        key = keys[-1]
        if first_key is not None and len(keys) > 1:
            said = resume(store, centre, first_key).key
            key = next((held for held in keys if key_hex(held.public_key()) == said), key)
        return Journal(store, centre, key, first_key)
    except SkypactError:
        store.close()
        raise
