"""Scenarios: an invented world as a TOML file describes it, and the presets that come with Skypact.

Keys hold field units (kilometres, degrees); `world` turns them into SI. `docs/simulation.md`
explains each key.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from skypact.core.errors import BadInputError

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
PositiveList = Annotated[list[Positive], Meta(min_length=1)]
MOST_RADARS = 250
MOST_PARTNERS = 16
MOST_TARGET_SECONDS = 20_000_000  # about 3 GB of memory
RadarKind = Literal["psr", "ssr", "mode_s", "radar", "radar_3d"]
TargetKind = Literal["airliner", "jet", "light", "drone"]


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Targets of one kind; the shares that fit neither Mode S nor Mode A/C have no transponder."""

    kind: TargetKind
    count: Annotated[int, Meta(ge=0, le=200_000)]
    mode_s: Share = 0.0  # share with a Mode S transponder
    mode_ac: Share = 0.0  # share with a Mode A/C transponder
    arriving: Share = 0.1  # share that appears during the run instead of at its start
    leaving: Share = 0.1  # share that ends during the run


class Bias(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a radar gets wrong all the time: measured = true * (1 + gain) + bias."""

    range_m: float = 0.0
    range_gain: float = 0.0
    azimuth_deg: float = 0.0
    time_s: float = 0.0


class Radar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One radar, or `count` alike that are spread over the area; of a list, each takes the next value."""

    kind: RadarKind
    name: str | None = None
    count: Annotated[int, Meta(ge=1, le=250)] = 1
    east_km: float | None = None  # of the scenario's centre
    north_km: float | None = None
    height_m: Annotated[float, Meta(ge=0, le=5_000)] = 50.0
    rotation_period_s: Positive | PositiveList = 8.0
    rotation_jitter: Annotated[float, Meta(ge=0, le=0.05)] = 0.001  # sigma of a turn's duration, share
    range_min_km: NotNegative = 1.0
    range_max_km: Positive | PositiveList = 250.0
    elevation_max_deg: Annotated[float, Meta(gt=0, le=90)] = 45.0  # above it: the cone of silence
    sigma_range_m: Positive = 70.0
    sigma_azimuth_deg: Positive = 0.08
    sigma_elevation_deg: Positive = 0.3  # radar_3d only
    detection_probability: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    clutter_per_scan: NotNegative = 5.0
    clutter_in_patches: Share = 0.0  # share of the false plots in three patches instead of everywhere
    resolution_range_m: NotNegative = 150.0
    resolution_azimuth_deg: NotNegative = 1.0
    delay_s: Annotated[float, Meta(ge=0, le=10)] = 0.15  # from the end of a sector to its arrival
    bias: Bias = Bias()


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An invented world over open sea."""

    duration_s: Annotated[int, Meta(ge=1, le=86_400)]
    extent_km: Positive  # side of the square that the traffic keeps to
    latitude_deg: Annotated[float, Meta(ge=-80, le=80)]
    longitude_deg: Annotated[float, Meta(ge=-180, le=180)]
    traffic: Annotated[list[Traffic], Meta(min_length=1)]
    radar: Annotated[list[Radar], Meta(min_length=1)]
    name: str = ""
    start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)  # whole seconds, UTC
    partners: tuple[str, ...] = ("alpha", "bravo")  # own strips of the area, from west to east
    height_minus_altitude_m: float = 0.0  # the air pressure of the day
    simulated: bool = False  # plots say that they are simulated: injects for an exercise


def preset_names() -> list[str]:
    """Names of the scenarios that come with Skypact."""
    presets = files("skypact.simulation") / "presets"
    return sorted(
        entry.name.removesuffix(".toml") for entry in presets.iterdir() if entry.name.endswith(".toml")
    )


def read_scenario(name_or_path: str) -> Scenario:
    """The preset of that name, else the scenario in that TOML file.

    Raises:
        BadInputError: no such preset or file, or it does not describe a scenario.
    """
    if name_or_path in preset_names():
        content = (files("skypact.simulation") / "presets" / f"{name_or_path}.toml").read_bytes()
        return parse_scenario(content, name_or_path)
    path = Path(name_or_path)
    if not path.exists():
        raise BadInputError("no such preset or file", name_or_path, f"presets: {', '.join(preset_names())}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", name_or_path) from None
    return parse_scenario(content, name_or_path, path.stem)


def parse_scenario(content: bytes, where: str, name: str | None = None) -> Scenario:
    """A checked scenario from the bytes of a TOML file; without a `name` key it takes `name`.

    Raises:
        BadInputError: the text is no TOML, or a key is unknown, missing or out of its bounds.
    """
    try:
        scenario = msgspec.toml.decode(content, type=Scenario)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(str(error), where) from None
    for what, advice in _faults(scenario):
        raise BadInputError(what, where, advice)
    start = scenario.start if scenario.start.tzinfo else scenario.start.replace(tzinfo=UTC)
    if start.microsecond:
        raise BadInputError("start has a fraction of a second", where, "give whole seconds")
    return msgspec.structs.replace(scenario, start=start, name=scenario.name or name or where)


def _faults(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """What is wrong with a scenario beyond single keys, and what to do about it."""
    for traffic in scenario.traffic:
        if traffic.mode_s + traffic.mode_ac > 1.0:
            yield f"mode_s and mode_ac of {traffic.kind} exceed 1 together", ""
    for radar in scenario.radar:
        name = radar.name or radar.kind
        if (radar.east_km is None) != (radar.north_km is None):
            yield f"radar {name} has half a site", "give east_km and north_km"
        if radar.count > 1 and (radar.name is not None or radar.east_km is not None):
            yield f"several radars can't share the name or site of {name}", "leave out count"
        farthest = radar.range_max_km if isinstance(radar.range_max_km, list) else [radar.range_max_km]
        if radar.range_min_km >= min(farthest):
            yield f"radar {name} sees nothing", "range_min_km must be less than range_max_km"
    if sum(radar.count for radar in scenario.radar) > MOST_RADARS:
        yield f"more than {MOST_RADARS} radars", ""
    if not 1 <= len(scenario.partners) <= MOST_PARTNERS:
        yield f"{len(scenario.partners)} partners", f"give 1 to {MOST_PARTNERS}"
    targets = sum(traffic.count for traffic in scenario.traffic)
    if targets * scenario.duration_s > MOST_TARGET_SECONDS:
        yield (
            f"{targets} targets for {scenario.duration_s} s are too much",
            f"their product may be {MOST_TARGET_SECONDS}",
        )
