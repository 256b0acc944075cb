"""Who our partners are: keys, certificates, the file that partners give each other, and what is accepted.

There is no common authority. Each centre makes its own *link certificate*, self-signed and unable to
sign others, and a *journal key* (Ed25519), which signs its records and is what its partners know it by.
Both travel in one *partner file* each way. A name has one journal key: a second file under a known name
is accepted only when the known key signed it (renewal), and a revoked key is never accepted again.

What lies in the folder: `own.json`, `own-N.pem` and `own-N.key` for each own certificate, `journal-N.key`
for each journal key, `NAME.json` for each partner, `revoked.json`.
"""

import hashlib
import ipaddress
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from skypact.core.errors import BadInputError, SkypactError

DAY = 86_400.0  # s
VALID = 365 * DAY  # s that a new certificate holds
VALID_MAX = 825 * DAY  # s; one that holds longer is refused
OVERLAP = 7 * DAY  # s before the end of the old certificate at which a renewed one takes over
CLOCK_SLACK = 3600.0  # s that a partner's clock may be ahead of ours
WARNINGS = (30, 7, 1)  # days before a certificate ends
FILE_MAX = 65_536  # bytes of a partner file

_NAME = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.I)
_SIGNED = b"skypact partner file "  # before what is signed, so that no other signature passes for this one
_VOUCHED = b"skypact new journal key "
_EXTENSIONS = {
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
}
_USES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


class TrustError(SkypactError):
    """A partner file or certificate that is not to be trusted; the text says why."""


class PartnerFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one centre gives another so that they can be linked; public, but signed."""

    skypact_partner: int = 1  # version of this file's form
    name: str
    address: str  # host:port where it accepts links
    certificate: str  # its link certificate, PEM
    journal_key: str  # public Ed25519 key, hexadecimal
    made: float  # UTC s since 1970
    signature: str = ""  # by `journal_key`, over all but the signatures; hexadecimal
    vouched: str = ""  # by the journal key before, over the new one; empty where there was no change

    @property
    def fingerprint(self) -> str:
        """Of certificate and journal key, for two people to read to each other: 8 groups of 4 digits."""
        whole = _load(self.certificate).public_bytes(serialization.Encoding.DER)
        digits = hashlib.sha256(whole + bytes.fromhex(self.journal_key)).hexdigest().upper()
        return " ".join(digits[i : i + 4] for i in range(0, 32, 4))


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """One partner as we accepted it."""

    name: str
    address: str
    journal_key: str  # public Ed25519 key, hexadecimal
    certificates: tuple[str, ...]  # PEM, the oldest first; more than one while a renewal overlaps
    made: float  # of the newest file that we accepted, UTC s since 1970
    joined: float  # UTC s since 1970
    first_key: str  # that its log begins with: `journal_key` as it was then
    by: str = ""  # the person who accepted its newest file

    def certificates_at(self, now: float) -> list[str]:
        """Those that have not ended yet, PEM."""
        return [text for text in self.certificates if _ends(_load(text)) > now]

    @property
    def certificate_digest(self) -> str:
        """SHA-256 of its newest certificate, hexadecimal."""
        return _digest(_load(self.certificates[-1]))

    @property
    def ends(self) -> float:
        """When its newest certificate ends, UTC s since 1970."""
        return _ends(_load(self.certificates[-1]))


@dataclass(frozen=True, slots=True)
class Expiry:
    """A certificate that ends soon, or has ended."""

    name: str  # whose it is, perhaps ours
    ends: float  # UTC s since 1970
    within_days: int  # 30, 7 or 1; 0 when it has ended


class _Own(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    address: str
    since: list[float]  # by number of the certificate, from 1: when it takes over, UTC s since 1970
    journal: int = 1  # number of the journal key
    vouched: str = ""  # by the journal key before, over this one


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """One partner whose keys are trusted no longer."""

    name: str
    journal_key: str
    certificates: list[str]  # SHA-256 of each, hexadecimal
    reason: str
    time: float  # UTC s since 1970
    by: str = ""  # the person who revoked it


# Only what a link needs: above all not signing other certificates.
_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def make_link_certificate(name: str, address: str, now: float) -> tuple[bytes, bytes]:
    """A self-signed certificate for a centre's links, and its private key, both PEM.

    Args:
        name: of the centre. address: host:port where partners reach it. now: UTC s since 1970.

    Raises:
        BadInputError: a name or an address that can't be used.
    """
    check_name(name)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(
            datetime.fromtimestamp(now - CLOCK_SLACK, UTC)
        )  # for partners whose clock is behind
        .not_valid_after(datetime.fromtimestamp(now + VALID, UTC))
        .add_extension(x509.SubjectAlternativeName([_host_name(address)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key)


def check_name(name: str) -> None:
    """Refuse what can't name a centre.

    Raises:
        BadInputError: such a name.
    """
    if not _NAME.fullmatch(name):
        raise BadInputError(
            "no name of a centre", repr(name), "up to 32 of A-Z, 0-9, _ and -, a letter first"
        )


def read_partner_file(content: bytes, now: float) -> PartnerFile:
    """A partner file that is whole, signed by the key in it, and has a certificate as ours are made.

    That says nothing yet of who made it: that is what the two people read the fingerprint for.

    Raises:
        TrustError: anything else.
    """
    if len(content) > FILE_MAX:
        raise TrustError("partner file: too long")
    try:
        file = msgspec.json.decode(content, type=PartnerFile)
        if file.skypact_partner != 1:
            raise TrustError(f"partner file: version {file.skypact_partner} is not known here")
        check_name(file.name)
        certificate = _load(file.certificate)
        _host_name(file.address)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(file.journal_key))
        key.verify(bytes.fromhex(file.signature), _SIGNED + _signed_part(file))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, BadInputError) as error:
        raise TrustError(f"partner file: {error}") from None
    except InvalidSignature:
        raise TrustError("partner file: not signed by the key in it, or changed since") from None
    if file.made > now + CLOCK_SLACK:
        raise TrustError(f"{file.name}: the file was made in the future, or our clock is behind")
    _check_certificate(certificate, file.name, file.address, now)
    return file


class TrustStore:
    """Our own keys and all that we trust, in one folder."""

    def __init__(self, folder: Path) -> None:
        """Open the folder.

        Raises:
            BadInputError: `create` was never called there, or something in it can't be read.
        """
        self.folder = folder
        self._own: _Own = _read(folder / "own.json", _Own)
        self.journal_keys = [_read_journal_key(folder, n) for n in range(1, self._own.journal + 1)]

    @classmethod
    def create(cls, folder: Path, name: str, address: str, now: float) -> "TrustStore":
        """Make a centre's keys and its first certificate.

        Args:
            name: of the centre. address: host:port where partners reach it. now: UTC s since 1970.

        Raises:
            BadInputError: there are keys already, or name or address can't be used.
        """
        if (folder / "own.json").exists():
            raise BadInputError("this centre has its keys already", str(folder), "renew them instead")
        certificate, key = make_link_certificate(name, address, now)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        _write(folder / "own-1.pem", certificate)
        _write(folder / "own-1.key", key)
        _write(folder / "journal-1.key", _private_pem(Ed25519PrivateKey.generate()))
        _write(folder / "own.json", _encode(_Own(name=name, address=address, since=[now])))
        return cls(folder)

    @property
    def journal_key(self) -> Ed25519PrivateKey:
        """The newest of our journal's keys."""
        return self.journal_keys[-1]

    @property
    def name(self) -> str:
        """Our own name."""
        return self._own.name

    @property
    def address(self) -> str:
        """Where partners reach us, host:port."""
        return self._own.address

    def own_files(self, now: float) -> tuple[Path, Path]:
        """Our link certificate in force and its private key, both PEM files."""
        number = sum(since <= now for since in self._own.since)
        return self.folder / f"own-{number}.pem", self.folder / f"own-{number}.key"

    def partner_file(self, now: float) -> bytes:
        """Our own partner file, with our newest certificate, to give to a partner."""
        file = PartnerFile(
            name=self.name,
            address=self.address,
            certificate=(self.folder / f"own-{len(self._own.since)}.pem").read_text(),
            journal_key=self.journal_key.public_key().public_bytes_raw().hex(),
            made=now,
            vouched=self._own.vouched,
        )
        signature = self.journal_key.sign(_SIGNED + _signed_part(file)).hex()
        return _encode(msgspec.structs.replace(file, signature=signature))

    def renew(self, now: float, address: str = "", journal_key: Ed25519PrivateKey | None = None) -> bytes:
        """Make our next certificate and return the partner file that all partners need before it holds.

        The old one stays in force until `OVERLAP` before its end, so that partners have time to accept the
        new one; at another host the old one is of no use, and the new one holds at once.

        Args:
            now: UTC s since 1970. address: where partners reach us from now on; empty for as before.
            journal_key: our journal's new key, where that changes too.

        Raises:
            BadInputError: an address that can't be used.
        """
        address = address or self.address
        certificate, key = make_link_certificate(self.name, address, now)
        old = _load((self.folder / f"own-{len(self._own.since)}.pem").read_text())
        is_same_host = _host_name(address) == _host_name(self.address)
        since = max(now, _ends(old) - OVERLAP) if is_same_host else now
        number = len(self._own.since) + 1
        _write(self.folder / f"own-{number}.pem", certificate)
        _write(self.folder / f"own-{number}.key", key)
        own = msgspec.structs.replace(self._own, address=address, since=[*self._own.since, since])
        if journal_key is not None:
            public = journal_key.public_key().public_bytes_raw()
            vouched = self.journal_key.sign(_VOUCHED + self.name.encode() + b" " + public).hex()
            own = msgspec.structs.replace(own, journal=own.journal + 1, vouched=vouched)
            _write(self.folder / f"journal-{own.journal}.key", _private_pem(journal_key))
            self.journal_keys.append(journal_key)
        _write(self.folder / "own.json", _encode(own))  # last, since from now on all of it counts
        self._own = own
        return self.partner_file(now)

    def partners(self) -> list[Partner]:
        """All partners that we accepted and did not revoke, by name.

        Raises:
            BadInputError: what is kept of one can't be read.
        """
        files = (path for path in self.folder.glob("*.json") if _NAME.fullmatch(path.stem))
        return [_read(path, Partner) for path in sorted(files)]

    def accept(self, content: bytes, now: float, fingerprint: str = "", by: str = "") -> Partner:
        """Trust a partner file from now on.

        Args:
            content: of the file. now: UTC s since 1970.
            fingerprint: as the partner's person read it out; not needed for a renewal, which the key
                that we know has signed. by: the person who accepts it.

        Raises:
            TrustError: the fingerprint is another, the name is known with another key, the file is older
                than one that we have, something in it was revoked, or it is no proper partner file.
        """
        file = read_partner_file(content, now)
        if file.name == self.name:
            raise TrustError(f"{file.name}: is our own name")
        self._refuse_revoked(file)
        known = {partner.name: partner for partner in self.partners()}.get(file.name)
        if known is None:
            if _digits(fingerprint) != _digits(file.fingerprint):
                raise TrustError(f"{file.name}: the fingerprint is {file.fingerprint}, not the one given")
            kept, joined, first_key = [], now, file.journal_key
        else:
            if file.journal_key != known.journal_key and not _is_vouched(file, known.journal_key):
                raise TrustError(
                    f"{file.name}: is known with another key, which did not sign this file (revoke it first)"
                )
            if file.made < known.made:
                raise TrustError(f"{file.name}: we have a newer file of this partner")
            kept, joined, first_key = known.certificates_at(now), known.joined, known.first_key
        certificates = [*(text for text in kept if text != file.certificate), file.certificate]
        partner = Partner(
            name=file.name,
            address=file.address,
            journal_key=file.journal_key,
            certificates=tuple(certificates),
            made=file.made,
            joined=joined,
            first_key=first_key,
            by=by,
        )
        _write(self.folder / f"{file.name}.json", _encode(partner))
        return partner

    def revoke(self, name: str, reason: str, now: float, by: str = "") -> None:
        """Trust a partner no longer; under its name only new keys can join again.

        Raises:
            BadInputError: no such partner.
        """
        partner = {partner.name: partner for partner in self.partners()}.get(name)
        if partner is None:
            raise BadInputError("no such partner", name)
        revoked = Revoked(
            name=name,
            journal_key=partner.journal_key,
            certificates=[_digest(_load(text)) for text in partner.certificates],
            reason=reason,
            time=now,
            by=by,
        )
        _write(self.folder / "revoked.json", _encode([*self._revoked(), revoked]))
        (self.folder / f"{name}.json").unlink()

    def expiries(self, now: float) -> list[Expiry]:
        """The certificates, ours and our partners', that need renewal within 30, 7 or 1 days."""
        own = (self.folder / f"own-{len(self._own.since)}.pem").read_text()
        ends = {self.name: _ends(_load(own))}
        ends |= {p.name: max(_ends(_load(text)) for text in p.certificates) for p in self.partners()}
        return [
            Expiry(name, end, _within(end - now))
            for name, end in ends.items()
            if end - now <= WARNINGS[0] * DAY
        ]

    def revocation(self, name: str) -> Revoked | None:
        """The last revocation of a name; None where there was none."""
        return next((revoked for revoked in reversed(self._revoked()) if revoked.name == name), None)

    def _revoked(self) -> list[Revoked]:
        path = self.folder / "revoked.json"
        return _read(path, list[Revoked]) if path.exists() else []

    def _refuse_revoked(self, file: PartnerFile) -> None:
        digest = _digest(_load(file.certificate))
        for revoked in self._revoked():
            if file.journal_key == revoked.journal_key or digest in revoked.certificates:
                raise TrustError(f"{file.name}: these keys of {revoked.name} were revoked ({revoked.reason})")


def _check_certificate(certificate: x509.Certificate, name: str, address: str, now: float) -> None:
    """Refuse a certificate that is not exactly as `make_link_certificate` makes them.

    The server maps a certificate to a user by any name in it (addresses of e-mail, hosts and others
    before the subject), and trusts one that may sign as an authority: so there is only one form.

    Raises:
        TrustError: it says what is not as it must be.
    """
    own_name = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    key = certificate.public_key()
    extensions = certificate.extensions

    def value(kind: type[Any]) -> Any:
        return extensions.get_extension_for_class(kind).value

    checks = {
        "has another name": list(certificate.subject) == own_name == list(certificate.issuer),
        "is of another version": certificate.version is x509.Version.v3,
        "has another kind of key": isinstance(key, ec.EllipticCurvePublicKey)
        and isinstance(key.curve, ec.SECP256R1),
        "has other extensions": {e.oid for e in extensions} == _EXTENSIONS and len(list(extensions)) == 4,
    }
    _refuse(name, checks)
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    checks = {
        "may sign others": basic.critical and not basic.value.ca and value(x509.KeyUsage) == _KEY_USAGE,
        "is for other uses": list(value(x509.ExtendedKeyUsage)) == _USES,
        "is for another host": list(value(x509.SubjectAlternativeName)) == [_host_name(address)],
        "is not signed by itself": _is_self_signed(certificate),
        "does not hold yet": certificate.not_valid_before_utc.timestamp() <= now + CLOCK_SLACK,
        "has ended": _ends(certificate) > now,
        "holds for too long": _ends(certificate) - now <= VALID_MAX,
    }
    _refuse(name, checks)


def _refuse(name: str, checks: dict[str, bool]) -> None:
    for fault, holds in checks.items():
        if not holds:
            raise TrustError(f"{name}: the certificate {fault}")


def _is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return isinstance(certificate.signature_hash_algorithm, hashes.SHA256)


def _is_vouched(file: PartnerFile, old_key: str) -> bool:
    """Whether the key before says that the key in the file is its successor."""
    try:
        new = bytes.fromhex(file.journal_key)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(old_key)).verify(
            bytes.fromhex(file.vouched), _VOUCHED + file.name.encode() + b" " + new
        )
    except (ValueError, InvalidSignature):
        return False
    return True


def _host_name(address: str) -> x509.GeneralName:
    """The host of host:port as certificates name it.

    Raises:
        BadInputError: no such address.
    """
    host, _, port = address.rpartition(":")
    advice = "write it as host:port, an IPv6 address in brackets"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise BadInputError("no port in the address", repr(address), advice)
    try:
        number = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        if not _HOST.fullmatch(host):
            raise BadInputError("no host in the address", repr(address), advice) from None
        return x509.DNSName(host.lower())
    if (number.version == 6) != host.startswith("["):
        raise BadInputError("no host in the address", repr(address), advice)
    return x509.IPAddress(number)


def _signed_part(file: PartnerFile) -> bytes:
    part = msgspec.to_builtins(file)
    del part["signature"], part["vouched"]
    return rfc8785.dumps(part)


def _load(text: str) -> x509.Certificate:
    """The one certificate in a PEM text.

    Raises:
        ValueError: anything else in it.
    """
    certificate = x509.load_pem_x509_certificate(text.encode())
    # What else the text held would go into the server's file of trusted certificates with it.
    if certificate.public_bytes(serialization.Encoding.PEM).decode() != text:
        raise ValueError("more, or less, than one certificate")
    return certificate


def _ends(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def _digest(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _digits(fingerprint: str) -> str:
    return "".join(fingerprint.split()).upper()


def _within(left: float) -> int:
    return min(days for days in (0, *WARNINGS) if left <= days * DAY)


def _private_pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _encode(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"


def _read_journal_key(folder: Path, number: int) -> Ed25519PrivateKey:
    path = folder / f"journal-{number}.key"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise BadInputError(f"no journal key: {error}", str(path)) from None
    assert isinstance(key, Ed25519PrivateKey)
    return key


def _read(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise BadInputError("this centre has no keys yet", str(path), "make them first") from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInputError(f"can't be read: {error}", str(path)) from None


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once or not at all, readable by its owner only, durable on return."""
    trial = path.with_name(path.name + ".new")
    trial.unlink(missing_ok=True)
    with os.fdopen(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    trial.replace(path)
