"""What the evaluation hands on: truth and tracks second by second, who was whose, and the scores."""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1

NOBODY = -1


@dataclass(frozen=True, slots=True)
class Truth:
    """Where every target was; one row per target and second, by time."""

    time: Floats1  # (R,) UTC s since 1970
    target: NDArray[np.int64]  # (R,) row in `names`
    latitude: Floats1  # (R,) rad
    longitude: Floats1  # (R,) rad
    height: Floats1  # (R,) m; NaN when not known
    east: Floats1  # (R,) velocity, m/s; NaN when not known
    north: Floats1  # (R,) velocity, m/s; NaN when not known
    is_counted: NDArray[np.bool_]  # (R,) it counts for the scores at this second
    is_covered: NDArray[np.bool_]  # (R,) at least one sensor can see it
    scan: Floats1  # (R,) shortest rotation period of the sensors that see it, s
    names: NDArray[np.int64]  # (J,) number of each target in the file
    kind: NDArray[np.int64]  # (J,) row in `kinds`; -1 when not known
    kinds: list[str]
    gate: Floats1  # (J,) how far a track of the target may be from it, m

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Tracks:
    """The pictures that are scored; one row per track and picture, by time."""

    time: Floats1  # (R,) UTC s since 1970
    track: NDArray[np.int64]  # (R,) row in `names`
    latitude: Floats1  # (R,) rad
    longitude: Floats1  # (R,) rad
    height: Floats1  # (R,) m; NaN when not known
    east: Floats1  # (R,) velocity, m/s; NaN when not known
    north: Floats1  # (R,) velocity, m/s; NaN when not known
    variance_east: Floats1  # (R,) of the position, m²; NaN when not known
    variance_north: Floats1  # (R,) m²
    covariance: Floats1  # (R,) of east and north, m²
    names: NDArray[np.int64]  # (K,) number of each track in the file

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Tracks beside targets at one second or more; one row per pair."""

    truth: NDArray[np.int64]  # (P,) row of the truth
    track: NDArray[np.int64]  # (P,) row of the tracks
    east: Floats1  # (P,) track less truth, m
    north: Floats1  # (P,) track less truth, m
    distance: Floats1  # (P,) horizontal, m

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: "NDArray[np.intp] | NDArray[np.bool_]") -> "Pairs":
        """The chosen pairs."""
        return Pairs(
            self.truth[rows], self.track[rows], self.east[rows], self.north[rows], self.distance[rows]
        )


@dataclass(frozen=True, slots=True)
class Matching:
    """Who was whose over the whole run."""

    period: float  # s between the scored pictures
    owned: Pairs  # many tracks to one target, with hysteresis: continuity is judged by it
    best: Pairs  # one track to one target, the best at each second: GOSPA and errors are judged by it
    is_ended: NDArray[np.bool_]  # (rows of tracks,) owned by nobody, its last target gone
    is_clutter: NDArray[np.bool_]  # (rows of tracks,) owned by nobody else
    swaps: int  # tracks that moved from one target to another


class Gospa(msgspec.Struct, frozen=True, kw_only=True):
    """GOSPA (p = 2, alpha = 2) over the run."""

    total: float  # m: root of the summed squares over the counted truths
    localisation: float  # m² per counted truth
    missed: float  # m² per counted truth
    false: float  # m² per counted truth


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """How good the picture was; `docs/evaluation.md` defines each figure."""

    completeness: float
    ambiguity: float
    spuriousness: float
    spuriousness_clutter: float
    spuriousness_ended: float
    position_accuracy: float  # m
    velocity_accuracy: float  # m/s
    number_change_rate: float  # 1/s
    longest_segment: float
    breaks_per_hour: float
    swaps_per_hour: float
    rmse: float  # m
    median_error: float  # m
    gospa: Gospa
    anees: float
    targets: int
    tracks: int
