"""Two or three centres with real NATS servers on loopback, linked through proxies that a test can cut."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

from byte_proxy import ByteProxy

from skypact.exchange.nats_config import LinkPartner, ServerConfig
from skypact.exchange.nats_engine import NatsEngine
from skypact.exchange.nats_server import NatsServer, free_port
from skypact.exchange.trust import make_link_certificate


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
        for name in self.names:
            certificate, key = make_link_certificate(name, "127.0.0.1", datetime.now(UTC))
            (folder / name).mkdir()
            self.certificate(name).write_bytes(certificate)
            (folder / name / "key.pem").write_bytes(key)
        self.configs = {name: self._config(name) for name in self.names}
        self.servers = {name: NatsServer(self.configs[name]) for name in self.names}
        self.engines: dict[str, NatsEngine] = {}

    def certificate(self, name: str) -> Path:
        return self.folder / name / "certificate.pem"

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

    def _config(self, name: str) -> ServerConfig:
        others = [other for other in self.names if other != name]
        accepted = self.folder / name / "accepted.pem"
        accepted.write_bytes(b"".join(self.certificate(o).read_bytes() for o in others))
        return ServerConfig(
            centre=name,
            folder=self.folder / name / "nats",
            client_port=free_port(),
            monitor_port=free_port(),
            link_listen=f"127.0.0.1:{self.link_ports[name]}",
            certificate=self.certificate(name),
            key=self.folder / name / "key.pem",
            accepted=accepted,
            password=f"password of {name}",
            partners=tuple(
                LinkPartner(other, f"127.0.0.1:{self.proxies[other, name].port}", self.certificate(other))
                for other in others
            ),
        )


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
