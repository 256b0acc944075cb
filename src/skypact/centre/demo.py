"""`skypact demo`: a centre that is fed by simulated radars over real UDP ASTERIX on loopback."""

import asyncio
import os
import sys
import webbrowser
from pathlib import Path

from skypact.centre.service import serve
from skypact.centre.settings import CentreSettings, DisplaySettings
from skypact.sensors.receive import UdpReceiver, UdpSource
from skypact.simulation.live import LiveSender
from skypact.simulation.scenario import Scenario
from skypact.simulation.world import World

LOOPBACK = "127.0.0.1"
SEED = 1


def run_demo(scenario: Scenario, port: int, for_seconds: float | None, is_headless: bool) -> None:
    """Run the demo until it is interrupted, or for a time.

    Args:
        scenario: who flies, and which radars see it.
        port: of the web page.
        for_seconds: how long to run; None for ever.
        is_headless: opens no browser.

    Raises:
        BadInputError: the port is taken.
    """
    world = World(scenario, SEED)
    simulation = world.play()
    receiver = UdpReceiver([UdpSource(LOOPBACK, 0) for _ in simulation.sensors.sensors])
    sender = LiveSender(
        simulation, [(LOOPBACK, chosen) for chosen in receiver.ports], next_stretch=world.play
    )
    settings = CentreSettings(
        name="ALPHA",
        sensors=simulation.sensors,
        display=DisplaySettings(LOOPBACK, port),
        data=Path("skypact-data"),
    )

    def show(address: str) -> None:
        sender.start()
        what = f"{len(simulation.sensors)} radars, {len(simulation.targets)} targets"
        print(f"Skypact demo: {what}, live at {address}", flush=True)
        # Without a screen Python would open a text browser in this terminal.
        has_screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
        if not is_headless and (has_screen or sys.platform == "darwin"):
            webbrowser.open(address)

    try:
        asyncio.run(serve(settings, receiver, for_seconds=for_seconds, ready=show))
    finally:
        sender.stop()
