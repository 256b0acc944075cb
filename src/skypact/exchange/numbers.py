"""Joint track numbers, and who reports a track: the same on all sides without asking.

Each centre numbers its own tracks. Of the numbers that the tracks of one aircraft bear, the one given
first wins, then the one whose centre's name comes first; each side finds that out alone, from what the
partners' reports say. A number belongs to the centre that gave it: where that centre bears it on another
aircraft, nobody else may.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, as_kernel_array
from skypact.exchange.correlation import Correlation
from skypact.exchange.kernels import earliest_offers, find_rows
from skypact.exchange.model import STALE

_NUMBERS = 32_767
_NAME_SHIFT = 32  # a number and the place of its centre's name in one key


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSettings:
    """Choices of numbering and reporting; times are in s."""

    rest: float = 600.0  # a number of ours rests so long after it was last seen anywhere
    settle: float = (
        2.0  # an earlier number, or who else bears ours, must have been there for so long to count
    )
    unconfirmed: float = 10.0  # a number that none of the partners on the aircraft bears is given up after
    silence: float = STALE  # a partner whose report is older reports nothing, and proves nothing
    margin: float = 0.8  # log of the ratio of position areas by which a reporter must be better
    hold: float = 5.0  # and for how long, before reporting responsibility moves


@dataclass(frozen=True, slots=True)
class JointNumbers:
    """Number and reporter of each system track; rows as `Correlation.members`, so own tracks come first."""

    centre_names: tuple[str, ...]  # that `number_centre` points into
    number_centre: NDArray[np.uint8]  # (G,) who numbered the aircraft first
    number: NDArray[np.int32]  # (G,) 1 to 32767; 0 where a centre ran out of numbers
    numbered: Floats1  # (G,) when, UTC s since 1970
    reporter: NDArray[np.int8]  # (G,) place in `Correlation.centres` of who holds reporting responsibility
    changes: int  # numbers of own tracks that changed in this call


@dataclass(slots=True)
class _Books:
    """What is kept of each own track, also for a while after it was last seen; one row per track."""

    uid: NDArray[np.uint64]  # (N, 2)
    native: NDArray[np.int32]  # (N,) number of our own that it has or falls back to
    born: Floats1  # (N,) when we gave it
    key: NDArray[np.uint64]  # (N,) the joint number that it bears
    numbered: Floats1  # (N,) when that was given
    wanted: NDArray[np.uint64]  # (N,) the joint number that it should bear,
    wanted_since: Floats1  # (N,) and since when
    confirmed: Floats1  # (N,) when a partner bore its number last, or no partner had a track of it
    contested: Floats1  # (N,) when no other aircraft bore its number last
    claims: NDArray[np.bool_]  # (N,) we report it
    better_since: Floats1  # (N,) since when we would be the better reporter
    seen: Floats1  # (N,)
    changes: NDArray[np.int32]  # (N,) times that its number changed since they were counted anew

    def take(self, rows: NDArray[np.intp]) -> "_Books":
        return _Books(*(getattr(self, name)[rows] for name in _Books.__slots__))

    def joined(self, other: "_Books") -> "_Books":
        return _Books(
            *(np.concatenate([getattr(self, name), getattr(other, name)]) for name in _Books.__slots__)
        )


@dataclass(frozen=True, slots=True)
class _Offers:
    """Numbers that system tracks could bear; one row per offer."""

    group: NDArray[np.intp]
    key: NDArray[np.uint64]
    numbered: Floats1

    def take(self, rows: NDArray[np.bool_]) -> "_Offers":
        return _Offers(self.group[rows], self.key[rows], self.numbered[rows])


class NumberBook:
    """Numbers our own tracks and finds the joint number of each aircraft; keeps its books between calls."""

    def __init__(
        self, centre: str, settings: NumberSettings | None = None, last_used: Floats1 | None = None
    ) -> None:
        """Args:
        centre: our name. settings: choices.
        last_used: `last_used` of the book of the centre's former run, so that numbers rest over a restart.
        """
        self.centre = centre
        self.settings = settings or NumberSettings()
        self.last_used = np.full(_NUMBERS + 1, -np.inf) if last_used is None else last_used.copy()
        self._names = {centre: 0}
        self._books = _new_books(np.zeros((0, 2), np.uint64), 0.0)

    def update(self, correlation: Correlation, visible: Mapping[str, NDArray[np.bool_]]) -> JointNumbers:
        """The joint number and the reporter of each system track.

        Args:
            correlation: of this time; `number` of its own report is what our tracker gave, the other
                number columns of that report are not read.
            visible: of a partner's name, (N,) own tracks that are released to it; all when absent.
        """
        now, members = correlation.time, correlation.members
        own_count = len(correlation.reports[0])
        reported = [self._reported(correlation, c) for c in range(1, len(correlation.centres))]
        self._mark_held(reported, now)
        books = self._opened(correlation, now)
        hidden = np.zeros((own_count, len(correlation.centres)), np.bool_)
        for c, name in enumerate(correlation.centres[1:], start=1):
            if name in visible:
                hidden[:, c] = (members[:own_count, c] >= 0) & ~visible[name]

        offers = self._offers(correlation, reported, books, hidden)
        key, numbered = _earliest(offers, len(members), self._name_ranks())
        alone = np.flatnonzero(key[:own_count] == 0)
        key[alone], numbered[alone] = self._native_key(books.native[alone]), books.born[alone]
        for c, (keys, times) in enumerate(reported, start=1):
            rows = np.flatnonzero((key == 0) & (members[:, c] >= 0))
            key[rows], numbered[rows] = keys[members[rows, c]], times[members[rows, c]]
        changes = self._settle(books, key, numbered, offers, now)
        self._resolve_doubles(books, key, numbered, own_count)
        books.key[:], books.numbered[:] = key[:own_count], numbered[:own_count]

        reporter = self._reporters(correlation, books, hidden, now)
        self._keep(books, now)
        names = tuple(self._names)
        return JointNumbers(
            centre_names=names,
            number_centre=(key >> np.uint64(_NAME_SHIFT)).astype(np.uint8),
            number=(key & np.uint64(0xFFFF_FFFF)).astype(np.int32),
            numbered=numbered,
            reporter=reporter,
            changes=changes,
        )

    @property
    def most_changes(self) -> int:
        """The most times that the number of one own track changed since `count_anew`."""
        return int(self._books.changes.max(initial=0))

    def count_anew(self) -> None:
        """Count changes of numbers from now on."""
        self._books.changes[:] = 0

    def _native_key(self, number: NDArray[np.int32]) -> NDArray[np.uint64]:
        return number.astype(np.uint64)  # our own name has place 0

    def _name_ranks(self) -> NDArray[np.int64]:
        """Of each name's place, its rank in alphabetical order."""
        ranks = np.empty(len(self._names), np.int64)
        ranks[np.argsort(np.array(list(self._names)))] = np.arange(len(self._names))
        return ranks

    def _reported(self, correlation: Correlation, c: int) -> tuple[NDArray[np.uint64], Floats1]:
        """Keys and times of the numbers in a partner's report."""
        report = correlation.reports[c]
        for name in report.centre_names:
            self._names.setdefault(name, len(self._names))
        places = np.array([self._names[name] for name in report.centre_names], np.uint64)
        key = (places[report.number_centre] << np.uint64(_NAME_SHIFT)) | report.number.astype(np.uint64)
        return key, report.numbered

    def _mark_held(self, reported: list[tuple[NDArray[np.uint64], Floats1]], now: float) -> None:
        """Numbers of ours that partners bear are in use, also when we don't remember having given them."""
        for key, _ in reported:
            ours = key[key <= np.uint64(_NUMBERS)].astype(np.int64)
            self.last_used[ours] = now

    def _opened(self, correlation: Correlation, now: float) -> _Books:
        """The books of the own tracks, in their order; new tracks get a number."""
        own = correlation.reports[0]
        uid = as_kernel_array(own.uid, np.uint64)
        rows = find_rows(self._books.uid, uid)
        is_new = rows < 0
        books = _new_books(uid, now)
        known = self._books.take(rows[~is_new])
        for name in _Books.__slots__:
            getattr(books, name)[~is_new] = getattr(known, name)
        gone = np.ones(len(self._books.uid), np.bool_)
        gone[rows[~is_new]] = False
        self._books = self._books.take(np.flatnonzero(gone))
        books.seen[:] = now
        self.last_used[books.native[~is_new]] = now

        fresh = np.flatnonzero(is_new)
        number = own.number[fresh]
        fits = (number > 0) & (number <= _NUMBERS)
        fits &= self.last_used[np.where(fits, number, 0)] < now - self.settings.rest
        taken, first = np.unique(number[fits], return_index=True)
        places = fresh[fits][first]
        books.native[places] = taken
        self.last_used[taken] = now
        lacking = np.setdiff1d(fresh, places)
        rested = np.argsort(self.last_used[1:], kind="stable")[: len(lacking)] + 1
        rested = rested[self.last_used[rested] < now - self.settings.rest]
        books.native[lacking[: len(rested)]] = rested
        self.last_used[rested] = now
        books.key[fresh] = self._native_key(books.native[fresh])
        books.wanted[fresh] = books.key[fresh]
        return books

    def _offers(
        self,
        correlation: Correlation,
        reported: list[tuple[NDArray[np.uint64], Floats1]],
        books: _Books,
        hidden: NDArray[np.bool_],
    ) -> _Offers:
        """All numbers that system tracks may bear."""
        members, now = correlation.members, correlation.time
        own = np.arange(len(books.uid))
        native = self._native_key(books.native)
        groups, keys, times = [], [], []
        owner_keys, owner_groups = [native], [own]  # numbers on tracks of the centres that gave them
        borne_keys, borne_groups = [native], [own]  # numbers that partners' tracks bear, and our own
        for c, (key, numbered) in enumerate(reported, start=1):
            issued = key >> np.uint64(_NAME_SHIFT) == self._names.get(correlation.centres[c], -1)
            rows = np.flatnonzero(members[:, c] >= 0)
            groups.append(rows)
            keys.append(key[members[rows, c]])
            times.append(numbered[members[rows, c]])
            if correlation.ages[c] > self.settings.silence:
                continue  # where its tracks are now is a guess, and no proof of another aircraft
            # A partner's track that ours is likely to be bound to soon is no other aircraft.
            soon = np.flatnonzero(correlation.likely[:, c] >= 0)
            for here, theirs in ((rows, members[rows, c]), (soon, correlation.likely[soon, c])):
                borne_keys.append(key[theirs])
                borne_groups.append(here)
                owner_keys.append(key[theirs][issued[theirs]])
                owner_groups.append(here[issued[theirs]])
        borne = _Offers(np.concatenate(borne_groups), np.concatenate(borne_keys), np.zeros(0))
        owners = _Offers(np.concatenate(owner_groups), np.concatenate(owner_keys), np.zeros(0))
        # What a track bears it keeps through hand-over and cut, while no other track bears it for long (one
        # that comes back may lie out of the gate for a moment) and, if partners that are heard have the
        # aircraft, one of them agrees before long.
        is_heard = correlation.ages[1:] <= self.settings.silence
        has_partner = ((members[: len(own), 1:] >= 0) & is_heard).any(axis=1)
        agrees = np.zeros(len(own), np.bool_)
        for rows, key in zip(groups, keys, strict=True):
            inside = rows < len(own)
            agrees[rows[inside]] |= key[inside] == books.key[rows[inside]]
        books.confirmed[agrees | ~has_partner] = now
        contested = _elsewhere(own, books.key, borne) | _elsewhere(own, books.key, owners)
        books.contested[~contested] = now
        keeps = now - books.confirmed <= self.settings.unconfirmed
        keeps &= (books.key != native) & (now - books.contested < self.settings.settle)
        # A partner that does not see our track can't take our number, unless it has it already.
        sees = ~hidden.any(axis=1) & (books.native > 0)
        for rows, key in zip(groups, keys, strict=True):
            inside = rows < len(own)
            sees[rows[inside]] |= key[inside] == native[rows[inside]]
        offers = _Offers(
            np.concatenate([*groups, own[keeps], own[sees]]),
            np.concatenate([*keys, books.key[keeps], native[sees]]),
            np.concatenate([*times, books.numbered[keeps], books.born[sees]]),
        )
        allowed = ~_elsewhere(offers.group, offers.key, owners) & (offers.key & np.uint64(0xFFFF_FFFF) > 0)
        inside = offers.group < len(own)
        place = np.where(inside, offers.group, 0)
        if len(own):
            allowed |= inside & keeps[place] & (offers.key == books.key[place])
            allowed &= ~(inside & ~sees[place] & (offers.key == native[place]))
        return offers.take(allowed)

    def _settle(
        self,
        books: _Books,
        key: NDArray[np.uint64],
        numbered: Floats1,
        offers: _Offers,
        now: float,
    ) -> int:
        """Own tracks keep their number until the better one has settled; `key` and `numbered` in place.

        Returns how many changed theirs; a track that is new has none to change.
        """
        count = len(books.uid)
        wanted = key[:count]
        moved = wanted != books.wanted
        books.wanted_since[moved] = now
        books.wanted[:] = wanted
        inside = offers.group < count
        still = np.zeros(count, np.bool_)
        rows = offers.group[inside]
        still[rows[offers.key[inside] == books.key[rows]]] = True
        is_old = books.born < now
        stays = still & is_old & (wanted != books.key) & (now - books.wanted_since < self.settings.settle)
        key[:count][stays] = books.key[stays]
        numbered[:count][stays] = books.numbered[stays]
        changed = is_old & (key[:count] != books.key)
        books.changes += changed
        return int(np.count_nonzero(changed))

    def _resolve_doubles(
        self, books: _Books, key: NDArray[np.uint64], numbered: Floats1, own_count: int
    ) -> None:
        """No two of our tracks bear one number: who bore it keeps it, the others fall back to their own."""
        mine = key[:own_count]
        order = np.lexsort((np.arange(own_count), mine != books.key, mine))
        again = np.zeros(own_count, np.bool_)
        again[order[1:]] = mine[order[1:]] == mine[order[:-1]]
        rows = np.flatnonzero(again & (mine > 0))
        key[rows], numbered[rows] = self._native_key(books.native[rows]), books.born[rows]

    def _reporters(
        self, correlation: Correlation, books: _Books, hidden: NDArray[np.bool_], now: float
    ) -> NDArray[np.int8]:
        """Who reports each system track; our own claims are kept in the books."""
        settings, members = self.settings, correlation.members
        count = len(books.uid)
        quality = np.full(members.shape, -np.inf)
        claims = np.zeros(members.shape, np.bool_)
        for c, report in enumerate(correlation.reports):
            if c and correlation.ages[c] > settings.silence:
                continue
            rows = np.flatnonzero(members[:, c] >= 0)
            place = report.covariance[members[rows, c], :2, :2]
            area = place[:, 0, 0] * place[:, 1, 1] - place[:, 0, 1] * place[:, 1, 0]
            quality[rows, c] = -0.5 * np.log(np.maximum(area, 1e-6))
            if c:
                claims[rows, c] = report.is_reporter[members[rows, c]]
        ours, theirs = quality[:count, 0], np.where(claims[:count], quality[:count], -np.inf)
        is_claimed = claims[:count].any(axis=1)
        has_partner = np.isfinite(quality[:count, 1:]).any(axis=1)
        lead = ours - theirs.max(axis=1)
        earlier_name = np.array([name < self.centre for name in correlation.centres])
        by_name = (claims[:count] & earlier_name).any(axis=1)
        # Two claim: the clearly better one goes on, else the one whose name comes first.
        yields = books.claims & is_claimed
        yields &= (lead <= -0.5 * settings.margin) | ((lead < 0.5 * settings.margin) & by_name)
        books.claims &= ~yields
        would = ~books.claims & ((lead >= settings.margin) | ~is_claimed)
        books.better_since[~would] = now
        books.claims |= would & ((now - books.better_since >= settings.hold) | ~has_partner)
        books.claims &= ~((claims[:count] & hidden).any(axis=1))
        claims[:count, 0] = books.claims
        # Nobody claims: whoever leads the row is taken for the reporter until someone does.
        claims[~claims.any(axis=1)] = members[~claims.any(axis=1)] >= 0
        return np.asarray(claims.argmax(axis=1), np.int8)

    def _keep(self, books: _Books, now: float) -> None:
        """Keep the books of these tracks, and of those that may come back."""
        remembered = self._books.take(np.flatnonzero(now - self._books.seen < self.settings.rest))
        self.last_used[remembered.native] = np.maximum(self.last_used[remembered.native], remembered.seen)
        self._books = books.joined(remembered)


def _new_books(uid: NDArray[np.uint64], now: float) -> _Books:
    count = len(uid)
    return _Books(
        uid=uid,
        native=np.zeros(count, np.int32),
        born=np.full(count, float(now)),
        key=np.zeros(count, np.uint64),
        numbered=np.full(count, float(now)),
        wanted=np.zeros(count, np.uint64),
        wanted_since=np.full(count, float(now)),
        confirmed=np.full(count, float(now)),
        contested=np.full(count, float(now)),
        claims=np.zeros(count, np.bool_),
        better_since=np.full(count, float(now)),
        seen=np.full(count, float(now)),
        changes=np.zeros(count, np.int32),
    )


def _earliest(offers: _Offers, groups: int, ranks: NDArray[np.int64]) -> tuple[NDArray[np.uint64], Floats1]:
    """Key and time (G,) of each group's earliest offer; key 0 where there is none."""
    key, numbered = np.zeros(groups, np.uint64), np.zeros(groups)
    best = earliest_offers(offers.group, offers.key, offers.numbered, ranks, groups)
    rows = np.flatnonzero(best >= 0)
    key[rows], numbered[rows] = offers.key[best[rows]], offers.numbered[best[rows]]
    return key, numbered


def _elsewhere(group: NDArray[np.intp], key: NDArray[np.uint64], borne: _Offers) -> NDArray[np.bool_]:
    """(N,) whether a number is borne in another system track, and not in this one."""
    both = np.stack([borne.key, borne.group.astype(np.uint64)], axis=1)
    here = find_rows(both, np.stack([key, group.astype(np.uint64)], axis=1)) >= 0
    anywhere = find_rows(borne.key[:, np.newaxis].copy(), key[:, np.newaxis].copy()) >= 0
    return np.asarray(anywhere & ~here)
