"""The certificate that a centre shows to browsers: made at the first start, unless one is given."""

import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from skypact.core.errors import BadInputError

VALID_DAYS = 825  # browsers refuse longer ones
CERTIFICATE_FILE, KEY_FILE = "web-certificate.pem", "web-key.pem"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a certificate and its private key, both PEM."""

    certificate: Path
    key: Path


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def find_or_make_certificate(folder: Path, host: str, now: datetime | None = None) -> Certificate:
    """The certificate in `folder`; a new one where there is none or it is about to expire.

    Raises:
        BadInputError: the folder can't be written, or holds something else under the name.
    """
    now = now or datetime.now(UTC)
    found = Certificate(folder / CERTIFICATE_FILE, folder / KEY_FILE)
    try:
        if found.certificate.exists() and found.key.exists():
            expires = x509.load_pem_x509_certificate(found.certificate.read_bytes()).not_valid_after_utc
            if expires > now + timedelta(days=1):
                return found
        _make(found, host, now)
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"no certificate can be kept there: {error}",
            str(found.certificate),
            "give [display] certificate and key",
        ) from None
    return found


def _make(files: Certificate, host: str, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, socket.gethostname()[:64] or "skypact")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # for browsers whose clock is behind
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files.certificate.parent.mkdir(parents=True, exist_ok=True)
    _write_private(
        files.key,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    _write_private(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _alternative_names(host: str) -> list[x509.GeneralName]:
    """Names and addresses under which the machine is reached: its host names and `host`."""
    names = dict.fromkeys(["localhost", socket.gethostname(), socket.getfqdn()])
    addresses = dict.fromkeys(["127.0.0.1"])
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names[host] = None
    else:
        if not address.is_unspecified:
            addresses[host] = None
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names if name.isascii() and name]
    return alternatives + [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]


def _write_private(path: Path, content: bytes) -> None:
    # Created with its mode, so that the key is at no time readable by others.
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
