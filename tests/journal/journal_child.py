"""A process that writes a journal, for tests that kill it: prints the sequence of each durable record.

Arguments: folder, what to do (`run`, `die` in the middle of a write, or `full` disk).
"""

import os
import resource
import signal
import sys
from pathlib import Path

from journal_helpers import NOON, key_of, some_event

from skypact.journal.log import Journal, open_journal
from skypact.journal.store import JournalWriteError


def append(journal: Journal) -> None:
    number = journal.head.sequence
    print(journal.append(some_event(number), NOON + number).sequence, flush=True)


def die_in_the_middle_of_a_write(journal: Journal) -> None:
    real_write = os.write

    def write_a_part(file: int, octets: bytes) -> int:
        real_write(file, octets[: len(octets) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    append(journal)
    os.write = write_a_part
    append(journal)


def fill_the_disk(journal: Journal, folder: Path) -> None:
    """The system itself refuses to let the file grow, in the middle of a record."""
    append(journal)
    size = sum(path.stat().st_size for path in folder.rglob("*.jsonl"))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    for _ in range(3):
        try:
            append(journal)
        except JournalWriteError as error:
            # Not to stdout: what stands there was durable.
            print(error, file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    append(journal)


folder = Path(sys.argv[1])
opened = open_journal(folder, "ALPHA", key_of("ALPHA"))
match sys.argv[2]:
    case "run":
        while True:
            append(opened)
    case "die":
        die_in_the_middle_of_a_write(opened)
    case "full":
        fill_the_disk(opened, folder)
