"""The line between two real centres in tests: cables between network namespaces, else a proxy of bytes.

Where a test may make network namespaces (root, with iproute2), each centre lives in one of its own, with
a cable to its partner and one to the radars. Nothing of the machine's own network is touched: all cables
begin and end in namespaces that are made here, and are gone with them.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from skypact.exchange.nats_server import free_port
from skypact.simulation.link import Link, LinkProxy

RADARS = "radars"  # the namespace of the simulated radars, and each centre's device towards them
PARTNER = "partner"  # each centre's device towards the other
NOWHERE = "02:00:00:00:00:99"  # a hardware address that no device has
PARTNER_PORT, RADAR_PORT = 7422, 8600
_CLONE_NEWNET = 0x4000_0000


class Line(Protocol):
    """Where two centres live, and how the way between them is cut and healed."""

    listen: dict[str, str]  # where each centre's partner dials in, HOST:PORT
    address: dict[str, str]  # under which address the partner reaches that
    radar: dict[str, tuple[str, int]]  # where each centre's radars send

    def command(self, name: str, arguments: Sequence[str]) -> list[str]:
        """A command as it runs where a centre lives."""
        ...

    def at(self, name: str) -> AbstractContextManager[None]:
        """Sockets and threads made within are made where a centre lives, or the radars."""
        ...

    def cut(self, to: str | None = None) -> None:
        """Let nothing pass, or nothing of what goes to one centre, in silence, as when a cable is pulled."""
        ...

    def heal(self) -> None:
        """Let everything pass again."""
        ...

    def close(self) -> None:
        """End all processes of a line of namespaces, and the line."""
        ...


class NamespaceLine:
    """Each centre in a network namespace of its own."""

    def __init__(self, names: tuple[str, str]) -> None:
        self.names = names
        self._spaces = {name: f"skypact-{os.getpid()}-{name.lower()}" for name in (*names, RADARS)}
        host = {name: f"10.77.0.{place}" for place, name in enumerate(names, start=1)}
        self.listen = self.address = {name: f"{host[name]}:{PARTNER_PORT}" for name in names}
        self._host = host
        self.radar = {name: (f"10.77.{place}.1", RADAR_PORT) for place, name in enumerate(names, start=1)}
        try:
            for space in self._spaces.values():
                _ip("netns", "add", space)
                _ip("-n", space, "link", "set", "lo", "up")
            one, other = names
            self._cable(one, PARTNER, f"{host[one]}/30", other, PARTNER, f"{host[other]}/30")
            for name in names:
                near = self.radar[name][0]
                self._cable(name, RADARS, f"{near}/30", RADARS, name.lower(), f"{near[:-1]}2/30")
        except BaseException:
            self.close()
            raise

    def command(self, name: str, arguments: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self._spaces[name], *arguments]

    @contextlib.contextmanager
    def at(self, name: str) -> Iterator[None]:
        with Path("/proc/thread-self/ns/net").open() as home:
            with Path(f"/run/netns/{self._spaces[name]}").open() as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def cut(self, to: str | None = None) -> None:
        one, other = self.names
        if to is None:
            _ip("-n", self._spaces[one], "link", "set", PARTNER, "down")
            return
        sender = other if to == one else one
        # Its frames go to a device that nobody has: neither side is told.
        target = ("to", self._host[to], "dev", PARTNER)
        _ip("-n", self._spaces[sender], "neigh", "replace", *target, "lladdr", NOWHERE, "nud", "permanent")

    def heal(self) -> None:
        for name in self.names:
            _ip("-n", self._spaces[name], "link", "set", PARTNER, "up")
            _ip("-n", self._spaces[name], "neigh", "flush", "dev", PARTNER, "nud", "all")

    def close(self) -> None:
        there = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        made = {line.split()[0] for line in there.splitlines()}
        for space in self._spaces.values():
            if space in made:
                for pid in _ip("netns", "pids", space).split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                _ip("netns", "del", space)  # and its ends of the cables, by which the cables are gone

    def _cable(self, one: str, device: str, address: str, other: str, its: str, its_address: str) -> None:
        near, far = self._spaces[one], self._spaces[other]
        _ip("-n", near, "link", "add", device, "type", "veth", "peer", "name", its, "netns", far)
        for space, end, where in ((near, device, address), (far, its, its_address)):
            _ip("-n", space, "addr", "add", where, "dev", end)
            _ip("-n", space, "link", "set", end, "up")


class ByteLine:
    """All on loopback, and the partners' connections through proxies that can be cut, slowed and stalled."""

    def __init__(self, names: tuple[str, str]) -> None:
        self.names = names
        self.links = {name: Link() for name in names}  # by which a centre's partner dials in
        ports = {name: free_port() for name in names}
        self.listen = {name: f"127.0.0.1:{ports[name]}" for name in names}
        self.radar = {name: ("127.0.0.1", free_port()) for name in names}
        self._proxies = {name: LinkProxy(self.links[name], ("127.0.0.1", ports[name])) for name in names}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        for proxy in self._proxies.values():
            asyncio.run_coroutine_threadsafe(proxy.start(), self._loop).result(10)
        self.address = {name: f"127.0.0.1:{proxy.port}" for name, proxy in self._proxies.items()}

    def command(self, name: str, arguments: Sequence[str]) -> list[str]:
        return list(arguments)

    def at(self, name: str) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def cut(self, to: str | None = None) -> None:
        for name, link in self.links.items():
            ways = ("up", "down") if to is None else ("up",) if name == to else ("down",)
            self._loop.call_soon_threadsafe(link.cut, *ways)

    def heal(self) -> None:
        for link in self.links.values():
            self._loop.call_soon_threadsafe(link.heal)

    def close(self) -> None:
        for proxy in self._proxies.values():
            asyncio.run_coroutine_threadsafe(proxy.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@functools.cache
def can_make_namespaces() -> bool:
    """Whether this machine lets us make network namespaces with cables between them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        NamespaceLine(("TRIED", "OUT")).close()
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def best_line(names: tuple[str, str]) -> Line:
    """A line of namespaces where this machine allows it, else one of bytes."""
    return NamespaceLine(names) if can_make_namespaces() else ByteLine(names)


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True, timeout=20).stdout


def _enter(space: int) -> None:
    """Move this thread into a network namespace, by its open file."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(space, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
