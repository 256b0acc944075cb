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
    demo: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run one centre: radar data in by UDP, the live picture on a web page and out to other systems."""
    from dataclasses import replace

    from skypact.config import read_config

    settings = replace(read_config(config), demo=demo)
    from skypact.centre.command import run_centre

    run_centre(settings)


@app.command(epilog="Example: skypact demo --cut 60,30")
def demo(
    action: Annotated[
        str | None, typer.Argument(metavar="[cut|heal]", help="Of the links of a demo that runs already.")
    ] = None,
    scenario: Annotated[str, typer.Option(help="Name of a preset, or a scenario's TOML file.")] = "standard",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of the web page; 0 takes a free one.")] = 8000,
    for_seconds: Annotated[float | None, typer.Option("--for", min=0.1, help="End after so long.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
    cut: Annotated[
        str | None, typer.Option(metavar="AT,FOR", help="Cut the links after AT seconds, for FOR seconds.")
    ] = None,
) -> None:
    """Show partners' centres that simulated radars feed with real ASTERIX over UDP, and their link."""
    from skypact.centre.command import demo_command, link_command

    if action is not None:
        link_command(action, port)
    else:
        demo_command(scenario, port, for_seconds, headless, cut)


partner_app = typer.Typer(
    help="Links to partners: keys, partner files, and how the links stand (docs/partners.md).",
    no_args_is_help=True,
)
app.add_typer(partner_app, name="partner")
ConfigArgument = Annotated[Path, typer.Argument(help="The centre's configuration (docs/configuration.md).")]
ReasonOption = Annotated[str, typer.Option(help="Why; kept in the journal.")]


@partner_app.command("init", epilog="Example: skypact partner init centre.toml")
def partner_init(config: ConfigArgument) -> None:
    """Make the centre's keys: once, before its first partner."""
    from skypact.centre.partners import partner_init
    from skypact.config import read_config

    partner_init(read_config(config))


@partner_app.command("invite", epilog="Example: skypact partner invite centre.toml --out alpha.partner")
def partner_invite(
    config: ConfigArgument,
    out: Annotated[Path, typer.Option(help="Partner file to write; it holds nothing secret.")],
) -> None:
    """Write the file that a partner needs to link to this centre, and say its fingerprint."""
    from skypact.centre.partners import partner_invite
    from skypact.config import read_config

    partner_invite(read_config(config), out)


@partner_app.command("join", epilog="Example: skypact partner join centre.toml bravo.partner")
def partner_join(
    config: ConfigArgument,
    file: Annotated[Path, typer.Argument(help="The partner's file.")],
    fingerprint: Annotated[
        str | None, typer.Option(help="As a person of the partner read it out; asked for without it.")
    ] = None,
) -> None:
    """Trust a partner, or take its renewed certificate."""
    from skypact.centre.partners import partner_join
    from skypact.config import read_config

    partner_join(read_config(config), file, fingerprint)


@partner_app.command("status", epilog="Example: skypact partner status centre.toml")
def partner_status(
    config: ConfigArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say how the links of the running centre stand; exit code 1 when one is not up."""
    from skypact.centre.partners import partner_status
    from skypact.config import read_config

    raise typer.Exit(partner_status(read_config(config), as_json))


@partner_app.command("view", epilog="Example: skypact partner view centre.toml BRAVO")
def partner_view(
    config: ConfigArgument,
    partner: Annotated[str, typer.Argument(help="Name of the partner.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what a partner sees of the running centre's picture, by the release policy, now."""
    from skypact.centre.partners import partner_view
    from skypact.config import read_config

    partner_view(read_config(config), partner, as_json)


@partner_app.command(
    "suspend", epilog='Example: skypact partner suspend centre.toml BRAVO --reason "order of the day"'
)
def partner_suspend(
    config: ConfigArgument,
    partner: Annotated[str, typer.Argument(help="Name of the partner.")],
    reason: ReasonOption,
    alerts: Annotated[bool, typer.Option("--alerts", help="Alerts and the journal still flow.")] = False,
) -> None:
    """Stop what a partner gets from the running centre, until `resume`."""
    from skypact.centre.partners import partner_suspend
    from skypact.config import read_config

    partner_suspend(read_config(config), partner, reason, alerts)


@partner_app.command("resume", epilog="Example: skypact partner resume centre.toml BRAVO")
def partner_resume(
    config: ConfigArgument,
    partner: Annotated[str, typer.Argument(help="Name of the partner.")],
    reason: ReasonOption = "",
) -> None:
    """End a suspension."""
    from skypact.centre.partners import partner_resume
    from skypact.config import read_config

    partner_resume(read_config(config), partner, reason)


@partner_app.command("renew", epilog="Example: skypact partner renew centre.toml --out alpha.partner")
def partner_renew(
    config: ConfigArgument,
    out: Annotated[Path, typer.Option(help="Partner file to write, for all partners.")],
    journal_key: Annotated[bool, typer.Option(help="Make a new key for the journal, too.")] = False,
) -> None:
    """Make the centre's next certificate; the old one holds on while partners accept the new file."""
    from skypact.centre.partners import partner_renew
    from skypact.config import read_config

    partner_renew(read_config(config), out, journal_key)


@partner_app.command("server", epilog="Example: skypact partner server centre.toml --out nats")
def partner_server(
    config: ConfigArgument,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
) -> None:
    """Write the configuration of a message server that somebody else runs for the centre."""
    from skypact.centre.partners import partner_server
    from skypact.config import read_config

    partner_server(read_config(config), out)


@partner_app.command("revoke", epilog='Example: skypact partner revoke centre.toml BRAVO --reason "key lost"')
def partner_revoke(
    config: ConfigArgument,
    partner: Annotated[str, typer.Argument(help="Name of the partner.")],
    reason: ReasonOption,
) -> None:
    """Trust a partner no longer; under its name only new keys can join again."""
    from skypact.centre.partners import partner_revoke
    from skypact.config import read_config

    partner_revoke(read_config(config), partner, reason)


exercise_app = typer.Typer(
    help="Exercises with partners: simulated traffic, agreed by both sides, never mixed up with live.",
    no_args_is_help=True,
)
app.add_typer(exercise_app, name="exercise")
ExerciseArgument = Annotated[str, typer.Argument(help="Name of the exercise, the same on all sides.")]


@exercise_app.command(
    "begin", epilog='Example: skypact exercise begin centre.toml EAST-1 --reason "training"'
)
def exercise_begin(config: ConfigArgument, name: ExerciseArgument, reason: ReasonOption) -> None:
    """Take part in an exercise: on with each partner whose people began one of the same name."""
    from skypact.centre.partners import exercise_begin
    from skypact.config import read_config

    exercise_begin(read_config(config), name, reason)


@exercise_app.command("end", epilog="Example: skypact exercise end centre.toml EAST-1")
def exercise_end(config: ConfigArgument, name: ExerciseArgument, reason: ReasonOption = "") -> None:
    """End an exercise, for both sides."""
    from skypact.centre.partners import exercise_end
    from skypact.config import read_config

    exercise_end(read_config(config), name, reason)


@exercise_app.command("status", epilog="Example: skypact exercise status centre.toml")
def exercise_status(
    config: ConfigArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say which exercise the running centre takes part in, and with whom it is on."""
    from skypact.centre.partners import exercise_status
    from skypact.config import read_config

    exercise_status(read_config(config), as_json)


correlation_app = typer.Typer(
    help="Which tracks are one aircraft, by a person's word: it stands above the rules (docs/partners.md).",
    no_args_is_help=True,
)
app.add_typer(correlation_app, name="correlation")
TrackArgument = Annotated[
    str, typer.Argument(help="Joint track number, as in ALPHA-00017, or its number in this centre.")
]
OtherArgument = Annotated[
    str | None, typer.Argument(help="The other track; left out, the tracks of several centres in the one.")
]


@correlation_app.command(
    "same", epilog='Example: skypact correlation same centre.toml ALPHA-00017 BRAVO-00004 --reason "one call"'
)
def correlation_same(
    config: ConfigArgument, track: TrackArgument, reason: ReasonOption, other: OtherArgument = None
) -> None:
    """Say that two tracks are one aircraft."""
    _judge(config, "same", track, other, reason)


@correlation_app.command(
    "different",
    epilog='Example: skypact correlation different centre.toml ALPHA-00017 --reason "seen as two"',
)
def correlation_different(
    config: ConfigArgument, track: TrackArgument, reason: ReasonOption, other: OtherArgument = None
) -> None:
    """Say that two tracks are two aircraft."""
    _judge(config, "different", track, other, reason)


@correlation_app.command(
    "release", epilog='Example: skypact correlation release centre.toml ALPHA-00017 --reason "clear now"'
)
def correlation_release(
    config: ConfigArgument, track: TrackArgument, reason: ReasonOption, other: OtherArgument = None
) -> None:
    """Leave tracks to the rules again."""
    _judge(config, "release", track, other, reason)


def _judge(config: Path, verdict: str, track: str, other: str | None, reason: str) -> None:
    from skypact.centre.partners import judge_tracks
    from skypact.config import read_config

    judge_tracks(read_config(config), verdict, track, other or track, reason)


@correlation_app.command("status", epilog="Example: skypact correlation status centre.toml")
def correlation_status(
    config: ConfigArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what people said of tracks of the picture, here and at partners."""
    from skypact.centre.partners import judged_tracks
    from skypact.config import read_config

    judged_tracks(read_config(config), as_json)


journal_app = typer.Typer(help="The journal: what befell and was decided, provable.", no_args_is_help=True)
app.add_typer(journal_app, name="journal")
JournalArgument = Annotated[Path, typer.Argument(help="Data folder of a centre, journal or export folder.")]


@journal_app.command("show", epilog="Example: skypact journal show skypact-data --last 20")
def journal_show(
    folder: JournalArgument,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many of the latest records.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show the records of all logs in order of time."""
    from skypact.journal.command import show

    raise typer.Exit(show(folder, as_json, last))


@journal_app.command("verify", epilog="Example: skypact journal verify skypact-data")
def journal_verify(
    folder: JournalArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Prove each record: signatures, hashes, the chain; exit code 1 when anything is wrong."""
    from skypact.journal.command import verify

    raise typer.Exit(verify(folder, as_json))


@journal_app.command("export", epilog="Example: skypact journal export skypact-data --out for-the-court")
def journal_export(
    folder: JournalArgument,
    out: Annotated[Path, typer.Option(help="Folder to make: logs, keys, checksums and how to prove them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a folder that anybody can verify without this centre."""
    from skypact.journal.command import export

    raise typer.Exit(export(folder, out, as_json))


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
