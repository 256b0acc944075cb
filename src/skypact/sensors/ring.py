"""The ring that datagrams are received into: slots of one buffer, and what the kernel says of each."""

import socket
import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SLOT = 2048  # bytes; more than any datagram that fits an Ethernet frame
LARGEST = 65_536  # bytes; no UDP datagram is longer
BATCH = 64  # datagrams a receive call
LARGE_SLOTS = (
    1024  # datagrams longer than a slot that are kept at a time; their memory is touched only when one comes
)

_MSG_TRUNC = 0x20
_SCM_TIMESTAMPNS = 35  # asm-generic/socket.h
_CONTROL = 32  # bytes of one control message with a time: header 16, seconds 8, nanoseconds 8

# struct mmsghdr, iovec and sockaddr_in of 64-bit Linux (bits/socket.h).
_HEADER = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_NAME = np.dtype([("family", "u2"), ("port", ">u2"), ("address", ">u4"), ("zero", "u8")])
_TIME_MESSAGE = np.dtype(
    [("length", "u8"), ("level", "i4"), ("type", "i4"), ("seconds", "i8"), ("nanoseconds", "i8")]
)


class LinuxHeaders:
    """The kernel's view of the slots: one message header each, made once and reused.

    A message has two parts: its slot, and a spill area for what is longer than a slot, so that
    no datagram is cut off. The spill areas are shared by the slots of a batch in turn.
    """

    def __init__(self, buffer: NDArray[np.uint8], slots: int) -> None:
        """Args: `buffer` begins with `slots` slots."""
        self.names = np.zeros(slots, dtype=_NAME)
        self.times = np.zeros(slots, dtype=_TIME_MESSAGE)
        self.spill = np.empty(BATCH * LARGEST, dtype=np.uint8)
        self._parts = np.zeros((slots, 2), dtype=_IOVEC)
        self.headers = np.zeros(slots, dtype=_HEADER)
        place = np.arange(slots, dtype=np.uint64)
        self._parts["base"][:, 0] = buffer.ctypes.data + place * SLOT
        self._parts["length"][:, 0] = SLOT
        self._parts["base"][:, 1] = self.spill.ctypes.data + place % BATCH * LARGEST
        self._parts["length"][:, 1] = LARGEST - SLOT
        self.headers["name"] = self.names.ctypes.data + place * _NAME.itemsize
        self.headers["iov"] = self._parts.ctypes.data + place * 2 * _IOVEC.itemsize
        self.headers["iovlen"] = 2
        self.headers["control"] = self.times.ctypes.data + place * _CONTROL
        self.prepare(0, slots)

    def prepare(self, first: int, count: int) -> int:
        """Make headers ready for the kernel, which overwrites them; returns the address of the first."""
        headers = self.headers[first : first + count]
        headers["namelen"] = _NAME.itemsize
        headers["controllen"] = _CONTROL
        return int(self.headers.ctypes.data) + first * _HEADER.itemsize

    def stamps(self, first: int, count: int) -> NDArray[np.float64]:
        """(count,) the kernel's times of arrival, UTC s since 1970; NaN where it gave none."""
        times = self.times[first : first + count]
        headers = self.headers[first : first + count]
        has_time = (
            (headers["controllen"] >= _CONTROL)
            & (times["level"] == socket.SOL_SOCKET)
            & (times["type"] == _SCM_TIMESTAMPNS)
        )
        return np.where(has_time, times["seconds"] + times["nanoseconds"] * 1e-9, np.nan)


class DatagramRing:
    """Datagrams in slots of one buffer; when all are full the oldest is overwritten and counted."""

    def __init__(
        self, slots: int, make_headers: Callable[[NDArray[np.uint8], int], LinuxHeaders] | None
    ) -> None:
        """Args: `slots` is rounded up to whole batches; without headers datagrams are taken one by one."""
        self.slots = -(-slots // BATCH) * BATCH
        self.buffer = np.empty(self.slots * SLOT + LARGE_SLOTS * LARGEST, dtype=np.uint8)
        self.offset = np.arange(self.slots, dtype=np.int64) * SLOT
        self.length = np.zeros(self.slots, dtype=np.int64)
        self.source = np.zeros(self.slots, dtype=np.int16)
        self.truncated = np.zeros(self.slots, dtype=np.bool_)
        self.dropped = 0  # since the last clear
        self._sender = np.zeros(self.slots, dtype=np.uint32)
        self._stamp = np.zeros(self.slots)
        self._head = 0  # next slot to fill
        self._count = 0
        self._large = 0  # large datagrams since the last clear
        self._large_owner = np.full(LARGE_SLOTS, -1, dtype=np.int64)
        self._headers = make_headers(self.buffer, self.slots) if make_headers is not None else None
        self._spill = np.empty(0 if self._headers is not None else LARGEST, dtype=np.uint8)

    def next_slots(self) -> tuple[int, int]:
        """The first slot to fill, and how many may be filled from there in one call."""
        return self._head, min(BATCH, self.slots - self._head)

    def prepare(self, first: int, count: int) -> int:
        """Make slots ready for `recvmmsg`; returns the address of the first header."""
        assert self._headers is not None
        return self._headers.prepare(first, count)

    def accept(self, first: int, count: int, source: int, now: Callable[[], float]) -> None:
        """Count in what the kernel has just written to `count` slots from `first`."""
        assert self._headers is not None
        chosen = slice(first, first + count)
        self._forget_overwritten(first, count)
        headers = self._headers.headers[chosen]
        self.length[chosen] = headers["length"]
        self.truncated[chosen] = headers["flags"] & _MSG_TRUNC != 0
        self.source[chosen] = source
        self._sender[chosen] = self._headers.names[chosen]["address"]
        stamps = self._headers.stamps(first, count)
        if np.isnan(stamps).any():
            stamps[np.isnan(stamps)] = now()
        self._stamp[chosen] = stamps
        for slot in first + np.flatnonzero(headers["length"] > SLOT):
            spill = self._headers.spill[slot % BATCH * LARGEST :]
            self._keep_large(int(slot), spill)
        self._advance(count)

    def receive_singly(self, opened: socket.socket, source: int, now: Callable[[], float]) -> int:
        """Take up to 64 datagrams one by one, where the system has no `recvmmsg`; returns how many."""
        for taken in range(BATCH):
            slot = self._head
            begin = slot * SLOT
            try:
                length, control, flags, sender = opened.recvmsg_into(
                    [
                        self.buffer.data[begin : begin + SLOT],
                        self._spill.data[: LARGEST - SLOT],
                    ],
                    64,
                )
            except (BlockingIOError, InterruptedError, ConnectionRefusedError):
                return taken
            self._forget_overwritten(slot, 1)
            self.length[slot] = length
            self.truncated[slot] = flags & socket.MSG_TRUNC != 0
            self.source[slot] = source
            self._sender[slot] = int.from_bytes(socket.inet_aton(sender[0]), "big")
            self._stamp[slot] = _control_time(control) or now()
            if length > SLOT:
                self._keep_large(slot, self._spill)
            self._advance(1)
        return BATCH

    def rows(self) -> NDArray[np.int64]:
        """(D,) slots of the datagrams held, oldest first."""
        return (self._head - self._count + np.arange(self._count, dtype=np.int64)) % self.slots

    def sender(self, rows: NDArray[np.int64]) -> NDArray[np.uint32]:
        """(D,) IPv4 address of the sender of each of `rows`."""
        return self._sender[rows]

    def stamps(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(D,) time of arrival of each of `rows`, UTC s since 1970."""
        return self._stamp[rows]

    def last_stamp(self) -> float:
        """Time of arrival of the datagram taken last."""
        return float(self._stamp[self._head - 1])

    def clear(self) -> None:
        """Begin anew; arrays handed out keep their values until the slots are filled again."""
        self._count = 0
        self._head = 0
        self._large = 0
        self._large_owner[:] = -1
        self.dropped = 0

    def _advance(self, count: int) -> None:
        self._head = (self._head + count) % self.slots
        self.dropped += max(0, self._count + count - self.slots)
        self._count = min(self.slots, self._count + count)

    def _forget_overwritten(self, first: int, count: int) -> None:
        self.offset[first : first + count] = np.arange(first, first + count) * SLOT
        if self._large:
            mine = (self._large_owner >= first) & (self._large_owner < first + count)
            self._large_owner[mine] = -1

    def _keep_large(self, slot: int, spill: NDArray[np.uint8]) -> None:
        """Put the two parts of a datagram longer than a slot behind each other, in a place of its own."""
        place = self._large % LARGE_SLOTS
        self._large += 1
        owner = self._large_owner[place]
        if owner >= 0:  # the oldest large one gives way
            self.length[owner] = 0
            self.dropped += 1
        self._large_owner[place] = slot
        begin = self.slots * SLOT + place * LARGEST
        length = int(self.length[slot])
        self.buffer[begin : begin + SLOT] = self.buffer[slot * SLOT : (slot + 1) * SLOT]
        self.buffer[begin + SLOT : begin + length] = spill[: length - SLOT]
        self.offset[slot] = begin


def _control_time(control: list[tuple[int, int, bytes]]) -> float | None:
    for level, kind, content in control:
        if level == socket.SOL_SOCKET and kind == _SCM_TIMESTAMPNS and len(content) == 16:
            seconds, nanoseconds = struct.unpack("qq", content)
            return float(seconds) + float(nanoseconds) * 1e-9
    return None
