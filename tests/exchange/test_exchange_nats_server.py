"""The server of a centre is started, verified, watched and changed."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nats_federation import Federation, NatsPair

from skypact.core.errors import BadInputError
from skypact.exchange import nats_server
from skypact.exchange.nats_config import LocalAccess, ServerConfig, server_config
from skypact.exchange.nats_server import (
    CONFIG_FILE,
    NatsServer,
    ServerError,
    find_server,
    free_port,
    link_config,
)
from skypact.exchange.trust import DAY, TrustStore, read_partner_file

FederationMaker = Callable[..., Federation]


def is_linked(server: NatsServer, partner: str) -> bool:
    state = server.links().get(partner)
    return state is not None and state.we_read and state.it_reads


def program(folder: Path, text: str) -> Path:
    """A program that takes the server's place."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def test_the_server_that_came_along_is_found():
    assert find_server().name == "nats-server"


def test_a_server_that_is_too_old_is_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"2\.9\.10 is too old"):
        find_server(program(tmp_path, "echo nats-server: v2.9.10"))


@pytest.mark.parametrize("text", ["exit 1", "echo something else"])
def test_a_program_that_is_no_server_is_refused(tmp_path: Path, text: str):
    with pytest.raises(BadInputError, match="not a nats-server"):
        find_server(program(tmp_path, text))
    with pytest.raises(BadInputError, match="not a nats-server"):
        find_server(tmp_path / "absent")


@pytest.mark.parametrize(
    "fault", ["sync_interval: 2m", "no_such_setting: 1", "max_payload: 8MB, max_payload2: 1", "{"]
)
def test_what_the_server_only_warns_of_is_an_error(
    nats_federation: FederationMaker, monkeypatch: pytest.MonkeyPatch, fault: str
):
    server = nats_federation("ALPHA").servers["ALPHA"]

    def written(config: ServerConfig, local: LocalAccess) -> str:
        return server_config(config, local).replace("sync_interval: always", fault)

    monkeypatch.setattr(nats_server, "server_config", written)
    with pytest.raises(ServerError, match="refuses its configuration"):
        server.start()
    assert server.pid is None


def test_a_link_port_that_is_taken_is_said_at_start(nats_federation: FederationMaker):
    federation = nats_federation("ALPHA", "BRAVO")
    taken = socket.create_server(("127.0.0.1", federation.link_ports["ALPHA"]))
    with taken, pytest.raises(ServerError, match="address already in use"):
        federation.servers["ALPHA"].start()
    assert federation.servers["ALPHA"].pid is None


@pytest.mark.parametrize("place", ["client_port", "monitor_port"])
def test_a_local_port_that_somebody_took_is_given_up_for_another(
    nats_federation: FederationMaker, place: str, monkeypatch: pytest.MonkeyPatch
):
    federation = nats_federation("ALPHA")
    server = federation.servers["ALPHA"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(server, "_local", replace(server._local, **{place: taken.getsockname()[1]}))
        federation.start()
        assert getattr(server._local, place) != taken.getsockname()[1]
        assert server.pid is not None


def test_no_port_is_given_twice_while_others_are_free():
    ports = [free_port() for _ in range(2_000)]
    assert len(set(ports)) == len(ports)


def test_a_server_that_is_killed_is_started_again(nats_pair: NatsPair):
    for _ in range(3):
        nats_pair.kill("ALPHA")
    assert nats_pair.servers["ALPHA"].restarts == 3
    nats_pair.until(lambda: is_linked(nats_pair.servers["BRAVO"], "ALPHA"))


def test_a_server_ends_with_its_centre(nats_pair: NatsPair):
    server = nats_pair.servers["ALPHA"]
    pid = server.pid
    server.stop()
    assert server.pid is None
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_outlived_its_centre_is_ended_by_the_next(nats_pair: NatsPair):
    config = nats_pair.config("ALPHA")
    orphan = nats_pair.servers["ALPHA"].pid
    assert orphan is not None
    watcher = nats_pair.servers["ALPHA"]
    watcher._stopping.set()  # as if its centre had been killed
    nats_pair.servers["ALPHA"] = NatsServer(config)
    nats_pair.servers["ALPHA"].start()
    watcher._process.wait(10)
    assert nats_pair.servers["ALPHA"].pid not in {None, orphan}


def test_another_process_with_the_number_of_an_old_server_is_left_alone(nats_federation: FederationMaker):
    server = nats_federation("ALPHA").servers["ALPHA"]
    with subprocess.Popen(["sleep", "60"]) as other:
        folder = server._config.folder
        (folder / "nats.pid").write_text(str(other.pid))
        server.start()
        assert other.poll() is None
        other.kill()


def test_the_configuration_with_the_password_is_readable_by_its_owner_only(nats_pair: NatsPair):
    folder = nats_pair.config("ALPHA").folder
    assert (folder / CONFIG_FILE).stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_centre_begins_without_partners_and_may_come_to_have_none(nats_federation: FederationMaker):
    federation = nats_federation("ALPHA", "BRAVO")
    whole = federation.config("ALPHA")
    none = replace(whole, partners=())
    federation.servers["ALPHA"] = server = NatsServer(none)
    server.start()
    federation.servers["BRAVO"].start()
    server.reload(whole)
    federation.until(lambda: is_linked(server, "BRAVO"))
    server.reload(none)
    federation.until(lambda: server.links() == {})
    federation.until(lambda: not federation.servers["BRAVO"].links()["ALPHA"].we_read)


def test_a_new_partner_is_linked_while_the_server_runs(nats_federation: FederationMaker):
    federation = nats_federation("ALPHA", "BRAVO", "CHARLIE")
    alpha, whole = federation.stores["ALPHA"], federation.config("ALPHA")
    alpha.revoke("CHARLIE", "not yet", time.time())
    federation.servers["ALPHA"] = server = NatsServer(federation.config("ALPHA"))
    federation.start()
    federation.until(lambda: is_linked(server, "BRAVO"))
    pid, link = server.pid, federation.proxies["ALPHA", "BRAVO"].accepted
    server.reload(whole)
    federation.until(lambda: is_linked(server, "CHARLIE"))
    assert (server.pid, federation.proxies["ALPHA", "BRAVO"].accepted) == (pid, link)


def test_a_revoked_partner_is_cut_off_at_once_and_stays_off(nats_federation: FederationMaker):
    federation = nats_federation("ALPHA", "BRAVO", "CHARLIE")
    federation.start()
    server, bravo = federation.servers["ALPHA"], federation.servers["BRAVO"]
    federation.until(lambda: is_linked(server, "BRAVO") and is_linked(bravo, "ALPHA"))
    federation.stores["ALPHA"].revoke("BRAVO", "lost", time.time())
    server.reload(federation.config("ALPHA"))
    tries = federation.proxies["ALPHA", "BRAVO"].accepted
    federation.until(lambda: federation.proxies["ALPHA", "BRAVO"].accepted >= tries + 3)
    federation.until(lambda: is_linked(server, "CHARLIE"))
    assert "BRAVO" not in server.links()
    federation.until(lambda: not bravo.links()["ALPHA"].we_read and not bravo.links()["ALPHA"].it_reads)


def test_a_configuration_that_is_refused_leaves_the_old_one_in_force(
    nats_pair: NatsPair, monkeypatch: pytest.MonkeyPatch
):
    server = nats_pair.servers["ALPHA"]
    nats_pair.until(lambda: is_linked(server, "BRAVO"))
    pid = server.pid
    with pytest.raises(ServerError):
        server.reload(replace(nats_pair.config("ALPHA"), key=Path("/nowhere")))
    assert server.pid == pid
    nats_pair.kill("ALPHA")
    nats_pair.until(lambda: is_linked(server, "BRAVO"))


def test_a_renewed_certificate_takes_over_without_a_gap_in_trust(nats_pair: NatsPair):
    alpha, bravo = nats_pair.servers["ALPHA"], nats_pair.servers["BRAVO"]
    nats_pair.until(lambda: is_linked(alpha, "BRAVO"))
    now = time.time()
    file = nats_pair.stores["BRAVO"].renew(now)
    nats_pair.stores["ALPHA"].accept(file, now)
    alpha.reload(nats_pair.config("ALPHA"))
    nats_pair.until(lambda: is_linked(alpha, "BRAVO") and is_linked(bravo, "ALPHA"))
    later = link_config(
        nats_pair.stores["BRAVO"], bravo._config.folder, bravo._config.link_listen, now + 360 * DAY
    )
    assert later.certificate != bravo._config.certificate
    bravo.reload(replace(bravo._config, certificate=later.certificate, key=later.key))
    nats_pair.until(lambda: is_linked(alpha, "BRAVO") and is_linked(bravo, "ALPHA"))


def test_an_ended_certificate_is_trusted_no_more(tmp_path: Path):
    now = 1_750_000_000.0
    alpha = TrustStore.create(tmp_path / "a", "ALPHA", "127.0.0.1:1", now)
    bravo = TrustStore.create(tmp_path / "b", "BRAVO", "127.0.0.1:2", now)
    from_bravo = bravo.partner_file(now)
    alpha.accept(from_bravo, now, read_partner_file(from_bravo, now).fingerprint)
    assert len(link_config(alpha, tmp_path / "n", "127.0.0.1:1", now).partners) == 1
    ended = link_config(alpha, tmp_path / "n", "127.0.0.1:1", now + 366 * DAY)
    assert ended.partners == ()
    assert ended.accepted.read_text() == ""


def test_a_link_that_is_stuck_though_the_port_answers_restarts_the_server(nats_federation: FederationMaker):
    federation = nats_federation("ALPHA", "BRAVO")
    config = federation.config("ALPHA")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as deaf:
        partner = replace(config.partners[0], address=f"127.0.0.1:{deaf.getsockname()[1]}")
        server = NatsServer(replace(config, partners=(partner,)), stuck_after=1.5)
        federation.servers["ALPHA"] = server
        server.start()
        federation.until(lambda: server.restarts >= 1)


def test_a_partner_that_is_away_does_not_restart_the_server(nats_federation: FederationMaker):
    federation = nats_federation("ALPHA", "BRAVO")
    config = federation.config("ALPHA")
    partner = replace(config.partners[0], address="127.0.0.1:1")
    looks: list[str] = []
    server = NatsServer(
        replace(config, partners=(partner,)), stuck_after=0.5, changed=lambda name, _: looks.append(name)
    )
    federation.servers["ALPHA"] = server
    server.start()
    federation.until(lambda: "BRAVO" in server._away_since)
    since = server._away_since["BRAVO"]
    federation.until(lambda: server._away_since["BRAVO"] != since)  # it was found away for long
    assert server.restarts == 0
    assert looks == ["BRAVO"]


def test_an_interrupt_of_the_centre_does_not_reach_its_server(nats_pair: NatsPair):
    pid = nats_pair.servers["ALPHA"].pid
    assert pid is not None
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGURG)
    assert nats_pair.servers["ALPHA"].pid == pid
