"""The engine's copy of our journal is filled from our files, however late it comes, whatever it loses."""

import shutil
from pathlib import Path

import pytest
from nats_federation import NatsPair
from simulated_link import SENSORS

from skypact.centre import federation
from skypact.centre.federation import Federation
from skypact.exchange import nats_engine
from skypact.exchange.nats_config import STORE_FOLDER
from skypact.exchange.nats_engine import NatsEngine
from skypact.journal.copies import open_copy
from skypact.journal.log import open_journal
from skypact.journal.model import LinkUp
from skypact.journal.seal import key_hex
from skypact.plots.model import make_plots

RECORDS = 200


def make_federation(pair: NatsPair, folder: Path, engine: NatsEngine, records: int) -> Federation:
    """ALPHA with a journal of so many records, all of which BRAVO may read."""
    store = pair.stores["ALPHA"]
    journal = open_journal(folder / "journal", "ALPHA", store.journal_key)
    for n in range(records):
        journal.append(LinkUp(partner=f"P{n}"), 1_000.0 + n)
    (folder / "release").mkdir()
    (folder / "release" / "BRAVO.toml").write_text('journal = ["*"]')
    copy = open_copy(folder / "journal", "BRAVO", key_hex(pair.stores["BRAVO"].journal_key.public_key()))
    return Federation(SENSORS, engine, journal, {"BRAVO": copy}, folder / "release", 1, {})


def test_a_journal_longer_than_the_engine_takes_at_once_reaches_a_partner_whole_and_again_after_a_loss(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nats_engine, "RECORDS_WAITING", 50)
    monkeypatch.setattr(federation, "RECORDS_AHEAD", 40)
    monkeypatch.setattr(federation, "RECORDS_A_STEP", 30)
    pair = NatsPair(tmp_path / "servers")
    alpha = make_federation(pair, tmp_path, NatsEngine(pair.servers["ALPHA"]), RECORDS)
    came: list[int] = []
    clock = 5_000.0

    def step() -> None:
        nonlocal clock
        clock += 0.02
        alpha.step(clock, make_plots(0))

    try:
        for _ in range(100):
            step()  # the server does not run yet
        for server in pair.servers.values():
            server.start()
        bravo = NatsEngine(pair.servers["BRAVO"])
        pair.engines["BRAVO"] = bravo
        inlet, outlet = bravo.inlet("ALPHA"), alpha.links["BRAVO"].gateway.outlet

        def has(count: int) -> bool:
            step()
            came.extend(record.sequence for record in inlet.take_records())
            return len(came) >= count and outlet.stored >= count

        pair.until(lambda: has(RECORDS))
        monkeypatch.setattr(
            pair.servers["ALPHA"],
            "_clear_former",
            lambda: shutil.rmtree(tmp_path / "servers" / "ALPHA" / "nats" / STORE_FOLDER),
        )
        pair.kill("ALPHA")
        pair.until(lambda: has(1) and outlet.stored < RECORDS)
        alpha.suspend("BRAVO", federation.Rung.ALERTS, "test", "one more record", clock)
        pair.until(lambda: has(alpha.journal_head))
        assert came == list(range(1, alpha.journal_head + 1))
    finally:
        alpha.close()
        pair.close()
