"""What all logs together say now: a pure fold, the same in whatever order their records arrived.

Each centre's log is in order by itself and speaks for that centre alone, so the joint state is one
state a centre. Nothing of one log overwrites another's: where two say different things of the same
tracks, both are kept and the conflict is told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby

from skypact.journal.model import (
    CertificateChanged,
    ExerciseBegan,
    ExerciseEnded,
    JournalStopped,
    KeyChanged,
    LinkDown,
    LinkUp,
    PartnerJoined,
    PartnerRevoked,
    PictureAgreed,
    PolicyChanged,
    Record,
    Resumed,
    RungChanged,
    Suspended,
    TracksCorrelated,
    TracksReleased,
    TracksSeparated,
    event_of,
)

PartnerEvent = (
    LinkUp
    | LinkDown
    | PictureAgreed
    | RungChanged
    | Suspended
    | Resumed
    | PartnerJoined
    | PartnerRevoked
    | CertificateChanged
    | PolicyChanged
)
Pair = frozenset[str]  # the uids of two tracks, 32 hexadecimal digits each


@dataclass(frozen=True, slots=True)
class PartnerState:
    """What one centre says of one of its partners."""

    is_linked: bool = False
    link_changed: float | None = None  # UTC s since 1970, by that centre's clock
    rung: str = "alone"  # what the centre gives the partner
    suspended: str | None = None  # the reason while suspended
    key: str = ""  # that the partner's journal begins with; "" for one that is not trusted
    certificate: str = ""  # SHA-256 fingerprint
    policy: str = ""  # SHA-256 of the release policy's text


@dataclass(frozen=True, slots=True)
class Word:
    """What a person said of two tracks."""

    is_one: bool  # that they are one aircraft; else two
    by: str
    reason: str
    said: float  # UTC s since 1970, by that centre's clock


@dataclass(frozen=True, slots=True)
class CentreState:
    """What one centre's log says at its end."""

    partners: Mapping[str, PartnerState]
    exercises: frozenset[str]  # that the centre takes part in
    pairs: Mapping[Pair, Word]  # by hand


NOTHING = CentreState({}, frozenset(), {})


def fold(records: Iterable[Record]) -> dict[str, CentreState]:
    """The state by centre; records in any order, each however often.

    Of a log with a gap, what comes after the gap waits for the records in it, so that a state is
    always one that the centre was in.
    """

    # Of two forms of one record the one with its content comes first, and counts.
    def place(record: Record) -> tuple[str, int, str, bool]:
        return record.centre, record.sequence, record.hash, record.withheld

    ordered = sorted(records, key=place)
    states = {}
    for centre, log in groupby(ordered, key=lambda record: record.centre):
        state, sequence = NOTHING, 0
        for record in log:
            if record.sequence == sequence + 1:
                state, sequence = step(state, record), record.sequence
        states[centre] = state
    return states


def fold_on(state: CentreState, records: Iterable[Record]) -> CentreState:
    """The state of one centre after further records of its log, which are in order."""
    return reduce(step, records, state)


def step(state: CentreState, record: Record) -> CentreState:
    """The state of one centre after the next record of its log.

    What is withheld from us, and what only a later version knows, changes nothing.
    """
    event = event_of(record)
    match event:
        case None | KeyChanged() | JournalStopped():
            return state
        case ExerciseBegan():
            return replace(state, exercises=state.exercises | {event.exercise})
        case ExerciseEnded():
            return replace(state, exercises=state.exercises - {event.exercise})
        case TracksCorrelated() | TracksSeparated():
            assert record.content is not None
            is_one = isinstance(event, TracksCorrelated)
            word = Word(is_one, event.by, event.reason, record.content.received)
            return replace(state, pairs={**state.pairs, frozenset(event.uids): word})
        case TracksReleased():
            taken_back = frozenset(event.uids)
            left = {pair: word for pair, word in state.pairs.items() if pair != taken_back}
            return replace(state, pairs=left)
    before = state.partners.get(event.partner, PartnerState())
    after = _step_partner(before, event, record)
    return replace(state, partners={**state.partners, event.partner: after})


def _step_partner(before: PartnerState, event: PartnerEvent, record: Record) -> PartnerState:
    assert record.content is not None
    match event:
        case LinkUp() | LinkDown():
            is_linked = isinstance(event, LinkUp)
            return replace(before, is_linked=is_linked, link_changed=record.content.received)
        case PictureAgreed():
            return before
        case RungChanged():
            return replace(before, rung=event.rung)
        case Suspended():
            return replace(before, suspended=event.reason)
        case Resumed():
            return replace(before, suspended=None)
        case PartnerJoined():
            return replace(before, key=event.key, certificate=event.certificate)
        case PartnerRevoked():
            return replace(before, key="", certificate="")
        case CertificateChanged():
            return replace(before, certificate=event.certificate)
        case PolicyChanged():
            return replace(before, policy=event.sha256)


def joint_exercises(states: Mapping[str, CentreState], centres: Iterable[str]) -> frozenset[str]:
    """The exercises that all these centres take part in."""
    taken = [states.get(centre, NOTHING).exercises for centre in centres]
    return frozenset.intersection(*taken) if taken else frozenset()


def manual_pairs(states: Mapping[str, CentreState]) -> tuple[dict[Pair, bool], frozenset[Pair]]:
    """What people said of pairs of tracks: where all agree, and the pairs on which centres differ."""
    said: dict[Pair, set[bool]] = {}
    for state in states.values():
        for pair, word in state.pairs.items():
            said.setdefault(pair, set()).add(word.is_one)
    agreed = {pair: answers.pop() for pair, answers in said.items() if len(answers) == 1}
    return agreed, frozenset(said.keys() - agreed.keys())
