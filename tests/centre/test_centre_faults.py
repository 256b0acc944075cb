"""Faults of links, clocks, disks and partners over whole centres; a failing seed reproduces."""

import sys
from types import FrameType
from typing import Any

import msgspec
import numpy as np
import pytest
from fault_history import check_history, fault_scenario
from federated import ALL_TRACKS, FederatedWorld, Member

from skypact.exchange.model import Rung
from skypact.journal.verify import verify_folder
from skypact.simulation.messages import radar_messages
from skypact.simulation.scenario import Bias
from skypact.simulation.world import simulate
from skypact.tracks.model import Picture


@pytest.fixture(scope="module")
def worlds():
    """Two worlds, of two and of three partners, with all that their radars send."""
    simulations = [simulate(fault_scenario(partners), 1) for partners in (2, 3)]
    return [(simulation, radar_messages(simulation)) for simulation in simulations]


@pytest.fixture
def world(worlds, tmp_path):
    """Two centres after 20 s."""
    simulation, messages = worlds[0]
    world = FederatedWorld(simulation, tmp_path, messages=messages)
    world.run(20.0)
    yield world
    world.close()


def is_alike(world: FederatedWorld) -> bool:
    links = [link for member in world.members.values() for link in member.federation.links.values()]
    return all(link.commonality is not None and link.commonality.number >= 0.95 for link in links)


def numbers(picture: Picture) -> dict[bytes, tuple[str, int]]:
    """The joint number of each track of a picture, by its identifier."""
    names = [picture.centre_names[centre] for centre in picture.joint_centre.tolist()]
    uids = [row.tobytes() for row in picture.uid]
    return dict(zip(uids, zip(names, picture.joint_number.tolist(), strict=True), strict=True))


def by_aircraft(picture: Picture) -> dict[int, tuple[str, int]]:
    """The joint number of each aircraft with Mode S."""
    joint = list(numbers(picture).values())
    return {address: joint[row] for row, address in enumerate(picture.address.tolist()) if address >= 0}


def kinds(member: Member) -> list[str]:
    return [record.kind for record in member.records()]


@pytest.mark.counts("fault histories of whole centres", sample=10, soak=1_000)
def test_after_any_history_of_faults_pictures_and_journals_are_whole(count: int, worlds, tmp_path):
    errors: list[float] = []
    for seed in range(count):
        simulation, messages = worlds[seed % 4 == 3]
        errors += check_history(simulation, messages, tmp_path / str(seed), seed).errors
    assert 0.5 < np.mean(errors) < 1.5


def test_the_same_seed_gives_the_same_history_to_the_bit(worlds, tmp_path):
    def run(seed: int, name: str) -> list[Any]:
        folder = tmp_path / name
        history = check_history(*worlds[0], folder, seed)
        logs = sorted(path.read_bytes() for path in folder.glob("*/journal/*/*.jsonl"))
        return [history.digest.hexdigest(), history.told, logs]

    first = run(1, "first")
    assert run(1, "second") == first
    assert run(2, "other") != first


def test_tracks_of_a_partner_whose_clock_is_two_seconds_ahead_are_put_right_and_the_skew_is_shown(tmp_path):
    scenario = fault_scenario(2)
    ahead = [
        msgspec.structs.replace(radar, bias=Bias(time_s=2.0)) if radar.east_km < 0 else radar
        for radar in scenario.radar
    ]
    simulation = simulate(msgspec.structs.replace(scenario, radar=ahead), 1)
    policies = {("ALPHA", "BRAVO"): ALL_TRACKS, ("BRAVO", "ALPHA"): ALL_TRACKS}
    world = FederatedWorld(simulation, tmp_path, policies, ahead={"ALPHA": 2.0})
    world.run(45.0)
    for name, other, skew in (("BRAVO", "ALPHA", 2.0), ("ALPHA", "BRAVO", -2.0)):
        meter = world.members[name].state(other).commonality
        assert meter.held >= 20
        assert meter.skew == pytest.approx(skew, abs=0.3)
        assert min(meter.number, meter.state) >= 0.95
        assert len(world.members[name].pictures[-1]) == 24
    world.close()


def test_a_wrong_clock_of_a_partner_whose_radars_tell_the_right_time_changes_nothing(worlds, tmp_path):
    simulation, messages = worlds[0]
    world = FederatedWorld(simulation, tmp_path, ahead={"ALPHA": 2.0}, messages=messages)
    world.run(45.0)
    for name, other in world.ways:
        meter = world.members[name].state(other).commonality
        assert meter.held >= 20
        assert min(meter.number, meter.state) >= 0.95
        assert len(world.members[name].pictures[-1]) == 24
    world.close()


def test_a_link_of_100_kilobytes_and_half_a_second_carries_one_picture(worlds, tmp_path):
    simulation, messages = worlds[0]
    world = FederatedWorld(simulation, tmp_path, messages=messages)
    for way in world.ways:
        path = world.network.path(*way)
        path.bytes_per_second, path.latency = 100_000.0, 0.5
    world.run(30.0)
    for name, other in world.ways:
        state = world.members[name].state(other)
        assert (state.link, state.we_give, state.they_give) == ("up", "plots", "plots")
        assert state.commonality.held >= 20 and state.commonality.number >= 0.95
    alpha, bravo = world.members["ALPHA"], world.members["BRAVO"]
    alpha.federation.suspend("BRAVO", Rung.ALERTS, "a person", "order", world.clock.now())
    head = alpha.federation.journal_head
    assert world.until(lambda: bravo.federation.links["ALPHA"].copy.head.sequence >= head, 2.0) <= 2.0
    world.close()


def test_a_link_that_turns_slow_leaves_plots_for_a_minute_at_most_and_keeps_the_tracks(world):
    for way in world.ways:
        path = world.network.path(*way)
        path.bytes_per_second, path.latency = 100_000.0, 0.5
    links = [link for member in world.members.values() for link in member.federation.links.values()]

    def rungs() -> set[Rung]:
        return {link.gateway.ladder.rung for link in links}

    for _ in range(60):
        world.run(1.0)
        assert rungs() <= {Rung.TRACKS, Rung.PLOTS}
    assert rungs() == {Rung.PLOTS}
    assert is_alike(world)


def test_a_full_disk_stops_no_picture_and_all_is_recorded_once_there_is_room(world, caplog):
    alpha, bravo = world.members["ALPHA"], world.members["BRAVO"]
    world.set_disk_full("BRAVO", True)
    full = len(bravo.records())
    pictures = len(bravo.pictures)
    world.cut()
    world.run(8.0)
    world.heal()
    world.run(8.0)
    alpha_head = alpha.federation.journal_head
    assert len(bravo.pictures) - pictures == 16
    assert len(bravo.records()) == full
    assert bravo.federation.links["ALPHA"].copy.head.sequence < alpha_head
    world.set_disk_full("BRAVO", False)
    world.run(5.0)
    late = kinds(bravo)[full:]
    assert late[0] == "journal_stopped"
    assert sorted(late[1:]) == ["link_down", "link_up", "picture_agreed", "rung_changed", "rung_changed"]
    received = [record.content.received for record in bravo.records()]
    assert received == sorted(received)
    assert received[full] < world.clock.now() - 15.0
    assert alpha.federation.links["BRAVO"].copy.head.sequence == bravo.federation.journal_head
    assert bravo.federation.links["ALPHA"].copy.head.sequence == alpha.federation.journal_head
    for name in world.names:
        assert verify_folder(world.folder / name / "journal").all_findings == []
    told = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert told.count("journal can't be written") == 1
    assert told.count("partner's journal not kept") <= 10


def test_a_link_that_is_cut_one_way_is_down_for_who_hears_nothing_and_gives_nothing_to_who_is_not_heard(
    world,
):
    alpha, bravo = world.members["ALPHA"], world.members["BRAVO"]
    world.network.cut("ALPHA", "BRAVO")
    world.run(8.0)
    assert bravo.state("ALPHA").link == "down"
    assert alpha.state("BRAVO").we_give == bravo.state("ALPHA").we_give == "alone"
    assert alpha.state("BRAVO").they_give == "alone"
    world.network.heal("ALPHA", "BRAVO")
    world.run(8.0)
    for name, other in world.ways:
        state = world.members[name].state(other)
        assert (state.link, state.we_give, state.they_give) == ("up", "plots", "plots")
    assert is_alike(world)


def test_a_link_that_flaps_leaves_the_numbers_as_they_are(world):
    before = {name: by_aircraft(member.pictures[-1]) for name, member in world.members.items()}
    for _ in range(6):
        world.cut()
        world.run(1.5)
        world.heal()
        world.run(1.5)
    world.run(8.0)
    assert is_alike(world)
    for name, member in world.members.items():
        assert by_aircraft(member.pictures[-1]) == before[name]
        assert len(member.pictures[-1]) == 24


def test_while_cut_own_pictures_come_each_second_and_the_partners_tracks_age_and_go(world):
    # Only the west of Bravo is watched by Alpha's radars from here on: it has its own tracks alone.
    alpha = world.members["ALPHA"]
    world.stop("ALPHA")
    world.run(2.0)
    alpha = world.start("ALPHA")
    world.until(lambda: alpha.pictures and len(alpha.pictures[-1]) >= 20, 5.0)
    world.cut()
    shown = len(alpha.pictures)
    ages = []
    for _ in range(34):
        world.run(1.0)
        picture = alpha.pictures[-1]
        ages.append(np.nanmax(picture.report_age, initial=0.0))
    assert len(alpha.pictures) - shown == 34
    assert max(ages) > 10.0
    assert max(ages) <= 30.0
    picture = alpha.pictures[-1]
    own = picture.centres == np.uint64(1) << np.uint64(picture.centre_names.index("ALPHA"))
    assert own.all() and len(picture) == 24


def test_a_partner_that_crashed_takes_up_the_numbers_that_are_shown(world):
    alpha = world.members["ALPHA"]
    before = by_aircraft(alpha.pictures[-1])
    world.stop("BRAVO")
    world.run(5.0)
    bravo = world.start("BRAVO")
    world.run(20.0)
    assert by_aircraft(alpha.pictures[-1]) == by_aircraft(bravo.pictures[-1]) == before
    assert bravo.federation.links["ALPHA"].copy.head.sequence == alpha.federation.journal_head
    assert alpha.federation.links["BRAVO"].copy.head.sequence == bravo.federation.journal_head


def test_a_centre_that_starts_while_it_is_cut_off_gives_no_number_that_partners_still_show(world):
    bravo = world.members["BRAVO"]
    given = {number for number in by_aircraft(bravo.pictures[-1]).values() if number[0] == "ALPHA"}
    assert len(given) >= 8
    world.cut()
    world.stop("ALPHA")
    alpha = world.start("ALPHA")
    world.run(20.0)
    fresh = set(numbers(alpha.pictures[-1]).values())
    assert len(fresh) >= 20
    assert not fresh & given


WAITS = {
    *("sleep", "select", "poll", "recv", "recv_into", "recvfrom", "accept", "connect", "send", "sendall"),
    *("sendto", "waitpid"),
}
WAITING = ("threading", "asyncio", "concurrent", "socket", "selectors", "subprocess", "queue")
ASKS = ("threading.current_thread", "threading.name")  # who logs


def test_no_step_of_a_federation_calls_anything_that_waits(world):
    called: set[str] = set()
    waited: set[str] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            called.add(argument.__name__)
            if argument.__name__ in WAITS:
                waited.add(argument.__name__)
        elif event == "call":
            name = f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_name}"
            called.add(frame.f_code.co_name)
            if name.split(".")[0] in WAITING and name not in ASKS:
                waited.add(name)

    def run(seconds: float) -> None:
        sys.setprofile(note)
        try:
            world.run(seconds)
        finally:
            sys.setprofile(None)

    run(1.0)
    world.cut()
    run(6.0)
    world.heal()
    run(4.0)
    assert "complete" in called and "fsync" in called
    assert waited == set()
