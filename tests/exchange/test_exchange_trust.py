"""Who is accepted as a partner, and who is not."""

import contextlib
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from skypact.core.errors import BadInputError
from skypact.exchange.trust import DAY, PartnerFile, TrustError, TrustStore, read_partner_file

NOW = 1_750_000_000.0


def _partner_file() -> bytes:
    with TemporaryDirectory() as folder:
        return TrustStore.create(Path(folder) / "bravo", "BRAVO", "bravo.example:7422", NOW).partner_file(NOW)


CONTENT = _partner_file()


@pytest.fixture
def alpha(tmp_path: Path) -> TrustStore:
    return TrustStore.create(tmp_path / "alpha", "ALPHA", "127.0.0.1:7422", NOW)


@pytest.fixture
def bravo(tmp_path: Path) -> TrustStore:
    return TrustStore.create(tmp_path / "bravo", "BRAVO", "bravo.example:7422", NOW)


def fingerprint(content: bytes, now: float = NOW) -> str:
    return read_partner_file(content, now).fingerprint


def join(store: TrustStore, other: TrustStore, now: float = NOW) -> None:
    content = other.partner_file(now)
    store.accept(content, now, fingerprint(content, now))


def test_two_centres_know_each_other_after_one_file_each_way(alpha: TrustStore, bravo: TrustStore):
    join(alpha, bravo)
    join(bravo, alpha)
    assert [partner.name for partner in alpha.partners()] == ["BRAVO"]
    assert bravo.partners()[0].address == "127.0.0.1:7422"
    assert bravo.partners()[0].journal_key == alpha.journal_key.public_key().public_bytes_raw().hex()


def test_what_was_accepted_is_there_after_a_restart(alpha: TrustStore, bravo: TrustStore):
    join(alpha, bravo)
    again = TrustStore(alpha.folder)
    assert again.partners() == alpha.partners()
    assert again.name == "ALPHA"
    assert again.own_files(NOW) == alpha.own_files(NOW)


def test_both_people_see_the_same_fingerprint_in_groups_that_can_be_read_out(bravo: TrustStore):
    content = bravo.partner_file(NOW)
    groups = fingerprint(content).split()
    assert [len(group) for group in groups] == [4] * 8
    assert fingerprint(bravo.partner_file(NOW + 60), NOW + 60) == fingerprint(content)


def test_a_file_with_another_fingerprint_is_refused(alpha: TrustStore, bravo: TrustStore, tmp_path: Path):
    read_out = fingerprint(bravo.partner_file(NOW))
    imposter = TrustStore.create(tmp_path / "imposter", "BRAVO", "bravo.example:7422", NOW)
    with pytest.raises(TrustError, match="the fingerprint is"):
        alpha.accept(imposter.partner_file(NOW), NOW, read_out)
    assert alpha.partners() == []


def test_a_fingerprint_may_be_typed_without_gaps_and_small(alpha: TrustStore, bravo: TrustStore):
    content = bravo.partner_file(NOW)
    alpha.accept(content, NOW, fingerprint(content).replace(" ", "").lower())


def test_a_known_name_with_another_key_is_refused(alpha: TrustStore, bravo: TrustStore, tmp_path: Path):
    join(alpha, bravo)
    imposter = TrustStore.create(tmp_path / "imposter", "BRAVO", "bravo.example:7422", NOW)
    content = imposter.partner_file(NOW + 1)
    with pytest.raises(TrustError, match="known with another key"):
        alpha.accept(content, NOW + 1, fingerprint(content, NOW + 1))
    assert len(alpha.partners()[0].certificates) == 1


def test_our_own_name_is_refused(alpha: TrustStore):
    content = alpha.partner_file(NOW)
    with pytest.raises(TrustError, match="own name"):
        alpha.accept(content, NOW, fingerprint(content))


@given(position=st.integers(0, 4000), bit=st.integers(0, 7))
def test_a_file_that_was_changed_anywhere_is_refused_or_says_the_same(position: int, bit: int):
    content = bytearray(CONTENT)
    position %= len(content)
    content[position] ^= 1 << bit
    with contextlib.suppress(TrustError):
        assert read_partner_file(bytes(content), NOW) == read_partner_file(CONTENT, NOW)


@given(content=st.binary(max_size=200))
def test_octets_that_are_no_partner_file_are_refused(content: bytes):
    with pytest.raises(TrustError):
        read_partner_file(content, NOW)


def test_a_file_beyond_all_measure_is_refused():
    with pytest.raises(TrustError, match="too long"):
        read_partner_file(CONTENT + b" " * 100_000, NOW)


def test_a_renewal_overlaps_and_needs_no_fingerprint(alpha: TrustStore, bravo: TrustStore):
    join(alpha, bravo)
    later = NOW + 350 * DAY
    old = bravo.own_files(later)
    alpha.accept(bravo.renew(later), later)
    partner = alpha.partners()[0]
    assert len(partner.certificates_at(later)) == 2
    assert bravo.own_files(later) == old  # so that partners have time
    assert bravo.own_files(NOW + 358.5 * DAY) != old
    assert partner.certificates_at(NOW + 366 * DAY) == [bravo.own_files(NOW + 366 * DAY)[0].read_text()]
    assert TrustStore(bravo.folder).own_files(NOW + 366 * DAY) == bravo.own_files(NOW + 366 * DAY)


def test_a_renewal_for_another_host_holds_at_once(alpha: TrustStore, bravo: TrustStore):
    join(alpha, bravo)
    alpha.accept(bravo.renew(NOW + DAY, "10.0.0.2:7422"), NOW + DAY)
    assert alpha.partners()[0].address == "10.0.0.2:7422"
    assert bravo.own_files(NOW + DAY)[0].name == "own-2.pem"


def test_a_new_journal_key_is_accepted_when_the_old_one_vouches_for_it(alpha: TrustStore, bravo: TrustStore):
    join(alpha, bravo)
    new = Ed25519PrivateKey.generate()
    content = bravo.renew(NOW + DAY, journal_key=new)
    assert alpha.accept(content, NOW + DAY).journal_key == new.public_key().public_bytes_raw().hex()
    assert TrustStore(bravo.folder).partner_file(NOW + 2 * DAY) == bravo.partner_file(NOW + 2 * DAY)
    newest = Ed25519PrivateKey.generate()
    unvouched = msgspec.structs.replace(
        msgspec.json.decode(bravo.renew(NOW + 3 * DAY, journal_key=newest), type=PartnerFile), vouched=""
    )
    with pytest.raises(TrustError, match="known with another key"):
        alpha.accept(msgspec.json.encode(unvouched), NOW + 3 * DAY)


def test_an_older_file_does_not_undo_a_renewal(alpha: TrustStore, bravo: TrustStore):
    old = bravo.partner_file(NOW)
    alpha.accept(old, NOW, fingerprint(old))
    alpha.accept(bravo.renew(NOW + DAY, "10.0.0.2:7422"), NOW + DAY)
    with pytest.raises(TrustError, match="newer file"):
        alpha.accept(old, NOW + 2 * DAY)


def test_a_file_from_the_future_is_refused(alpha: TrustStore, bravo: TrustStore):
    with pytest.raises(TrustError, match="future"):
        read_partner_file(bravo.partner_file(NOW + DAY), NOW)


def test_revoked_keys_never_come_back_and_new_ones_may(alpha: TrustStore, bravo: TrustStore, tmp_path: Path):
    join(alpha, bravo)
    content = bravo.partner_file(NOW + 1)
    alpha.revoke("BRAVO", "laptop stolen", NOW + 1)
    assert alpha.partners() == []
    for file in (content, bravo.renew(NOW + 2)):
        with pytest.raises(TrustError, match="laptop stolen"):
            TrustStore(alpha.folder).accept(file, NOW + 2, fingerprint(file, NOW + 2))
    fresh = TrustStore.create(tmp_path / "fresh", "BRAVO", "bravo.example:7422", NOW + 3)
    join(alpha, fresh, NOW + 3)
    with pytest.raises(BadInputError):
        alpha.revoke("CHARLIE", "", NOW)


@pytest.mark.parametrize(
    ("days", "within"), [(300, None), (336, 30), (359, 7), (364.5, 1), (366, 0)], ids=str
)
def test_warnings_come_30_7_and_1_days_before_a_certificate_ends(
    alpha: TrustStore, bravo: TrustStore, days: float, within: int | None
):
    join(alpha, bravo)
    found = {expiry.name: expiry.within_days for expiry in alpha.expiries(NOW + days * DAY)}
    assert found == ({} if within is None else {"ALPHA": within, "BRAVO": within})


def test_a_renewed_certificate_warns_no_more(alpha: TrustStore, bravo: TrustStore):
    join(alpha, bravo)
    alpha.accept(bravo.renew(NOW + 340 * DAY), NOW + 340 * DAY)
    assert [expiry.name for expiry in alpha.expiries(NOW + 364 * DAY)] == ["ALPHA"]


def test_private_keys_are_readable_by_their_owner_only(alpha: TrustStore):
    for path in alpha.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(alpha.folder.stat().st_mode) == 0o700


def test_keys_are_made_once(alpha: TrustStore):
    with pytest.raises(BadInputError, match="already"):
        TrustStore.create(alpha.folder, "ALPHA", "127.0.0.1:7422", NOW)


def test_a_folder_without_keys_says_so(tmp_path: Path):
    with pytest.raises(BadInputError, match="no keys yet"):
        TrustStore(tmp_path)


@pytest.mark.parametrize("name", ["", "bravo", "A B", "CN=BRAVO", "A" * 33, "-A", "A.B", "A\n", "Ä"])
def test_a_name_that_could_mean_something_to_the_server_is_refused(tmp_path: Path, name: str):
    with pytest.raises(BadInputError):
        TrustStore.create(tmp_path / "x", name, "127.0.0.1:7422", NOW)


@pytest.mark.parametrize(
    "address", ["", "host", "host:", "host:0", "host:99999", "ho st:1", 'h":1', "::1:7422", "$x:1", "-h:1"]
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str):
    with pytest.raises(BadInputError):
        TrustStore.create(tmp_path / "x", "BRAVO", address, NOW)


@pytest.mark.parametrize("address", ["127.0.0.1:7422", "[::1]:7422", "bravo.example:1", "Bravo-2:65535"])
def test_an_address_is_a_host_and_a_port(tmp_path: Path, address: str):
    store = TrustStore.create(tmp_path / "x", "BRAVO", address, NOW)
    assert read_partner_file(store.partner_file(NOW), NOW).address == address


def certificate(**changes) -> x509.Certificate:
    """A certificate as ours are, but for the changes."""
    key = changes.get("key") or ec.generate_private_key(ec.SECP256R1())
    subject = changes.get("subject", [x509.NameAttribute(NameOID.COMMON_NAME, "BRAVO")])
    issuer = changes.get("issuer", subject)
    now = datetime.fromtimestamp(NOW, UTC)
    usage = dict.fromkeys(OTHER_USAGES, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.Name(issuer))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + changes.get("begins", timedelta(0)))
        .not_valid_after(now + changes.get("ends", timedelta(days=365)))
    )
    extensions = {
        "alternatives": (
            x509.SubjectAlternativeName(changes.get("names", [x509.IPAddress(ip_address("127.0.0.1"))])),
            False,
        ),
        "basic": (x509.BasicConstraints(ca=changes.get("ca", False), path_length=None), True),
        "usage": (
            x509.KeyUsage(digital_signature=True, key_cert_sign=changes.get("signs", False), **usage),
            True,
        ),
        "extended": (x509.ExtendedKeyUsage(changes.get("uses", USES)), False),
        "more": changes.get("more"),
    }
    for name, extension in extensions.items():
        if extension is not None and name != changes.get("without"):
            builder = builder.add_extension(*extension)
    return builder.sign(changes.get("signer", key), changes.get("hash", hashes.SHA256()))


OTHER_USAGES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
USES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def signed_file(certificate: x509.Certificate, tmp_path: Path) -> bytes:
    """A partner file with this certificate, properly signed."""
    store = TrustStore.create(tmp_path / "bravo", "BRAVO", "127.0.0.1:7422", NOW)
    (store.folder / "own-1.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return store.partner_file(NOW)


def test_a_certificate_as_ours_is_accepted(tmp_path: Path):
    read_partner_file(signed_file(certificate(), tmp_path), NOW)


COMMON = x509.NameAttribute(NameOID.COMMON_NAME, "BRAVO")
CHARLIE = x509.NameAttribute(NameOID.COMMON_NAME, "CHARLIE")
UNUSUAL = {
    "another name": {"subject": [CHARLIE]},
    "two names": {"subject": [COMMON, CHARLIE]},
    "another issuer": {"issuer": [CHARLIE]},
    "an authority": {"ca": True},
    "signs certificates": {"signs": True},
    "without constraints": {"without": "basic"},
    "a name as an address of e-mail": {"names": [x509.RFC822Name("CN=ALPHA")]},
    "a second host": {"names": [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("alpha.example")]},
    "another host": {"names": [x509.DNSName("alpha.example")]},
    "other uses": {"uses": [ExtendedKeyUsageOID.CODE_SIGNING]},
    "one more extension": {"more": (x509.OCSPNoCheck(), False)},
    "another curve": {"key": ec.generate_private_key(ec.SECP384R1())},
    "another kind of key": {"key": rsa.generate_private_key(65537, 2048)},
    "another signer": {"signer": ec.generate_private_key(ec.SECP256R1())},
    "another digest": {"hash": hashes.SHA512()},
    "ended": {"begins": timedelta(days=-9), "ends": timedelta(days=-1)},
    "not yet": {"begins": timedelta(days=2)},
    "for ever": {"ends": timedelta(days=9999)},
}


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_a_certificate_of_another_form_is_refused(tmp_path: Path, unusual: str):
    with pytest.raises(TrustError, match="certificate"):
        read_partner_file(signed_file(certificate(**UNUSUAL[unusual]), tmp_path), NOW)


def test_a_second_certificate_hidden_behind_the_first_is_refused(tmp_path: Path):
    store = TrustStore.create(tmp_path / "bravo", "BRAVO", "127.0.0.1:7422", NOW)
    with (store.folder / "own-1.pem").open("ab") as file:
        file.write(certificate(ca=True).public_bytes(serialization.Encoding.PEM))
    with pytest.raises(TrustError, match="one certificate"):
        read_partner_file(store.partner_file(NOW), NOW)
