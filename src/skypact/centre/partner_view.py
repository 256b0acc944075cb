"""What a partner sees of us: from what its gateway releases, for the command and for the page."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skypact.centre.system_picture import ForeignNumbers, picture_of
from skypact.core.errors import BadInputError
from skypact.core.text import callsigns_to_text
from skypact.core.units import DEGREE, FLIGHT_LEVEL
from skypact.display.hub import DisplayHub
from skypact.display.views import PartnerViews
from skypact.exchange.gateway import Gateway
from skypact.exchange.kernels import move_bits
from skypact.exchange.model import Rung, TrackReport
from skypact.exchange.policy import withheld_fields
from skypact.exchange.reader import join_reports
from skypact.plots.records import EMERGENCY_SQUAWKS
from skypact.tracks.model import Identity, Picture


@dataclass(frozen=True, slots=True)
class PartnerView:
    """What one partner sees of us now."""

    partner: str
    rung: Rung
    why: str  # it is no higher one
    label: str  # of what is released
    sensors: tuple[str, ...]  # of ours that it knows of
    of: int  # tracks that we have
    tracks: TrackReport  # as they leave
    withheld: list[tuple[str, ...]]  # of each track, fields that we know and it does not get


def view_of(gateway: Gateway, ours: TrackReport) -> PartnerView:
    """What the gateway's partner sees. `ours` is our newest report, before any policy.

    The parts that leave are put together as the partner's reader does it.
    """
    parts = [part for part in gateway.released if len(part)]
    tracks = join_reports(parts) if parts else ours.take(slice(0, 0))
    return PartnerView(
        partner=gateway.partner,
        rung=gateway.ladder.rung,
        why=gateway.ladder.why,
        label=gateway.policy.label,
        sensors=tuple(sensor.name for sensor in gateway.sensors),
        of=len(ours),
        tracks=tracks,
        withheld=withheld_fields(ours, tracks),
    )


def view_record(view: PartnerView) -> dict[str, Any]:
    """The view for people and programs to read; no value is None, `withheld` says what is kept back."""
    return _summary(view) | {"tracks": _rows(view)}


@dataclass
class _Shown:
    """What stays the same in a view from one picture to the next."""

    hub: DisplayHub
    numbers: ForeignNumbers = field(default_factory=ForeignNumbers)
    sensor_names: tuple[str, ...] = ()  # that the bits of frames point into; only ever grows
    sequence: int = 0


class ViewPublisher:
    """Hands the views that pages look at to them, after each of our pictures; works for those alone."""

    def __init__(self, views: PartnerViews, view: Callable[[str], PartnerView]) -> None:
        """Args: `views` are the pages' side; `view` gives what a partner sees now."""
        self._views = views
        self._view = view
        self._shown: dict[str, _Shown] = {}

    def publish(self) -> None:
        """Show the views of now, beside our own picture, which was published just before."""
        watched, own = self._views.watched(), self._views.own.picture
        self._shown = {
            partner: shown for partner, shown in self._shown.items() if shown.hub is watched.get(partner)
        }
        for partner, hub in watched.items():
            if own is None:
                continue
            try:
                view = self._view(partner)
            except BadInputError:
                continue  # a partner no longer; its pages learn that from the list of partners
            _publish(self._shown.setdefault(partner, _Shown(hub)), view, own)


def _publish(shown: _Shown, view: PartnerView, own: Picture) -> None:
    shown.sequence += 1
    shown.sensor_names = tuple(dict.fromkeys([*shown.sensor_names, *view.tracks.sensor_names]))
    tracks = _with_sensor_names(view.tracks, shown.sensor_names)
    numbers = shown.numbers.update(tracks.uid)
    order = np.argsort(numbers, kind="stable")
    picture = picture_of(tracks.take(order), own, shown.sequence, numbers[order])
    shown.hub.publish_view(_summary(view) | {"tracks": len(tracks), "emergencies": _hidden(own, picture)})
    shown.hub.publish_picture(picture, [view.withheld[row] for row in order.tolist()])


def _with_sensor_names(report: TrackReport, names: tuple[str, ...]) -> TrackReport:
    """The same report with its sensor bits pointing into `names`, which has all of its names."""
    places = np.array([names.index(name) for name in report.sensor_names], np.int64)
    words = max(1, -(-len(names) // 64))
    return replace(report, sensor_names=names, sensors=move_bits(report.sensors, places, words))


def _summary(view: PartnerView) -> dict[str, Any]:
    return {
        "partner": view.partner,
        "rung": view.rung.name.lower(),
        "why": view.why,
        "label": view.label,
        "sensors": list(view.sensors),
        "of": view.of,
    }


def _hidden(own: Picture, seen: Picture) -> int:
    """Emergency codes in our picture that the partner's view does not show."""
    return sum(
        sign * int(np.isin(picture.squawk, EMERGENCY_SQUAWKS).sum())
        for sign, picture in ((1, own), (-1, seen))
    )


def _rows(view: PartnerView) -> list[dict[str, Any]]:
    report = view.tracks
    callsigns = callsigns_to_text(report.callsign)
    return [
        {
            "joint": f"{report.centre_names[report.number_centre[row]]}-{report.number[row]:05d}",
            "latitude_deg": round(float(report.latitude[row]) / DEGREE, 5),
            "longitude_deg": round(float(report.longitude[row]) / DEGREE, 5),
            "flight_level": known(float(report.altitude[row]) / FLIGHT_LEVEL),
            "squawk": None if report.squawk[row] < 0 else f"{report.squawk[row]:04o}",
            "address": None if report.address[row] < 0 else f"{report.address[row]:06X}",
            "callsign": callsigns[row],
            "identity": Identity(report.identity[row]).name.lower().replace("_", " "),
            "withheld": list(view.withheld[row]),
        }
        for row in range(len(report))
    ]


def known(value: float) -> float | None:
    """The value to two decimals; None for none."""
    return round(value, 2) if math.isfinite(value) else None
