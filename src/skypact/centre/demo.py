"""`skypact demo`: partners' centres as processes of their own, each with its radars, its engine and its page.

Simulated radars send them real ASTERIX by UDP. Their links go over a simulated line that can be cut
and healed: by `skypact demo cut` and `heal`, by the button on the pages, or at times given before.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skypact.centre.control import ControlServer, is_running
from skypact.centre.settings import PARTNERS_FOLDER
from skypact.core.errors import BadInputError
from skypact.core.units import DEGREE
from skypact.exchange.trust import TrustStore, read_partner_file
from skypact.sensors.model import SensorTable
from skypact.simulation.files import sensor_lines
from skypact.simulation.link import Link, LinkProxy
from skypact.simulation.live import LiveSender
from skypact.simulation.scenario import Scenario
from skypact.simulation.world import FIRST_SAC, World

LOOPBACK = "127.0.0.1"
SEED = 1
STOP_PATIENCE = 15.0  # s that a centre may take to stop before it is killed

RELEASE_EVERYTHING = """# What {partner} gets of {name}: its plots, its tracks and its whole journal.
rung = "plots"
journal = ["*"]

[[tracks]]
name = "all"

[[plots]]
name = "all"
"""


def demo_folder(port: int) -> Path:
    """Where the demo whose first page is on `port` keeps its files and answers commands."""
    return Path(tempfile.gettempdir()) / f"skypact-demo-{os.getuid()}-{port}"


@dataclass
class DemoCentre:
    """One partner of the demo."""

    name: str
    folder: Path
    radars: list[int]  # rows of its radars in the simulation's table
    radar_ports: list[int]
    page_port: int
    link_port: int
    proxy: LinkProxy
    process: asyncio.subprocess.Process | None = None
    address: str = ""  # of its page

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "centre.toml"


@dataclass
class Demo:
    """The centres, the line between them, and the radars."""

    centres: list[DemoCentre]
    folder: Path
    link: Link = field(default_factory=Link)

    async def run(
        self,
        sender: LiveSender,
        for_seconds: float | None,
        cut: tuple[float, float] | None,
        show: Callable[[list[DemoCentre]], None],
    ) -> None:
        """Run until SIGINT or SIGTERM, or for a time; `show` is called once all pages are served.

        Raises:
            BadInputError: a centre ended by itself.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        control = ControlServer(self.folder, {"cut": self._cut, "heal": self._heal, "state": self._state})
        try:
            await control.start()
            for centre in self.centres:
                await centre.proxy.start(centre.proxy.port)
                await self._start(centre)
            addresses = await asyncio.gather(*(_page_address(centre) for centre in self.centres))
            for centre, address in zip(self.centres, addresses, strict=True):
                centre.address = address
            sender.start()
            show(self.centres)
            if for_seconds is not None:
                loop.call_later(for_seconds, stop.set)
            if cut is not None:
                loop.call_later(cut[0], self._cut_links)
                loop.call_later(cut[0] + cut[1], self._heal_links)
            await self._wait(stop)
        finally:
            await asyncio.to_thread(sender.stop)
            await asyncio.gather(*(_stop(centre) for centre in self.centres))
            for centre in self.centres:
                await centre.proxy.stop()
            await control.stop()

    async def _start(self, centre: DemoCentre) -> None:
        centre.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "skypact.cli", "run", str(centre.config), "--demo", str(self.folder)),
            cwd=centre.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=None if len(self.centres) == 1 else (centre.folder / "centre.log").open("wb"),
            start_new_session=True,  # Ctrl-C reaches the demo, which then stops its centres
        )

    async def _wait(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set.

        Raises:
            BadInputError: a centre ended before.
        """
        waiting = {asyncio.create_task(stop.wait())}
        ends = {}
        for centre in self.centres:
            assert centre.process is not None
            ends[asyncio.create_task(centre.process.wait())] = centre
        done, pending = await asyncio.wait(waiting | set(ends), return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done - waiting:
            raise _ended(ends[task])

    def _cut_links(self) -> None:
        self.link.cut()
        print("the links are cut", flush=True)

    def _heal_links(self) -> None:
        self.link.heal()
        print("the links are healed", flush=True)

    async def _cut(self, request: dict[str, Any]) -> dict[str, bool]:
        self._cut_links()
        return await self._state(request)

    async def _heal(self, request: dict[str, Any]) -> dict[str, bool]:
        self._heal_links()
        return await self._state(request)

    async def _state(self, request: dict[str, Any]) -> dict[str, bool]:
        return {"cut": self.link.is_cut}


def run_demo(
    scenario: Scenario,
    port: int,
    for_seconds: float | None,
    is_headless: bool,
    cut: tuple[float, float] | None = None,
) -> None:
    """Run the demo until it is interrupted, or for a time.

    Args:
        scenario: who flies, which radars see it, and whose they are.
        port: of the first centre's page, the others' follow; 0 takes free ones.
        for_seconds: how long to run; None for ever.
        is_headless: opens no browser.
        cut: when the links are cut, in seconds from the start, and for how long.

    Raises:
        BadInputError: a port is taken, or a centre can't run.
    """
    world = World(scenario, SEED)
    simulation = world.play()
    names = [partner.upper() for partner in scenario.partners]
    pages = [port + place if port else _free_port(socket.SOCK_STREAM) for place in range(len(names))]
    folder = demo_folder(pages[0])
    link = Link()
    for page in pages:
        _check_free(page)
    with contextlib.ExitStack() as stack:
        _remove(folder)
        stack.callback(_remove, folder)
        centres = [
            centre
            for centre in _make_centres(names, simulation.sensors, pages, folder, link)
            if centre.radars
        ]
        for centre in centres:
            _write_config(centre, simulation.sensors)
        _join_partners(centres)
        ports = {
            row: port
            for centre in centres
            for row, port in zip(centre.radars, centre.radar_ports, strict=True)
        }
        addresses = [(LOOPBACK, ports[row]) for row in range(len(simulation.sensors))]
        sender = LiveSender(simulation, addresses, next_stretch=world.play)

        def show(centres: list[DemoCentre]) -> None:
            print(f"Skypact demo: {len(simulation.sensors)} radars, {len(simulation.targets)} targets")
            for centre in centres:
                print(f"{centre.name} is live at {centre.address}")
            if len(centres) > 1:
                which = "" if pages[0] == 8000 else f" --port {pages[0]}"
                print(f"cut the link with: skypact demo cut{which}; heal it with: skypact demo heal{which}")
            sys.stdout.flush()
            # Without a screen Python would open a text browser in this terminal.
            has_screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
            if not is_headless and (has_screen or sys.platform == "darwin"):
                for centre in centres:
                    webbrowser.open(centre.address)

        asyncio.run(Demo(centres, folder, link).run(sender, for_seconds, cut, show))


def _make_centres(
    names: list[str], sensors: SensorTable, pages: list[int], folder: Path, link: Link
) -> list[DemoCentre]:
    centres = []
    for place, (name, page) in enumerate(zip(names, pages, strict=True)):
        radars = [row for row, sensor in enumerate(sensors.sensors) if sensor.sac == FIRST_SAC + place]
        link_port = _free_port(socket.SOCK_STREAM)
        proxy = LinkProxy(link, (LOOPBACK, link_port))
        proxy.port = _free_port(socket.SOCK_STREAM)
        home = folder / name.lower()
        ports = [_free_port(socket.SOCK_DGRAM) for _ in radars]
        centres.append(DemoCentre(name, home, radars, ports, page, link_port, proxy))
    return centres


def _write_config(centre: DemoCentre, sensors: SensorTable) -> None:
    """The configuration that a user of these radars would write."""
    reference = sensors.reference
    lines = [
        "[centre]",
        f'name = "{centre.name}"',
        f"reference = {{ latitude_deg = {reference.latitude / DEGREE:.6f}, "
        f"longitude_deg = {reference.longitude / DEGREE:.6f} }}",
        'data = "data"',
        "",
        "[display]",
        f"port = {centre.page_port}",
        "",
        "[exchange]",
        f'listen = "{LOOPBACK}:{centre.link_port}"',
        f'address = "{LOOPBACK}:{centre.proxy.port}"',
    ]
    for row, port in zip(centre.radars, centre.radar_ports, strict=True):
        lines += ["", *sensor_lines(sensors.sensors[row]), "", "[[input]]", f'listen = "{LOOPBACK}:{port}"']
    (centre.folder / "release").mkdir(parents=True)
    centre.config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _join_partners(centres: list[DemoCentre]) -> None:
    """Make each centre's keys, and let each accept the others, as people would by `skypact partner`."""
    now = time.time()
    stores = {
        centre.name: TrustStore.create(
            centre.folder / "data" / PARTNERS_FOLDER, centre.name, f"{LOOPBACK}:{centre.proxy.port}", now
        )
        for centre in centres
    }
    for centre in centres:
        for name, store in stores.items():
            if name != centre.name:
                content = store.partner_file(now)
                stores[centre.name].accept(content, now, read_partner_file(content, now).fingerprint)
                text = RELEASE_EVERYTHING.format(partner=name, name=centre.name)
                (centre.folder / "release" / f"{name}.toml").write_text(text, encoding="utf-8")


async def _page_address(centre: DemoCentre) -> str:
    """Where the centre's page is served, as it tells once it is."""
    assert centre.process is not None
    assert centre.process.stdout is not None
    while line := await centre.process.stdout.readline():
        if b" is live at " in line:
            return line.decode().split()[-1]
    await centre.process.wait()
    raise _ended(centre)


def _ended(centre: DemoCentre) -> BadInputError:
    log = centre.folder / "centre.log"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return BadInputError(f"the centre {centre.name} ended", "demo", lines[-1] if lines else "see above")


async def _stop(centre: DemoCentre) -> None:
    process = centre.process
    if process is None or process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()


def _check_free(port: int) -> None:
    """Find out before anything starts that a page's port is taken.

    Raises:
        BadInputError: it is.
    """
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        raise BadInputError(
            f"can't serve the page: {os.strerror(error.errno or 0)}",
            f"{LOOPBACK}:{port}",
            "choose another --port",
        ) from None


def _free_port(kind: socket.SocketKind) -> int:
    """A loopback port that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as tried:
        tried.bind((LOOPBACK, 0))
        port: int = tried.getsockname()[1]
        return port


def _remove(folder: Path) -> None:
    """Delete what an earlier or this demo left.

    Raises:
        BadInputError: a demo runs there.
    """
    if is_running(folder):
        raise BadInputError("a demo runs on this port already", str(folder), "choose another --port")
    shutil.rmtree(folder, ignore_errors=True)
