"""Two or three centres with real NATS servers on loopback, linked through proxies that a test can cut."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

from byte_proxy import ByteProxy

from skypact.exchange.nats_config import ServerConfig
from skypact.exchange.nats_engine import NatsEngine
from skypact.exchange.nats_server import NatsServer, free_port, link_config
from skypact.exchange.trust import TrustStore, read_partner_file


class Federation:
    """Centres by name, each linked with each; `proxies[owner, reader]` is the way on which reader dials."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder = folder
        self.names = tuple(names)
        self.link_ports = {name: free_port() for name in self.names}
        self.proxies = {
            (owner, reader): ByteProxy(self.link_ports[owner])
            for owner, reader in permutations(self.names, 2)
        }
        self.stores = {
            name: TrustStore.create(folder / name / "partners", name, f"127.0.0.1:{port}", time.time())
            for name, port in self.link_ports.items()
        }
        for owner, reader in permutations(self.names, 2):
            self.introduce(owner, reader)
        self.servers = {name: NatsServer(self.config(name)) for name in self.names}
        self.engines: dict[str, NatsEngine] = {}

    def introduce(self, owner: str, reader: str) -> None:
        """Let a reader accept an owner, whom it reaches by the proxy."""
        content = self.stores[owner].partner_file(time.time())
        file = read_partner_file(content, time.time())
        self.stores[reader].accept(content, time.time(), file.fingerprint)

    def config(self, name: str) -> ServerConfig:
        """The configuration of a centre's server, with the proxies in place of the partners' addresses."""
        listen = f"127.0.0.1:{self.link_ports[name]}"
        config = link_config(self.stores[name], self.folder / name / "nats", listen, time.time())
        return replace(
            config,
            partners=tuple(
                replace(partner, address=f"127.0.0.1:{self.proxies[partner.name, name].port}")
                for partner in config.partners
            ),
        )

    def start(self) -> None:
        for name, server in self.servers.items():
            server.start()
            self.engines[name] = NatsEngine(server)

    def close(self) -> None:
        for engine in self.engines.values():
            engine.close()
        for server in self.servers.values():
            server.stop()
        for proxy in self.proxies.values():
            proxy.close()

    def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        due = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < due, f"not within {seconds} s"
            time.sleep(0.005)

    def cut(self) -> None:
        for proxy in self.proxies.values():
            proxy.cut()

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()

    def kill(self, name: str) -> None:
        """Kill a centre's server with signal 9 and wait until its watcher has started it again."""
        server = self.servers[name]
        pid, restarts = server.pid, server.restarts
        assert pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.until(lambda: server.restarts > restarts and server.pid not in {None, pid})


class NatsPair(Federation):
    """Alpha and Bravo, as the contract of all engines wants them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ("ALPHA", "BRAVO"))

    @property
    def alpha(self) -> NatsEngine:
        return self.engines["ALPHA"]

    @property
    def bravo(self) -> NatsEngine:
        return self.engines["BRAVO"]

    def restart_alpha(self) -> None:
        self.kill("ALPHA")
