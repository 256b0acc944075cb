"""Sends what simulated radars say over UDP, as it happens: each radar to its own address."""

import dataclasses
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np

from skypact.core.errors import BadInputError
from skypact.simulation.messages import RadarMessages, radar_messages
from skypact.simulation.model import Simulation

Address = tuple[str, int]  # host or multicast group, and UDP port
LEAD = 1.0  # s at least, from the call to the start of the run
_LONGEST_WAIT = 0.2  # s; how soon a stopped sender ends
_SHORT_WAIT = 0.02  # s between two looks for a stretch that is not ready in time
_MULTICAST_HOPS = 1  # stays in the local network


def move_to(simulation: Simulation, start: float) -> Simulation:
    """The same run with another UTC second as its start."""
    shift = round(start) - simulation.start
    plots, marks = simulation.plots, simulation.marks
    return dataclasses.replace(
        simulation,
        start=simulation.start + shift,
        plots=dataclasses.replace(plots, time=plots.time + shift, received=plots.received + shift),
        marks=dataclasses.replace(marks, time=marks.time + shift, received=marks.received + shift),
    )


class LiveSender:
    """Sends a simulation's datagrams in real time, on a thread of its own.

    The run starts within two seconds of `start()`, so that the times of day in the records are
    those of the machine's clock (at speed 1). A datagram that the system does not take is counted, not
    sent again.
    """

    def __init__(
        self,
        simulation: Simulation,
        addresses: Sequence[Address],
        *,
        speed: float = 1.0,
        next_stretch: Callable[[], Simulation] | None = None,
    ) -> None:
        """Args:
            simulation: what to send. addresses: of each radar in table order, or one for all.
            speed: seconds of the run in a second.
            next_stretch: gives what follows in time, and is asked for it while the one before is sent;
                None ends the run with `simulation`.

        Raises:
            BadInputError: a host is not known, or the addresses don't fit the radars.
        """
        if len(addresses) not in (1, len(simulation.sensors)):
            what = f"{len(addresses)} addresses for {len(simulation.sensors)} radars"
            raise BadInputError(what, "live simulation", "give one for each, or one for all")
        if not speed > 0.0:
            raise BadInputError("the speed must be above 0", "live simulation")
        self.sent = 0
        self.refused = 0
        self.start_time: float | None = None  # UTC s since 1970 of the run's beginning
        self._simulation = simulation
        self._addresses = [_resolved(address) for address in addresses]
        self._speed = speed
        self._next_stretch = next_stretch
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End within a fraction of a second."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the run; whether it has come."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _MULTICAST_HOPS)
            start = float(np.ceil(time.time() + LEAD))
            self.start_time = start
            later = start - self._simulation.start
            messages = _messages_of(self._simulation, later)
            while not self._stopping.is_set():
                coming: SimpleQueue[RadarMessages] = SimpleQueue()
                if self._next_stretch is not None:
                    # A daemon, so that a program that ends does not wait for a simulation.
                    threading.Thread(
                        target=lambda queue, play: queue.put(_messages_of(play(), later)),
                        args=(coming, self._next_stretch),
                        name="simulate-ahead",
                        daemon=True,
                    ).start()
                self._send_stretch(out, messages, start)
                if self._next_stretch is None:
                    return
                while coming.empty():
                    if self._stopping.wait(_SHORT_WAIT):
                        return
                messages = coming.get()

    def _send_stretch(self, out: socket.socket, messages: RadarMessages, start: float) -> None:
        datagrams = messages.datagrams
        octets = datagrams.buffer.tobytes()
        due = start + (datagrams.received - start) / self._speed
        for row in range(len(datagrams)):
            while (left := due[row] - time.time()) > 0.0:
                if self._stopping.wait(min(left, _LONGEST_WAIT)):
                    return
            begin = int(datagrams.offset[row])
            address = self._addresses[int(messages.sensor[row]) % len(self._addresses)]
            try:
                out.sendto(octets[begin : begin + int(datagrams.length[row])], address)
                self.sent += 1
            except OSError:
                # Nobody listens there yet, or the network is away: a radar sends on.
                self.refused += 1


def _messages_of(stretch: Simulation, later: float) -> RadarMessages:
    """What the radars send in a stretch that begins so many seconds later."""
    return radar_messages(move_to(stretch, stretch.start + later))


def parse_address(text: str) -> Address:
    """HOST:PORT as an address.

    Raises:
        BadInputError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise BadInputError("no address", text, "write HOST:PORT, as in 127.0.0.1:8600")
    return host, int(port)


def _resolved(address: Address) -> Address:
    host, port = address
    try:
        return str(ipaddress.IPv4Address(host)), port
    except ValueError:
        pass
    try:
        return socket.gethostbyname(host), port
    except OSError as error:
        raise BadInputError(error.strerror or "unknown host", host) from None
