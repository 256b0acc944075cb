"""UDP in: a thread that takes datagrams from many sockets into a ring, without an object for each.

`recvmmsg` writes up to 64 datagrams a call straight into the slots of the ring, with the kernel's
time of arrival beside each. The consumer swaps the full ring for an empty one and reads it as
columns. Nothing here blocks: when the consumer is slow, the oldest datagrams are dropped and counted.
"""

import ctypes
import errno
import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.model import Datagrams
from skypact.core.errors import BadInputError
from skypact.sensors.ring import BATCH, DatagramRing, LinuxHeaders

log = logging.getLogger(__name__)

KERNEL_BUFFER = 32 << 20  # bytes asked for: one second of 30,000 datagrams of 1 kB
GOOD_KERNEL_BUFFER = 8 << 20  # bytes; below it a burst is lost while the machine is busy
MOST_CALLS = 16  # receive calls on one socket before the next has its turn
GATHER = 0.001  # s; waited after a wake-up, so that one call takes many datagrams
MOST_NAMES = 1000  # of quarantined senders that are counted apart
IDLE = 0.02  # s; longest wait, so that time is closed when nothing comes

# Linux numbers that the socket module does not name (asm-generic/socket.h, linux/in.h).
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8  # place of the drop counter in the nine 32-bit numbers of SO_MEMINFO
_IP_MULTICAST_ALL = 49


@dataclass(frozen=True, slots=True)
class UdpSource:
    """Where datagrams are taken: one address and port, unicast or multicast (IPv4)."""

    address: str  # to listen on, or the multicast group
    port: int
    interface: str = ""  # of a multicast group: name or IPv4 address; "" leaves it to the system
    senders: tuple[str, ...] = ()  # the only addresses accepted; () accepts all

    @property
    def is_multicast(self) -> bool:
        """Whether the address is a multicast group (224.0.0.0 to 239.255.255.255)."""
        return 224 <= int(self.address.split(".")[0]) <= 239

    def __str__(self) -> str:
        """As in log lines and settings."""
        return f"{self.address}:{self.port}" + (f"%{self.interface}" if self.interface else "")


@dataclass(slots=True)
class SourceCounts:
    """What one source has done since the start."""

    name: str
    kernel_buffer: int  # bytes granted, as the kernel counts them (payload and its own overhead)
    datagrams: int = 0
    bytes: int = 0
    dropped_by_kernel: int = 0  # its buffer was full
    truncated: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)  # "ADDRESS as SAC/SIC" -> datagrams

    def note_quarantined(self, words: str, count: int) -> None:
        """Count datagrams held back; a flood of made-up addresses is counted together in the end."""
        if words not in self.quarantined and len(self.quarantined) >= MOST_NAMES:
            words = "others"
        self.quarantined[words] = self.quarantined.get(words, 0) + count


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived since the last time: datagrams in order of arrival, valid until the next `take`."""

    datagrams: Datagrams
    sender: NDArray[np.uint32]  # (D,) IPv4 address of the sender
    source: NDArray[np.int16]  # (D,) place of the source in the receiver's list
    closed: float  # UTC s since 1970: whatever comes later has an arrival time of at least this
    quarantined: dict[str, int] = field(default_factory=dict)  # claimed SAC/SIC -> datagrams held back


class UdpReceiver:
    """Receives from many UDP sources on one thread.

    Arrival times are the kernel's, sorted over all sockets, and never fall below what `take` has
    said to be closed, so that a consumer who has acted on a time never sees it again.
    """

    is_live = True

    def __init__(
        self,
        sources: list[UdpSource],
        *,
        slots: int = 32_768,
        kernel_buffer: int = KERNEL_BUFFER,
        use_recvmmsg: bool | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the sockets; receiving begins with `start`.

        Args:
            sources: where to listen; those of one address, port and interface share a socket.
            slots: datagrams that are kept between two calls of `take`.
            kernel_buffer: bytes asked of the kernel for each socket.
            use_recvmmsg: None takes it where the system has it.
            now: UTC seconds since 1970, where the kernel gives no time of arrival.

        Raises:
            BadInputError: an address can't be listened on.
        """
        self.sources = _merge(sources)
        self._now = now
        self._recvmmsg = _find_recvmmsg() if use_recvmmsg is not False else None
        if use_recvmmsg and self._recvmmsg is None:
            raise BadInputError("no recvmmsg on this system", "receiver")
        self._sockets: list[socket.socket] = []
        self.counts: list[SourceCounts] = []
        try:
            for source in self.sources:
                opened, granted = _open(source, kernel_buffer)
                self._sockets.append(opened)
                self.counts.append(SourceCounts(str(source), granted))
        except BaseException:
            self._close_sockets()
            raise
        self._allowed = [
            np.array([_address_number(sender) for sender in source.senders], dtype=np.uint32)
            for source in self.sources
        ]
        make = LinuxHeaders if self._recvmmsg is not None else None
        self._filling = DatagramRing(slots, make)
        self._taken = DatagramRing(slots, make)
        self._lock = threading.Lock()
        self._closed = -np.inf
        self._handed = -np.inf  # latest arrival time that a consumer knows of
        self.dropped_at_ring = 0
        self.moved_on = 0  # datagrams whose arrival time was raised to keep the order
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    @property
    def ports(self) -> list[int]:
        """The port of each source, chosen by the system where 0 was asked for."""
        return [int(opened.getsockname()[1]) for opened in self._sockets]

    def start(self) -> None:
        """Begin receiving on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="receive", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the sockets."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._read_drops()
        self._close_sockets()

    def take(self) -> Received:
        """All that arrived since the last call; its arrays are valid until the next one."""
        if self.failure is not None:
            raise RuntimeError("the receiving thread has failed") from self.failure
        with self._lock:
            ring, self._filling, self._taken = self._filling, self._taken, self._filling
            closed = self._closed
        self.dropped_at_ring += ring.dropped
        received = self._as_columns(ring, max(closed, self._handed))
        ring.clear()
        return received

    def read_counts(self) -> list[SourceCounts]:
        """What each source has done until now, with the kernel's drops."""
        self._read_drops()
        return self.counts

    def read_losses(self) -> dict[str, int]:
        """Datagrams lost or held back since the start, by reason."""
        counts = self.read_counts()
        return {
            "dropped_by_kernel": sum(source.dropped_by_kernel for source in counts),
            "dropped_at_ring": self.dropped_at_ring,
            "truncated": sum(source.truncated for source in counts),
            "quarantined": sum(sum(source.quarantined.values()) for source in counts),
        }

    def _as_columns(self, ring: DatagramRing, closed: float) -> Received:
        rows = ring.rows()
        rows = rows[ring.length[rows] > 0]
        sender, source = ring.sender(rows), ring.source[rows]
        for place, counts in enumerate(self.counts):
            mine = rows[source == place]
            counts.datagrams += len(mine)
            counts.bytes += int(ring.length[mine].sum())
            counts.truncated += int(ring.truncated[mine].sum())
        good, quarantined = self._find_quarantined(ring, rows, sender, source)
        rows, sender, source = rows[good], sender[good], source[good]

        stamps = ring.stamps(rows)
        order = np.argsort(stamps, kind="stable")
        rows, stamps = rows[order], stamps[order]
        floor = self._handed
        self.moved_on += int((stamps < floor).sum())
        received = np.maximum(stamps, floor)
        if len(received):
            closed = max(closed, float(received[-1]))
        self._handed = closed
        datagrams = Datagrams(ring.buffer, ring.offset[rows], ring.length[rows], received)
        return Received(datagrams, sender[order], source[order], closed, quarantined)

    def _find_quarantined(
        self,
        ring: DatagramRing,
        rows: NDArray[np.int64],
        sender: NDArray[np.uint32],
        source: NDArray[np.int16],
    ) -> tuple[NDArray[np.bool_], dict[str, int]]:
        """(D,) whether each datagram's address is accepted by its source, and the claims of the others."""
        good = np.ones(len(rows), dtype=np.bool_)
        for place, allowed in enumerate(self._allowed):
            if len(allowed):
                good &= (source != place) | np.isin(sender, allowed)
        bad = np.flatnonzero(~good)
        claims: dict[str, int] = {}
        if len(bad):
            claimed = claimed_sources(ring.buffer, ring.offset[rows[bad]], ring.length[rows[bad]])
            keys = np.column_stack([source[bad].astype(np.int64), sender[bad].astype(np.int64), claimed])
            for (place, address, name), count in zip(
                *np.unique(keys, axis=0, return_counts=True), strict=True
            ):
                claim = source_text(int(name))
                claims[claim] = claims.get(claim, 0) + int(count)
                self.counts[place].note_quarantined(f"{_address_text(int(address))} as {claim}", int(count))
        return good, claims

    def _run(self) -> None:
        poller = select.poll()
        places = {opened.fileno(): place for place, opened in enumerate(self._sockets)}
        for descriptor in places:
            poller.register(descriptor, select.POLLIN)
        try:
            while not self._stopping.is_set():
                if poller.poll(IDLE * 1000.0):
                    time.sleep(GATHER)
                self._receive_all()
        except BaseException as error:
            # Told to the consumer by its next `take`: a centre must not run on with no ears.
            self.failure = error
            log.exception("receiving failed")

    def _receive_all(self) -> None:
        """Empty every socket into the ring, and move on the time up to which all has been taken."""
        closed = self._now()
        for place, opened in enumerate(self._sockets):
            for _ in range(MOST_CALLS):
                with self._lock:
                    count = self._receive_once(opened, place)
                    last = self._filling.last_stamp() if count else np.inf
                if count < BATCH:
                    break
            else:
                # Not empty yet: what is left came after the last one taken.
                closed = min(closed, last)
        with self._lock:
            self._closed = max(self._closed, closed)

    def _receive_once(self, opened: socket.socket, place: int) -> int:
        """Take up to 64 datagrams of one socket into the ring; returns how many there were."""
        ring = self._filling
        if self._recvmmsg is None:
            return ring.receive_singly(opened, place, self._now)
        first, room = ring.next_slots()
        headers = ring.prepare(first, room)
        count = int(
            self._recvmmsg(opened.fileno(), ctypes.c_void_p(headers), room, socket.MSG_DONTWAIT, None)
        )
        if count < 0:
            failed = ctypes.get_errno()
            # A port-unreachable answer to somebody's earlier sending shows up here once.
            if failed in (errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED):
                return 0
            raise OSError(failed, os.strerror(failed))
        ring.accept(first, count, place, self._now)
        return BATCH if count == room else count

    def _read_drops(self) -> None:
        # SO_MEMINFO holds the counter that SO_RXQ_OVFL attaches to datagrams, also when none follows.
        for opened, counts in zip(self._sockets, self.counts, strict=True):
            try:
                raw = opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
            except OSError:
                continue  # closed, or a system without the option
            if len(raw) == 36:
                counts.dropped_by_kernel = struct.unpack("9I", raw)[_MEMINFO_DROPS]

    def _close_sockets(self) -> None:
        for opened in self._sockets:
            opened.close()


def claimed_sources(
    buffer: NDArray[np.uint8], offset: NDArray[np.int64], length: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(D,) SAC * 256 + SIC of the first record of each datagram; -1 where there is none to read.

    In all categories that are decoded here the first item is the data source identifier.
    """
    end = offset + length
    at = offset + 3  # behind category and length
    first = np.where(at < end, buffer[np.minimum(at, len(buffer) - 1)], 0)
    for _ in range(8):
        has_more = (at < end) & (buffer[np.minimum(at, len(buffer) - 1)] & 1 == 1)
        at = at + has_more
    at = at + 1  # behind the field specification
    readable = (first & 0x80 != 0) & (at + 1 < end)
    at = np.minimum(at, len(buffer) - 2)
    return np.where(readable, buffer[at].astype(np.int64) * 256 + buffer[at + 1], -1)


def source_text(source: int) -> str:
    """`SAC/SIC` of a source number; "no source" for -1."""
    return "no source" if source < 0 else f"{source >> 8}/{source & 255}"


def _merge(sources: list[UdpSource]) -> list[UdpSource]:
    """Sources of one address, port and interface as one that accepts the senders of all."""
    merged: dict[tuple[str, int, str], UdpSource] = {}
    for place, source in enumerate(sources):
        # Port 0 asks for a free port, so that two such sources are never the same.
        key = (source.address, source.port or -1 - place, source.interface)
        other = merged.get(key)
        if other is None:
            merged[key] = source
        else:
            # One that accepts all senders makes the socket accept all.
            senders = tuple(
                dict.fromkeys(other.senders + source.senders) if other.senders and source.senders else ()
            )
            merged[key] = UdpSource(source.address, source.port, source.interface, senders)
    return list(merged.values())


def _open(source: UdpSource, kernel_buffer: int) -> tuple[socket.socket, int]:
    """A bound socket and the kernel buffer that was granted, in bytes as the kernel counts."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        granted = _ask_for_buffer(opened, kernel_buffer)
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            log.info("no kernel time of arrival", extra={"source": str(source)})
        if source.is_multicast:
            # Several programs on one machine may listen to a group.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((source.address, source.port))
            _join_group(opened, source)
        else:
            opened.bind((source.address, source.port))
    except (OSError, OverflowError) as error:
        opened.close()
        raise BadInputError(
            f"can't listen: {getattr(error, 'strerror', None) or error}",
            str(source),
            "check address, port and interface, and that no other program uses them",
        ) from None
    if granted < GOOD_KERNEL_BUFFER:
        log.warning(
            "small kernel buffer",
            extra={
                "source": str(source),
                "granted": granted,
                "asked": kernel_buffer,
                "advice": "raise net.core.rmem_max",
            },
        )
    return opened, granted


def _ask_for_buffer(opened: socket.socket, wanted: int) -> int:
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted)
    except OSError:  # not privileged, or not Linux: up to net.core.rmem_max
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def _join_group(opened: socket.socket, source: UdpSource) -> None:
    group = socket.inet_aton(source.address)
    interface, index = bytes(4), 0
    if source.interface:
        try:
            interface = socket.inet_aton(source.interface)
        except OSError:
            index = socket.if_nametoindex(source.interface)
    membership = struct.pack("4s4si", group, interface, index)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    try:
        # Otherwise the socket also hears groups that other programs joined on other interfaces.
        opened.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    except OSError:
        log.debug("no IP_MULTICAST_ALL on this system")


@cache
def _find_recvmmsg() -> Any:
    try:
        return ctypes.CDLL(None, use_errno=True).recvmmsg
    except (OSError, AttributeError):
        return None


def _address_number(address: str) -> int:
    return int.from_bytes(socket.inet_aton(address), "big")


def _address_text(number: int) -> str:
    return socket.inet_ntoa(number.to_bytes(4, "big"))
