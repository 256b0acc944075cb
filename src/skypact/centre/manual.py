"""What people said of pairs of tracks: that they are one aircraft, or two.

In the centre in which it was said it stands above the rules of correlation, until a person releases it
or one of the tracks has ended. It is a record of the journal, so it outlives a restart and partners read
it; what a partner's people said is shown here and binds nothing here: it is a proposal.
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import as_kernel_array
from skypact.core.errors import BadInputError
from skypact.exchange.correlation import Correlation, Correlator
from skypact.exchange.kernels import find_rows
from skypact.exchange.model import TrackWord
from skypact.journal.fold import CentreState, Pair, Word, fold_on
from skypact.journal.log import Journal
from skypact.journal.model import TracksCorrelated, TracksReleased, TracksSeparated
from skypact.tracks.model import Picture

ENDED = 600.0  # s; a track that was seen nowhere for so long has ended, and what was said of it
_UID = re.compile(r"[0-9a-f]{32}\Z")
_JOINT = re.compile(r"([A-Z][A-Z0-9]{0,11})-([0-9]{1,5})\Z")
SaidEvent = type[TracksCorrelated] | type[TracksSeparated] | type[TracksReleased]


class ManualBook:
    """Applies what people said here to the correlator, and tells what people said anywhere."""

    def __init__(self, journal: Journal, states: dict[str, CentreState], correlator: Correlator) -> None:
        """Begin with what our log holds.

        Args:
            journal: ours. states: what each centre's log says, kept by their owner but for what is said
                here. correlator: ours.
        """
        self._journal = journal
        self._states = states
        self._correlator = correlator
        self._correlation: Correlation | None = None
        self._picture: Picture | None = None
        self._seen: dict[Pair, float] = {}  # what holds here, and when both tracks were there last
        for pair, word in self._ours.items():
            self._apply(pair, word)

    @property
    def _ours(self) -> dict[Pair, Word]:
        return {
            pair: word for pair, word in self._states[self._journal.centre].pairs.items() if _is_pair(pair)
        }

    def note(self, correlation: Correlation, picture: Picture) -> None:
        """Know the present tracks; rows of `picture` are those of the correlation's members."""
        self._correlation, self._picture = correlation, picture
        if not self._seen:
            return
        rows = self._rows({uid for pair in self._seen for uid in pair})
        for pair, seen in list(self._seen.items()):
            if all(uid in rows for uid in pair) or seen == -np.inf:
                self._seen[pair] = correlation.time
            elif correlation.time - seen > ENDED:
                del self._seen[pair]
                self._correlator.leave_to_rules(*map(_uid, sorted(pair)))

    def say_same(self, one: str, other: str, by: str, reason: str, now: float) -> None:
        """Two tracks are one aircraft, whatever the rules say.

        Args:
            one, other: joint numbers, or numbers in this centre. Twice the same: what is one track now
                stays one.
            by, reason: who says it, and why. now: UTC s since 1970.

        Raises:
            BadInputError: no such tracks, both are of one centre's tracker, one alone is simulated, one is
                by hand the same as a third, or there is no name or reason.
            SkypactError: it can't be recorded; then nothing changes.
        """
        first, second = self._find(one), self._find(other)
        if first == second:
            pairs = self._pairs_within(first, one)
        else:
            (centre, uid), (other_centre, other_uid) = self._members(first)[0], self._members(second)[0]
            if centre == other_centre:
                hint = "its tracker alone can end one of them"
                raise BadInputError(f"both are tracks of {centre}", f"{one}, {other}", hint)
            assert self._picture is not None
            if self._picture.is_simulated[first] != self._picture.is_simulated[second]:
                raise BadInputError("one of them is simulated, the other is not", f"{one}, {other}")
            pairs = [frozenset((uid, other_uid))]
        for pair in pairs:
            self._refuse_third(pair, f"{one}, {other}")
        self._say(TracksCorrelated, pairs, by, reason, now)

    def say_different(self, one: str, other: str, by: str, reason: str, now: float) -> None:
        """Two tracks are two aircraft; of one track that is shown: those of its centres are.

        Raises:
            BadInputError: no such tracks, nothing to tell apart, or there is no name or reason.
            SkypactError: it can't be recorded; then nothing changes.
        """
        first, second = self._find(one), self._find(other)
        if first == second:
            pairs = self._pairs_within(first, one)
        else:
            pairs = [
                frozenset((uid, other_uid))
                for centre, uid in self._members(first)
                for other_centre, other_uid in self._members(second)
                if centre != other_centre
            ]
        if not pairs:
            raise BadInputError("one tracker has both as two already", f"{one}, {other}")
        self._say(TracksSeparated, pairs, by, reason, now)

    def release(self, one: str, other: str, by: str, reason: str, now: float) -> None:
        """Leave two tracks to the rules again; the same named twice: all that was said here of it.

        Raises:
            BadInputError: no such tracks, nobody said anything of them here, or there is no name or reason.
            SkypactError: it can't be recorded; then nothing changes.
        """
        first, second = self._find(one), self._find(other)
        ours = {uid for _, uid in self._members(first)}
        theirs = {uid for _, uid in self._members(second)}
        said = [
            pair
            for pair in self._ours
            if pair in self._seen and pair & ours and (first == second or pair & theirs)
        ]
        if not said:
            raise BadInputError(
                "nobody said anything of it here", one if first == second else f"{one}, {other}"
            )
        self._say(TracksReleased, said, by, reason, now)

    def words(self) -> list[TrackWord]:
        """What was said here and at partners of tracks of the picture, in the order in which it was said."""
        spoken = [
            (centre, pair, word)
            for centre, state in self._states.items()
            for pair, word in state.pairs.items()
            if _is_pair(pair) and (centre != self._journal.centre or pair in self._seen)
        ]
        rows = self._rows({uid for _, pair, _ in spoken for uid in pair})
        words = []
        for centre, pair, word in sorted(spoken, key=lambda one: (one[2].said, sorted(one[1]))):
            if not any(uid in rows for uid in pair):
                continue
            one, other = sorted((rows.get(uid, -1) for uid in pair), key=lambda row: (row < 0, row))
            words.append(
                TrackWord(
                    numbers=(self._number(one), self._number(other)),
                    joints=(self._joint(one), self._joint(other)),
                    is_one=word.is_one,
                    binds=centre == self._journal.centre,
                    centre=centre,
                    by=word.by,
                    reason=word.reason,
                    said=word.said,
                )
            )
        return words

    def _say(self, event: SaidEvent, pairs: list[Pair], by: str, reason: str, now: float) -> None:
        if not by.strip() or not reason.strip():
            raise BadInputError("it needs a name and a reason", "correlation", "say who and why")
        rows = self._rows({uid for pair in pairs for uid in pair})
        ours = self._journal.centre
        for pair in pairs:
            one, other = sorted(pair)
            names = (self._joint(rows.get(one, -1)), self._joint(rows.get(other, -1)))
            said = event(uids=(one, other), by=by.strip(), reason=reason.strip(), tracks=names)
            record = self._journal.append(said, now)
            self._states[ours] = fold_on(self._states[ours], [record])
            self._apply(pair, self._states[ours].pairs.get(pair))
            if pair in self._seen:
                self._seen[pair] = now

    def _apply(self, pair: Pair, word: Word | None) -> None:
        one, other = map(_uid, sorted(pair))
        if word is None:
            self._correlator.leave_to_rules(one, other)
            self._seen.pop(pair, None)
            return
        (self._correlator.bind if word.is_one else self._correlator.forbid)(one, other)
        self._seen.setdefault(pair, -np.inf)

    def _refuse_third(self, pair: Pair, names: str) -> None:
        """A track is by hand the same as one track of a centre at most."""
        for said, word in self._ours.items():
            if said not in self._seen or not word.is_one or len(said & pair) != 1:
                continue
            (third,), (instead,) = said - pair, pair - said
            rows = self._rows({third})
            if third in rows and self._centre_of(third) == self._centre_of(instead):
                hint = f"release {self._joint(rows[third])} first"
                raise BadInputError(f"it is one aircraft with another by the word of {word.by}", names, hint)

    def _find(self, name: str) -> int:
        """Row of a track by its joint number, or by its number in this centre."""
        picture = self._picture
        rows: list[int] = []
        if picture is not None and (joint := _JOINT.match(name)):
            numbered_by = [place for place, known in enumerate(picture.centre_names) if known == joint[1]]
            is_it = np.isin(picture.joint_centre, numbered_by) & (picture.joint_number == int(joint[2]))
            rows = np.flatnonzero(is_it).tolist()
        elif picture is not None and name.isascii() and name.isdigit():
            rows = np.flatnonzero(picture.number == int(name[:9])).tolist()
        if not rows:
            raise BadInputError("no such track in the picture", name, "write for example ALPHA-00017")
        if len(rows) > 1:
            numbers = ", ".join(str(self._number(row)) for row in rows)
            raise BadInputError("several tracks bear this number", name, f"name one of {numbers}")
        return rows[0]

    def _members(self, row: int) -> list[tuple[str, str]]:
        """Centre and identifier of each track that is in a row of the picture; ours first."""
        assert self._correlation is not None
        members = self._correlation.members[row]
        return [
            (self._correlation.centres[c], _hex(self._correlation.reports[c].uid[members[c]]))
            for c in np.flatnonzero(members >= 0).tolist()
        ]

    def _pairs_within(self, row: int, name: str) -> list[Pair]:
        members = [uid for _, uid in self._members(row)]
        if len(members) < 2:
            raise BadInputError("a track of one centre alone", name, "name a second track")
        return [frozenset((one, other)) for n, one in enumerate(members) for other in members[n + 1 :]]

    def _places(self, uids: set[str]) -> Iterator[tuple[str, int, int]]:
        """Those of the tracks that are there: identifier, place of the centre, row in the picture."""
        if self._correlation is None or not uids:
            return
        names = sorted(uids)
        wanted = np.array([_uid(name) for name in names])
        for c, report in enumerate(self._correlation.reports):
            found = find_rows(as_kernel_array(report.uid, np.uint64), wanted)
            for n in np.flatnonzero(found >= 0).tolist():
                row = np.flatnonzero(self._correlation.members[:, c] == found[n])
                yield names[n], c, int(row[0])

    def _rows(self, uids: set[str]) -> dict[str, int]:
        return {name: row for name, _, row in self._places(uids)}

    def _centre_of(self, uid: str) -> int:
        return next((c for _, c, _ in self._places({uid})), -1)

    def _number(self, row: int) -> int:
        return 0 if row < 0 or self._picture is None else int(self._picture.number[row])

    def _joint(self, row: int) -> str:
        if row < 0 or self._picture is None:
            return ""
        centre = self._picture.centre_names[self._picture.joint_centre[row]]
        return f"{centre}-{self._picture.joint_number[row]:05d}"


def _is_pair(pair: Pair) -> bool:
    """Whether a log, which may be a partner's, names two tracks."""
    return len(pair) == 2 and all(_UID.match(uid) for uid in pair)


def _uid(name: str) -> NDArray[np.uint64]:
    return np.array([int(name[:16], 16), int(name[16:], 16)], np.uint64)


def _hex(uid: NDArray[np.uint64]) -> str:
    return f"{int(uid[0]):016x}{int(uid[1]):016x}"
