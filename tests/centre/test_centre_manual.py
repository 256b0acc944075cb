"""What people say of pairs of tracks, in whole centres."""

import msgspec
import numpy as np
from federated import FederatedWorld

from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate
from skypact.tracks.model import Picture


def shared_row(picture: Picture) -> int:
    """A row of the picture that tracks of two centres are in."""
    return int(np.flatnonzero(np.bitwise_count(picture.centres) == 2)[0])


def test_whole_centres_keep_what_a_person_says_over_cut_and_heal_and_tell_it_to_the_partner(tmp_path):
    simulation = simulate(msgspec.structs.replace(read_scenario("small"), duration_s=200), 3)
    world = FederatedWorld(simulation, tmp_path)
    world.run(80.0)
    alpha, bravo = world.members["ALPHA"], world.members["BRAVO"]
    picture = alpha.pictures[-1]
    row = shared_row(picture)
    uid, number = picture.uid[row], str(picture.number[row])
    alpha.federation.manual.say_different(number, number, "Kim", "two calls", world.clock.now())

    def is_alone() -> bool:
        last = alpha.pictures[-1]
        return int(last.centres[(last.uid == uid).all(axis=1)][0]) == 1

    world.run(10.0)
    assert is_alone()
    (proposal,) = bravo.federation.manual.words()
    assert (proposal.is_one, proposal.binds, proposal.centre, proposal.by) == (False, False, "ALPHA", "Kim")
    assert bravo.federation.manual.words()[0].numbers[0] == proposal.numbers[1]  # one track there
    world.cut()
    world.run(10.0)
    world.heal()
    world.run(15.0)
    assert alpha.state("BRAVO").link == "up"
    assert is_alone()
    assert "tracks_separated" in {record.kind for record in alpha.records()}
    for member in (alpha, bravo):
        member.federation.close()
