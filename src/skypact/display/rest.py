"""The REST interface: the latest picture, one track, the sensors and the centre, as JSON."""

import html
import math
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from skypact import __version__
from skypact.core.errors import BadInputError
from skypact.core.text import callsign_to_text
from skypact.core.units import DEGREE, FLIGHT_LEVEL
from skypact.display.frame import course
from skypact.display.hub import DisplayHub
from skypact.display.model import (
    CentreInfo,
    CentreRecord,
    Judgement,
    PartnerRecord,
    SensorRecord,
    TrackRecord,
    TracksRecord,
    WordRecord,
)
from skypact.tracks.model import Identity, Picture, TargetKind


def add_rest(app: FastAPI, hub: DisplayHub, info: CentreInfo) -> None:
    """Add the REST interface below `/api` to `app`."""

    # Plain functions: FastAPI runs them on worker threads, so a large answer never holds up the streams.
    @app.get("/api/tracks", response_model=TracksRecord, summary="The latest picture")
    def tracks() -> Response:
        picture = hub.picture
        if picture is None:
            return _json({"time": None, "sequence": None, "tracks": []})
        rows = [track_record(picture, row) for row in range(len(picture))]
        return _json({"time": picture.time, "sequence": picture.sequence, "tracks": rows})

    @app.get("/api/tracks/{number}", response_model=TrackRecord, summary="One track of the latest picture")
    def track(number: int) -> Response:
        picture = hub.picture
        rows = [] if picture is None else np.flatnonzero(picture.number == number).tolist()
        if picture is None or not rows:
            raise HTTPException(404, f"no track {number} in the latest picture")
        return _json(track_record(picture, rows[0]))

    @app.get("/api/sensors", response_model=list[SensorRecord], summary="The sensors and how they do")
    def sensors() -> Response:
        return _json(sensor_records(hub, info))

    @app.get("/api/partners", response_model=list[PartnerRecord], summary="The partners and their links")
    def partners() -> Response:
        return _json(hub.partners)

    @app.get(
        "/api/correlations", response_model=list[WordRecord], summary="What people said of pairs of tracks"
    )
    def words() -> Response:
        return _json(hub.words)

    if info.judge is not None:
        judge = info.judge

        @app.post("/api/correlations", response_model=list[WordRecord], summary="Say something of two tracks")
        def say(request: Request, judgement: Judgement) -> Response:
            if not is_same_origin(request.headers.get("origin"), request.headers.get("host")):
                raise HTTPException(403, "from a page of this centre only")
            try:
                judge(judgement.verdict, judgement.model_dump(exclude={"verdict"}))
            except BadInputError as error:
                raise HTTPException(409, str(error)) from None
            return _json(hub.words)

    @app.get("/api/centre", response_model=CentreRecord, summary="The centre")
    def centre() -> Response:
        return _json(centre_record(hub, info))

    @app.get("/api/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(_docs_page(app.openapi()))


def is_same_origin(origin: str | None, host: str | None) -> bool:
    """Whether it comes from this server's own page; programs other than browsers send no origin."""
    return origin is None or urlsplit(origin).netloc == host


def track_record(picture: Picture, row: int) -> dict[str, Any]:
    """The fields of a `TrackRecord` for one row of a picture."""
    altitude = _value(picture.altitude[row])
    squawk, address = int(picture.squawk[row]), int(picture.address[row])
    high, low = int(picture.uid[row, 0]), int(picture.uid[row, 1])
    velocity = picture.velocity[row : row + 1]
    return {
        "number": int(picture.number[row]),
        "joint": f"{picture.centre_names[picture.joint_centre[row]]}-{picture.joint_number[row]:05d}",
        "centres": [
            name for bit, name in enumerate(picture.centre_names) if int(picture.centres[row]) >> bit & 1
        ],
        "reporter": picture.centre_names[picture.reporter[row]],
        "report_age": _value(picture.report_age[row]),
        "uid": f"{high:016x}{low:016x}",
        "time": picture.time,
        "latitude_deg": math.degrees(picture.latitude[row]),
        "longitude_deg": math.degrees(picture.longitude[row]),
        "height": _value(picture.height[row]),
        "altitude": altitude,
        "flight_level": None if altitude is None else altitude / FLIGHT_LEVEL,
        "course_deg": math.degrees(course(velocity)[0]),
        "speed": math.hypot(velocity[0, 0], velocity[0, 1]),
        "vertical_rate": _value(picture.vertical_rate[row]),
        "squawk": None if squawk < 0 else f"{squawk:04o}",
        "address": None if address < 0 else f"{address:06X}",
        "callsign": callsign_to_text(int(picture.callsign[row])) or None,
        "sensors": _sensors_of(picture, row),
        "identity": _words(Identity(picture.identity[row])),
        "kind": _words(TargetKind(picture.kind[row])),
        "coasting": bool(picture.is_coasting[row]),
        "simulated": bool(picture.is_simulated[row]),
        "existence": float(picture.existence[row]),
        "updated": float(picture.updated[row]),
        "age": picture.time - float(picture.updated[row]),
        "born": float(picture.born[row]),
        "accuracy": _accuracy(picture.covariance[row, :2, :2]),
    }


def sensor_records(hub: DisplayHub, info: CentreInfo) -> list[dict[str, Any]]:
    """The fields of a `SensorRecord` for each sensor of the table, and those that only report health."""
    records: dict[str, dict[str, Any]] = {}
    if info.sensors is not None:
        for sensor, range_max in zip(info.sensors.sensors, info.sensors.range_max.tolist(), strict=True):
            records[sensor.name] = {
                "name": sensor.name,
                "kind": sensor.kind,
                "latitude_deg": sensor.latitude_deg,
                "longitude_deg": sensor.longitude_deg,
                "range_max": range_max,
            }
    for health in hub.health:
        records.setdefault(health.name, {}).update(msgspec.to_builtins(health))
    return list(records.values())


def centre_record(hub: DisplayHub, info: CentreInfo) -> dict[str, Any]:
    """The fields of a `CentreRecord`."""
    picture = hub.picture
    names: list[str] = list(info.sensors.names) if info.sensors is not None else []
    return {
        "name": info.name,
        "version": __version__,
        "latitude_deg": info.reference.latitude / DEGREE,
        "longitude_deg": info.reference.longitude / DEGREE,
        "time": time.time(),
        "sensor_names": list(picture.sensor_names) if picture is not None else names,
        "history_period": hub.history_period,
        "judged": info.judge is not None,
        "demo": info.cut_link is not None,
    }


def _json(content: Any) -> Response:
    return Response(
        msgspec.json.encode(content), media_type="application/json", headers={"cache-control": "no-store"}
    )


def _value(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _words(value: Identity | TargetKind) -> str:
    return value.name.lower().replace("_", " ")


def _sensors_of(picture: Picture, row: int) -> list[str]:
    words = picture.sensors[row]
    return [
        name
        for sensor, name in enumerate(picture.sensor_names)
        if sensor // 64 < len(words) and int(words[sensor // 64]) >> sensor % 64 & 1
    ]


def _accuracy(covariance: np.ndarray) -> dict[str, float] | None:
    if not np.isfinite(covariance).all():
        return None
    variances, axes = np.linalg.eigh(covariance)
    minor, major = np.sqrt(np.maximum(variances, 0.0)).tolist()
    axis = math.degrees(math.atan2(axes[0, 1], axes[1, 1])) % 180.0
    return {"semi_major": major, "semi_minor": minor, "axis_deg": axis}


def _docs_page(schema: dict[str, Any]) -> str:
    """A plain page of the interface, made here because the usual viewers load from the internet."""
    title = html.escape(f"{schema['info']['title']} {schema['info']['version']}")
    calls = []
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
            record = answer.get("items", answer)["$ref"].rsplit("/", 1)[-1]
            link = f'<a href="#{record}">{record}</a>'
            calls.append(_table_row(f"{method.upper()} {path}", html.escape(operation["summary"]), link))
    parts = []
    for name, model in schema["components"]["schemas"].items():
        if name.endswith("Record"):
            fields = [
                _table_row(field, html.escape(about.get("description", "")))
                for field, about in model["properties"].items()
            ]
            about = html.escape(model["description"])
            parts.append(f'<h2 id="{name}">{name}</h2><p>{about}</p><table>{"".join(fields)}</table>')
    return (
        f"<!doctype html><html lang=en><title>{title}</title><h1>{title}</h1>"
        "<p>Streams: <code>/ws/picture</code> and <code>/ws/events</code>. Machine-readable: "
        '<a href="/api/openapi.json">/api/openapi.json</a>.</p>'
        f"<table>{''.join(calls)}</table>{''.join(parts)}"
    )


def _table_row(code: str, *cells: str) -> str:
    return (
        f"<tr><td><code>{html.escape(code)}</code></td>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
    )
