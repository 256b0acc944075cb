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


@app.command(epilog="Example: skypact run centre.toml")
def run(
    config: Annotated[Path, typer.Argument(help="The centre's configuration (docs/configuration.md).")],
) -> None:
    """Run one centre: radar data in by UDP, the live picture on a web page and out to other systems."""
    from skypact.config import read_config

    settings = read_config(config)
    from skypact.centre.command import run_centre

    run_centre(settings)


@app.command(epilog="Example: skypact demo")
def demo(
    scenario: Annotated[str, typer.Option(help="Name of a preset, or a scenario's TOML file.")] = "standard",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of the web page; 0 takes a free one.")] = 8000,
    for_seconds: Annotated[float | None, typer.Option("--for", min=0.1, help="End after so long.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
) -> None:
    """Show a centre that simulated radars feed with real ASTERIX over UDP."""
    from skypact.centre.command import demo_command

    demo_command(scenario, port, for_seconds, headless)


@app.command(epilog="Example: skypact replay monday.pcap --sensors sensors.toml --speed 4")
def replay(
    recording: Annotated[Path, typer.Argument(help="ASTERIX recording, or a simulated folder.")],
    sensors: Annotated[
        Path | None, typer.Option(help="Sensor table; without it, the folder's or what the recording tells.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of the web page; 0 takes a free one.")] = 8000,
    to: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Send the datagrams there, with no page.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.01, help="Seconds of it played in a second.")] = 1.0,
    at: Annotated[
        str | None, typer.Option(metavar="SECONDS|HH:MM:SS", help="Begin there: from the start, or in UTC.")
    ] = None,
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="UTC day of the first record.")
    ] = None,
) -> None:
    """Play a recording through the tracker onto a page, or as UDP to another system."""
    from skypact.centre.command import replay_command
    from skypact.core.clock import parse_day

    replay_command(recording, sensors, port, to, speed, at, parse_day(date) if date is not None else None)


@app.command(epilog="Example: skypact decode radar.pcap tracks.ff --summary --json")
def decode(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="ASTERIX recordings of any framing.")],
    summary: Annotated[
        bool, typer.Option("--summary", help="Counts and errors; the default without --lines.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document.")] = False,
    lines: Annotated[
        bool, typer.Option("--lines", help="Print every record in full, a JSON line each.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write one Parquet file a category to this folder.")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Write the plots to this Parquet file.")] = None,
    edition: Annotated[
        list[str] | None,
        typer.Option(metavar="SAC/SIC=CAT:ED", help="Edition of a source, as in 0/5=021:0.26; repeatable."),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="UTC day of the first record, for files without a date."),
    ] = None,
) -> None:
    """Say what ASTERIX recordings hold: framing, records, sources, times, errors.

    Exit code 1 when any error was counted, 2 when a file can't be read as ASTERIX.
    """
    from rich.console import Console

    from skypact.centre.decoding import DecodeRequest, decode_command, parse_editions
    from skypact.core.clock import parse_day

    request = DecodeRequest(
        paths=paths,
        choice=parse_editions(edition or []),
        first_day=None if date is None else parse_day(date),
        as_json=as_json,
        as_lines=lines,
        wants_summary=summary,
        out=out,
        plots=plots,
    )
    raise typer.Exit(decode_command(request, Console(), Console(stderr=True)))


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
