"""The commonality meter: do both sides look at the same picture?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skypact.exchange.correlation import GATE, Correlation
from skypact.exchange.numbers import JointNumbers


@dataclass(frozen=True, slots=True)
class Commonality:
    """How far our picture and a partner's agree on what both trackers hold and both may see.

    Shares are of `held` and are 1 where nothing is held.
    """

    held: int  # aircraft that both hold: bound pairs, and likely ones that still wait
    number: float  # share under the same joint number on both sides
    state: float  # share whose states agree within the gate
    identity: float  # share of the same identity
    age: float  # of the partner's report, s
    skew: float  # the partner's clock minus ours, as the pairs show it, s; NaN when they don't


def measure_commonality(
    correlation: Correlation,
    numbers: JointNumbers,
    visible: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Commonality]:
    """The meter of each partner whose report counts.

    Args:
        correlation: of this time. numbers: of the same correlation.
        visible: of a partner's name, (N,) own tracks that are released to it; all when absent.
    """
    meters = {}
    members = correlation.members[: len(correlation.reports[0])]
    own = correlation.reports[0]
    for c, partner in enumerate(correlation.centres[1:], start=1):
        ours = np.flatnonzero((members[:, c] >= 0) & visible.get(partner, True))
        rows = members[ours, c]
        theirs = correlation.reports[c]
        their_names = np.array(theirs.centre_names)[theirs.number_centre[rows]]
        our_names = np.array(numbers.centre_names)[numbers.number_centre[ours]]
        same_number = (our_names == their_names) & (numbers.number[ours] == theirs.number[rows])
        held = len(ours) + int(np.count_nonzero(correlation.likely[:, c] >= 0))
        meters[partner] = Commonality(
            held=held,
            number=_share(same_number, held),
            state=_share(correlation.distances[ours, c] <= GATE.distance, held),
            identity=_share(own.identity[ours] == theirs.identity[rows], held),
            age=float(correlation.ages[c]),
            skew=float(correlation.skews[c]),
        )
    return meters


def _share(agrees: NDArray[np.bool_], held: int) -> float:
    return float(np.count_nonzero(agrees) / held) if held else 1.0
