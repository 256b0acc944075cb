"""Whole centres on a simulated clock and network: what each shows, alone, together, cut and healed."""

from collections import Counter

import msgspec
import numpy as np
import pytest
from federated import FederatedWorld

from skypact.journal.model import event_of
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate
from skypact.tracks.model import Picture


@pytest.fixture(scope="module")
def simulation():
    return simulate(msgspec.structs.replace(read_scenario("standard"), duration_s=240), 3)


def joint(picture: Picture) -> set[tuple[str, int]]:
    """The joint track numbers in a picture."""
    centres = [picture.centre_names[centre] for centre in picture.joint_centre.tolist()]
    return set(zip(centres, picture.joint_number.tolist(), strict=True))


def test_both_centres_see_one_picture_and_each_goes_on_alone_when_cut(simulation, tmp_path):
    world = FederatedWorld(simulation, tmp_path)
    world.run(100.0)
    alpha, bravo = world.members["ALPHA"], world.members["BRAVO"]
    together = alpha.pictures[-1]
    assert joint(together) == joint(bravo.pictures[-1])
    assert len(together) > 150
    for member, other in ((alpha, "BRAVO"), (bravo, "ALPHA")):
        state = member.state(other)
        assert (state.link, state.we_give, state.they_give) == ("up", "plots", "plots")
        assert state.commonality is not None and state.commonality.number > 0.98
        assert [name for name in member.pictures[-1].sensor_names if name.startswith(f"{other}/")]
        assert member.federation.units == {"ALPHA": 1, "BRAVO": 2}
    world.cut()
    world.run(60.0)
    for member, other in ((alpha, "BRAVO"), (bravo, "ALPHA")):
        state = member.state(other)
        assert (state.link, state.we_give) == ("down", "alone")
        assert len(member.pictures[-1]) > 100
        assert np.isfinite(member.pictures[-1].position).all()
        assert {"link_up", "link_down"} <= {record.kind for record in member.records()}
    world.heal()
    world.run(30.0)
    assert len(joint(alpha.pictures[-1]) ^ joint(bravo.pictures[-1])) <= 0.05 * len(together)
    assert alpha.state("BRAVO").link == "up"
    for member in (alpha, bravo):
        agreed = [event_of(record) for record in member.records() if record.kind == "picture_agreed"]
        assert len(agreed) == 2  # at the beginning, and after the heal
        assert agreed[1].share >= 0.95 and agreed[1].held > 50
        assert agreed[1].most <= 1 and 0.0 < agreed[1].seconds <= 25.0
        (state,) = member.states[-1]
        assert state.number_changes >= agreed[1].changes
    assert alpha.state("BRAVO").journal_theirs == bravo.federation.journal_head
    for member in (alpha, bravo):
        member.federation.close()


def test_a_cut_while_numbers_still_differ_does_not_swap_them(simulation, tmp_path):
    world = FederatedWorld(simulation, tmp_path)
    alpha, bravo = world.members["ALPHA"], world.members["BRAVO"]
    while not (bravo.pictures and bravo.state("ALPHA").commonality):
        world.run(1.0)
    while bravo.state("ALPHA").commonality.held < 20 or bravo.state("ALPHA").commonality.number > 0.5:
        world.run(1.0)
    world.cut()
    world.run(10.0)
    world.heal()
    world.run(40.0)
    for member in (alpha, bravo):
        assert max(number_changes(member.pictures).values(), default=0) <= 1
        member.federation.close()


def number_changes(pictures: list[Picture]) -> Counter[tuple[int, int]]:
    """How often each track, by its identifier, came to bear another number."""
    changes: Counter[tuple[int, int]] = Counter()
    shown: dict[tuple[int, int], tuple[str, int]] = {}
    for picture in pictures:
        for row, uid in enumerate(map(tuple, picture.uid.tolist())):
            number = picture.centre_names[picture.joint_centre[row]], int(picture.joint_number[row])
            changes[uid] += shown.setdefault(uid, number) != number
            shown[uid] = number
    return changes


def test_targets_that_turn_during_a_cut_keep_their_number_and_show_it_once(simulation, tmp_path):
    world = FederatedWorld(simulation, tmp_path)
    world.run(60.0)
    members = list(world.members.values())
    for member in members:
        member.pictures.clear()
    world.run(30.0)
    world.cut()
    world.run(30.0)
    for member in members:
        assert all(len(joint(picture)) == len(picture) for picture in member.pictures[-28:])
    world.heal()
    world.run(30.0)
    for member in members:
        numbers: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for picture in member.pictures:
            borne = zip(picture.joint_centre.tolist(), picture.joint_number.tolist(), strict=True)
            for uid, number in zip(map(tuple, picture.uid.tolist()), borne, strict=True):
                kept = numbers.setdefault(uid, [number])
                if kept[-1] != number:
                    kept.append(number)
        assert max(map(len, numbers.values())) <= 2
        member.federation.close()
