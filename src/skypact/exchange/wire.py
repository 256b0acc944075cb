"""What partners send each other as bytes: a msgpack header and raw columns, versioned, checked before use.

A message is a msgpack map. Each has `schema` (its name), `version` ([major, minor]), `epoch` (start
of the centre that sent it, ns since 1970; a restart is a new one), `sequence` (chosen by the sender)
and `time` (UTC s since 1970); tables have `rows` and `columns`: name -> [dtype, bytes], little-endian.

    schema     columns or fields, in SI units, angles in rad on WGS-84
    tracks     those of `TrackReport`; `covariance` is the upper triangle, row by row
    plots      those of `PlotBatch`; `sensor` is a row of `sensor_names`
    sensors    `sensors`: rows of a sensor table as in `sensors.toml`
    health     `health`: as `SensorHealth`
    hello, beat, ack   their own

Within a major version columns and fields are only added. A reader ignores those that it does not
know and fills those that are missing with "no value"; it refuses another major version. A column
that holds "no value" in each row is left out. Nothing of a message is believed: `decode` checks
dtype, length, number of rows, indices and bounds, and makes no array before it knows that the bytes
are there, so that a hostile message costs its own size and no more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from skypact.core.errors import SkypactError
from skypact.core.geodesy import Geodetic
from skypact.exchange.model import REPORT_COLUMNS, Rung, TrackReport
from skypact.plots.model import COLUMNS as PLOT_COLUMNS
from skypact.plots.model import NO_ADDRESS, NO_CALLSIGN, NO_SQUAWK, PlotBatch
from skypact.sensors.model import Sensor, SensorHealth, SensorKind
from skypact.tracks.model import Identity, TargetKind

T = TypeVar("T")
MAJOR, MINOR = 1, 1
TILES = 64  # of a picture on the wire
MAX_PAYLOAD = 8 * 2**20  # bytes; what the engine carries at most
MAX_ROWS = 100_000
MAX_NAMES = 1024  # sensors that one message may name
MAX_TILES = 4096

MAX_REASON = 200  # characters
Name = Annotated[str, Meta(max_length=64)]
Names = Annotated[tuple[Name, ...], Meta(max_length=MAX_NAMES)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class WireError(SkypactError):
    """A message that can't be used."""

    def __init__(self, what: str, schema: str = "", field: str = "") -> None:
        """Args: `what` is wrong, in a message of which `schema` and in which `field`, as far as known."""
        self.what = what
        self.schema = schema
        self.field = field
        super().__init__(": ".join(part for part in (f"{schema or 'unknown'} message", field, what) if part))


@dataclass(frozen=True, slots=True)
class Tracks:
    """One tile of a partner's tracks: all that it holds now, not what changed."""

    epoch: int  # ns since 1970
    sequence: int
    tile: int
    tiles: int
    label: str
    report: TrackReport


@dataclass(frozen=True, slots=True)
class Plots:
    """Plots as they arrived at a partner."""

    epoch: int  # ns since 1970
    sequence: int
    time: float  # of sending, UTC s since 1970
    label: str
    sensor_names: tuple[str, ...]  # that `plots.sensor` points into
    plots: PlotBatch


@dataclass(frozen=True, slots=True)
class Sensors:
    """The sensors whose plots a partner releases."""

    epoch: int  # ns since 1970
    sequence: int
    time: float  # UTC s since 1970
    sensors: tuple[Sensor, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """How a partner's released sensors do."""

    epoch: int  # ns since 1970
    sequence: int
    time: float  # UTC s since 1970
    health: tuple[SensorHealth, ...]


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """Who a partner is and how it takes part."""

    epoch: Count  # ns since 1970
    sequence: Count
    time: float  # UTC s since 1970
    centre: Name
    software: Name  # its version, as in "0.1.0"
    reference: Geodetic  # origin of its local frame
    mode: Literal["live", "exercise"]
    rung: Rung  # the highest that it offers
    exercise: Name = ""  # that is on with the reader; its simulated plots and tracks come along, flagged
    unit: Annotated[int, Meta(ge=0, le=255)] = 0  # system unit in I062/510; 0: not told
    suspended: bool = False  # a person has stopped what the reader gets
    reason: Annotated[str, Meta(max_length=MAX_REASON)] = ""  # for that, where the release policy gives it


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """That a partner lives, by its own clock."""

    epoch: Count  # ns since 1970
    sequence: Count
    time: float  # UTC s since 1970
    rung: Rung  # that it serves now
    journal: Count  # sequence of the last record of its journal


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader has taken from the owner's paths; newest sequence of each, 0 for none."""

    epoch: Count  # of the owner whose messages are acknowledged, ns since 1970
    sequence: Count
    time: float  # by the reader's clock, UTC s since 1970
    live: Count
    values: Count
    journal: Count


_Faults = Callable[[dict[str, NDArray[Any]]], Iterator[tuple[str, str, NDArray[np.bool_]]]]
Message = Tracks | Plots | Sensors | Health | Hello | Beat | Ack


_NAN = float("nan")
_MOST = 1e12  # beyond any length, speed, variance or time that means something


@dataclass(frozen=True, slots=True)
class _Column:
    """How one column of a table travels, and what it may hold."""

    name: str
    dtype: np.dtype[Any]  # in memory
    wire: np.dtype[Any]  # as it is sent
    empty: float | None  # "no value", which a missing column is filled with; None: must be there
    width: int = 1  # values per row
    low: float | None = None  # least value; None: any bits are a value
    high: float = _MOST

    def is_void(self, array: NDArray[Any]) -> bool:
        """Whether each row holds "no value"."""
        if self.empty is None or array.size == 0:
            return False
        if np.isnan(self.empty):
            return bool(np.isnan(array.flat[0]) and np.isnan(array).all())
        return bool(array.flat[0] == self.empty and (array == self.empty).all())

    def holds(self, array: NDArray[Any]) -> bool:
        """Whether each value lies within its bounds, or is NaN where that is "no value"."""
        if self.low is None or array.size == 0:
            return True
        if self.empty is not None and np.isnan(self.empty):
            # The reductions are NaN only if all values are.
            low, high = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
            return not (low < self.low or high > self.high)
        return bool(array.min() >= self.low and array.max() <= self.high)

    def sound_rows(self, array: NDArray[Any]) -> NDArray[np.bool_]:
        """(N,) whether `holds` is true of each row."""
        if self.low is None:
            return np.ones(len(array), dtype=np.bool_)
        sound = (array >= self.low) & (array <= self.high)
        if self.empty is not None and np.isnan(self.empty):
            sound |= np.isnan(array)
        return np.asarray(sound.reshape(len(array), -1).all(axis=1))


def _column(
    name: str,
    wire: str,
    empty: float | None,
    low: float | None = None,
    high: float = _MOST,
    *,
    width: int = 1,
    dtype: Any = None,
) -> _Column:
    in_memory = np.dtype(np.float64 if wire[1] == "f" else dtype or wire[1:])
    return _Column(name, in_memory, np.dtype(wire), empty, width, low, high)


_SQUAWK = _column("squawk", "<i2", NO_SQUAWK, -1, 0o7777)
_ADDRESS = _column("address", "<i4", NO_ADDRESS, -1, 0xFFFFFF)
_CALLSIGN = _column("callsign", "<i8", NO_CALLSIGN, 0, 2**48 - 1)
_TRACK_COLUMNS = (
    _column("uid", "<u8", None, width=2),
    _column("number_centre", "|u1", None),
    _column("number", "<i4", None, 0, 32_767),
    _column("numbered", "<f8", None, -_MOST),
    _column("latitude", "<f8", None, -np.pi / 2.0, np.pi / 2.0),
    _column("longitude", "<f8", None, -np.pi, np.pi),
    _column("height", "<f4", _NAN, -_MOST),
    _column("velocity", "<f4", _NAN, -_MOST, width=3),
    _column("covariance", "<f4", _NAN, -_MOST, width=10),
    _column("altitude", "<f4", _NAN, -_MOST),
    _column("existence", "<f4", 1.0, 0.0, 1.0),
    _column("updated", "<f8", None, -_MOST),
    _column("is_coasting", "|u1", 0, dtype=np.bool_),
    _column("is_simulated", "|u1", 0, dtype=np.bool_),
    _column("is_reporter", "|u1", 0, dtype=np.bool_),
    _SQUAWK,
    _ADDRESS,
    _CALLSIGN,
    _column("identity", "|u1", Identity.PENDING),
    _column("kind", "|u1", TargetKind.UNKNOWN),
    _column("sensors", "<u8", 0),  # its width follows from the number of sensor names
)
_PLOT_COLUMNS = (
    _column("sensor", "<i4", None, 0, MAX_NAMES - 1),
    _column("time", "<f8", None, -_MOST),
    _column("received", "<f8", None, -_MOST),
    _column("range", "<f8", _NAN, -_MOST),
    _column("azimuth", "<f8", _NAN, -_MOST),
    _column("elevation", "<f4", _NAN, -_MOST),
    _column("range_rate", "<f4", _NAN, -_MOST),
    _column("altitude", "<f4", _NAN, -_MOST),
    _column("height", "<f4", _NAN, -_MOST),
    _column("latitude", "<f8", _NAN, -np.pi / 2.0, np.pi / 2.0),
    _column("longitude", "<f8", _NAN, -np.pi, np.pi),
    *(
        _column(f"sigma_{name}", "<f4", _NAN, 1e-9)
        for name in ("range", "azimuth", "elevation", "range_rate", "altitude", "position")
    ),
    _SQUAWK,
    _ADDRESS,
    _CALLSIGN,
    _column("flags", "<u2", 0),
)
_SIGMA_OF = {
    "range": "sigma_range",
    "azimuth": "sigma_azimuth",
    "elevation": "sigma_elevation",
    "range_rate": "sigma_range_rate",
    "altitude": "sigma_altitude",
    "height": "sigma_altitude",
    "latitude": "sigma_position",
    "longitude": "sigma_position",
}
_UPPER = np.ravel_multi_index(np.triu_indices(4), (4, 4))  # the triangle's places in a whole matrix
# and the place in the triangle of each element of a whole matrix
_WHOLE = np.array([[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]]).ravel()
_VARIANCES = (0, 4, 7, 9)  # places of the variances in the triangle


class _Start(msgspec.Struct, frozen=True):
    """What is read first of each message; the decoder skips the rest without making it."""

    schema: Name
    version: tuple[Count, Count]


class _Numbered(msgspec.Struct, frozen=True, kw_only=True):
    epoch: Count
    sequence: Count
    time: float


class _Table(_Numbered, frozen=True, kw_only=True):
    """A message with columns."""

    rows: Annotated[int, Meta(ge=0, le=MAX_ROWS)]
    columns: msgspec.Raw
    label: Name = ""
    sensor_names: Names = ()


class _TracksTable(_Table, frozen=True, kw_only=True):
    centre: Name
    centre_names: Annotated[tuple[Name, ...], Meta(max_length=256)]
    tile: Annotated[int, Meta(ge=0, lt=MAX_TILES)]
    tiles: Annotated[int, Meta(ge=1, le=MAX_TILES)]


class _SensorRow(Sensor, frozen=True, kw_only=True, forbid_unknown_fields=False):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Name = "radar"
    edition: Annotated[dict[Name, Name], Meta(max_length=256)] = msgspec.field(default_factory=dict)


class _HealthRow(SensorHealth, frozen=True, kw_only=True):
    name: Name
    kind: Name
    errors: Annotated[dict[Name, Count], Meta(max_length=256)]


class _SensorsMessage(_Numbered, frozen=True, kw_only=True):
    sensors: Annotated[tuple[_SensorRow, ...], Meta(max_length=MAX_NAMES)]


class _HealthMessage(_Numbered, frozen=True, kw_only=True):
    health: Annotated[tuple[_HealthRow, ...], Meta(max_length=MAX_NAMES)]


def tile_of(uid: NDArray[np.uint64], tiles: int = TILES) -> NDArray[np.int64]:
    """(N,) tile of each track by its (N, 2) identifier; it stays in that tile as long as it lives."""
    # Multiplied by 2**64 over the golden ratio, so that identifiers in a row spread over the tiles.
    mixed = (uid[:, 0] ^ uid[:, 1]) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)
    return (mixed % np.uint64(tiles)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class TrackTile:
    """One tile of a picture, ready to be encoded; shares its octets with the picture's other tiles."""

    report: TrackReport  # of the whole picture, for what stands in the header
    columns: dict[str, tuple[str, memoryview]]  # dtype and octets
    rows: int

    def __len__(self) -> int:
        return self.rows


def cut_tiles(report: TrackReport, tiles: int = TILES) -> list[TrackTile]:
    """The picture as one tile after the other, empty ones too, each row in the tile of its identifier.

    A row that no reader would take (a position or covariance that is not finite) is left out. Rows are
    checked and converted here, all at once, since each tile by itself would take twice the time.
    """
    arrays = {column.name: getattr(report, column.name) for column in _TRACK_COLUMNS}
    arrays["covariance"] = np.take(report.covariance.reshape(-1, 16), _UPPER, axis=1)
    arrays["sensors"] = report.sensors[:, : _words(report.sensor_names)]
    arrays = _sound_part(_TRACK_COLUMNS, arrays, _track_faults)
    tile = tile_of(arrays["uid"], tiles).astype(np.uint16)  # which sorts by counting
    order = np.argsort(tile, kind="stable")
    octets: dict[str, tuple[str, int, memoryview]] = {}
    for column in _TRACK_COLUMNS:
        array = arrays[column.name]
        if not column.is_void(array):
            sorted_rows = np.ascontiguousarray(array, dtype=column.wire)[order]
            size = sorted_rows.itemsize * (array.shape[1] if array.ndim > 1 else 1)
            octets[column.name] = (column.wire.str, size, sorted_rows.reshape(-1).view(np.uint8).data)
    ends = np.cumsum(np.bincount(tile, minlength=tiles)).tolist()
    return [
        TrackTile(
            report,
            {name: (wire, data[start * size : end * size]) for name, (wire, size, data) in octets.items()},
            end - start,
        )
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]


def encode_tile(
    tile: TrackTile, epoch: int, sequence: int, number: int = 0, tiles: int = 1, label: str = ""
) -> bytes:
    """The message for a tile from `cut_tiles`, the `number`th of `tiles`.

    A picture whose parts have different times, as a release policy delays some, is sent as several
    sets of `TILES` tiles, one after the other: `number` counts through all of them.
    """
    report = tile.report
    header = {
        "time": report.time,
        "tile": number,
        "tiles": tiles,
        "centre": report.centre,
        "centre_names": report.centre_names,
        "epoch": epoch,
        "sequence": sequence,
        "label": label,
        "sensor_names": report.sensor_names,
    }
    return _encode_columns("tracks", header, tile.rows, tile.columns)


def encode_tracks(report: TrackReport, epoch: int, sequence: int, label: str = "") -> bytes:
    """The message for a picture in one tile."""
    return encode_tile(cut_tiles(report, 1)[0], epoch, sequence, label=label)


def encode_plots(
    plots: PlotBatch, sensor_names: Sequence[str], epoch: int, sequence: int, time: float, label: str = ""
) -> bytes:
    """The message for plots, of which `sensor` is a row of `sensor_names`; `time` is of sending, UTC s.

    A plot that no reader would take (without a finite time, or with a sigma that is not positive)
    is left out.
    """
    arrays = {name: getattr(plots, name) for name in PLOT_COLUMNS}
    header = {"epoch": epoch, "sequence": sequence, "label": label, "sensor_names": sensor_names}
    arrays = _sound_part(_PLOT_COLUMNS, arrays, _plot_faults)
    raw = {
        column.name: (column.wire.str, np.ascontiguousarray(arrays[column.name], dtype=column.wire).data)
        for column in _PLOT_COLUMNS
        if not column.is_void(arrays[column.name])
    }
    return _encode_columns("plots", {"time": time, **header}, len(arrays["time"]), raw)


def encode_sensors(sensors: Sequence[Sensor], epoch: int, sequence: int, time: float) -> bytes:
    """The message that tells which sensors are released; `time` in UTC s."""
    return _encode_rest("sensors", Sensors(epoch, sequence, time, tuple(sensors)))


def encode_health(health: Sequence[SensorHealth], epoch: int, sequence: int, time: float) -> bytes:
    """The message that tells how released sensors do; `time` in UTC s."""
    return _encode_rest("health", Health(epoch, sequence, time, tuple(health)))


def encode_hello(hello: Hello) -> bytes:
    """The message that tells who the centre is."""
    return _encode_rest("hello", hello)


def encode_beat(beat: Beat) -> bytes:
    """The message that tells that the centre lives."""
    return _encode_rest("beat", beat)


def encode_ack(ack: Ack) -> bytes:
    """The message back to the owner."""
    return _encode_rest("ack", ack)


def decode(payload: bytes) -> Message:
    """The message in a payload.

    Raises:
        WireError: bytes that are no message, a schema or major version that is not known, a column
            that is missing, of another dtype or length, or with a value out of its bounds.
    """
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"{len(payload)} bytes, at most {MAX_PAYLOAD} are read")
    start = _read(_START, payload, "")
    if start.schema not in _DECODERS:
        raise WireError("a schema that is not known", start.schema)
    if start.version[0] != MAJOR:
        raise WireError(
            f"version {start.version[0]}.{start.version[1]}, this centre reads {MAJOR}.x", start.schema
        )
    return _DECODERS[start.schema](payload)


def _words(sensor_names: Sequence[str]) -> int:
    return max(1, -(-len(sensor_names) // 64))


def _sound_part(
    columns: tuple[_Column, ...], arrays: dict[str, NDArray[Any]], faults: _Faults
) -> dict[str, NDArray[Any]]:
    """The rows that a reader would take."""
    bad = np.zeros(len(arrays[columns[0].name]), dtype=np.bool_)
    for column in columns:
        if not column.holds(arrays[column.name]):
            bad |= ~column.sound_rows(arrays[column.name])
    for _, _, faulty in faults(arrays):
        bad |= faulty
    return {name: array[~bad] for name, array in arrays.items()} if bad.any() else arrays


def _encode_columns(
    schema: str, header: dict[str, Any], rows: int, columns: dict[str, tuple[str, memoryview]]
) -> bytes:
    start = {"schema": schema, "version": (MAJOR, MINOR)}
    return _ENCODER.encode({**start, **header, "rows": rows, "columns": columns})


def _encode_rest(schema: str, message: Any) -> bytes:
    fields = msgspec.to_builtins(message)
    return _ENCODER.encode({"schema": schema, "version": (MAJOR, MINOR), **fields})


def _read(decoder: msgspec.msgpack.Decoder[T], payload: bytes | msgspec.Raw, schema: str) -> T:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error), schema) from None


def _decode_tracks(payload: bytes) -> Tracks:
    table = _read(_TRACKS, payload, "tracks")
    _check_times(table, "tracks")
    if table.tile >= table.tiles:
        raise WireError(f"{table.tile} of {table.tiles}", "tracks", "tile")
    words = _words(table.sensor_names)
    arrays = _columns(table, "tracks", _TRACK_COLUMNS, _read(_TRACK_RAW, table.columns, "tracks"), words)
    _refuse(_track_faults(arrays), "tracks")
    if table.rows:
        if arrays["number_centre"].max() >= len(table.centre_names):
            raise WireError("points to no name", "tracks", "number_centre")
        _check_bits(arrays["sensors"], len(table.sensor_names))
        in_set = min(table.tiles, TILES)
        if (tile_of(arrays["uid"], in_set) != table.tile % in_set).any():
            raise WireError("a track of another tile", "tracks", "uid")
    for name, words_known in (("identity", Identity), ("kind", TargetKind)):
        # A word of a later version is no word here.
        arrays[name][arrays[name] >= len(words_known)] = 0
    arrays["covariance"] = np.take(arrays["covariance"], _WHOLE, axis=1).reshape(-1, 4, 4)
    report = TrackReport(
        table.time,
        table.centre,
        table.centre_names,
        table.sensor_names,
        *(arrays[name] for name in REPORT_COLUMNS),
    )
    return Tracks(table.epoch, table.sequence, table.tile, table.tiles, table.label, report)


def _decode_plots(payload: bytes) -> Plots:
    table = _read(_PLOTS, payload, "plots")
    _check_times(table, "plots")
    arrays = _columns(table, "plots", _PLOT_COLUMNS, _read(_PLOT_RAW, table.columns, "plots"), 1)
    _refuse(_plot_faults(arrays), "plots")
    if table.rows and arrays["sensor"].max() >= len(table.sensor_names):
        raise WireError("points to no name", "plots", "sensor")
    if (np.diff(arrays["received"]) < 0.0).any():
        raise WireError("not in order of arrival", "plots", "received")
    plots = PlotBatch(*(arrays[name] for name in PLOT_COLUMNS))
    return Plots(table.epoch, table.sequence, table.time, table.label, table.sensor_names, plots)


def _decode_sensors(payload: bytes) -> Sensors:
    message = _read(_SENSORS, payload, "sensors")
    _check_times(message, "sensors")
    names = [row.name for row in message.sensors]
    if len(set(names)) < len(names):
        raise WireError("two of one name", "sensors", "sensors")
    sensors = []
    for row in message.sensors:
        values = {name: getattr(row, name) for name in Sensor.__struct_fields__}
        if any(isinstance(value, float) and not isfinite(value) for value in values.values()):
            raise WireError("a value that is not finite", "sensors", row.name)
        if row.kind.upper() not in SensorKind.__members__ or row.kind != row.kind.lower():
            raise WireError(f"unknown kind {row.kind!r}", "sensors", row.name)
        sensors.append(Sensor(**values))
    return Sensors(message.epoch, message.sequence, message.time, tuple(sensors))


def _decode_health(payload: bytes) -> Health:
    message = _read(_HEALTH, payload, "health")
    _check_times(message, "health")
    rows = []
    for row in message.health:
        values = {name: getattr(row, name) for name in SensorHealth.__struct_fields__}
        if any(isinstance(value, float) and not isfinite(value) for value in values.values()):
            raise WireError("a value that is not finite", "health", row.name)
        rows.append(SensorHealth(**values))
    return Health(message.epoch, message.sequence, message.time, tuple(rows))


def _decode_hello(payload: bytes) -> Hello:
    hello = _read(_HELLO, payload, "hello")
    _check_times(hello, "hello")
    latitude, longitude, height = hello.reference
    if not (abs(latitude) <= np.pi / 2.0 and abs(longitude) <= np.pi and abs(height) <= _MOST):
        raise WireError("no place on earth", "hello", "reference")
    return hello


def _decode_beat(payload: bytes) -> Beat:
    beat = _read(_BEAT, payload, "beat")
    _check_times(beat, "beat")
    return beat


def _decode_ack(payload: bytes) -> Ack:
    ack = _read(_ACK, payload, "ack")
    _check_times(ack, "ack")
    return ack


def _check_times(message: Any, schema: str) -> None:
    if not abs(message.time) <= _MOST:
        raise WireError("no time", schema, "time")


@np.errstate(invalid="ignore")  # a signalling NaN is a NaN like others
def _columns(
    table: _Table, schema: str, columns: tuple[_Column, ...], raw: msgspec.Struct, words: int
) -> dict[str, NDArray[Any]]:
    """Each column as an array of its own; the message's bytes are checked before one is made."""
    for column in columns:
        sent: tuple[str, memoryview] | None = getattr(raw, column.name)
        if sent is None:
            if column.empty is None:
                raise WireError("is missing", schema, column.name)
        elif sent[0] != column.wire.str:
            raise WireError(f"dtype {sent[0]!r}, expected {column.wire.str}", schema, column.name)
        elif len(sent[1]) != (size := table.rows * _width(column, words) * column.wire.itemsize):
            raise WireError(f"{len(sent[1])} bytes, expected {size}", schema, column.name)
    arrays = {}
    for column in columns:
        sent, width = getattr(raw, column.name), _width(column, words)
        shape = (table.rows, width) if width > 1 or column.name in _MATRICES else (table.rows,)
        if sent is None:
            arrays[column.name] = np.full(shape, column.empty, dtype=column.dtype)
        else:
            array = np.frombuffer(sent[1], dtype=column.wire).reshape(shape)
            if not column.holds(array):
                raise WireError("a value out of its bounds", schema, column.name)
            arrays[column.name] = array.astype(column.dtype)
    return arrays


def _width(column: _Column, words: int) -> int:
    return words if column.name == "sensors" else column.width


def _check_bits(sensors: NDArray[np.uint64], names: int) -> None:
    beyond = names % 64
    last = sensors[:, -1] >> np.uint64(beyond) if beyond or not names else np.zeros(1, np.uint64)
    if last.any():
        raise WireError("points to no name", "tracks", "sensors")


def _refuse(faults: Iterator[tuple[str, str, NDArray[np.bool_]]], schema: str) -> None:
    for field, what, faulty in faults:
        if faulty.any():
            raise WireError(what, schema, field)


def _track_faults(arrays: dict[str, NDArray[Any]]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Field, fault and (N,) rows that have it, of what more than one value decides."""
    east, north, east_speed, north_speed = (arrays["covariance"][:, place] for place in _VARIANCES)
    yield "covariance", "a variance of position that is not positive", ~((east > 0.0) & (north > 0.0))
    yield (
        "covariance",
        "a variance of velocity that is not positive",
        (east_speed <= 0.0) | (north_speed <= 0.0),
    )


def _plot_faults(arrays: dict[str, NDArray[Any]]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Field, fault and (P,) rows that have it, of what more than one value decides."""
    for name, sigma in _SIGMA_OF.items():
        yield sigma, f"none for a {name}", np.isnan(arrays[sigma]) & ~np.isnan(arrays[name])
    one_missing = np.isnan(arrays["latitude"]) != np.isnan(arrays["longitude"])
    yield "latitude", "without longitude, or the other way round", one_missing


def _raw_columns(name: str, columns: tuple[_Column, ...]) -> type[msgspec.Struct]:
    """The columns that are known, so that others are skipped without being made."""
    sent = tuple[Name, memoryview] | None  # dtype and bytes
    return msgspec.defstruct(name, [(column.name, sent, None) for column in columns])


_MATRICES = frozenset({"uid", "velocity", "covariance", "sensors"})  # columns with two dimensions
_ENCODER = msgspec.msgpack.Encoder()
_START = msgspec.msgpack.Decoder(_Start)
_TRACKS = msgspec.msgpack.Decoder(_TracksTable)
_PLOTS = msgspec.msgpack.Decoder(_Table)
_SENSORS = msgspec.msgpack.Decoder(_SensorsMessage)
_HEALTH = msgspec.msgpack.Decoder(_HealthMessage)
_HELLO = msgspec.msgpack.Decoder(Hello)
_BEAT = msgspec.msgpack.Decoder(Beat)
_ACK = msgspec.msgpack.Decoder(Ack)
_TRACK_RAW = msgspec.msgpack.Decoder(_raw_columns("_TrackColumns", _TRACK_COLUMNS))
_PLOT_RAW = msgspec.msgpack.Decoder(_raw_columns("_PlotColumns", _PLOT_COLUMNS))
_DECODERS: dict[str, Callable[[bytes], Message]] = {
    "tracks": _decode_tracks,
    "plots": _decode_plots,
    "sensors": _decode_sensors,
    "health": _decode_health,
    "hello": _decode_hello,
    "beat": _decode_beat,
    "ack": _decode_ack,
}
