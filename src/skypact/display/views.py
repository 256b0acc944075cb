"""The picture as a partner sees us, for pages that ask for it: a hub of its own while a page looks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from skypact.display.hub import DisplayHub
from skypact.exchange.model import PartnerState
from skypact.sensors.model import SensorHealth


class PartnerViews:
    """One hub for each partner whose view a page shows; every method may be called from any thread.

    A hub ends with its last page, so that no page ever gets a picture of an earlier look.
    """

    def __init__(self, own: DisplayHub) -> None:
        """Args: `own` has our own picture."""
        self.own = own
        self._lock = threading.Lock()
        self._open: dict[str, tuple[DisplayHub, int]] = {}  # and how many streams look

    def knows(self, partner: str | None) -> bool:
        """Whether there is such a view; None is our own."""
        return partner is None or partner in {state.name for state in self.own.partners}

    @contextmanager
    def watch(self, partner: str | None) -> Iterator[DisplayHub]:
        """The hub of a partner's view, kept as long as somebody watches; for None that of our own picture."""
        if partner is None:
            yield self.own
            return
        with self._lock:
            hub, looking = self._open.get(partner) or (self._make(), 0)
            self._open[partner] = hub, looking + 1
        try:
            yield hub
        finally:
            with self._lock:
                hub, looking = self._open.pop(partner)
                if looking > 1:
                    self._open[partner] = hub, looking - 1

    def watched(self) -> dict[str, DisplayHub]:
        """The hubs that somebody looks at, by partner."""
        with self._lock:
            return {partner: hub for partner, (hub, _) in self._open.items()}

    def publish_health(self, health: list[SensorHealth]) -> None:
        """Tell all pages how our sensors do, whatever they show."""
        for hub in (self.own, *self.watched().values()):
            hub.publish_health(health)

    def publish_partners(self, partners: list[PartnerState]) -> None:
        """Tell all pages how the exchange stands, whatever they show."""
        for hub in (self.own, *self.watched().values()):
            hub.publish_partners(partners)

    def _make(self) -> DisplayHub:
        hub = DisplayHub(self.own.history_period)
        hub.publish_health(self.own.health)
        hub.publish_partners(self.own.partners)
        return hub
