"""The reader's side of one link: what a partner gives us, checked, put together, and acknowledged.

It believes nothing: bytes that are no message, messages under a subject that is not theirs, tracks
in another centre's name, an old epoch or sequence are refused and counted. It waits for nothing:
each step takes what is there.
"""

from collections import Counter, deque
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from skypact.exchange.engine import Inlet, Message, StoredRecord
from skypact.exchange.extrapolation import extrapolate_report
from skypact.exchange.kernels import find_rows, move_bits
from skypact.exchange.model import REPORT_COLUMNS, Rung, TrackReport
from skypact.exchange.wire import (
    MAX_NAMES,
    MAX_ROWS,
    Ack,
    Beat,
    Health,
    Hello,
    Plots,
    Sensors,
    Tracks,
    WireError,
    decode,
    encode_ack,
)
from skypact.plots.model import PlotBatch, join_plots
from skypact.sensors.model import Sensor, SensorHealth

Content = Tracks | Plots | Sensors | Health | Hello | Beat

LATE_AFTER = 1.5  # s without a live message; a partner beats each half second
DOWN_AFTER = 4.0
ACK_PERIOD = 0.04  # s; acknowledgements need no more room than a few kB/s
REPORT_PERIOD = 0.5  # s between pictures while tiles keep coming one by one
BEATS_KEPT = 60  # of which the one that came quickest tells the partner's clock
EPOCH_AHEAD = 3600 * 10**9  # ns; a later start than this is a clock that is wrong, and would lock out
MAX_CENTRES = 256  # that joint numbers may be of; `number_centre` has a byte
SAMPLE = 32  # bytes kept of the first message that was refused of each kind


class LinkState(StrEnum):
    """How a link does, seen from its reader."""

    UP = "up"
    LATE = "late"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Received:
    """What came from a partner in one step."""

    plots: PlotBatch  # `sensor` is a row of the partner's released sensors, `received` our time of arrival
    report: TrackReport | None  # the partner's whole picture, when it changed
    sensors: tuple[Sensor, ...] | None  # the released sensors, when they changed
    health: tuple[SensorHealth, ...] | None  # when it came
    records: list[StoredRecord]


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """How the link does, as the display and the command show it."""

    state: LinkState
    since: float  # of the state, UTC s since 1970
    age: float | None  # of the last live message, s; None before the first
    rung: Rung  # that the partner serves now, ALONE while the link is down
    hello: Hello | None  # who the partner says it is, and what it offers
    clock_offset: float | None  # by which the partner's clock is ahead of ours, s
    journal: int  # sequence of the last record of the partner's journal that is here
    journal_head: int  # and of the last that it has
    lost: int  # live messages that never came
    lost_plots: int  # plots of sensors of which the partner had not told
    refused: dict[str, int]  # messages by the reason of refusal
    samples: dict[str, bytes]  # the first bytes of the first of each

    @property
    def suspends_us(self) -> str | None:
        """The partner's reason, "" when it gives none, while a person there has stopped what we get."""
        if self.hello is None or not self.hello.suspended or self.state is LinkState.DOWN:
            return None
        return self.hello.reason


class Reader:
    """What one partner gives us."""

    def __init__(self, partner: str, inlet: Inlet, journal: int = 0) -> None:
        """Args: the `partner`'s name, its `inlet`, and the sequence of the last record that is here."""
        self.partner = partner
        self.inlet = inlet
        self._epoch = 0
        self._live = 0  # sequence of the last message of each channel, in this epoch
        self._values = 0
        self._newest: dict[str, int] = {}  # sequence of the last value of each subject
        self._journal = journal
        self._journal_head = journal
        self._hello: Hello | None = None
        self._beat: Beat | None = None
        self._sensors: tuple[Sensor, ...] = ()
        self._tiles: dict[int, Tracks] = {}
        self.takes_records = True  # or leaves them with the engine
        self._takes_simulated = False
        self._wiped_at = 0  # sequence up to which tiles are of a rung that was left
        self._tiles_changed = False
        self._none: TrackReport | None = None  # a report without tracks
        self._reported = -np.inf
        self._offsets: deque[float] = deque(maxlen=BEATS_KEPT)
        self._round_trip = 0.0
        self._now = 0.0
        self._heard: float | None = None
        self._state = LinkState.DOWN
        self._since: float | None = None
        self._acks = 0
        self._acked = -np.inf
        self._owes_ack = False
        self._lost = 0
        self._lost_plots = 0
        self._refused: Counter[str] = Counter()
        self._samples: dict[str, bytes] = {}

    def step(self, now: float, round_trip: float | None = None) -> Received:
        """Take what came, and acknowledge it.

        Args:
            now: UTC s since 1970, by our clock.
            round_trip: of the way to the partner and back, s, as our gateway measures it; it makes
                the estimate of the partner's clock better by half of that.
        """
        self._now = now
        self._round_trip = round_trip or 0.0
        before = self._sensors
        batches: list[tuple[Plots, float]] = []
        health: tuple[SensorHealth, ...] | None = None
        tiles_came = False
        for message in self.inlet.take():
            content = self._accept(message)
            match content:
                case Plots():
                    batches.append((content, message.received))
                case Tracks() if content.sequence > self._wiped_at:
                    self._take_tile(content)
                    tiles_came = True
                case Sensors():
                    self._sensors = content.sensors
                case Health():
                    health = content.health
                case Hello():
                    self._greet(content)
                case Beat():
                    self._beat = content
                    self._journal_head = content.journal
                    self._offsets.append(message.received - content.time)
        records = self.inlet.take_records() if self.takes_records else []
        if records:
            self._journal = records[-1].sequence
            self._owes_ack = True
        self._review(now)
        self._acknowledge(now)
        return Received(
            self._join(batches),
            self._picture(now, tiles_came),
            self._sensors if self._sensors != before else None,
            health,
            records,
        )

    @property
    def takes_simulated(self) -> bool:
        """Whether an exercise is on with the partner; else what is simulated is refused and counted."""
        return self._takes_simulated

    @takes_simulated.setter
    def takes_simulated(self, takes: bool) -> None:
        self._takes_simulated = takes
        if not takes and any(tile.report.is_simulated.any() for tile in self._tiles.values()):
            self._tiles = {number: _live_part(tile) for number, tile in self._tiles.items()}
            self._tiles_changed = True

    @property
    def status(self) -> ReaderStatus:
        """How the link does, as of the last step."""
        is_down = self._state is LinkState.DOWN
        return ReaderStatus(
            state=self._state,
            since=self._now if self._since is None else self._since,
            age=None if self._heard is None else self._now - self._heard,
            rung=Rung.ALONE if is_down or self._beat is None else self._beat.rung,
            hello=self._hello,
            clock_offset=0.5 * self._round_trip - min(self._offsets) if self._offsets else None,
            journal=self._journal,
            journal_head=max(self._journal_head, self._journal),
            lost=self._lost,
            lost_plots=self._lost_plots,
            refused=dict(self._refused),
            samples=dict(self._samples),
        )

    def _accept(self, message: Message) -> Content | None:
        """The content of a message that we may use; None after it was refused."""
        try:
            content = decode(message.payload)
        except WireError as error:
            self._refuse(f"bad content of {error.schema or 'an unknown schema'}", message)
            return None
        if isinstance(content, Ack) or message.subject != _subject(content):
            self._refuse("content of another subject", message)
            return None
        if (reason := self._fault(content)) is not None:
            self._refuse(reason, message)
            return None
        if content.epoch > self._epoch:
            self._begin(content.epoch)
        if isinstance(content, Plots | Beat):
            self._lost += content.sequence - self._live - 1 if self._live else 0
            self._live = content.sequence
            self._heard = message.received
        else:
            self._values = max(self._values, content.sequence)
            self._newest[message.subject] = content.sequence
        self._owes_ack = True
        return content if self._takes_simulated else self._refuse_simulated(content, message)

    def _refuse_simulated(self, content: Content, message: Message) -> Content:
        """The content without what is simulated: no exercise is on."""
        match content:
            case Tracks() if content.report.is_simulated.any():
                live: Content = _live_part(content)
            case Plots() if content.plots.is_simulated.any():
                live = replace(content, plots=content.plots.take(~content.plots.is_simulated))
            case _:
                return content
        self._refuse("simulated, and no exercise is on", message)
        return live

    def _fault(self, content: Content) -> str | None:
        """Why we can't use a message, if we can't."""
        if isinstance(content, Tracks) and content.report.centre != self.partner:
            return "tracks of another centre"
        if isinstance(content, Hello) and content.centre != self.partner:
            return "hello of another centre"
        if content.epoch > self._now * 1e9 + EPOCH_AHEAD:
            return "epoch that is to come"
        if content.epoch < self._epoch:
            return "epoch that is over"
        if isinstance(content, Tracks) and self._is_too_much(content):
            return "more tracks or names than can be read"
        # The engine keeps the order of each subject alone.
        is_live = isinstance(content, Plots | Beat)
        newest = self._live if is_live else self._newest.get(_subject(content), 0)
        if content.epoch == self._epoch and content.sequence <= newest:
            return "sequence that is over"
        return None

    def _is_too_much(self, tile: Tracks) -> bool:
        """Whether a tile, with the others that we hold, passes the bounds of one message."""
        others = [kept.report for number, kept in self._tiles.items() if number != tile.tile]
        if len(tile.report) + sum(len(other) for other in others) > MAX_ROWS:
            return True
        sensors = set(tile.report.sensor_names).union(*(other.sensor_names for other in others))
        centres = set(tile.report.centre_names).union(*(other.centre_names for other in others))
        return len(sensors) > MAX_NAMES or len(centres) > MAX_CENTRES

    def _refuse(self, reason: str, message: Message) -> None:
        self._refused[reason] += 1
        self._samples.setdefault(reason, message.payload[:SAMPLE])

    def _begin(self, epoch: int) -> None:
        """A partner that began anew numbers anew, and has told us nothing yet."""
        self._epoch = epoch
        self._live = self._values = self._wiped_at = 0
        self._newest = {}
        self._beat = None
        self._offsets.clear()
        self._wipe()

    def _greet(self, hello: Hello) -> None:
        self._hello = hello
        if hello.rung < Rung.TRACKS:
            self._wiped_at = hello.sequence
            self._wipe()

    def _take_tile(self, tile: Tracks) -> None:
        self._tiles = {number: kept for number, kept in self._tiles.items() if number < tile.tiles}
        self._tiles[tile.tile] = tile
        self._none = tile.report.take(slice(0, 0))
        self._tiles_changed = True

    def _wipe(self) -> None:
        """Forget what the partner no longer gives."""
        self._sensors = ()
        self._tiles_changed = bool(self._tiles) or self._tiles_changed
        self._tiles = {}

    def _review(self, now: float) -> None:
        age = np.inf if self._heard is None else now - self._heard
        state = LinkState.UP
        if age > LATE_AFTER:
            state = LinkState.DOWN if age > DOWN_AFTER else LinkState.LATE
        if self._since is None or state is not self._state:
            self._state, self._since = state, now

    def _acknowledge(self, now: float) -> None:
        if not self._owes_ack or now - self._acked < ACK_PERIOD:
            return
        self._acks += 1
        ack = Ack(
            epoch=self._epoch,
            sequence=self._acks,
            time=now,
            live=self._live,
            values=self._values,
            journal=self._journal,
        )
        self.inlet.reply("ack", encode_ack(ack))
        self._acked, self._owes_ack = now, False

    def _join(self, batches: list[tuple[Plots, float]]) -> PlotBatch:
        """The plots of all messages, by the rows of the sensors that we know."""
        rows = {sensor.name: row for row, sensor in enumerate(self._sensors)}
        parts = []
        for message, received in batches:
            row = np.array([rows.get(name, -1) for name in message.sensor_names], dtype=np.int32)
            sensor = row[message.plots.sensor] if len(row) else np.zeros(0, dtype=np.int32)
            plots = replace(
                message.plots, sensor=sensor, received=np.full(len(message.plots), received, dtype=np.float64)
            )
            is_known = sensor >= 0
            self._lost_plots += int(len(plots) - is_known.sum())
            parts.append(plots if is_known.all() else plots.take(is_known))
        return join_plots(parts)

    def _picture(self, now: float, tiles_came: bool) -> TrackReport | None:
        """The whole picture, once the tiles of a report are through, or now and then while they trickle."""
        if not self._tiles_changed or self._none is None:
            return None
        if tiles_came and now - self._reported < REPORT_PERIOD:
            return None
        self._tiles_changed = False
        self._reported = now
        filled = [tile.report for tile in self._tiles.values() if len(tile.report)]
        return join_reports(filled) if filled else replace(self._none, time=now)


def _live_part(tile: Tracks) -> Tracks:
    return replace(tile, report=tile.report.take(~tile.report.is_simulated))


def _subject(content: Content) -> str:
    return f"tile.{content.tile}" if isinstance(content, Tracks) else type(content).__name__.lower()


def join_reports(reports: list[TrackReport]) -> TrackReport:
    """The tiles of one picture as one report, at the time of the newest.

    A tile that is older than the newest, as a thin link brings them, is moved on to its time. A
    track that moved between the sets of tiles of two delays is taken from the newer one.
    """
    reports = sorted(reports, key=lambda report: -report.time)
    time = reports[0].time
    centre_names = tuple(dict.fromkeys(name for report in reports for name in report.centre_names))
    sensor_names = tuple(dict.fromkeys(name for report in reports for name in report.sensor_names))
    words = max(1, -(-len(sensor_names) // 64))
    parts = []
    for report in reports:
        moved = report if report.time == time else extrapolate_report(report, time)
        centres = np.array([centre_names.index(name) for name in report.centre_names], dtype=np.uint8)
        places = np.array([sensor_names.index(name) for name in report.sensor_names], dtype=np.int64)
        parts.append(
            replace(
                moved,
                number_centre=centres[report.number_centre],
                sensors=move_bits(np.ascontiguousarray(report.sensors), places, words),
            )
        )
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in REPORT_COLUMNS)
    joined = TrackReport(time, reports[0].centre, centre_names, sensor_names, *columns)
    is_first = find_rows(joined.uid, joined.uid) == np.arange(len(joined))
    return joined if is_first.all() else joined.take(is_first)
