"""A message server or cluster that somebody else runs for a centre: what it needs, and how we reach it."""

import logging
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from skypact.core.errors import BadInputError
from skypact.exchange.nats_config import LocalAccess, ServerConfig, server_config
from skypact.exchange.nats_server import CONFIG_FILE, Login, link_config, port_answers
from skypact.exchange.trust import TrustStore

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ExistingServer:
    """A server or cluster that somebody else runs, with the configuration that `export_config` writes."""

    centre: str
    url: str  # or several, joined by commas
    password: str
    config: ServerConfig | None = None  # that it should have; None where nobody looks after it

    def start(self) -> None:
        """Say so where it doesn't answer; it may be started later, and the centre is alone until then."""
        for url in self.url.split(","):
            if port_answers(url.rpartition("/")[2]):
                return
        log.error("message server does not answer", extra={"centre": self.centre, "url": self.url})

    def reload(self, config: ServerConfig) -> None:
        """Say that whoever runs it has to bring it to a new configuration."""
        if self.config not in (None, config):
            log.warning(
                "message server needs its new configuration",
                extra={"centre": self.centre, "by": "skypact partner server"},
            )
        self.config = config

    def stop(self) -> None:
        """Leave it running."""

    def login(self, user: str) -> Login:
        """Where and as whom our client for a user name connects."""
        return Login(self.url, user, self.password)


def export_config(store: TrustStore, folder: Path, listen: str, now: float, port: int, password: str) -> None:
    """Write into a folder all that a server needs that somebody else runs there: `nats-server -c nats.conf`.

    Args:
        store: of what is trusted. folder: new, or of a former export. listen: host:port where partners
        dial in. now: UTC s since 1970. port: for our own clients. password: theirs.

    Raises:
        BadInputError: it can't be written.
    """
    try:
        config = link_config(store, folder, listen, now)
        certificate, key = Path("own.pem"), Path("own.key")
        for path, content in (
            (certificate, config.certificate.read_bytes()),
            (key, config.key.read_bytes()),
            (Path(CONFIG_FILE), b""),
        ):
            (folder / path).unlink(missing_ok=True)
            with os.fdopen(os.open(folder / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
        beside = replace(
            config,
            folder=Path(),
            certificate=certificate,
            key=key,
            accepted=Path(config.accepted.name),
            partners=tuple(
                replace(partner, certificates=Path(partner.certificates.name)) for partner in config.partners
            ),
        )
        (folder / CONFIG_FILE).write_text(server_config(beside, LocalAccess(port, None, password)))
    except OSError as error:
        raise BadInputError(error.strerror or "can't be written", str(folder)) from None


def write_password(file: Path) -> None:
    """Make a password, readable by its owner only.

    Raises:
        BadInputError: it can't be written.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(secrets.token_urlsafe(32) + "\n")
    except OSError as error:
        raise BadInputError(error.strerror or "can't be written", str(file)) from None


def read_password(file: Path) -> str:
    """The password of our clients at a server that somebody else runs.

    Raises:
        BadInputError: it can't be read, or there is none in it.
    """
    try:
        password = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"no password: {error}", str(file), "skypact partner server makes one") from None
    if not password:
        raise BadInputError("no password", str(file), "skypact partner server makes one")
    return password
