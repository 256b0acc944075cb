"""The exchange over real NATS servers with mutual TLS, beside a plain client on the same servers and links.

Each centre is a process with a server of its own; all are on this machine, so a time of sending and one
of arrival are by one clock, and all share its cores.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from skypact.benchmarks.arrival import arrival_figures
from skypact.benchmarks.linked import STEP, Exchanged, Remote, federation, made_report, together
from skypact.benchmarks.model import Figure
from skypact.centre.system_picture import with_numbers
from skypact.exchange.correlation import Correlator
from skypact.exchange.fusion import fuse
from skypact.exchange.gateway import TILES_A_STEP
from skypact.exchange.model import REPORT_COLUMNS, TrackReport
from skypact.exchange.numbers import NumberBook
from skypact.exchange.wire import TILES, Tracks, cut_tiles, decode, encode_tile

ALPHA, BRAVO = "ALPHA", "BRAVO"
RECORD = 400  # bytes of a journal's record


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    tracks: int = 20_000
    seconds: float = 20.0  # of each measurement over the link
    settle: float = 6.0  # s of exchange before it is measured, in which the window grows
    records: int = 5_000
    repeats: int = 9  # of what is measured by itself
    growth_tracks: tuple[int, ...] = (2_000, 5_000, 10_000, 20_000, 50_000)
    growth_partners: tuple[int, ...] = (2, 3, 5, 10)  # centres that give each other tracks
    partner_tracks: int = 2_000  # that each centre gives each other
    preset: str = "national"  # of plots
    preset_seconds: float = 60.0


QUICK = Scale(2_000, 3.0, 1.0, 200, 3, (1_000,), (3,), 200, "small", 16.0)


def run(scale: Scale | None = None) -> list[Figure]:
    """All figures, in a few minutes; less of everything with another scale."""
    scale = scale or Scale()
    figures = [*_wire_figures(scale), *_fusion_figures(scale)]
    with tempfile.TemporaryDirectory() as folder, federation(Path(folder), (ALPHA, BRAVO)) as (alpha, bravo):
        figures += _pair_figures(scale, alpha, bravo)
    for count in scale.growth_partners:
        figures += _star_figures(scale, count)
    return figures + arrival_figures(scale.preset, scale.preset_seconds)


def _wire_figures(scale: Scale) -> list[Figure]:
    """Encoding and decoding of one picture, beside copying the same columns once each way."""
    report = made_report(ALPHA, scale.tracks)
    payloads = [encode_tile(part, 1, 1, tile, TILES) for tile, part in enumerate(cut_tiles(report))]
    back = [message.report for message in map(decode, payloads) if isinstance(message, Tracks)]
    if sum(map(len, back)) != scale.tracks:
        raise RuntimeError("tracks lost on the wire")

    def encode_all() -> list[bytes]:
        return [encode_tile(part, 1, 1, tile, TILES) for tile, part in enumerate(cut_tiles(report))]

    def copy_twice() -> None:
        _copy(report)
        for part in back:
            _copy(part)

    encoding, decoding, copying = _interleaved(
        scale.repeats, encode_all, lambda: [decode(payload) for payload in payloads], copy_twice
    )
    both = encoding + decoding
    return [
        Figure(
            name=f"encode and decode {scale.tracks:,} tracks in {TILES} tiles",
            value=both * 1e3,
            unit="ms",
            peer="numpy copies the columns twice",
            peer_value=copying * 1e3,
            ratio=copying / both,
            target="at most 2 ms",
            note=f"encode {encoding * 1e3:.2f} with the cut into tiles, decode {decoding * 1e3:.2f}; "
            f"{sum(map(len, payloads)) / scale.tracks:.0f} bytes a track",
        )
    ]


def _copy(report: TrackReport) -> list[Any]:
    return [getattr(report, name).copy() for name in REPORT_COLUMNS]


def _fusion_figures(scale: Scale) -> list[Figure]:
    """One second's work at a centre with three partners, all of which see the same aircraft."""
    names = ("ALPHA", "BRAVO", "CHARLIE", "DELTA")
    shift = np.random.default_rng(1)
    base = made_report(names[0], scale.tracks)
    reports = {}
    for place, name in enumerate(names):
        off = shift.normal(0.0, 1e-5, (2, scale.tracks))
        uid = base.uid + np.array([place, 0], np.uint64)
        latitude, longitude = base.latitude + off[0], base.longitude + off[1]
        reports[name] = replace(
            base, centre=name, centre_names=(name,), uid=uid, latitude=latitude, longitude=longitude
        )
    own = reports.pop(names[0])
    correlator, book = Correlator(), NumberBook(names[0])
    spent: list[list[float]] = []
    for second in range(4 + scale.repeats):
        now = base.time + second
        ours = replace(own, time=now)
        theirs = {name: replace(report, time=now) for name, report in reports.items()}
        begun = time.perf_counter()
        correlation = correlator.update(ours, theirs, now)
        correlated = time.perf_counter()
        numbers = book.update(correlation, {})
        numbered = time.perf_counter()
        fuse(correlation, numbers, ())
        fused = time.perf_counter()
        with_numbers(ours, numbers)
        spent.append([correlated - begun, numbered - correlated, fused - numbered])
    parts = np.median(spent[4:], axis=0) * 1e3
    return [
        Figure(
            name=f"one picture of {scale.tracks:,} aircraft that four centres see",
            value=float(parts.sum()),
            unit="ms",
            target="below 100",
            note=f"correlate {parts[0]:.0f}, number {parts[1]:.0f}, fuse {parts[2]:.0f}",
        )
    ]


def _interleaved(repeats: int, *actions: Callable[[], object]) -> list[float]:
    """Median seconds of each action, all of them one after the other again and again."""
    spent: list[list[float]] = [[] for _ in actions]
    for _ in range(repeats + 1):
        for action, times in zip(actions, spent, strict=True):
            begun = time.perf_counter()
            action()
            times.append(time.perf_counter() - begun)
    return [median(times[1:]) for times in spent]


def _pair_figures(scale: Scale, alpha: Remote, bravo: Remote) -> list[Figure]:
    """One pair, the plain client first: its streams and messages must not meet the exchange's."""
    payloads = [encode_tile(part, 1, 1) for part in cut_tiles(made_report(ALPHA, scale.tracks))]
    size = sum(map(len, payloads))
    bravo.begin("run_plain", "listen", ALPHA, scale.seconds + 3.0)
    time.sleep(1.0)
    burst = (TILES, size // TILES, TILES_A_STEP, STEP, scale.seconds)
    alpha.call("run_plain", "publish", BRAVO, *burst)
    plain_delays = bravo.end()
    plain_store = scale.records / alpha.call("run_plain", "store", BRAVO, scale.records, RECORD)
    alpha.begin("run_plain", "answer", BRAVO, size, scale.repeats)
    plain_answer = median(bravo.call("run_plain", "ask", ALPHA, scale.repeats))
    alpha.end()
    together([alpha, bravo], "join")
    figures = _link_figures(scale, alpha, bravo, plain_delays)
    figures += _join_figures(scale, bravo, plain_answer)
    figures += _journal_figures(scale, alpha, bravo, plain_store)
    together([alpha, bravo], "run", scale.settle, 0)
    for tracks in scale.growth_tracks:
        together([alpha, bravo], "run", scale.settle, tracks)
        ours, theirs = together([alpha, bravo], "run", 0.5 * scale.seconds, tracks)
        delays = tile_delays(ours, theirs, ALPHA, BRAVO)
        figures.append(_load_figure(f"pair, {tracks:,} tracks each way", [ours, theirs], 1))
        figures += _percentiles(f"pair, {tracks:,} tracks: tile handed over to arrival", delays)
    return figures


def _link_figures(scale: Scale, alpha: Remote, bravo: Remote, plain: list[float]) -> list[Figure]:
    together([alpha, bravo], "run", scale.settle, scale.tracks)
    ours, theirs = together([alpha, bravo], "run", scale.seconds, scale.tracks)
    delays = tile_delays(ours, theirs, ALPHA, BRAVO)
    pictures = theirs.pictures[ALPHA]
    # Of the pictures of one time the last one holds all tiles.
    whole = {when: seen - when for when, seen in pictures}
    return [
        *_percentiles(
            f"{scale.tracks:,} tracks at 1 Hz: tile handed over to arrival",
            delays,
            plain,
            ("3", "20"),
            f"{len(delays)} tiles; held against a plain client that publishes the same bytes",
        ),
        *_percentiles(f"{scale.tracks:,} tracks: picture to the partner's reader", list(whole.values())),
        _load_figure(f"{scale.tracks:,} tracks each way", [ours, theirs], 1),
    ]


def tile_delays(owner: Exchanged, reader: Exchanged, name: str, partner: str) -> list[float]:
    """Seconds from handing over to arrival of each tile that `name` gave `partner`."""
    given = dict(owner.given[partner])
    return [came - given[sequence] for sequence, came in reader.came[name] if sequence in given]


def _percentiles(
    name: str,
    delays: Sequence[float],
    plain: Sequence[float] = (),
    targets: tuple[str, str] = ("", ""),
    note: str = "",
) -> list[Figure]:
    figures = []
    for share, target in zip((50, 99), targets, strict=True):
        value = float(np.percentile(delays, share)) * 1e3
        bound = float(np.percentile(plain, share)) * 1e3 if plain else None
        figures.append(
            Figure(
                name=f"{name}, p{share}",
                value=value,
                unit="ms",
                peer="plain publish" if plain else "",
                peer_value=bound,
                ratio=None if bound is None else bound / value,
                target=target and f"at most {target}",
                note=note,
            )
        )
    return figures


def _join_figures(scale: Scale, bravo: Remote, plain: float) -> list[Figure]:
    figures = []
    for name, is_remote, target in (("from its own server", False, "250"), ("over the link", True, "500")):
        spent = [bravo.call("rejoin", ALPHA, scale.tracks, is_remote) for _ in range(scale.repeats)]
        value = median(spent) * 1e3
        figures.append(
            Figure(
                name=f"late join of {scale.tracks:,} tracks {name}, median",
                value=value,
                unit="ms",
                peer="plain request over the link",
                peer_value=plain * 1e3,
                ratio=plain * 1e3 / value,
                target=f"at most {target}",
                note=f"{min(spent) * 1e3:.0f} to {max(spent) * 1e3:.0f} ms; to the picture from the reader",
            )
        )
    return figures


def _journal_figures(scale: Scale, alpha: Remote, bravo: Remote, plain: float) -> list[Figure]:
    """A partner that was away: its server is stopped while records are written, and started again."""
    bravo.call("stop_server")
    stored = scale.records / alpha.call("append", BRAVO, scale.records, RECORD)
    bravo.call("start_server")
    bravo.call("join")
    first, rest = bravo.call("catch_up", ALPHA, scale.records)
    return [
        Figure(
            name=f"storing {scale.records:,} records for a partner, each on disk",
            value=stored,
            unit="records/s",
            peer="plain publish to a stream",
            peer_value=plain,
            ratio=stored / plain,
        ),
        Figure(
            name=f"catch-up of {scale.records:,} records by a partner that was away",
            value=scale.records / rest,
            unit="records/s",
            peer="plain publish to a stream",
            peer_value=plain,
            ratio=scale.records / rest / plain,
            target="at least 1,000",
            note=f"from the first one on, which came {first:.1f} s after the exchange began anew; "
            "each is on disk at the partner, too",
        ),
    ]


def _star_figures(scale: Scale, count: int) -> list[Figure]:
    """The load of one centre among so many that each give each their tracks: it alone has all of the links.

    All of their links at the same time would be too much for the cores of one machine.
    """
    names = [f"CENTRE{place}" for place in range(count)]
    with tempfile.TemporaryDirectory() as folder, federation(Path(folder), names) as members:
        together(members, "join")
        together(members, "run", scale.settle, scale.partner_tracks)
        done = together(members, "run", 0.5 * scale.seconds, scale.partner_tracks)
    delays: list[float] = []
    for name, one in zip(names[1:], done[1:], strict=True):
        delays += tile_delays(done[0], one, names[0], name) + tile_delays(one, done[0], name, names[0])
    what = f"{count} centres, {scale.partner_tracks:,} tracks each to each"
    target = "below 1" if count == 10 else ""
    return [
        _load_figure(what, done[:1], count - 1, target),
        *_percentiles(
            f"{what}: tile handed over to arrival",
            delays,
            note=f"{len(delays) / (count - 1) / scale.seconds:.0f} tiles/s a link and way",
        ),
    ]


def _load_figure(what: str, done: Sequence[Exchanged], partners: int, target: str = "") -> Figure:
    seconds = sum(one.seconds for one in done)
    process = sum(one.process for one in done) / seconds
    server = sum(one.server for one in done) / seconds
    rate = sum(one.octets for one in done) / seconds / partners
    return Figure(
        name=f"{what}: share of one core for a centre's exchange",
        value=process + server,
        unit="",
        target=target,
        note=f"{(process + server) / partners:.3f} a partner; gateways, readers and engine {process:.3f}, "
        f"server {server:.3f}; {rate / 1e3:,.0f} kB/s a partner",
    )
