"""A way between two centres that a test can cut, silence and slow: a TCP proxy on loopback."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

CHUNK = 16_384  # bytes passed on at a time


class ByteProxy:
    """Passes bytes between who connects to `port` and a target port, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.bytes_per_second = 0.0  # of each direction; 0 for no limit
        self.latency = 0.0  # s, each direction
        self.accepted = 0  # connections so far
        self._is_cut = False
        self._flows = {"forth": asyncio.Event(), "back": asyncio.Event()}
        for flow in self._flows.values():
            flow.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(lambda: asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break all connections and refuse new ones, as a router that answers would."""

        async def cut() -> None:
            self._is_cut = True
            for writer in self._writers:
                writer.transport.abort()

        self._call(cut)

    def silence(self, *directions: str) -> None:
        """Let nothing through any more, as a cable that was pulled: `forth` and `back`, or one of them."""

        async def silence() -> None:
            for direction in directions:
                self._flows[direction].clear()

        self._call(silence)

    def heal(self) -> None:
        """Undo all cuts."""

        async def heal() -> None:
            self._is_cut = False
            for flow in self._flows.values():
                flow.set()

        self._call(heal)

    def close(self) -> None:
        """Break all connections and end the thread."""
        self.cut()

        async def close() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._call(close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, make: Callable):
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(10)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, onward}
        self._writers |= pair
        tasks = [
            asyncio.ensure_future(self._pass_on(reader, onward, "forth")),
            asyncio.ensure_future(self._pass_on(there, writer, "back")),
        ]
        try:
            # The streams of asyncio report a cancelled handler as an error of their own.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)

        async def deliver() -> None:
            with contextlib.suppress(OSError):
                while True:
                    due, data = await waiting.get()
                    await asyncio.sleep(max(0.0, due - self._loop.time()))
                    await self._flows[way].wait()
                    writer.write(data)
                    await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(CHUNK):
                    if self.bytes_per_second:
                        await asyncio.sleep(len(data) / self.bytes_per_second)
                    await waiting.put((self._loop.time() + self.latency, data))
        finally:
            delivering.cancel()
