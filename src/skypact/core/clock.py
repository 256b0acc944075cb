"""Time as something that is handed in: UTC seconds since 1970, from the system or simulated."""

import asyncio
import heapq
import itertools
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from skypact.core.errors import BadInputError


def parse_day(text: str) -> float:
    """The UTC midnight at which a day written as YYYY-MM-DD begins, s since 1970.

    Raises:
        BadInputError: that is no such day.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise BadInputError("no day", text, "write it as YYYY-MM-DD") from None


class Clock(Protocol):
    """Tells the time and waits; UTC seconds since 1970."""

    def now(self) -> float:
        """The time, UTC seconds since 1970."""
        ...

    async def sleep_until(self, due: float) -> None:
        """Return when `now()` has reached `due`; at once when it has passed."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """The time, UTC seconds since 1970."""
        return time.time()

    async def sleep_until(self, due: float) -> None:
        """Return when the machine's clock has reached `due`."""
        await asyncio.sleep(max(0.0, due - time.time()))


@dataclass
class SimulatedClock:
    """A clock that moves only when told to, so that a whole centre runs faster than life and repeatably."""

    time: float = 0.0
    _sleepers: list[tuple[float, int, asyncio.Event]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def now(self) -> float:
        """The simulated time, UTC seconds since 1970."""
        return self.time

    async def sleep_until(self, due: float) -> None:
        """Return when `advance` has moved the clock to `due`."""
        if due <= self.time:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        await woken.wait()

    async def advance(self, seconds: float) -> None:
        """Move the clock on, waking each sleeper at its own time."""
        target = self.time + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, woken = heapq.heappop(self._sleepers)
            self.time = max(self.time, due)
            woken.set()
            for _ in range(8):  # let the woken task run to its next wait
                await asyncio.sleep(0)
        self.time = target
