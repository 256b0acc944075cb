"""Partners who come, renew, go and come back while the centres run, by the command line alone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skypact.centre.control import ask_centre
from skypact.exchange.nats_server import free_port
from skypact.journal.seal import decode_record

PATIENCE = 400.0  # s; a first start ever compiles, here maybe beside other work
CONFIG = """
[centre]
name = "{name}"
[[sensor]]
name = "one"
sac = 1
sic = 1
latitude_deg = 50
longitude_deg = 5
[[input]]
listen = "127.0.0.1:0"
[display]
port = 0
[exchange]
listen = "127.0.0.1:{port}"
address = "127.0.0.1:{port}"
"""


class Site:
    """One centre as a process of its own, and the commands that its engineer types."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        (folder / "release").mkdir()
        (folder / "centre.toml").write_text(CONFIG.format(name=name, port=self.port))

    def skypact(self, *arguments: str) -> str:
        """What a command says."""
        result = subprocess.run(
            [sys.executable, "-m", "skypact.cli", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        assert result.returncode < 2, result.stderr
        return result.stdout

    def introduce(self) -> tuple[Path, str]:
        """Our partner file and its fingerprint."""
        file = self.folder / f"{self.name}.partner"
        said = self.skypact("partner", "invite", "centre.toml", "--out", str(file))
        return file, said.strip().splitlines()[-1].strip()

    def join(self, other: "Site") -> None:
        (self.folder / "release" / f"{other.name}.toml").write_text('journal = ["*"]')
        file, fingerprint = other.introduce()
        self.skypact("partner", "join", "centre.toml", str(file), "--fingerprint", fingerprint)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "skypact.cli", "run", "centre.toml"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def states(self) -> dict[str, str]:
        """State of the link by partner."""
        told = ask_centre(self.folder / "skypact-data", "partners")
        return {state["name"]: state["link"] for state in told}

    def kinds(self, partner: str = "") -> list[str]:
        """Kinds of the records of our journal, or of what we hold of a partner's."""
        folder = self.folder / "skypact-data" / "journal" / (partner or self.name)
        lines = b"".join(file.read_bytes() for file in sorted(folder.glob("*.jsonl"))).splitlines()
        return [decode_record(line).kind for line in lines]


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    due = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < due, f"not within {seconds} s"
        time.sleep(0.5)


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """ALPHA and BRAVO, running, strangers to each other."""
    pair = Site(tmp_path / "alpha", "ALPHA"), Site(tmp_path / "bravo", "BRAVO")
    try:
        for site in pair:
            site.skypact("partner", "init", "centre.toml")
            site.start()
        for site in pair:
            until(lambda site=site: "http://" in site.log, PATIENCE)
        yield pair
    finally:
        for site in pair:
            site.stop()
    for site in pair:
        assert "Traceback" not in site.log


def test_partners_join_renew_are_revoked_and_come_back_while_the_centres_run(sites: tuple[Site, Site]):
    alpha, bravo = sites
    assert alpha.states() == {}
    alpha.join(bravo)
    bravo.join(alpha)
    for site, other in ((alpha, "BRAVO"), (bravo, "ALPHA")):
        until(lambda site=site, other=other: site.states() == {other: "up"})
        assert "partner_joined" in site.kinds()

    renewed = bravo.folder / "renewed.partner"
    bravo.skypact("partner", "renew", "centre.toml", "--out", str(renewed), "--journal-key")
    alpha.skypact("partner", "join", "centre.toml", str(renewed))
    until(lambda: "certificate_changed" in alpha.kinds())
    until(lambda: "key_changed" in bravo.kinds() and "key_changed" in alpha.kinds("BRAVO"))
    until(lambda: alpha.states() == {"BRAVO": "up"} and bravo.states() == {"ALPHA": "up"})

    alpha.skypact("partner", "revoke", "centre.toml", "BRAVO", "--reason", "laptop lost")
    until(lambda: alpha.states() == {} and bravo.states() == {"ALPHA": "down"})
    assert "partner_revoked" in alpha.kinds()

    bravo.stop()
    (bravo.folder / "skypact-data").rename(bravo.folder / "stolen")
    bravo.skypact("partner", "init", "centre.toml")
    bravo.join(alpha)
    bravo.start()
    alpha.join(bravo)
    until(lambda: alpha.states() == {"BRAVO": "up"}, PATIENCE)
    until(lambda: "partner_joined" in alpha.kinds("BRAVO"))
    for site in sites:
        assert "proved" in site.skypact("journal", "verify", "skypact-data")
    (former,) = (alpha.folder / "skypact-data" / "journal" / "former").iterdir()
    assert "proved" in alpha.skypact("journal", "verify", str(former))
