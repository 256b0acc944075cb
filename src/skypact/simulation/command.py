"""What `skypact simulate` does."""

from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from skypact.core.errors import BadInputError
from skypact.simulation.files import write_simulation
from skypact.simulation.live import LiveSender, parse_address
from skypact.simulation.model import FALSE_PLOT, Simulation
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate

_GLANCE = 0.5  # s between looks at a live run


def simulate_command(
    name: str, out: Path | None, seed: int, to: str | None, speed: float, as_json: bool
) -> None:
    """Play a scenario, write its files, send it live; what came of it goes to stdout.

    Raises:
        BadInputError: no such scenario, neither folder nor address, or one that can't be used.
    """
    if out is None and to is None:
        raise BadInputError("nowhere to put it", "simulate", "give --out DIR, --to HOST:PORT or both")
    address = parse_address(to) if to is not None else None
    scenario = read_scenario(name)
    notes = Console(stderr=True)
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task(scenario.name, total=None)
        simulation = simulate(
            scenario,
            seed,
            lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )
        facts = _facts(simulation)
        if out is not None:
            bar.update(task, total=None)
            paths = write_simulation(
                simulation, out, lambda file: bar.update(task, description=f"writing {file}")
            )
            facts["files"] = [str(path) for path in paths.values()]
        if address is not None:
            sender = LiveSender(simulation, [address], speed=speed)
            bar.update(task, description=f"sending to {to}", completed=0, total=scenario.duration_s / speed)
            sender.start()
            try:
                while not sender.wait(_GLANCE):
                    bar.advance(task, _GLANCE)
            finally:
                sender.stop()
            facts |= {"sent": sender.sent, "refused": sender.refused}
    if as_json:
        typer.echo(msgspec.json.encode(facts))
        return
    typer.echo(
        f"{scenario.name}, seed {seed}: {facts['targets']} targets, {facts['sensors']} radars, "
        f"{facts['duration_s']} s, {facts['plots']} plots ({facts['false_plots']} false)"
    )
    if out is not None:
        typer.echo(f"written to {out}")
    if to is not None:
        typer.echo(f"{facts['sent']} datagrams sent to {to}, {facts['refused']} refused by the system")


def _facts(simulation: Simulation) -> dict[str, object]:
    return {
        "scenario": simulation.scenario.name,
        "seed": simulation.seed,
        "start": simulation.start,
        "duration_s": simulation.scenario.duration_s,
        "targets": len(simulation.targets),
        "sensors": len(simulation.sensors),
        "plots": len(simulation.plots),
        "false_plots": int((simulation.plot_target == FALSE_PLOT).sum()),
    }
