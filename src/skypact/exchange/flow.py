"""How much may be on its way to a partner: at most a second of data, by its acknowledgements.

A thin link is a queue somewhere on the way: what we hand over too early stands in it, and a journal
record that comes later stands behind it. So the gateway keeps its own queues, where what is urgent
overtakes and what is old is replaced, and hands over only what the window has room for.

The window follows the time from sending to acknowledgement. Its lowest value of late is the way
itself; what is above is the queue that we made. The window grows while that queue is short and
shrinks to what would have made it right, by Little's law (bytes on the way = rate times time):
J. D. C. Little, A proof for the queuing formula L = λW, 1961.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

QUEUE = 0.4  # s of our own data that may stand in the way's queue
FIRST_WINDOW = 64_000  # bytes; 0.64 s on the thinnest link that is planned for, 100 kB/s
LEAST_WINDOW = 8_000
LARGEST_WINDOW = 8_000_000
MEMORY = 30.0  # s over which the lowest time to acknowledgement counts as the way's own
RATE_PERIOD = 1.0  # s over which bytes a second are counted


class Channel(Enum):
    """The ways by which the engine carries messages; what is sent on one arrives in order."""

    LIVE = "live"
    VALUES = "values"
    JOURNAL = "journal"


@dataclass(slots=True)
class _Sent:
    sequence: int
    size: int
    time: float  # of sending; NaN when it was sent before a cut and so tells nothing of the way
    in_flight: int  # bytes, this message included


@dataclass
class Flow:
    """What is on its way to one partner, and how much may be."""

    window: float = FIRST_WINDOW  # bytes
    in_flight: int = 0  # bytes that are not acknowledged
    round_trip: float | None = None  # lowest time from sending to acknowledgement of late, s
    rate: float = 0.0  # bytes that were acknowledged in the last second
    acknowledged: dict[Channel, int] = field(default_factory=lambda: dict.fromkeys(Channel, 0))
    _sent: dict[Channel, deque[_Sent]] = field(default_factory=lambda: {c: deque() for c in Channel})
    _trips: deque[tuple[float, float]] = field(default_factory=deque)  # time, s; ever higher
    _arrivals: deque[tuple[float, int]] = field(default_factory=deque)  # time, bytes

    def send(self, channel: Channel, sequence: int, size: int, now: float) -> None:
        """Note that a message was handed to the engine."""
        self.in_flight += size
        self._sent[channel].append(_Sent(sequence, size, now, self.in_flight))

    def acknowledge(self, channel: Channel, sequence: int, now: float, is_wanting: bool) -> None:
        """Note that a channel has arrived up to a sequence; the window grows only if data are `is_wanting`.

        A sequence that was never sent, or is lower than one acknowledged before, changes nothing.
        """
        sent = self._sent[channel]
        while sent and sent[0].sequence <= sequence:
            message = sent.popleft()
            self.acknowledged[channel] = message.sequence
            self.in_flight -= message.size
            self._arrivals.append((now, message.size))
            self._learn(message, now, is_wanting)
        self._count(now)

    def room(self, now: float) -> float:
        """Bytes that may be handed over now; 0 while what was sent is not acknowledged in time.

        An empty way has room for any one message.
        """
        if self.in_flight == 0:
            return LARGEST_WINDOW
        if self.round_trip is not None and now - self._oldest(now) > self.round_trip + 2.0 * QUEUE:
            return 0.0
        return max(0.0, self.window - self.in_flight)

    def forget(self) -> None:
        """Begin anew after a cut: live messages are lost, the engine repeats the others."""
        self.window = FIRST_WINDOW
        self._trips.clear()
        self.round_trip = None
        self._sent[Channel.LIVE].clear()
        self.in_flight = 0
        for sent in self._sent.values():
            for message in sent:
                message.time = float("nan")
                self.in_flight += message.size

    def _oldest(self, now: float) -> float:
        """When the oldest message was sent that is not acknowledged."""
        times = [sent[0].time for sent in self._sent.values() if sent]
        return min((time for time in times if time == time), default=now)

    def _learn(self, message: _Sent, now: float, is_wanting: bool) -> None:
        trip = now - message.time
        if not trip > 0.0:
            return
        self._note_trip(trip, now)
        assert self.round_trip is not None
        target = self.round_trip + QUEUE
        rate = message.in_flight / trip
        if trip > target:
            self.window = max(LEAST_WINDOW, min(self.window, rate * target))
        elif is_wanting and message.in_flight > 0.5 * self.window:
            # What is acknowledged has stood for half of the way back, so a second of data on its
            # way to the partner is that much more than a second of data without acknowledgement.
            limit = rate * max(1.0 + 0.5 * self.round_trip, 1.25 * self.round_trip)
            grown = self.window + message.size * (target - trip) / QUEUE
            self.window = min(LARGEST_WINDOW, max(self.window, min(grown, limit)))

    def _note_trip(self, trip: float, now: float) -> None:
        while self._trips and self._trips[-1][1] >= trip:
            self._trips.pop()
        self._trips.append((now, trip))
        while self._trips[0][0] < now - MEMORY:
            self._trips.popleft()
        self.round_trip = self._trips[0][1]

    def _count(self, now: float) -> None:
        while self._arrivals and self._arrivals[0][0] <= now - RATE_PERIOD:
            self._arrivals.popleft()
        self.rate = sum(size for _, size in self._arrivals) / RATE_PERIOD
