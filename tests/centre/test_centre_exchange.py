"""A revoked partner gets nothing more, whatever else fails at that moment."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skypact.centre import exchange as exchange_module
from skypact.centre.exchange import Exchange, open_exchange
from skypact.centre.settings import CentreSettings, ExchangeSettings
from skypact.core.clock import SystemClock
from skypact.exchange.nats_config import ServerConfig
from skypact.exchange.nats_server import free_port
from skypact.exchange.trust import TrustStore, read_partner_file
from skypact.journal.store import JournalWriteError
from skypact.sensors.model import Sensor, make_sensor_table


@pytest.fixture
def settings(tmp_path: Path) -> CentreSettings:
    """ALPHA, which trusts BRAVO."""
    port = free_port()
    sensor = Sensor(name="one", sac=1, sic=1, latitude_deg=50.0, longitude_deg=5.0)
    made = CentreSettings(
        "ALPHA",
        make_sensor_table([sensor]),
        data=tmp_path / "data",
        exchange=ExchangeSettings(("127.0.0.1", port), f"127.0.0.1:{port}", tmp_path / "release"),
    )
    ours = TrustStore.create(made.partners, "ALPHA", f"127.0.0.1:{port}", time.time())
    bravo = TrustStore.create(tmp_path / "bravo", "BRAVO", f"127.0.0.1:{free_port()}", time.time())
    content = bravo.partner_file(time.time())
    ours.accept(content, time.time(), read_partner_file(content, time.time()).fingerprint)
    return made


async def watched(exchange: Exchange, seconds: float) -> None:
    """Let the trust be watched for a time."""
    with ThreadPoolExecutor(1) as worker:
        watch = asyncio.create_task(exchange.watch_trust(worker))
        await asyncio.sleep(seconds)
        assert not watch.done()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


@pytest.mark.parametrize("fails", ["server", "journal"])
async def test_a_revoked_partner_gets_nothing_more_though_others_fail(settings, fails, monkeypatch):
    monkeypatch.setattr(exchange_module, "TRUST_PERIOD", 0.05)
    exchange = open_exchange(settings, SystemClock())
    try:
        assert set(exchange.federation.links) == {"BRAVO"}
        TrustStore(settings.partners).revoke("BRAVO", "laptop lost", time.time())

        def refuse(*_: object) -> None:
            raise OSError(28, "no space left") if fails == "server" else JournalWriteError("disk full")

        reloaded: list[int] = []
        reload = exchange.server.reload

        def note(config: ServerConfig) -> None:
            reload(config)
            reloaded.append(len(config.partners))

        with monkeypatch.context() as broken:
            if fails == "server":
                broken.setattr(exchange.server, "reload", refuse)
            else:
                broken.setattr(exchange.journal, "append", refuse)
                broken.setattr(exchange.server, "reload", note)
            await watched(exchange, 1.0)
            assert exchange.federation.links == {}
            assert fails == "server" or reloaded[-1] == 0
        await watched(exchange, 1.0)
        kinds = [record.kind for record in exchange.journal.read(0, 100)]
        assert kinds.count("partner_revoked") == 1
    finally:
        exchange.close()
