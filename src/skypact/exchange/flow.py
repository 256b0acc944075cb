"""How much may be on its way to a partner: at most a second of data, by its acknowledgements.

A thin link is a queue somewhere on the way: what we hand over too early stands in it, and a journal
record that comes later stands behind it. So the gateway keeps its own queues, where what is urgent
overtakes and what is old is replaced, and hands over only what the window has room for.

The window follows the time from sending to acknowledgement. Its lowest value of late is the way
itself; what is above is the queue that we made. The window grows while that queue is short, up to a
second of what the way was seen to carry, and shrinks to what would have made the queue right, by
Little's law (bytes on the way = rate times time): J. D. C. Little, A proof for the queuing formula
L = λW, 1961.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

LONGEST_FLIGHT = 1.0  # s of data that may be on the way
QUEUE = 0.4  # s of them that may stand before a message
FIRST_WINDOW = 64_000  # bytes; 0.64 s on the thinnest link that is planned for, 100 kB/s
LEAST_WINDOW = 8_000
LARGEST_WINDOW = 8_000_000
MEMORY = 30.0  # s over which the highest speed seen counts
PROBE_AFTER = 15.0  # s with a queue on the way after which it is let run empty, to see how long the way is
PATIENCE = 2.0  # s without progress on one channel, while others go on, that count as stuck
IDLE = 0.05  # of the window; with less on its way, the way counts as empty
PACE = 0.02  # s; of the centre's steps, and so of what acknowledgements can tell
NO_QUEUE = 0.05  # s before a message that tell of no queue
PROBE = 0.25  # of what is acknowledged, by which the window grows beyond what the way was seen to carry
LEAST_CARRYING, LONGEST_CARRYING = 0.4, 5.0  # s over which a speed of now can be told
RATE_PERIOD = 1.0  # s over which bytes a second are counted


class Channel(Enum):
    """The ways by which the engine carries messages; what is sent on one arrives in order."""

    LIVE = "live"
    VALUES = "values"
    JOURNAL = "journal"


@dataclass(slots=True)
class _Busy:
    """A time in which the way is not empty."""

    sent: int = 0  # bytes since it began
    first: int = 0  # of them, those up to the first that was acknowledged
    since: float | None = None  # when that was


@dataclass(slots=True)
class _Sent:
    sequence: int
    size: int
    time: float  # of sending; NaN when it tells nothing of the way, as it waited for something else
    in_flight: int  # bytes, this message included
    busy: _Busy
    carried: int  # bytes of that time, this message included


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
    speed: float = FIRST_WINDOW  # bytes/s that the way was seen to carry of late, at least
    rate: float = 0.0  # bytes that were acknowledged in the last second
    _queues: dict[Channel, _Queue] = field(default_factory=lambda: {c: _Queue() for c in Channel})
    _round_trip_at: float = -math.inf  # when `round_trip` was last seen
    _speeds: deque[tuple[float, float]] = field(default_factory=deque)  # time, bytes/s; ever lower
    _busy: _Busy = field(default_factory=_Busy)
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
        if self._is_idle:
            self._busy = _Busy()
        queue.in_flight += size
        self._busy.sent += size
        sent = math.nan if queue.is_stuck else now
        queue.sent.append(_Sent(sequence, size, sent, self.in_flight, self._busy, self._busy.sent))

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
        if self.round_trip is not None and now - self._round_trip_at > PROBE_AFTER:
            if not self._is_idle:
                return 0.0
            self.round_trip = None
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
        self._speeds.clear()
        self.round_trip = None
        live = self._queues[Channel.LIVE]
        live.sent.clear()
        live.in_flight = 0
        for queue in self._queues.values():
            queue.is_stuck = False
            queue.waits_since = math.nan
            for message in queue.sent:
                message.time = math.nan

    @property
    def _is_idle(self) -> bool:
        """Whether the way is as good as empty."""
        return self.in_flight <= IDLE * self.window

    def _oldest(self, now: float) -> float:
        """When the oldest message was sent that is not acknowledged."""
        heads = [queue.sent[0].time for queue in self._queues.values() if queue.sent]
        return min((time for time in heads if not math.isnan(time)), default=now)

    def _learn(self, message: _Sent, now: float, is_wanting: bool) -> None:
        trip = now - message.time
        if not trip > 0.0:
            return
        if self.round_trip is None or trip <= self.round_trip + PACE:
            self.round_trip = trip if self.round_trip is None else min(trip, self.round_trip)
            self._round_trip_at = now
        round_trip = self.round_trip
        seen = message.in_flight / trip
        busy = message.busy
        if busy.since is None:
            busy.since, busy.first = now, message.carried
        elif LEAST_CARRYING <= now - busy.since <= LONGEST_CARRYING:
            seen = max(seen, (message.carried - busy.first) / (now - busy.since))
        self._note_speed(seen, now)
        own = min(message.size / self.speed, 0.5 * QUEUE)
        queue = trip - round_trip - own  # s that other messages stood before it
        second = self.speed * LONGEST_FLIGHT
        if message.in_flight <= 0.5 * self.window:
            return  # the window was not what bounded it, and a wait was not of our making
        if queue > QUEUE:
            self.window = min(self.window, seen * min(LONGEST_FLIGHT, round_trip + QUEUE))
        elif queue > NO_QUEUE and self.window > second:
            self.window = second
        elif is_wanting:
            # Without a queue the way may carry more than was ever tried: try a little more.
            most = max(second, self.window + PROBE * message.size) if queue <= NO_QUEUE else second
            grown = self.window + message.size * min(1.0, (QUEUE - queue) / QUEUE)
            self.window = max(self.window, min(grown, most))
        self.window = min(max(self.window, LEAST_WINDOW), LARGEST_WINDOW)

    def _note_speed(self, speed: float, now: float) -> None:
        while self._speeds and self._speeds[-1][1] <= speed:
            self._speeds.pop()
        self._speeds.append((now, speed))
        while self._speeds[0][0] < now - MEMORY:
            self._speeds.popleft()
        self.speed = self._speeds[0][1]
