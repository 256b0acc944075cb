"""Track numbers over a restart: what the file remembers, and what whole centres give their aircraft."""

import json
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from federated import FederatedWorld

from skypact.centre.number_file import AHEAD, FILE, PERIOD, REST, NumberFile
from skypact.sensors.model import Sensor, make_sensor_table
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate
from skypact.tracks.model import Picture
from skypact.tracks.tracker import Tracker

NOW = 1_800_000_000.0


def used(**times: float) -> np.ndarray:
    """When numbers were used last, given as n17=...; the others never."""
    last_used = np.full(32_768, -np.inf)
    for name, time in times.items():
        last_used[int(name[1:])] = time
    return last_used


def test_the_end_of_a_run_keeps_exactly_the_numbers_that_rest(tmp_path):
    file = NumberFile(tmp_path / FILE, NOW)
    assert np.isneginf(file.last_used).all()
    file.close(used(n3=NOW - 10.0, n4=NOW - REST - 1.0, n32767=NOW), NOW)
    again = NumberFile(tmp_path / FILE, NOW + 5.0).last_used
    assert {n: again[n] for n in np.flatnonzero(again > -np.inf)} == {3: NOW - 10.0, 32_767: NOW}


def test_after_a_crash_the_numbers_that_would_have_come_next_rest_too(tmp_path):
    file = NumberFile(tmp_path / FILE, NOW)
    file.note(used(n1=NOW, n2=NOW), NOW)
    again = NumberFile(tmp_path / FILE, NOW + 1.0).last_used
    assert (again[1 : AHEAD + 3] == NOW).all()
    assert np.isneginf(again[AHEAD + 3 :]).all()


def test_the_file_is_written_now_and_then_and_early_when_many_numbers_were_given(tmp_path):
    file = NumberFile(tmp_path / FILE, NOW)
    file.note(used(n1=NOW), NOW)
    written = (tmp_path / FILE).read_bytes()
    file.note(used(n1=NOW, n2=NOW + 1.0), NOW + 1.0)
    assert (tmp_path / FILE).read_bytes() == written
    many = used(n1=NOW)
    many[2 : AHEAD // 2 + 5] = NOW + 1.0
    file.note(many, NOW + 1.0)
    early = (tmp_path / FILE).read_bytes()
    assert early != written
    file.note(many, NOW + 1.0 + PERIOD)
    assert (tmp_path / FILE).read_bytes() != early


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00 no text",
        b'{"version":1,"number":[1,2],"used":[1.0]}',
        b'{"version":1,"number":[0],"used":[1.0]}',
        b'{"version":1,"number":[40000],"used":[1.0]}',
        b'{"version":2,"number":[],"used":[]}',
    ],
)
def test_after_a_damaged_file_numbers_begin_elsewhere_and_none_is_lacking(content, tmp_path):
    (tmp_path / FILE).write_bytes(content)
    last_used = NumberFile(tmp_path / FILE, NOW).last_used
    assert (last_used[1:] < NOW - REST).all()
    assert len(np.unique(last_used[1:])) == 32_767
    assert int(last_used[1:].argmin()) + 1 == int(NOW) % 32_767 + 1


def test_uses_in_the_future_count_as_uses_now(tmp_path):
    NumberFile(tmp_path / FILE, NOW).close(used(n7=NOW + 1e6), NOW + 1e6)
    assert NumberFile(tmp_path / FILE, NOW).last_used[7] == NOW


def test_a_disk_that_takes_nothing_costs_no_picture_and_what_it_had_stays(tmp_path, caplog):
    file = NumberFile(tmp_path / FILE, NOW)
    file.close(used(n7=NOW), NOW)
    (tmp_path / FILE).with_suffix(".new").mkdir()
    file.note(used(n8=NOW), NOW)
    assert "track numbers not kept" in caplog.text
    assert json.loads((tmp_path / FILE).read_bytes())["number"] == [7]


def test_nobody_waits_for_the_disk_and_nothing_queues_up_for_it(tmp_path):
    disk_is_ready = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(disk_is_ready.wait)
        file = NumberFile(tmp_path / FILE, NOW, executor)
        file.note(used(n1=NOW), NOW)
        file.note(used(n2=NOW + 10.0 * PERIOD), NOW + 10.0 * PERIOD)
        assert not (tmp_path / FILE).exists()
        disk_is_ready.set()
    assert json.loads((tmp_path / FILE).read_bytes())["number"][:2] == [1, 2]
    assert json.loads((tmp_path / FILE).read_bytes())["used"][0] == NOW


def test_a_tracker_gives_the_number_free_for_longest_and_tells_when_each_was_used():
    table = make_sensor_table([Sensor(name="one", sac=1, sic=1, latitude_deg=50, longitude_deg=5)])
    tracker = Tracker(table)
    tracker.rest_numbers(used(n1=NOW, n2=NOW - 900.0))
    last_used = tracker.numbers_used(NOW + 1.0)
    assert (last_used[1], last_used[2]) == (NOW, NOW - 900.0)
    assert np.isneginf(last_used[3:]).all()
    assert tracker._book.numbers[[0, -2, -1]].tolist() == [3, 2, 1]


@pytest.fixture(scope="module")
def simulation():
    return simulate(msgspec.structs.replace(read_scenario("small"), duration_s=240), 3)


def joint_by_address(picture: Picture) -> dict[int, str]:
    """The joint number of each aircraft that tells its address; of two tracks of it, one."""
    return {
        int(
            picture.address[row]
        ): f"{picture.centre_names[picture.joint_centre[row]]}-{picture.joint_number[row]:05d}"
        for row in np.flatnonzero(picture.address >= 0)
    }


def aircraft_by_number(pictures: list[Picture]) -> dict[str, set[int]]:
    """The addresses that were ever seen under each joint number."""
    seen: dict[str, set[int]] = defaultdict(set)
    for picture in pictures:
        for address, number in joint_by_address(picture).items():
            seen[number].add(address)
    return seen


@pytest.mark.parametrize("is_crash", [True, False])
def test_a_centre_that_starts_again_gives_aircraft_that_its_partner_has_the_numbers_that_they_had(
    is_crash, simulation, tmp_path
):
    world = FederatedWorld(simulation, tmp_path)
    world.run(90.0)
    former, bravo = world.members["ALPHA"], world.members["BRAVO"]
    before = joint_by_address(former.pictures[-1])
    assert {number[:5] for number in before.values()} >= {"ALPHA"} and len(before) > 8
    if not is_crash:
        former.centre.close()
    world.stop("ALPHA")
    world.run(15.0)
    alpha = world.start("ALPHA")
    world.run(60.0)
    after = joint_by_address(alpha.pictures[-1])
    held = joint_by_address(bravo.pictures[-1])
    kept = [address for address in before if address in after and held.get(address) == before[address]]
    assert len(kept) >= 0.7 * len(before)
    assert {address: after[address] for address in kept} == {address: before[address] for address in kept}
    # No number came to mean another aircraft, on either side, at any time.
    for pictures in (former.pictures + alpha.pictures, bravo.pictures):
        assert all(len(aircraft) == 1 for aircraft in aircraft_by_number(pictures).values())
    for member in (alpha, bravo):
        member.federation.close()


def test_a_centre_that_starts_again_alone_gives_out_no_number_that_rests(simulation, tmp_path):
    world = FederatedWorld(simulation, tmp_path)
    world.cut()
    world.run(60.0)
    before = {n for picture in world.members["ALPHA"].pictures for n in picture.joint_number.tolist()}
    assert len(before) > 8
    world.stop("ALPHA")
    world.run(5.0)
    alpha = world.start("ALPHA")
    world.run(60.0)
    after = {n for picture in alpha.pictures for n in picture.joint_number.tolist()}
    assert len(after) > 8
    assert not before & after
    for member in world.members.values():
        member.federation.close()
