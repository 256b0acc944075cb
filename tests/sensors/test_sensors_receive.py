import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from skypact.core.errors import BadInputError
from skypact.sensors.receive import Received, UdpReceiver, UdpSource, claimed_sources, source_text

LOOPBACK = "127.0.0.1"


@contextmanager
def receiving(*sources: UdpSource, **options: object) -> Iterator[UdpReceiver]:
    receiver = UdpReceiver(list(sources), **options)  # type: ignore[arg-type]
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def take_until(
    receiver: UdpReceiver, enough: Callable[[list[bytes]], bool]
) -> tuple[list[bytes], list[Received]]:
    """Payloads and columns taken until there are enough, at most for 10 s."""
    payloads: list[bytes] = []
    taken = []
    deadline = time.monotonic() + 10.0
    while not enough(payloads) and time.monotonic() < deadline:
        received = receiver.take()
        datagrams = received.datagrams
        payloads += [
            datagrams.buffer[begin : begin + length].tobytes()
            for begin, length in zip(datagrams.offset, datagrams.length, strict=True)
        ]
        taken.append(received)
        time.sleep(0.01)
    return payloads, taken


def free_source(**options: object) -> UdpSource:
    return UdpSource(LOOPBACK, 0, **options)  # type: ignore[arg-type]


def block(sac: int, sic: int, octets: int = 10) -> bytes:
    return bytes([48, octets >> 8, octets & 255, 0x80, sac, sic]).ljust(octets, b"\0")


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        yield opened


@pytest.mark.parametrize("use_recvmmsg", [True, False])
def test_datagrams_of_any_size_arrive_whole_and_in_order(sender, use_recvmmsg):
    sent = [bytes([n % 256]) * size for n, size in enumerate([1, 2047, 2048, 2049, 9000, 65_000, 40])]
    with receiving(free_source(), use_recvmmsg=use_recvmmsg) as receiver:
        for payload in sent:
            sender.sendto(payload, (LOOPBACK, receiver.ports[0]))
        payloads, taken = take_until(receiver, lambda got: len(got) == len(sent))
    assert payloads == sent
    assert receiver.counts[0].datagrams == len(sent)
    assert receiver.counts[0].bytes == sum(map(len, sent))
    assert receiver.counts[0].truncated == 0
    arrivals = np.concatenate([part.datagrams.received for part in taken])
    assert (np.diff(arrivals) >= 0).all()
    assert abs(arrivals[0] - time.time()) < 60.0


def test_several_sources_are_told_apart_and_the_sender_is_known(sender):
    with receiving(free_source(), free_source()) as receiver:
        for n in range(20):
            sender.sendto(bytes([n % 2]), (LOOPBACK, receiver.ports[n % 2]))
        payloads, taken = take_until(receiver, lambda got: len(got) == 20)
    sources = np.concatenate([part.source for part in taken])
    assert [payload[0] for payload in payloads] == sources.tolist()
    assert {int(address) for part in taken for address in part.sender} == {0x7F000001}
    assert [counts.datagrams for counts in receiver.counts] == [10, 10]


def test_what_comes_after_a_closed_time_has_a_later_arrival_time(sender):
    with receiving(free_source(), free_source()) as receiver:
        closed = -np.inf
        for n in range(200):
            sender.sendto(b"x", (LOOPBACK, receiver.ports[n % 2]))
            received = receiver.take()
            if len(received.datagrams):
                assert received.datagrams.received[0] >= closed
                assert received.closed >= received.datagrams.received[-1]
            assert received.closed >= closed
            closed = received.closed


def test_time_closes_while_nothing_comes():
    with receiving(free_source()) as receiver:
        deadline = time.monotonic() + 10.0
        began = time.time()
        while receiver.take().closed < began and time.monotonic() < deadline:
            time.sleep(0.01)
        assert receiver.take().closed >= began


def test_the_oldest_are_dropped_and_counted_when_the_ring_is_full(sender):
    with receiving(free_source(), slots=128) as receiver:
        for n in range(500):
            sender.sendto(n.to_bytes(2, "big"), (LOOPBACK, receiver.ports[0]))
        deadline = time.monotonic() + 10.0
        # The thread takes all of them while nobody calls `take`.
        while receiver._filling.dropped < 500 - 128 and time.monotonic() < deadline:
            time.sleep(0.01)
        payloads, _ = take_until(receiver, lambda got: len(got) > 0)
        assert [int.from_bytes(payload, "big") for payload in payloads] == list(range(500 - 128, 500))
        assert receiver.dropped_at_ring == 500 - 128


def test_large_datagrams_beyond_their_places_are_dropped_and_counted(sender, monkeypatch):
    monkeypatch.setattr("skypact.sensors.ring.LARGE_SLOTS", 4)
    with receiving(free_source()) as receiver:
        for n in range(6):
            sender.sendto(bytes([n]) * 3000, (LOOPBACK, receiver.ports[0]))
        deadline = time.monotonic() + 10.0
        while receiver._filling.dropped < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        payloads, _ = take_until(receiver, lambda got: len(got) > 0)
    assert payloads == [bytes([n]) * 3000 for n in range(2, 6)]
    assert receiver.dropped_at_ring == 2


def test_what_the_kernel_drops_is_counted(sender):
    receiver = UdpReceiver([free_source()], kernel_buffer=4096)
    for _ in range(200):
        sender.sendto(bytes(1000), (LOOPBACK, receiver.ports[0]))
    assert receiver.read_losses()["dropped_by_kernel"] > 100
    receiver.stop()


def test_an_address_that_is_not_expected_is_quarantined_with_the_source_that_it_claims(sender):
    expected = UdpSource(LOOPBACK, 0, senders=("127.0.0.2",))
    with receiving(expected) as receiver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as friend:
        friend.bind(("127.0.0.2", 0))
        for _ in range(3):
            sender.sendto(block(20, 129), (LOOPBACK, receiver.ports[0]))
        sender.sendto(b"\x30", (LOOPBACK, receiver.ports[0]))
        friend.sendto(block(20, 129), (LOOPBACK, receiver.ports[0]))
        payloads, _ = take_until(receiver, lambda got: len(got) > 0 and receiver.counts[0].datagrams == 5)
    assert payloads == [block(20, 129)]
    assert receiver.counts[0].quarantined == {"127.0.0.1 as 20/129": 3, "127.0.0.1 as no source": 1}


def test_sources_that_share_a_port_share_a_socket_and_its_senders():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    sources = [
        UdpSource(LOOPBACK, port, senders=("127.0.0.2",)),
        UdpSource(LOOPBACK, port, senders=("127.0.0.3",)),
    ]
    with receiving(*sources) as receiver:
        assert len(receiver.ports) == 1
        assert receiver.sources[0].senders == ("127.0.0.2", "127.0.0.3")


def skip_without_multicast(sender):
    """Asks the system alone, so that a fault of the receiver is a failure and no skip."""
    group = socket.inet_aton("239.77.1.9") + socket.inet_aton(LOOPBACK)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
            member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        sender.sendto(b"probe", ("239.77.1.9", 9))
    except OSError as error:
        pytest.skip(f"this machine has no multicast on loopback: {error}")


def test_a_multicast_group_is_heard_on_the_chosen_interface_and_no_other_group_is(sender):
    skip_without_multicast(sender)
    receiver = UdpReceiver([UdpSource("239.77.1.1", 0, LOOPBACK), UdpSource("239.77.1.2", 0, "lo")])
    first, second = receiver.ports
    sender.sendto(b"probe", ("239.77.1.1", first))
    receiver.start()
    try:
        sender.sendto(b"other group", ("239.77.1.3", first))
        sender.sendto(b"one", ("239.77.1.1", first))
        sender.sendto(b"two", ("239.77.1.2", second))
        payloads, _ = take_until(receiver, lambda got: len(got) == 3)
    finally:
        receiver.stop()
    assert sorted(payloads) == [b"one", b"probe", b"two"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (UdpSource("192.0.2.77", 8600), "192.0.2.77:8600"),
        (UdpSource("239.1.1.1", 0, "no-such-interface"), "no-such-interface"),
        (UdpSource(LOOPBACK, 70_000), "70000"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_named(source, words):
    with pytest.raises(BadInputError, match=words):
        UdpReceiver([source])


def test_the_claimed_source_is_read_behind_a_field_specification_of_any_length():
    long = bytes([48, 0, 12, 0x81, 0x01, 0x01, 0x00, 7, 9, 0, 0, 0])
    without = bytes([48, 0, 6, 0x40, 1, 2])
    payloads = [block(1, 2), long, without, b"\x30\x00", b"\x30\x00\x04\x80"]
    buffer = np.frombuffer(b"".join(payloads), dtype=np.uint8)
    length = np.array([len(payload) for payload in payloads])
    offset = np.cumsum(length) - length
    texts = [source_text(int(source)) for source in claimed_sources(buffer, offset, length)]
    assert texts == ["1/2", "7/9", "no source", "no source", "no source"]
