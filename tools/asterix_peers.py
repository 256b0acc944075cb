"""Measure how fast other people's ASTERIX decoders read a file of datagrams; prints JSON.

    .venv-peers/bin/python tools/asterix_peers.py FILE

It runs in an environment of its own, made by `make bench`: one of the peers is under the GPL, and none
of them is imported by Skypact. FILE holds datagrams, each after its length in four octets, least first.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 5


def read_datagrams(path: Path) -> list[bytes]:
    """The datagrams of the file."""
    data = path.read_bytes()
    datagrams = []
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "little")
        datagrams.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return datagrams


def measure(decode: Callable[[bytes], int], datagrams: list[bytes]) -> dict[str, float]:
    """Records, and the CPU-seconds of the fastest of some rounds."""
    best = float("inf")
    records = 0
    for _ in range(ROUNDS):
        began = time.process_time()
        records = sum(map(decode, datagrams))
        best = min(best, time.process_time() - began)
    return {"records": records, "seconds": best}


def main() -> None:
    """Measure each peer that is installed."""
    datagrams = read_datagrams(Path(sys.argv[1]))
    figures: dict[str, dict[str, float]] = {}
    try:
        asterix_decoder = importlib.import_module("asterix")
        figures["asterix-decoder"] = measure(
            lambda datagram: len(asterix_decoder.parse(datagram, verbose=False)), datagrams
        )
    except ImportError:
        pass
    try:
        aviconv = importlib.import_module("aviconv_asterix")
        figures["aviconv-asterix"] = measure(
            lambda datagram: sum(1 for _ in aviconv.iter_records(datagram)), datagrams
        )
    except ImportError:
        pass
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
