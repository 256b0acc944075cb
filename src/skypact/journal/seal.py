"""How records are made and proved: canonical JSON, digests, the chain, signatures."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from skypact.core.errors import SkypactError
from skypact.journal.model import GENESIS, RECORD_LIMIT, Content, KeyChanged, Record, event_of

_SIGNED = b"skypact journal record "  # before the hash, so that no other signature passes for a record's
_SALTED = b"skypact journal salt "


class BadRecordError(SkypactError):
    """Octets that are no record, or a content that no record can hold."""


class Fault(StrEnum):
    """What can be wrong with a record at its place in a log; the values are words for people."""

    MALFORMED = "is not a record"
    FOREIGN = "is of another centre"
    MISSING = "is missing"
    MISPLACED = "stands at a wrong place"
    UNCHAINED = "does not follow the record before it"
    CHANGED = "was changed after it was sealed"
    UNSIGNED = "is not signed by the centre's key"
    UNSIGNED_ACT = "holds an act that the person did not sign"
    FORKED = "has a twin with another content"
    UNFINISHED = "ends in an unfinished line"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends: all that is needed to prove the record that comes next."""

    centre: str
    key: str  # public Ed25519 key that signs the next record, hexadecimal
    sequence: int = 0
    hash: str = GENESIS


def key_hex(key: Ed25519PublicKey) -> str:
    """A public key as 64 hexadecimal digits."""
    return key.public_bytes_raw().hex()


def canonical(value: Any) -> bytes:
    """The one form of a JSON value that is hashed and signed (RFC 8785).

    Raises:
        BadRecordError: a value that JSON can't hold, such as NaN or a number of more than 53 bits.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise BadRecordError(f"no canonical JSON: {error}") from None


def content_digest(content: Content) -> str:
    """SHA-256 of a content, hexadecimal."""
    return hashlib.sha256(canonical(msgspec.to_builtins(content))).hexdigest()


def record_hash(centre: str, sequence: int, previous: str, digest: str) -> str:
    """SHA-256 of what a seal says, hexadecimal."""
    seal = {"centre": centre, "digest": digest, "previous": previous, "sequence": sequence}
    return hashlib.sha256(canonical(seal)).hexdigest()


def make_salt(head: Head, key: Ed25519PrivateKey) -> str:
    """The salt of the record after `head`: repeatable with the key, and a secret without it."""
    place = f"{head.centre} {head.sequence + 1} {head.hash}".encode()
    return hashlib.sha256(key.sign(_SALTED + place)).hexdigest()[:32]


def seal(content: Content, head: Head, key: Ed25519PrivateKey) -> Record:
    """The record of a content that comes after `head`, signed by the centre's key.

    Raises:
        BadRecordError: a content that JSON can't hold, or not within `RECORD_LIMIT`.
    """
    digest = content_digest(content)
    sequence = head.sequence + 1
    hash_ = record_hash(head.centre, sequence, head.hash, digest)
    record = Record(
        centre=head.centre,
        sequence=sequence,
        previous=head.hash,
        digest=digest,
        hash=hash_,
        signature=key.sign(_SIGNED + hash_.encode()).hex(),
        content=content,
    )
    # What is written must be readable for ever, so it is handed on as read: what JSON can't give back
    # is found now, not when the log is proved.
    return decode_record(encode_record(record))


def withhold(record: Record) -> Record:
    """The record without its content, for a partner that may not read it.

    A change of the key is never withheld: nobody could prove what comes after it.
    """
    if isinstance(event_of(record), KeyChanged):
        return record
    return msgspec.structs.replace(record, content=None, withheld=True)


def encode_record(record: Record) -> bytes:
    """The record as one line of canonical JSON, without line end."""
    return canonical(msgspec.to_builtins(record))


_decode = msgspec.json.Decoder(Record).decode


def decode_record(line: bytes) -> Record:
    """The record in one line.

    Raises:
        BadRecordError: no record, or one written in another than its canonical form: each record has
            one form only, so that no bit of a log can change unseen.
    """
    if len(line) > RECORD_LIMIT:
        raise BadRecordError(f"longer than {RECORD_LIMIT:,} octets")
    try:
        record = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecordError(str(error)) from None
    content = record.content
    if (content is None) != record.withheld:
        raise BadRecordError("a content both withheld and there, or neither")
    if content is not None:
        if (content.event is None) == (content.act is None):
            raise BadRecordError("not exactly one of event and act")
        if (content.act is None) != (content.person is None):
            raise BadRecordError("an act without its person, or a person without an act")
    if encode_record(record) != line:
        raise BadRecordError("not canonical JSON")
    return record


def is_signed(signed: bytes, signature: str, key: str) -> bool:
    """Whether the signature is of these octets and by this public key, both hexadecimal."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), signed)
    except (ValueError, InvalidSignature):
        return False
    return True


def is_seal_whole(record: Record) -> bool:
    """Whether the hash is of what the seal says, so that its place in the log can be believed."""
    return record.hash == record_hash(record.centre, record.sequence, record.previous, record.digest)


def is_sealed(record: Record) -> bool:
    """Whether digest and hash are of what the record says."""
    is_content_whole = record.content is None or content_digest(record.content) == record.digest
    return is_content_whole and is_seal_whole(record)


def is_proved_by(record: Record, key: str) -> bool:
    """Whether the record is as it was sealed, and signed by this public key, hexadecimal."""
    return is_sealed(record) and is_signed(_SIGNED + record.hash.encode(), record.signature, key)


def faults_of(record: Record, head: Head, is_after_gap: bool = False) -> list[Fault]:
    """What is wrong with a record that stands after `head`; nothing where it proves itself.

    Args:
        record: in canonical form (as `decode_record` gives it). head: where the log ended before.
        is_after_gap: the hash of the record before is not known.
    """
    if record.centre != head.centre:
        return [Fault.FOREIGN]
    faults = []
    if record.sequence != head.sequence + 1:
        faults.append(Fault.MISPLACED)
    elif not is_after_gap and record.previous != head.hash:
        faults.append(Fault.UNCHAINED)
    if not is_sealed(record):
        faults.append(Fault.CHANGED)
    if not is_signed(_SIGNED + record.hash.encode(), record.signature, head.key):
        faults.append(Fault.UNSIGNED)
    content = record.content
    if content is not None and content.act is not None and content.person is not None:
        person = content.person
        if not is_signed(canonical(content.act), person.signature, person.key):
            faults.append(Fault.UNSIGNED_ACT)
    return faults


def advance(head: Head, record: Record) -> Head:
    """Where the log ends after a record that proved itself; its word on a new key counts."""
    event = event_of(record)
    key = event.key if isinstance(event, KeyChanged) else head.key
    return Head(head.centre, key, record.sequence, record.hash)
