"""What `skypact partner` does: keys, partner files, and how the links to partners stand."""

import getpass
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from skypact.centre.control import ask_centre
from skypact.centre.settings import CentreSettings, ExchangeSettings
from skypact.core.errors import BadInputError
from skypact.exchange.model import PartnerState, TrackWord
from skypact.exchange.nats_existing import export_config, read_password, write_password
from skypact.exchange.trust import TrustStore, read_partner_file

NOBODY = "nobody"
_FIELDS = {"flight_level": "altitude"}  # of a policy, where a view has another name for them


def partner_init(settings: CentreSettings) -> None:
    """Make the centre's keys.

    Raises:
        BadInputError: it has keys already, or no [exchange] in its configuration.
    """
    exchange = _exchange(settings)
    store = TrustStore.create(settings.partners, settings.name, exchange.address, time.time())
    typer.echo(f"{store.name} has its keys: {store.folder}")
    typer.echo("next: skypact partner invite CONFIG --out FILE, and give the file to your partner")


def partner_invite(settings: CentreSettings, out: Path) -> None:
    """Write the file that a partner needs from us, and say its fingerprint.

    Raises:
        BadInputError: there are no keys yet, or the file can't be written.
    """
    store = TrustStore(settings.partners)
    content = store.partner_file(time.time())
    try:
        out.write_bytes(content)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be written", str(out)) from None
    typer.echo(f"{out}: give it to your partner, and read this fingerprint to a person there by telephone:")
    typer.echo(f"  {read_partner_file(content, time.time()).fingerprint}")


def partner_join(settings: CentreSettings, file: Path, fingerprint: str | None) -> None:
    """Trust a partner whose file's fingerprint a person of theirs has read out.

    Raises:
        BadInputError: the file can't be read.
        TrustError: it is not to be trusted, or the fingerprint is another.
    """
    store = TrustStore(settings.partners)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(file)) from None
    now = time.time()
    named = read_partner_file(content, now)
    if fingerprint is None and named.name not in {partner.name for partner in store.partners()}:
        typer.echo(f"Let a person of {named.name} read you the fingerprint of this file by telephone.")
        fingerprint = typer.prompt("fingerprint as you heard it")
    partner = store.accept(content, now, fingerprint or "", _who())
    typer.echo(f"{partner.name} at {partner.address} is a partner of {store.name} from now on")
    policy = _exchange(settings).policies / f"{partner.name}.toml"
    if not policy.exists():
        typer.echo(f"nothing leaves for {partner.name} until {policy} says what (docs/release-policy.md)")


def partner_status(settings: CentreSettings, as_json: bool) -> int:
    """Say how the links to the partners stand; 1 when one is not up.

    Raises:
        BadInputError: the centre does not run.
    """
    states = msgspec.convert(ask_centre(settings.data, "partners"), list[PartnerState])
    if as_json:
        typer.echo(msgspec.json.encode(states))
    else:
        Console().print(_states_table(states))
    return 0 if all(state.link == "up" for state in states) else 1


def partner_view(settings: CentreSettings, partner: str, as_json: bool) -> None:
    """Say what a partner sees of our picture now.

    Raises:
        BadInputError: the centre does not run, or has no such partner.
    """
    view: dict[str, Any] = ask_centre(settings.data, "view", partner=partner)
    if as_json:
        typer.echo(msgspec.json.encode(view))
        return
    typer.echo(
        f"{partner} gets {len(view['tracks'])} of {view['of']} tracks, on the rung {view['rung']}; "
        f"sensors: {', '.join(view['sensors']) or 'none'}"
    )
    table = Table("track", "latitude", "longitude", "FL", "squawk", "address", "callsign", "identity")
    for track in view["tracks"]:
        kept = track.pop("withheld")
        table.add_row(*("withheld" if _FIELDS.get(key, key) in kept else _cell(track[key]) for key in track))
    Console().print(table)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def partner_suspend(settings: CentreSettings, partner: str, reason: str, keeps_alerts: bool) -> None:
    """Stop what we give a partner.

    Raises:
        BadInputError: the centre does not run, has no such partner, or there is no reason.
    """
    rung = "alerts" if keeps_alerts else "alone"
    ask_centre(settings.data, "suspend", partner=partner, rung=rung, by=_who(), reason=reason)
    typer.echo(f"{partner} is suspended: it gets {'alerts only' if keeps_alerts else 'nothing'}")


def partner_resume(settings: CentreSettings, partner: str, reason: str) -> None:
    """End a suspension.

    Raises:
        BadInputError: the centre does not run, has no such partner, or it is not suspended.
    """
    ask_centre(settings.data, "resume", partner=partner, by=_who(), reason=reason)
    typer.echo(f"{partner} gets again what its release policy allows")


def exercise_begin(settings: CentreSettings, name: str, reason: str) -> None:
    """Take part in an exercise.

    Raises:
        BadInputError: the centre does not run, there is no name or reason, or another exercise is on.
    """
    ask_centre(settings.data, "begin exercise", exercise=name, by=_who(), reason=reason)
    typer.echo(f"exercise {name} has begun here; it is on with partners that began it too")
    typer.echo("see: skypact exercise status CONFIG")


def exercise_end(settings: CentreSettings, name: str, reason: str) -> None:
    """End an exercise.

    Raises:
        BadInputError: the centre does not run, or takes no part in it.
    """
    ask_centre(settings.data, "end exercise", exercise=name, by=_who(), reason=reason)
    typer.echo(f"exercise {name} has ended, here and with all partners")


def exercise_status(settings: CentreSettings, as_json: bool) -> None:
    """Say which exercise we take part in, and with whom it is on.

    Raises:
        BadInputError: the centre does not run.
    """
    states = msgspec.convert(ask_centre(settings.data, "partners"), list[PartnerState])
    ours = next((state.exercise for state in states), "")
    if as_json:
        partners = {
            state.name: {"mode": state.mode, "exercise": state.their_exercise, "link": state.link}
            for state in states
        }
        typer.echo(msgspec.json.encode({"exercise": ours, "partners": partners}))
        return
    typer.echo(f"exercise {ours}" if ours else "no exercise is on here")
    for state in states:
        typer.echo(f"  {state.name}: {_exercise_with(state)}")


def _exercise_with(state: PartnerState) -> str:
    if state.mode == "exercise":
        return "on" if state.link == "up" else f"on, as agreed before; the link is {state.link}"
    waits = "it has not begun it" if state.exercise else "live"
    return f"{waits}; it takes part in {state.their_exercise}" if state.their_exercise else waits


def judge_tracks(settings: CentreSettings, verdict: str, one: str, other: str, reason: str) -> None:
    """Say `same`, `different` or `release` of two tracks.

    Raises:
        BadInputError: the centre does not run, or refuses.
    """
    ask_centre(settings.data, verdict, one=one, other=other, by=_who(), reason=reason)
    names = one if one == other else f"{one}, {other}"
    said = {"same": "one aircraft", "different": "two aircraft", "release": "left to the rules"}
    typer.echo(f"{names}: {said[verdict]} from now on")


def judged_tracks(settings: CentreSettings, as_json: bool) -> None:
    """Say what people said of tracks of the picture, here and at partners.

    Raises:
        BadInputError: the centre does not run.
    """
    words = msgspec.convert(ask_centre(settings.data, "words"), list[TrackWord])
    if as_json:
        typer.echo(msgspec.json.encode(words))
        return
    table = Table("tracks", "said", "by", "at", "reason", "holds here")
    for word in words:
        there = [f"{joint} ({number})" for joint, number in zip(word.joints, word.numbers, strict=True)]
        table.add_row(
            there[0] if word.numbers[0] == word.numbers[1] else ", ".join(there).removesuffix(",  (0)"),
            "one aircraft" if word.is_one else "two aircraft",
            word.by,
            f"{word.centre} {datetime.fromtimestamp(word.said, UTC):%d %H:%M:%S}",
            word.reason,
            "yes" if word.binds else "no: a proposal",
        )
    Console().print(table)


def partner_renew(settings: CentreSettings, out: Path, with_journal_key: bool) -> None:
    """Make our next certificate, and write the file that all partners need before it holds.

    Args: `with_journal_key` makes a new key for our journal too, vouched for by the one before.

    Raises:
        BadInputError: there are no keys yet, or the file can't be written.
    """
    key = Ed25519PrivateKey.generate() if with_journal_key else None
    content = TrustStore(settings.partners).renew(time.time(), _exchange(settings).address, key)
    try:
        out.write_bytes(content)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be written", str(out)) from None
    typer.echo(f"{out}: give it to all partners; they accept it with skypact partner join")


def partner_server(settings: CentreSettings, out: Path) -> None:
    """Write all that the message server needs that somebody else runs for us.

    Raises:
        BadInputError: there are no keys yet, the configuration names no such server, or a file can't be
            written.
    """
    exchange = _exchange(settings)
    if not exchange.server:
        raise BadInputError(
            "no server in [exchange]", "configuration", 'add for example server = "nats://127.0.0.1:4222"'
        )
    if not exchange.password_file.exists():
        write_password(exchange.password_file)
    host, port = exchange.listen
    export_config(
        TrustStore(settings.partners),
        out,
        f"{host}:{port}",
        time.time(),
        int(exchange.server.split(",")[0].rpartition(":")[2]),
        read_password(exchange.password_file),
    )
    typer.echo(f"{out}: run it there with nats-server -c nats.conf; write it again when partners change")


def partner_revoke(settings: CentreSettings, partner: str, reason: str) -> None:
    """Trust a partner no longer.

    Raises:
        BadInputError: no such partner.
    """
    TrustStore(settings.partners).revoke(partner, reason, time.time(), _who())
    typer.echo(f"{partner} is a partner no longer")


def _exchange(settings: CentreSettings) -> ExchangeSettings:
    if settings.exchange is None:
        raise BadInputError("no [exchange]", "configuration", "add it (docs/configuration.md)")
    return settings.exchange


def _who() -> str:
    """The person at this terminal, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return NOBODY


def _states_table(states: list[PartnerState]) -> Table:
    titles = (
        "partner",
        "link",
        "since (UTC)",
        "we give",
        "they give",
        "tracks",
        "age",
        "same number",
        "changed",
    )
    table = Table(*titles)
    for state in states:
        since = (
            "" if state.since is None else datetime.fromtimestamp(state.since, UTC).strftime("%d %H:%M:%S")
        )
        why = f" ({state.we_give_why})" if state.we_give_why else ""
        shares = state.commonality
        table.add_row(
            state.name,
            state.link,
            since,
            state.we_give + why,
            state.they_give,
            str(state.tracks),
            "" if state.report_age is None else f"{state.report_age:.1f} s",
            "" if shares is None else f"{shares.number:.0%} of {shares.held}",
            str(state.number_changes),
        )
    return table
