"""`skypact demo`: a centre that is fed by simulated radars over real UDP ASTERIX on loopback."""

import asyncio
import os
import sys
import webbrowser
from pathlib import Path

import msgspec

from skypact.centre.service import serve
from skypact.centre.settings import CentreSettings, DisplaySettings
from skypact.sensors.receive import UdpReceiver, UdpSource
from skypact.simulation.live import LiveSender
from skypact.simulation.scenario import Scenario
from skypact.simulation.world import simulate

LOOPBACK = "127.0.0.1"
# Traffic is simulated ahead for so long, and then begins again.
LONGEST = 1800  # s
MOST_TARGET_SECONDS = 400_000  # so that a large scenario starts soon, too
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
    simulation = simulate(_prolonged(scenario), SEED)
    receiver = UdpReceiver([UdpSource(LOOPBACK, 0) for _ in simulation.sensors.sensors])
    sender = LiveSender(simulation, [(LOOPBACK, chosen) for chosen in receiver.ports], is_endless=True)
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


def _prolonged(scenario: Scenario) -> Scenario:
    targets = sum(traffic.count for traffic in scenario.traffic)
    duration = min(LONGEST, MOST_TARGET_SECONDS // max(targets, 1))
    return msgspec.structs.replace(scenario, duration_s=max(scenario.duration_s, duration))
