"""A network link between two centres that can be cut, slowed and healed: a proxy that passes bytes on.

While it is cut, no byte passes and no connection is closed, as when a cable is pulled: each side has
to find out for itself. A connection that was opened during the cut is passed on after it.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field

BLOCK = 65_536  # octets taken at a time
QUEUE = 4_000_000  # octets under way in one direction of a connection, before the sender has to wait


@dataclass
class Link:
    """What one link does to bytes; a change holds at once for all its connections."""

    delay: float = 0.0  # s on the way
    rate: float = float("inf")  # octets/s, of each direction of all connections together
    is_open: dict[str, asyncio.Event] = field(
        default_factory=lambda: {"up": asyncio.Event(), "down": asyncio.Event()}
    )

    def __post_init__(self) -> None:
        """Begin healed."""
        self._free = {"up": 0.0, "down": 0.0}  # when the line is free again, by the loop's clock
        self.heal()

    @property
    def is_cut(self) -> bool:
        """Whether either direction passes nothing."""
        return not all(opened.is_set() for opened in self.is_open.values())

    def cut(self, *directions: str) -> None:
        """Let nothing pass: "up" (from who dials), "down", or both without any."""
        for direction in directions or ("up", "down"):
            self.is_open[direction].clear()

    def heal(self) -> None:
        """Let everything pass again."""
        for opened in self.is_open.values():
            opened.set()

    def take_slot(self, direction: str, size: int, now: float) -> float:
        """When the last of `size` octets that are sent now has arrived, by the loop's clock."""
        start = max(now, self._free[direction])
        self._free[direction] = start + size / self.rate
        return self._free[direction] + self.delay


class LinkProxy:
    """Listens on loopback and passes connections on to a target through a link."""

    def __init__(self, link: Link, target: tuple[str, int]) -> None:
        """Args: `link` that the bytes go over; `target` that connections are passed on to."""
        self.link = link
        self.target = target
        self.port = 0  # where it listens, once started
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen on a loopback port; 0 takes a free one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=BLOCK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close all connections and listen no more."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.link.is_open["up"].wait()
            out_reader, out_writer = await asyncio.open_connection(*self.target, limit=BLOCK)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass_on("up", reader, out_writer))
                    group.create_task(self._pass_on("down", out_reader, writer))
            finally:
                out_writer.close()
        except* (OSError, asyncio.CancelledError):
            pass  # one side is gone, or the proxy stops: both sides see the connection close
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pass_on(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        under_way: deque[tuple[float, bytes]] = deque()
        size = 0
        changed = asyncio.Event()
        is_over = False

        async def deliver() -> None:
            nonlocal size
            while not (is_over and not under_way):
                if not under_way:
                    changed.clear()
                    await changed.wait()
                    continue
                due, data = under_way[0]
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self.link.is_open[direction].wait()
                under_way.popleft()
                size -= len(data)
                writer.write(data)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            while data := await reader.read(BLOCK):
                await self.link.is_open[direction].wait()
                under_way.append((self.link.take_slot(direction, len(data), loop.time()), data))
                size += len(data)
                changed.set()
                while size > QUEUE and not delivering.done():
                    await asyncio.sleep(0.01)
            is_over = True
            changed.set()
            await delivering
            with contextlib.suppress(OSError):
                writer.write_eof()
        finally:
            delivering.cancel()
