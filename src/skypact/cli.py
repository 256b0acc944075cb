"""The `skypact` command: reads the arguments, calls the stage that does the work, prints what it found.

Exit codes: 0 good, 1 a finding, 2 usage or bad input (one clear line, no traceback). What a
command needs is imported inside it, so that `--help` answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from skypact import __version__
from skypact.core.errors import SkypactError

app = typer.Typer(
    name="skypact",
    help="One air picture in real time, shared by partners who each stay sovereign.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"skypact {__version__}")
        raise typer.Exit


@app.callback()
def _skypact(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: skypact bench asterix tracking --json > figures.json")
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Benchmarks to run; all without any.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run the project's benchmarks: speeds as ratios to peers in the same run, and accuracies."""
    import msgspec
    from rich.console import Console

    from skypact.benchmarks.suite import figures_table, run_benchmarks

    progress = Console(stderr=True)
    figures = run_benchmarks(names or [], lambda name: progress.print(f"measuring {name} ..."))
    if as_json:
        typer.echo(msgspec.json.encode(figures))
        return
    for name, measured in figures.items():
        Console().print(figures_table(name, measured))


@app.command(epilog="Example: skypact track monday.pcap --sensors sensors.toml --out tracks.parquet")
def track(
    paths: Annotated[list[Path], typer.Argument(help="ASTERIX recordings, plots files, simulated folders.")],
    out: Annotated[Path, typer.Option(help="Tracks file to write: a row per track and picture.")],
    sensors: Annotated[
        Path | None, typer.Option(help="Sensor table; without it, sensors.toml beside the recording.")
    ] = None,
    period: Annotated[float, typer.Option(min=0.1, help="Seconds between pictures.")] = 1.0,
    plots_out: Annotated[Path | None, typer.Option(help="Write the plots with their outcomes here.")] = None,
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="UTC day of the first record.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Track recorded plots offline, exactly as a live centre would."""
    from skypact.centre.tracking import track_command
    from skypact.core.clock import parse_day

    first_day = parse_day(date) if date is not None else None
    raise typer.Exit(track_command(paths, sensors, out, period, plots_out, first_day, as_json))


@app.command(epilog="Example: skypact simulate standard --out standard --seed 7")
def simulate(
    scenario: Annotated[str, typer.Argument(help="Name of a preset, or a scenario's TOML file.")],
    out: Annotated[Path | None, typer.Option(help="Folder for truth, plots, sensor table, ASTERIX.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 1,
    to: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Send the ASTERIX live.")] = None,
    speed: Annotated[float, typer.Option(min=0.01, help="Seconds of the run sent in a second.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Play an invented world: who flew, and what the radars made of it."""
    from skypact.simulation.command import simulate_command

    simulate_command(scenario, out, seed, to, speed, as_json)


@app.command(epilog="Example: skypact evaluate tracks.parquet --truth standard/truth.parquet")
def evaluate(
    tracks: Annotated[Path, typer.Argument(help="Tracks file, as `skypact track` writes it.")],
    truth: Annotated[Path, typer.Option(help="Truth file, as `skypact simulate` writes it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with figures to this file.")] = None,
) -> None:
    """Score tracks against truth: SIAP, GOSPA, continuity, accuracy and honesty of covariances."""
    from skypact.evaluation.command import evaluate_command

    evaluate_command(tracks, truth, as_json, html)


def main() -> None:
    """Run the command line; expected trouble becomes one line on stderr and exit code 2."""
    try:
        app()
    except SkypactError as error:
        typer.echo(f"skypact: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
