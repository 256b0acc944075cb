"""Gateway and reader over real NATS servers."""

import time
from dataclasses import replace

from nats_federation import NatsPair
from simulated_link import SENSORS, START, make_health, make_policy, make_report

from skypact.exchange.gateway import Gateway
from skypact.exchange.model import Rung, TrackReport
from skypact.exchange.reader import LinkState, Reader
from skypact.plots.model import make_plots


def test_tracks_plots_and_journal_come_through_and_again_after_a_cut(nats_pair: NatsPair):
    gateway = Gateway("ALPHA", "BRAVO", nats_pair.alpha.outlet("BRAVO"), make_policy(), time.time_ns())
    reader = Reader("ALPHA", nats_pair.bravo.inlet("ALPHA"))
    report: TrackReport | None = None
    records: list[tuple[int, bytes]] = []
    given = plots_received = 0
    pictured = 0.0

    def step() -> None:
        nonlocal report, given, plots_received, pictured
        now = time.time()
        is_due = now >= pictured + 1.0
        pictured = now if is_due else pictured
        given += 1
        plots = make_plots(
            1,
            time=now - 0.1,
            received=now,
            range=50_000.0,
            azimuth=1.0,
            sigma_range=50.0,
            sigma_azimuth=0.001,
        )
        record = (given, b"record %d" % given)
        made = replace(make_report(2_000, START), time=now) if is_due else None
        gateway.step(now, made, plots, SENSORS, make_health(now), [record])
        received = reader.step(now, gateway.status.round_trip)
        report = report if received.report is None else received.report
        plots_received += len(received.plots)
        records.extend((record.sequence, record.payload) for record in received.records)

    def until(rung: Rung, state: LinkState, begin: float) -> None:
        def holds() -> bool:
            step()
            is_fresh = report is not None and report.time > begin and len(report) == 2_000
            stands = (gateway.status.rung, reader.status.state) == (rung, state)
            return stands and (is_fresh or rung is Rung.ALONE)

        nats_pair.until(holds)

    until(Rung.PLOTS, LinkState.UP, 0.0)
    nats_pair.cut()
    until(Rung.ALONE, LinkState.DOWN, 0.0)
    nats_pair.heal()
    until(Rung.PLOTS, LinkState.UP, time.time())
    before, last = plots_received, given

    def is_whole() -> bool:
        step()
        return plots_received > before and len(records) >= last and gateway.status.acknowledged >= last

    nats_pair.until(is_whole)
    assert records == [(n, b"record %d" % n) for n in range(1, len(records) + 1)]
    assert reader.status.refused == {}
    assert gateway.status.refused == 0
