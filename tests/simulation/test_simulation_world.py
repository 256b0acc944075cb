import msgspec
import numpy as np
import pytest
from numpy.testing import assert_allclose

import naive_simulation as naive
from skypact.core.units import FOOT, STANDARD_GRAVITY
from skypact.plots.model import PlotFlag
from skypact.simulation.files import truth_table, write_simulation
from skypact.simulation.model import FALSE_PLOT, KINDS, SECTORS
from skypact.simulation.motion import KINEMATICS
from skypact.simulation.scenario import Bias, Radar, Scenario, Traffic
from skypact.simulation.world import World, simulate

RESOLVED = {"resolution_range_m": 0.0, "resolution_azimuth_deg": 0.0}


def world(*radars, traffic=None, duration=300, extent=200.0, **more):
    traffic = traffic or [Traffic(kind="airliner", count=60, mode_s=1.0, arriving=0.0, leaving=0.0)]
    return Scenario(
        duration_s=duration, extent_km=extent, latitude_deg=45.0, longitude_deg=-35.0,
        traffic=traffic, radar=list(radars), name="test", **more,
    )  # fmt: skip


def quiet(kind="mode_s", **more):
    return Radar(kind=kind, **({"east_km": 0.0, "north_km": 0.0, "clutter_per_scan": 0.0} | RESOLVED | more))


def true_places(simulation):
    """Position of each real plot's target at the detection time, along a straight line between seconds."""
    rows = np.flatnonzero(simulation.plot_target != FALSE_PLOT)
    target = simulation.plot_target[rows]
    radars = simulation.scenario.radar
    bias = np.array([radars[sensor].bias.time_s for sensor in simulation.plots.sensor[rows]])
    run = simulation.plots.time[rows] - bias - simulation.start
    second = np.floor(run).astype(int)
    share = (run - second)[:, None]
    position = simulation.flights.position
    return rows, (1.0 - share) * position[target, second] + share * position[target, second + 1]


def measured_and_true(simulation):
    rows, places = true_places(simulation)
    sensor = simulation.sensors
    site = (sensor.latitude[0], sensor.longitude[0], sensor.height[0])
    return simulation.plots.take(rows), naive.seen_from(site, places)


def test_plots_turn_back_into_the_truth_within_their_noise():
    radar = quiet("radar_3d", sigma_range_m=40.0, sigma_azimuth_deg=0.1, sigma_elevation_deg=0.4)
    plots, (distance, azimuth, elevation) = measured_and_true(simulate(world(radar), 3))
    assert len(plots) > 1500
    around = (plots.azimuth - azimuth + np.pi) % (2 * np.pi) - np.pi
    for error in (
        (plots.range - distance) / 40.0,
        around / np.radians(0.1),
        (plots.elevation - elevation) / np.radians(0.4),
    ):
        assert abs(error.mean()) < 4.0 / np.sqrt(len(error))
        assert_allclose(error.std(), 1.0, atol=0.08)


def test_biases_shift_what_is_measured_as_they_say():
    bias = Bias(range_m=300.0, range_gain=0.01, azimuth_deg=0.5, time_s=0.25)
    radar = quiet(sigma_range_m=1.0, sigma_azimuth_deg=0.001, bias=bias)
    plots, (distance, azimuth, _) = measured_and_true(simulate(world(radar), 3))
    assert_allclose(plots.range, distance * 1.01 + 300.0, atol=6.0)
    around = (plots.azimuth - azimuth + np.pi) % (2 * np.pi) - np.pi
    assert_allclose(around, np.radians(0.5), atol=np.radians(0.01))


def test_detection_has_its_probability_and_falls_towards_the_edge():
    radar = quiet(detection_probability=0.8, rotation_period_s=5.0, range_max_km=300.0)
    simulation = simulate(world(radar), 4)
    turns = simulation.scenario.duration_s / 5.0
    expected = 60 * turns * 0.8
    assert_allclose(len(simulation.plots), expected, rtol=0.03)
    edge = quiet(detection_probability=0.8, rotation_period_s=5.0, range_max_km=80.0)
    far = simulate(world(edge), 4)
    near_edge = far.plots.range > 0.97 * 80e3
    inside = (far.plots.range > 0.80 * 80e3) & (far.plots.range < 0.88 * 80e3)
    # Even density over the area: plots per km² of the two rings, less what the edge loses.
    density = [near_edge.sum() / (1.0 - 0.97**2), inside.sum() / (0.88**2 - 0.80**2)]
    assert density[0] < 0.8 * density[1]


def test_false_plots_are_poisson_and_even_over_the_area():
    radar = quiet("psr", clutter_per_scan=80.0, rotation_period_s=4.0, rotation_jitter=0.0)
    nobody = [Traffic(kind="airliner", count=0)]
    simulation = simulate(world(radar, traffic=nobody, duration=1200), 5)
    assert (simulation.plot_target == FALSE_PLOT).all()
    turn = np.floor((simulation.plots.time - simulation.plots.time[0]) / 4.0).astype(int)
    counts = np.bincount(turn)[1:-1]
    assert_allclose(counts.mean(), 80.0, rtol=0.03)
    assert_allclose(counts.var() / counts.mean(), 1.0, atol=0.35)
    share = (simulation.plots.range / 250e3) ** 2
    assert_allclose(np.histogram(share, 10, (0.0, 1.0))[0] / len(share), 0.1, atol=0.01)
    assert_allclose(np.histogram(simulation.plots.azimuth, 8)[0] / len(share), 0.125, atol=0.01)
    assert (simulation.plots.squawk == -1).all()
    assert np.isnan(simulation.plots.altitude).all()


def test_clutter_in_patches_crowds_together():
    radar = quiet("psr", clutter_per_scan=80.0, clutter_in_patches=1.0)
    simulation = simulate(world(radar, traffic=[Traffic(kind="jet", count=0)]), 5)
    filled = np.histogram2d(simulation.plots.azimuth, simulation.plots.range, (36, 25))[0] > 0
    assert filled.mean() < 0.3


def test_low_aircraft_hide_below_the_horizon_and_are_not_covered():
    light = [Traffic(kind="light", count=80, mode_s=1.0, arriving=0.0, leaving=0.0)]
    simulation = simulate(world(quiet(range_max_km=400.0), traffic=light, extent=400.0), 6)
    height = simulation.flights.height[simulation.plot_target, 0]
    horizon = np.sqrt(2 * 4 / 3 * 6.371e6) * (np.sqrt(50.0) + np.sqrt(height + 1_500.0))
    assert (simulation.plots.range < horizon).all()
    assert 0.05 < (simulation.covered[:, :301] == 0).mean() < 0.9
    seen = np.unique(simulation.plot_target)
    assert (simulation.covered[seen, :301].max(axis=1) > 0).all()
    assert np.isnan(simulation.scan[simulation.covered == 0]).all()
    assert (simulation.scan[simulation.covered > 0] == 8.0).all()


def test_a_target_without_transponder_is_seen_by_its_echo_alone():
    silent = [Traffic(kind="jet", count=20, arriving=0.0, leaving=0.0)]
    radars = (
        quiet("psr"),
        quiet("ssr", east_km=5.0),
        quiet("mode_s", east_km=9.0),
        quiet("radar", east_km=-5.0),
    )
    simulation = simulate(world(*radars, traffic=silent, extent=100.0), 7)
    assert set(simulation.plots.sensor.tolist()) == {0, 3}
    assert (simulation.plots.squawk == -1).all()
    assert simulation.covered.max() == 2


def test_each_kind_of_radar_reports_what_it_can_know():
    radars = (quiet("psr"), quiet("ssr", east_km=5.0), quiet("mode_s", east_km=9.0), quiet("radar_3d"))
    simulation = simulate(world(*radars, extent=100.0), 8)
    plots = simulation.plots
    echo, reply, selective, three = (plots.take(plots.sensor == row) for row in range(4))
    assert (echo.squawk == -1).all()
    assert (echo.address == -1).all()
    assert np.isnan(echo.elevation).all()
    assert (reply.squawk >= 0).all()
    assert (reply.address == -1).all()
    assert (selective.address == simulation.targets.address[simulation.plot_target[plots.sensor == 2]]).all()
    assert (selective.callsign != 0).all()
    assert not np.isnan(three.elevation).any()
    for codes, step in ((reply, 100.0 * FOOT), (selective, 25.0 * FOOT)):
        known = codes.altitude[~np.isnan(codes.altitude)]
        assert len(known) > 0.9 * len(codes)
        assert_allclose(known / step, np.round(known / step), atol=1e-6)


def test_pressure_altitude_differs_from_height_as_the_air_does():
    simulation = simulate(world(quiet(), height_minus_altitude_m=200.0), 8)
    rows, places = true_places(simulation)
    height = simulation.flights.height[simulation.plot_target[rows], 0]
    level = np.abs(simulation.flights.velocity_enu[simulation.plot_target[rows], :, 2]).max(axis=1) == 0.0
    difference = (height - simulation.plots.altitude[rows])[level]
    assert_allclose(np.nanmean(difference), 200.0, atol=10.0)
    assert len(places) == len(rows)


def test_two_aircraft_in_one_resolution_cell_give_one_garbled_plot():
    pair = [Traffic(kind="light", count=40, mode_ac=1.0, arriving=0.0, leaving=0.0)]
    coarse = {"resolution_range_m": 4_000.0, "resolution_azimuth_deg": 20.0, "range_max_km": 60.0}
    fine = RESOLVED | {"range_max_km": 60.0}
    melted = simulate(world(quiet("ssr", **coarse), traffic=pair, extent=40.0), 9)
    apart = simulate(world(quiet("ssr", **fine), traffic=pair, extent=40.0), 9)
    assert len(melted.plots) < 0.9 * len(apart.plots)
    garbled = (melted.plots.flags & PlotFlag.GARBLED) > 0
    assert garbled.any()
    assert np.isnan(melted.plots.altitude[garbled]).all()
    assert not (apart.plots.flags & PlotFlag.GARBLED).any()


def test_plots_arrive_in_order_when_their_sector_is_done():
    simulation = simulate(world(quiet(delay_s=0.3, rotation_period_s=8.0), quiet("psr", east_km=50.0)), 10)
    plots = simulation.plots
    assert (np.diff(plots.received) >= 0.0).all()
    delay = (plots.received - plots.time)[plots.sensor == 0]
    assert delay.min() >= 0.3 - 1e-6
    assert delay.max() < 0.3 + 8.1 / SECTORS + 0.03
    for group in np.unique(simulation.plot_group)[:50]:
        mine = plots.take(simulation.plot_group == group)
        assert len(np.unique(mine.received)) == len(np.unique(mine.sensor)) == 1


def test_antennas_mark_north_once_a_turn_and_every_sector():
    marks = simulate(world(quiet(rotation_period_s=6.0, rotation_jitter=0.002)), 11).marks
    north = marks.time[marks.sector == 0]
    assert_allclose(np.diff(north), 6.0, rtol=0.01)
    assert_allclose(np.diff(north), marks.period[marks.sector == 0][:-1], atol=1e-6)
    assert (np.diff(marks.sector) % SECTORS == 1).all()


def test_aircraft_keep_to_what_their_kind_can_do():
    traffic = [Traffic(kind=kind, count=40) for kind in KINDS]
    simulation = simulate(world(quiet(), traffic=traffic, extent=60.0, duration=200), 12)
    velocity = simulation.flights.velocity_enu[..., :2]
    speed = np.linalg.norm(velocity, axis=2)
    heading = np.unwrap(np.arctan2(velocity[..., 0], velocity[..., 1]), axis=1)
    rate = np.abs(np.diff(heading, axis=1))
    load = np.hypot(1.0, rate * speed[:, :-1] / STANDARD_GRAVITY)
    height = simulation.flights.height
    for number, kind in enumerate(KINDS):
        mine, limits = simulation.targets.kind == number, KINEMATICS[kind]
        assert speed[mine].max() <= limits.speed[1] + 1e-6
        if kind != "drone":
            assert speed[mine].min() >= limits.speed[0] - 1e-6
        assert height[mine].max() <= limits.height[1] + 1.0
        assert height[mine].min() >= limits.height[0] - 1.0
        moving = mine[:, None] & (speed[:, :-1] > 5.0)
        assert rate[moving].max() <= limits.turn_rate_max * 1.05
        # The speed may rise within a turn that was chosen for the speed at its start.
        assert load[moving].max() <= limits.load_factor[1] * 1.6
    drones = simulation.targets.kind == KINDS.index("drone")
    assert (speed[drones] == 0.0).mean() > 0.01
    jets = simulation.targets.kind == KINDS.index("jet")
    assert load[jets].max() > 4.0


def test_straight_flight_follows_a_great_circle_of_the_round_earth():
    simulation = simulate(world(quiet(), duration=120), 13)
    position = simulation.flights.position
    east, north = simulation.flights.velocity_enu[..., 0], simulation.flights.velocity_enu[..., 1]
    turning = np.abs(np.diff(np.unwrap(np.arctan2(east, north), axis=1), axis=1))
    climbing = np.abs(simulation.flights.velocity_enu[..., 2]).max(axis=1)
    straight = (turning.max(axis=1) < 1e-4) & (climbing == 0.0)
    assert straight.sum() >= 3
    for track in position[straight]:
        plane = np.cross(track[0], track[-1])
        plane /= np.linalg.norm(plane)
        assert np.abs(track @ plane).max() < 1.0


def test_positions_move_as_the_velocities_say():
    simulation = simulate(world(quiet(), traffic=[Traffic(kind="jet", count=30)], duration=60), 14)
    moved = simulation.flights.position[:, 2:] - simulation.flights.position[:, :-2]
    change = np.diff(simulation.flights.velocity, axis=1)
    steady = np.linalg.norm(change[:, 1:] - change[:, :-1], axis=2) < 0.5
    assert_allclose(moved[steady] / 2.0, simulation.flights.velocity[:, 1:-1][steady], atol=1.0)


def test_truth_has_a_row_for_each_target_and_second_of_its_life():
    traffic = [Traffic(kind="airliner", count=50, arriving=0.5, leaving=0.5)]
    simulation = simulate(world(quiet(), traffic=traffic, duration=100), 15)
    table = truth_table(simulation)
    targets = simulation.targets
    assert table.num_rows == int((targets.died - targets.born + 1).sum())
    assert targets.born.max() > 0.0
    assert targets.died.min() < 100.0
    time = table["time"].to_numpy()
    assert (np.diff(time) >= 0.0).all()
    assert (time == np.round(time)).all()
    places = naive.earth_centred(
        np.radians(table["latitude_deg"]), np.radians(table["longitude_deg"]), table["height"].to_numpy()
    )
    second = (time - simulation.start).astype(int)
    assert_allclose(places, simulation.flights.position[table["target"].to_numpy(), second], atol=1e-3)


def test_the_same_seed_gives_the_same_files_to_the_byte(tmp_path):
    scenario = world(quiet("radar", clutter_per_scan=20.0), quiet(east_km=40.0), duration=60)
    first = write_simulation(simulate(scenario, 1), tmp_path / "first")
    again = write_simulation(simulate(scenario, 1), tmp_path / "again")
    other = write_simulation(simulate(scenario, 2), tmp_path / "other")
    for name in ("truth.parquet", "plots.parquet", "asterix.pcap"):
        assert first[name].read_bytes() == again[name].read_bytes()
        assert first[name].read_bytes() != other[name].read_bytes()
    assert first["sensors.toml"].read_bytes() == other["sensors.toml"].read_bytes()


def test_another_clutter_leaves_the_flights_as_they_were():
    scenario = world(quiet("psr"), duration=60)
    busy = msgspec.structs.replace(scenario, radar=[quiet("psr", clutter_per_scan=50.0)])
    assert (simulate(scenario, 1).flights.position == simulate(busy, 1).flights.position).all()


@pytest.mark.parametrize("preset", ["small", "drones"])
def test_a_preset_is_the_kind_of_scenario_that_it_says(preset):
    from skypact.simulation.scenario import read_scenario

    scenario = read_scenario(preset)
    simulation = simulate(msgspec.structs.replace(scenario, duration_s=60), 1)
    rate = len(simulation.plots) / 60.0
    low, high = {"small": (3.0, 7.0), "drones": (330.0, 500.0)}[preset]
    assert low < rate < high


def test_targets_fly_on_in_the_next_stretch_as_in_one_long_run():
    parts = World(world(quiet(), duration=60), 7)
    first, second = parts.play(), parts.play()
    whole = simulate(world(quiet(), duration=120), 7)
    assert second.start == first.start + 60.0
    for name in ("position", "velocity", "height"):
        long = getattr(whole.flights, name)
        assert getattr(first.flights, name).tobytes() == long[:, :62].tobytes()
        assert getattr(second.flights, name).tobytes() == long[:, 60:].tobytes()
    assert (second.targets.address == first.targets.address).all()


def test_antennas_turn_on_and_see_no_target_twice_at_the_change_of_stretches():
    radar = quiet(rotation_period_s=4.0, rotation_jitter=0.01, detection_probability=0.999)
    parts = World(world(radar, duration=30), 7)
    first, second, third = parts.play(), parts.play(), parts.play()
    stretches = (first, second, third)
    north = np.concatenate([part.marks.time[part.marks.sector == 0] for part in stretches])
    assert_allclose(np.diff(north), 4.0, rtol=0.05)
    time = np.concatenate([part.plots.time for part in stretches])
    target = np.concatenate([part.plot_target for part in stretches])
    assert not np.array_equal(first.plots.range[:5], second.plots.range[:5])
    seen = 0
    for one in np.unique(target):
        between = np.diff(np.sort(time[target == one]))
        assert (between > 3.0).all()
        seen += int((between < 5.0).sum())
    assert seen > 0.95 * (len(time) - 60)


def test_who_had_left_comes_back_in_the_next_stretch():
    traffic = [Traffic(kind="airliner", count=200, mode_s=1.0, arriving=0.5, leaving=0.5)]
    parts = World(world(quiet(), traffic=traffic, duration=40), 3)
    before = parts.play().targets
    for _ in range(3):
        after = parts.play().targets
        was_there = before.died >= 40.0
        assert (after.born[was_there] == 0.0).all()
        assert (after.born[~was_there] > 0.0).mean() > 0.8
        assert ((after.born <= after.died) & (after.died <= 40.0)).all()
        assert 0.3 < (after.died < 40.0).mean() < 0.7
        before = after
