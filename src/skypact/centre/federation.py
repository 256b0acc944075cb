"""A centre's part in the federation: for each partner a gateway out and a reader in, and one picture of all.

`step` moves the exchange on and hands over partners' plots; `complete` turns our tracker's picture
into the one that people see. Nothing here waits for a partner: what is not there is missing, and says so.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from skypact.centre.exercise import ExerciseBook
from skypact.centre.machine_records import MachineRecords
from skypact.centre.manual import ManualBook
from skypact.centre.partner_link import PartnerLink, shares_of, state_of
from skypact.centre.partner_view import PartnerView, view_of
from skypact.centre.system_picture import ForeignNumbers, report_of, system_picture, with_numbers
from skypact.core.arrays import Floats1
from skypact.core.errors import BadInputError, SkypactError
from skypact.exchange.commonality import measure_commonality
from skypact.exchange.correlation import Correlator
from skypact.exchange.engine import Engine
from skypact.exchange.fusion import FusedReport, fuse
from skypact.exchange.gateway import Gateway
from skypact.exchange.model import PartnerState, Rung, TrackReport, TrackWord
from skypact.exchange.numbers import NumberBook
from skypact.exchange.policy import NO_RULE, parse_policy, releases_record, track_rules
from skypact.exchange.reader import LinkState, Reader
from skypact.journal.copies import Copy
from skypact.journal.log import Journal
from skypact.journal.model import (
    AnyEvent,
    LinkDown,
    LinkUp,
    PictureAgreed,
    PolicyChanged,
    Record,
    Resumed,
    RungChanged,
    Suspended,
)
from skypact.journal.seal import encode_record, withhold
from skypact.plots.model import PlotBatch, join_plots, make_plots
from skypact.sensors.model import Sensor, SensorHealth, SensorTable
from skypact.tracks.model import Picture

log = logging.getLogger(__name__)

AGREED = 0.95  # share of one number from which two pictures count as one
STATE_PERIOD = 1.0  # s between two tellings of how the partners stand
POLICY_PERIOD = 1.0  # s between two looks at the policy files
MOST_FOREIGN_SENSORS = 1000  # that partners may add to our table in one run
KEEP_PERIOD = 1.0  # s between two tries to keep what a full disk refused
MOST_UNKEPT = 1000  # records of a partner that wait for that here; more wait at the engine
RECORDS_A_STEP = 500  # of our journal, while what the engine should hold is handed to it again
RECORDS_AHEAD = 4_000  # that the engine may have to store yet; it drops what it has no room for


class Federation:
    """All partners of one centre, and the picture that they have together."""

    def __init__(
        self,
        sensors: SensorTable,
        engine: Engine,
        journal: Journal,
        copies: Mapping[str, Copy],
        policies: Path,
        epoch: int,
        suspended: Mapping[str, tuple[Rung, str]],
        unit: int = 0,
    ) -> None:
        """Begin; the links come up by themselves.

        Args:
            sensors: of our own table. engine: carries messages. journal: our own log, whose centre
                is ours. copies: of each partner's log, by its name. policies: folder of the release
                policies, `BRAVO.toml` for BRAVO. epoch: start of this centre, ns since 1970.
            suspended: of a partner's name, the rung and the reason of a suspension still in force.
            unit: our system unit in I062/510, 1 to 255; 0: none.

        Raises:
            BadInputError: a release policy can't be used.
        """
        self.centre = journal.centre
        self.sensors = sensors  # ours, then partners' as they join; never shorter than before
        self.units = {self.centre: unit} if unit else {}  # of us and the partners, as far as known
        self.on_partners: list[Callable[[list[PartnerState]], None]] = []
        self.on_given: list[Callable[[], None]] = []  # after the gateways took a new picture of ours
        self.on_words: list[Callable[[list[TrackWord]], None]] = []
        self._own = sensors
        self._engine = engine
        self._journal = journal
        self._records = MachineRecords(journal)
        self._correlator = Correlator()
        self._numbers = NumberBook(self.centre)
        self._foreign = ForeignNumbers()
        self._exercises = ExerciseBook(journal)
        self.manual = ManualBook(journal, self._exercises.states, self._correlator)
        self._withdrawn: set[str] = set()  # partners whose simulated plots are to be forgotten
        self._health: Sequence[SensorHealth] = ()
        self._report: TrackReport | None = None  # our tracks, until they are given
        self._given: TrackReport | None = None  # the same, kept
        self._next_state = self._next_policy = -np.inf
        self._policies = policies
        self.links: dict[str, PartnerLink] = {}
        for copy in copies.values():
            self.add_partner(copy, epoch)
        for name, (rung, reason) in suspended.items():
            if name in self.links:
                self.links[name].gateway.ladder.suspend(rung, reason)

    def add_partner(self, copy: Copy, epoch: int) -> None:
        """Exchange with one more partner.

        Args: `copy` of its log. epoch: when we began to give it something, ns since 1970.

        Raises:
            BadInputError: its release policy can't be used.
        """
        name = copy.centre
        policy_file = self._policies / f"{name}.toml"
        content = _read_policy(policy_file)
        policy = parse_policy(content, policy_file)
        gateway = Gateway(self.centre, name, self._engine.outlet(name), policy, epoch)
        gateway.unit = self.units.get(self.centre, 0)
        inlet = self._engine.inlet(name, copy.head.sequence, copy.first_key)
        reader = Reader(name, inlet, copy.head.sequence)
        link = PartnerLink(name, gateway, reader, copy, policy_file, content)
        self.links = dict(sorted((self.links | {name: link}).items()))
        self._exercises.add_partner(copy)
        self._apply_exercises()

    def drop_partner(self, name: str) -> None:
        """Exchange nothing more with a partner; what it gave leaves the next picture."""
        link = self.links.pop(name)
        self._exercises.drop_partner(name)
        if link.reader.takes_simulated:
            self._withdrawn.add(name)
        self.units.pop(name, None)
        self._engine.forget(name)
        link.copy.close()

    def step(self, now: float, plots: PlotBatch) -> PlotBatch:
        """Give partners what is new here, and take what they give.

        Args:
            now: UTC s since 1970, by our clock. plots: of our own sensors, that arrived since the
                last call.

        Returns:
            Partners' plots, `sensor` being a row of `sensors`; they arrived now.
        """
        if now >= self._next_policy:
            self._next_policy = now + POLICY_PERIOD
            self._reload_policies(now)
        arrived = []
        for link in self.links.values():
            link.reader.takes_records = len(link.unkept) < MOST_UNKEPT
            received = link.reader.step(now, link.gateway.flow.round_trip)
            if received.sensors is not None:
                self._take_sensors(link, received.sensors)
            if received.report is not None:
                link.report = _with_global_names(received.report)
                link.has_reported = True
            if received.health is not None:
                link.health = received.health
            link.unkept += received.records
            if link.unkept and not now < link.keep_again <= now + KEEP_PERIOD:
                self._keep(link, now)
            if len(received.plots) and len(link.rows):
                rows = link.rows[received.plots.sensor]
                known = rows >= 0
                arrived.append(replace(received.plots.take(known), sensor=rows[known]))
            link.gateway.step(now, self._report, plots, self._own, self._health, self._next_records(link))
            self._record_changes(link, now)
        self._records.step(now)
        if self._report is not None:
            self._report = None
            for take_given in self.on_given:
                take_given()
        if now >= self._next_state:
            self._next_state = now + STATE_PERIOD
            self._take_units()
            states = self.states(now)
            for take_states in self.on_partners:
                take_states(states)
            words = self.manual.words()
            for take_words in self.on_words:
                take_words(words)
        joined = join_plots(arrived) if arrived else make_plots(0)
        return replace(joined, received=np.full(len(joined), now))

    def take_health(self, health: list[SensorHealth]) -> None:
        """Note how our sensors do; partners get it with the next step, as far as it is released."""
        self._health = health

    def complete(self, picture: Picture) -> Picture:
        """Our tracker's picture with all that partners know; they get our tracks with the next step."""
        own = self._with_own_names(report_of(picture))
        releases = {link.name: self._released_tracks(link, picture) for link in self.links.values()}
        reports = {link.name: link.report for link in self.links.values() if link.report is not None}
        correlation = self._correlator.update(own, reports, picture.time)
        numbers = self._numbers.update(correlation, releases)
        self._report = self._given = with_numbers(report_of(picture), numbers)
        shared = [
            link.name
            for link in self.links.values()
            if link.gateway.ladder.rung is Rung.PLOTS and link.reader.status.rung is Rung.PLOTS
        ]
        fused = fuse(correlation, numbers, shared)
        visible = {
            link.name: releases[link.name] & (link.gateway.ladder.rung >= Rung.TRACKS)
            for link in self.links.values()
        }
        meters = measure_commonality(correlation, numbers, visible)
        for link in self.links.values():
            meter = meters.get(link.name)
            link.commonality = None if meter is None else shares_of(meter)
            link.changes += numbers.changes
            self._record_agreement(link, picture.time)
            is_there = link.name in correlation.centres
            place = correlation.centres.index(link.name) if is_there else 0
            link.tracks = int((correlation.members[:, place] >= 0).sum()) if is_there else 0
        completed = system_picture(picture, self._with_local_names(fused), self._foreign)
        self.manual.note(correlation, completed)
        return completed

    def rest_numbers(self, last_used: Floats1) -> None:
        """Give out no number that rests since a former run; (32768,) when each was used, UTC s since 1970."""
        self._numbers.last_used = np.maximum(self._numbers.last_used, last_used)

    @property
    def numbers_used(self) -> Floats1:
        """(32768,) when each of our numbers was last seen anywhere, UTC s since 1970; -inf for never."""
        return self._numbers.last_used

    def suspend(self, partner: str, rung: Rung, by: str, reason: str, now: float) -> None:
        """Stop what we give a partner, by a person's word; it gets alerts, or nothing, until `resume`.

        Raises:
            BadInputError: no such partner, or no reason.
        """
        link = self._link(partner)
        if not reason.strip():
            raise BadInputError("a suspension needs a reason", partner, "give one with --reason")
        self._record(Suspended(partner=partner, by=by, reason=reason, rung=rung.name.lower()), now)
        link.gateway.ladder.suspend(rung, reason)

    def resume(self, partner: str, by: str, reason: str, now: float) -> None:
        """End a suspension.

        Raises:
            BadInputError: no such partner, or it is not suspended.
        """
        link = self._link(partner)
        if link.gateway.ladder.suspended_to is None:
            raise BadInputError("it is not suspended", partner)
        self._record(Resumed(partner=partner, by=by, reason=reason), now)
        link.gateway.ladder.resume()

    def begin_exercise(self, name: str, by: str, reason: str, now: float) -> None:
        """Take part in an exercise, as `ExerciseBook.begin` says."""
        self._exercises.begin(name, by, reason, now)
        self._apply_exercises()

    def end_exercise(self, name: str, by: str, reason: str, now: float) -> None:
        """Leave an exercise, as `ExerciseBook.end` says."""
        self._exercises.end(name, by, reason, now)
        self._apply_exercises()

    def take_withdrawn(self) -> NDArray[np.int32]:
        """Rows of sensors of partners with whom an exercise has ended since the last call.

        Simulated tracks that they fed are to end: what they show is not for this centre any more.
        """
        if not self._withdrawn:
            return np.zeros(0, np.int32)
        rows = [row for row, name in enumerate(self.sensors.names) if name.split("/")[0] in self._withdrawn]
        self._withdrawn.clear()
        return np.array(rows, np.int32)

    def _apply_exercises(self) -> None:
        """Let simulated data pass where the logs of both sides hold one exercise, and nowhere else."""
        for link in self.links.values():
            is_on = self._exercises.is_on_with(link.name)
            if link.reader.takes_simulated and not is_on:
                self._withdrawn.add(link.name)
            link.gateway.exercise = self._exercises.name if is_on else ""
            link.reader.takes_simulated = is_on

    @property
    def journal_head(self) -> int:
        """Sequence of the last record of our journal."""
        return self._journal.head.sequence

    def close(self) -> None:
        """Stop the exchange; everything that was stored stays stored."""
        self._engine.close()
        self._journal.close()
        for link in self.links.values():
            link.copy.close()

    def view(self, partner: str) -> PartnerView:
        """What a partner sees of us now: rung, sensors, and our tracks as they leave.

        Raises:
            BadInputError: no such partner, or no picture yet.
        """
        link = self._link(partner)
        if self._given is None:
            raise BadInputError("there is no picture yet", self.centre)
        return view_of(link.gateway, self._given)

    def states(self, now: float) -> list[PartnerState]:
        """How the exchange with each partner stands."""
        return [state_of(link, now, self._exercises) for link in self.links.values()]

    def _link(self, partner: str) -> PartnerLink:
        if partner not in self.links:
            known = ", ".join(self.links) or "none"
            raise BadInputError("no such partner", partner, f"partners: {known}")
        return self.links[partner]

    def _with_own_names(self, report: TrackReport) -> TrackReport:
        """Our report with sensor names that mean the same at all centres."""
        count = len(self._own)
        names = tuple(
            name if place >= count else f"{self.centre}/{name}"
            for place, name in enumerate(report.sensor_names)
        )
        return replace(report, sensor_names=names)

    def _with_local_names(self, fused: FusedReport) -> FusedReport:
        """The same with our own sensors under the names that our people know."""
        own = f"{self.centre}/"
        names = tuple(name.removeprefix(own) for name in fused.tracks.sensor_names)
        return replace(fused, tracks=replace(fused.tracks, sensor_names=names))

    def _released_tracks(self, link: PartnerLink, picture: Picture) -> NDArray[np.bool_]:
        """(N,) which tracks of our picture the partner gets whenever it answers.

        A cut withholds nothing: were it to, each side would take the other's number for an aircraft whose
        numbers had still differed, and both would change again after the heal.
        """
        if link.gateway.ladder.offered < Rung.TRACKS:
            return np.zeros(len(picture), np.bool_)
        released: NDArray[np.bool_] = track_rules(link.gateway.policy, report_of(picture)) != NO_RULE
        return released

    def _next_records(self, link: PartnerLink) -> list[tuple[int, bytes]]:
        """Records of our journal that the partner's engine is to hold; a stub for what it may not read."""
        gateway = link.gateway
        if gateway.outlet.wanted is not None and gateway.status.held == 0:
            link.given = gateway.outlet.wanted - 1
        if link.given >= min(self._journal.head.sequence, gateway.outlet.stored + RECORDS_AHEAD):
            return []
        records = self._journal.read(link.given, RECORDS_A_STEP)
        link.given = records[-1].sequence
        return [(record.sequence, encode_record(_released(link, record))) for record in records]

    def _take_sensors(self, link: PartnerLink, sensors: tuple[Sensor, ...]) -> None:
        """Find or make a row of our table for each of a partner's sensors."""
        rows = np.full(len(sensors), -1, np.int32)
        table = list(self.sensors.sensors)
        for place, sensor in enumerate(sensors):
            # Its ASTERIX source is known to the partner alone: nobody else may speak for it here.
            ours = msgspec.structs.replace(
                sensor, name=f"{link.name}/{sensor.name}", sac=None, sic=None, edition={}
            )
            if ours not in table:
                if len(table) - len(self._own) >= MOST_FOREIGN_SENSORS:
                    log.warning(
                        "too many sensors of partners", extra={"partner": link.name, "sensor": ours.name}
                    )
                    continue
                table.append(ours)
            rows[place] = table.index(ours)
        if len(table) > len(self.sensors):
            self.sensors = SensorTable(tuple(table), self.sensors.reference)
        link.rows = rows

    def _take_units(self) -> None:
        """Know the partners' system units; one that is taken already would name two aircraft alike."""
        for link in self.links.values():
            hello = link.reader.status.hello
            told = 0 if hello is None else hello.unit
            if told == link.unit:
                continue
            link.unit = told
            self.units.pop(link.name, None)
            if told in self.units.values():
                log.error("two centres are one system unit", extra={"partner": link.name, "unit": told})
            elif told:
                self.units[link.name] = told

    def _keep(self, link: PartnerLink, now: float) -> None:
        """Keep what came of a partner's journal; what a full disk refuses is tried again."""
        try:
            kept = link.copy.take([(record.sequence, record.payload) for record in link.unkept], now)
        except SkypactError as error:
            link.keep_again = now + KEEP_PERIOD
            log.error("partner's journal not kept", extra={"partner": link.name, "error": str(error)})
            return
        link.unkept.clear()
        try:
            self._exercises.take(link.name, kept, now)
        except SkypactError as error:
            log.error("end of the exercise not recorded", extra={"partner": link.name, "error": str(error)})
        self._apply_exercises()

    def _record(self, event: AnyEvent, now: float) -> None:
        self._journal.append(event, now)

    def _record_changes(self, link: PartnerLink, now: float) -> None:
        """Record links that came and went, and rungs that changed."""
        state = link.reader.status.state
        is_up = state is not LinkState.DOWN
        if is_up != link.was_up:
            link.was_up = is_up
            if is_up:
                link.came_up, link.changes, link.has_reported = now, 0, False
                self._numbers.count_anew()
            else:
                link.came_up = None
            event: AnyEvent = (
                LinkUp(partner=link.name)
                if is_up
                else LinkDown(partner=link.name, reason="nothing heard from the partner")
            )
            self._records.record(event, now)
            log.warning("link up" if is_up else "link down", extra={"partner": link.name})
        rung = link.gateway.ladder.rung
        if rung is not link.rung:
            link.rung = rung
            reason = link.gateway.ladder.why
            self._records.record(RungChanged(partner=link.name, rung=rung.name.lower(), reason=reason), now)
            log.info("rung", extra={"partner": link.name, "rung": rung.name.lower(), "why": reason})

    def _record_agreement(self, link: PartnerLink, now: float) -> None:
        """Record how long it took until both pictures had one number an aircraft again."""
        shares = link.commonality
        if link.came_up is None or not link.has_reported:
            return
        if shares is None or shares.held == 0 or shares.number < AGREED:
            return
        event = PictureAgreed(
            partner=link.name,
            seconds=round(max(now - link.came_up, 0.0), 1),
            share=round(shares.number, 3),
            held=shares.held,
            changes=link.changes,
            most=self._numbers.most_changes,
        )
        link.came_up = None
        self._records.record(event, now)

    def _reload_policies(self, now: float) -> None:
        """Put changed policy files in force; one that can't be used leaves the old in force, and is said."""
        for link in self.links.values():
            try:
                content = _read_policy(link.policy_file)
                if content == link.policy_bytes:
                    continue
                link.policy_bytes = content
                policy = parse_policy(content, link.policy_file)
            except BadInputError as error:
                log.error("release policy unchanged", extra={"partner": link.name, "error": str(error)})
                continue
            link.gateway.policy = policy
            self._records.record(
                PolicyChanged(partner=link.name, sha256=policy.digest, text=policy.text), now
            )


def _read_policy(path: Path) -> bytes:
    """The bytes of a policy file; none where there is no file, by which nothing leaves.

    Raises:
        BadInputError: it is there and can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(path)) from None


def _released(link: PartnerLink, record: Record) -> Record:
    """The record as the partner may have it."""
    return record if releases_record(link.gateway.policy, record.kind) else withhold(record)


def _with_global_names(report: TrackReport) -> TrackReport:
    """A partner's report with sensor names that mean the same at all centres."""
    names = tuple(name if "/" in name else f"{report.centre}/{name}" for name in report.sensor_names)
    return replace(report, sensor_names=names)
