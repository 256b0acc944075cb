"""What a centre needs to run, in SI units; `skypact.config` makes it from a file, the demo by itself."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path

from skypact.core.areas import EVERYWHERE, Area
from skypact.sensors.model import SensorTable
from skypact.sensors.receive import UdpSource
from skypact.tracks.settings import TrackerSettings

PARTNERS_FOLDER = "partners"  # in a centre's data folder


@dataclass(frozen=True, slots=True)
class OutputUser:
    """A system that gets the air picture as CAT062/065 by UDP."""

    name: str
    address: str
    port: int
    interface: str = ""  # to leave by, for a multicast group: an IPv4 address
    area: Area = EVERYWHERE
    floor: float = float("-inf")  # m; lowest height sent: pressure altitude, else geometric height
    ceiling: float = float("inf")  # m; highest
    period: float = 4.0  # between pictures, s
    sac: int = 0
    sic: int = 0


@dataclass(frozen=True, slots=True)
class DisplaySettings:
    """Where the web page is served."""

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: Path | None = None  # PEM; None makes one, and uses none on loopback
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ReceptionRule:
    """The only addresses that may speak for a sensor."""

    sensor: int  # row in the sensor table
    senders: frozenset[int]  # IPv4 addresses as numbers


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """How a centre takes part in the exchange with partners."""

    listen: tuple[str, int] = ("0.0.0.0", 7422)  # where partners' links come in
    address: str = ""  # HOST:PORT under which partners reach that; "" is this machine's name
    policies: Path = Path("release")  # folder: BRAVO.toml there says what BRAVO gets; without it, nothing
    server: str = ""  # URLs of a message server or cluster that somebody else runs; "": the embedded one
    password_file: Path = Path("nats.password")  # of our clients there


@dataclass(frozen=True, slots=True)
class CentreSettings:
    """One centre."""

    name: str
    sensors: SensorTable
    inputs: tuple[UdpSource, ...] = ()
    rules: tuple[ReceptionRule, ...] = ()
    outputs: tuple[OutputUser, ...] = ()
    display: DisplaySettings = field(default_factory=DisplaySettings)
    data: Path = Path("skypact-data")
    period: float = 1.0  # between pictures, s
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    exchange: ExchangeSettings | None = None  # None: the centre has no partners
    demo: Path | None = None  # folder of the demo that this centre is part of
    unit: int = 0  # as a system unit of CAT062, 1 to 255; 0 for the one of its name

    @property
    def partners(self) -> Path:
        """The folder of its keys and of those whom it trusts."""
        return self.data / PARTNERS_FOLDER

    @property
    def system_unit(self) -> int:
        """System unit identification before its track numbers in I062/510, 1 to 255."""
        return self.unit or zlib.crc32(self.name.encode()) % 255 + 1
