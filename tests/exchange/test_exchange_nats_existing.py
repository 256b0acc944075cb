"""A centre over a message server that somebody else runs, linked with one over its own."""

import logging
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from skypact.core.errors import BadInputError
from skypact.exchange.nats_engine import NatsEngine
from skypact.exchange.nats_existing import ExistingServer, export_config, read_password, write_password
from skypact.exchange.nats_server import NatsServer, find_server, free_port, link_config
from skypact.exchange.trust import TrustStore, read_partner_file


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    due = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < due, f"not within {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def stores(tmp_path: Path) -> dict[str, TrustStore]:
    """ALPHA and BRAVO, who trust each other."""
    made = {
        name: TrustStore.create(tmp_path / name, name, f"127.0.0.1:{free_port()}", time.time())
        for name in ("ALPHA", "BRAVO")
    }
    for one, other in (("ALPHA", "BRAVO"), ("BRAVO", "ALPHA")):
        content = made[other].partner_file(time.time())
        fingerprint = read_partner_file(content, time.time()).fingerprint
        made[one].accept(content, time.time(), fingerprint)
    return made


def test_a_server_run_by_hand_from_the_exported_folder_carries_the_exchange(tmp_path, stores):
    now, port, password_file = time.time(), free_port(), tmp_path / "nats.password"
    write_password(password_file)
    password = read_password(password_file)
    assert password_file.stat().st_mode & 0o077 == 0
    export_config(stores["ALPHA"], tmp_path / "nats", stores["ALPHA"].address, now, port, password)
    with (tmp_path / "log").open("wb") as log:
        by_hand = subprocess.Popen(
            [find_server(), "-c", "nats.conf"], cwd=tmp_path / "nats", stdout=log, stderr=log
        )
    bravo = NatsServer(link_config(stores["BRAVO"], tmp_path / "bravo", stores["BRAVO"].address, now))
    engines: list[NatsEngine] = []
    try:
        bravo.start()
        # The first of a cluster is away: the next one is taken.
        url = f"nats://127.0.0.1:{free_port()},nats://127.0.0.1:{port}"
        existing = ExistingServer("ALPHA", url, password)
        existing.start()
        engines += [NatsEngine(existing), NatsEngine(bravo)]
        outlet, inlet = engines[0].outlet("BRAVO"), engines[1].inlet("ALPHA")
        back, forth = engines[1].outlet("ALPHA"), engines[0].inlet("BRAVO")
        outlet.append(1, b"from ALPHA")
        back.append(1, b"from BRAVO")
        came: list[bytes] = []

        def both_came() -> bool:
            came.extend(record.payload for end in (inlet, forth) for record in end.take_records())
            return len(came) == 2

        until(both_came)
        assert set(came) == {b"from ALPHA", b"from BRAVO"}
    finally:
        for engine in engines:
            engine.close()
        bravo.stop()
        by_hand.terminate()
        by_hand.wait(10)


def test_whoever_runs_the_server_is_told_when_it_needs_another_configuration(tmp_path, stores, caplog):
    def config(name: str):
        return link_config(stores[name], tmp_path / "files", stores[name].address, time.time())

    existing = ExistingServer("ALPHA", f"nats://127.0.0.1:{free_port()}", "none", config("ALPHA"))
    with caplog.at_level(logging.WARNING):
        existing.start()
        existing.reload(config("ALPHA"))
        assert [record.message for record in caplog.records] == ["message server does not answer"]
        stores["ALPHA"].revoke("BRAVO", "test", time.time())
        for _ in range(2):
            existing.reload(config("ALPHA"))
        assert [r.message for r in caplog.records][1:] == ["message server needs its new configuration"]


def test_a_missing_or_empty_password_is_said_in_one_line(tmp_path):
    with pytest.raises(BadInputError, match="partner server"):
        read_password(tmp_path / "none")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(BadInputError, match="no password"):
        read_password(tmp_path / "empty")
