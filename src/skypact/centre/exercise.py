"""Which exercise this centre takes part in and with whom it is on, as the journals of all sides prove it.

Simulated data pass between two centres exactly while the logs of both hold the same exercise. Nobody
waits for that: a centre that agreed alone goes on as before, and what a cut keeps from being told
leaves things as they were told last.
"""

from collections.abc import Iterable

from skypact.core.errors import BadInputError
from skypact.journal.copies import Copy
from skypact.journal.fold import NOTHING, CentreState, fold_on, joint_exercises
from skypact.journal.log import Journal
from skypact.journal.model import ExerciseBegan, ExerciseEnded, Record

LONGEST_NAME = 32  # characters; it stands on the page all the time
_RECORDS_A_READ = 10_000


class ExerciseBook:
    """What our log and the copies of partners' logs say of exercises."""

    def __init__(self, journal: Journal) -> None:
        """Read our log; agreements outlive a restart in the logs."""
        self._journal = journal
        self._states = {journal.centre: _read_state(journal)}

    def add_partner(self, copy: Copy) -> None:
        """Read a partner's log."""
        self._states[copy.centre] = _read_state(copy)

    def drop_partner(self, partner: str) -> None:
        """Forget what a partner's log says: no exercise is on with it any more."""
        del self._states[partner]

    @property
    def states(self) -> dict[str, CentreState]:
        """What each centre's log says now."""
        return self._states

    @property
    def name(self) -> str:
        """The exercise that we take part in; "" for none."""
        return min(self._states[self._journal.centre].exercises, default="")

    def partner_name(self, partner: str) -> str:
        """The exercise that a partner takes part in, ours before others; "" for none."""
        return self.name if self.is_on_with(partner) else min(self._state(partner).exercises, default="")

    def is_on_with(self, partner: str) -> bool:
        """Whether both logs hold our exercise."""
        return self.name in joint_exercises(self._states, (self._journal.centre, partner))

    def begin(self, name: str, by: str, reason: str, now: float) -> None:
        """Take part in an exercise, by a person's word; it is on with partners that agreed to the same name.

        Raises:
            BadInputError: no name that people can read, no reason, or we take part in one already.
            SkypactError: it can't be recorded.
        """
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
            raise BadInputError("no name for an exercise", repr(name), f"1 to {LONGEST_NAME} letters")
        if not reason.strip():
            raise BadInputError("an exercise needs a reason", name, "give one with --reason")
        if self.name:
            raise BadInputError(f"exercise {self.name} is on here", name, "end it first")
        self._record(ExerciseBegan(exercise=name, by=by, reason=reason), now)

    def end(self, name: str, by: str, reason: str, now: float) -> None:
        """Leave an exercise, by a person's word: it ends with all partners.

        Raises:
            BadInputError: we don't take part in it.
            SkypactError: it can't be recorded; then it goes on.
        """
        if name not in self._states[self._journal.centre].exercises:
            known = f"exercise {self.name} is on here" if self.name else "no exercise is on here"
            raise BadInputError("we take no part in it", name, known)
        self._record(ExerciseEnded(exercise=name, by=by, reason=reason), now)

    def take(self, partner: str, records: Iterable[Record], now: float) -> None:
        """Note new records of a partner's log. Where it ends the last exercise that was on, ours ends too,
        so that a partner who begins one of that name again has to wait for a person here again.

        Raises:
            SkypactError: our end can't be recorded.
        """
        was_on = self.is_on_with(partner)
        self._states[partner] = fold_on(self._state(partner), records)
        others = self._states.keys() - {self._journal.centre}
        if was_on and not any(self.is_on_with(other) for other in others):
            self._record(ExerciseEnded(exercise=self.name, reason=f"ended by {partner}"), now)

    def _state(self, centre: str) -> CentreState:
        return self._states.get(centre, NOTHING)

    def _record(self, event: ExerciseBegan | ExerciseEnded, now: float) -> None:
        record = self._journal.append(event, now, is_exercise=True)
        ours = self._journal.centre
        self._states[ours] = fold_on(self._states[ours], [record])


def _read_state(log: Journal | Copy) -> CentreState:
    state, after = NOTHING, 0
    while records := log.read(after, _RECORDS_A_READ):
        after = records[-1].sequence
        state = fold_on(state, records)
    return state
