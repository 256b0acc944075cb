"""How many datagrams a second get into columns, and what a datagram costs, beside asyncio's own receiver."""

import asyncio
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.encode import encode_records
from skypact.asterix.model import Datagrams
from skypact.benchmarks.model import Figure
from skypact.core.errors import BadInputError
from skypact.sensors.receive import KERNEL_BUFFER, UdpReceiver, UdpSource

RATE = 30_000  # datagrams/s
SECONDS = 4.0
OCTETS = 1000
STEP = 0.02  # s between two looks of the consumer, as in a centre

# Sends COUNT copies of standard input to 127.0.0.1:PORT at RATE a second, in bursts of at most 32.
SENDER = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    static char payload[65536];
    size_t length = fread(payload, 1, sizeof payload, stdin);
    long count = atol(argv[2]);
    double rate = atof(argv[3]);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int out = socket(AF_INET, SOCK_DGRAM, 0);
    struct iovec part = {payload, length};
    struct mmsghdr messages[32];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 32; i++) {
        messages[i].msg_hdr.msg_name = &to;
        messages[i].msg_hdr.msg_namelen = sizeof to;
        messages[i].msg_hdr.msg_iov = &part;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    double began = now();
    long sent = 0;
    while (sent < count) {
        long due = (long)((now() - began) * rate) - sent;
        if (due > count - sent) due = count - sent;
        if (due < 1) { usleep(300); continue; }
        int done = sendmmsg(out, messages, due > 32 ? 32 : due, 0);
        if (done > 0) sent += done;
    }
    printf("%f\n", now() - began);
    return 0;
}
"""


def run() -> list[Figure]:
    """Loss at 30,000 datagrams/s of 1 kB into columns on one thread, and CPU time a datagram."""
    with _sender() as program:
        ours = _measure_ours(program)
        theirs = _measure_asyncio(program)
    count = int(RATE * SECONDS)
    return [
        Figure(
            name="datagrams of 1 kB sent a second",
            value=ours.sent_rate,
            unit="/s",
            target="30,000/s",
            note=f"kernel buffer granted {ours.buffer >> 20} MiB",
        ),
        Figure(
            name="lost on the way into columns",
            value=100.0 * (1.0 - ours.received / count),
            unit="%",
            peer="asyncio DatagramProtocol, receiving only",
            peer_value=100.0 * (1.0 - theirs.received / count),
            target="0 %",
            note=f"{ours.records} records decoded; "
            + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in ours.losses.items()),
        ),
        Figure(
            name="CPU a datagram, receiving",
            value=ours.cpu_receive / max(ours.received, 1) * 1e6,
            unit="us",
            peer="asyncio DatagramProtocol",
            peer_value=theirs.cpu_receive / max(theirs.received, 1) * 1e6,
            ratio=(theirs.cpu_receive / max(theirs.received, 1)) / (ours.cpu_receive / max(ours.received, 1)),
            note="same kernel buffer",
        ),
        Figure(
            name="CPU a datagram, receiving and decoding all columns",
            value=ours.cpu_total / max(ours.received, 1) * 1e6,
            unit="us",
            target="below 33 us: 30,000/s on one core",
        ),
    ]


@dataclass(slots=True)
class _Measured:
    """What one receiver did."""

    received: int = 0
    records: int = 0
    buffer: int = 0  # bytes granted by the kernel
    sent_rate: float = 0.0  # datagrams/s
    cpu_receive: float = 0.0  # s
    cpu_total: float = 0.0  # s
    losses: dict[str, int] = field(default_factory=dict)


@contextmanager
def _sender() -> Iterator[Path]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BadInputError("no C compiler", "benchmark receive", "install gcc")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "sender"
        source = program.with_suffix(".c")
        source.write_text(SENDER, encoding="ascii")
        subprocess.run([compiler, "-O2", "-o", program, source], check=True, timeout=60)
        yield program


def _start(program: Path, port: int) -> "subprocess.Popen[bytes]":
    sender = subprocess.Popen(
        [program, str(port), str(int(RATE * SECONDS)), str(RATE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert sender.stdin is not None
    sender.stdin.write(_payload())
    sender.stdin.close()
    sender.stdin = None  # so that `communicate` leaves it alone
    return sender


def _payload() -> bytes:
    """One CAT048 block of about 1 kB, of plots as a Mode S radar sends them."""
    count = 60
    rng = np.random.default_rng(1)
    columns = {
        "010/SAC": np.full(count, 25.0),
        "010/SIC": np.full(count, 11.0),
        "140": np.linspace(43_200.0, 43_201.0, count),
        "020/TYP": np.full(count, 5.0),
        "040/RHO": rng.uniform(10.0, 200.0, count),
        "040/THETA": rng.uniform(0.0, 360.0, count),
        "070/MODE3A": rng.integers(0, 4096, count).astype(float),
        "090/FL": rng.uniform(10.0, 400.0, count),
        "220": rng.integers(1, 2**24, count).astype(float),
        "240": rng.integers(1, 2**48, count),
        "161/TRN": np.arange(1.0, count + 1.0),
    }
    datagrams = encode_records(48, columns, max_length=OCTETS)
    first = int(datagrams.offset[0])
    return datagrams.buffer[first : first + int(datagrams.length[0])].tobytes()


def _measure_ours(program: Path) -> _Measured:
    measured = _Measured()
    payload = np.frombuffer(_payload(), dtype=np.uint8)
    # A centre is warmed up before its sockets open.
    decode_datagrams(Datagrams(payload, np.zeros(1, np.int64), np.array([len(payload)]), np.zeros(1)))
    receiver = UdpReceiver([UdpSource("127.0.0.1", 0)])
    measured.buffer = receiver.counts[0].kernel_buffer
    receiver.start()
    sender = _start(program, receiver.ports[0])
    decoding = 0.0
    began = time.process_time()
    quiet = 0
    while quiet < 10:
        is_over = sender.poll() is not None
        datagrams = receiver.take().datagrams
        measured.received += len(datagrams)
        begin = time.thread_time()
        measured.records += sum(len(columns) for columns in decode_datagrams(datagrams).records)
        decoding += time.thread_time() - begin
        quiet = quiet + 1 if is_over and len(datagrams) == 0 else 0
        time.sleep(STEP)
    measured.cpu_total = time.process_time() - began
    measured.cpu_receive = measured.cpu_total - decoding
    receiver.stop()
    measured.losses = receiver.read_losses()
    measured.sent_rate = int(RATE * SECONDS) / _seconds(sender)
    return measured


def _measure_asyncio(program: Path) -> _Measured:
    """The same with asyncio's protocol, which only counts."""
    measured = _Measured()

    class Counter(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            measured.received += 1

    async def receive() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Counter, local_addr=("127.0.0.1", 0)
        )
        opened = transport.get_extra_info("socket")
        # The same kernel buffer as ours.
        for option in (33, 8):  # SO_RCVBUFFORCE, else SO_RCVBUF
            try:
                opened.setsockopt(1, option, KERNEL_BUFFER)
                break
            except OSError:
                continue
        sender = _start(program, opened.getsockname()[1])
        before = -1
        while sender.poll() is None or before != measured.received:
            before = measured.received
            await asyncio.sleep(0.2)
        measured.sent_rate = int(RATE * SECONDS) / _seconds(sender)
        transport.close()

    began = time.process_time()
    thread = threading.Thread(target=lambda: asyncio.run(receive()))
    thread.start()
    thread.join()
    measured.cpu_receive = measured.cpu_total = time.process_time() - began
    return measured


def _seconds(sender: "subprocess.Popen[bytes]") -> float:
    output, _ = sender.communicate(timeout=60)
    return float(output)
