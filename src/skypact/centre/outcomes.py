"""Counts what became of plots, by sensor, as the tracker settles them."""

from collections import Counter, deque
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Int32s1
from skypact.plots.model import Outcome
from skypact.sensors.model import SensorHealth, SensorTable
from skypact.tracks.model import OutcomeReason, Outcomes

WINDOW = 60.0  # s; shares are of the plots whose fate was settled in it
FEWEST = 10  # settled plots from which a share tells something
DUPLICATE = "duplicate"  # as the assembler counts the copies of a second line
_USED = [Outcome.UPDATED, Outcome.STARTED]
_REFUSED = [Outcome.FILTERED, Outcome.LATE, Outcome.MALFORMED]


class OutcomeCounter:
    """Remembers which sensor each plot came from until its fate is settled."""

    def __init__(self, sensors: SensorTable) -> None:
        """Args: `sensors` whose plots are counted, and not those that partners' sensors add to the table."""
        count = len(sensors)
        # The last row takes the plots of all other sensors together.
        self._all_counts: NDArray[np.int64] = np.zeros((count + 1, len(Outcome)), dtype=np.int64)
        self._all_reasons: NDArray[np.int64] = np.zeros((count + 1, len(OutcomeReason)), dtype=np.int64)
        self._by_source = {f"{sac}/{sic}": row for (sac, sic), row in sensors.by_source.items()}
        self._batches: deque[tuple[int, Int32s1]] = deque()  # first plot, sensor of it and those after it
        self._open: deque[int] = deque()  # plots of each batch that are not settled yet
        self._given = 0
        # UTC s, and by sensor its plots that were used, refused, and settled in all until then.
        nothing = np.zeros((count, 3), dtype=np.int64)
        self._totals: deque[tuple[float, NDArray[np.int64]]] = deque([(-np.inf, nothing)])

    @property
    def counts(self) -> NDArray[np.int64]:
        """(S, outcomes) settled plots of each sensor."""
        return self._all_counts[:-1]

    @property
    def reasons(self) -> NDArray[np.int64]:
        """(S, reasons) settled plots of each sensor."""
        return self._all_reasons[:-1]

    def add(self, sensor: Int32s1) -> None:
        """Note plots, as the tracker is given them: (P,) row of each in the sensor table."""
        if len(sensor):
            self._batches.append((self._given, np.minimum(sensor, len(self.counts))))
            self._open.append(len(sensor))
            self._given += len(sensor)

    def settle(self, outcomes: Outcomes) -> None:
        """Count outcomes of plots that were added, and forget batches of which all are settled."""
        if len(outcomes.plot) == 0:
            return
        firsts = np.array([first for first, _ in self._batches])
        batch = np.searchsorted(firsts, outcomes.plot, side="right") - 1
        for place in np.unique(batch).tolist():
            mine = batch == place
            first, sensor = self._batches[place]
            rows, reason = sensor[outcomes.plot[mine] - first], outcomes.reason[mine]
            np.add.at(self._all_counts, (rows, outcomes.outcome[mine]), 1)
            has_reason = reason != OutcomeReason.NONE
            np.add.at(self._all_reasons, (rows[has_reason], reason[has_reason]), 1)
            self._open[place] -= int(mine.sum())
        while self._open and self._open[0] == 0:
            self._open.popleft()
            self._batches.popleft()

    def add_to(
        self, health: list[SensorHealth], now: float, filtered: Mapping[tuple[str, str], int]
    ) -> list[SensorHealth]:
        """The health of all sensors with what became of their plots.

        Args:
            health: of each sensor, in the order of the table.
            now: UTC s since 1970; never less than in the call before.
            filtered: records of each (SAC/SIC, reason) that were kept from the tracker so far.
        """
        early: list[Counter[str]] = [Counter() for _ in health]
        for (source, reason), count in filtered.items():
            row = self._by_source.get(source)
            if row is not None:
                early[row][reason] += count
        counts = self.counts.copy()
        counts[:, Outcome.FILTERED] += [reasons.total() for reasons in early]
        counts[:, Outcome.QUARANTINED] += [sensor.errors.get("quarantined", 0) for sensor in health]
        copies = np.array([reasons[DUPLICATE] for reasons in early], dtype=np.int64)
        used, refused = self._shares_lately(counts, copies, now)
        return [
            msgspec.structs.replace(
                sensor,
                outcomes=dict(_by_word(Outcome, counts[row])),
                reasons=dict(
                    (early[row] + Counter(_by_word(OutcomeReason, self.reasons[row]))).most_common()
                ),
                used_share=used[row],
                refused_share=refused[row],
            )
            for row, sensor in enumerate(health)
        ]

    def _shares_lately(
        self, counts: NDArray[np.int64], copies: NDArray[np.int64], now: float
    ) -> tuple[list[float | None], list[float | None]]:
        """Shares of each sensor's plots that were used and refused, of those settled within the window."""
        # Copies are no plots of their own, and what was quarantined came from somebody else.
        settled = counts.sum(axis=1) - counts[:, Outcome.QUARANTINED] - copies
        refused = counts[:, _REFUSED].sum(axis=1) - copies
        totals = np.column_stack([counts[:, _USED].sum(axis=1), refused, settled])
        self._totals.append((now, totals))
        while self._totals[1][0] <= now - WINDOW:
            self._totals.popleft()
        used, refused, settled = (totals - self._totals[0][1]).T
        return _shares(used, settled), _shares(refused, settled)


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> list[float | None]:
    pairs = zip(part.tolist(), whole.tolist(), strict=True)
    return [some / every if every >= FEWEST else None for some, every in pairs]


def _by_word(words: type[Outcome] | type[OutcomeReason], counts: NDArray[np.int64]) -> Counter[str]:
    """Counts in the words of plots files; without those that never occurred."""
    return Counter({word.name.lower().replace("_", " "): int(counts[word]) for word in words if counts[word]})
