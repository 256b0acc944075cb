"""What `skypact simulate` does."""

from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from skypact.simulation.files import write_simulation
from skypact.simulation.model import FALSE_PLOT, Simulation
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate


def simulate_command(scenario_name: str, out: Path, seed: int, as_json: bool) -> None:
    """Play a scenario and write its files; what came of it goes to stdout.

    Raises:
        BadInputError: no such scenario, or the folder can't be written to.
    """
    scenario = read_scenario(scenario_name)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(scenario.name, total=None)
        simulation = simulate(
            scenario,
            seed,
            lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )
        bar.update(task, total=None)
        paths = write_simulation(
            simulation, out, lambda name: bar.update(task, description=f"writing {name}")
        )
    facts = _facts(simulation)
    if as_json:
        typer.echo(msgspec.json.encode(facts | {"files": [str(path) for path in paths.values()]}))
        return
    typer.echo(
        f"{scenario.name}, seed {seed}: {facts['targets']} targets, {facts['sensors']} radars, "
        f"{facts['duration_s']} s, {facts['plots']} plots ({facts['false_plots']} false), in {out}"
    )


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
