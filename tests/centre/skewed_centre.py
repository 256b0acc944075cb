"""Runs a centre whose clock is wrong by some seconds: `python skewed_centre.py SECONDS CONFIG`."""

import asyncio
import dataclasses
import sys
import time
from pathlib import Path

from skypact.centre import service
from skypact.centre.logs import start_logging
from skypact.config import read_config
from skypact.core.clock import SystemClock
from skypact.sensors.receive import Received, UdpReceiver

SKEW = float(sys.argv[1])  # s by which the clock is ahead


class SkewedClock(SystemClock):
    """The machine's clock, as a machine with another time would have it."""

    def now(self) -> float:
        return time.time() + SKEW

    async def sleep_until(self, due: float) -> None:
        await super().sleep_until(due - SKEW)


class SkewedReceiver(UdpReceiver):
    """Stamps datagrams by that clock; the radars' own times are right."""

    def take(self) -> Received:
        taken = super().take()
        datagrams = dataclasses.replace(taken.datagrams, received=taken.datagrams.received + SKEW)
        return dataclasses.replace(taken, datagrams=datagrams, closed=taken.closed + SKEW)


start_logging()
settings = read_config(Path(sys.argv[2]))
service.SystemClock = SkewedClock
feed = SkewedReceiver(list(settings.inputs))
asyncio.run(service.serve(settings, feed, ready=lambda page: print(f"{settings.name} is live at {page}")))
