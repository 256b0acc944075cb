"""All that a centre keeps of one partner, and how people are told of it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skypact.centre.exercise import ExerciseBook
from skypact.centre.partner_view import known
from skypact.exchange.commonality import Commonality
from skypact.exchange.engine import StoredRecord
from skypact.exchange.gateway import Gateway
from skypact.exchange.model import CommonalityShares, PartnerState, Rung, TrackReport
from skypact.exchange.reader import Reader
from skypact.journal.copies import Copy
from skypact.sensors.model import SensorHealth


@dataclass
class PartnerLink:
    """One partner, from our side."""

    name: str
    gateway: Gateway
    reader: Reader
    copy: Copy
    policy_file: Path
    policy_bytes: bytes
    expires: float | None = None  # of the link's certificates, the first to end
    unit: int = 0  # its system unit, as it tells it; 0: not told
    rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))  # of its sensors in ours
    report: TrackReport | None = None  # its newest
    health: tuple[SensorHealth, ...] = ()
    unkept: list[StoredRecord] = field(default_factory=list)  # of its journal, refused by the disk
    keep_again: float = -np.inf  # when to try
    given: int = 0  # sequence of our last record that was handed to the engine
    was_up: bool = False  # as last recorded
    rung: Rung = Rung.ALONE  # that we gave, as last recorded
    tracks: int = 0  # of the partner in the last picture
    commonality: CommonalityShares | None = None
    came_up: float | None = None  # UTC s since 1970; None while it is down, or both pictures have agreed
    changes: int = 0  # of numbers of our tracks since it came up
    has_reported: bool = False  # since it came up


def shares_of(meter: Commonality) -> CommonalityShares:
    """What a meter shows, for people."""
    return CommonalityShares(
        held=int(meter.held),
        number=float(meter.number),
        state=float(meter.state),
        identity=float(meter.identity),
        skew=known(float(meter.skew)),
    )


def state_of(link: PartnerLink, now: float, exercises: ExerciseBook) -> PartnerState:
    """How the exchange with a partner stands, for people."""
    out, back = link.gateway.status, link.reader.status
    return PartnerState(
        name=link.name,
        link=back.state.value,
        since=back.since,
        heard=None if back.age is None else now - back.age,
        we_give=out.rung.name.lower(),
        we_give_why=out.why,
        they_give=back.rung.name.lower(),
        suspended=link.gateway.ladder.reason or None,
        suspends_us=back.suspends_us,
        mode="exercise" if exercises.is_on_with(link.name) else "live",
        exercise=exercises.name,
        their_exercise=exercises.partner_name(link.name),
        tracks=link.tracks,
        report_age=None if link.report is None else now - link.report.time,
        bytes_out=out.rate,
        in_flight=out.in_flight,
        gaps=back.lost,
        refused=sum(back.refused.values()) + link.copy.refused.total(),
        journal_ours=out.acknowledged,
        journal_theirs=link.copy.head.sequence,
        commonality=link.commonality,
        number_changes=link.changes,
        expires=link.expires,
    )
