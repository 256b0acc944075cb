"""Two real centres for tests: `skypact run` processes, simulated radars over UDP, and who watches them."""

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
from lines import RADARS, Line

from skypact.centre.control import ask_centre
from skypact.centre.settings import PARTNERS_FOLDER
from skypact.core.errors import BadInputError
from skypact.core.units import DEGREE
from skypact.exchange.model import PartnerState
from skypact.exchange.trust import TrustStore, read_partner_file
from skypact.sensors.model import SensorTable
from skypact.simulation.files import sensor_lines
from skypact.simulation.live import LiveSender
from skypact.simulation.scenario import parse_scenario
from skypact.simulation.world import FIRST_SAC, World

NAMES = ("ALPHA", "BRAVO")
ABSENT = "CHARLIE"  # a partner of both who never comes, so that acts on it load the journals alone
PATIENCE = 400.0  # s; a first start ever compiles, here maybe beside other work
SCAN = 4.0  # s, of every radar below
AIRCRAFT = 24
SCENARIO = f"""
duration_s = 900
extent_km = 280
latitude_deg = 45.0
longitude_deg = -35.0
[[traffic]]
kind = "airliner"
count = {AIRCRAFT}
mode_s = 1.0
arriving = 0
leaving = 0
""" + "".join(
    f"""
[[radar]]
kind = "mode_s"
east_km = {east}
north_km = {north}
rotation_period_s = {SCAN}
range_max_km = 230
clutter_per_scan = 2
"""
    for east in (-100, 100)
    for north in (-60, 60)
)
RELEASE = """journal = ["*"]
[[tracks]]
name = "all"
[[plots]]
name = "all"
"""


@dataclass
class RealCentre:
    """One centre as a process."""

    name: str
    folder: Path
    line: Line
    program: tuple[str, ...] = ("-m", "skypact.cli", "run")
    process: subprocess.Popen[bytes] | None = None
    _page: int = 0

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        """What it logged in all its runs."""
        return (self.folder / "centre.log").read_text(errors="replace")

    @property
    def partner(self) -> str:
        return NAMES[1 - NAMES.index(self.name)]

    def start(self) -> None:
        """Start it and wait until its page is served."""
        said = self.folder / "said"
        with (self.folder / "centre.log").open("ab") as log, said.open("wb") as out:
            self.process = subprocess.Popen(
                self.line.command(
                    self.name, [sys.executable, *self.program, str(self.folder / "centre.toml")]
                ),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        wait_until(lambda: " is live at " in said.read_text() or self.process.poll() is not None, PATIENCE)
        assert self.process.poll() is None, self.log
        self._page = int(said.read_text().rpartition(":")[2])

    def kill(self) -> None:
        """End it with signal 9, as a crash would; its engine is left behind."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as a person does; kill it and its engine if that fails."""
        if self.process is None or self.process.poll() is not None:
            self.kill_engine()
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            self.kill_engine()

    def kill_engine(self) -> None:
        """End its NATS server with signal 9, if one runs."""
        file = self.data / "exchange" / "nats.pid"
        try:
            pid = int(file.read_text())
            if str(self.data / "exchange").encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            pass  # none runs

    def ask(self, command: str, **arguments: Any) -> Any:
        """What the running centre answers to a command."""
        return ask_centre(self.data, command, **arguments)

    def state(self) -> PartnerState:
        """How the exchange with the other centre stands, as `skypact partner status --json` tells."""
        states = msgspec.convert(self.ask("partners"), list[PartnerState])
        return next(state for state in states if state.name == self.partner)

    def picture(self) -> dict[str, Any]:
        """The latest picture, by REST."""
        with self.line.at(self.name):
            connection = http.client.HTTPConnection("127.0.0.1", self._page, timeout=20)
            connection.connect()
        try:
            connection.request("GET", "/api/tracks")
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A `skypact` command as a person runs it beside the centre."""
        return subprocess.run(
            [sys.executable, "-m", "skypact.cli", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
        )

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """All records that lie here, by the centre whose they are; they have been proved."""
        with ThreadPoolExecutor(2) as runner:
            verify = runner.submit(self.command, "journal", "verify", "data")
            show = runner.submit(self.command, "journal", "show", "data", "--json")
        for result in (verify.result(), show.result()):
            assert result.returncode == 0, result.stdout + result.stderr
        logs: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
        for record in json.loads(show.result().stdout)["records"]:
            logs[record["centre"]].append(record)
        return logs


@dataclass
class RealPair:
    """Alpha and Bravo, linked by a line, each with its radars."""

    folder: Path
    line: Line
    programs: dict[str, tuple[str, ...]] = field(default_factory=dict)  # in place of `skypact run`
    centres: dict[str, RealCentre] = field(default_factory=dict)
    _sender: LiveSender | None = None

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def both(self) -> tuple[RealCentre, RealCentre]:
        return self.centres[NAMES[0]], self.centres[NAMES[1]]

    def close(self) -> None:
        """End everything."""
        if self._sender is not None:
            self._sender.stop()
        with ThreadPoolExecutor() as runner:
            list(runner.map(RealCentre.stop, self.centres.values()))
        self.line.close()

    def _begin(self) -> None:
        world = World(parse_scenario(SCENARIO.encode(), "real centres"), seed=7)
        simulation = world.play()
        stores = {}
        now = time.time()
        for name in NAMES:
            centre = self.centres[name] = RealCentre(name, self.folder / name.lower(), self.line)
            centre.program = self.programs.get(name, centre.program)
            (centre.folder / "release").mkdir(parents=True)
            _write_config(centre, simulation.sensors)
            where = self.line.address[name]
            stores[name] = TrustStore.create(centre.data / PARTNERS_FOLDER, name, where, now)
        absent = TrustStore.create(self.folder / "charlie", ABSENT, "127.0.0.1:9", now)
        for name, store in stores.items():
            centre = self.centres[name]
            for other in (stores[centre.partner], absent):
                content = other.partner_file(now)
                store.accept(content, now, read_partner_file(content, now).fingerprint)
            (centre.folder / "release" / f"{centre.partner}.toml").write_text(RELEASE)
        addresses = [self.line.radar[NAMES[sensor.sac - FIRST_SAC]] for sensor in simulation.sensors.sensors]
        self._sender = LiveSender(simulation, addresses, next_stretch=world.play)
        with ThreadPoolExecutor() as runner:
            list(runner.map(RealCentre.start, self.both))
        with self.line.at(RADARS):
            self._sender.start()


def _write_config(centre: RealCentre, sensors: SensorTable) -> None:
    reference = sensors.reference
    host, port = centre.line.radar[centre.name]
    lines = [
        "[centre]",
        f'name = "{centre.name}"',
        f"reference = {{ latitude_deg = {reference.latitude / DEGREE:.6f}, "
        f"longitude_deg = {reference.longitude / DEGREE:.6f} }}",
        'data = "data"',
        "[display]",
        "port = 0",
        "[exchange]",
        f'listen = "{centre.line.listen[centre.name]}"',
        f'address = "{centre.line.address[centre.name]}"',
        "[[input]]",
        f'listen = "{host}:{port}"',
    ]
    for sensor in sensors.sensors:
        if NAMES[sensor.sac - FIRST_SAC] == centre.name:
            lines += sensor_lines(sensor)
    (centre.folder / "centre.toml").write_text("\n".join(lines) + "\n")


def wait_until(happens: Callable[[], bool], seconds: float = 90.0, what: Callable[[], object] = str) -> None:
    """Return once something is so; `what` tells how it stands if it never is."""
    due = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < due, f"not within {seconds:.0f} s: {what()}"
        time.sleep(0.1)


class JournalLoad:
    """Keeps both centres recording: a person suspends and resumes the partner who is not there."""

    def __init__(self, pair: RealPair) -> None:
        self.label = secrets.token_hex(4)
        self.kept: dict[str, list[str]] = {name: [] for name in NAMES}  # reasons that a centre acknowledged
        self.errors: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(centre,)) for centre in pair.both]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, centre: RealCentre) -> None:
        number, is_suspended = 0, False
        while not self._ended.wait(0.1):
            number += 1
            reason = f"{self.label} {number}"
            command = "resume" if is_suspended else "suspend"
            try:
                centre.ask(command, partner=ABSENT, rung="alone", by="load", reason=reason)
            except BadInputError as error:
                self.errors.append(str(error))
                is_suspended = False  # perhaps; and who is suspended can be suspended again
            else:
                self.kept[centre.name].append(reason)
                is_suspended = not is_suspended


@dataclass(frozen=True)
class Seen:
    """One look at one centre."""

    time: float
    state: PartnerState
    sequence: int  # of the picture
    picture_time: float
    tracks: tuple[dict[str, Any], ...]


class Watch:
    """Looks at both centres several times a second, in a thread of its own."""

    def __init__(self, pair: RealPair) -> None:
        self.seen: dict[str, list[Seen]] = {name: [] for name in NAMES}
        self._pair = pair
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: all(self.seen.values()))
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: {len(seen[-1].tracks)} tracks, {seen[-1].state}" for name, seen in self.seen.items()
        )

    def last(self, name: str) -> Seen:
        """The latest look at a centre."""
        return self.seen[name][-1]

    def since(self, name: str, begin: float) -> list[Seen]:
        """The looks at a centre from a time on."""
        return [seen for seen in list(self.seen[name]) if seen.time >= begin]

    def both(self, is_so: Callable[[Seen], bool]) -> bool:
        """Whether something is so in the latest look at each centre."""
        return all(is_so(self.last(name)) for name in NAMES)

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            for centre in self._pair.both:
                try:
                    state, picture = centre.state(), centre.picture()
                except (OSError, BadInputError, http.client.HTTPException):
                    continue  # it is down, by the test's will
                if picture["time"] is None:
                    continue  # it has only just started
                self.seen[centre.name].append(
                    Seen(time.time(), state, picture["sequence"], picture["time"], tuple(picture["tracks"]))
                )


def is_whole(seen: Seen) -> bool:
    """Whether a centre is linked, and shows every aircraft under the number that the partner shows."""
    shares = seen.state.commonality
    return (
        seen.state.link == "up"
        and seen.state.we_give == seen.state.they_give != "alone"
        and shares is not None
        and shares.held >= 0.95 * AIRCRAFT
        and shares.number >= 0.95
    )
