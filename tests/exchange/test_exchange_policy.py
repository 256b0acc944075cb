import math
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_reports import SENSORS, made_plots, made_report, made_table

from skypact.core.areas import Box, Polygon, Strip
from skypact.core.errors import BadInputError
from skypact.core.units import DEGREE
from skypact.exchange import wire
from skypact.exchange.model import REPORT_COLUMNS, Rung
from skypact.exchange.policy import (
    CoarsenConfig,
    PlotRuleConfig,
    PolicyConfig,
    PolicyTestConfig,
    ReleasePolicy,
    Rule,
    TrackRuleConfig,
    parse_policy,
    plot_rules,
    read_policy,
    release_health,
    release_plots,
    release_sensors,
    release_tracks,
    releases_record,
    track_rules,
)
from skypact.plots.model import PlotFlag, make_plots
from skypact.sensors.model import SensorHealth, SensorState
from skypact.tracks.model import Identity, TargetKind

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "release-policy.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
NOW = 1e9
TRACK_EMPTY = {"squawk": -1, "address": -1, "callsign": 0, "identity": 0, "kind": 0, "sensors": 0}
PLOT_EMPTY = {"squawk": -1, "address": -1, "callsign": 0}
GEODESIC = pyproj.Geod(ellps="WGS84")

AREAS = st.sampled_from(
    [
        None,
        Box(54.5 * DEGREE, 4.0 * DEGREE, 55.6 * DEGREE, 6.5 * DEGREE),
        Polygon((54.0 * DEGREE, 56.0 * DEGREE, 55.0 * DEGREE), (4.0 * DEGREE, 4.5 * DEGREE, 7.0 * DEGREE)),
        Strip((54.0 * DEGREE, 56.0 * DEGREE), (4.5 * DEGREE, 5.5 * DEGREE), 30_000.0),
    ]
)


def rules(fields: list[str]) -> st.SearchStrategy[Rule]:
    band = st.sampled_from([(-math.inf, math.inf), (3000.0, math.inf), (-math.inf, 9000.0), (2000.0, 8000.0)])
    steps = st.sampled_from([0.0, 0.0, 25.0, 500.0])
    return st.builds(
        lambda band, **rest: Rule(floor=band[0], ceiling=band[1], **rest),
        band,
        name=st.just("rule"),
        sensors=st.sampled_from([None, ("west",), ("coast-*", "east"), ("*",), ("nobody",)]),
        area=AREAS,
        identities=st.none() | st.frozensets(st.integers(0, 6)),
        kinds=st.none() | st.frozensets(st.integers(0, 7)),
        withheld=st.frozensets(st.sampled_from(fields)),
        position_step=steps,
        velocity_step=steps,
        height_step=steps,
        delay=st.sampled_from([0.0, 5.0, 60.0]),
    )


def policies(kind: str) -> st.SearchStrategy[ReleasePolicy]:
    config = TrackRuleConfig if kind == "tracks" else PlotRuleConfig
    hint = msgspec.inspect.type_info(config)
    fields = next(f for f in hint.fields if f.name == "withhold").type.item_type.values
    lists = st.lists(rules(list(fields)), max_size=4).map(tuple)
    chosen = {"tracks": st.just(()), "plots": st.just(()), kind: lists}
    return st.builds(
        ReleasePolicy,
        text=st.just(""),
        label=st.just(""),
        journal=st.just(()),
        rung=st.sampled_from(Rung),
        exercise=st.sampled_from(["", "EAST-1"]),
        **chosen,
    )


# The slow, obvious twin


def in_area(area, latitude: float, longitude: float) -> bool:
    if area is None:
        return True
    if math.isnan(latitude):
        return False
    if isinstance(area, Box):
        return area.south <= latitude <= area.north and area.west <= longitude <= area.east
    if isinstance(area, Polygon):
        turns = 0.0
        for n in range(len(area.latitude)):
            a = math.atan2(area.latitude[n - 1] - latitude, area.longitude[n - 1] - longitude)
            b = math.atan2(area.latitude[n] - latitude, area.longitude[n] - longitude)
            turns += (b - a + math.pi) % (2 * math.pi) - math.pi
        return abs(turns) > math.pi
    shares = np.linspace(0.0, 1.0, 1000)
    on_line = [np.degrees(np.interp(shares, [0.0, 1.0], line)) for line in (area.longitude, area.latitude)]
    here = [np.full(1000, math.degrees(value)) for value in (longitude, latitude)]
    return GEODESIC.inv(*on_line, *here)[2].min() <= area.within + 2.0  # m between two points of the line


def named(rule: Rule, sensor: str) -> bool:
    if rule.sensors is None:
        return True
    return any(re.fullmatch(pattern.replace("*", ".*"), sensor) for pattern in rule.sensors)


def in_band(rule: Rule, level: float) -> bool:
    if (rule.floor, rule.ceiling) == (-math.inf, math.inf):
        return True
    return rule.floor <= level <= rule.ceiling


def track_fits(rule: Rule, report, n: int) -> bool:
    fed = [name for s, name in enumerate(report.sensor_names) if int(report.sensors[n, 0]) >> s & 1]
    level = report.height[n] if math.isnan(report.altitude[n]) else report.altitude[n]
    return (
        in_area(rule.area, report.latitude[n], report.longitude[n])
        and in_band(rule, level)
        and (rule.identities is None or report.identity[n] in rule.identities)
        and (rule.kinds is None or report.kind[n] in rule.kinds)
        and (rule.sensors is None or (len(fed) > 0 and all(named(rule, name) for name in fed)))
        and report.time + rule.delay <= NOW
    )


def is_step(value: float, step: float) -> bool:
    """Whether a value is a whole number of steps, as far as single precision tells."""
    return math.isnan(value) or abs(value / step - round(value / step)) < 1e-3


def is_empty(value, name: str, empties: dict) -> bool:
    values = np.asarray(value)
    return bool((values == empties[name]).all() if name in empties else np.isnan(values).all())


@settings(deadline=None)
@given(policies("tracks"), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 5.0, 30.0, 100.0]))
def test_each_track_that_leaves_fits_a_rule_and_leaves_as_that_rule_says(policy, seed, age):
    report = made_report(np.random.default_rng(seed), 30, NOW - age)
    left = wire.decode(wire.encode_tracks(release_tracks(policy, report, NOW), 1, 1)).report
    row_of = {tuple(uid): n for n, uid in enumerate(report.uid.tolist())}
    leaving = [row_of[tuple(uid)] for uid in left.uid.tolist()]
    assert leaving == sorted(leaving)
    if policy.rung < Rung.TRACKS:
        assert not leaving
    by_rule = track_rules(policy, report)
    for out, n in enumerate(leaving):
        rule = policy.tracks[by_rule[n]]
        assert track_fits(rule, report, n)
        assert policy.exercise or not report.is_simulated[n]
        assert left.is_simulated[out] == report.is_simulated[n]
        for name in rule.withheld:
            assert is_empty(getattr(left, name)[out], name, TRACK_EMPTY), name
        if "velocity" in rule.withheld:
            assert np.isnan(left.covariance[out, 2:]).all()
        if rule.velocity_step:
            assert all(is_step(value, rule.velocity_step) for value in left.velocity[out])
        if rule.height_step:
            assert is_step(left.height[out], rule.height_step)
            assert is_step(left.altitude[out], rule.height_step)
        if step := rule.position_step:
            east, north = errors_in_position(left, out, report, n)
            assert max(abs(east), abs(north)) <= 0.51 * step
            assert is_step(math.sqrt(left.covariance[out, 0, 0]), step)
        if rule.position_step or rule.velocity_step:
            size = 2 if "velocity" in rule.withheld else 4
            slack = (left.covariance[out] - report.covariance[n])[:size, :size]
            assert np.linalg.eigvalsh(slack).min() > -1e-3 * np.abs(slack).max()
    fed = {name for n in leaving for s, name in enumerate(SENSORS) if int(report.sensors[n, 0]) >> s & 1}
    assert set(left.sensor_names) <= fed


def errors_in_position(left, out: int, report, n: int) -> tuple[float, float]:
    """East and north of the true place, m."""
    azimuth, _, distance = GEODESIC.inv(
        *np.degrees([report.longitude[n], report.latitude[n], left.longitude[out], left.latitude[out]])
    )
    return distance * math.sin(math.radians(azimuth)), distance * math.cos(math.radians(azimuth))


@settings(deadline=None)
@given(policies("tracks"), st.integers(0, 2**32 - 1))
def test_a_track_stays_at_home_only_if_no_rule_fits_it(policy, seed):
    report = made_report(np.random.default_rng(seed), 30, NOW - 100.0)
    left = {tuple(uid) for uid in release_tracks(policy, report, NOW).uid.tolist()}
    for n, uid in enumerate(report.uid.tolist()):
        may_leave = policy.exercise or not report.is_simulated[n]
        if tuple(uid) not in left and policy.rung >= Rung.TRACKS and may_leave:
            assert not any(track_fits(rule, report, n) for rule in policy.tracks)


@settings(deadline=None)
@given(policies("tracks"), st.integers(0, 2**32 - 1))
def test_what_a_withheld_field_holds_makes_no_difference_to_the_bytes(policy, seed):
    rng = np.random.default_rng(seed)
    report = made_report(rng, 20, NOW - 100.0)
    other = made_report(rng, 20, NOW - 100.0)
    by_rule = track_rules(policy, report)
    # What a rule judges by has to stay; the rest may change.
    judged = {"height", "altitude", "identity", "kind", "sensors", "is_simulated"}
    changed = {name: getattr(report, name).copy() for name in REPORT_COLUMNS}
    for n, place in enumerate(by_rule):
        for name in policy.tracks[place].withheld - judged if place >= 0 else REPORT_COLUMNS[1:]:
            if place >= 0 or name not in judged | {"latitude", "longitude"}:
                changed[name][n] = getattr(other, name)[n]
    twin = replace(report, **changed)
    assert wire.encode_tracks(release_tracks(policy, report, NOW), 1, 1) == wire.encode_tracks(
        release_tracks(policy, twin, NOW), 1, 1
    )


def plot_place(plots, n: int, table) -> tuple[float, float]:
    """Latitude and longitude by walking on the ellipsoid, rad; NaN where not known."""
    if not math.isnan(plots.latitude[n]):
        return plots.latitude[n], plots.longitude[n]
    site = table.sensors[plots.sensor[n]]
    if math.isnan(plots.range[n]) or site.latitude_deg is None:
        return math.nan, math.nan
    slant, level = plots.range[n], plots.altitude[n] if math.isnan(plots.height[n]) else plots.height[n]
    if not math.isnan(plots.elevation[n]):
        across = slant * math.cos(plots.elevation[n])
    elif math.isnan(level):
        across = slant
    else:
        up = level - site.height_m - slant**2 / (2 * 6.378e6)
        across = math.sqrt(max(0.0, slant**2 - up**2))
    longitude, latitude, _ = GEODESIC.fwd(
        site.longitude_deg, site.latitude_deg, math.degrees(plots.azimuth[n]), across
    )
    return math.radians(latitude), math.radians(longitude)


@settings(deadline=None)
@given(policies("plots"), st.integers(0, 2**32 - 1))
def test_each_plot_that_leaves_fits_a_rule_and_leaves_as_that_rule_says(policy, seed):
    table = made_table()
    plots = made_plots(np.random.default_rng(seed), 30, NOW)
    names = [sensor.name for sensor in release_sensors(policy, table)]
    message = wire.decode(wire.encode_plots(release_plots(policy, plots, table, NOW), names, 1, 1, NOW))
    left = message.plots
    row_of = {received: n for n, received in enumerate(plots.received.tolist())}
    by_rule = plot_rules(policy, plots, table)
    if policy.rung < Rung.PLOTS:
        assert not len(left) and not names
    for out, received in enumerate(left.received.tolist()):
        n = row_of[received]
        rule = policy.plots[by_rule[n]]
        sensor = SENSORS[plots.sensor[n]]
        assert message.sensor_names[left.sensor[out]] == sensor
        assert named(rule, sensor)
        assert policy.exercise or not plots.flags[n] & PlotFlag.SIMULATED
        assert left.flags[out] & PlotFlag.SIMULATED == plots.flags[n] & PlotFlag.SIMULATED
        assert received + rule.delay <= NOW
        level = plots.altitude[n] if not math.isnan(plots.altitude[n]) else plots.height[n]
        if math.isnan(plots.elevation[n]):
            assert in_band(rule, level)
        if not is_near_an_edge(rule.area, *plot_place(plots, n, table)):
            assert in_area(rule.area, *plot_place(plots, n, table))
        for name in rule.withheld:
            assert is_empty(getattr(left, name)[out], name, PLOT_EMPTY), name
            if name in ("elevation", "range_rate"):
                assert math.isnan(getattr(left, f"sigma_{name}")[out])
        if {"height", "altitude"} <= rule.withheld:
            assert math.isnan(left.sigma_altitude[out])
        if "squawk" in rule.withheld:
            assert not left.flags[out] & (PlotFlag.EMERGENCY | PlotFlag.SPI)
        if rule.position_step:
            assert is_step(left.range[out], rule.position_step)
            for sigma in ("sigma_range", "sigma_position"):
                assert is_step(getattr(left, sigma)[out], rule.position_step)
                assert not getattr(left, sigma)[out] < getattr(plots, sigma)[n]
        if rule.height_step:
            assert is_step(left.height[out], rule.height_step)
            assert is_step(left.altitude[out], rule.height_step)
    assert all(any(named(rule, name) for rule in policy.plots) for name in names)


def is_near_an_edge(area, latitude: float, longitude: float) -> bool:
    """Whether 200 m make a difference: the twin's earth is a little rounder than ours."""
    here = in_area(area, latitude, longitude)
    step = 200.0 / 6.378e6
    return any(
        in_area(area, latitude + north * step, longitude + east * step / 0.57) != here
        for north, east in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    )


def test_health_leaves_of_released_sensors_only():
    policy = parse_policy(b'[[plots]]\nname = "coast"\nsensors = ["coast-*"]', Path("bravo.toml"))
    health = [
        SensorHealth(
            name=name,
            kind="radar",
            state=SensorState.FRESH,
            last_received=None,
            plots_per_second=0.0,
            plots_total=0,
            errors_total=0,
            errors={},
            rotation_period=None,
            clock_offset=None,
        )
        for name in SENSORS
    ]
    assert [entry.name for entry in release_health(policy, health)] == ["coast-north", "coast-south"]


def test_an_empty_file_releases_nothing():
    policy = parse_policy(b"", Path("bravo.toml"))
    table, rng = made_table(), np.random.default_rng(1)
    assert len(release_tracks(policy, made_report(rng, 50), math.inf)) == 0
    assert len(release_plots(policy, made_plots(rng, 50), table, math.inf)) == 0
    assert release_sensors(policy, table) == ()
    assert not releases_record(policy, "link_up")


def test_who_takes_part_in_an_exercise_leaves_whatever_the_file_says():
    policy = parse_policy(b"", Path("bravo.toml"))
    kinds = ("exercise_began", "exercise_ended", "suspended", "tracks_correlated")
    assert [kind for kind in kinds if releases_record(policy, kind)] == ["exercise_began", "exercise_ended"]


def test_a_plot_of_a_sensor_that_the_table_lacks_stays_at_home():
    policy = parse_policy(b'[[plots]]\nname = "all"', Path("bravo.toml"))
    plots = make_plots(3, sensor=[0, -1, 99], time=1.0, received=1.0, squawk=1)
    assert len(release_plots(policy, plots, made_table(), 2.0)) == 1


def test_the_first_rule_that_fits_decides():
    policy = parse_policy(
        b'[[tracks]]\nname = "a"\nwithhold = ["squawk"]\n[[tracks]]\nname = "b"', Path("bravo.toml")
    )
    report = made_report(np.random.default_rng(1), 50)
    left = release_tracks(policy, report.take(~report.is_simulated), math.inf)
    assert len(left) == np.count_nonzero(~report.is_simulated)
    assert (left.squawk == -1).all()


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_each_documented_example_is_read_and_holds_what_its_tests_say(example):
    config = msgspec.toml.decode(example.encode(), type=PolicyConfig)
    assert any(test.released_by for test in config.test)
    policy = parse_policy(example.encode(), Path("bravo.toml"))
    assert policy.text == example
    for expectation in re.finditer(r'released_by = ".*"|released = false', example):
        # The opposite is refused, so the test does look at the rules.
        opposite = 'released_by = "nobody"' if "false" in expectation[0] else "released = false"
        turned = example[: expectation.start()] + opposite + example[expectation.end() :]
        with pytest.raises(BadInputError, match="fails"):
            parse_policy(turned.encode(), Path("bravo.toml"))


def test_the_document_shows_each_key_and_word():
    text = DOCUMENT.read_text(encoding="utf-8")
    for config in (PolicyConfig, TrackRuleConfig, PlotRuleConfig, CoarsenConfig, PolicyTestConfig):
        for field in msgspec.structs.fields(config):
            assert field.name in text, field.name
    for word in [*Identity, *TargetKind]:
        assert word.name.lower().replace("_", " ") in text


RULE = '[[tracks]]\nname = "a"\n'
TEST = '[[test]]\nname = "t"\ntrack = { latitude_deg = 1, longitude_deg = 2 }\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour = 1", "colour"),
        ("rung = 'all'", "rung"),
        ("[[tracks]]", "name"),
        (RULE + "identity = ['foe']", "tracks[0].identity: 'foe' is unknown"),
        (RULE + "kind = ['UFO']", "tracks[0].kind"),
        (RULE + "withhold = ['uid']", "withhold"),
        (RULE + "sensors = []", "sensors"),
        (RULE + "delay_s = -1", "delay_s"),
        (RULE + "delay_s = nan", "delay_s"),
        (RULE + "floor_ft = 2\nceiling_ft = 1", "floor_ft is above ceiling_ft"),
        (RULE + "floor_ft = nan", "floor_ft"),
        (RULE + "coarsen = { position_m = -1 }", "position_m"),
        (RULE + "area = { within_km = 5 }", "a strip needs"),
        (RULE + "area = { line_deg = [[1, 2]], within_km = 5 }", "corners"),
        (RULE + "area = { polygon_deg = [[1, 2], [3, 4], [5, 0]], within_km = 5 }", "give one of them"),
        (RULE + RULE, "two rules named 'a'"),
        ("[[plots]]\nname = 'p'\nidentity = ['friend']", "identity"),
        (RULE + TEST, "says nothing"),
        (RULE + TEST + "released = true", "says nothing"),
        (RULE + TEST + "released = false", "'t' fails: released by 'a', expected by no rule"),
        (RULE + TEST + "released_by = 'b'", "'t' fails: released by 'a', expected by 'b'"),
        (RULE + TEST + "released_by = 'a'\nwithout = ['squawk']", "'t' fails: leaves without nothing"),
        (RULE + "[[test]]\nname = 't'\nreleased = false", "give either a track or a plot"),
        ("x = [", "bravo.toml"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(text, words):
    with pytest.raises(BadInputError) as caught:
        parse_policy(text.encode(), Path("bravo.toml"))
    assert words in str(caught.value)
    assert str(caught.value).startswith("bravo.toml")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="No such file"):
        read_policy(tmp_path / "bravo.toml")
