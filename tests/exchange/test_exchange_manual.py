"""What people say of pairs of tracks: it stands above the rules, sticks, and ends with the tracks."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from seen_tracks import report

from skypact.centre.manual import ENDED, ManualBook
from skypact.core.errors import BadInputError, SkypactError
from skypact.exchange.correlation import Correlation, Correlator
from skypact.exchange.model import TrackReport, TrackWord
from skypact.exchange.numbers import NumberBook
from skypact.journal.fold import NOTHING, CentreState, fold_on
from skypact.journal.log import open_journal
from skypact.journal.model import event_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
FAR = 8_000.0  # m; no rule takes tracks so far apart for one aircraft


class Desk:
    """A centre's correlation and what its people say, without the rest of the centre."""

    def __init__(self, folder: Path, states: dict[str, CentreState] | None = None) -> None:
        self.journal = open_journal(folder, "ALPHA", KEY)
        known = fold_on(NOTHING, self.journal.read(0, 1000))
        self.states = {"ALPHA": known, **(states or {})}
        self.correlator = Correlator()
        self.numbers = NumberBook("ALPHA")
        self.book = ManualBook(self.journal, self.states, self.correlator)

    def look(self, time: float, *reports: TrackReport) -> Correlation:
        """The picture of reports, ours first; each partner's track 1 is its number 101, and so on."""
        own, *partners = reports
        correlation = self.correlator.update(own, {one.centre: one for one in partners}, time)
        numbers = self.numbers.update(correlation, {})
        count, ours = len(correlation.members), len(own)
        lead = (correlation.members >= 0).argmax(axis=1)
        simulated = [
            correlation.reports[c].is_simulated[correlation.members[row, c]] for row, c in enumerate(lead)
        ]
        picture = SimpleNamespace(
            number=np.concatenate([own.number, 40_000 + np.arange(count - ours)]),
            centre_names=numbers.centre_names,
            joint_centre=numbers.number_centre,
            joint_number=numbers.number,
            is_simulated=np.array(simulated, np.bool_),
        )
        self.book.note(correlation, picture)  # type: ignore[arg-type]
        return correlation


def own(time: float, places: list[float] | None = None, **columns: object) -> TrackReport:
    east = [200.0 * time + place for place in (places or [0.0])]
    return report("ALPHA", time, east, **columns)


def theirs(time: float, places: list[float] | None = None, centre: str = "BRAVO", **columns: object):
    east = [200.0 * time + place for place in (places or [FAR])]
    made = report(centre, time, east, **columns)
    return replace(made, number=made.number + 100)


@pytest.fixture
def desk(tmp_path):
    opened = Desk(tmp_path)
    yield opened
    opened.journal.close()


def pairs(correlation: Correlation) -> list[list[int]]:
    return correlation.members.tolist()


def said(words: list[TrackWord]) -> list[tuple[tuple[str, str], bool, bool, str, str]]:
    return [(word.joints, word.is_one, word.binds, word.centre, word.by) for word in words]


APART = [[0, -1], [-1, 0]]


def test_two_tracks_are_one_aircraft_when_a_person_says_so_whatever_the_rules_say(desk):
    assert pairs(desk.look(1.0, own(1.0), theirs(1.0))) == APART
    desk.book.say_same("ALPHA-00001", "BRAVO-00101", "Kim", "one transponder", 1.0)
    for time in range(2, 30):
        assert pairs(desk.look(time, own(time), theirs(time))) == [[0, 0]]
    (word,) = desk.book.words()
    assert (word.is_one, word.binds, word.by, word.reason) == (True, True, "Kim", "one transponder")
    assert word.numbers == (1, 1)
    event = event_of(desk.journal.read(0, 10)[-1])
    assert (event.by, event.reason, event.tracks) == (
        "Kim",
        "one transponder",
        ("ALPHA-00001", "BRAVO-00101"),
    )


def test_one_track_is_two_aircraft_when_a_person_says_so_until_it_is_left_to_the_rules(desk):
    for time in range(1, 6):
        look = desk.look(time, own(time), theirs(time, [0.0]))
    assert pairs(look) == [[0, 0]]
    desk.book.say_different("1", "1", "Kim", "seen as two", 6.0)
    for time in range(6, 20):
        assert pairs(desk.look(time, own(time), theirs(time, [0.0]))) == APART
    assert [word.is_one for word in desk.book.words()] == [False]
    desk.book.release("1", "1", "Kim", "clear now", 20.0)
    for time in range(20, 26):
        look = desk.look(time, own(time), theirs(time, [0.0]))
    assert pairs(look) == [[0, 0]]
    assert desk.book.words() == []


def test_what_the_rules_bound_gives_way_to_what_a_person_says(desk):
    for time in range(1, 6):
        look = desk.look(time, own(time), theirs(time, [0.0, FAR]))
    assert pairs(look) == [[0, 0], [-1, 1]]
    desk.book.say_same("1", "BRAVO-00102", "Kim", "the other one", 6.0)
    assert pairs(desk.look(6.0, own(6.0), theirs(6.0, [0.0, FAR]))) == [[0, 1], [-1, 0]]


def test_the_word_sticks_over_a_cut_and_over_a_new_start_while_both_tracks_live(desk, tmp_path):
    desk.look(1.0, own(1.0), theirs(1.0))
    desk.book.say_same("ALPHA-00001", "BRAVO-00101", "Kim", "one transponder", 1.0)
    for time in range(2, 400, 10):
        desk.look(time, own(time))  # cut
    assert pairs(desk.look(400.0, own(400.0), theirs(400.0))) == [[0, 0]]
    desk.journal.close()
    again = Desk(tmp_path)
    assert pairs(again.look(500.0, own(500.0), theirs(500.0))) == [[0, 0]]
    assert [(word.is_one, word.by) for word in again.book.words()] == [(True, "Kim")]
    again.book.release("1", "1", "Lee", "was wrong", 501.0)
    again.journal.close()
    last = Desk(tmp_path)
    assert pairs(last.look(502.0, own(502.0), theirs(502.0))) == APART
    last.journal.close()


def test_the_word_ends_with_either_of_its_tracks(desk):
    desk.look(1.0, own(1.0), theirs(1.0))
    desk.book.say_same("ALPHA-00001", "BRAVO-00101", "Kim", "one transponder", 1.0)
    desk.look(2.0, own(2.0), theirs(2.0))
    end = int(ENDED) + 10
    for time in range(3, end, 20):
        desk.look(time, own(time))
    desk.look(end, own(end))
    assert desk.book.words() == []
    assert pairs(desk.look(end + 1, own(end + 1), theirs(end + 1))) == APART


def test_a_partners_word_is_shown_and_binds_nothing_here(tmp_path):
    other = Desk(tmp_path / "other")
    other.look(1.0, own(1.0), theirs(1.0))
    other.book.say_same("ALPHA-00001", "BRAVO-00101", "Lee", "one transponder", 1.0)
    spoken = other.states["ALPHA"]
    other.journal.close()
    desk = Desk(tmp_path / "ours", {"BRAVO": spoken})
    for time in range(1, 8):
        assert pairs(desk.look(time, own(time), theirs(time))) == APART
    assert said(desk.book.words()) == [(("ALPHA-00001", "BRAVO-00101"), True, False, "BRAVO", "Lee")]
    with pytest.raises(BadInputError, match="nobody said anything of it here"):
        desk.book.release("ALPHA-00001", "BRAVO-00101", "Kim", "no", 8.0)
    desk.book.say_different("ALPHA-00001", "BRAVO-00101", "Kim", "two calls", 8.0)
    assert sorted((word.is_one, word.binds) for word in desk.book.words()) == [(False, True), (True, False)]
    desk.journal.close()


def test_what_cannot_be_is_refused_in_one_line_and_recorded_nowhere(desk):
    def look(time: float) -> None:
        ours = own(time, [0.0, 2 * FAR, 6 * FAR])
        desk.look(time, ours, theirs(time, [FAR, 3 * FAR, 4 * FAR], is_simulated=[False, False, True]))

    look(1.0)
    desk.book.say_same("ALPHA-00001", "BRAVO-00101", "Kim", "one transponder", 1.0)
    look(2.0)
    head = desk.journal.head.sequence
    book = desk.book
    for act, one, other, by, reason, line in (
        (book.say_same, "ALPHA-00009", "1", "Kim", "so", "ALPHA-00009: no such track in the picture"),
        (book.say_same, "first", "1", "Kim", "so", "first: no such track in the picture"),
        (book.say_same, "1", "2", "Kim", "so", "1, 2: both are tracks of ALPHA"),
        (book.say_same, "2", "2", "Kim", "so", "2: a track of one centre alone"),
        (book.say_same, "2", "BRAVO-00103", "Kim", "so", "2, BRAVO-00103: one of them is simulated"),
        (
            book.say_same,
            "1",
            "BRAVO-00102",
            "Lee",
            "so",
            "another by the word of Kim .release ALPHA-00001 first",
        ),
        (book.say_same, "2", "BRAVO-00102", " ", "so", "a name and a reason"),
        (book.say_same, "2", "BRAVO-00102", "Kim", "", "a name and a reason"),
        (book.say_different, "2", "3", "Kim", "so", "2, 3: one tracker has both as two already"),
        (book.release, "2", "2", "Kim", "so", "2: nobody said anything of it here"),
    ):
        with pytest.raises(BadInputError, match=line) as refused:
            act(one, other, by, reason, 3.0)
        assert "\n" not in str(refused.value)
    assert desk.journal.head.sequence == head


def test_where_it_cannot_be_recorded_nothing_changes(desk, monkeypatch):
    desk.look(1.0, own(1.0), theirs(1.0))

    def full(*_: object, **__: object) -> None:
        raise SkypactError("no room")

    monkeypatch.setattr(desk.journal, "append", full)
    with pytest.raises(SkypactError, match="no room"):
        desk.book.say_same("ALPHA-00001", "BRAVO-00101", "Kim", "one transponder", 1.0)
    assert pairs(desk.look(2.0, own(2.0), theirs(2.0))) == APART
    assert desk.book.words() == []


def test_of_several_tracks_under_one_number_one_is_named_by_its_number_here(desk):
    desk.look(1.0, own(1.0), replace(theirs(1.0, [FAR, 2 * FAR]), number=np.array([5, 5], np.int32)))
    with pytest.raises(BadInputError, match=r"BRAVO-00005: several tracks.*40000, 40001"):
        desk.book.say_same("1", "BRAVO-00005", "Kim", "so", 1.0)
    desk.book.say_same("1", "40001", "Kim", "so", 1.0)
    assert [word.is_one for word in desk.book.words()] == [True]


def test_partners_that_name_no_two_tracks_are_not_believed(tmp_path):
    other = Desk(tmp_path / "other")
    other.look(1.0, own(1.0), theirs(1.0))
    other.book.say_same("1", "BRAVO-00101", "Lee", "so", 1.0)
    (word,) = other.states["ALPHA"].pairs.values()
    other.journal.close()
    bad = replace(NOTHING, pairs={frozenset(("x", "1" * 32)): word, frozenset(("2" * 32,)): word})
    desk = Desk(tmp_path / "ours", {"BRAVO": bad})
    desk.look(1.0, own(1.0), theirs(1.0))
    assert desk.book.words() == []
    desk.journal.close()
