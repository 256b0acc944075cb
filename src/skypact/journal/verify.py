"""The proof of logs, offline: every record at its place, unchanged, and signed by whom it says."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from skypact.journal.folder import KEYS_FILE, read_keys
from skypact.journal.model import Record
from skypact.journal.seal import (
    BadRecordError,
    Fault,
    Head,
    advance,
    decode_record,
    faults_of,
    is_proved_by,
    is_seal_whole,
)
from skypact.journal.store import ASIDE_FILE, SUFFIX, day_files, read_file, split_lines

README_FILE = "README.md"  # of an export only
SUMS_FILE = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    file: str  # relative to the folder
    line: int  # from 1; 0 for the file as a whole
    centre: str  # whose log; "" for none
    sequence: int  # of the record; where it can't be read, that of its place; 0 for the file as a whole
    what: str  # as in "does not follow the record before it"


@dataclass(slots=True)
class LogProof:
    """What the proof of one log found."""

    centre: str
    first_key: str  # public key that it begins with, hexadecimal; "" where the folder holds none
    head: Head
    records: int = 0
    withheld: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class FolderProof:
    """What the proof of a folder of logs found."""

    logs: list[LogProof]
    findings: list[Finding]  # of the folder itself: checksums, keys

    @property
    def all_findings(self) -> list[Finding]:
        """All that is wrong, the folder's own first."""
        return [*self.findings, *(finding for log in self.logs for finding in log.findings)]


def verify_folder(folder: Path) -> FolderProof:
    """Prove all logs in a folder: an export, or a centre's own, also while it runs.

    Raises:
        BadInputError: the folder holds no journal, or can't be read.
    """
    keys = read_keys(folder)
    findings = list(_check_sums(folder))
    logs = []
    for centre in sorted(keys.keys() | {path.parent.name for path in folder.glob(f"*/*{SUFFIX}")}):
        if centre in keys:
            logs.append(verify_log(folder / centre, centre, keys[centre]))
        else:
            findings.append(Finding(KEYS_FILE, 0, centre, 0, f"has no key for the log of {centre}"))
    return FolderProof(logs, findings)


def verify_log(folder: Path, centre: str, first_key: str) -> LogProof:
    """Prove one log, record by record, and go on after each fault.

    Args:
        folder: of the log's day files. centre: whose log. first_key: that it begins with, hexadecimal.
    """
    walk = _Walk(LogProof(centre, first_key, Head(centre, first_key)), _read_twin(folder))
    for path in day_files(folder):
        walk.file = f"{folder.name}/{path.name}"
        lines, unfinished = split_lines(read_file(path))
        for walk.line, line in enumerate(lines, start=1):
            walk.step(line)
        if unfinished:
            walk.line = len(lines) + 1
            walk.find(
                walk.proof.head.sequence + walk.unread + 1,
                f"is an unfinished line of {unfinished:,} octets: being written now, or cut by a crash "
                "(then mended at the centre's next start)",
            )
    return walk.proof


@dataclass
class _Walk:
    """Where the proof of a log stands."""

    proof: LogProof
    twin: Record | None
    file: str = ""
    line: int = 0
    unread: int = 0  # lines since the last record whose seal could be read
    is_after_gap: bool = False

    def find(self, sequence: int, what: str) -> None:
        self.proof.findings.append(Finding(self.file, self.line, self.proof.centre, sequence, what))

    def step(self, line: bytes) -> None:
        try:
            record = decode_record(line)
        except BadRecordError as error:
            self._pass_unread(f"{Fault.MALFORMED}: {error}")
            return
        proof = self.proof
        proof.records += 1
        proof.withheld += record.withheld
        if not is_seal_whole(record):
            self._pass_unread(Fault.CHANGED)
            return
        head = self._pass_gap(record)
        faults = faults_of(record, head, self.is_after_gap)
        for fault in faults:
            self.find(record.sequence, fault)
        if Fault.FOREIGN in faults or Fault.MISPLACED in faults:
            return
        if self._has_twin(record, head.key):
            self.find(record.sequence, f"{Fault.FORKED}, also signed by {head.centre} ({ASIDE_FILE})")
        # A record that is faulty may not hand on a key, nor a hash that it does not have.
        following = Head(head.centre, head.key, record.sequence, record.hash)
        proof.head = following if faults else advance(head, record)
        self.is_after_gap = False
        self.unread = 0

    def _pass_unread(self, what: str) -> None:
        """Nothing is known of this record but that it stands here."""
        self.unread += 1
        self.is_after_gap = True
        self.find(self.proof.head.sequence + self.unread, what)

    def _has_twin(self, record: Record, key: str) -> bool:
        twin = self.twin
        if twin is None or twin.sequence != record.sequence or twin.hash == record.hash:
            return False
        return is_proved_by(twin, key)

    def _pass_gap(self, record: Record) -> Head:
        """The head that the record claims to follow, with a finding where others are missing before it."""
        head = self.proof.head
        missing = record.sequence - head.sequence - 1
        if record.centre != head.centre or missing <= 0:
            return head
        if missing > self.unread:
            first, last = head.sequence + 1, record.sequence - 1
            count = missing - self.unread
            words = Fault.MISSING if first == last else f"to {last}: {count:,} missing"
            self.find(first, words)
        self.is_after_gap = True
        return Head(head.centre, head.key, record.sequence - 1, head.hash)


def _read_twin(folder: Path) -> Record | None:
    path = folder / ASIDE_FILE
    try:
        return decode_record(path.read_bytes().rstrip(b"\n"))
    except (FileNotFoundError, BadRecordError):
        return None


def _check_sums(folder: Path) -> Iterator[Finding]:
    """Findings where an export's files are not those that were exported."""
    if not (folder / SUMS_FILE).exists():
        if (folder / README_FILE).exists():
            yield Finding(SUMS_FILE, 0, "", 0, Fault.MISSING)
        return
    sums = {}
    for number, line in enumerate(read_file(folder / SUMS_FILE).splitlines(), start=1):
        digest, _, name = line.decode(errors="replace").partition("  ")
        if not name:
            yield Finding(SUMS_FILE, number, "", 0, "is not a checksum and a file's name")
        sums[name] = digest
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != SUMS_FILE
    }
    for name in sorted(sums.keys() - present):
        yield Finding(name, 0, "", 0, Fault.MISSING)
    for name in sorted(present - sums.keys()):
        yield Finding(name, 0, "", 0, "is not of the export")
    for name in sorted(sums.keys() & present):
        if file_sum(folder / name) != sums[name]:
            yield Finding(name, 0, "", 0, "was changed since the export")


def file_sum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(read_file(path)).hexdigest()
