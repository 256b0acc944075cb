"""Exercises: agreed by both sides, proved by their journals, and never mixed up with live."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federated import ALL_TRACKS, FederatedWorld, Member

from skypact.centre.exercise import ExerciseBook
from skypact.core.errors import BadInputError
from skypact.journal.copies import open_copy
from skypact.journal.log import open_journal
from skypact.journal.model import Record
from skypact.journal.seal import encode_record, key_hex
from skypact.journal.store import JournalWriteError
from skypact.plots.model import PlotFlag, join_plots
from skypact.simulation.model import Simulation
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate
from skypact.tracks.model import Picture

NAME = "EAST-1"


class Sides:
    """Three centres' logs and books; records go by `tell`."""

    def __init__(self, folder, names=("ALPHA", "BRAVO")):
        self.names = names
        self.folder = folder
        self.time = 1e9
        self.keys = {
            name: Ed25519PrivateKey.from_private_bytes(bytes([n + 1] * 32)) for n, name in enumerate(names)
        }
        self.open()

    def open(self):
        self.journals, self.copies, self.books = {}, {}, {}
        for name in self.names:
            home = self.folder / name
            self.journals[name] = open_journal(home, name, self.keys[name])
            self.copies[name] = {
                other: open_copy(home, other, key_hex(self.keys[other].public_key()))
                for other in self.names
                if other != name
            }
            self.books[name] = ExerciseBook(self.journals[name])
            for copy in self.copies[name].values():
                self.books[name].add_partner(copy)

    def close(self):
        for name in self.names:
            self.journals[name].close()
            for copy in self.copies[name].values():
                copy.close()

    def begin(self, name, exercise=NAME):
        self.time += 1.0
        self.books[name].begin(exercise, "commander", "training", self.time)

    def end(self, name, exercise=NAME):
        self.time += 1.0
        self.books[name].end(exercise, "commander", "", self.time)

    def tell(self):
        """Let all logs come to all others, also what telling adds to them."""
        for _ in range(3):
            for name in self.names:
                for other in self.copies[name]:
                    copy = self.copies[name][other]
                    records = self.journals[other].read(copy.head.sequence, 100)
                    kept = copy.take([(record.sequence, encode_record(record)) for record in records], 1e9)
                    self.books[name].take(other, kept, self.time)

    def on(self):
        """Pairs between which each side says that the exercise is on."""
        return {
            f"{name}-{other}"
            for name in self.names
            for other in self.names
            if name != other and self.books[name].is_on_with(other)
        }


@pytest.fixture
def sides(tmp_path):
    made = Sides(tmp_path)
    yield made
    made.close()


def test_an_exercise_is_on_exactly_while_both_logs_hold_it(sides):
    sides.tell()
    assert sides.on() == set()
    sides.begin("ALPHA")
    sides.tell()
    assert sides.on() == set()
    assert (sides.books["BRAVO"].name, sides.books["BRAVO"].partner_name("ALPHA")) == ("", NAME)
    sides.begin("BRAVO")
    assert sides.on() == {"BRAVO-ALPHA"}, "Alpha was not told yet"
    sides.tell()
    assert sides.on() == {"ALPHA-BRAVO", "BRAVO-ALPHA"}


def test_who_ends_an_exercise_ends_it_for_both_and_beginning_again_needs_both_again(sides):
    sides.begin("ALPHA")
    sides.begin("BRAVO")
    sides.tell()
    sides.end("ALPHA")
    assert sides.on() == {"BRAVO-ALPHA"}
    sides.tell()
    assert sides.on() == set()
    assert sides.books["BRAVO"].name == ""
    last = sides.journals["BRAVO"].read(0, 100)[-1].content
    assert last.event == {"kind": "exercise_ended", "exercise": NAME, "by": "", "reason": "ended by ALPHA"}
    sides.begin("ALPHA")
    sides.tell()
    assert sides.on() == set()


def test_an_exercise_goes_on_between_those_who_stay_in_it(tmp_path):
    sides = Sides(tmp_path, ("ALPHA", "BRAVO", "CHARLIE"))
    for name in sides.names:
        sides.begin(name)
    sides.tell()
    assert len(sides.on()) == 6
    sides.end("ALPHA")
    sides.tell()
    assert sides.on() == {"BRAVO-CHARLIE", "CHARLIE-BRAVO"}
    sides.close()


def test_exercises_of_two_names_are_not_one(sides):
    sides.begin("ALPHA", "EAST-1")
    sides.begin("BRAVO", "EAST-2")
    sides.tell()
    assert sides.on() == set()
    assert sides.books["ALPHA"].partner_name("BRAVO") == "EAST-2"


def test_agreements_outlive_a_restart_in_the_logs(sides):
    sides.begin("ALPHA")
    sides.begin("BRAVO")
    sides.tell()
    sides.close()
    sides.open()
    assert sides.on() == {"ALPHA-BRAVO", "BRAVO-ALPHA"}


def test_an_exercise_that_a_partner_ended_is_over_also_when_the_disk_is_full(sides, monkeypatch):
    sides.begin("ALPHA")
    sides.begin("BRAVO")
    sides.tell()
    sides.end("ALPHA")

    def fail(*arguments, **options):
        raise JournalWriteError("no space left")

    monkeypatch.setattr(sides.journals["BRAVO"], "append", fail)
    with pytest.raises(JournalWriteError):
        sides.tell()
    assert "BRAVO-ALPHA" not in sides.on()
    assert sides.books["BRAVO"].name == NAME, "Bravo's own log still says that it takes part"


def test_records_of_an_exercise_say_so_and_who_and_why(sides):
    sides.begin("ALPHA")
    sides.end("ALPHA")
    began, ended = (record.content for record in sides.journals["ALPHA"].read(0, 10))
    assert began.exercise and ended.exercise
    assert began.event == {
        "kind": "exercise_began",
        "exercise": NAME,
        "by": "commander",
        "reason": "training",
    }


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("", "training", "no name"),
        ("x" * 33, "training", "no name"),
        ("EAST\n1", "training", "no name"),
        (" EAST", "training", "no name"),
        (NAME, "  ", "needs a reason"),
    ],
)
def test_an_exercise_needs_a_name_that_people_can_read_and_a_reason(sides, name, reason, words):
    with pytest.raises(BadInputError, match=words):
        sides.books["ALPHA"].begin(name, "commander", reason, 1e9)
    assert sides.journals["ALPHA"].head.sequence == 0


def test_there_is_one_exercise_at_a_time_and_what_is_not_on_can_not_be_ended(sides):
    with pytest.raises(BadInputError, match="no exercise is on here"):
        sides.end("ALPHA")
    sides.begin("ALPHA")
    with pytest.raises(BadInputError, match="exercise EAST-1 is on here"):
        sides.begin("ALPHA", "WEST-2")
    with pytest.raises(BadInputError, match="exercise EAST-1 is on here"):
        sides.end("ALPHA", "WEST-2")


# ---- whole centres


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    """Live traffic, and injects that repeat every plot of some aircraft at the same place and time."""
    scenario = msgspec.structs.replace(read_scenario("small"), duration_s=400)
    live = simulate(scenario, 3)
    rows = np.flatnonzero(live.plot_target >= 10)
    copies = live.plots.take(rows)
    copies = replace(copies, flags=copies.flags | np.uint16(PlotFlag.SIMULATED))
    group = np.concatenate([live.plot_group, live.plot_group[rows]])
    order = np.argsort(group, kind="stable")
    return replace(
        live,
        plots=join_plots([live.plots, copies]).take(order),
        plot_target=np.concatenate([live.plot_target, live.plot_target[rows]])[order],
        plot_group=group[order],
    )


def numbers(picture: Picture, chosen: np.ndarray) -> set[str]:
    """Joint numbers of the chosen tracks."""
    return {
        f"{picture.centre_names[picture.joint_centre[row]]}-{picture.joint_number[row]:05d}"
        for row in np.flatnonzero(chosen)
    }


def of_partner(member: Member) -> np.ndarray:
    """(N,) which tracks of the last picture a partner has a part in: by a track, or by a plot."""
    picture = member.pictures[-1]
    foreign = sum(1 << s for s, name in enumerate(picture.sensor_names) if "/" in name)
    is_fed = (picture.sensors[:, 0] & np.uint64(foreign)) != 0
    return is_fed | (picture.centres & np.uint64(2**64 - 2) != 0)


def shared_injects(member: Member) -> set[str]:
    """Joint numbers of injects that a partner has a part in."""
    return numbers(member.pictures[-1], member.pictures[-1].is_simulated & of_partner(member))


def assert_nothing_is_mixed(world: FederatedWorld) -> None:
    """No number is of an inject and of a live track, on any screen or on two."""
    live, injected = set(), set()
    for member in world.members.values():
        picture = member.pictures[-1]
        live |= numbers(picture, ~picture.is_simulated)
        injected |= numbers(picture, picture.is_simulated)
    assert not live & injected
    assert live


def begin(world: FederatedWorld, name: str) -> None:
    world.members[name].federation.begin_exercise(NAME, "commander", "training", world.clock.now())


@pytest.mark.parametrize("rung", ["plots", "tracks"])
def test_injects_along_live_aircraft_are_tracks_of_their_own_on_both_sides_until_one_ends_it(
    simulation, tmp_path, rung
):
    policies = {} if rung == "plots" else {("ALPHA", "BRAVO"): ALL_TRACKS, ("BRAVO", "ALPHA"): ALL_TRACKS}
    world = FederatedWorld(simulation, tmp_path, policies)
    alpha, bravo = world.members["ALPHA"], world.members["BRAVO"]
    world.run(90.0)
    assert alpha.state("BRAVO").we_give == rung
    for member in (alpha, bravo):
        assert member.pictures[-1].is_simulated.sum() > 0, "each has injects of its own radars"
        assert not shared_injects(member)
    assert_nothing_is_mixed(world)

    begin(world, "ALPHA")
    world.run(20.0)
    assert (alpha.state("BRAVO").mode, alpha.state("BRAVO").exercise) == ("live", NAME)
    assert (bravo.state("ALPHA").mode, bravo.state("ALPHA").their_exercise) == ("live", NAME)
    assert not shared_injects(alpha) and not shared_injects(bravo)

    begin(world, "BRAVO")
    world.run(60.0)
    assert_nothing_is_mixed(world)
    assert {alpha.state("BRAVO").mode, bravo.state("ALPHA").mode} == {"exercise"}
    both = shared_injects(alpha) & shared_injects(bravo)
    assert len(both) >= 5, "the same injects under the same numbers on both sides"
    for member in (alpha, bravo):
        picture = member.pictures[-1]
        live = picture.latitude[~picture.is_simulated], picture.longitude[~picture.is_simulated]
        beside = [
            np.hypot(live[0] - picture.latitude[row], live[1] - picture.longitude[row]).min() < 1e-3
            for row in np.flatnonzero(picture.is_simulated)
        ]
        assert np.mean(beside) > 0.8, "they fly along live aircraft"
    # What overtook the word that the other side had agreed, too.
    assert max(alpha.state("BRAVO").refused, bravo.state("ALPHA").refused) <= 2

    world.cut()
    world.run(10.0)
    assert (alpha.state("BRAVO").link, alpha.state("BRAVO").mode) == ("down", "exercise")
    assert (bravo.state("ALPHA").link, bravo.state("ALPHA").mode) == ("down", "exercise")
    world.heal()
    world.run(40.0)
    assert len(shared_injects(alpha) & shared_injects(bravo)) >= 5
    assert_nothing_is_mixed(world)

    alpha.federation.end_exercise(NAME, "commander", "", world.clock.now())
    world.run(3.0)
    assert not shared_injects(alpha) and not shared_injects(bravo)
    assert (~bravo.pictures[-1].is_simulated).sum() >= 18
    for member, other in ((alpha, "BRAVO"), (bravo, "ALPHA")):
        state = member.state(other)
        assert (state.mode, state.exercise, state.their_exercise) == ("live", "", "")
    world.run(30.0)
    assert not shared_injects(alpha) and not shared_injects(bravo)
    assert_nothing_is_mixed(world)

    for member in (alpha, bravo):
        records = member.records()
        flagged = {record.kind for record in records if exercise_of(record)}
        assert flagged == {"exercise_began", "exercise_ended"}
        assert {record.kind for record in records if not exercise_of(record)} >= {"link_up", "link_down"}
        member.federation.close()


def exercise_of(record: Record) -> bool:
    assert record.content is not None
    return record.content.exercise


def test_what_a_partner_ended_is_refused_from_then_on_also_when_that_can_not_be_recorded(
    simulation, tmp_path, monkeypatch
):
    world = FederatedWorld(simulation, tmp_path)
    world.run(20.0)
    begin(world, "ALPHA")
    begin(world, "BRAVO")
    world.run(30.0)
    bravo = world.members["BRAVO"]
    link = bravo.federation.links["ALPHA"]
    assert link.gateway.exercise == NAME and link.reader.takes_simulated

    def fail(*arguments, **options):
        raise JournalWriteError("no space left")

    monkeypatch.setattr(bravo.federation._journal, "append", fail)
    world.members["ALPHA"].federation.end_exercise(NAME, "commander", "", world.clock.now())
    world.run(3.0)
    assert not link.gateway.exercise and not link.reader.takes_simulated
    assert (bravo.state("ALPHA").mode, bravo.state("ALPHA").exercise) == ("live", NAME)
    for member in world.members.values():
        member.federation.close()


def test_an_exercise_goes_on_after_a_restart_and_what_a_hostile_policy_withholds_is_no_part_of_it(
    simulation, tmp_path
):
    silent = "[[tracks]]\nname = 'all'\n[[plots]]\nname = 'all'\n"  # no kind of record is released
    world = FederatedWorld(simulation, tmp_path, {("BRAVO", "ALPHA"): silent, ("ALPHA", "BRAVO"): silent})
    world.run(30.0)
    begin(world, "ALPHA")
    begin(world, "BRAVO")
    world.run(40.0)
    assert world.members["ALPHA"].state("BRAVO").mode == "exercise"
    world.stop("BRAVO")
    world.run(10.0)
    bravo = world.start("BRAVO")
    world.run(60.0)
    assert bravo.state("ALPHA").mode == "exercise"
    assert len(shared_injects(bravo) & shared_injects(world.members["ALPHA"])) >= 5
    bravo.federation.drop_partner("ALPHA")
    world.run(2.0)
    assert not shared_injects(bravo)
    for member in world.members.values():
        member.federation.close()
