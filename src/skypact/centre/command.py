"""What `skypact run`, `demo` and `replay` do; what needs the compiler is imported once its progress shows."""

import asyncio
import signal
import threading
from pathlib import Path

import typer

from skypact.centre.logs import start_logging
from skypact.centre.settings import CentreSettings, DisplaySettings
from skypact.centre.start import load_stages
from skypact.core.errors import BadInputError

SERVICE, EXCHANGE = "skypact.centre.service", "skypact.centre.exchange"  # modules with their kernels


def run_centre(settings: CentreSettings) -> None:
    """Run a centre until SIGINT or SIGTERM.

    Raises:
        BadInputError: an address can't be listened on, or the page can't be served.
    """
    start_logging()
    # A centre without partners does without the kernels of the exchange.
    load_stages(SERVICE, *([EXCHANGE] if settings.exchange is not None else []))
    from skypact.centre.service import serve

    asyncio.run(serve(settings, ready=lambda address: typer.echo(f"{settings.name} is live at {address}")))


def demo_command(
    scenario: str, port: int, for_seconds: float | None, is_headless: bool, cut: str | None
) -> None:
    """Run the demo.

    Raises:
        BadInputError: no such scenario, `cut` is not AT,FOR, or a port is taken.
    """
    cut_times = None if cut is None else _parse_cut(cut)
    from skypact.simulation.scenario import read_scenario

    chosen = read_scenario(scenario)  # so that a wrong name is told before anything is compiled
    start_logging()
    # The centres of the demo find what they need compiled, with one progress line for all.
    load_stages("skypact.centre.demo", SERVICE, EXCHANGE)
    from skypact.centre.demo import run_demo

    run_demo(chosen, port, for_seconds, is_headless, cut_times)


def link_command(action: str, port: int) -> None:
    """Cut or heal the links of the demo that runs with its first page on a port.

    Raises:
        BadInputError: no such action, or no demo runs there.
    """
    from skypact.centre.control import ask_centre
    from skypact.centre.demo import demo_folder

    if action not in ("cut", "heal"):
        raise BadInputError("no such action", action, "cut or heal; without one the demo starts")
    ask_centre(demo_folder(port), action)
    typer.echo("the links are cut" if action == "cut" else "the links are healed")


def _parse_cut(text: str) -> tuple[float, float]:
    try:
        at, duration = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInputError("no two times", text, "write AT,FOR in seconds, as in 60,30") from None
    return at, duration


def replay_command(
    path: Path,
    sensors_path: Path | None,
    port: int,
    to: str | None,
    speed: float,
    at: str | None,
    first_day: float | None,
) -> None:
    """Play a recording onto a page, or to an address.

    Raises:
        BadInputError: the recording, its sensors, the time or the address can't be used.
    """
    start_logging()
    load_stages("skypact.centre.replay" if to is not None else SERVICE)
    from skypact.centre.replay import RecordingFeed, UdpPlayer, open_recording, parse_start
    from skypact.simulation.live import parse_address

    target = parse_address(to) if to is not None else None
    playable = open_recording(path, sensors_path, first_day, needs_sensors=target is None)
    begin = playable.start if at is None else parse_start(at, playable)
    if not playable.is_dated:
        typer.echo("the recording tells no date: played as of 1970-01-01 (give --date)", err=True)
    if target is not None:
        player = UdpPlayer(playable.datagrams, target, speed, begin)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        player.run(stop)
        typer.echo(f"sent {player.sent} datagrams to {to}")
        return
    from skypact.centre.service import serve

    assert playable.sensors is not None
    settings = CentreSettings("REPLAY", playable.sensors, display=DisplaySettings(port=port))
    feed = RecordingFeed(playable.datagrams, speed=speed, begin=begin)
    asyncio.run(
        serve(settings, feed, ready=lambda address: typer.echo(f"{path.name} is played at {address}"))
    )
