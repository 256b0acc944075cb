"""What the exchange asks of the engine that carries messages between centres.

Two engines answer: NATS (`nats_engine`) and one in memory on a simulated clock (`memory_engine`);
one suite of contract tests holds both. Nothing here waits: a centre hands over and collects, and
a link that is cut shows in what does not come back, never in a call that does not return.

Each centre owns what it gives. For each partner it has an *outlet*, which only that partner can
read, and an *inlet*, which reads the outlet that the partner has for us.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it arrived."""

    subject: str  # words joined by dots, such as "tile.12"
    payload: bytes
    received: float  # UTC s since 1970, by the clock of the centre that reads it


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record of a partner's durable log, as mirrored here."""

    sequence: int  # in the partner's log, from 1 without gaps
    payload: bytes


class Outlet(Protocol):
    """What we give one partner, at our end."""

    def publish(self, subject: str, payload: bytes) -> None:
        """Send at most once; lost where the link is cut or the partner is away."""
        ...

    def put(self, subject: str, payload: bytes) -> None:
        """Set the last value of a subject; the partner gets it now, or when it joins."""
        ...

    def clear(self) -> None:
        """Forget all last values, so that a partner that joins later gets none of them."""
        ...

    def append(self, sequence: int, payload: bytes) -> None:
        """Store a record of our log for the partner, once, however often it is handed over.

        Records are handed over in order, the one that is `wanted` next; the engine repeats what was not
        acknowledged.
        """
        ...

    @property
    def wanted(self) -> int | None:
        """Sequence of the record that is to be handed over next; None as long as the engine can't tell.

        It falls back where the engine lost what it had, or could not take what it was given.
        """
        ...

    @property
    def stored(self) -> int:
        """Sequence of the last record that is stored durably for the partner; 0 for none."""
        ...

    def take(self) -> list[Message]:
        """What the partner sent back since the last call, in order of arrival."""
        ...


class Inlet(Protocol):
    """What one partner gives us, at our end."""

    def take(self) -> list[Message]:
        """Live messages and last values since the last call, each subject in order.

        A new inlet gets the last values first, also while the link is cut, as far as they were
        mirrored before.
        """
        ...

    def take_records(self) -> list[StoredRecord]:
        """Records of the partner's log since the last call, each once and in order."""
        ...

    def reply(self, subject: str, payload: bytes) -> None:
        """Send back to the partner, at most once."""
        ...


class Engine(Protocol):
    """The engine of one centre."""

    def outlet(self, partner: str) -> Outlet:
        """The outlet for a partner, by its name."""
        ...

    def inlet(self, partner: str, after: int = 0, log: str = "") -> Inlet:
        """The inlet from a partner, in place of a former one.

        Args: `after` is the sequence of its last record that we hold, `log` names the log that its
        records are of: what the engine keeps of another log is of no use.
        """
        ...

    def forget(self, partner: str) -> None:
        """End the outlet and the inlet of a partner that is one no longer."""
        ...

    def close(self) -> None:
        """Stop; everything that was stored stays stored."""
        ...
