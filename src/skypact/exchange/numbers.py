"""Joint track numbers, and who reports a track: the same on all sides without asking."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.exchange.correlation import Correlation


@dataclass(frozen=True, slots=True)
class JointNumbers:
    """Number and reporter of each system track; rows as `Correlation.members`."""

    centre_names: tuple[str, ...]  # that `number_centre` points into
    number_centre: NDArray[np.uint8]  # (G,) who numbered the aircraft first
    number: NDArray[np.int32]  # (G,) 1 to 32767
    numbered: Floats1  # (G,) when, UTC s since 1970
    reporter: NDArray[np.int8]  # (G,) place in `Correlation.centres` of who holds reporting responsibility
    changes: int  # numbers of own tracks that changed in this call


class NumberBook:
    """Numbers our own tracks and finds the joint number of each aircraft; keeps its books between calls."""

    def __init__(self, centre: str) -> None:
        self.centre = centre
        self._numbered: dict[bytes, float] = {}

    def update(
        self,
        correlation: Correlation,
        visible: Mapping[str, NDArray[np.bool_]],
    ) -> JointNumbers:
        """The joint number of each system track.

        Args:
            correlation: of this time; `number` of its own report is what our tracker gave, the other
                number columns of that report are not read.
            visible: of a partner's name, (N,) own tracks that are released to it; all when absent.
        """
        groups = len(correlation.members)
        lead = (correlation.members >= 0).argmax(axis=1)
        names: list[str] = list(correlation.centres)
        centre, number = np.zeros(groups, np.uint8), np.zeros(groups, np.int32)
        numbered = np.full(groups, correlation.time)
        for c, report in enumerate(correlation.reports):
            rows = np.flatnonzero(lead == c)
            members = correlation.members[rows, c]
            number[rows] = report.number[members]
            if c:
                for name in report.centre_names:
                    if name not in names:
                        names.append(name)
                places = np.array([names.index(name) for name in report.centre_names], np.uint8)
                centre[rows] = places[report.number_centre[members]]
                numbered[rows] = report.numbered[members]
        return JointNumbers(tuple(names), centre, number, numbered, lead.astype(np.int8), 0)
