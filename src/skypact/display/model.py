"""What the web page is told of its centre, and the records of the REST interface."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from skypact.core.geodesy import Geodetic
from skypact.sensors.model import SensorTable


@dataclass(frozen=True, slots=True)
class CentreInfo:
    """What stays the same about a centre while its server runs."""

    name: str
    reference: Geodetic  # origin of the centre's frame; the page opens there
    sensors: SensorTable | None = None  # their sites are drawn on the map
    cut_link: Callable[[bool], None] | None = None  # of the demo: cuts the links, or heals them
    judge: Callable[[str, dict[str, str]], None] | None = None  # says same, different or release of tracks


class AccuracyRecord(BaseModel):
    """One-sigma ellipse of the horizontal position."""

    semi_major: float = Field(description="standard deviation along the long axis, m")
    semi_minor: float = Field(description="standard deviation along the short axis, m")
    axis_deg: float = Field(description="direction of the long axis, clockwise from true north, 0 to 180")


class TrackRecord(BaseModel):
    """One track of the latest picture; no value is null."""

    number: int = Field(description="in this centre; from 32768 on of tracks that only partners have")
    joint: str = Field(description="joint track number, the same at all partners, as in ALPHA-00017")
    centres: list[str] = Field(description="whose tracks are in it")
    reporter: str = Field(description="the centre that holds reporting responsibility")
    report_age: float | None = Field(description="of the oldest partner's report in the state, s")
    uid: str = Field(description="32 hex digits, never reused")
    time: float = Field(description="of applicability, UTC seconds since 1970")
    latitude_deg: float
    longitude_deg: float
    height: float | None = Field(description="above the WGS-84 ellipsoid, m")
    altitude: float | None = Field(description="last pressure altitude, m")
    flight_level: float | None = Field(description="the same in hundreds of feet")
    course_deg: float = Field(description="over ground, clockwise from true north")
    speed: float = Field(description="over ground, m/s")
    vertical_rate: float | None = Field(description="m/s, positive up")
    squawk: str | None = Field(description="Mode 3/A code, four octal digits")
    address: str | None = Field(description="Mode S address, six hex digits")
    callsign: str | None
    sensors: list[str] = Field(description="that fed the track lately")
    identity: str = Field(description="pending, unknown, assumed friend, friend, neutral, suspect or hostile")
    kind: str = Field(description="unknown, airliner, jet, light, helicopter, drone, balloon or bird")
    coasting: bool = Field(description="predicted, for lack of plots that were expected")
    simulated: bool = Field(description="fed by simulated plots alone, from its birth on")
    existence: float = Field(description="probability that there is a target")
    updated: float = Field(description="detection time of the last plot, UTC seconds since 1970")
    age: float = Field(description="time of applicability minus `updated`, s")
    born: float = Field(description="detection time of the first plot, UTC seconds since 1970")
    accuracy: AccuracyRecord | None


class TracksRecord(BaseModel):
    """The latest picture."""

    time: float | None = Field(description="of applicability, UTC seconds since 1970; null before the first")
    sequence: int | None
    tracks: list[TrackRecord]


class SensorRecord(BaseModel):
    """One sensor: where it stands and how it does now."""

    name: str
    kind: str
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    range_max: float | None = Field(None, description="m")
    state: str | None = Field(None, description="fresh, stale or silent; null before its first report")
    last_received: float | None = Field(None, description="UTC seconds since 1970")
    plots_per_second: float | None = None
    plots_total: int | None = None
    errors_total: int | None = None
    errors: dict[str, int] = {}
    rotation_period: float | None = Field(None, description="measured, s")
    clock_offset: float | None = Field(None, description="median of arrival minus detection time, s")
    outcomes: dict[str, int] = Field(
        {},
        description="plots by what became of them, total: "
        "updated, started, clutter, filtered, late, malformed, quarantined",
    )
    reasons: dict[str, int] = Field({}, description="why plots fed no track, total, most frequent first")
    used_share: float | None = Field(
        None,
        description="of the plots settled in the last minute, those that fed a track; null below 10",
    )
    refused_share: float | None = Field(
        None, description="the same for those filtered, late or malformed; copies of a plot left out"
    )


class CommonalityRecord(BaseModel):
    """How far two pictures agree on what both centres hold and both may see; shares from 0 to 1."""

    held: int = Field(description="aircraft that both hold")
    number: float = Field(description="share under the same joint number")
    state: float = Field(description="share at the same place")
    identity: float = Field(description="share of the same identity")
    skew: float | None = Field(description="the partner's clock minus ours, s")


class PartnerRecord(BaseModel):
    """How the exchange with one partner stands; rungs are plots, tracks, alerts or alone."""

    name: str
    link: str = Field(description="up, late or down")
    since: float | None = Field(description="of that state, UTC seconds since 1970")
    heard: float | None = Field(description="when its last message came, UTC seconds since 1970")
    we_give: str = Field(description="rung of what it gets")
    we_give_why: str = Field(description="why it is no higher one")
    they_give: str = Field(description="rung of what it gives")
    suspended: str | None = Field(description="the reason, while a person here has stopped what it gets")
    suspends_us: str | None = Field(
        description="its reason, empty when it gives none, while a person there has stopped what we get"
    )
    mode: str = Field(description="exercise, while both sides have agreed to the same one; else live")
    exercise: str = Field(description="that this centre takes part in; empty for none")
    their_exercise: str = Field(description="that the partner takes part in; empty for none")
    tracks: int = Field(description="of it in our picture")
    report_age: float | None = Field(description="of its newest tracks, s")
    bytes_out: float = Field(description="that it acknowledged in the last second")
    in_flight: int = Field(description="bytes on their way to it")
    gaps: int = Field(description="live messages that never came")
    refused: int = Field(description="messages that could not be used")
    journal_ours: int = Field(description="our last record that it holds")
    journal_theirs: int = Field(description="its last record that we hold")
    commonality: CommonalityRecord | None
    number_changes: int = Field(description="of our tracks since the link came up last")
    expires: float | None = Field(description="when its certificate ends, UTC seconds since 1970")


class WordRecord(BaseModel):
    """What a person said of two tracks, one of them at least in the picture."""

    numbers: tuple[int, int] = Field(
        description="in this centre; twice the same where they are one track, 0 for one that is not there"
    )
    joints: tuple[str, str] = Field(description="joint track numbers; empty for one that is not there")
    is_one: bool = Field(description="that they are one aircraft; else two")
    binds: bool = Field(description="said in this centre, above the rules; else a partner's proposal")
    centre: str = Field(description="in which it was said")
    by: str
    reason: str
    said: float = Field(description="UTC seconds since 1970, by the clock of that centre")


class Judgement(BaseModel):
    """What a person says of two tracks; of one, named twice, that its centres' tracks are one, or are not."""

    verdict: Literal["same", "different", "release"]
    one: str = Field(description="joint track number, as in ALPHA-00017, or number in this centre")
    other: str
    by: str = Field(description="who says it")
    reason: str


class CentreRecord(BaseModel):
    """The centre that this page belongs to."""

    name: str
    version: str
    latitude_deg: float
    longitude_deg: float
    time: float = Field(description="the centre's clock, UTC seconds since 1970")
    sensor_names: list[str] = Field(description="in the order of the bits of picture frames")
    history_period: float = Field(description="time between the dots of a trail, s")
    judged: bool = Field(description="whether people may say here that tracks are one aircraft, or two")
    demo: bool = Field(description="whether the links can be cut here: POST /api/demo/link")
