"""The exchange's engine over NATS: a thread of its own talks to the centre's server, no caller ever waits.

What is handed over goes into queues that the thread empties; what arrived waits in queues until it is
taken. Each queue has a size, and what a full one drops is counted. When the server goes away, the
thread connects again and sets everything up anew: streams, last values, mirrors, consumers.

Per partner (names in `nats_config`): in its `OUT_` account a memory stream of last values and a file
stream of records; in its `IN_` account the two mirrors of what it gives us, which we read from our own
server, link or no link. An owner's *beacon* says once a second how far its streams go, by which a reader
knows a mirror that stands still, or skipped something, and makes it anew. A reader that begins asks for one.
"""

import asyncio
import contextlib
import logging
import math
import secrets
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from skypact.core.clock import Clock, SystemClock
from skypact.exchange.engine import Message, StoredRecord
from skypact.exchange.nats_config import (
    CONSUMERS_MAX,
    JOURNAL,
    JOURNAL_BYTES,
    JOURNAL_MIRROR,
    LOCAL_INBOX,
    VALUES,
    VALUES_BYTES,
    VALUES_MIRROR,
    back_subject,
    beacon_subject,
    inlet_user,
    journal_subject,
    last_subject,
    live_subject,
    outlet_user,
)
from skypact.exchange.nats_server import Server

log = logging.getLogger(__name__)

LIVE_MESSAGES, LIVE_BYTES = 4096, 64 << 20  # of one queue of live messages
RECORDS_WAITING = 16_384  # records of one queue
SUBJECTS_MAX = 4096  # last values of one partner
APPENDS_IN_FLIGHT = 512  # unacknowledged appends at the server
RECONNECT_PAUSE = 0.1  # s
REFUSED_PAUSE = 0.5  # s until a record that the server refused, perhaps for a full disk, is tried again
REQUEST_WAIT = 5.0  # s for an answer of our own server
BEACON_PERIOD = 1.0  # s
BEACON_PAUSE = 0.05  # s at least between two, however often a reader asks
ASK = "beacon"  # what a reader that begins sends back, so that it need not wait for the next beacon
MIRROR_LOOK = 0.5  # s between two looks at a mirror
FEED_SILENT = 4.0  # s; who delivers from a stream beats each second, so one silent for longer has ended
PATIENCE = 8.0  # s that a mirror may stand still while the link carries; as a rule it goes on within 1.3 s


@dataclass(slots=True)
class Counts:
    """What one outlet or inlet could not do, since it began."""

    dropped: int = 0  # messages that a full queue dropped
    refused: int = 0  # appends and last values that the server refused
    out_of_order: int = 0  # appends that were not the next one
    reconnects: int = 0  # times that the server was away
    mirrors_renewed: int = 0  # mirrors that were made anew because they stood still
    gaps: int = 0  # places where our own server's delivery had to be asked again


@dataclass(frozen=True, slots=True)
class _Beacon:
    """What an owner's beacon says."""

    token: str = ""  # of its stream of last values, new whenever that begins anew
    values: int = 0  # last sequence there
    records: int = 0  # last sequence of its stream of records

    def encode(self) -> bytes:
        return f"{self.token} {self.values} {self.records}".encode()


def _decode_beacon(payload: bytes) -> _Beacon | None:
    """The beacon of an owner, who may send anything; None where it is none."""
    words = payload[:128].decode("ascii", "replace").split(" ")
    if len(words) != 3 or not all(word.isdecimal() and word.isascii() for word in words[1:]):
        return None
    return _Beacon(words[0], int(words[1]), int(words[2]))


@dataclass(slots=True)
class _LiveQueue:
    """Messages in order; a full queue drops the oldest, since live data ages."""

    counts: Counts
    messages: deque[Message] = field(default_factory=deque)
    size: int = 0  # bytes
    lock: threading.Lock = field(default_factory=threading.Lock)

    def push(self, message: Message) -> None:
        with self.lock:
            self.messages.append(message)
            self.size += len(message.payload)
            while len(self.messages) > LIVE_MESSAGES or self.size > LIVE_BYTES:
                self.size -= len(self.messages.popleft().payload)
                self.counts.dropped += 1

    def take(self) -> list[Message]:
        with self.lock:
            taken = list(self.messages)
            self.messages.clear()
            self.size = 0
            return taken


class NatsEngine:
    """The engine of one centre over its NATS server."""

    def __init__(self, server: Server, clock: Clock | None = None) -> None:
        """Begin; the server need not run yet. Args: `clock` stamps what arrives."""
        self._server = server
        self._clock = clock or SystemClock()
        self._outlets: dict[str, NatsOutlet] = {}
        self._inlets: dict[str, NatsInlet] = {}
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"exchange-{server.centre}", daemon=True)
        self._thread.start()

    def outlet(self, partner: str) -> "NatsOutlet":
        """The outlet for a partner, by its name."""
        assert not self._closed
        if partner not in self._outlets:
            self._outlets[partner] = NatsOutlet(self._server, partner, self._clock, self._loop)
            self._outlets[partner].begin()
        return self._outlets[partner]

    def inlet(self, partner: str, after: int = 0, log: str = "") -> "NatsInlet":
        """A new inlet from a partner, in place of a former one."""
        assert not self._closed
        if partner in self._inlets:
            self._inlets[partner].end()
        self._inlets[partner] = NatsInlet(self._server, partner, after, log, self._clock, self._loop)
        self._inlets[partner].begin()
        return self._inlets[partner]

    def forget(self, partner: str) -> None:
        """End the outlet and the inlet of a partner that is one no longer."""
        for ends in (self._outlets.pop(partner, None), self._inlets.pop(partner, None)):
            if ends is not None:
                ends.end()

    def close(self) -> None:
        """Stop; everything that was stored stays stored. Waits for the thread, a second at most."""
        if self._closed:
            return
        self._closed = True
        for session in (*self._outlets.values(), *self._inlets.values()):
            session.end()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()


class _Session(ABC):
    """One connection to the server in one partner's account, made again whenever it breaks."""

    def __init__(
        self, server: Server, user: str, partner: str, clock: Clock, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.counts = Counts()
        self.partner = partner
        self._server = server
        self._user = user
        self._clock = clock
        self._loop = loop
        self._connected = False
        self._has_work = threading.Event()  # set while a wake-up is on its way to the thread
        self._work = asyncio.Event()
        self._running: Future[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether our own server answers and all is set up; says nothing of the partner's."""
        return self._connected

    def begin(self) -> None:
        """Connect, and stay connected."""
        self._running = asyncio.run_coroutine_threadsafe(self._keep_connected(), self._loop)

    def end(self) -> None:
        """Close the connection."""
        if self._running is not None:
            self._running.cancel()

    def _wake(self) -> None:
        if not self._has_work.is_set():
            self._has_work.set()
            with contextlib.suppress(RuntimeError):  # closed in between
                self._loop.call_soon_threadsafe(self._work.set)

    async def _wait_for_work(self) -> None:
        await self._work.wait()
        self._work.clear()
        self._has_work.clear()

    async def _keep_connected(self) -> None:
        refused: str | None = None
        while True:
            try:
                await self._one_connection()
            except APIError as error:
                # Our server runs and won't do what the exchange needs: that passes by no reconnecting.
                if error.description != refused:
                    log.error("exchange with %s refused by our server: %s", self.partner, error.description)
                refused = error.description
            except (OSError, nats.errors.Error, TimeoutError) as error:
                log.debug("exchange connects again: %r", error, extra={"user": self._user})
            except Exception:
                # Not expected; but the exchange with this partner must not end for it in silence.
                log.exception("exchange failed and begins anew", extra={"user": self._user})
            self.counts.reconnects += self._connected
            self._connected = False
            await asyncio.sleep(RECONNECT_PAUSE)

    async def _one_connection(self) -> None:
        """From connecting to the first thing that fails; raises what failed."""
        login = self._server.login(self._user)
        closed = self._loop.create_future()

        async def lost() -> None:
            if not closed.done():
                closed.set_result(None)

        async def failed(error: Exception) -> None:
            log.debug("exchange client", extra={"user": self._user, "error": repr(error)})

        client = await nats.connect(
            login.url.split(","),
            user=login.user,
            password=login.password,
            allow_reconnect=False,
            connect_timeout=2,
            ping_interval=2,
            max_outstanding_pings=2,
            inbox_prefix=LOCAL_INBOX,
            pending_size=LIVE_BYTES,
            error_cb=failed,
            closed_cb=lost,
        )
        tasks: list[asyncio.Future[None]] = [closed]
        try:
            jobs = await self._set_up(client, client.jetstream(timeout=REQUEST_WAIT))
            self._connected = True
            tasks += [asyncio.ensure_future(job) for job in jobs]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks[1:], return_exceptions=True)
            with contextlib.suppress(Exception):  # already broken in whatever way
                await client.close()

    @abstractmethod
    async def _set_up(self, client: Client, js: JetStreamContext) -> list[Coroutine[Any, Any, None]]:
        """Make what must be there and return the jobs that run while the connection stands."""

    def _received(self, subject: str, prefix: str, payload: bytes) -> Message:
        return Message(subject.removeprefix(f"{prefix}."), payload, self._clock.now())


class NatsOutlet(_Session):
    """What we give one partner, at our end."""

    def __init__(self, server: Server, partner: str, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = server.centre
        self._lock = threading.Lock()  # of the next five
        self._values: dict[str, bytes] = {}  # last values as they should stand
        # Subjects whose value the server doesn't have yet, the one that waits for longest first.
        self._changed: dict[str, None] = {}
        self._is_cleared = False
        self._records: deque[tuple[int, bytes]] = deque()  # handed over, not yet stored
        self._next = 0  # the sequence that must be appended next; 0 until it is known
        self._stored = 0
        self._append_work = asyncio.Event()
        self._asked = asyncio.Event()  # set when the partner asks for a beacon
        self._token = ""  # of the stream of last values
        self._last_value = 0  # sequence in that stream
        self._written = ""  # secret subject prefix under which this connection writes
        super().__init__(server, outlet_user(partner), partner, clock, loop)
        self._live = _LiveQueue(self.counts)
        self._back = _LiveQueue(self.counts)

    def publish(self, subject: str, payload: bytes) -> None:
        """Send at most once; lost where the link is cut or the partner is away."""
        if self._connected:
            self._live.push(Message(subject, payload, 0.0))
            self._wake()
        else:
            self.counts.dropped += 1

    def put(self, subject: str, payload: bytes) -> None:
        """Set the last value of a subject; the partner gets it now, or when it joins."""
        with self._lock:
            assert subject in self._values or len(self._values) < SUBJECTS_MAX
            self._values[subject] = payload
            self._changed.setdefault(subject)
        self._wake()

    def clear(self) -> None:
        """Forget all last values, so that a partner that joins later gets none of them."""
        with self._lock:
            self._values.clear()
            self._changed.clear()
            self._is_cleared = True
        self._wake()

    def append(self, sequence: int, payload: bytes) -> None:
        """Store a record of our log for the partner, once, however often it is handed over.

        Only the record after the last one handed over is taken, and only while fewer than
        `RECORDS_WAITING` wait; others are counted, and the caller hands over again what is `wanted`.
        """
        with self._lock:
            if sequence <= self._stored or (self._next and sequence < self._next):
                return
            if self._next and sequence != self._next:
                self.counts.out_of_order += 1
                return
            if len(self._records) >= RECORDS_WAITING:
                self.counts.dropped += 1
                return
            self._records.append((sequence, payload))
            self._next = sequence + 1
        self._wake()

    @property
    def wanted(self) -> int | None:
        """Sequence of the record that is to be handed over next; None until the server has told it."""
        return self._next if self._connected else None

    @property
    def stored(self) -> int:
        """Sequence of the last record that is stored durably for the partner; 0 for none."""
        return self._stored

    def take(self) -> list[Message]:
        """What the partner sent back since the last call, in order of arrival."""
        return self._back.take()

    async def _set_up(self, client: Client, js: JetStreamContext) -> list[Coroutine[Any, Any, None]]:
        owner = self._owner
        # The server answers a partner's request on whatever subject the partner names, so the streams
        # listen where it can't know, and store under the names that it does.
        self._written = f"write-{secrets.token_hex(16)}"
        await self._renew_values(js)
        stored = await _ensure_stream(
            js,
            name=JOURNAL,
            subjects=[f"{self._written}.journal"],
            subject_transform=api.SubjectTransform(f"{self._written}.journal", journal_subject(owner)),
            storage=api.StorageType.FILE,
            max_bytes=JOURNAL_BYTES,
            discard=api.DiscardPolicy.NEW,
            deny_delete=True,
            deny_purge=True,
            max_consumers=CONSUMERS_MAX,
            duplicate_window=120.0,
        )
        back = back_subject(owner)

        async def came_back(message: Msg) -> None:
            if message.subject == f"{back}.{ASK}":
                self._asked.set()
                return
            self._back.push(self._received(message.subject, back, message.data))

        await client.subscribe(f"{back}.>", cb=came_back)
        with self._lock:
            self._changed = dict.fromkeys(self._values)
            self._is_cleared = False
        self._resume_after(stored.state.last_seq)
        self._work.set()
        self._append_work.set()
        return [self._send(client, js), self._append_records(js), self._beacon(client)]

    async def _renew_values(self, js: JetStreamContext) -> None:
        """Begin the stream of last values anew, under a new token, by which the partner's mirror is renewed.

        A mirror keeps what was removed from its source, and one whose source began again at sequence 1,
        as a memory stream does when its server was restarted, stands still; so both begin again together.
        """
        self._token = secrets.token_hex(8)
        self._last_value = 0
        with contextlib.suppress(NotFoundError):
            await js.delete_stream(VALUES)
        await js.add_stream(
            name=VALUES,
            subjects=[f"{self._written}.last.>"],
            subject_transform=api.SubjectTransform(
                f"{self._written}.last.>", f"{last_subject(self._owner)}.>"
            ),
            storage=api.StorageType.MEMORY,
            max_msgs_per_subject=1,
            max_bytes=VALUES_BYTES,
            max_consumers=CONSUMERS_MAX,
        )

    def _resume_after(self, stored: int) -> None:
        """Go on after the last record that the server has."""
        with self._lock:
            self._stored = stored
            while self._records and self._records[0][0] <= stored:
                self._records.popleft()
            if self._records and self._records[0][0] != stored + 1:
                self.counts.out_of_order += len(self._records)
                self._records.clear()
            self._next = stored + 1 + len(self._records)

    async def _send(self, client: Client, js: JetStreamContext) -> None:
        live = live_subject(self._owner)
        while True:
            await self._wait_for_work()
            self._append_work.set()
            with self._lock:
                is_cleared, self._is_cleared = self._is_cleared, False
                values = {subject: self._values[subject] for subject in self._changed}
                self._changed.clear()
            if is_cleared:
                await self._renew_values(js)
                await self._send_beacon(client)
            for message in self._live.take():
                await client.publish(f"{live}.{message.subject}", message.payload)
            for subject, payload in values.items():
                stored = await js.publish_async(f"{self._written}.last.{subject}", payload)
                stored.add_done_callback(partial(self._put_answered, subject, self._token))

    def _put_answered(self, subject: str, token: str, stored: "asyncio.Future[api.PubAck]") -> None:
        if stored.cancelled():
            return
        if stored.exception() is None:
            if token == self._token:
                self._last_value = stored.result().seq
            return
        self.counts.refused += 1
        with self._lock:
            if subject in self._values:
                self._changed.setdefault(subject)
        self._loop.call_later(REFUSED_PAUSE, self._wake)

    async def _append_records(self, js: JetStreamContext) -> None:
        """Store what waits, many at a time and in order, again and again until each is acknowledged.

        The server takes a record only after its predecessor, so a lost one never leaves a gap, and
        one that was stored although its acknowledgement was lost is not stored twice.
        """
        is_refused = False
        while True:
            await self._append_work.wait()
            self._append_work.clear()
            while self._records:
                try:
                    await self._append_some(js)
                    is_refused = False
                except (APIError, TimeoutError) as error:
                    self.counts.refused += 1
                    if not is_refused:
                        log.error("record not stored for %s: %r", self.partner, error)
                    is_refused = True
                    await asyncio.sleep(REFUSED_PAUSE)
                    info = await js.stream_info(JOURNAL)
                    self._resume_after(info.state.last_seq)

    async def _append_some(self, js: JetStreamContext) -> None:
        with self._lock:
            batch = [self._records[i] for i in range(min(len(self._records), APPENDS_IN_FLIGHT))]
        answers = []
        for sequence, payload in batch:
            headers = {
                api.Header.MSG_ID.value: f"{self._owner}-{sequence}",
                api.Header.EXPECTED_LAST_SEQUENCE.value: str(sequence - 1),
            }
            answers.append(await js.publish_async(f"{self._written}.journal", payload, headers=headers))
        for answer in answers:
            # A refused one refuses all after it: their errors are the same and need no look.
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        for (sequence, _), answer in zip(batch, answers, strict=True):
            acknowledged = await asyncio.wait_for(answer, REQUEST_WAIT)
            assert acknowledged.seq == sequence
            with self._lock:
                self._stored = sequence
                self._records.popleft()

    async def _beacon(self, client: Client) -> None:
        while True:
            self._asked.clear()
            await self._send_beacon(client)
            await asyncio.sleep(BEACON_PAUSE)
            await _wait_for(self._asked, BEACON_PERIOD - BEACON_PAUSE)

    async def _send_beacon(self, client: Client) -> None:
        beacon = _Beacon(self._token, self._last_value, self._stored)
        await client.publish(beacon_subject(self._owner), beacon.encode())


class NatsInlet(_Session):
    """What one partner gives us, at our end."""

    def __init__(
        self,
        server: Server,
        partner: str,
        after: int,
        log: str,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._lock = threading.Lock()  # of the next three
        self._values: dict[str, Message] = {}  # the newest of each subject, not yet taken
        self._subjects: set[str] = set()
        self._records: deque[StoredRecord] = deque()
        self._read = after  # sequence of the last record in or through the queue
        self._log = log
        self._has_space = asyncio.Event()
        self._heard = _Beacon()  # the partner's last beacon
        self._beacon_at = -math.inf  # when the last beacon came, by the loop's clock
        self._has_heard = asyncio.Event()  # set once a beacon came over this connection
        super().__init__(server, inlet_user(partner), partner, clock, loop)
        self._live = _LiveQueue(self.counts)
        self._back = _LiveQueue(self.counts)

    def take(self) -> list[Message]:
        """Last values and live messages since the last call, each subject in order.

        Of a last value that changed several times since, the newest alone.
        """
        with self._lock:
            values = list(self._values.values())
            self._values.clear()
        return values + self._live.take()

    def take_records(self) -> list[StoredRecord]:
        """Records of the partner's log since the last call, each once and in order."""
        with self._lock:
            records = list(self._records)
            self._records.clear()
        if len(records) >= RECORDS_WAITING:
            with contextlib.suppress(RuntimeError):  # closed in between
                self._loop.call_soon_threadsafe(self._has_space.set)
        return records

    def reply(self, subject: str, payload: bytes) -> None:
        """Send back to the partner, at most once."""
        if self._connected:
            self._back.push(Message(subject, payload, 0.0))
            self._wake()
        else:
            self.counts.dropped += 1

    async def _set_up(self, client: Client, js: JetStreamContext) -> list[Coroutine[Any, Any, None]]:
        live = live_subject(self.partner)

        async def arrived(message: Msg) -> None:
            self._live.push(self._received(message.subject, live, message.data))

        async def beacon(message: Msg) -> None:
            if (heard := _decode_beacon(message.data)) is not None:
                self._heard = heard
                self._beacon_at = self._loop.time()
                self._has_heard.set()

        self._has_heard.clear()
        await client.subscribe(f"{live}.>", cb=arrived, pending_bytes_limit=LIVE_BYTES)
        await client.subscribe(beacon_subject(self.partner), cb=beacon)
        await client.publish(f"{back_subject(self.partner)}.{ASK}", b"")
        return [
            self._send(client),
            self._keep_mirror(client, js, VALUES, VALUES_MIRROR),
            self._keep_mirror(client, js, JOURNAL, JOURNAL_MIRROR),
        ]

    async def _send(self, client: Client) -> None:
        back = back_subject(self.partner)
        while True:
            await self._wait_for_work()
            for message in self._back.take():
                await client.publish(f"{back}.{message.subject}", message.payload)

    async def _keep_mirror(self, client: Client, js: JetStreamContext, stream: str, mirror: str) -> None:
        """Read a mirror at our server, and make it anew where it can't go on.

        A mirror is made while the link carries only: one that does not find its source tries again
        after tens of seconds (nats-server issue 6454).
        """
        reading: asyncio.Future[None] | None = None
        well_at = self._loop.time()  # when the mirror had last no reason to stand still
        reached = 0  # last sequence in the mirror
        try:
            while True:
                info = await _find_stream(js, mirror)
                now = self._loop.time()
                carries = now - self._beacon_at < 2.5 * BEACON_PERIOD
                if not carries or (info is not None and self._goes_on(stream, info, reached)):
                    well_at = now
                reached = info.state.last_seq if info is not None else 0
                stands_still = now - well_at > PATIENCE
                if carries and (info is None or stands_still or self._is_useless(stream, info)):
                    if reading is not None:
                        reading.cancel()
                        reading = None
                    if info is not None:
                        self.counts.mirrors_renewed += 1
                        await js.delete_stream(mirror)
                    await self._make_mirror(js, stream, mirror)
                    well_at = now
                elif info is not None and reading is None:
                    reading = asyncio.ensure_future(self._read_mirror(client, js, stream, mirror))
                    reading.add_done_callback(_note_end)
                elif reading is not None and reading.done():
                    reading.result()  # raises what ended it, so that all is set up anew
                elif self._has_heard.is_set():
                    await asyncio.sleep(MIRROR_LOOK)
                else:
                    await _wait_for(self._has_heard, MIRROR_LOOK)
        finally:
            if reading is not None:
                reading.cancel()

    def _goes_on(self, stream: str, info: api.StreamInfo, reached: int) -> bool:
        """Whether the mirror hears its source, and has all of it or has come on since the last look."""
        silent = info.mirror.active if info.mirror is not None else None  # ns; negative for ever
        is_heard = silent is not None and 0 <= silent < FEED_SILENT * 1e9
        if stream == JOURNAL:
            has_all = self._heard.records <= max(info.state.last_seq, self._read)
        else:
            has_all = self._heard.values <= info.state.last_seq
        return info.state.last_seq > reached or (is_heard and has_all)

    def _is_useless(self, stream: str, info: api.StreamInfo) -> bool:
        """Whether the mirror is of what began anew since, or lacks a record that we need."""
        if (info.config.metadata or {}).get("token") != self._token(stream):
            return True
        if stream == VALUES:
            return False
        state = info.state
        if state.messages == 0:
            return state.last_seq > self._read
        return state.first_seq > self._read + 1 or state.messages < state.last_seq - state.first_seq + 1

    def _token(self, stream: str) -> str:
        """What a mirror is of: a log, or last values since they began anew."""
        return self._log if stream == JOURNAL else self._heard.token

    async def _make_mirror(self, js: JetStreamContext, stream: str, mirror: str) -> None:
        is_journal = stream == JOURNAL
        await js.add_stream(
            name=mirror,
            storage=api.StorageType.FILE if is_journal else api.StorageType.MEMORY,
            max_bytes=JOURNAL_BYTES if is_journal else VALUES_BYTES,
            max_msgs_per_subject=-1 if is_journal else 1,
            metadata={"token": self._token(stream)},
            mirror=api.StreamSource(
                name=stream,
                external=api.ExternalStream(api=f"$JS.{self.partner}.API", deliver=""),
                opt_start_seq=self._read + 1 if is_journal else None,
            ),
        )

    async def _read_mirror(self, client: Client, js: JetStreamContext, stream: str, mirror: str) -> None:
        """Hand on all of a mirror in order; ask again after the last one where our server skipped some."""
        while True:
            delivered = asyncio.Queue[Msg](maxsize=0)
            inbox = client.new_inbox()
            subscription = await client.subscribe(inbox, cb=delivered.put)
            try:
                begin: dict[str, Any] = {"deliver_policy": api.DeliverPolicy.LAST_PER_SUBJECT}
                if stream == JOURNAL:
                    begin = {
                        "deliver_policy": api.DeliverPolicy.BY_START_SEQUENCE,
                        "opt_start_seq": self._read + 1,
                    }
                else:
                    begin["filter_subject"] = ">"
                await js.add_consumer(
                    mirror,
                    ack_policy=api.AckPolicy.NONE,
                    deliver_subject=inbox,
                    flow_control=True,
                    idle_heartbeat=1.0,
                    inactive_threshold=10.0,
                    mem_storage=True,
                    **begin,
                )
                await self._hand_on(client, stream, delivered)
            finally:
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()
            self.counts.gaps += 1

    async def _hand_on(self, client: Client, stream: str, delivered: "asyncio.Queue[Msg]") -> None:
        """Until the delivery skips a message or falls silent."""
        expected = 1
        while True:
            try:
                message = await asyncio.wait_for(delivered.get(), FEED_SILENT)
            except TimeoutError:
                return
            if message.headers and message.headers.get(api.Header.STATUS.value) == "100":
                # A flow control message comes as one, or stands in a heartbeat when we were late.
                answer = message.reply or message.headers.get(api.Header.CONSUMER_STALLED.value)
                if answer:
                    await client.publish(answer)
                last = message.headers.get(api.Header.LAST_CONSUMER.value)
                if last is not None and int(last) >= expected:
                    return
                continue
            if not message.reply:
                return  # the consumer ended with its mirror
            place = message.metadata.sequence
            if place.consumer != expected:
                return
            expected += 1
            if stream == VALUES:
                self._hand_on_value(message)
            elif place.stream == self._read + 1:
                await self._hand_on_record(place.stream, message.data)
            elif place.stream > self._read:
                await asyncio.sleep(MIRROR_LOOK)  # in which the mirror, which lacks one, is made anew
                return

    def _hand_on_value(self, message: Msg) -> None:
        value = self._received(message.subject, last_subject(self.partner), message.data)
        with self._lock:
            if value.subject not in self._subjects and len(self._subjects) >= SUBJECTS_MAX:
                self.counts.dropped += 1
                return
            self._subjects.add(value.subject)
            self._values.pop(value.subject, None)  # the newest stands last
            self._values[value.subject] = value

    async def _hand_on_record(self, sequence: int, payload: bytes) -> None:
        while len(self._records) >= RECORDS_WAITING:
            self._has_space.clear()
            await self._has_space.wait()
        with self._lock:
            self._records.append(StoredRecord(sequence, payload))
            self._read = sequence


def _note_end(reading: "asyncio.Future[None]") -> None:
    """Its error, if it has one, is raised where it is awaited; at the end of a connection nobody does."""
    if not reading.cancelled():
        reading.exception()


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, or after a time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _find_stream(js: JetStreamContext, name: str) -> api.StreamInfo | None:
    try:
        return await js.stream_info(name)
    except NotFoundError:
        return None


async def _ensure_stream(js: JetStreamContext, **config: Any) -> api.StreamInfo:
    """Make a stream, or bring one that is there to this configuration; its content stays."""
    found = await _find_stream(js, config["name"])
    if found is None:
        return await js.add_stream(**config)
    return await js.update_stream(**config)
