from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skypact.core.geodesy import enu_from_geodetic, enu_rotation
from skypact.plots.batches import batch_starts
from skypact.plots.model import COLUMNS, Outcome, PlotBatch, PlotFlag, join_plots, make_plots
from skypact.sensors.model import ReferencePoint, Sensor, SensorTable, make_sensor_table
from skypact.tracks.identifiers import make_uids
from skypact.tracks.model import PICTURE_COLUMNS, Identity, OutcomeReason, TargetKind
from skypact.tracks.settings import TrackerSettings
from skypact.tracks.tracker import Tracker

START = 1_700_000_000.0
DEGREE_OF_LATITUDE = 111_200.0  # m


def radars(count=1, period=4.0, **more):
    """Radars in a row from west to east, 40 km apart, over open sea."""
    sensors = [
        Sensor(
            name=f"R{n}",
            kind="radar",
            latitude_deg=45.0,
            longitude_deg=-35.0 + 0.5 * (n % 10),
            height_m=30.0,
            rotation_period_s=period,
            range_max_km=250.0,
            clutter_per_scan=5.0,
            **more,
        )
        for n in range(count)
    ]
    return make_sensor_table(sensors, ReferencePoint(latitude_deg=45.0, longitude_deg=-35.0))


def look_at(table: SensorTable, sensor: int, latitude, longitude, height, time, rng, **columns) -> PlotBatch:
    """One plot of each place (degrees, m), with the noise that the sensor table tells."""
    reference = tuple(table.reference)
    count = len(latitude)
    place = enu_from_geodetic(np.radians(latitude), np.radians(longitude), height, reference)
    where = table.latitude[sensor : sensor + 1], table.longitude[sensor : sensor + 1]
    site = enu_from_geodetic(*where, table.height[sensor : sensor + 1], reference)
    axes = enu_rotation(where[0][0], where[1][0]) @ enu_rotation(*reference[:2]).T
    east, north, up = ((place - site) @ axes.T).T
    sigma_range, sigma_azimuth = table.sigma_range[sensor], table.sigma_azimuth[sensor]
    given = {
        "sensor": sensor,
        "time": time,
        "received": np.max(time) + 0.1,
        "range": np.sqrt(east**2 + north**2 + up**2) + sigma_range * rng.standard_normal(count),
        "azimuth": (np.arctan2(east, north) + sigma_azimuth * rng.standard_normal(count)) % (2 * np.pi),
        "altitude": np.round(height / 30.48) * 30.48,
        "sigma_range": sigma_range,
        "sigma_azimuth": sigma_azimuth,
        "sigma_altitude": 10.0,
    }
    return make_plots(count, **(given | columns))


def flights(table: SensorTable, seconds=120, targets=6, seed=1, end=None, clutter=0, **columns) -> PlotBatch:
    """Straight flights of `targets` aircraft 20 km apart, seen by all sensors, each once a period."""
    rng = np.random.default_rng(seed)
    batches = []
    for sensor in range(len(table)):
        period = table.rotation_period[sensor]
        for turn in range(int(seconds / period)):
            after = turn * period + 0.31 * sensor
            if end is not None and after > end:
                continue
            latitude, longitude = places(after, targets)
            batches.append(
                look_at(table, sensor, latitude, longitude, heights(targets), START + after, rng, **columns)
            )
    if clutter:
        batches.append(false_plots(table, seconds, clutter, rng))
    plots = join_plots(batches)
    return plots.take(np.argsort(plots.received, kind="stable"))


def false_plots(table, seconds, per_look, rng):
    batches = []
    for sensor in range(len(table)):
        count = int(per_look * seconds / table.rotation_period[sensor])
        time = START + rng.uniform(0.0, seconds, count)
        batches.append(
            make_plots(
                count,
                sensor=sensor,
                time=time,
                received=time + 0.1,
                range=250e3 * np.sqrt(rng.random(count)),
                azimuth=rng.uniform(0.0, 2 * np.pi, count),
                altitude=rng.uniform(0.0, 12e3, count),
                sigma_range=70.0,
                sigma_azimuth=0.0014,
                sigma_altitude=10.0,
            )
        )
    return join_plots(batches)


def places(after, targets):
    latitude = 45.3 + 0.18 * np.arange(targets) + 150.0 * after / DEGREE_OF_LATITUDE
    longitude = -35.5 + 0.2 * np.arange(targets) % 1.0 + 150.0 * after / DEGREE_OF_LATITUDE
    return latitude, longitude


def heights(targets):
    return 4_000.0 + 900.0 * np.arange(targets)


def track(tracker: Tracker, plots: PlotBatch) -> None:
    starts = batch_starts(plots.received)
    for start, end in zip(starts, np.append(starts, len(plots))[1:], strict=True):
        tracker.process(plots.take(slice(start, end)))


def errors(picture, time, targets):
    """(targets,) distance to the nearest track, m."""
    latitude, longitude = places(time - START, targets)
    north = (np.degrees(picture.latitude)[None] - latitude[:, None]) * DEGREE_OF_LATITUDE
    east = (np.degrees(picture.longitude)[None] - longitude[:, None]) * DEGREE_OF_LATITUDE * 0.707
    return np.hypot(north, east).min(axis=1)


@pytest.mark.parametrize("count", [1, 3])
def test_every_aircraft_gets_one_track_near_it(count):
    table = radars(count)
    tracker = Tracker(table)
    track(tracker, flights(table))
    picture = tracker.picture(START + 121.0)
    assert len(picture) == 6
    assert (errors(picture, START + 121.0, 6) < 500.0).all()
    assert np.abs(np.sort(picture.height) - heights(6)).max() < 100.0
    assert np.abs(np.hypot(*picture.velocity[:, :2].T) - 184.0).max() < 30.0
    assert_array_equal(picture.number, np.sort(picture.number))
    assert (picture.sensors == 2**count - 1).all()


def test_clutter_starts_no_tracks():
    table = radars(3)
    tracker = Tracker(table)
    track(tracker, flights(table, clutter=50))
    picture = tracker.picture(START + 121.0)
    assert 6 <= len(picture) <= 7
    assert (errors(picture, START + 121.0, 6) < 600.0).all()


def test_a_track_whose_target_is_gone_coasts_then_hides_then_ends():
    table = radars(3)
    tracker = Tracker(table)
    gone, alive = flights(table, targets=1, end=60.0), flights(table, targets=6)
    far = alive.take(np.isin(np.round(alive.altitude / 30.48), np.round(heights(6)[3:] / 30.48)))
    plots = join_plots([gone, far])
    plots = plots.take(np.argsort(plots.received, kind="stable"))
    early = plots.received < START + 62.0
    track(tracker, plots.take(early))
    before = tracker.picture(START + 62.0)
    track(tracker, plots.take(~early))
    after = tracker.picture(START + 120.0)
    assert errors(before, START + 62.0, 1) < 500.0
    assert len(before) == 4 and len(after) == 3
    assert tracker.tracks_alive == 3


def test_the_same_plots_give_the_same_picture_to_the_bit():
    table = radars(3)
    plots = flights(table, clutter=30)
    pictures = []
    for _ in range(2):
        tracker = Tracker(table)
        track(tracker, plots)
        pictures.append(tracker.picture(START + 121.0))
    for name in PICTURE_COLUMNS:
        assert getattr(pictures[0], name).tobytes() == getattr(pictures[1], name).tobytes()


def test_a_picture_changes_nothing():
    table = radars(2)
    plots = flights(table)
    quiet, asked = Tracker(table), Tracker(table)
    starts = batch_starts(plots.received)
    for start, end in zip(starts, np.append(starts, len(plots))[1:], strict=True):
        quiet.process(plots.take(slice(start, end)))
        asked.process(plots.take(slice(start, end)))
        asked.picture(plots.received[end - 1])
    assert_array_equal(quiet.picture(START + 130.0).position, asked.picture(START + 130.0).position)


def test_every_plot_has_at_most_one_outcome_and_updates_name_a_track_that_was_shown():
    table = radars(2)
    plots = flights(table, clutter=30)
    tracker = Tracker(table)
    settled, uids = [], set()
    starts = batch_starts(plots.received)
    for start, end in zip(starts, np.append(starts, len(plots))[1:], strict=True):
        tracker.process(plots.take(slice(start, end)))
        settled.append(tracker.take_outcomes())
        uids.update(u.tobytes() for u in tracker.picture(plots.received[end - 1]).uid)
    index = np.concatenate([outcomes.plot for outcomes in settled])
    assert len(np.unique(index)) == len(index)
    assert index.min() >= 0 and index.max() < len(plots) == tracker.plots_processed
    assert len(index) > 0.9 * len(plots)
    fed = [
        uid.tobytes()
        for outcomes in settled
        for uid, outcome in zip(outcomes.uid, outcomes.outcome, strict=True)
        if outcome in (Outcome.UPDATED, Outcome.STARTED)
    ]
    assert len(fed) > 300 and set(fed) <= uids
    clutter = np.concatenate([o.plot[o.outcome == Outcome.CLUTTER] for o in settled])
    false = np.flatnonzero(~np.isin(plots.altitude, np.round(heights(6) / 30.48) * 30.48))
    assert len(np.intersect1d(clutter, false)) > 0.9 * len(clutter)


def test_an_empty_batch_is_nothing():
    tracker = Tracker(radars())
    tracker.process(make_plots(0))
    assert tracker.plots_processed == 0
    assert len(tracker.picture(START)) == 0
    assert len(tracker.take_outcomes().plot) == 0


@pytest.mark.parametrize(
    ("columns", "outcome", "reason"),
    [
        ({"sensor": 9}, Outcome.MALFORMED, OutcomeReason.UNKNOWN_SENSOR),
        ({"sensor": -1}, Outcome.MALFORMED, OutcomeReason.UNKNOWN_SENSOR),
        ({"time": np.nan}, Outcome.MALFORMED, OutcomeReason.NO_TIME),
        ({"time": np.inf}, Outcome.MALFORMED, OutcomeReason.NO_TIME),
        ({"time": START + 1e6}, Outcome.MALFORMED, OutcomeReason.TIME_AHEAD),
        ({"range": np.nan, "azimuth": np.nan}, Outcome.MALFORMED, OutcomeReason.NO_POSITION),
        ({"range": 1e7}, Outcome.MALFORMED, OutcomeReason.OUT_OF_RANGE),
        ({"range": -5.0}, Outcome.MALFORMED, OutcomeReason.OUT_OF_RANGE),
        ({"range": np.inf}, Outcome.MALFORMED, OutcomeReason.OUT_OF_RANGE),
        ({"azimuth": np.inf}, Outcome.MALFORMED, OutcomeReason.OUT_OF_RANGE),
        ({"altitude": 1e9}, Outcome.MALFORMED, OutcomeReason.OUT_OF_RANGE),
        ({"elevation": 4.0}, Outcome.MALFORMED, OutcomeReason.OUT_OF_RANGE),
        ({"flags": int(PlotFlag.TEST)}, Outcome.FILTERED, OutcomeReason.TEST_TARGET),
        ({"altitude": np.nan, "range": 3e3}, Outcome.CLUTTER, OutcomeReason.HEIGHT_NEEDED),
        ({"time": START - 100.0}, Outcome.LATE, OutcomeReason.OLDER_THAN_SENSOR),
    ],
)
def test_a_plot_of_no_use_is_refused_with_its_reason_and_harms_nothing(columns, outcome, reason):
    table = radars()
    good = flights(table)
    tracker, alone = Tracker(table), Tracker(table)
    track(alone, good)
    half = len(good) // 2
    track(tracker, good.take(slice(0, half)))
    tracker.take_outcomes()
    bad = good.take(slice(half - 1, half))
    bad = replace(bad, **{name: np.full_like(getattr(bad, name), value) for name, value in columns.items()})
    tracker.process(bad)
    outcomes = tracker.take_outcomes()
    row = np.flatnonzero(outcomes.plot == half)
    assert [Outcome(o) for o in outcomes.outcome[row]] == [outcome]
    assert [OutcomeReason(r) for r in outcomes.reason[row]] == [reason]
    track(tracker, good.take(slice(half, len(good))))
    assert_array_equal(tracker.picture(START + 121.0).position, alone.picture(START + 121.0).position)


@pytest.mark.counts("runs of the tracker with more garbage than plots", sample=10, soak=300)
def test_random_garbage_neither_crashes_nor_loses_a_plot_nor_breaks_good_tracks(count):
    broken = sum(broken_by_garbage(np.random.default_rng([11, seed])) for seed in range(count))
    assert broken == 0


def broken_by_garbage(rng):
    """How many of six tracks are lost or wrong after garbage came between their plots."""
    table = radars(2)
    good = flights(table)
    junk = good.take(rng.integers(0, len(good), 400))
    columns = {name: getattr(junk, name).copy() for name in COLUMNS}
    for name in COLUMNS:
        if name not in ("received", "sensor", "squawk", "address", "callsign", "flags"):
            rows = rng.random(len(junk)) < 0.3
            columns[name][rows] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -1e300, 1e300], rows.sum())
    plots = join_plots([good, PlotBatch(**columns)])
    plots = plots.take(np.argsort(plots.received, kind="stable"))
    tracker = Tracker(table)
    track(tracker, plots)
    picture = tracker.picture(START + 121.0)
    assert np.isfinite(picture.position).all() and np.isfinite(picture.covariance).all()
    outcomes = tracker.take_outcomes()
    assert len(np.unique(outcomes.plot)) == len(outcomes.plot)
    return int((errors(picture, START + 121.0, 6) > 1_500.0).sum())


def test_a_plot_that_comes_twice_leaves_each_target_with_one_track():
    table = radars(2)
    good = flights(table)
    for repeated in range(24):  # of each target's first two looks of either sensor
        plots = join_plots([good, good.take(np.array([repeated]))])
        tracker = Tracker(table)
        track(tracker, plots.take(np.argsort(plots.received, kind="stable")))
        picture = tracker.picture(START + 121.0)
        assert len(picture) == tracker.tracks_alive == 6
        assert (errors(picture, START + 121.0, 6) < 500.0).all()


def test_after_radars_that_sent_everything_twice_each_target_has_one_track_again():
    table = radars(2)
    good = flights(table)
    is_doubled = (good.time >= START + 8.0) & (good.time < START + 40.0)
    plots = join_plots([good, good.take(is_doubled)])
    tracker = Tracker(table)
    track(tracker, plots.take(np.argsort(plots.received, kind="stable")))
    picture = tracker.picture(START + 121.0)
    assert len(picture) == 6
    assert (errors(picture, START + 121.0, 6) < 500.0).all()


@pytest.mark.parametrize("apart", [1_000.0, 2_000.0])
def test_two_aircraft_side_by_side_are_two_tracks(apart):
    table = radars(2)
    rng = np.random.default_rng(4)
    east = np.array([0.0, apart]) / (DEGREE_OF_LATITUDE * np.cos(np.radians(45.5)))
    batches = []
    for turn in range(15):
        for sensor in range(2):
            after = 4.0 * turn + 0.31 * sensor
            latitude = np.full(2, 45.3 + 180.0 * after / DEGREE_OF_LATITUDE)
            batches.append(
                look_at(table, sensor, latitude, -35.0 + east, np.full(2, 8e3), START + after, rng)
            )
    tracker = Tracker(table)
    track(tracker, join_plots(batches))
    picture = tracker.picture(START + 60.0)
    assert len(picture) == 2
    assert np.abs(np.diff(np.sort(picture.position[:, 0])) - apart) < 300.0


def test_seventy_sensors_each_have_their_bit():
    table = radars(70, period=10.0)
    tracker = Tracker(table)
    track(tracker, flights(table, seconds=30, targets=2))
    picture = tracker.picture(START + 40.0)
    assert picture.sensors.shape == (2, 2)
    assert (picture.sensors[:, 0] == 2**64 - 1).all() and (picture.sensors[:, 1] == 2**6 - 1).all()


def test_more_targets_than_there_is_room_for_are_counted():
    table = radars()
    tracker = Tracker(table, TrackerSettings(slots_initial=4, slots_limit=4))
    track(tracker, flights(table, targets=8))
    assert len(tracker.picture(START + 121.0)) == 4
    assert tracker.overflows["tracks"] > 0


def test_room_grows_with_the_targets():
    table = radars()
    tracker = Tracker(table, TrackerSettings(slots_initial=2))
    track(tracker, flights(table, targets=8))
    assert len(tracker.picture(START + 121.0)) == 8
    assert sum(tracker.overflows.values()) == 0


def test_a_plot_two_seconds_late_still_updates_its_track():
    table = radars(2)
    plots = flights(table)
    delayed = replace(plots, received=np.where(plots.sensor == 1, plots.received + 2.0, plots.received))
    delayed = delayed.take(np.argsort(delayed.received, kind="stable"))
    tracker = Tracker(table)
    track(tracker, delayed)
    picture = tracker.picture(START + 122.0)
    assert len(picture) == 6
    assert (errors(picture, START + 122.0, 6) < 500.0).all()
    assert (picture.sensors == 3).all()


def test_ready_positions_are_plots_too():
    table = make_sensor_table(
        [Sensor(name="ADSB", kind="adsb")], ReferencePoint(latitude_deg=45.0, longitude_deg=-35.0)
    )
    batches = []
    for second in range(30):
        latitude, longitude = places(second, 3)
        time = START + second
        batches.append(
            make_plots(
                3,
                sensor=0,
                time=time,
                received=time + 0.2,
                latitude=np.radians(latitude),
                longitude=np.radians(longitude),
                height=heights(3),
                sigma_position=20.0,
                sigma_altitude=15.0,
                address=[0xF00001, 0xF00002, 0xF00003],
            )
        )
    tracker = Tracker(table)
    track(tracker, join_plots(batches))
    picture = tracker.picture(START + 30.0)
    assert len(picture) == 3
    assert (errors(picture, START + 30.0, 3) < 60.0).all()
    assert sorted(picture.address.tolist()) == [0xF00001, 0xF00002, 0xF00003]


def test_two_aircraft_with_the_same_address_are_two_tracks():
    table = radars(2)
    tracker = Tracker(table)
    track(tracker, flights(table, targets=2, address=0xF00001, squawk=0o1234))
    picture = tracker.picture(START + 121.0)
    assert len(picture) == 2
    assert (errors(picture, START + 121.0, 2) < 500.0).all()
    assert picture.address.tolist() == [0xF00001] * 2 and picture.squawk.tolist() == [0o1234] * 2


def test_plots_without_height_are_tracked_from_two_slant_ranges():
    table = radars(3)
    tracker = Tracker(table)
    track(tracker, flights(table, altitude=np.nan))
    picture = tracker.picture(START + 121.0)
    assert len(picture) == 6
    assert (errors(picture, START + 121.0, 6) < 1_500.0).all()
    assert np.isnan(picture.altitude).all()


def test_identifiers_differ_between_serials_and_between_centres():
    serials = np.arange(5_000)
    uids = np.concatenate([make_uids(serials, seed) for seed in (1, 2)])
    assert len(np.unique(uids, axis=0)) == 10_000
    assert_array_equal(make_uids(np.array([-1]), 1), np.zeros((1, 2), np.uint64))


def simulated(plots: PlotBatch, shift: float = 0.0) -> PlotBatch:
    """The plots as an exercise injects them, `shift` s by their radar's clock from the live ones."""
    flags = plots.flags | np.uint16(PlotFlag.SIMULATED)
    return replace(plots, flags=flags, time=plots.time + shift, received=plots.received + 0.02)


def in_order(batches: list[PlotBatch]) -> PlotBatch:
    plots = join_plots(batches)
    return plots.take(np.argsort(plots.received, kind="stable"))


def one_kind(picture, is_simulated: bool) -> list[list]:
    """What a picture says of the tracks of one kind, but for their numbers and identifiers."""
    rows = picture.is_simulated == is_simulated
    named = {"number", "joint_number", "uid"}
    columns = [getattr(picture, name)[rows] for name in PICTURE_COLUMNS if name not in named]
    order = np.argsort(picture.latitude[rows], kind="stable")
    return [np.nan_to_num(column[order], nan=-1e9).tolist() for column in columns]


def test_a_simulated_plot_never_feeds_a_live_track_nor_a_live_plot_a_simulated_one():
    table = radars(2)
    plots = flights(table)
    is_early = plots.received < START + 60.0
    tracker = Tracker(table)
    track(tracker, simulated(plots.take(is_early)))
    early = tracker.picture(START + 60.0)
    assert early.is_simulated.tolist() == [True] * 6
    track(tracker, plots.take(~is_early))
    late = tracker.picture(START + 121.0)
    is_early_track = np.isin(late.number, early.number)
    assert late.is_simulated.tolist() == is_early_track.tolist()
    assert (~late.is_simulated).sum() == 6
    assert (late.updated[is_early_track] <= START + 60.0).all()


@pytest.mark.parametrize("ahead", [0.0, 0.5, 40.0])
def test_injects_along_live_aircraft_change_no_bit_of_the_live_tracks(ahead):
    table = radars(2)
    live = flights(table, clutter=6, seed=3)
    injected = in_order([flights(table, seed=4), false_plots(table, 120, 6, np.random.default_rng(5))])
    alone, mixed = Tracker(table), Tracker(table)
    track(alone, live)
    # The batches are those of the live plots, so that injects have no part in how they are cut.
    starts = batch_starts(live.received)
    ends = np.append(starts, len(live))[1:]
    injects = simulated(injected, ahead)
    until = 0
    for start, end in zip(starts, ends, strict=True):
        due = int(np.searchsorted(injects.received, live.received[end - 1], side="right"))
        mixed.process(join_plots([injects.take(slice(until, due)), live.take(slice(start, end))]))
        until = due
    expected, picture = alone.picture(START + 121.0), mixed.picture(START + 121.0)
    assert one_kind(picture, False) == one_kind(expected, False)
    assert len(expected) >= 6
    assert picture.is_simulated.sum() >= 6


def test_an_inject_exactly_on_a_live_aircraft_is_a_track_of_its_own():
    table = radars(2)
    live = flights(table, squawk=0o1234, address=0x400001)
    tracker = Tracker(table)
    track(tracker, in_order([live, simulated(live)]))
    picture = tracker.picture(START + 121.0)
    assert picture.is_simulated.sum() == 6
    assert len(picture) == 12
    assert len(set(picture.number.tolist())) == 12
    outcomes = tracker.take_outcomes()
    fed = np.isin(outcomes.outcome, [Outcome.UPDATED, Outcome.STARTED])
    flags = in_order([live, simulated(live)]).is_simulated
    is_of_simulated = {
        number: bool(of) for number, of in zip(picture.number, picture.is_simulated, strict=True)
    }
    for plot, number in zip(outcomes.plot[fed], outcomes.number[fed], strict=True):
        assert is_of_simulated[int(number)] == flags[plot]


def test_injects_that_end_coast_and_go_while_the_radars_turn_on():
    table = radars(2)
    live = flights(table, seconds=240)
    tracker = Tracker(table)
    track(tracker, in_order([live, simulated(flights(table, seconds=60, seed=4))]))
    assert tracker.picture(START + 241.0).is_simulated.sum() == 0
    assert len(tracker.picture(START + 241.0)) == 6


def test_simulated_tracks_that_a_sensor_fed_end_at_once_and_no_others():
    table = radars(2)
    live = flights(table)
    injects = simulated(flights(table, seed=4))
    tracker = Tracker(table)
    track(tracker, in_order([live, injects.take(injects.sensor == 1)]))
    assert len(tracker.picture(START + 121.0)) == 12
    tracker.end_simulated(np.array([0], np.int32))
    assert len(tracker.picture(START + 121.0)) == 12
    tracker.end_simulated(np.array([1], np.int32))
    after = tracker.picture(START + 121.0)
    assert len(after) == 6
    assert not after.is_simulated.any()
    later = flights(table, seconds=140)
    track(tracker, later.take(later.received > START + 121.0))
    assert tracker.tracks_alive == 6


@pytest.mark.parametrize("silence", [8.0, 12.0, 24.0])
def test_tracks_outlive_a_silence_of_the_radars_that_see_them(silence):
    table = radars(3)
    begin, end = START + 60.0, START + 60.0 + silence
    seen = flights(table, 160)
    # The third radar sees none of them, and goes on; the others come back one after the other.
    plots = join_plots([seen.take(seen.sensor != 2), false_plots(table, 160, 20, np.random.default_rng(4))])
    is_away = (plots.sensor != 2) & (plots.time > begin) & (plots.time < end + 1.5 * (plots.sensor == 1))
    plots = plots.take(~is_away)
    plots = plots.take(np.argsort(plots.received, kind="stable"))
    tracker = Tracker(table)
    track(tracker, plots.take(plots.received < begin))
    before = tracker.picture(begin)
    track(tracker, plots.take((plots.received >= begin) & (plots.received < end + 10.0)))
    after = tracker.picture(end + 10.0)
    assert len(before) == 6
    assert_array_equal(after.uid, before.uid)
    assert not after.is_coasting.any()


def test_nobody_has_said_yet_who_and_what_a_track_is():
    table = radars()
    tracker = Tracker(table)
    track(tracker, flights(table))
    picture = tracker.picture(START + 121.0)
    assert picture.identity.tolist() == [Identity.PENDING] * 6
    assert picture.kind.tolist() == [TargetKind.UNKNOWN] * 6


def test_a_picture_tells_when_its_pressure_altitudes_were_detected():
    table = radars()
    plots = flights(table)
    silent = plots.time > START + 60.0
    tracker, without = Tracker(table), Tracker(table)
    track(tracker, replace(plots, altitude=np.where(silent, np.nan, plots.altitude)))
    track(without, replace(plots, altitude=np.full(len(plots), np.nan)))
    picture = tracker.picture(START + 121.0)
    assert picture.altitude_time.tolist() == [START + 60.0] * 6
    assert (picture.updated > START + 110.0).all()
    assert np.isnan(without.picture(START + 121.0).altitude_time).all()


@pytest.mark.parametrize(("turn_deg", "most_probable"), [(0.0, 0), (3.0, 1), (-3.0, 2)])
def test_a_picture_tells_how_its_targets_move(turn_deg, most_probable):
    table = radars(2)
    rng = np.random.default_rng(3)
    rate, speed = np.radians(turn_deg), 180.0
    batches = []
    for turn in range(20):
        for sensor in range(2):
            after = turn * 4.0 + 2.0 * sensor
            turned = rate * max(after - 40.0, 0.0)  # straight for 40 s, then the turn
            straight = speed * min(after, 40.0)
            north, east = straight + speed * max(after - 40.0, 0.0), 0.0
            if rate:
                north = straight + speed / rate * np.sin(turned)
                east = speed / rate * (1.0 - np.cos(turned))
            latitude = np.array([46.0 + north / DEGREE_OF_LATITUDE])
            longitude = np.array([-35.0 + east / (DEGREE_OF_LATITUDE * np.cos(np.radians(46.0)))])
            batches.append(look_at(table, sensor, latitude, longitude, np.array([8e3]), START + after, rng))
    tracker = Tracker(table)
    track(tracker, join_plots(batches))
    picture = tracker.picture(START + 80.0)
    assert len(picture) == 1
    assert picture.movement[0].argmax() == most_probable
    assert picture.movement[0].max() > 0.6
    assert picture.movement[0].sum() <= 1.0 + 1e-9


def test_sensors_that_join_later_feed_the_tracks_that_are_there():
    table = radars(3, period=10.0)
    first = SensorTable(table.sensors[:2], table.reference)
    plots = flights(table, seconds=60, targets=3)
    early = (plots.received < START + 30.0) & (plots.sensor < 2)
    tracker = Tracker(first)
    track(tracker, plots.take(early))
    before = tracker.picture(START + 31.0)
    tracker.add_sensors(table)
    assert tracker.picture(START + 31.0).position.tobytes() == before.position.tobytes()
    track(tracker, plots.take(plots.received >= START + 30.0))
    after = tracker.picture(START + 61.0)
    assert (after.uid == before.uid).all()
    assert (after.sensors[:, 0] == 0b111).all()
    whole = Tracker(table)
    track(whole, plots)
    assert_allclose(after.position, whole.picture(START + 61.0).position, atol=60.0)


def garble(plots: PlotBatch, rows, **columns) -> PlotBatch:
    """The plots with those at `rows` flagged as garbled, and with other values in some columns."""
    changed = {name: getattr(plots, name).copy() for name in ("flags", *columns)}
    changed["flags"][rows] |= np.uint16(PlotFlag.GARBLED)
    for name, values in columns.items():
        changed[name][rows] = values
    return replace(plots, **changed)


def test_a_garbled_code_neither_changes_a_tracks_nor_keeps_its_plot_away():
    table = radars(2)
    plots = flights(table, squawk=0o1234)
    late = np.flatnonzero(plots.received > START + 60.0)
    garbled = garble(plots, late, squawk=0o7777)
    tracker, wronged = Tracker(table), Tracker(table)
    track(tracker, garbled)
    picture = tracker.picture(START + 121.0)
    assert picture.squawk.tolist() == [0o1234] * 6
    assert (picture.updated > START + 110.0).all()
    track(wronged, replace(garbled, flags=plots.flags))
    assert 0o7777 in wronged.picture(START + 121.0).squawk.tolist()


def test_a_garbled_code_is_taken_by_a_track_without_one_when_it_comes_again():
    table = radars()
    plots = flights(table)
    once, twice = np.flatnonzero(plots.time == START + 60.0), np.flatnonzero(plots.time == START + 64.0)
    codes = []
    for rows in (once, np.concatenate([once, twice])):
        tracker = Tracker(table)
        track(tracker, garble(plots, rows, squawk=0o4321))
        codes.append(tracker.picture(START + 121.0).squawk.tolist())
    assert codes == [[-1] * 6, [0o4321] * 6]


def test_a_garbled_altitude_is_not_shown_and_hardly_moves_a_track():
    table = radars(2)
    plots = flights(table)
    is_hit = np.random.default_rng(2).random(len(plots)) < 0.3
    rows = np.flatnonzero(is_hit & (plots.received > START + 60.0) & (plots.received < START + 115.0))
    tracker, trusting = Tracker(table), Tracker(table)
    garbled = garble(plots, rows, altitude=plots.altitude[rows] + 150.0)
    track(tracker, garbled)
    track(trusting, replace(garbled, flags=plots.flags))
    picture = tracker.picture(START + 121.0)
    right = np.round(heights(6) / 30.48) * 30.48
    assert np.abs(np.sort(picture.altitude) - right).max() < 0.1
    assert np.abs(np.sort(picture.height) - right).max() < 40.0
    assert np.abs(np.sort(trusting.picture(START + 121.0).height) - right).max() > 40.0
