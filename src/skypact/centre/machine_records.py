"""Records that the machine makes by itself: a full disk must not stop the picture, and nothing is left out.

What the disk refuses waits in memory and is recorded, under the time at which it befell, once there is
room again; a record before it says that the journal stood still.
"""

import logging
from collections import deque

from skypact.core.errors import SkypactError
from skypact.journal.log import Journal
from skypact.journal.model import AnyEvent, JournalStopped

log = logging.getLogger(__name__)

RETRY_PERIOD = 1.0  # s
MOST_WAITING = 10_000  # events; a link that comes and goes each second for hours


class MachineRecords:
    """Records events in the order in which they befell, as soon as the disk takes them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: deque[tuple[AnyEvent, float]] = deque(maxlen=MOST_WAITING)
        self._retry = -float("inf")
        self._is_stopped = False

    def record(self, event: AnyEvent, now: float) -> None:
        """Record what befell at `now`, or keep it until that is possible."""
        self._waiting.append((event, now))
        self.step(now)

    def step(self, now: float) -> None:
        """Record what waits; a disk that refused is asked again each second."""
        # A clock that was set back must not put the next try off.
        if not self._waiting or self._retry - RETRY_PERIOD <= now < self._retry:
            return
        while self._waiting:
            event, at = self._waiting[0]
            try:
                self._journal.append(event, at)
            except SkypactError as error:
                self._retry = now + RETRY_PERIOD
                if not self._is_stopped:
                    self._is_stopped = True
                    log.error("journal can't be written", extra={"error": str(error)})
                    self._waiting.appendleft((JournalStopped(reason=str(error)), at))
                return
            self._waiting.popleft()
        if self._is_stopped:
            self._is_stopped = False
            log.warning("journal goes on")
