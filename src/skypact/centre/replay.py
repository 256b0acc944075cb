"""Plays recordings: through a centre onto its page, or as UDP to another system."""

import logging
import re
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skypact.asterix.model import Datagrams
from skypact.centre.recordings import DecodedRecording, inferred_sensor_table, read_asterix
from skypact.core.clock import Clock, SystemClock
from skypact.core.errors import BadInputError
from skypact.core.units import DAY, DEGREE
from skypact.sensors.model import (
    ReferencePoint,
    SensorKind,
    SensorTable,
    make_sensor_table,
    read_sensor_table,
)
from skypact.sensors.receive import Received

log = logging.getLogger(__name__)

NEEDS_NO_SITE = {SensorKind.ADSB, SensorKind.MLAT, SensorKind.REMOTE_ID}  # they send ready positions
RUN_UP = 60.0  # s before the place where playing begins
AFTER_END = 1.0  # s of the recording's time that pass after its last datagram


@dataclass(frozen=True, slots=True)
class Playable:
    """A recording that is ready to be played."""

    datagrams: Datagrams  # in order of arrival, all with a time of arrival
    sensors: SensorTable | None  # None where nobody needs them
    is_dated: bool  # the recording, or the user, told the day

    @property
    def start(self) -> float:
        """Arrival of the first datagram, UTC s since 1970."""
        return float(self.datagrams.received[0])

    @property
    def end(self) -> float:
        """Arrival of the last datagram, UTC s since 1970."""
        return float(self.datagrams.received[-1])


def open_recording(
    path: Path, sensors_path: Path | None, first_day: float | None, *, needs_sensors: bool
) -> Playable:
    """An ASTERIX file or a folder of `skypact simulate`, ready to be played.

    Args:
        path: of the file or folder.
        sensors_path: a sensor table; None takes the folder's, or what the file tells of its sensors.
        first_day: midnight before the first record, UTC s since 1970; None: the file's, else 1970-01-01.
        needs_sensors: whether it goes through a tracker.

    Raises:
        BadInputError: it can't be read, holds nothing, or its sensors are not known.
    """
    file = path
    if path.is_dir():
        file = path / "asterix.pcap"
        if not file.exists():
            raise BadInputError("no asterix.pcap in the folder", str(path), "make one with skypact simulate")
        if sensors_path is None and (path / "sensors.toml").exists():
            sensors_path = path / "sensors.toml"
    sensors = read_sensor_table(sensors_path) if sensors_path is not None else None
    recorded = read_asterix(file, sensors.editions if sensors else None, first_day or 0.0)
    datagrams = recorded.datagrams
    if len(datagrams) == 0:
        raise BadInputError("no ASTERIX datagrams", str(file))
    if sensors is None and needs_sensors:
        sensors = _infer_sensors(recorded, str(file))
    order = np.argsort(datagrams.received, kind="stable")
    return Playable(
        Datagrams(
            datagrams.buffer, datagrams.offset[order], datagrams.length[order], datagrams.received[order]
        ),
        sensors,
        is_dated=first_day is not None or recorded.is_dated,
    )


def _infer_sensors(recorded: DecodedRecording, where: str) -> SensorTable:
    """The sensors that the recording tells enough of; the others are named in the log."""
    try:
        table = inferred_sensor_table([recorded])
    except BadInputError:
        raise BadInputError(
            "no target reports of sensors in it", where, "it can only be sent on, with --to"
        ) from None
    placed = [sensor for sensor in table.sensors if sensor.has_site or sensor.sensor_kind in NEEDS_NO_SITE]
    unplaced = [sensor.name for sensor in table.sensors if sensor not in placed]
    if not placed:
        raise BadInputError(
            f"the recording does not tell where its radars stand: {', '.join(unplaced)}",
            where,
            "give --sensors SENSORS.toml",
        )
    if unplaced:
        log.warning("radars left out: their sites are not known", extra={"radars": ",".join(unplaced)})
    reference = ReferencePoint(
        latitude_deg=table.reference.latitude / DEGREE, longitude_deg=table.reference.longitude / DEGREE
    )
    return make_sensor_table(placed, reference, where)


def parse_start(text: str, playable: Playable) -> float:
    """Where playing begins, UTC s since 1970: seconds from the start (`90`) or a UTC time (`14:05:30`).

    Raises:
        BadInputError: it is neither, or lies outside of the recording.
    """
    if match := re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?", text):
        hours, minutes, seconds = match.groups()
        clock = int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds or 0.0)
        begin = np.floor(playable.start / DAY) * DAY + clock
        if begin < playable.start:
            begin += DAY
    else:
        try:
            begin = playable.start + float(text)
        except ValueError:
            raise BadInputError(
                f"{text!r} is no time", "--at", "give seconds from the start, or HH:MM:SS in UTC"
            ) from None
    if not playable.start <= begin <= playable.end:
        duration = playable.end - playable.start
        raise BadInputError(
            f"{text} is outside of the recording",
            "--at",
            f"it starts at {_clock(playable.start)} and lasts {duration:.0f} s",
        )
    return float(begin)


class RecordingFeed:
    """A recording as a centre's feed: hands out what has arrived by its clock, sped up."""

    is_live = False

    def __init__(
        self,
        datagrams: Datagrams,
        *,
        speed: float = 1.0,
        begin: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Args: `datagrams` in order of arrival; `begin` in their time, the first by default.

        What came in the minute before `begin` is handed out at once, so that there are tracks then.
        """
        self._datagrams = datagrams
        self._speed = speed
        self._begin = float(datagrams.received[0]) if begin is None else begin
        self._end = float(datagrams.received[-1]) + AFTER_END
        self._clock = clock or SystemClock()
        self._started: float | None = None
        self._next = int(np.searchsorted(datagrams.received, self._begin - RUN_UP, side="left"))
        self.has_ended = False

    def start(self) -> None:
        """Begin to play now."""
        self._started = self._clock.now()

    def stop(self) -> None:
        """Nothing is to be given back."""

    def take(self) -> Received:
        """The datagrams that have arrived since the last call."""
        assert self._started is not None
        position = min(self._begin + (self._clock.now() - self._started) * self._speed, self._end)
        if position >= self._end and not self.has_ended:
            self.has_ended = True
            log.info("end of the recording")
        first = self._next
        self._next = int(np.searchsorted(self._datagrams.received, position, side="right"))
        chosen = slice(first, self._next)
        count = self._next - first
        taken = Datagrams(
            self._datagrams.buffer,
            self._datagrams.offset[chosen],
            self._datagrams.length[chosen],
            self._datagrams.received[chosen],
        )
        return Received(taken, np.zeros(count, dtype=np.uint32), np.zeros(count, dtype=np.int16), position)

    def read_losses(self) -> dict[str, int]:
        """A recording loses nothing while it is played."""
        return {}


@dataclass
class UdpPlayer:
    """Sends datagrams to an address at the pace of their times of arrival."""

    datagrams: Datagrams  # in order of arrival
    target: tuple[str, int]  # host and port
    speed: float = 1.0
    begin: float | None = None  # in the datagrams' time; None is the first
    sent: int = 0
    lost: int = 0

    def run(self, stop: threading.Event) -> None:
        """Send all, or until `stop` is set."""
        received = self.datagrams.received
        begin = float(received[0]) if self.begin is None else self.begin
        due = ((received - begin) / self.speed).tolist()
        first = int(np.searchsorted(received, begin, side="left"))
        content = memoryview(np.ascontiguousarray(self.datagrams.buffer).data)
        offset, length = self.datagrams.offset.tolist(), self.datagrams.length.tolist()
        started = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            for place in range(first, len(due)):
                wait = started + due[place] - time.monotonic()
                if (wait > 0.0 and stop.wait(wait)) or stop.is_set():
                    return
                try:
                    opened.sendto(content[offset[place] : offset[place] + length[place]], self.target)
                    self.sent += 1
                except OSError as error:
                    if self.lost == 0:
                        log.warning("datagram not sent", extra={"error": error.strerror or str(error)})
                    self.lost += 1


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(moment))
