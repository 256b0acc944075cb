"""The window: how much may be on its way to a partner."""

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, lists, sampled_from, tuples

from skypact.exchange.flow import (
    FIRST_WINDOW,
    LARGEST_WINDOW,
    LEAST_WINDOW,
    PATIENCE,
    PROBE_AFTER,
    Channel,
    Flow,
)

LIVE, VALUES, JOURNAL = Channel


class Pipe:
    """A way that carries `speed` bytes/s and takes `latency` s there and as much back."""

    def __init__(self, speed: float, latency: float) -> None:
        self.flow = Flow()
        self.speed = speed
        self.latency = latency
        self.now = 0.0
        self.free = 0.0
        self.back: deque[tuple[float, int]] = deque()  # when the acknowledgement of each comes
        self.there: deque[tuple[float, int]] = deque()  # when each arrives, and its bytes
        self.flying = 0  # bytes that have not arrived
        self.sequence = 0
        self.longest_flight = 0.0  # s of data that had not arrived

    def run(self, seconds: float, size: int, bytes_per_second: float = math.inf) -> int:
        """Send messages of a size as the window and the demand allow; the bytes that were sent."""
        sent = 0
        end = self.now + seconds
        begin = self.now
        while self.now < end:
            while self.back and self.back[0][0] <= self.now:
                self.flow.acknowledge(VALUES, self.back.popleft()[1], self.now, is_wanting=True)
            wanted = bytes_per_second * (self.now - begin + 0.02)
            while sent + size <= wanted and self.flow.room(VALUES, self.now) >= size:
                self.sequence += 1
                self.flow.send(VALUES, self.sequence, size, self.now)
                self.free = max(self.free, self.now) + size / self.speed
                self.there.append((self.free + self.latency, size))
                self.back.append((self.free + 2.0 * self.latency, self.sequence))
                self.flying += size
                sent += size
            while self.there and self.there[0][0] <= self.now:
                self.flying -= self.there.popleft()[1]
            self.longest_flight = max(self.longest_flight, self.flying / self.speed)
            self.now += 0.02
        return sent


@pytest.mark.parametrize("latency", [0.005, 0.1, 0.5])
@pytest.mark.parametrize("speed", [100e3, 300e3, 1e6, 10e6])
@pytest.mark.parametrize("size", [2_000, 6_000])
def test_never_more_than_a_second_of_data_is_on_its_way(speed: float, latency: float, size: int):
    pipe = Pipe(speed, latency)
    pipe.run(60.0, size)
    assert pipe.longest_flight <= 1.0


@pytest.mark.parametrize("latency", [0.005, 0.1, 0.5])
@pytest.mark.parametrize("speed", [100e3, 1e6, 5e6])
def test_a_way_is_used_for_the_most_part_when_there_is_enough_to_send(speed: float, latency: float):
    pipe = Pipe(speed, latency)
    pipe.run(20.0, 4_000)
    assert pipe.run(30.0, 4_000) > 0.5 * speed * 30.0


def test_a_way_that_becomes_thin_is_left_to_run_empty_and_the_window_follows():
    pipe = Pipe(10e6, 0.01)
    pipe.run(10.0, 10_000, bytes_per_second=2e6)
    pipe.speed = 100e3
    pipe.run(30.0, 10_000)
    pipe.longest_flight = 0.0
    pipe.run(30.0, 10_000)
    assert pipe.longest_flight <= 1.0


def test_the_window_does_not_grow_beyond_what_is_sent():
    pipe = Pipe(10e6, 0.01)
    pipe.run(60.0, 1_000, bytes_per_second=50e3)
    assert pipe.flow.window == FIRST_WINDOW


def test_a_pause_while_little_is_on_its_way_does_not_shrink_the_window():
    flow = Flow()
    flow.send(LIVE, 1, 1_000, 0.0)
    flow.acknowledge(LIVE, 1, 0.01, is_wanting=True)
    flow.send(LIVE, 2, 1_000, 1.0)
    flow.acknowledge(LIVE, 2, 3.0, is_wanting=True)
    assert flow.window == FIRST_WINDOW


def test_a_queue_that_always_stands_does_not_pass_for_the_way_itself():
    pipe = Pipe(100e3, 0.2)
    pipe.run(300.0, 4_000)
    assert pipe.flow.round_trip is not None
    assert pipe.flow.round_trip < 0.4 + 0.1


def test_nothing_more_is_handed_over_while_the_way_stands_still():
    flow = Flow()
    flow.send(LIVE, 1, 100, 0.0)
    flow.acknowledge(LIVE, 1, 0.1, is_wanting=True)
    flow.send(LIVE, 2, 100, 1.0)
    assert flow.room(LIVE, 1.5) == flow.window - 100
    assert flow.room(LIVE, 2.0) == 0.0


def test_a_channel_that_waits_for_something_else_holds_up_itself_only():
    flow = Flow()
    flow.send(JOURNAL, 1, 50_000, 0.0)
    now = 0.0
    for sequence in range(1, 40):
        now += 0.1
        flow.send(LIVE, sequence, 10, now)
        flow.acknowledge(LIVE, sequence, now + 0.05, is_wanting=True)
    assert now > PATIENCE
    assert flow.room(JOURNAL, now + 0.1) == 0.0
    assert flow.room(LIVE, now + 0.1) == flow.window >= FIRST_WINDOW
    window = flow.window
    flow.acknowledge(JOURNAL, 1, now + 0.1, is_wanting=True)  # and its long wait tells nothing of the way
    assert flow.window == window
    assert flow.room(JOURNAL, now + 0.1) == window


def test_after_a_cut_live_messages_are_forgotten_and_stored_ones_still_count():
    flow = Flow()
    flow.send(LIVE, 1, 1_000, 0.0)
    flow.send(JOURNAL, 1, 300, 0.0)
    flow.forget()
    assert flow.in_flight == 300
    flow.acknowledge(JOURNAL, 1, 500.0, is_wanting=True)
    assert flow.in_flight == 0
    assert flow.window == FIRST_WINDOW / 2
    assert flow.round_trip is None


def test_the_way_is_let_run_empty_now_and_then():
    flow = Flow()
    flow.send(VALUES, 1, 100, 0.0)
    flow.acknowledge(VALUES, 1, 0.1, is_wanting=False)
    flow.send(VALUES, 2, 30_000, PROBE_AFTER + 0.2)
    assert flow.room(VALUES, PROBE_AFTER + 0.2) == 0.0
    flow.acknowledge(VALUES, 2, PROBE_AFTER + 0.7, is_wanting=False)
    assert flow.room(VALUES, PROBE_AFTER + 0.7) > 0.0


@given(
    events=lists(
        tuples(
            sampled_from(Channel),
            integers(1, 50_000),
            floats(0.001, 5.0),
            integers(-3, 3),
            sampled_from(["send", "acknowledge", "forget"]),
        ),
        max_size=60,
    )
)
def test_whatever_happens_the_books_stay_right(events: list[tuple[Channel, int, float, int, str]]):
    flow = Flow()
    now = 0.0
    sent: dict[Channel, dict[int, int]] = {channel: {} for channel in Channel}
    last = dict.fromkeys(Channel, 0)
    for channel, size, elapsed, offset, what in events:
        now += elapsed
        if what == "send":
            last[channel] += 1
            sent[channel][last[channel]] = size
            flow.send(channel, last[channel], size, now)
        elif what == "acknowledge":
            sequence = last[channel] + offset
            flow.acknowledge(channel, sequence, now, is_wanting=True)
            sent[channel] = {n: bytes_ for n, bytes_ in sent[channel].items() if n > sequence}
        else:
            flow.forget()
            sent[LIVE] = {}
        flow.count(now)
        assert flow.in_flight <= sum(sum(left.values()) for left in sent.values())
        assert LEAST_WINDOW <= flow.window <= LARGEST_WINDOW
        assert flow.rate >= 0.0
        assert flow.room(channel, now) <= flow.window
