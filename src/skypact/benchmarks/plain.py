"""The same work by a plain NATS client over the same servers and links: what the exchange is held against."""

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api

from skypact.exchange.nats_config import LOCAL_INBOX, back_subject, inlet_user, live_subject, outlet_user
from skypact.exchange.nats_server import Server

WINDOW = 512  # unacknowledged publishes, as the engine's
STREAM = "BENCH"
_STAMP = struct.Struct("<d")  # UTC s since 1970, at the front of each message


@dataclass(frozen=True, slots=True)
class PlainLink:
    """Clients in the two accounts of one partner; each method makes and ends its own."""

    server: Server
    partner: str

    def publish(self, count: int, size: int, burst: int, pause: float, seconds: float) -> None:
        """Each second publish `count` messages of `size` bytes, `burst` at a time, `pause` s between."""

        async def act(client: Client) -> None:
            payload = bytes(size - _STAMP.size)
            begun = time.time()
            for second in range(round(seconds)):
                await asyncio.sleep(max(0.0, begun + second - time.time()))
                for sent in range(count):
                    if sent and sent % burst == 0:
                        await asyncio.sleep(pause)
                    await client.publish(self._live, _STAMP.pack(time.time()) + payload)

        self._run(outlet_user(self.partner), act)

    def listen(self, seconds: float) -> list[float]:
        """Seconds from publishing to arrival of each message that the partner publishes in this time."""
        delays: list[float] = []

        async def act(client: Client) -> None:
            async def arrived(message: Msg) -> None:
                delays.append(time.time() - _STAMP.unpack_from(message.data)[0])

            await client.subscribe(self._theirs, cb=arrived)
            await asyncio.sleep(seconds)

        self._run(inlet_user(self.partner), act)
        return delays

    def answer(self, size: int, requests: int) -> None:
        """Answer so many requests of the partner with `size` bytes each."""

        async def act(client: Client) -> None:
            asked = await client.subscribe(f"{back_subject(self.server.centre)}.bench")
            for _ in range(requests):
                await asked.next_msg(timeout=30.0)
                await client.publish(self._live, bytes(size))
            await client.flush()

        self._run(outlet_user(self.partner), act)

    def ask(self, requests: int) -> list[float]:
        """Seconds from each request to the whole answer of the partner."""
        delays: list[float] = []

        async def act(client: Client) -> None:
            answers = await client.subscribe(self._theirs)
            await asyncio.sleep(1.0)  # until both sides' subscriptions are known on the other
            for _ in range(requests):
                begun = time.perf_counter()
                await client.publish(f"{back_subject(self.partner)}.bench", b"")
                await answers.next_msg(timeout=30.0)
                delays.append(time.perf_counter() - begun)

        self._run(inlet_user(self.partner), act)
        return delays

    def store(self, count: int, size: int) -> float:
        """Seconds to store so many messages in a stream on disk, `WINDOW` at a time unacknowledged."""
        spent = 0.0

        async def act(client: Client) -> None:
            nonlocal spent
            js = client.jetstream(timeout=30.0, publish_async_max_pending=WINDOW)
            await js.add_stream(name=STREAM, subjects=["bench"], storage=api.StorageType.FILE)
            begun = time.perf_counter()
            for _ in range(count):
                await js.publish_async("bench", bytes(size))
            await js.publish_async_completed()
            spent = time.perf_counter() - begun
            await js.delete_stream(STREAM)

        self._run(outlet_user(self.partner), act)
        return spent

    def delete_mirror(self, mirror: str) -> None:
        """Let our server forget what it mirrors of the partner."""

        async def act(client: Client) -> None:
            await client.jetstream(timeout=30.0).delete_stream(mirror)

        self._run(inlet_user(self.partner), act)

    @property
    def _live(self) -> str:
        return f"{live_subject(self.server.centre)}.bench"

    @property
    def _theirs(self) -> str:
        return f"{live_subject(self.partner)}.bench"

    def _run(self, user: str, act: Callable[[Client], Awaitable[Any]]) -> None:
        async def connected() -> None:
            login = self.server.login(user)
            client = await nats.connect(
                login.url, user=login.user, password=login.password, inbox_prefix=LOCAL_INBOX
            )
            try:
                await act(client)
            finally:
                await client.close()

        asyncio.run(connected())
