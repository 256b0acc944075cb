"""How fast the ASTERIX codec reads and writes, beside the peers that Python can call.

The decoders of other people run in `.venv-peers`, an environment of their own that `make bench` makes; the
encoder of libasterix runs here where it is installed. All get the same bytes in the same run; a rate is
records per CPU-second of one core, the best of five rounds.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.encode import encode_records
from skypact.asterix.model import Datagrams
from skypact.asterix.tables import Profile, count_octets, item_structures
from skypact.benchmarks.model import Figure
from skypact.core.text import callsign_from_text

_ROOT = Path(__file__).resolve().parents[3]
_PEERS_PYTHON = _ROOT / ".venv-peers" / "bin" / "python"
_PEERS_SCRIPT = _ROOT / "tools" / "asterix_peers.py"
_NO_PEERS = "no .venv-peers: run `make bench` in a source checkout to measure the peers"

_ROUNDS = 5
_DATAGRAM = 1400  # octets, the most that a peer gets at once
_RECORDS = 100_000  # that our codec is measured on
_DISTINCT = 4000  # made records that are different from each other
_PEER_RECORDS = 4000  # the same, fewer of them: the peers are slow
_LIBASTERIX_RECORDS = 400


def run() -> list[Figure]:
    """Records per CPU-second: decoding 048 and 062 against the best peer, encoding 062 against libasterix."""
    figures = []
    tracks = repeat(make_tracks(_DISTINCT), _RECORDS)
    for category, source, datagrams in (
        (48, "a recorded radar" if _recording() else "made plots", _plots()),
        (62, "made tracks of random presence", encode_records(62, tracks)),
    ):
        figures += _decode_figures(category, source, datagrams)
    figures.append(_encode_figure(tracks))
    return figures


def _decode_figures(category: int, source: str, datagrams: Datagrams) -> list[Figure]:
    peer, peer_rate = _best_peer(datagrams)
    figures = []
    profiles: tuple[tuple[Profile, str], ...] = (("full", "all columns"), ("core", "the core columns"))
    for profile, columns in profiles:
        seconds = _best_seconds(partial(decode_datagrams, datagrams, None, profile))
        rate = _count(datagrams) / seconds
        is_main = profile == "full"
        figures.append(
            Figure(
                name=f"decode {category:03d}, {columns}",
                value=rate,
                unit="records/s",
                peer=peer,
                peer_value=peer_rate,
                ratio=rate / peer_rate if peer_rate else None,
                target="at least 100 times the best Python peer" if is_main else "",
                note=f"{source}, {len(datagrams.buffer) / seconds / 1e6:.0f} MB/s"
                + ("" if peer_rate else f"; {_NO_PEERS}"),
            )
        )
    return figures


def _encode_figure(tracks: dict[str, NDArray[Any]]) -> Figure:
    rate = _RECORDS / _best_seconds(lambda: encode_records(62, tracks))
    peer_rate = _libasterix_rate(tracks)
    return Figure(
        name="encode 062",
        value=rate,
        unit="records/s",
        peer="libasterix" if peer_rate else "",
        peer_value=peer_rate,
        ratio=rate / peer_rate if peer_rate else None,
        target="at least 1,000 times libasterix",
        note="the same records" if peer_rate else "libasterix is not installed",
    )


def _best_seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def _count(datagrams: Datagrams) -> int:
    return sum(len(records) for records in decode_datagrams(datagrams, None, "core").records)


def _recording() -> Path | None:
    folder = Path(os.environ.get("SKYPACT_TEST_DATA") or _ROOT.parent / "shared" / "data")
    path = folder / "asterix" / "bcn_radar_20_129_1h_cat048.ast"
    return path if path.exists() else None


def _plots() -> Datagrams:
    """Recorded blocks packed into datagrams where there is a recording, else made ones."""
    path = _recording()
    if path is None:
        return encode_records(48, repeat(make_plots(_DISTINCT), _RECORDS))
    buffer = np.fromfile(path, dtype=np.uint8)
    offsets, lengths = [0], [0]
    position = 0
    while position + 3 <= len(buffer):
        length = int(buffer[position + 1]) << 8 | int(buffer[position + 2])
        if lengths[-1] + length > _DATAGRAM:
            offsets.append(position)
            lengths.append(0)
        lengths[-1] += length
        position += length
    return Datagrams(buffer, np.array(offsets), np.array(lengths), np.full(len(offsets), np.nan))


def repeat(columns: dict[str, NDArray[Any]], count: int) -> dict[str, NDArray[Any]]:
    """The columns again and again until there are `count` rows."""
    return {name: np.resize(column, count) for name, column in columns.items()}


def make_plots(count: int) -> dict[str, NDArray[Any]]:
    """Columns of Mode S plots such as an en-route radar sends."""
    rng = np.random.default_rng(48)
    return {
        "010/SAC": np.full(count, 1.0),
        "010/SIC": np.full(count, 2.0),
        "140": np.sort(rng.uniform(0.0, 3600.0, count)),
        "020/TYP": np.full(count, 5.0),
        "040/RHO": rng.uniform(1.0, 250.0, count),
        "040/THETA": rng.uniform(0.0, 360.0, count),
        "070/MODE3A": rng.integers(0, 4096, count).astype(np.float64),
        "090/FL": rng.uniform(0.0, 400.0, count),
        "130/SRR": rng.integers(0, 30, count).astype(np.float64),
        "130/SAM": rng.uniform(-90.0, -50.0, count),
        "220": rng.integers(1, 1 << 24, count).astype(np.float64),
        "240": _callsigns(rng, count),
        "161/TRN": rng.integers(0, 4096, count).astype(np.float64),
        "042/X": rng.uniform(-200.0, 200.0, count),
        "042/Y": rng.uniform(-200.0, 200.0, count),
        "200/GSP": rng.uniform(0.05, 0.2, count),
        "200/HDG": rng.uniform(0.0, 360.0, count),
        "170/CNF": np.zeros(count),
        "230/COM": np.ones(count),
    }


def make_tracks(count: int) -> dict[str, NDArray[Any]]:
    """Columns of system tracks as a tracker sends, the optional ones each in a random share of records."""
    rng = np.random.default_rng(62)

    def some(share: float, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(rng.random(count) < share, values, np.nan)

    def codes(top: int) -> NDArray[np.float64]:
        return rng.integers(0, top, count).astype(np.float64)

    def spread(low: float, high: float) -> NDArray[np.float64]:
        return rng.uniform(low, high, count)

    columns: dict[str, NDArray[Any]] = {
        "010/SAC": np.full(count, 1.0),
        "010/SIC": np.full(count, 2.0),
        "015": np.full(count, 1.0),
        "070": np.sort(spread(0.0, 3600.0)),
        "105/LAT": spread(-60.0, 60.0),
        "105/LON": spread(-179.0, 179.0),
        "100/X": spread(-4e5, 4e5),
        "100/Y": spread(-4e5, 4e5),
        "185/VX": spread(-250.0, 250.0),
        "185/VY": spread(-250.0, 250.0),
        "040": codes(1 << 15),
        "080/MON": codes(2),
        "080/SIM": some(0.7, codes(2)),
        "080/AMA": some(0.5, codes(2)),
        "080/CST": some(0.4, codes(2)),
        "210/AX": some(0.5, spread(-10.0, 10.0)),
        "060/MODE3A": some(0.9, codes(4096)),
        "136": some(0.9, spread(0.0, 400.0)),
        "130": some(0.3, spread(0.0, 40_000.0)),
        "135/CTB": some(0.8, spread(0.0, 400.0)),
        "220": some(0.8, spread(-3000.0, 3000.0)),
        "200/TRANS": some(0.9, codes(4)),
        "245/STI": some(0.6, np.zeros(count)),
        "245/CHR": _callsigns(rng, count),
        "290/PSR": some(0.7, spread(0.0, 30.0)),
        "290/SSR": some(0.7, spread(0.0, 30.0)),
        "290/MDS": some(0.7, spread(0.0, 30.0)),
        "295/MFL": some(0.6, spread(0.0, 30.0)),
        "295/MDA": some(0.6, spread(0.0, 30.0)),
        "340/SID/SAC": some(0.5, codes(256)),
        "340/POS/RHO": some(0.5, spread(0.0, 250.0)),
        "340/TYP/TYP": some(0.5, codes(8)),
        "500/APC/X": some(0.8, spread(0.0, 500.0)),
        "500/AGA": some(0.4, spread(0.0, 500.0)),
        "510/IDENT": some(0.3, codes(256)),
        "510/TRACK": some(0.3, codes(1 << 15)),
        "340/HEIGHT": some(0.3, spread(0.0, 12_000.0)),
        "340/MDC/LMC": some(0.5, spread(0.0, 400.0)),
        "340/MDA/MODE3A": some(0.5, codes(4096)),
        "380/ID": _callsigns(rng, count),
        "390/TAG/SAC": some(0.5, codes(256)),
        "390/IFI/NBR": some(0.3, codes(1 << 24)),
        "390/FCT/FR1FR2": some(0.5, codes(4)),
        "390/TAC": some(0.7, np.full(count, float(int.from_bytes(b"A320")))),
        "390/WTC": some(0.7, np.full(count, float(ord("M")))),
        "390/DEP": some(0.7, np.full(count, float(int.from_bytes(b"XAAA")))),
        "390/DST": some(0.7, np.full(count, float(int.from_bytes(b"XBBB")))),
        "390/CFL": some(0.7, spread(0.0, 400.0)),
    }
    for name, top in (("ADR", 1 << 24), ("COM/COM", 8), ("SAL/ALT", 1600), ("TAS", 600), ("IAR", 400)):
        columns[f"380/{name}"] = some(0.7, codes(top) * (25.0 if name == "SAL/ALT" else 1.0))
    for name, top in (("MHG", 360), ("RAN", 40), ("TAN", 360), ("BVR", 3000), ("GVR", 3000), ("MAC", 1)):
        columns[f"380/{name}"] = some(0.7, spread(0.0, top))
    return columns


def _callsigns(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    # Of the alphabet: one peer ends the process on other bits.
    known = [callsign_from_text(f"SKY{number:04d}") for number in range(500)]
    return np.array(known, dtype=np.int64)[rng.integers(0, len(known), count)]


def _best_peer(datagrams: Datagrams) -> tuple[str, float | None]:
    """Name and rate of the fastest Python peer on the first datagrams; no rate where there are none."""
    if not (_PEERS_PYTHON.exists() and _PEERS_SCRIPT.exists()):
        return "", None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "datagrams"
        taken = 0
        with path.open("wb") as file:
            for offset, length in zip(datagrams.offset.tolist(), datagrams.length.tolist(), strict=True):
                one = Datagrams(datagrams.buffer, np.array([offset]), np.array([length]), np.zeros(1))
                taken += _count(one)
                if taken > _PEER_RECORDS:
                    break
                file.write(length.to_bytes(4, "little"))
                file.write(datagrams.buffer[offset : offset + length].tobytes())
        done = subprocess.run(
            [_PEERS_PYTHON, _PEERS_SCRIPT, path], capture_output=True, text=True, timeout=300, check=False
        )
    if done.returncode != 0:
        return "", None
    rates = {name: peer["records"] / peer["seconds"] for name, peer in json.loads(done.stdout).items()}
    best = max(rates, key=lambda name: rates[name], default="")
    return best, rates.get(best)


def _libasterix_rate(tracks: dict[str, NDArray[Any]]) -> float | None:
    """Records per second of libasterix, given the same records item by item; None where it is absent."""
    try:
        from asterix.generated import Cat_062_1_21
    except ImportError:
        return None
    few = {name: column[:_LIBASTERIX_RECORDS] for name, column in tracks.items()}
    datagrams = encode_records(62, few)
    buffer = datagrams.buffer.tobytes()
    rows = [
        items
        for offset, length in zip(datagrams.offset.tolist(), datagrams.length.tolist(), strict=True)
        for items in _ItemReader(buffer[offset + 3 : offset + length]).records()
    ]
    assert len(rows) == _LIBASTERIX_RECORDS

    def encode() -> bytes:
        records = [Cat_062_1_21.cv_record.create(dict(items)) for items in rows]
        encoded: bytes = Cat_062_1_21.create(records).unparse().to_bytes()
        return encoded

    assert encode()[3:] == b"".join(
        buffer[offset + 3 : offset + length]
        for offset, length in zip(datagrams.offset.tolist(), datagrams.length.tolist(), strict=True)
    )
    return _LIBASTERIX_RECORDS / _best_seconds(encode)


class _ItemReader:
    """Takes records of 062 apart into what libasterix makes them of: an integer for each part of an item."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.position = 0
        self.structures, uaps, _ = item_structures(62, "1.21")
        (self.uap,) = uaps.values()

    def records(self) -> Iterator[dict[str, Any]]:
        while self.position < len(self.octets):
            names = [self.uap[slot] for slot in self._presence()]
            yield {name: self._item(self.structures[name]) for name in names}

    def _take(self, count: int) -> int:
        self.position += count
        return int.from_bytes(self.octets[self.position - count : self.position])

    def _presence(self) -> list[int]:
        slots = []
        first = 0
        is_followed = True
        while is_followed:
            octet = self._take(1)
            slots += [first + place for place in range(7) if octet & 0x80 >> place]
            first += 7
            is_followed = bool(octet & 1)
        return slots

    def _item(self, structure: dict[str, Any]) -> Any:
        if "compound" in structure:
            subs = [structure["compound"][slot] for slot in self._presence()]
            return {name: self._item(inner) for name, inner in subs}
        if "fixed" in structure:
            return self._take(count_octets(structure["fixed"]))
        # What FX bits chain: parts without that bit.
        parts = structure["extended"] if "extended" in structure else [structure["of"]]
        taken = []
        for part in parts:
            value = self._take(count_octets(part))
            taken.append(value >> 1)
            if not value & 1:
                break
        return taken
