"""Two centres of the demo, their line cut and healed by turns: what a cut costs, and how they find back."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from skypact.benchmarks.model import Figure
from skypact.centre.control import ask_centre
from skypact.centre.demo import STOP_PATIENCE, demo_folder
from skypact.core.errors import BadInputError
from skypact.display.frame import decode_frame
from skypact.exchange.model import PartnerState
from skypact.simulation.scenario import read_scenario

SCENARIO = "standard"
CUTS = 5
WARM_UP = 60.0  # s in which tracks form and numbers settle
CUT = LINKED = 30.0  # s of each turn
SETTLED = 8.0  # s of a turn whose pictures don't count: links fall and climb in them
START = 300.0  # s that the centres may take to start, compiling perhaps
LOOK = 0.25  # s between two looks at the partners' states
AGREED = 0.95  # share of the aircraft that both hold under one number


@dataclass
class _Seat:
    """Somebody at one centre's page, who notes what they see."""

    name: str
    page: str  # HOST:PORT
    data: Path
    delays: list[tuple[float, float]] = field(default_factory=list)  # when, and s from a picture's time
    states: list[tuple[float, PartnerState]] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)  # of each track's identifier
    changes: list[tuple[float, str]] = field(default_factory=list)  # when, and which track's number changed
    looks: int = 0  # at the tracks
    doubles: int = 0  # of them, those that showed a number on two tracks

    def watch_pictures(self, ended: threading.Event) -> None:
        """Take each picture as a page does."""
        try:
            with connect(f"ws://{self.page}/ws/picture", max_size=None, compression=None) as socket:
                while not ended.is_set():
                    data = socket.recv(timeout=10.0)
                    now = time.time()
                    assert isinstance(data, bytes)
                    frame = decode_frame(data)
                    self.delays.append((now, now - frame.time))
                    socket.send(str(frame.sequence))
        except (OSError, TimeoutError, WebSocketException):
            return  # what it saw is counted

    def watch_states(self, ended: threading.Event) -> None:
        """Ask how the partner stands, and for the numbers of all tracks, again and again."""
        while not ended.wait(LOOK):
            states = msgspec.convert(ask_centre(self.data, "partners"), list[PartnerState])
            now = time.time()
            self.states += [(now, state) for state in states]
            with urllib.request.urlopen(f"http://{self.page}/api/tracks", timeout=20.0) as answer:
                tracks = json.load(answer)["tracks"]
            shown = {track["uid"]: track["joint"] for track in tracks}
            self.looks += 1
            self.doubles += len(set(shown.values())) < len(shown)
            for uid, joint in shown.items():
                if self.numbers.setdefault(uid, joint) != joint:
                    self.changes.append((now, uid))
            self.numbers |= shown


def run() -> list[Figure]:
    """The delay of pictures with the line up and cut, by turns, and what follows each heal."""
    scan = max(_periods())
    with _demo() as (folder, seats):
        ended = threading.Event()
        watchers = [
            threading.Thread(target=watch, args=(ended,))
            for seat in seats
            for watch in (seat.watch_pictures, seat.watch_states)
        ]
        for watcher in watchers:
            watcher.start()
        turns: list[tuple[bool, float, float]] = []  # whether cut, begin and end
        heals = []
        try:
            time.sleep(WARM_UP)
            first_cut = time.time()
            for _ in range(CUTS):
                for action, seconds in (("cut", CUT), ("heal", LINKED)):
                    ask_centre(folder, action)
                    began = time.time()
                    time.sleep(seconds)
                    turns.append((action == "cut", began + SETTLED, time.time()))
                    if action == "heal":
                        heals.append(began)
        finally:
            ended.set()
            for watcher in watchers:
                watcher.join()
    delays = {
        is_cut: [
            delay
            for seat in seats
            for when, delay in seat.delays
            if any(kind is is_cut and begin <= when <= end for kind, begin, end in turns)
        ]
        for is_cut in (False, True)
    }
    firsts, agreed = _after_heals(seats, heals, scan)
    changes = [(seat.name, uid) for seat in seats for when, uid in seat.changes if when > first_cut]
    most = max((changes.count(change) for change in changes), default=0)
    linked, cut = median(delays[False]), median(delays[True])
    return [
        Figure(
            name="picture's time to a page, line cut, p50",
            value=cut * 1e3,
            unit="ms",
            peer="line up, by turns",
            peer_value=linked * 1e3,
            ratio=linked / cut,
            target="at most 1.5 times",
            note=f"{CUTS} turns of each, {len(delays[True])} and {len(delays[False])} pictures",
        ),
        Figure(
            name="first word of the partner after a heal, longest",
            value=max(firsts),
            unit="s",
            target="5 s",
            note=f"of {len(firsts)}; median {median(firsts):.1f} s",
        ),
        Figure(
            name="from there until 0.95 under one number, longest",
            value=max(agreed) / scan,
            unit="scans",
            target="2 scans of the slowest radar",
            note=f"of {len(agreed)}; median {median(agreed) / scan:.2f}; a scan is {scan:.0f} s",
        ),
        Figure(
            name="number changes of a track in all cuts, most",
            value=float(most),
            unit="",
            target=f"1 a cut, so {CUTS}",
            note=f"{len(changes)} in all of {sum(len(seat.numbers) for seat in seats)} tracks",
        ),
        Figure(
            name="looks at a picture with a number on two tracks",
            value=float(sum(seat.doubles for seat in seats)),
            unit="",
            target="0",
            note=f"of {sum(seat.looks for seat in seats)}",
        ),
    ]


def _after_heals(seats: list[_Seat], heals: list[float], scan: float) -> tuple[list[float], list[float]]:
    """For each heal and centre: s to the partner's first word, and from there to 0.95 under one number."""
    firsts, agreed = [], []
    for seat in seats:
        for heal in heals:
            turn = [(when, state) for when, state in seat.states if heal < when < heal + LINKED]
            heard = [state.heard for _, state in turn if state.heard is not None and state.heard > heal]
            first = heard[0] if heard else heal + LINKED
            firsts.append(first - heal)
            well = [when for when, state in turn if when >= first and _is_agreed(state)]
            agreed.append(well[0] - first if well else LINKED)
    return firsts, agreed


def _is_agreed(state: PartnerState) -> bool:
    shares = state.commonality
    return state.link == "up" and shares is not None and shares.held > 0 and shares.number >= AGREED


def _periods() -> Iterator[float]:
    """Of all radars of the scenario, s."""
    for radar in read_scenario(SCENARIO).radar:
        period = radar.rotation_period_s
        yield from period if isinstance(period, list) else [period]


@contextmanager
def _demo() -> Iterator[tuple[Path, list[_Seat]]]:
    """A running demo: its folder, and a seat at each of its centres."""
    arguments = ("demo", "--headless", "--port", "0", "--scenario", SCENARIO)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "skypact.cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    stuck = threading.Timer(START, process.terminate)
    stuck.start()
    try:
        assert process.stdout is not None
        pages: dict[str, str] = {}
        for line in process.stdout:
            if live := re.match(r"(\w+) is live at http://(\S+)", line):
                pages[live[1]] = live[2]
            elif ordered := re.search(r"demo cut --port (\d+)", line):
                folder = demo_folder(int(ordered[1]))
                break
        else:
            raise BadInputError("the demo did not start", "benchmark cut")
        stuck.cancel()
        yield folder, [_Seat(name, page, folder / name.lower() / "data") for name, page in pages.items()]
    finally:
        stuck.cancel()
        process.terminate()
        try:
            process.wait(3 * STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
