"""Opens a centre's exchange: its keys and partners, its journal and their copies, its engine.

While the centre runs, what people do to its trust (`skypact partner join|renew|revoke`) and what the
calendar does to its certificates is taken up within `TRUST_PERIOD`.
"""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

from skypact.centre.federation import Federation
from skypact.centre.settings import CentreSettings
from skypact.core.clock import Clock
from skypact.core.errors import BadInputError, SkypactError
from skypact.exchange.model import Rung
from skypact.exchange.nats_config import ServerConfig
from skypact.exchange.nats_engine import NatsEngine
from skypact.exchange.nats_existing import ExistingServer, read_password
from skypact.exchange.nats_server import NatsServer, Server, link_config
from skypact.exchange.trust import Partner, TrustStore
from skypact.journal.copies import Copy, open_copy
from skypact.journal.fold import NOTHING, CentreState, PartnerState, fold_on, step
from skypact.journal.folder import FOLDER as JOURNAL_FOLDER
from skypact.journal.log import Journal, open_journal
from skypact.journal.model import (
    CertificateChanged,
    PartnerJoined,
    PartnerRevoked,
    Record,
    Resumed,
    Suspended,
    event_of,
)
from skypact.journal.seal import key_hex

log = logging.getLogger(__name__)

ENGINE_FOLDER = "exchange"  # of the engine, in the data folder
RECORDS_A_READ = 10_000
TRUST_PERIOD = 2.0  # s between two looks at what is trusted


@dataclass
class Exchange:
    """What of the exchange runs beside the tracker."""

    federation: Federation
    server: Server
    journal: Journal
    settings: CentreSettings
    clock: Clock
    partners: dict[str, Partner]  # with whom we exchange
    _state: CentreState = NOTHING  # what our journal says,
    _folded: int = 0  # up to this record
    _warned: dict[str, int] = field(default_factory=dict)  # days of the last warning, by whose certificate
    _owes_records: bool = False  # of what was taken up
    _said: str = ""  # why the last look at the trust failed

    def close(self) -> None:
        """Stop it; everything that was stored stays stored."""
        self.federation.close()
        self.server.stop()

    async def watch_trust(self, tracking: Executor) -> None:
        """Take up what people and the calendar change in our trust, for ever.

        Args: `tracking` runs the steps of the centre, between which partners come and go.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TRUST_PERIOD)
            # Our own end first, since a gateway that is gone gives nothing, whatever the server does; that
            # may have to start again, which no step waits for.
            faults = [
                await self._tried(loop.run_in_executor(executor, act))
                for executor, act in ((tracking, self.take_up), (None, self.reload_server))
            ]
            said = "; ".join(fault for fault in faults if fault)
            if said and said != self._said:
                log.error("trust not taken up", extra={"error": said})
            self._said = said

    async def _tried(self, act: "asyncio.Future[None]") -> str:
        """What went wrong, for people; "" for nothing."""
        try:
            await act
        except SkypactError as error:
            return str(error)
        except Exception as error:
            # Whatever it is, as a full disk: a watch that ended would leave in whom people revoke later.
            return repr(error)
        return ""

    def reload_server(self) -> None:
        """Bring the engine's server to what is trusted now; warn of certificates that end.

        Raises:
            SkypactError: what is trusted can't be read, or the server refuses it.
            OSError: a file can't be written.
        """
        now = self.clock.now()
        store = TrustStore(self.settings.partners)
        self.warn_of_ends(store, now)
        self.server.reload(_server_config(self.settings, store, now))

    def warn_of_ends(self, store: TrustStore, now: float) -> None:
        """Say which certificates end within 30, 7 or 1 days, each time once."""
        ending = {expiry.name: expiry.within_days for expiry in store.expiries(now)}
        for name, days in ending.items():
            if self._warned.get(name) != days:
                log.warning("certificate ends", extra={"of": name, "within_days": days})
        self._warned = ending

    def take_up(self) -> None:
        """Exchange with exactly the partners that are trusted now, and record what changed.

        Raises:
            SkypactError: it can't be recorded, or a partner's policy or copy can't be used.
        """
        store = TrustStore(self.settings.partners)
        # Each time a little, so that a long journal holds up no picture when something changes.
        for record in _records(self.journal, self._folded):
            self._state, self._folded = step(self._state, record), record.sequence
        trusted = {partner.name: partner for partner in store.partners()}
        is_signed_by_newest = key_hex(store.journal_key.public_key()) == self.journal.head.key
        if trusted == self.partners and is_signed_by_newest and not self._owes_records:
            return
        now = self.clock.now()
        for name, known in list(self.partners.items()):
            if name not in trusted or trusted[name].first_key != known.first_key:
                self.federation.drop_partner(name)
                del self.partners[name]
                log.warning("partner revoked", extra={"partner": name})
        self._owes_records = True  # until they are written: a full disk may refuse them now
        _record_trust(store, self.journal, self._state, now)
        self._owes_records = False
        for name, partner in trusted.items():
            if name not in self.partners:
                copy = open_copy(self.settings.data / JOURNAL_FOLDER, name, partner.first_key)
                try:
                    self.federation.add_partner(copy, int(now * 1e9))
                except SkypactError:
                    copy.close()
                    raise
                log.warning("partner joined", extra={"partner": name})
            self.federation.links[name].expires = partner.ends
            self.partners[name] = partner


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
    folder = settings.data / JOURNAL_FOLDER
    opened: list[Journal | Copy] = []
    server = _make_server(settings, store, now)
    try:
        journal = open_journal(folder, store.name, *store.journal_keys)
        opened.append(journal)
        _record_trust(store, journal, fold_on(NOTHING, _records(journal)), now)
        partners = {partner.name: partner for partner in store.partners()}
        copies = {}
        for name, partner in partners.items():
            copies[name] = open_copy(folder, name, partner.first_key)
            opened.append(copies[name])
        server.start()
        federation = Federation(
            settings.sensors,
            NatsEngine(server, clock),
            journal,
            copies,
            settings.exchange.policies,
            epoch=int(now * 1e9),
            suspended=dict(_suspensions(journal)),
            unit=settings.system_unit,
        )
    except SkypactError:
        server.stop()
        for one in opened:
            one.close()
        raise
    for name, partner in partners.items():
        federation.links[name].expires = partner.ends
    exchange = Exchange(federation, server, journal, settings, clock, partners)
    exchange.warn_of_ends(store, now)
    return exchange


def _make_server(settings: CentreSettings, store: TrustStore, now: float) -> Server:
    config = _server_config(settings, store, now)
    assert settings.exchange is not None
    if not settings.exchange.server:
        return NatsServer(config)
    password = read_password(settings.exchange.password_file)
    return ExistingServer(store.name, settings.exchange.server, password, config)


def _server_config(settings: CentreSettings, store: TrustStore, now: float) -> ServerConfig:
    assert settings.exchange is not None
    host, port = settings.exchange.listen
    return link_config(store, settings.data / ENGINE_FOLDER, f"{host}:{port}", now)


def _record_trust(store: TrustStore, journal: Journal, state: CentreState, now: float) -> None:
    """Record what people changed in our keys and partners since the journal's `state`."""
    if key_hex(store.journal_key.public_key()) != journal.head.key:
        journal.change_key(store.journal_key, now)
    said = state.partners
    trusted = {partner.name: partner for partner in store.partners()}
    for name, known in said.items():
        if known.key and (name not in trusted or trusted[name].first_key != known.key):
            revoked = store.revocation(name)
            by, reason = (revoked.by, revoked.reason) if revoked is not None else ("", "")
            journal.append(PartnerRevoked(partner=name, by=by, reason=reason), now)
    for name, partner in trusted.items():
        known = said.get(name, PartnerState())
        key, certificate = partner.first_key, partner.certificate_digest
        if known.key != key:
            journal.append(PartnerJoined(partner=name, key=key, certificate=certificate, by=partner.by), now)
        elif known.certificate != certificate:
            journal.append(CertificateChanged(partner=name, certificate=certificate), now)


def _suspensions(journal: Journal) -> Iterator[tuple[str, tuple[Rung, str]]]:
    """Partners whose suspension no person ended, with the rung that they get and the reason."""
    suspended: dict[str, tuple[Rung, str]] = {}
    for record in _records(journal):
        match event_of(record):
            case Suspended() as event:
                suspended[event.partner] = Rung[event.rung.upper()], event.reason
            case Resumed(partner=name) | PartnerRevoked(partner=name):
                suspended.pop(name, None)
    yield from suspended.items()


def _records(journal: Journal, after: int = 0) -> Iterator[Record]:
    while records := journal.read(after, RECORDS_A_READ):
        after = records[-1].sequence
        yield from records
