"""From datagrams to plots: decodes what arrived, refuses impostors, and follows each sensor's health."""

import logging
from collections import Counter
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.model import RecordColumns
from skypact.asterix.tables import CATEGORIES, editions, load_table
from skypact.centre.settings import ReceptionRule
from skypact.plots.assemble import PlotAssembler
from skypact.plots.model import PlotBatch, make_plots
from skypact.sensors.health import HealthMonitor
from skypact.sensors.model import SensorTable
from skypact.sensors.receive import Received

log = logging.getLogger(__name__)

UNKNOWN_SOURCE = "unknown source"  # as the assembler counts it
MOST_TOLD = 100  # sources named in the log; made-up ones could go on for ever


class DatagramFeed(Protocol):
    """Where datagrams come from: UDP, or a recording that is played."""

    is_live: bool  # times of arrival are those of the machine's clock

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End; nothing is taken afterwards."""
        ...

    def take(self) -> Received:
        """All that arrived since the last call."""
        ...

    def read_losses(self) -> dict[str, int]:
        """Datagrams lost or held back since the start, by reason."""
        ...


def warm_up(sensors: SensorTable) -> None:
    """Lay out the tables of all editions that can come, so that the first datagram does not wait for it."""
    for category in CATEGORIES:
        load_table(category, editions(category)[-1], "core")
    for chosen in sensors.editions.values():
        for category, edition in chosen.items():
            if edition in editions(category):
                load_table(category, edition, "core")


class Ingest:
    """Turns what a feed has received into plots."""

    def __init__(
        self,
        feed: DatagramFeed,
        sensors: SensorTable,
        rules: tuple[ReceptionRule, ...] = (),
    ) -> None:
        """Args: `rules` say who may speak for a sensor; a sensor without one is taken from anybody."""
        self.feed = feed
        self.sensors = sensors
        self.health = HealthMonitor(sensors)
        self._editions = sensors.editions
        self._assembler = PlotAssembler(sensors)
        self._told: set[str] = set()
        self._looked_at = 0
        self._rules = {
            (sensor.sac, sensor.sic): np.array(sorted(rule.senders), dtype=np.uint32)
            for rule in rules
            for sensor in [sensors.sensors[rule.sensor]]
        }

    def take(self) -> tuple[PlotBatch, float]:
        """Plots that arrived since the last call, and the time up to which all have arrived (UTC s)."""
        received = self.feed.take()
        datagrams = received.datagrams
        for source, count in received.quarantined.items():
            self.health.note_error(source, "quarantined", count)
        if len(datagrams) == 0:
            return make_plots(0), received.closed
        decoded = decode_datagrams(datagrams, self._editions, "core")
        if self._rules:
            decoded.records = [self._without_impostors(columns, received) for columns in decoded.records]
        self.health.note_service_messages(decoded.records, datagrams)
        plots = self._assembler.assemble(decoded, datagrams)
        self._tell_unknown_sources()
        self.health.note_errors(decoded.errors)
        self.health.note_plots(plots.sensor, plots.time, plots.received)
        return plots, received.closed

    @property
    def filtered(self) -> Counter[tuple[str, str]]:
        """Records so far that are no plots, by (SAC/SIC, reason)."""
        return self._assembler.filtered

    def _tell_unknown_sources(self) -> None:
        """Say once of each source that sends plots but is no sensor of the table."""
        if len(self._assembler.filtered) == self._looked_at:
            return
        self._looked_at = len(self._assembler.filtered)
        for source, reason in self._assembler.filtered:
            if reason == UNKNOWN_SOURCE and source not in self._told and len(self._told) < MOST_TOLD:
                self._told.add(source)
                log.warning("plots of a source that is no sensor", extra={"source": source})

    def _without_impostors(self, columns: RecordColumns, received: Received) -> RecordColumns:
        """Records without those that claim a sensor but came from an address that may not speak for it."""
        sac, sic = columns.raw("010/SAC"), columns.raw("010/SIC")
        sender = received.sender[columns.datagram]
        good = np.ones(len(columns), dtype=np.bool_)
        for (rule_sac, rule_sic), allowed in self._rules.items():
            bad = (sac == rule_sac) & (sic == rule_sic) & ~np.isin(sender, allowed)
            if bad.any():
                self.health.note_error(f"{rule_sac}/{rule_sic}", "quarantined", int(bad.sum()))
                good &= ~bad
        return columns if good.all() else _take_records(columns, good)


def _take_records(columns: RecordColumns, rows: NDArray[np.bool_]) -> RecordColumns:
    return replace(
        columns,
        values=np.ascontiguousarray(columns.values[:, rows]),
        datagram=columns.datagram[rows],
        offset=columns.offset[rows],
    )
