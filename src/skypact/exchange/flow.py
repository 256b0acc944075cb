"""How much may be on its way to a partner: at most a second of data, by its acknowledgements.

A thin link is a queue somewhere on the way: what we hand over too early stands in it, and a journal
record that comes later stands behind it. So the gateway keeps its own queues, where what is urgent
overtakes and what is old is replaced, and hands over only what the window has room for.

The window follows the time from sending to acknowledgement. Its lowest value of late is the way
itself; what is above is the queue that we made. The window grows while that queue is short and
shrinks to what would have made it right, by Little's law (bytes on the way = rate times time):
J. D. C. Little, A proof for the queuing formula L = λW, 1961.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

QUEUE = 0.4  # s of our own data that may stand in the way's queue
FIRST_WINDOW = 64_000  # bytes; 0.64 s on the thinnest link that is planned for, 100 kB/s
LEAST_WINDOW = 8_000
LARGEST_WINDOW = 8_000_000
MEMORY = 30.0  # s over which the lowest time to acknowledgement counts as the way's own
PATIENCE = 2.0  # s without progress on one channel, while others go on, that count as stuck
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
    time: float  # of sending; NaN when it tells nothing of the way, as it waited for something else
    in_flight: int  # bytes, this message included


@dataclass(slots=True)
class _Queue:
    """What was sent on one channel and is not acknowledged, the oldest first."""

    sent: deque[_Sent] = field(default_factory=deque)
    in_flight: int = 0  # bytes
    acknowledged: int = 0  # sequence
    waits_since: float = 0.0  # last acknowledgement, or when the queue ceased to be empty
    is_stuck: bool = False


@dataclass
class Flow:
    """What is on its way to one partner, and how much may be."""

    window: float = FIRST_WINDOW  # bytes
    round_trip: float | None = None  # lowest time from sending to acknowledgement of late, s
    rate: float = 0.0  # bytes that were acknowledged in the last second
    _queues: dict[Channel, _Queue] = field(default_factory=lambda: {c: _Queue() for c in Channel})
    _trips: deque[tuple[float, float]] = field(default_factory=deque)  # time, s; ever higher
    _arrivals: deque[tuple[float, int]] = field(default_factory=deque)  # time, bytes

    @property
    def in_flight(self) -> int:
        """Bytes that are on their way: what a stuck channel holds is not."""
        return sum(queue.in_flight for queue in self._queues.values() if not queue.is_stuck)

    def acknowledged(self, channel: Channel) -> int:
        """Sequence up to which a channel has arrived; 0 for none."""
        return self._queues[channel].acknowledged

    def send(self, channel: Channel, sequence: int, size: int, now: float) -> None:
        """Note that a message was handed to the engine; `now` is NaN while the link is cut."""
        queue = self._queues[channel]
        if not queue.sent:
            queue.waits_since = now
        queue.in_flight += size
        queue.sent.append(_Sent(sequence, size, math.nan if queue.is_stuck else now, self.in_flight))

    def acknowledge(self, channel: Channel, sequence: int, now: float, is_wanting: bool) -> None:
        """Note that a channel has arrived up to a sequence; the window grows only if data are `is_wanting`.

        A sequence lower than one acknowledged before changes nothing, one that was never sent counts
        as the last that was.
        """
        queue = self._queues[channel]
        while queue.sent and queue.sent[0].sequence <= sequence:
            message = queue.sent.popleft()
            queue.in_flight -= message.size
            queue.acknowledged = message.sequence
            queue.waits_since = now
            queue.is_stuck = False
            self._arrivals.append((now, message.size))
            self._learn(message, now, is_wanting)
        for other in self._queues.values():
            # One way carries all channels, so one that stands while another moves waits for
            # something else: a copy that the partner's engine is to begin again, or its disk.
            if math.isnan(other.waits_since):
                other.waits_since = now
            elif other.sent and now - other.waits_since > PATIENCE + (self.round_trip or 0.0):
                other.is_stuck = True
                for message in other.sent:
                    message.time = math.nan

    def room(self, channel: Channel, now: float) -> float:
        """Bytes that may be handed over now; 0 while what was sent is not acknowledged in time."""
        if self._queues[channel].is_stuck:
            return 0.0
        if self.round_trip is not None and now - self._oldest(now) > self.round_trip + 2.0 * QUEUE:
            return 0.0
        return max(0.0, self.window - self.in_flight)

    def count(self, now: float) -> None:
        """Bring `rate` up to date."""
        while self._arrivals and self._arrivals[0][0] <= now - RATE_PERIOD:
            self._arrivals.popleft()
        self.rate = sum(size for _, size in self._arrivals) / RATE_PERIOD

    def forget(self) -> None:
        """Begin anew after a cut: live messages are lost, the engine repeats the others.

        A window that was small stays so: it was perhaps the thinness of the link that looked like a cut.
        """
        self.window = max(LEAST_WINDOW, min(FIRST_WINDOW, 0.5 * self.window))
        self._trips.clear()
        self.round_trip = None
        live = self._queues[Channel.LIVE]
        live.sent.clear()
        live.in_flight = 0
        for queue in self._queues.values():
            queue.is_stuck = False
            queue.waits_since = math.nan
            for message in queue.sent:
                message.time = math.nan

    def _oldest(self, now: float) -> float:
        """When the oldest message was sent that is not acknowledged."""
        heads = [queue.sent[0].time for queue in self._queues.values() if queue.sent]
        return min((time for time in heads if not math.isnan(time)), default=now)

    def _learn(self, message: _Sent, now: float, is_wanting: bool) -> None:
        trip = now - message.time
        if not trip > 0.0:
            return
        round_trip = self._note_trip(trip, now)
        target = round_trip + QUEUE
        rate = message.in_flight / trip
        if trip > target:
            self.window = max(LEAST_WINDOW, min(self.window, rate * target))
        elif is_wanting and message.in_flight > 0.5 * self.window:
            # What is acknowledged has stood for half of the way back, so a second of data on its
            # way to the partner is that much more than a second of data without acknowledgement.
            limit = rate * max(1.0 + 0.5 * round_trip, 1.25 * round_trip)
            grown = self.window + message.size * (target - trip) / QUEUE
            self.window = min(LARGEST_WINDOW, max(self.window, min(grown, limit)))

    def _note_trip(self, trip: float, now: float) -> float:
        """The lowest trip of late, this one included."""
        while self._trips and self._trips[-1][1] >= trip:
            self._trips.pop()
        self._trips.append((now, trip))
        while self._trips[0][0] < now - MEMORY:
            self._trips.popleft()
        self.round_trip = self._trips[0][1]
        return self.round_trip
