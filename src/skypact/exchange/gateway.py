"""The release gateway: the only way out to one partner, and the order in which things go out.

What leaves has passed the release policy; what may leave later waits here. A thin link is served in
the order journal, tracks, plots: records go at once, tracks wait until the window has room and a
newer state replaces an older one, plots that had to wait for a second are of no use and are dropped.
Nothing here waits for the partner: each step hands over what there is room for and returns.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

import skypact
from skypact.exchange.engine import Outlet
from skypact.exchange.flow import Channel, Flow
from skypact.exchange.kernels import find_rows
from skypact.exchange.ladder import Ladder
from skypact.exchange.model import Rung, TrackReport
from skypact.exchange.policy import (
    ReleasePolicy,
    plot_rules,
    release_health,
    release_plots,
    release_sensors,
    release_tracks,
    releases_record,
    track_rules,
)
from skypact.exchange.wire import (
    MAX_REASON,
    Ack,
    Beat,
    Hello,
    TrackTile,
    WireError,
    cut_tiles,
    decode,
    encode_beat,
    encode_health,
    encode_hello,
    encode_plots,
    encode_sensors,
    encode_tile,
)
from skypact.plots.model import PlotBatch, join_plots
from skypact.sensors.model import Sensor, SensorHealth, SensorTable

BEAT_PERIOD = 0.5  # s
DOWN_AFTER = 4.0  # s without an acknowledgement; a stall of two seconds is no cut
REFRESH = 10.0  # s after which what did not change is put again, for an engine that lost it
HEALTH_PERIOD = 2.0  # s
OLDEST_PLOTS = 1.0  # s that plots may wait for room
OLDEST_TRACKS = 8.0  # s that a tile may wait for room; about a turn of an en-route radar
TILES_A_STEP = 8  # so that a picture does not keep plots waiting, nor the centre
WANTING_AFTER = 0.1  # s that data wait before the window is too small for them
FRAME_BYTES = 64  # that the engine adds to a message, about
TILE_BYTES, TRACK_BYTES, PLOT_BYTES = 1000, 150, 120  # about what each takes on the wire
SUSPENDED_KIND = "suspended"  # of the record that has the reason of a suspension
LARGEST_BATCH = 250_000  # bytes of plots in one message


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """How the giving side of a link does, as the display and the command show it."""

    is_linked: bool  # the partner acknowledges
    rung: Rung  # that is served now
    offered: Rung  # that is served whenever the partner answers
    why: str  # it is not a higher one; empty on the highest
    heard: float | None  # last acknowledgement, UTC s since 1970
    round_trip: float | None  # s, without the queue that we make
    rate: float  # bytes acknowledged in the last second
    window: int  # bytes that may be on their way
    in_flight: int  # bytes that are
    tracks_waiting: float  # s that the oldest tile waits for room
    plots_waiting: float  # s that the oldest plots wait for room
    plots_dropped: int  # that waited too long
    stored: int  # sequence of the last record that is durably stored for the partner
    acknowledged: int  # and of the last that the partner has
    held: int  # records that a suspension holds back
    refused: int  # messages of the partner that were no acknowledgements


class Gateway:
    """What we give one partner."""

    def __init__(self, centre: str, partner: str, outlet: Outlet, policy: ReleasePolicy, epoch: int) -> None:
        """Args: our name, the partner's, its outlet, what it may have, and our start (ns since 1970)."""
        self.centre = centre
        self.partner = partner
        self.outlet = outlet
        self.epoch = epoch
        self.unit = 0  # our system unit in I062/510; 0: not told
        self.flow = Flow()
        self.ladder = Ladder(policy.rung)
        self._policy = policy
        self._now = -math.inf
        self._live = 0  # sequence of the last message of each channel
        self._values = 0
        self._journal_head = 0
        self._heard: float | None = None
        self._heard_live = 0  # sequences that the partner has acknowledged
        self._heard_values = 0
        self._heard_journal = 0
        self._refused = 0
        self._records: deque[tuple[int, bytes]] = deque()
        self._told: tuple[Rung, str, bool, str] | None = None  # what the last hello said
        self._due: dict[str, float] = {}  # when values are put again
        self._sensors: SensorTable | None = None
        self._released: tuple[Sensor, ...] = ()
        self._report: TrackReport | None = None
        self._report_is_new = False
        self._delayed: dict[float, deque[TrackReport]] = {}  # by delay, the oldest first
        self._parts: list[TrackReport] = []  # what the partner may have now, one for each delay
        self._tiles: list[TrackTile] = []  # the same
        self._waiting: dict[int, float] = {}  # tiles that wait for room, since when, the longest first
        self._given: dict[int, tuple[float, bool]] = {}  # when tiles were put, and whether with tracks
        self._later: dict[float, deque[PlotBatch]] = {}  # plots by delay
        self._plots: deque[tuple[float, PlotBatch]] = deque()  # that wait for room, since when
        self._plots_dropped = 0
        self._dropped_at = -math.inf

    @property
    def policy(self) -> ReleasePolicy:
        """What the partner may have; a new one holds for what waits, too, and all is given anew."""
        return self._policy

    @policy.setter
    def policy(self, policy: ReleasePolicy) -> None:
        self._policy = replace(policy, exercise=self._policy.exercise)
        self.ladder.cap = policy.rung
        self._sensors = None
        self._forget_values()

    @property
    def exercise(self) -> str:
        """The exercise that is on with the partner; "" for none, and then nothing simulated leaves."""
        return self._policy.exercise

    @exercise.setter
    def exercise(self, exercise: str) -> None:
        if exercise != self._policy.exercise:
            self._policy = replace(self._policy, exercise=exercise)
            self._sensors = None
            self._forget_values()

    def step(
        self,
        now: float,
        report: TrackReport | None,
        plots: PlotBatch,
        sensors: SensorTable,
        health: Sequence[SensorHealth],
        records: Sequence[tuple[int, bytes]],
    ) -> None:
        """Take in what is new here, and hand over what the partner may have and the link has room for.

        Args:
            now: UTC s since 1970, by our clock.
            report: our tracks, when a new picture fell due.
            plots: of our own sensors, that arrived since the last step.
            sensors: our table, which `plots.sensor` points into.
            health: of our sensors.
            records: of our journal, new ones, as sequence and payload, in order.
        """
        self._now = now
        if sensors is not self._sensors:
            self._sensors = sensors
            self._released = release_sensors(self._policy, sensors)
            self._due.pop("sensors", None)
            self._later.clear()
            self._plots.clear()
        self._hear(now)
        self._review(now)
        self._greet(now)
        self._beat(now)
        self._give_records(now, records)
        if report is not None:
            self._keep(report, now)
        if self.ladder.rung >= Rung.TRACKS:
            self._give_sensors(now, health)
            self._give_tracks(now)
        if self.ladder.rung >= Rung.PLOTS:
            self._give_plots(now, plots)
        else:
            self._later.clear()
            self._plots.clear()
        self.flow.count(now)

    @property
    def released(self) -> list[TrackReport]:
        """Our tracks as the partner may have them now, in parts of different times and sensor names."""
        return self._parts if self.ladder.rung >= Rung.TRACKS else []

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """Those of our sensors that the partner may know of now."""
        return self._released if self.ladder.rung >= Rung.TRACKS else ()

    @property
    def status(self) -> GatewayStatus:
        """How the giving side does, as of the last step."""
        return GatewayStatus(
            is_linked=self.ladder.is_linked,
            rung=self.ladder.rung,
            offered=self.ladder.offered,
            why=self.ladder.why,
            heard=self._heard,
            round_trip=self.flow.round_trip,
            rate=self.flow.rate,
            window=int(self.flow.window),
            in_flight=self.flow.in_flight,
            tracks_waiting=self._tracks_waiting(self._now),
            plots_waiting=self._plots_waiting(self._now),
            plots_dropped=self._plots_dropped,
            stored=self.outlet.stored,
            acknowledged=self._heard_journal,
            held=len(self._records),
            refused=self._refused,
        )

    def _hear(self, now: float) -> None:
        """Take in the partner's acknowledgements."""
        wait = max(self._tracks_waiting(now), self._plots_waiting(now))
        for message in self.outlet.take():
            try:
                ack = decode(message.payload)
            except WireError:
                self._refused += 1
                continue
            if not isinstance(ack, Ack) or message.subject != "ack":
                self._refused += 1
                continue
            self._heard_journal = max(self._heard_journal, min(ack.journal, self._journal_head))
            self.flow.acknowledge(Channel.JOURNAL, ack.journal, now, wait > WANTING_AFTER)
            if ack.epoch != self.epoch:
                continue
            live, values = min(ack.live, self._live), min(ack.values, self._values)
            if live > self._heard_live or values > self._heard_values:
                # Only what is new proves that the way there is whole, and not just the way back.
                self._heard = now
                self._heard_live = max(live, self._heard_live)
                self._heard_values = max(values, self._heard_values)
            self.flow.acknowledge(Channel.LIVE, live, now, wait > WANTING_AFTER)
            self.flow.acknowledge(Channel.VALUES, values, now, wait > WANTING_AFTER)

    def _review(self, now: float) -> None:
        """Find whether the partner answers, and on which rung the link stands."""
        is_linked = self._heard is not None and now - self._heard < DOWN_AFTER
        if self.ladder.is_linked and not is_linked:
            self.flow.forget()
        if is_linked and not self.ladder.is_linked:
            self._waiting = dict.fromkeys(self._waiting, now)
            self._report_is_new = True
        fits = self._tracks_waiting(now) <= OLDEST_TRACKS
        if self.ladder.offered >= Rung.PLOTS and now - self._dropped_at <= OLDEST_PLOTS:
            fits = False
        self.ladder.step(now, is_linked, fits)

    def _greet(self, now: float) -> None:
        """Say what is offered, after clearing what is no more, so that nobody who joins gets it."""
        is_suspended, reason = self.ladder.suspended_to is not None, self.ladder.reason
        if not releases_record(self._policy, SUSPENDED_KIND):
            reason = ""
        told = (self.ladder.offered, self.exercise, is_suspended, reason)
        if self._told != told and self.ladder.offered < Rung.TRACKS:
            self._forget_values()
        if self._told == told and now < self._due.get("hello", -math.inf):
            return
        assert self._sensors is not None
        hello = Hello(
            epoch=self.epoch,
            sequence=self._next_value(),
            time=now,
            centre=self.centre,
            software=skypact.__version__,
            reference=self._sensors.reference,
            mode="exercise" if self.exercise else "live",
            exercise=self.exercise,
            rung=self.ladder.offered,
            suspended=is_suspended,
            reason=reason[:MAX_REASON],
            unit=self.unit,
        )
        self._put("hello", encode_hello(hello), now)
        self._told = told
        self._due["hello"] = now + REFRESH

    def _beat(self, now: float) -> None:
        if now < self._due.get("beat", -math.inf):
            return
        self._due["beat"] = now + BEAT_PERIOD
        beat = Beat(
            epoch=self.epoch,
            sequence=self._next_live(),
            time=now,
            rung=self.ladder.rung,
            journal=self._journal_head,
        )
        self._publish("beat", encode_beat(beat), now)

    def _give_records(self, now: float, records: Sequence[tuple[int, bytes]]) -> None:
        """Hand over records at once, whatever else is on its way: a cut does not hold them, people may."""
        self._records.extend(records)
        if records:
            self._journal_head = records[-1][0]
        if self.ladder.permitted < Rung.ALERTS:
            return
        while self._records:
            sequence, payload = self._records.popleft()
            self.outlet.append(sequence, payload)
            sent = now if self.ladder.is_linked else math.nan
            self.flow.send(Channel.JOURNAL, sequence, FRAME_BYTES + len(payload), sent)

    def _keep(self, report: TrackReport, now: float) -> None:
        """Keep our tracks until they leave; of those that leave later, only they are kept longer."""
        self._report, self._report_is_new = report, True
        delays = [delay for delay in self._policy.track_delays if delay > 0.0]
        self._delayed = {delay: self._delayed.get(delay, deque()) for delay in delays}
        if delays:
            rules = track_rules(self._policy, report)
            of_rule = np.array([rule.delay for rule in self._policy.tracks])
            for delay, kept in self._delayed.items():
                kept.append(report.take((rules >= 0) & (of_rule[rules] == delay)))
                while len(kept) > 1 and kept[1].time + delay <= now:
                    kept.popleft()

    def _give_tracks(self, now: float) -> None:
        if self._report_is_new and self._report is not None:
            self._cut_tiles(self._report, now)
            self._report_is_new = False
        for _ in range(TILES_A_STEP):
            if not self._waiting:
                return
            number = next(iter(self._waiting))
            tile = self._tiles[number]
            if not self._has_room(Channel.VALUES, TILE_BYTES + TRACK_BYTES * len(tile), now):
                return
            del self._waiting[number]
            tiles, label = len(self._tiles), self._policy.label
            payload = encode_tile(tile, self.epoch, self._next_value(), number, tiles, label)
            self._put(f"tile.{number}", payload, now)
            self._given[number] = (now, len(tile) > 0)

    def _cut_tiles(self, report: TrackReport, now: float) -> None:
        """Find what the partner may have of our tracks, in one set of tiles for each delay."""
        parts: list[TrackReport] = []
        for delay in self._policy.track_delays:
            source = report if delay == 0.0 else self._delayed[delay][0]
            part = release_tracks(self._policy, source, now)
            for newer in parts:
                # A track leaves once: as new as one of its rules allows.
                part = part.take(find_rows(newer.uid, part.uid) < 0)
            parts.append(part)
        tiles = [tile for part in parts for tile in cut_tiles(part)]
        if len(tiles) != len(self._tiles):
            self._waiting.clear()
        self._parts, self._tiles = parts, tiles
        for number, tile in enumerate(tiles):
            given, had_tracks = self._given.get(number, (-math.inf, True))
            if len(tile) > 0 or had_tracks or now - given >= REFRESH:
                self._waiting.setdefault(number, now)

    def _give_sensors(self, now: float, health: Sequence[SensorHealth]) -> None:
        if now >= self._due.get("sensors", -math.inf):
            self._put("sensors", encode_sensors(self._released, self.epoch, self._next_value(), now), now)
            self._due["sensors"] = now + REFRESH
        if now >= self._due.get("health", -math.inf) and self.flow.room(Channel.VALUES, now) > 0.0:
            released = release_health(self._policy, health)
            self._put("health", encode_health(released, self.epoch, self._next_value(), now), now)
            self._due["health"] = now + HEALTH_PERIOD

    def _give_plots(self, now: float, plots: PlotBatch) -> None:
        for ready in self._ready_plots(now, plots):
            if len(ready):
                self._plots.append((now, ready))
        while self._plots and now - self._plots[0][0] > OLDEST_PLOTS:
            self._plots_dropped += len(self._plots.popleft()[1])
            self._dropped_at = now
        going: list[PlotBatch] = []
        size = 0
        while self._plots and size < LARGEST_BATCH:
            size += PLOT_BYTES * len(self._plots[0][1])
            if not self._has_room(Channel.LIVE, size, now):
                break
            going.append(self._plots.popleft()[1])
        if going:
            names = [sensor.name for sensor in self._released]
            payload = encode_plots(
                join_plots(going), names, self.epoch, self._next_live(), now, self._policy.label
            )
            self._publish("plots", payload, now)

    def _ready_plots(self, now: float, plots: PlotBatch) -> list[PlotBatch]:
        """The plots that may leave now, in batches."""
        assert self._sensors is not None
        if self._policy.longest_plot_delay == 0.0:
            return [release_plots(self._policy, plots, self._sensors, math.inf)]
        rules = plot_rules(self._policy, plots, self._sensors)
        delays = np.array([rule.delay for rule in self._policy.plots])
        for delay in np.unique(delays[rules[rules >= 0]]).tolist():
            rows = (rules >= 0) & (delays[rules] == delay)
            self._later.setdefault(delay, deque()).append(plots.take(rows))
        ready = []
        for delay, kept in self._later.items():
            while kept and kept[0].received[-1] + delay <= now:
                ready.append(release_plots(self._policy, kept.popleft(), self._sensors, now))
        return ready

    def _forget_values(self) -> None:
        """Take back all last values, and what waits to become one."""
        self.outlet.clear()
        self._given.clear()
        self._waiting.clear()
        self._parts, self._tiles = [], []
        self._due = {"beat": self._due.get("beat", -math.inf)}
        self._report_is_new = True

    def _has_room(self, channel: Channel, size: int, now: float) -> bool:
        """Whether a message may go; one that is larger than half of the window goes when half is free."""
        return self.flow.room(channel, now) >= min(size, 0.5 * self.flow.window)

    def _tracks_waiting(self, now: float) -> float:
        return now - next(iter(self._waiting.values()), now)

    def _plots_waiting(self, now: float) -> float:
        return now - self._plots[0][0] if self._plots else 0.0

    def _next_live(self) -> int:
        self._live += 1
        return self._live

    def _next_value(self) -> int:
        self._values += 1
        return self._values

    def _publish(self, subject: str, payload: bytes, now: float) -> None:
        self.outlet.publish(subject, payload)
        if self.ladder.is_linked:
            self.flow.send(Channel.LIVE, self._live, FRAME_BYTES + len(payload), now)

    def _put(self, subject: str, payload: bytes, now: float) -> None:
        self.outlet.put(subject, payload)
        if self.ladder.is_linked:
            self.flow.send(Channel.VALUES, self._values, FRAME_BYTES + len(payload), now)
