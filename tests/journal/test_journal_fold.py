"""The fold over all logs: one state, in whatever order the records arrived."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from journal_helpers import NOON, memory_journal

from skypact.journal.fold import NOTHING, fold, fold_on, joint_exercises, manual_pairs
from skypact.journal.model import (
    CertificateChanged,
    ExerciseBegan,
    ExerciseEnded,
    JournalStopped,
    LinkDown,
    LinkUp,
    PartnerJoined,
    PartnerRevoked,
    PolicyChanged,
    Resumed,
    RungChanged,
    Suspended,
    TracksCorrelated,
    TracksSeparated,
)
from skypact.journal.seal import withhold

UIDS = [f"{number:032x}" for number in range(3)]
partners = st.sampled_from(["ALPHA", "BRAVO", "CHARLIE"])
words = st.text(max_size=5)
pairs = st.tuples(st.sampled_from(UIDS), st.sampled_from(UIDS))
events = st.one_of(
    st.builds(LinkUp, partner=partners),
    st.builds(LinkDown, partner=partners, reason=words),
    st.builds(RungChanged, partner=partners, rung=st.sampled_from(["plots", "tracks"]), reason=words),
    st.builds(Suspended, partner=partners, by=words, reason=words),
    st.builds(Resumed, partner=partners, by=words),
    st.builds(PartnerJoined, partner=partners, key=words, certificate=words),
    st.builds(PartnerRevoked, partner=partners, by=words, reason=words),
    st.builds(CertificateChanged, partner=partners, certificate=words),
    st.builds(PolicyChanged, partner=partners, sha256=words, text=words),
    st.builds(ExerciseBegan, exercise=st.sampled_from(["EX1", "EX2"])),
    st.builds(ExerciseEnded, exercise=st.sampled_from(["EX1", "EX2"])),
    st.builds(JournalStopped, reason=words),
    st.builds(TracksCorrelated, uids=pairs, by=words),
    st.builds(TracksSeparated, uids=pairs, by=words),
)


def records_of(logs: dict):
    records = []
    for centre, said in logs.items():
        journal = memory_journal(centre)
        records += [journal.append(event, NOON + number) for number, event in enumerate(said)]
    return records


@given(
    logs=st.fixed_dictionaries({name: st.lists(events, max_size=8) for name in ("ALPHA", "BRAVO")}),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_any_order_delay_and_repetition_ends_in_the_same_state(logs, seed):
    records = records_of(logs)
    rng = random.Random(seed)
    arrived = records + rng.choices(records, k=5) if records else []
    rng.shuffle(arrived)
    state = fold(arrived)
    assert state == fold(records)
    for centre in logs:
        # What arrives in order, as a copy hands it on, leads to the same state step by step.
        own = [record for record in records if record.centre == centre]
        middle = rng.randint(0, len(own))
        stepped = fold_on(fold_on(NOTHING, own[:middle]), own[middle:])
        assert state.get(centre, NOTHING) == stepped


def test_the_state_says_what_each_centre_last_said_of_its_partner():
    records = records_of(
        {
            "ALPHA": [
                PartnerJoined(partner="BRAVO", key="k", certificate="c"),
                LinkUp(partner="BRAVO"),
                PolicyChanged(partner="BRAVO", sha256="p", text=""),
                RungChanged(partner="BRAVO", rung="plots", reason="first"),
                Suspended(partner="BRAVO", by="R. Operator", reason="by order"),
            ],
            "BRAVO": [LinkUp(partner="ALPHA"), LinkDown(partner="ALPHA", reason="cut")],
        }
    )
    states = fold(records)
    bravo = states["ALPHA"].partners["BRAVO"]
    assert (bravo.key, bravo.certificate, bravo.policy) == ("k", "c", "p")
    assert (bravo.is_linked, bravo.rung, bravo.suspended) == (True, "plots", "by order")
    alpha = states["BRAVO"].partners["ALPHA"]
    assert (alpha.is_linked, alpha.link_changed) == (False, NOON + 1)


def test_an_exercise_is_on_only_where_all_agreed():
    began, ended = ExerciseBegan(exercise="EX1"), ExerciseEnded(exercise="EX1")
    one = fold(records_of({"ALPHA": [began]}))
    both = fold(records_of({"ALPHA": [began], "BRAVO": [began]}))
    left = fold(records_of({"ALPHA": [began], "BRAVO": [began, ended]}))
    sides = ["ALPHA", "BRAVO"]
    assert joint_exercises(one, sides) == joint_exercises(left, sides) == frozenset()
    assert joint_exercises(both, sides) == {"EX1"}


def test_two_centres_that_contradict_each_other_are_a_conflict_and_neither_wins():
    together = TracksCorrelated(uids=(UIDS[0], UIDS[1]), by="R. Operator")
    apart = TracksSeparated(uids=(UIDS[1], UIDS[0]), by="S. Operator")
    other = TracksCorrelated(uids=(UIDS[0], UIDS[2]), by="R. Operator")
    agreed, conflicts = manual_pairs(fold(records_of({"ALPHA": [together, other], "BRAVO": [apart]})))
    assert agreed == {frozenset((UIDS[0], UIDS[2])): True}
    assert conflicts == {frozenset((UIDS[0], UIDS[1]))}
    agreed, conflicts = manual_pairs(fold(records_of({"ALPHA": [together], "BRAVO": [apart, together]})))
    assert agreed == {frozenset((UIDS[0], UIDS[1])): True}
    assert not conflicts


def test_a_withheld_record_changes_nothing_and_what_follows_it_counts():
    records = records_of({"ALPHA": [ExerciseBegan(exercise="EX1"), ExerciseBegan(exercise="EX2")]})
    assert fold([withhold(records[0]), records[1]])["ALPHA"].exercises == {"EX2"}
    assert fold([withhold(records[0]), *records])["ALPHA"].exercises == {"EX1", "EX2"}


def test_what_comes_after_a_gap_waits_for_it():
    records = records_of({"ALPHA": [LinkUp(partner="BRAVO"), LinkDown(partner="BRAVO", reason="")] * 2})
    assert fold([*records[:1], *records[2:]]) == fold(records[:1])
