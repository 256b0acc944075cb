"""Opens a centre's exchange: its keys and partners, its journal and their copies, its engine."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from skypact.centre.federation import Federation
from skypact.centre.settings import CentreSettings
from skypact.core.clock import Clock
from skypact.core.errors import BadInputError, SkypactError
from skypact.exchange.model import Rung
from skypact.exchange.nats_engine import NatsEngine
from skypact.exchange.nats_server import NatsServer, link_config
from skypact.exchange.trust import TrustStore
from skypact.journal.copies import Copy, open_copy
from skypact.journal.folder import FOLDER as JOURNAL_FOLDER
from skypact.journal.log import Journal, open_journal
from skypact.journal.model import PartnerJoined, Resumed, Suspended, event_of

log = logging.getLogger(__name__)

ENGINE_FOLDER = "exchange"  # of the engine, there too
RECORDS_A_READ = 10_000


@dataclass
class Exchange:
    """What of the exchange runs beside the tracker."""

    federation: Federation
    server: NatsServer

    def close(self) -> None:
        """Stop it; everything that was stored stays stored."""
        self.federation.close()
        self.server.stop()


def open_exchange(settings: CentreSettings, clock: Clock) -> Exchange:
    """Start the exchange with all partners that are trusted now.

    Raises:
        BadInputError: there are no keys yet, a release policy can't be used, or another centre runs
            on the same folder.
        SkypactError: the engine does not start, or the journal does not prove itself.
    """
    assert settings.exchange is not None
    now = clock.now()
    for name in settings.sensors.names:
        if "/" in name:
            raise BadInputError(f"a slash in the name {name!r}", "sensor", "partners' sensors have one")
    store = TrustStore(settings.partners)
    if store.name != settings.name:
        raise BadInputError(f"these keys are of {store.name}", str(store.folder), "make new ones")
    for expiry in store.expiries(now):
        log.warning("certificate ends", extra={"of": expiry.name, "within_days": expiry.within_days})
    folder = settings.data / JOURNAL_FOLDER
    host, port = settings.exchange.listen
    opened: list[Journal | Copy] = []
    server = NatsServer(link_config(store, settings.data / ENGINE_FOLDER, f"{host}:{port}", now))
    try:
        journal = open_journal(folder, store.name, store.journal_key)
        opened.append(journal)
        copies = {}
        for partner in store.partners():
            copies[partner.name] = open_copy(folder, partner.name, partner.journal_key)
            opened.append(copies[partner.name])
        _record_new_partners(store, journal, now)
        suspended = dict(_suspensions(journal))
        server.start()
        federation = Federation(
            settings.sensors,
            NatsEngine(server, clock),
            journal,
            copies,
            settings.exchange.policies,
            epoch=int(now * 1e9),
            suspended=suspended,
            unit=settings.system_unit,
        )
    except SkypactError:
        server.stop()
        for one in opened:
            one.close()
        raise
    for partner in store.partners():
        federation.links[partner.name].expires = partner.ends
    return Exchange(federation, server)


def _record_new_partners(store: TrustStore, journal: Journal, now: float) -> None:
    """Record partners that a person accepted since the centre ran last."""
    joined: dict[str, str] = {}
    for event in _events(journal):
        if isinstance(event, PartnerJoined):
            joined[event.partner] = event.certificate
    for partner in store.partners():
        certificate = partner.certificate_digest
        if joined.get(partner.name) != certificate:
            event = PartnerJoined(partner=partner.name, key=partner.journal_key, certificate=certificate)
            journal.append(event, now)


def _suspensions(journal: Journal) -> Iterator[tuple[str, tuple[Rung, str]]]:
    """Partners whose suspension no person ended, with the rung that they get and the reason."""
    suspended: dict[str, tuple[Rung, str]] = {}
    for event in _events(journal):
        if isinstance(event, Suspended):
            suspended[event.partner] = Rung[event.rung.upper()], event.reason
        elif isinstance(event, Resumed):
            suspended.pop(event.partner, None)
    yield from suspended.items()


def _events(journal: Journal) -> Iterator[object]:
    after = 0
    while records := journal.read(after, RECORDS_A_READ):
        after = records[-1].sequence
        for record in records:
            yield event_of(record)
