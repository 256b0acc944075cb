"""The configuration of a centre: one TOML file, checked key by key. `docs/configuration.md` explains it."""

import ipaddress
import re
import secrets
import socket
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from skypact.centre.settings import (
    CentreSettings,
    DisplaySettings,
    ExchangeSettings,
    OutputUser,
    ReceptionRule,
)
from skypact.core.areas import AreaConfig, area_from_config
from skypact.core.errors import BadInputError
from skypact.core.units import FOOT
from skypact.sensors.model import ReferencePoint, Sensor, SensorTable, make_sensor_table
from skypact.sensors.receive import UdpSource
from skypact.tracks.settings import TrackerSettings

_TRACKER = TrackerSettings()
_SERVER_URL = re.compile(r"(nats|tls)://[A-Za-z0-9.-]+:[0-9]{1,5}")
Octet = Annotated[int, Meta(ge=0, le=255)]


class CentreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The centre itself."""

    name: Annotated[str, Meta(pattern="^[A-Z][A-Z0-9]{0,11}$")]
    reference: ReferencePoint | None = None  # None: the sensors' mean
    period_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    data: str = "skypact-data"  # folder, relative to the file
    sac: Octet = 0  # as a source of CAT062/065
    sic: Octet = 0
    unit: Annotated[int, Meta(ge=1, le=255)] | None = None  # system unit of I062/510


class InputConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where datagrams come in."""

    listen: str  # "ADDRESS:PORT", or "GROUP:PORT" for multicast
    interface: str = ""
    sender: str | list[str] = []
    sensors: list[str] = []  # names of sensors that may speak from these senders only


class OutputConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A user of the picture."""

    to: str  # "ADDRESS:PORT"
    name: str = ""
    interface: str = ""
    area: AreaConfig | None = None
    floor_ft: float | None = None
    ceiling_ft: float | None = None
    period_s: Annotated[float, Meta(ge=0.1, le=60)] = 4.0
    sac: Octet | None = None
    sic: Octet | None = None


class DisplayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The web page."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    certificate: str | None = None
    key: str | None = None


class ExchangeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The exchange with partners."""

    listen: str = "0.0.0.0:7422"
    address: str = ""  # "HOST:PORT" as partners reach it
    policies: str = "release"  # folder with a release policy for each partner
    server: str = (
        ""  # "nats://HOST:PORT" of a message server that somebody else runs; several joined by commas
    )
    server_password_file: str = "nats.password"


class TrackerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Choices about tracking; the defaults serve air traffic and small drones alike."""

    confirm_existence: Annotated[float, Meta(gt=0, lt=1)] = _TRACKER.confirm_existence
    confirm_plots: Annotated[int, Meta(ge=1, le=20)] = _TRACKER.confirm_plots
    late_limit_s: Annotated[float, Meta(ge=0, le=60)] = _TRACKER.late_limit
    use_codes: bool = _TRACKER.use_codes
    keep_test_targets: bool = _TRACKER.keep_test_targets


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    centre: CentreConfig
    sensor: list[Sensor] = []
    input: list[InputConfig] = []
    output: list[OutputConfig] = []
    display: DisplayConfig = DisplayConfig()
    tracker: TrackerConfig = TrackerConfig()
    exchange: ExchangeConfig | None = None


def read_config(path: Path) -> CentreSettings:
    """The settings in a configuration file.

    Raises:
        BadInputError: the file can't be read, or a key is unknown, missing or out of its bounds.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(path)) from None
    return parse_config(content, path)


def parse_config(content: bytes, path: Path) -> CentreSettings:
    """The settings in the bytes of a configuration file; `path` is for messages and relative names."""
    where = str(path)
    try:
        config = msgspec.toml.decode(content, type=Config)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(str(error), where) from None
    sensors = make_sensor_table(config.sensor, config.centre.reference, where)
    if not config.input:
        raise BadInputError("no [[input]]", where, 'add one with listen = "ADDRESS:PORT"')
    folder = path.resolve().parent
    return CentreSettings(
        name=config.centre.name,
        sensors=sensors,
        inputs=tuple(
            _source(entry, f"{where}: {_place('input', n)}") for n, entry in enumerate(config.input)
        ),
        rules=_rules(config.input, sensors, where),
        outputs=tuple(
            _user(entry, config.centre, n, f"{where}: {_place('output', n)}")
            for n, entry in enumerate(config.output)
        ),
        display=_display(config.display, folder, f"{where}: display"),
        data=folder / config.centre.data,
        period=config.centre.period_s,
        tracker=TrackerSettings(
            confirm_existence=config.tracker.confirm_existence,
            confirm_plots=config.tracker.confirm_plots,
            late_limit=config.tracker.late_limit_s,
            use_codes=config.tracker.use_codes,
            keep_test_targets=config.tracker.keep_test_targets,
            # Identifiers of tracks are never used again, also not after a restart.
            centre_seed=secrets.randbits(63),
        ),
        unit=config.centre.unit or 0,
        exchange=None
        if config.exchange is None
        else _exchange(config.exchange, folder, f"{where}: exchange"),
    )


def split_address(text: str, where: str) -> tuple[str, int]:
    """IPv4 address and port of "ADDRESS:PORT".

    Raises:
        BadInputError: it is something else.
    """
    address, _, port = text.rpartition(":")
    try:
        if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
            raise ValueError
        return str(ipaddress.IPv4Address("127.0.0.1" if address == "localhost" else address)), int(port)
    except ValueError:
        raise BadInputError(
            f"{text!r} is no IPv4 address and port", where, "write for example 0.0.0.0:8600"
        ) from None


def _place(table: str, n: int) -> str:
    return f"{table}[{n}]"


def _senders(entry: InputConfig, where: str) -> tuple[str, ...]:
    senders = (entry.sender,) if isinstance(entry.sender, str) else tuple(entry.sender)
    for sender in senders:
        try:
            ipaddress.IPv4Address(sender)
        except ValueError:
            raise BadInputError(f"{sender!r} is no IPv4 address", f"{where}.sender") from None
    return senders


def _source(entry: InputConfig, where: str) -> UdpSource:
    address, port = split_address(entry.listen, f"{where}.listen")
    return UdpSource(address, port, entry.interface, _senders(entry, where))


def _rules(entries: list[InputConfig], sensors: SensorTable, where: str) -> tuple[ReceptionRule, ...]:
    allowed: dict[int, frozenset[int]] = {}
    for n, entry in enumerate(entries):
        key = f"{where}: {_place('input', n)}"
        senders = frozenset(int(ipaddress.IPv4Address(sender)) for sender in _senders(entry, key))
        if entry.sensors and not senders:
            raise BadInputError("sensors without sender", key, "name the address that they send from")
        for name in entry.sensors:
            if name not in sensors.names:
                raise BadInputError(f"no sensor is named {name!r}", f"{key}.sensors")
            row = sensors.names.index(name)
            allowed[row] = allowed.get(row, frozenset()) | senders
    return tuple(ReceptionRule(row, senders) for row, senders in allowed.items())


def _user(entry: OutputConfig, centre: CentreConfig, n: int, where: str) -> OutputUser:
    address, port = split_address(entry.to, f"{where}.to")
    if entry.interface:
        try:
            ipaddress.IPv4Address(entry.interface)
        except ValueError:
            raise BadInputError(f"{entry.interface!r} is no IPv4 address", f"{where}.interface") from None
    return OutputUser(
        name=entry.name or f"output {n + 1}",
        address=address,
        port=port,
        interface=entry.interface,
        area=area_from_config(entry.area, f"{where}.area"),
        floor=float("-inf") if entry.floor_ft is None else entry.floor_ft * FOOT,
        ceiling=float("inf") if entry.ceiling_ft is None else entry.ceiling_ft * FOOT,
        period=entry.period_s,
        sac=centre.sac if entry.sac is None else entry.sac,
        sic=centre.sic if entry.sic is None else entry.sic,
    )


def _exchange(entry: ExchangeConfig, folder: Path, where: str) -> ExchangeSettings:
    listen = split_address(entry.listen, f"{where}.listen")
    address = entry.address or f"{socket.gethostname()}:{listen[1]}"
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise BadInputError(
            f"{address!r} is no address", f"{where}.address", "write for example alpha.example:7422"
        )
    for url in entry.server.split(",") if entry.server else []:
        if not _SERVER_URL.fullmatch(url):
            raise BadInputError(
                f"{url!r} is no address of a server",
                f"{where}.server",
                "write for example nats://127.0.0.1:4222",
            )
    return ExchangeSettings(
        listen, address, folder / entry.policies, entry.server, folder / entry.server_password_file
    )


def _display(entry: DisplayConfig, folder: Path, where: str) -> DisplaySettings:
    if (entry.certificate is None) != (entry.key is None):
        raise BadInputError("certificate and key go together", where, "give both or neither")
    files = [None if name is None else folder / name for name in (entry.certificate, entry.key)]
    for file in files:
        if file is not None and not file.is_file():
            raise BadInputError("no such file", f"{where}: {file}")
    return DisplaySettings(entry.host, entry.port, files[0], files[1])
