"""What the journal holds: records, and the events and acts in them.

A *record* is a seal and, unless it is withheld, a content. The seal chains the records of one centre:

    digest    = SHA-256 of the content
    hash      = SHA-256 of {centre, digest, previous, sequence}
    signature = Ed25519 of "skypact journal record " and the hash, by the centre's key

each over canonical JSON (RFC 8785), in lower-case hexadecimal digits. A partner that may not read a
content still gets its seal, so that the chain proves itself with every record in its place.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

GENESIS = "0" * 64  # stands where the first record of a log names the one before it
LAST_TIME = 253_402_300_800.0  # UTC s since 1970 at which the year 10000 begins
Digits64 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]  # lower case only: one form a record
Digits128 = Annotated[str, Meta(pattern=r"^[0-9a-f]{128}\Z")]
RECORD_LIMIT = 1_000_000  # octets of one record as a line


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What befell a centre, as its machine records it; `partner` is always the other centre's name."""


class LinkUp(Event, frozen=True, kw_only=True, tag="link_up"):
    """The partner is heard again, or for the first time."""

    partner: str


class LinkDown(Event, frozen=True, kw_only=True, tag="link_down"):
    """The partner is not heard any more."""

    partner: str
    reason: str


class PictureAgreed(Event, frozen=True, kw_only=True, tag="picture_agreed"):
    """Both centres show what both hold under the same numbers, for the first time since the link came up."""

    partner: str
    seconds: float  # since then
    share: float  # of the aircraft that both hold that have one number
    held: int  # by both
    changes: int  # of numbers of our tracks since then
    most: int  # of one track, since a link to any partner came up


class RungChanged(Event, frozen=True, kw_only=True, tag="rung_changed"):
    """What we give the partner moved to another rung of the ladder."""

    partner: str
    rung: str  # plots, tracks, alerts, alone
    reason: str


class Suspended(Event, frozen=True, kw_only=True, tag="suspended"):
    """A person stopped what we give the partner."""

    partner: str
    by: str
    reason: str
    rung: str = "alone"  # what the partner gets meanwhile at most: alerts, or nothing


class Resumed(Event, frozen=True, kw_only=True, tag="resumed"):
    """A person ended the suspension."""

    partner: str
    by: str
    reason: str = ""


class PartnerJoined(Event, frozen=True, kw_only=True, tag="partner_joined"):
    """A person accepted the partner with these keys."""

    partner: str
    key: str  # that the partner's journal begins with: public Ed25519 key, hexadecimal
    certificate: str  # SHA-256 fingerprint of its link certificate
    by: str = ""


class PartnerRevoked(Event, frozen=True, kw_only=True, tag="partner_revoked"):
    """A person ended the trust in the partner's keys."""

    partner: str
    by: str
    reason: str


class KeyChanged(Event, frozen=True, kw_only=True, tag="key_changed"):
    """All later records of this log are signed by another key."""

    key: str  # public Ed25519 key, hexadecimal


class CertificateChanged(Event, frozen=True, kw_only=True, tag="certificate_changed"):
    """The partner renewed its link certificate, vouched for by the one before."""

    partner: str
    certificate: str  # SHA-256 fingerprint


class PolicyChanged(Event, frozen=True, kw_only=True, tag="policy_changed"):
    """What the partner may see is from now on ruled by this text."""

    partner: str
    sha256: str  # of the text in UTF-8
    text: str


class ExerciseBegan(Event, frozen=True, kw_only=True, tag="exercise_began"):
    """A person agreed to the exercise; it is on between centres that all agreed."""

    exercise: str
    by: str = ""
    reason: str = ""


class ExerciseEnded(Event, frozen=True, kw_only=True, tag="exercise_ended"):
    """A person ended the exercise here, or at the last partner that it was on with."""

    exercise: str
    by: str = ""  # "" where a partner's word ended it, as the reason says
    reason: str = ""


class JournalStopped(Event, frozen=True, kw_only=True, tag="journal_stopped"):
    """Nothing could be recorded for a while; what befell since then was recorded after it."""

    reason: str


class TracksCorrelated(Event, frozen=True, kw_only=True, tag="tracks_correlated"):
    """A person said that two tracks are one aircraft."""

    uids: tuple[str, str]  # 32 hexadecimal digits each
    by: str
    reason: str = ""
    tracks: tuple[str, ...] = ()  # their joint numbers then, as in ALPHA-00017


class TracksSeparated(Event, frozen=True, kw_only=True, tag="tracks_separated"):
    """A person said that two tracks are two aircraft."""

    uids: tuple[str, str]  # 32 hexadecimal digits each
    by: str
    reason: str = ""
    tracks: tuple[str, ...] = ()  # their joint numbers then, as in ALPHA-00017


class TracksReleased(Event, frozen=True, kw_only=True, tag="tracks_released"):
    """A person took back what was said of two tracks: the rules decide again."""

    uids: tuple[str, str]  # 32 hexadecimal digits each
    by: str
    reason: str = ""
    tracks: tuple[str, ...] = ()  # their joint numbers then, as in ALPHA-00017


AnyEvent = (
    LinkUp
    | LinkDown
    | PictureAgreed
    | RungChanged
    | Suspended
    | Resumed
    | PartnerJoined
    | PartnerRevoked
    | KeyChanged
    | CertificateChanged
    | PolicyChanged
    | ExerciseBegan
    | ExerciseEnded
    | JournalStopped
    | TracksCorrelated
    | TracksSeparated
    | TracksReleased
)


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who did an act, and the proof of it."""

    name: str
    key: Digits64  # public Ed25519 key
    signature: Digits128  # Ed25519 of the act in canonical JSON, by that key


class Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a record says: an event, or an act with the person who did it.

    Both are kept as read, with kinds and fields that only a later version knows, so that the digest
    of a record stays provable; `event_of` gives the event with its type.
    """

    received: Annotated[float, Meta(ge=0, lt=LAST_TIME)]  # UTC s since 1970, by its centre's clock
    exercise: bool  # never to be mixed up with live
    salt: str  # so that nobody finds a withheld content by trying likely ones against its digest
    event: dict[str, Any] | None = None
    act: dict[str, Any] | None = None
    person: Person | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One record of one centre's log; `content` is None exactly where it is withheld from the reader."""

    centre: str
    sequence: Annotated[int, Meta(ge=1)]  # from 1 without gaps
    previous: Digits64  # hash of the record before
    digest: Digits64
    hash: Digits64
    signature: Digits128
    content: Content | None = None
    withheld: bool = False

    @property
    def kind(self) -> str:
        """Kind of the event or act; "withheld" where the content is, "" where none is told."""
        if self.content is None:
            return "withheld"
        said = self.content.event if self.content.event is not None else self.content.act
        return str((said or {}).get("kind", ""))


def event_of(record: Record) -> AnyEvent | None:
    """The event in a record; None for an act, a withheld content, and what only a later version knows."""
    if record.content is None or record.content.event is None:
        return None
    try:
        event: AnyEvent = msgspec.convert(record.content.event, AnyEvent)
    except msgspec.ValidationError:
        return None
    return event
