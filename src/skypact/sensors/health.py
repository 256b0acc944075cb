"""How each sensor does: alive or not, its rate, its errors, its rotation and the offset of its clock.

North marks and sector crossings (CAT034, CAT002) say that a radar turns even when it sees
nothing; the rotation period measured from them is for people, the tracker does not use it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.model import MISSING, Datagrams, ErrorCount, RecordColumns
from skypact.core.arrays import Floats1, Int32s1
from skypact.core.units import DAY
from skypact.sensors.model import FASTEST_UPDATE, SensorHealth, SensorKind, SensorState, SensorTable

WINDOW = 60  # s; rates and offsets are of the last minute
SAMPLES = 512  # clock offsets kept per sensor
MOST_MARKS = 500  # of one radar that are looked at in a call
MOST_UNKNOWN = 1000  # sources that no sensor has, counted apart
MARKS = 8  # turns over which the rotation period is measured
SHORTEST_TURN = 0.5  # s; marks closer together are copies on a second line

# A sensor is stale when it missed what was due with half a turn to spare, and silent after four turns.
STALE_TURNS, SILENT_TURNS = 1.5, 4.0
STALE_LEAST, SILENT_LEAST = 3.0, 10.0  # s
_STEADY = {SensorKind.ADSB, SensorKind.MLAT, SensorKind.REMOTE_ID}
STALE_STEADY, SILENT_STEADY = 5.0, 30.0  # s; of sensors without turns, quiet when nobody flies

NORTH_MARK, SECTOR = 1, 2  # I034/000 and I002/000
SERVICE_CATEGORIES = (34, 2)


@dataclass(slots=True)
class _Turns:
    """Times of marks of one radar, from which its rotation period follows."""

    north: list[float] = field(default_factory=list)  # detection times, s
    sector: dict[int, float] = field(default_factory=dict)  # sector -> last crossing, s
    between_sectors: list[float] = field(default_factory=list)  # time for one turn, s

    def note_north(self, time: float) -> None:
        if not self.north or time - self.north[-1] >= SHORTEST_TURN:
            self.north = [*self.north[-MARKS:], time]
        elif time < self.north[-1] - SHORTEST_TURN:
            self.north = [time]  # its clock was set back

    def note_sector(self, time: float, number: int) -> None:
        turn = time - self.sector.get(number, -np.inf)
        if SHORTEST_TURN <= turn < np.inf:
            self.between_sectors = [*self.between_sectors[-4 * MARKS :], turn]
        if not 0.0 <= turn < SHORTEST_TURN:
            self.sector[number] = time

    def period(self) -> float | None:
        """Median time of a turn, s; from north marks where there are two, else from sectors."""
        turns = np.diff(self.north) if len(self.north) >= 2 else np.array(self.between_sectors)
        return float(np.median(turns)) if len(turns) else None


class HealthMonitor:
    """Follows every sensor of a table through what arrives from it."""

    def __init__(self, sensors: SensorTable) -> None:
        """Args: `sensors` to follow; rates are over the time since the first report, at most a minute."""
        count = len(sensors)
        self.sensors = sensors
        self.unknown_sources: dict[str, int] = {}  # SAC/SIC that no sensor has -> records of service messages
        self.other_errors: dict[str, int] = {}  # kind -> errors that no sensor can be blamed for
        self._started: float | None = None
        self._last = np.full(count, -np.inf)
        self._plots = np.zeros(count, dtype=np.int64)
        self._per_second = np.zeros((count, WINDOW), dtype=np.int64)
        self._second = np.full((count, WINDOW), -1, dtype=np.int64)  # which second a bucket counts
        self._offset = np.full((count, SAMPLES), np.nan)
        self._offset_received = np.full((count, SAMPLES), -np.inf)
        self._turns = [_Turns() for _ in range(count)]
        self._errors: list[dict[str, int]] = [{} for _ in range(count)]

    def note_plots(self, sensors: Int32s1, time: Floats1, arrival: Floats1) -> None:
        """Count plots that arrived, by row in the sensor table, time of detection and of arrival."""
        for sensor in np.unique(sensors).tolist():
            mine = sensors == sensor
            received = arrival[mine]
            self._last[sensor] = max(self._last[sensor], received[-1])
            seconds, counts = np.unique(np.floor(received).astype(np.int64), return_counts=True)
            for second, count in zip(seconds.tolist(), counts.tolist(), strict=True):
                bucket = second % WINDOW
                if self._second[sensor, bucket] != second:
                    self._second[sensor, bucket], self._per_second[sensor, bucket] = second, 0
                self._per_second[sensor, bucket] += count
            places = (self._plots[sensor] + np.arange(len(received))) % SAMPLES
            self._offset[sensor, places] = received - time[mine]
            self._offset_received[sensor, places] = received
            self._plots[sensor] += len(received)

    def note_service_messages(self, records: list[RecordColumns], datagrams: Datagrams) -> None:
        """Take north marks and sector crossings from decoded records; other categories are passed over."""
        for columns in records:
            if columns.category not in SERVICE_CATEGORIES or len(columns) == 0:
                continue
            kind, sector = columns.raw("000"), columns.raw("020")
            received = datagrams.received[columns.datagram]
            time = _resolve_day(columns.value("030"), received)
            source = columns.raw("010/SAC").astype(np.int64) * 256 + columns.raw("010/SIC")
            for number in np.unique(source).tolist():
                rows = np.flatnonzero(source == number)
                place = self.sensors.by_source.get((number >> 8, number & 255))
                if place is None:
                    name = "no source" if number < 0 else f"{number >> 8}/{number & 255}"
                    self._note_unknown(name, len(rows))
                    continue
                self._last[place] = max(self._last[place], float(received[rows[-1]]))
                # A radar crosses some ten sectors a second; of a flood the newest are enough.
                for row in rows[-MOST_MARKS:].tolist():
                    if np.isnan(time[row]):
                        continue
                    if kind[row] == NORTH_MARK:
                        self._turns[place].note_north(float(time[row]))
                    elif kind[row] == SECTOR and sector[row] != MISSING:
                        self._turns[place].note_sector(float(time[row]), int(sector[row]))

    def _note_unknown(self, name: str, count: int) -> None:
        if name in self.unknown_sources or len(self.unknown_sources) < MOST_UNKNOWN:
            self.unknown_sources[name] = self.unknown_sources.get(name, 0) + count

    def note_errors(self, errors: dict[tuple[str, str], ErrorCount]) -> None:
        """Count errors by (SAC/SIC, kind)."""
        for (source, kind), error in errors.items():
            self.note_error(source, kind, error.count)

    def note_error(self, source: str, kind: str, count: int) -> None:
        """Count `count` errors of one kind from a source named SAC/SIC, or from nobody that is known."""
        sac, _, sic = source.partition("/")
        is_named = sac.isdigit() and sic.isdigit()
        place = self.sensors.by_source.get((int(sac), int(sic))) if is_named else None
        errors = self.other_errors if place is None else self._errors[place]
        errors[kind] = errors.get(kind, 0) + count

    def report(self, now: float) -> list[SensorHealth]:
        """How each sensor does at `now` (UTC s since 1970), in the order of the table."""
        if self._started is None:
            self._started = now
        elapsed = min(float(WINDOW), max(1.0, now - self._started))
        return [self._report_one(place, now, elapsed) for place in range(len(self.sensors))]

    def _report_one(self, place: int, now: float, elapsed: float) -> SensorHealth:
        sensor = self.sensors.sensors[place]
        period = self._turns[place].period()
        recent = self._second[place] > now - WINDOW
        offsets = self._offset[place][self._offset_received[place] > now - WINDOW]
        return SensorHealth(
            name=sensor.name,
            kind=sensor.kind,
            state=self._state(place, now, period),
            last_received=float(self._last[place]) if np.isfinite(self._last[place]) else None,
            plots_per_second=float(self._per_second[place][recent].sum()) / elapsed,
            plots_total=int(self._plots[place]),
            errors_total=sum(self._errors[place].values()),
            errors=dict(self._errors[place]),
            rotation_period=period,
            clock_offset=float(np.median(offsets)) if len(offsets) else None,
        )

    def _state(self, place: int, now: float, measured: float | None) -> SensorState:
        # A sensor that never came counts as silent at once: nothing of it can be trusted yet.
        age = now - self._last[place]
        period = measured or float(self.sensors.rotation_period[place])
        if np.isnan(period) and self.sensors.sensors[place].sensor_kind in _STEADY:
            stale, silent = STALE_STEADY, SILENT_STEADY
        else:
            turn = FASTEST_UPDATE if np.isnan(period) else period
            stale, silent = max(STALE_LEAST, STALE_TURNS * turn), max(SILENT_LEAST, SILENT_TURNS * turn)
        if age <= stale:
            return SensorState.FRESH
        return SensorState.STALE if age <= silent else SensorState.SILENT


def _resolve_day(time_of_day: NDArray[np.float64], received: NDArray[np.float64]) -> NDArray[np.float64]:
    """UTC s since 1970 of times of day, on the day that brings them nearest to their arrival."""
    return time_of_day + np.round((received - time_of_day) / DAY) * DAY
