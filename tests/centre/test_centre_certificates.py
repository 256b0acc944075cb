import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from skypact.centre.certificates import VALID_DAYS, find_or_make_certificate, is_loopback
from skypact.core.errors import BadInputError


def test_a_certificate_is_made_once_readable_by_its_owner_only(tmp_path):
    made = find_or_make_certificate(tmp_path / "data", "192.0.2.7")
    before = made.certificate.read_bytes()
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert find_or_make_certificate(tmp_path / "data", "192.0.2.7") == made
    assert made.certificate.read_bytes() == before
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)


def test_a_certificate_names_the_machine_and_the_address_that_is_served(tmp_path):
    made = find_or_make_certificate(tmp_path, "192.0.2.7")
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "192.0.2.7" in map(str, names.get_values_for_type(x509.IPAddress))
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_that_is_about_to_expire_is_made_anew(tmp_path):
    made = find_or_make_certificate(tmp_path, "0.0.0.0")
    before = made.certificate.read_bytes()
    later = datetime.now(UTC) + timedelta(days=VALID_DAYS)
    assert find_or_make_certificate(tmp_path, "0.0.0.0", later).certificate.read_bytes() != before


def test_a_folder_that_cannot_hold_a_certificate_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="file"):
        find_or_make_certificate(tmp_path / "file", "0.0.0.0")


def test_loopback_is_known_by_name_and_address():
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "192.0.2.1", "example.org", "::")] == [False] * 4
