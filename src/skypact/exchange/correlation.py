"""Which tracks of several centres are of one aircraft: pairs, bound and let go by rules.

A pair is bound after several looks at which it was likely and nothing else was nearly as likely, at
once where both report one Mode S address; it is let go after several looks at which it was out of the
gate. A look is a time at which either track had a new plot. What a person said stands above all rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats2, as_kernel_array
from skypact.exchange.extrapolation import extrapolate_report
from skypact.exchange.kernels import (
    Gate,
    Sighted,
    assign_pairs,
    compare_pairs,
    find_candidates,
    find_rows,
    group_members,
    move_bits,
    separations,
)
from skypact.exchange.model import STALE, TrackReport

_AUCTION_STEP = 0.02  # far below what any margin means
_AWAY = 5.0  # s; a pair whose tracks were not both there for so long must pass the gate at its return
_SKEW_PAIRS = 8  # bound pairs that it takes to tell how the clocks differ
_SKEW_SPEED = 20.0  # m/s; slower tracks tell nothing of it
_SKEW_SHARE = 0.05  # of it, to which it must be known
_SKEW_LEAST = 0.15  # s; what is less counts as none


GATE = Gate(
    distance=18.5,  # one right pair in a thousand is further apart in four dimensions
    address_distance=100.0,
    bias=30.0,
    skew=1.0,
    density=1e-9,
    speed=150.0,
    altitude=150.0,
    height=2_000.0,
    same_squawk=4.0,
    other_squawk=-3.0,
    same_callsign=6.0,
    other_callsign=-3.0,
    same_address=12.0,
)
_SIGHTED: dict[str, type[np.generic]] = dict.fromkeys(Sighted._fields, np.float64) | {
    "squawk": np.int16,
    "address": np.int32,
    "callsign": np.int64,
    "is_simulated": np.bool_,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationSettings:
    """Choices of the correlation; times are in s, sigmas in the unit of their field."""

    drop_after: float = 30.0  # tracks of a partner that sent no report for so long leave the picture
    judge_within: float = STALE  # an older report neither binds a pair nor lets one go
    gate: Gate = GATE
    skew_known: float = 0.2  # sigma of the clocks' difference once the pairs have shown it
    leave_distance: float = 40.0  # a bound pair further apart (squared Mahalanobis distance) mismatches
    margin: float = 3.0  # log-likelihood ratio by which a pair must be better than what else is possible
    confirm: int = 3  # looks that bind a pair,
    confirm_of: int = 4  # of the last so many
    mismatch: int = 4  # looks that let it go,
    mismatch_of: int = 6  # of the last so many
    pair_memory: float = 600.0  # a bound pair is remembered so long after one of its tracks was gone
    lineage_memory: float = 60.0  # a filter may hold for so long what a sensor told it


@dataclass(frozen=True, slots=True)
class Correlation:
    """The system tracks: which tracks of which centres belong together at one time.

    Partners whose report is too old to count are not among the centres.
    """

    time: float  # UTC s since 1970
    centres: tuple[str, ...]  # C of them: the own one first, then the partners by name
    reports: tuple[TrackReport, ...]  # of each centre, extrapolated to `time`
    ages: Floats1  # (C,) of each centre's report, s
    skews: Floats1  # (C,) each centre's clock minus ours, s; NaN where the pairs don't show it
    members: NDArray[np.int32]  # (G, C) row of each centre's track, -1 for none; own tracks first
    sensor_names: tuple[str, ...]  # of all centres, that the bits of `sensors` and `lineage` point into
    sensors: tuple[NDArray[np.uint64], ...]  # of each centre (N, W): sensors that fed a track lately
    lineage: tuple[NDArray[np.uint64], ...]  # of each centre (N, W): sensors that may be in a track's state
    likely: NDArray[np.int32]  # (N, C) row of a track that own tracks are likely to be bound to; -1 for none

    distances: Floats2  # (N, C) squared Mahalanobis distance of own tracks from those bound to them; else NaN

    def rows_of(self, partner: str) -> NDArray[np.int32]:
        """The partner's row for each own track; -1 for none."""
        return self.members[: len(self.reports[0]), self.centres.index(partner)]


@dataclass(slots=True)
class _Pairs:
    """What is known of pairs of two centres' tracks; K rows."""

    key: NDArray[np.uint64]  # (K, 4) identifiers of both tracks
    hits: NDArray[np.uint8]  # (K,) bit 0: the last look confirmed the pair, bit 1: the one before, ...
    misses: NDArray[np.uint8]  # (K,) the same of looks that spoke against it
    updated: NDArray[np.float64]  # (K, 2) of both tracks at the last look
    seen: Floats1  # (K,) when both were there last
    distance: Floats1  # (K,) squared, as compared last; infinite out of all gates
    is_bound: NDArray[np.bool_]  # (K,)

    def __len__(self) -> int:
        return len(self.key)

    def take(self, rows: NDArray[np.bool_]) -> "_Pairs":
        return _Pairs(*(getattr(self, name)[rows] for name in _Pairs.__slots__))

    def joined(self, other: "_Pairs") -> "_Pairs":
        return _Pairs(
            *(np.concatenate([getattr(self, name), getattr(other, name)]) for name in _Pairs.__slots__)
        )


def _new_pairs(key: NDArray[np.uint64], now: float) -> _Pairs:
    count = len(key)
    return _Pairs(
        key,
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint8),
        np.full((count, 2), -np.inf),
        np.full(count, now),
        np.full(count, np.inf),
        np.zeros(count, np.bool_),
    )


@dataclass(slots=True)
class _Side:
    """One centre's tracks at the time of a correlation."""

    report: TrackReport
    sighted: Sighted
    uid: NDArray[np.uint64]
    is_taken: NDArray[np.bool_]  # (N,) bound to a track of the own centre, or soon to be


class Correlator:
    """Binds and lets go pairs of tracks; keeps what it knows of each pair between calls."""

    def __init__(self, settings: CorrelationSettings | None = None) -> None:
        self.settings = settings or CorrelationSettings()
        self._by_hand: dict[tuple[bytes, bytes], bool] = {}
        self._pairs: dict[tuple[str, str], _Pairs] = {}
        self._skews: dict[str, float] = {}
        self._lineages = _LineageBook(self.settings.lineage_memory)

    def bind(self, one: NDArray[np.uint64], other: NDArray[np.uint64]) -> None:
        """A person says that two tracks, by their identifiers (2,), are one aircraft.

        Of a live and a simulated track that does not hold.
        """
        self._by_hand[_hand_key(one, other)] = True

    def forbid(self, one: NDArray[np.uint64], other: NDArray[np.uint64]) -> None:
        """A person says that two tracks are not one aircraft."""
        self._by_hand[_hand_key(one, other)] = False

    def leave_to_rules(self, one: NDArray[np.uint64], other: NDArray[np.uint64]) -> None:
        """Take back what a person said of two tracks."""
        self._by_hand.pop(_hand_key(one, other), None)

    def update(self, own: TrackReport, partners: Mapping[str, TrackReport], now: float) -> Correlation:
        """The system tracks at `now`.

        Args:
            own: the tracks of our own tracker.
            partners: the newest report of each partner, by the partner's name; a partner's clock may
                differ from ours by some seconds, its sensors' names are unlike all others'.
            now: UTC s since 1970.
        """
        fresh = {
            name: partners[name]
            for name in sorted(partners)
            if now - partners[name].time <= self.settings.drop_after
        }
        names = tuple(fresh)
        sides = [_make_side(own, 0.0, now)]
        sides += [_make_side(report, self._applied_skew(name), now) for name, report in fresh.items()]
        likely = np.full((len(own), len(sides)), -1, np.int32)
        distances = np.full((len(own), len(sides)), np.nan)
        edges = []
        judged = {name for name, report in fresh.items() if now - report.time <= self.settings.judge_within}
        for c, name in enumerate(names, start=1):
            pair = own.centre, name
            bound, apart, waiting = self._correlate(pair, sides[0], sides[c], now, name in judged)
            distances[bound[:, 0], c] = apart
            likely[waiting[:, 0], c] = waiting[:, 1]
            sides[c].is_taken[bound[:, 1]] = True
            sides[c].is_taken[waiting[:, 1]] = True
            edges.append(_edges(0, c, bound))
            self._learn_skew(name, sides[0], sides[c], bound)
        for (c, one), (d, other) in combinations(enumerate(names, start=1), 2):
            are_judged = one in judged and other in judged
            bound, _, _ = self._correlate((one, other), sides[c], sides[d], now, are_judged)
            edges.append(_edges(c, d, bound))
        counts = np.array([len(side.uid) for side in sides], np.int64)
        centres = (own.centre, *names)
        reports = tuple(side.report for side in sides)
        sensors, lineage = self._lineages.remember(reports, centres, now)
        return Correlation(
            time=now,
            centres=centres,
            reports=reports,
            ages=np.array([now - report.time for report in (own, *fresh.values())]),
            skews=np.array([np.nan, *(self._skews.get(name, np.nan) for name in names)]),
            members=group_members(counts, np.concatenate([np.zeros((0, 4), np.int64), *edges])),
            sensor_names=self._lineages.sensor_names,
            sensors=sensors,
            lineage=lineage,
            likely=likely,
            distances=distances,
        )

    def _correlate(
        self, names: tuple[str, str], one: _Side, other: _Side, now: float, are_judged: bool
    ) -> tuple[NDArray[np.int64], Floats1, NDArray[np.int64]]:
        """Looks once at the pairs of two centres: rows and distances of bound ones, rows of likely ones.

        Where one of the reports is old, nothing that it shows is held for or against a pair: targets
        have turned since.
        """
        settings = self.settings
        known_skew = all(name in self._skews or name == names[0] for name in names)
        gate = settings.gate._replace(skew=settings.skew_known) if known_skew else settings.gate
        pairs = self._pairs.get(names) or _new_pairs(np.zeros((0, 4), np.uint64), now)
        by_hand, said = self._rows_by_hand(one, other)

        rows = _find_pairs(one, other, pairs.key)
        is_there = (rows >= 0).all(axis=1)
        held = np.flatnonzero(pairs.is_bound & is_there)
        pairs.is_bound[held] = self._keeps(pairs, held, rows[held], one, other, gate, now, are_judged)
        pairs.is_bound[is_there] &= _are_of_one_kind(one, other, rows[is_there])
        by_hand_codes = _codes(by_hand, other)
        if len(by_hand):
            codes = _codes(rows, other)
            meant, refused = by_hand[said], by_hand_codes[~said]
            is_meant = is_there & np.isin(codes, by_hand_codes[said])
            clashes = np.isin(rows[:, 0], meant[:, 0]) | np.isin(rows[:, 1], meant[:, 1])
            clashes &= is_there & ~is_meant
            pairs.is_bound[clashes | (is_there & np.isin(codes, refused))] = False
            pairs.is_bound[is_meant] = True
            missing = meant[~np.isin(by_hand_codes[said], codes[is_meant])]
            more = _new_pairs(_keys(one, other, missing), now)
            more.is_bound[:] = True
            pairs, rows = pairs.joined(more), np.concatenate([rows, missing])
            is_there = (rows >= 0).all(axis=1)

        bound = rows[pairs.is_bound & is_there]
        open_one, open_other = ~one.is_taken, ~other.is_taken
        open_one[bound[:, 0]] = False
        open_other[bound[:, 1]] = False
        near, values = find_candidates(one.sighted, other.sighted, open_one, open_other, gate)
        is_allowed = ~np.isin(_codes(near, other), by_hand_codes[~said])
        near, distance, ratio = near[is_allowed], values[is_allowed, 0].copy(), values[is_allowed, 1].copy()
        chosen, margin = assign_pairs(near, ratio, len(one.uid), len(other.uid), _AUCTION_STEP)
        confirms = chosen & (margin >= settings.margin) & are_judged

        key = _keys(one, other, near)
        place = find_rows(pairs.key, key)
        is_new = place < 0
        place[is_new] = len(pairs) + np.arange(np.count_nonzero(is_new))
        pairs = pairs.joined(_new_pairs(key[is_new], now))
        rows = np.concatenate([rows, near[is_new]])
        is_there = (rows >= 0).all(axis=1)
        pairs.distance[place] = distance
        waits = is_there & ~pairs.is_bound
        hit = np.zeros(len(pairs), np.bool_)
        hit[place] = confirms
        is_look = _look(pairs, np.flatnonzero(waits), rows[waits], one, other) & are_judged
        looked = np.flatnonzero(waits)[is_look]
        pairs.hits[looked] = (pairs.hits[looked] << 1) | hit[looked]
        enough = _count(pairs.hits[place], settings.confirm_of) >= settings.confirm
        address = one.sighted.address[near[:, 0]]
        same = (address >= 0) & (address == other.sighted.address[near[:, 1]])
        binds = place[confirms & (enough | same)]
        pairs.is_bound[binds] = True
        pairs.misses[binds] = 0

        pairs.seen[is_there] = now
        hopeful = is_there & (_count(pairs.hits, settings.confirm_of) > 0)
        remembered = pairs.is_bound & (now - pairs.seen <= settings.pair_memory)
        self._pairs[names] = pairs.take(remembered | hopeful)
        bound_now = pairs.is_bound & is_there
        return rows[bound_now], pairs.distance[bound_now], near[chosen & ~pairs.is_bound[place]]

    def _keeps(
        self,
        pairs: _Pairs,
        held: NDArray[np.int64],
        rows: NDArray[np.int64],
        one: _Side,
        other: _Side,
        gate: Gate,
        now: float,
        are_judged: bool,
    ) -> NDArray[np.bool_]:
        """Which of the bound pairs at the places `held` stay bound."""
        settings = self.settings
        wide = gate._replace(distance=settings.leave_distance)
        pairs.distance[held] = compare_pairs(one.sighted, other.sighted, rows, wide)[:, 0]
        fits = np.isfinite(pairs.distance[held])
        looked = _look(pairs, held, rows, one, other) & are_judged
        pairs.misses[held[looked]] = (pairs.misses[held[looked]] << 1) | ~fits[looked]
        keeps = _count(pairs.misses[held], settings.mismatch_of) < settings.mismatch
        returns = now - pairs.seen[held] > _AWAY
        stays = keeps & ~returns
        # Who was away comes back to its pair if it fits and nobody took its place.
        returns &= fits & ~np.isin(rows[:, 0], rows[stays, 0]) & ~np.isin(rows[:, 1], rows[stays, 1])
        for side in range(2):
            places = np.flatnonzero(returns)
            _, first = np.unique(rows[places, side], return_index=True)
            returns[:] = False
            returns[places[first]] = True
        pairs.misses[held[returns]] = 0
        pairs.hits[held] = 0
        return np.asarray(stays | returns)

    def _rows_by_hand(self, one: _Side, other: _Side) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Rows (M, 2) of pairs that a person judged, and (M,) whether as one aircraft."""
        words = np.frombuffer(b"".join(first + second for first, second in self._by_hand), np.uint64)
        key = words.reshape(-1, 4)
        key = np.concatenate([key, key[:, [2, 3, 0, 1]]])
        said = np.tile(np.array(list(self._by_hand.values()), np.bool_), 2)
        rows = _find_pairs(one, other, key)
        is_there = (rows >= 0).all(axis=1)
        rows, said = rows[is_there], said[is_there]
        # Nobody may make one of an exercise and live traffic.
        possible = ~said | _are_of_one_kind(one, other, rows)
        rows, said = rows[possible], said[possible]
        # A track that was given several partners by hand keeps the first.
        for side in range(2):
            meant = np.flatnonzero(said)
            _, first = np.unique(rows[meant, side], return_index=True)
            kept = ~said
            kept[meant[first]] = True
            rows, said = rows[kept], said[kept]
        return rows, said

    def _applied_skew(self, partner: str) -> float:
        skew = self._skews.get(partner, 0.0)
        return skew if abs(skew) >= _SKEW_LEAST else 0.0

    def _learn_skew(self, partner: str, own: _Side, side: _Side, bound: NDArray[np.int64]) -> None:
        """How the partner's clock differs from ours: its tracks lag along their paths by what it is ahead."""
        velocity = own.report.velocity[bound[:, 0], :2]
        speed = np.hypot(velocity[:, 0], velocity[:, 1])
        # The clock of an exercise's injects tells nothing of that of the partner's radars.
        moving = (speed > _SKEW_SPEED) & ~own.sighted.is_simulated[bound[:, 0]]
        if np.count_nonzero(moving) < _SKEW_PAIRS:
            return
        i, j = bound[moving].T
        one, other = own.sighted, side.sighted
        apart = separations(
            one.latitude[i],
            one.longitude[i],
            one.height[i],
            one.velocity[i],
            other.latitude[j],
            other.longitude[j],
            other.velocity[j],
        )[:, :2]
        late = -(apart * velocity[moving]).sum(axis=1) / speed[moving] ** 2
        middle = float(np.median(late))
        spread = 1.4826 * float(np.median(np.abs(late - middle)))
        seen = self._applied_skew(partner) + middle
        # Two dozen pairs show a difference of seconds well enough, though not one of a tenth.
        if 1.25 * spread / np.sqrt(len(late)) > max(_SKEW_LEAST / 3.0, _SKEW_SHARE * abs(seen)):
            return
        known = self._skews.get(partner, seen)
        self._skews[partner] = known + 0.3 * (seen - known)


class _LineageBook:
    """Remembers for each track which sensors it was fed by, for one to two times the memory."""

    def __init__(self, memory: float) -> None:
        self.sensor_names: tuple[str, ...] = ()
        self._places: dict[str, int] = {}
        self._memory = memory
        self._turned = -np.inf
        self._kept: dict[str, tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]] = {}

    def remember(
        self, reports: tuple[TrackReport, ...], centres: tuple[str, ...], now: float
    ) -> tuple[tuple[NDArray[np.uint64], ...], tuple[NDArray[np.uint64], ...]]:
        """(N, W) of each report: sensors that feed its tracks now, and those that they owe anything to."""
        for report in reports:
            for name in report.sensor_names:
                self._places.setdefault(name, len(self._places))
        self.sensor_names = tuple(self._places)
        words = max(1, -(-len(self._places) // 64))
        turns = now - self._turned >= self._memory
        self._turned = now if turns else self._turned
        sensors, lineages = [], []
        for report, centre in zip(reports, centres, strict=True):
            places = np.array([self._places[name] for name in report.sensor_names], np.int64)
            bits = move_bits(as_kernel_array(report.sensors, np.uint64), places, words)
            recent, older = bits.copy(), np.zeros_like(bits)
            uid = as_kernel_array(report.uid, np.uint64)
            if centre in self._kept:
                known, known_recent, known_older = self._kept[centre]
                rows = find_rows(known, uid)
                there, width = rows >= 0, known_recent.shape[1]
                former = known_recent[rows[there]]
                older[there, :width] = former if turns else known_older[rows[there]]
                if not turns:
                    recent[there, :width] |= former
            self._kept[centre] = (uid, recent, older)
            sensors.append(bits)
            lineages.append(recent | older)
        return tuple(sensors), tuple(lineages)


def sighted_tracks(column: Callable[[str], NDArray]) -> Sighted:
    """Tracks as kernels take them; `column` gives the columns of a report by name."""
    columns = Sighted(*(as_kernel_array(column(name), kind).view() for name, kind in _SIGHTED.items()))
    for array in columns:
        array.flags.writeable = False  # the compiler tells read-only arrays apart inside a tuple
    return columns


def _make_side(report: TrackReport, skew: float, now: float) -> _Side:
    report = extrapolate_report(replace(report, time=report.time - skew), now)
    uid = as_kernel_array(report.uid, np.uint64)
    return _Side(report, sighted_tracks(partial(getattr, report)), uid, np.zeros(len(uid), np.bool_))


def _keys(one: _Side, other: _Side, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    return np.concatenate([one.uid[rows[:, 0]], other.uid[rows[:, 1]]], axis=1)


def _find_pairs(one: _Side, other: _Side, key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(K, 2) rows of the tracks of pairs; -1 for a track that is not there."""
    first = find_rows(one.uid, np.ascontiguousarray(key[:, :2]))
    return np.stack([first, find_rows(other.uid, np.ascontiguousarray(key[:, 2:]))], axis=1)


def _are_of_one_kind(one: _Side, other: _Side, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether both tracks of each pair are live, or both simulated."""
    return np.asarray(one.sighted.is_simulated[rows[:, 0]] == other.sighted.is_simulated[rows[:, 1]])


def _codes(rows: NDArray[np.int64], other: _Side) -> NDArray[np.int64]:
    """One number for each pair of rows."""
    return rows[:, 0] * len(other.uid) + rows[:, 1]


def _look(
    pairs: _Pairs, places: NDArray[np.int64], rows: NDArray[np.int64], one: _Side, other: _Side
) -> NDArray[np.bool_]:
    """Whether either track of the pairs at `places` had a plot since the last look, which is now over."""
    updated = np.stack([one.report.updated[rows[:, 0]], other.report.updated[rows[:, 1]]], axis=1)
    is_look = (updated > pairs.updated[places]).any(axis=1)
    pairs.updated[places] = updated
    return np.asarray(is_look)


def _count(history: NDArray[np.uint8], looks: int) -> NDArray[np.uint8]:
    """How many of the last looks say yes."""
    return np.asarray(np.bitwise_count(history & np.uint8((1 << looks) - 1)), np.uint8)


def _edges(one: int, other: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    centre = np.ones(len(rows), np.int64)
    return np.stack([one * centre, rows[:, 0], other * centre, rows[:, 1]], axis=1)


def _hand_key(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> tuple[bytes, bytes]:
    first, second = sorted((one.tobytes(), other.tobytes()))
    return first, second
