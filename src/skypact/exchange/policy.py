"""What one partner may have: rules from a TOML file, applied before bytes are made.

Nothing leaves that no rule releases. A row (a track, a plot) leaves by the first rule in the file
that fits it entirely; that rule alone says which fields are withheld, how coarse the rest is and how
late it leaves. What can't be judged does not fit: a track without height lies in no height band.
`docs/release-policy.md` explains the file by example.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from skypact.core.areas import Area, AreaConfig, Latitude, Longitude, area_from_config
from skypact.core.arrays import Floats1, Floats3
from skypact.core.errors import BadInputError
from skypact.core.geodesy import SEMI_MAJOR_AXIS, Geodetic, geodetic_from_enu
from skypact.core.text import callsign_from_text
from skypact.core.units import DEGREE, FOOT
from skypact.exchange.coarsening import coarse_covariance, coarse_sigma, round_place, round_to
from skypact.exchange.kernels import find_rows
from skypact.exchange.model import REPORT_COLUMNS, Rung, TrackReport
from skypact.plots.model import COLUMNS as PLOT_COLUMNS
from skypact.plots.model import NO_ADDRESS, NO_CALLSIGN, NO_SQUAWK, PlotBatch, PlotFlag, make_plots
from skypact.sensors.model import Sensor, SensorHealth, SensorTable
from skypact.tracks.model import Identity, TargetKind

NO_RULE = -1
EXERCISE_KINDS = frozenset({"exercise_began", "exercise_ended"})  # of the journal
TrackField = Literal[
    "height", "altitude", "velocity", "squawk", "address", "callsign", "identity", "kind", "sensors"
]
PlotField = Literal["height", "altitude", "elevation", "range_rate", "squawk", "address", "callsign"]
_EMPTY: dict[str, float] = {
    "height": np.nan,
    "altitude": np.nan,
    "velocity": np.nan,
    "elevation": np.nan,
    "range_rate": np.nan,
    "squawk": NO_SQUAWK,
    "address": NO_ADDRESS,
    "callsign": NO_CALLSIGN,
    "identity": Identity.PENDING,
    "kind": TargetKind.UNKNOWN,
    "sensors": 0,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What fits a rule may leave, as the rule says."""

    name: str
    sensors: tuple[str, ...] | None  # names, `*` for any characters; a track must be fed by no other
    area: Area | None  # None for everywhere, even where the place is not known
    floor: float  # m, of pressure altitude, else of height
    ceiling: float  # m
    identities: frozenset[int] | None  # of tracks; None for any
    kinds: frozenset[int] | None  # of tracks; None for any
    withheld: frozenset[str]  # fields that leave as "no value"
    position_step: float  # m; positions are rounded to multiples; 0 for as they are
    velocity_step: float  # m/s
    height_step: float  # m
    delay: float  # s


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """What one partner may have at most."""

    text: str  # the file, as the journal keeps it
    label: str  # travels with what is released and is shown beside it
    rung: Rung  # the highest that is offered
    journal: tuple[str, ...]  # kinds of records released whole, `*` for any characters
    tracks: tuple[Rule, ...]
    plots: tuple[Rule, ...]
    exercise: str = ""  # that is on with the partner, no word of the file: without, nothing simulated leaves

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def track_delays(self) -> tuple[float, ...]:
        """The delays of its rules for tracks, each once, least first, s."""
        return tuple(sorted({rule.delay for rule in self.tracks}))

    @property
    def longest_plot_delay(self) -> float:
        """How long plots have to be kept until the last of them has left, s."""
        return max((rule.delay for rule in self.plots), default=0.0)


def track_rules(policy: ReleasePolicy, report: TrackReport) -> NDArray[np.int64]:
    """(N,) place in `policy.tracks` of the rule by which each track leaves; `NO_RULE` for none."""
    level = np.where(np.isnan(report.altitude), report.height, report.altitude)
    rules = np.full(len(report), NO_RULE, dtype=np.int64)
    if policy.rung < Rung.TRACKS:
        return rules
    for place, rule in reversed(list(enumerate(policy.tracks))):
        fits = _lies_in_band(rule, level)
        if rule.area is not None:
            fits &= rule.area.contains(report.latitude, report.longitude)
        if rule.identities is not None:
            fits &= np.isin(report.identity, list(rule.identities))
        if rule.kinds is not None:
            fits &= np.isin(report.kind, list(rule.kinds))
        if rule.sensors is not None:
            allowed = _sensor_bits(_matching(rule, report.sensor_names), report.sensors.shape[1])
            # A track that no sensor fed lately is of unknown origin.
            fits &= (report.sensors != 0).any(axis=1) & ((report.sensors & ~allowed) == 0).all(axis=1)
        rules[fits] = place
    if not policy.exercise:
        rules[report.is_simulated] = NO_RULE
    return rules


def release_tracks(policy: ReleasePolicy, report: TrackReport, now: float) -> TrackReport:
    """Those tracks of a report that may leave at `now`, as they may leave, in the same order.

    A rule with a delay releases nothing of a report younger than that: hand over the older reports
    too, one for each of `policy.track_delays`.
    """
    rules = track_rules(policy, report)
    for place, rule in enumerate(policy.tracks):
        if report.time + rule.delay > now:
            rules[rules == place] = NO_RULE
    rows = np.flatnonzero(rules != NO_RULE)
    rules = rules[rows]
    columns: dict[str, NDArray[Any]] = {name: getattr(report, name)[rows] for name in REPORT_COLUMNS}
    for place in np.unique(rules):
        _restrict_tracks(policy.tracks[place], columns, rules == place)
    names, columns["sensors"] = _without_unused(report.sensor_names, columns["sensors"])
    return TrackReport(report.time, report.centre, report.centre_names, names, *columns.values())


def withheld_fields(ours: TrackReport, released: TrackReport) -> list[tuple[str, ...]]:
    """For each released track the fields that have a value in `ours` and none in what was released."""
    rows = find_rows(ours.uid, released.uid)
    lacking = {
        name: (rows >= 0) & _has_value(ours, name)[rows] & ~_has_value(released, name)
        for name in get_args(TrackField)
    }
    return [tuple(name for name in lacking if lacking[name][row]) for row in range(len(released))]


def plot_rules(policy: ReleasePolicy, plots: PlotBatch, sensors: SensorTable) -> NDArray[np.int64]:
    """(P,) place in `policy.plots` of the rule by which each plot leaves; `NO_RULE` for none."""
    rules = np.full(len(plots), NO_RULE, dtype=np.int64)
    if policy.rung < Rung.PLOTS or not policy.plots:
        return rules
    latitude, longitude, height = plot_places(plots, sensors)
    level = np.where(np.isnan(plots.altitude), height, plots.altitude)
    known = (plots.sensor >= 0) & (plots.sensor < len(sensors))
    row = np.where(known, plots.sensor, 0)
    for place, rule in reversed(list(enumerate(policy.plots))):
        fits = known & _matching(rule, sensors.names)[row]
        fits &= _lies_in_band(rule, level)
        if rule.area is not None:
            fits &= rule.area.contains(latitude, longitude)
        rules[fits] = place
    if not policy.exercise:
        rules[plots.is_simulated] = NO_RULE
    return rules


def release_plots(policy: ReleasePolicy, plots: PlotBatch, sensors: SensorTable, now: float) -> PlotBatch:
    """Those plots that may leave at `now`, as they may leave; a delay counts from a plot's arrival.

    Args:
        plots: of the centre's own sensors.
        sensors: the centre's table, which `plots.sensor` points into.
        now: UTC s since 1970.

    Returns:
        The plots in order of arrival; `sensor` is a place in `release_sensors`.
    """
    rules = plot_rules(policy, plots, sensors)
    delays = np.array([rule.delay for rule in policy.plots] + [0.0])  # NO_RULE takes the last
    due = plots.received + delays[rules]
    rows = np.flatnonzero((rules != NO_RULE) & (due <= now))
    rules = rules[rows]
    columns: dict[str, NDArray[Any]] = {name: getattr(plots, name)[rows] for name in PLOT_COLUMNS}
    for place in np.unique(rules):
        _restrict_plots(policy.plots[place], columns, rules == place)
    released = _released_sensors(policy, sensors.names)
    places = np.cumsum(released, dtype=np.int32) - 1
    columns["sensor"] = places[columns["sensor"]].astype(np.int32)
    return PlotBatch(**columns)


def release_sensors(policy: ReleasePolicy, sensors: SensorTable) -> tuple[Sensor, ...]:
    """The sensors that a rule for plots names, in the order of the table."""
    released = _released_sensors(policy, sensors.names)
    return tuple(sensor for sensor, is_out in zip(sensors.sensors, released, strict=True) if is_out)


def release_health(policy: ReleasePolicy, health: Sequence[SensorHealth]) -> tuple[SensorHealth, ...]:
    """The health of released sensors."""
    released = _released_sensors(policy, [entry.name for entry in health])
    return tuple(entry for entry, is_out in zip(health, released, strict=True) if is_out)


def releases_record(policy: ReleasePolicy, kind: str) -> bool:
    """Whether records of a kind leave whole; the others leave as stubs that only prove the chain.

    Who takes part in an exercise always leaves: both sides must tell it from live, and prove who agreed.
    """
    return kind in EXERCISE_KINDS or any(fnmatchcase(kind, pattern) for pattern in policy.journal)


def plot_places(plots: PlotBatch, sensors: SensorTable) -> tuple[Floats1, Floats1, Floats1]:
    """Latitude, longitude (rad) and height (m), each (P,), of plots; NaN where not known.

    A plot with range and azimuth alone is placed as if it were as high as its sensor, its height
    being unknown: at most as far away as its slant range.
    """
    latitude, longitude, height = plots.latitude.copy(), plots.longitude.copy(), plots.height.copy()
    is_polar = np.isnan(latitude) & ~np.isnan(plots.range) & ~np.isnan(plots.azimuth)
    for row in np.unique(plots.sensor[is_polar]):
        if not 0 <= row < len(sensors) or np.isnan(sensors.latitude[row]):
            continue
        at = np.flatnonzero(is_polar & (plots.sensor == row))
        site = (float(sensors.latitude[row]), float(sensors.longitude[row]), float(sensors.height[row]))
        above = np.where(np.isnan(plots.height[at]), plots.altitude[at], plots.height[at])
        slant = np.maximum(plots.range[at], 1.0)
        # Law of cosines in the triangle of earth's centre, sensor and target.
        sensor_radius, target_radius = SEMI_MAJOR_AXIS + site[2], SEMI_MAJOR_AXIS + above
        sine = (target_radius**2 - sensor_radius**2 - slant**2) / (2.0 * slant * sensor_radius)
        sine = np.where(np.isnan(plots.elevation[at]), sine, np.sin(plots.elevation[at]))
        is_placed_high = ~np.isnan(sine)
        sine = np.clip(np.where(is_placed_high, sine, 0.0), -1.0, 1.0)
        across = slant * np.sqrt(1.0 - sine**2)
        azimuth = plots.azimuth[at]
        enu = np.column_stack((across * np.sin(azimuth), across * np.cos(azimuth), slant * sine))
        latitude[at], longitude[at], up = geodetic_from_enu(enu, site)
        lacks = np.isnan(height[at]) & is_placed_high
        height[at] = np.where(lacks, up, height[at])
    return latitude, longitude, height


def _has_value(report: TrackReport, name: str) -> NDArray[np.bool_]:
    """(N,) which tracks have a value in a field."""
    values, empty = getattr(report, name), _EMPTY[name]
    has = ~np.isnan(values) if np.isnan(empty) else values != empty
    return np.asarray(has if has.ndim == 1 else has.any(axis=1))


def _lies_in_band(rule: Rule, level: Floats1) -> NDArray[np.bool_]:
    if rule.floor == -np.inf and rule.ceiling == np.inf:
        return np.ones(len(level), dtype=np.bool_)
    return (level >= rule.floor) & (level <= rule.ceiling)


def _matching(rule: Rule, names: Sequence[str]) -> NDArray[np.bool_]:
    """(S,) which sensors the rule names."""
    patterns = ("*",) if rule.sensors is None else rule.sensors
    return np.array([any(fnmatchcase(name, pattern) for pattern in patterns) for name in names], np.bool_)


def _released_sensors(policy: ReleasePolicy, names: Sequence[str]) -> NDArray[np.bool_]:
    released = np.zeros(len(names), dtype=np.bool_)
    if policy.rung >= Rung.PLOTS:
        for rule in policy.plots:
            released |= _matching(rule, names)
    return released


def _sensor_bits(chosen: NDArray[np.bool_], words: int) -> NDArray[np.uint64]:
    """(W,) the bits of the chosen sensors, as in `TrackReport.sensors`."""
    padded = np.zeros(words * 64, dtype=np.bool_)
    padded[: len(chosen)] = chosen
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)


def _without_unused(
    names: tuple[str, ...], sensors: NDArray[np.uint64]
) -> tuple[tuple[str, ...], NDArray[np.uint64]]:
    """Names and (N, W) bits without the sensors that fed no track, so that not even their names leave."""
    rows = len(sensors)
    in_bytes = np.ascontiguousarray(sensors, dtype="<u8").view(np.uint8)
    bits = np.unpackbits(in_bytes, axis=1, count=len(names), bitorder="little")
    is_used = np.asarray(bits.any(axis=0))
    kept = tuple(name for name, used in zip(names, is_used.tolist(), strict=True) if used)
    padded = np.zeros((rows, max(1, -(-len(kept) // 64)) * 64), dtype=np.uint8)
    padded[:, : len(kept)] = bits[:, is_used]
    return kept, np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _restrict_tracks(rule: Rule, columns: dict[str, NDArray[Any]], chosen: NDArray[np.bool_]) -> None:
    """Withhold and coarsen what the rule says, in the chosen rows."""
    for name in rule.withheld:
        columns[name][chosen] = _EMPTY[name]
    covariance: Floats3 = columns["covariance"][chosen]
    if rule.position_step:
        columns["latitude"][chosen], columns["longitude"][chosen] = round_place(
            columns["latitude"][chosen], columns["longitude"][chosen], rule.position_step
        )
    if rule.velocity_step:
        columns["velocity"][chosen] = round_to(columns["velocity"][chosen], rule.velocity_step)
    if rule.position_step or rule.velocity_step:
        covariance = coarse_covariance(covariance, rule.position_step, rule.velocity_step)
    if "velocity" in rule.withheld:
        covariance[:, 2:, :] = covariance[:, :, 2:] = np.nan
    columns["covariance"][chosen] = covariance
    if rule.height_step:
        for name in ("height", "altitude"):
            columns[name][chosen] = round_to(columns[name][chosen], rule.height_step)


def _restrict_plots(rule: Rule, columns: dict[str, NDArray[Any]], chosen: NDArray[np.bool_]) -> None:
    """Withhold and coarsen what the rule says, in the chosen rows, and state the sigmas that remain."""
    for name in rule.withheld:
        columns[name][chosen] = _EMPTY[name]
        if f"sigma_{name}" in columns and name != "altitude":
            columns[f"sigma_{name}"][chosen] = np.nan
    if "squawk" in rule.withheld:
        # Both are told by the transponder's code or sent beside it.
        columns["flags"][chosen] &= np.uint16(~(PlotFlag.EMERGENCY | PlotFlag.SPI) & 0xFFFF)
    no_level = chosen & np.isnan(columns["altitude"]) & np.isnan(columns["height"])
    columns["sigma_altitude"][no_level] = np.nan
    if step := rule.position_step:
        slant = round_to(columns["range"][chosen], step)
        turn = step / np.maximum(slant, step)  # rad that span one step at the target
        columns["range"][chosen] = slant
        for name in ("azimuth", "elevation"):
            columns[name][chosen] = round_to(columns[name][chosen], turn)
            columns[f"sigma_{name}"][chosen] = coarse_sigma(columns[f"sigma_{name}"][chosen], turn)
        columns["latitude"][chosen], columns["longitude"][chosen] = round_place(
            columns["latitude"][chosen], columns["longitude"][chosen], step
        )
        for name in ("sigma_range", "sigma_position"):
            columns[name][chosen] = coarse_sigma(columns[name][chosen], step)
    if step := rule.height_step:
        for name in ("height", "altitude"):
            columns[name][chosen] = round_to(columns[name][chosen], step)
        columns["sigma_altitude"][chosen] = coarse_sigma(columns["sigma_altitude"][chosen], step)
    if step := rule.velocity_step:
        columns["range_rate"][chosen] = round_to(columns["range_rate"][chosen], step)
        columns["sigma_range_rate"][chosen] = coarse_sigma(columns["sigma_range_rate"][chosen], step)


Name = Annotated[str, Meta(min_length=1, max_length=64)]
Step = Annotated[float, Meta(ge=0, le=1e6)]


class CoarsenConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is rounded, and to multiples of what."""

    position_m: Step = 0.0
    velocity_mps: Step = 0.0
    height_m: Step = 0.0


class _RuleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    sensors: Annotated[list[Name], Meta(min_length=1)] | None = None
    area: AreaConfig | None = None
    floor_ft: float | None = None
    ceiling_ft: float | None = None
    coarsen: CoarsenConfig = CoarsenConfig()
    delay_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0


class TrackRuleConfig(_RuleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule by which tracks leave."""

    identity: list[str] | None = None
    kind: list[str] | None = None
    withhold: list[TrackField] = []


class PlotRuleConfig(_RuleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule by which plots leave."""

    withhold: list[PlotField] = []


class _ExampleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    latitude_deg: Latitude
    longitude_deg: Longitude
    altitude_ft: float | None = None
    height_m: float | None = None
    squawk: Annotated[str, Meta(pattern="^[0-7]{4}$")] | None = None
    address: Annotated[str, Meta(pattern="^[0-9A-Fa-f]{6}$")] | None = None
    callsign: Annotated[str, Meta(min_length=1, max_length=8)] | None = None


class TrackExample(_ExampleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A made track that a test asks about."""

    sensors: list[Name] = []  # that feed it
    velocity_mps: tuple[float, float, float] | None = None  # east, north, up
    identity: str = "pending"
    kind: str = "unknown"


class PlotExample(_ExampleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A made plot that a test asks about, with a ready position."""

    sensor: Name


class PolicyTestConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must hold of the rules; a file in which one does not hold is refused."""

    name: Name
    track: TrackExample | None = None
    plot: PlotExample | None = None
    age_s: Annotated[float, Meta(ge=0)] = 1e9  # how old it is when it would leave
    released_by: str | None = None  # name of the rule
    released: bool | None = None  # only `false`: by no rule
    without: list[str] | None = None  # the fields that it has and that do not leave


class PolicyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    label: Annotated[str, Meta(max_length=64)] = ""
    rung: Literal["alone", "alerts", "tracks", "plots"] = "plots"
    journal: list[Name] = []
    tracks: list[TrackRuleConfig] = []
    plots: list[PlotRuleConfig] = []
    test: list[PolicyTestConfig] = []


def read_policy(path: Path) -> ReleasePolicy:
    """The policy in a file; raises as `parse_policy`, or when the file can't be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(path)) from None
    return parse_policy(content, path)


def parse_policy(content: bytes, path: Path) -> ReleasePolicy:
    """The policy in the bytes of a file; `path` is for messages.

    Raises:
        BadInputError: a key is unknown, missing or out of its bounds, or a test in the file fails.
    """
    where = str(path)
    try:
        config = msgspec.toml.decode(content, type=PolicyConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(str(error), where) from None
    policy = ReleasePolicy(
        text=content.decode(),
        label=config.label,
        rung=Rung[config.rung.upper()],
        journal=tuple(config.journal),
        tracks=tuple(_rule(rule, f"{where}: tracks[{n}]") for n, rule in enumerate(config.tracks)),
        plots=tuple(_rule(rule, f"{where}: plots[{n}]") for n, rule in enumerate(config.plots)),
    )
    for kind, rules in (("tracks", policy.tracks), ("plots", policy.plots)):
        names = [rule.name for rule in rules]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise BadInputError(f"two rules named {min(repeated)!r}", f"{where}: {kind}")
    for n, test in enumerate(config.test):
        _run_test(policy, test, f"{where}: test[{n}]")
    return policy


def _rule(config: TrackRuleConfig | PlotRuleConfig, where: str) -> Rule:
    identities = kinds = None
    if isinstance(config, TrackRuleConfig):
        identities = _codes(config.identity, Identity, f"{where}.identity")
        kinds = _codes(config.kind, TargetKind, f"{where}.kind")
    floor = -np.inf if config.floor_ft is None else config.floor_ft * FOOT
    ceiling = np.inf if config.ceiling_ft is None else config.ceiling_ft * FOOT
    if not floor <= ceiling:
        raise BadInputError("floor_ft is above ceiling_ft", where)
    return Rule(
        name=config.name,
        sensors=None if config.sensors is None else tuple(config.sensors),
        area=None if config.area is None else area_from_config(config.area, f"{where}.area"),
        floor=floor,
        ceiling=ceiling,
        identities=identities,
        kinds=kinds,
        withheld=frozenset(config.withhold),
        position_step=config.coarsen.position_m,
        velocity_step=config.coarsen.velocity_mps,
        height_step=config.coarsen.height_m,
        delay=config.delay_s,
    )


def _codes(words: list[str] | None, known: type[IntEnum], where: str) -> frozenset[int] | None:
    return None if words is None else frozenset(_code(word, known, where) for word in words)


def _code(word: str, known: type[IntEnum], where: str) -> int:
    member = known.__members__.get(word.replace(" ", "_").upper())
    if member is None or word != word.lower():
        words = ", ".join(name.lower().replace("_", " ") for name in known.__members__)
        raise BadInputError(f"{word!r} is unknown", where, f"one of {words}")
    return int(member)


def _run_test(policy: ReleasePolicy, test: PolicyTestConfig, where: str) -> None:
    if (test.released_by is None) == (test.released is None) or test.released is True:
        raise BadInputError("says nothing to hold", where, 'give released_by = "RULE" or released = false')
    if test.track is not None and test.plot is None:
        name, has, left = _try_track(policy, test.track, test.age_s, where)
    elif test.plot is not None and test.track is None:
        name, has, left = _try_plot(policy, test.plot, test.age_s)
    else:
        raise BadInputError("not about one thing", where, "give either a track or a plot")
    if name != test.released_by:
        was, wanted = (f"by {rule!r}" if rule else "by no rule" for rule in (name, test.released_by))
        raise BadInputError(f"{test.name!r} fails: released {was}, expected {wanted}", where)
    if test.without is not None and has - left != set(test.without):
        words = ", ".join(sorted(has - left)) or "nothing"
        raise BadInputError(f"{test.name!r} fails: leaves without {words}", where)


def _try_track(
    policy: ReleasePolicy, example: TrackExample, age: float, where: str
) -> tuple[str | None, set[str], set[str]]:
    """Name of the rule by which it leaves, the fields that it has, and those that leave."""
    sensors = sorted(set(example.sensors))
    columns: dict[str, Any] = {
        **_common_columns(example),
        "uid": np.zeros((1, 2)),
        "velocity": np.full((1, 3), np.nan) if example.velocity_mps is None else [example.velocity_mps],
        "covariance": np.eye(4)[np.newaxis],
        "is_simulated": False,
        "identity": _code(example.identity, Identity, f"{where}.track.identity"),
        "kind": _code(example.kind, TargetKind, f"{where}.track.kind"),
        "sensors": _sensor_bits(np.ones(len(sensors), np.bool_), max(1, -(-len(sensors) // 64)))[np.newaxis],
    }
    one = {name: np.atleast_1d(columns.get(name, 0)) for name in REPORT_COLUMNS}
    report = TrackReport(0.0, "", ("",), tuple(sensors), **one)
    released = release_tracks(policy, report, age)
    if not len(released):
        return None, set(), set()
    rule = policy.tracks[int(track_rules(policy, report)[0])]
    return rule.name, _fields_of(report, get_args(TrackField)), _fields_of(released, get_args(TrackField))


def _try_plot(
    policy: ReleasePolicy, example: PlotExample, age: float
) -> tuple[str | None, set[str], set[str]]:
    """Name of the rule by which it leaves, the fields that it has, and those that leave."""
    plots = make_plots(1, sensor=0, time=0.0, received=0.0, sigma_position=1.0, **_common_columns(example))
    table = SensorTable((Sensor(name=example.sensor),), Geodetic(0.0, 0.0, 0.0))
    released = release_plots(policy, plots, table, age)
    if not len(released):
        return None, set(), set()
    rule = policy.plots[int(plot_rules(policy, plots, table)[0])]
    return rule.name, _fields_of(plots, get_args(PlotField)), _fields_of(released, get_args(PlotField))


def _common_columns(example: _ExampleConfig) -> dict[str, float]:
    return {
        "latitude": example.latitude_deg * DEGREE,
        "longitude": example.longitude_deg * DEGREE,
        "altitude": np.nan if example.altitude_ft is None else example.altitude_ft * FOOT,
        "height": np.nan if example.height_m is None else example.height_m,
        "squawk": NO_SQUAWK if example.squawk is None else int(example.squawk, 8),
        "address": NO_ADDRESS if example.address is None else int(example.address, 16),
        "callsign": NO_CALLSIGN if example.callsign is None else callsign_from_text(example.callsign),
    }


def _fields_of(table: TrackReport | PlotBatch, names: tuple[str, ...]) -> set[str]:
    """Which of the fields the first row has."""

    def is_there(name: str) -> bool:
        values, empty = getattr(table, name)[0], _EMPTY[name]
        is_empty = np.isnan(values) if np.isnan(empty) else values == empty
        return not np.all(is_empty)

    return {name for name in names if is_there(name)}
