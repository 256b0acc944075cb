"""Logs to test with: a centre's key, and journals in memory and on disk."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from skypact.journal.log import Journal, open_journal
from skypact.journal.model import LinkDown, LinkUp, RungChanged
from skypact.journal.seal import key_hex
from skypact.journal.store import MemoryLines

NOON = 1_772_366_400.0  # 2026-03-01 12:00 UTC
DAY = 86_400.0


def key_of(name: str) -> Ed25519PrivateKey:
    """The same key for the same name."""
    return Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))


def public_of(name: str) -> str:
    return key_hex(key_of(name).public_key())


def some_event(number: int):
    return (
        LinkUp(partner="BRAVO"),
        RungChanged(partner="BRAVO", rung="tracks", reason=f"{number} kB/s do not fit"),
        LinkDown(partner="BRAVO", reason="nothing heard for 3 s"),
    )[number % 3]


def memory_journal(centre: str = "ALPHA", records: int = 0) -> Journal:
    journal = Journal(MemoryLines(), centre, key_of(centre))
    for number in range(records):
        journal.append(some_event(number), NOON + number)
    return journal


def write_journal(folder: Path, centre: str = "ALPHA", records: int = 5, step: float = 1.0) -> None:
    """A log on disk with a record each `step` seconds."""
    journal = open_journal(folder, centre, key_of(centre))
    for number in range(records):
        journal.append(some_event(number), NOON + number * step)
    journal.close()
