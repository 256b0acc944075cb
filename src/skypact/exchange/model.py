"""What partners give each other: tracks as columns, and the rungs of the ladder."""

from dataclasses import dataclass, fields
from enum import IntEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats2, Floats3

STALE = 5.0  # s; a partner's report that is older shows where targets would be if none had turned


class Rung(IntEnum):
    """How much one centre gives another now; the names in lower case are the words of files."""

    ALONE = 0  # nothing
    ALERTS = 1  # incidents, decisions and the journal only
    TRACKS = 2  # and tracks
    PLOTS = 3  # and the plots of released sensors: one radar array


@dataclass(frozen=True, slots=True)
class TrackReport:
    """Tracks of one centre's own tracker, as it releases them; one row per track."""

    time: float  # of applicability, UTC s since 1970
    centre: str  # whose tracks they are
    centre_names: tuple[str, ...]  # that `number_centre` points into
    sensor_names: tuple[str, ...]  # that the bits of `sensors` point into
    uid: NDArray[np.uint64]  # (N, 2) high and low half of the track's identifier
    number_centre: NDArray[np.uint8]  # (N,) of the joint track number: who numbered it first
    number: NDArray[np.int32]  # (N,) of the joint track number, 1 to 32767
    numbered: Floats1  # (N,) when that number was given, UTC s since 1970
    latitude: Floats1  # (N,) rad
    longitude: Floats1  # (N,) rad
    height: Floats1  # (N,) above the ellipsoid, m; NaN when withheld
    velocity: Floats2  # (N, 3) east, north, up at the target, m/s; NaN when withheld
    covariance: Floats3  # (N, 4, 4) of east, north, east and north velocity at the target, m and m/s
    altitude: Floats1  # (N,) last pressure altitude, m; NaN when none is known or released
    existence: Floats1  # (N,) probability that there is a target
    updated: Floats1  # (N,) detection time of the last plot, UTC s since 1970
    is_coasting: NDArray[np.bool_]  # (N,)
    is_simulated: NDArray[np.bool_]  # (N,)
    is_reporter: NDArray[np.bool_]  # (N,) the centre holds reporting responsibility
    squawk: NDArray[np.int16]  # (N,) -1 for none
    address: NDArray[np.int32]  # (N,) -1 for none
    callsign: NDArray[np.int64]  # (N,) packed as in plots; 0 for none
    identity: NDArray[np.uint8]  # (N,) tracks.model.Identity
    kind: NDArray[np.uint8]  # (N,) tracks.model.TargetKind
    sensors: NDArray[np.uint64]  # (N, W) bit s % 64 of word s // 64: sensor s fed the track lately

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: "NDArray[np.intp] | NDArray[np.bool_] | slice") -> "TrackReport":
        """The chosen rows, in the order given."""
        return TrackReport(
            self.time,
            self.centre,
            self.centre_names,
            self.sensor_names,
            *(getattr(self, name)[rows] for name in REPORT_COLUMNS),
        )


REPORT_COLUMNS: tuple[str, ...] = tuple(column.name for column in fields(TrackReport))[4:]


class CommonalityShares(msgspec.Struct, frozen=True, kw_only=True):
    """How far two pictures agree on what both centres hold and both may see; shares from 0 to 1."""

    held: int  # aircraft that both hold
    number: float  # under the same joint number
    state: float  # at the same place
    identity: float  # of the same identity
    skew: float | None  # the partner's clock minus ours, s; None when the pairs don't show it


class PartnerState(msgspec.Struct, frozen=True, kw_only=True):
    """How the exchange with one partner stands: what people are shown of it."""

    name: str
    link: str  # up, late, down
    since: float | None  # of that state, UTC s since 1970; None when it was never up
    heard: float | None  # when the partner's last message came, UTC s since 1970
    we_give: str  # rung, in lower case
    we_give_why: str  # why it is no higher one; empty on the highest
    they_give: str
    suspended: str | None  # our reason, while a person has stopped what we give
    mode: str  # exercise, while the logs of both sides hold the same one; else live
    exercise: str = ""  # that our side takes part in; "" for none
    their_exercise: str = ""  # that the partner takes part in, as its journal says; "" for none
    tracks: int  # of the partner in our picture
    report_age: float | None  # of its newest tracks, s
    bytes_out: float  # acknowledged in the last second
    in_flight: int  # octets
    gaps: int  # live messages that never came
    refused: int  # messages that could not be used
    journal_ours: int  # our last record that the partner holds
    journal_theirs: int  # its last record that we hold
    commonality: CommonalityShares | None
    suspends_us: str | None = (
        None  # its reason, if it gives one, while a person there has stopped what we get
    )
    number_changes: int = 0  # of our tracks since the link came up last
    expires: float | None = None  # of the link's certificates, the first to end, UTC s since 1970


class TrackWord(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said of two tracks, one of them at least in the picture: what people are shown of it."""

    numbers: tuple[int, int]  # in this centre; twice the same where they are one track, 0 for one not there
    joints: tuple[str, str]  # joint numbers, as in ALPHA-00017; empty for one that is not there
    is_one: bool  # that they are one aircraft; else two
    binds: bool  # said in this centre: it stands above the rules; else it is a partner's, and a proposal
    centre: str  # in which it was said
    by: str
    reason: str
    said: float  # UTC s since 1970, by the clock of that centre
