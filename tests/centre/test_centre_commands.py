"""`skypact run`, `demo` and `replay` as a user starts them, each in a process of its own."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from websockets.sync.client import connect

from skypact.simulation.files import write_simulation
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
PATIENCE = 400.0  # s; a first start ever compiles, here maybe beside other work


@contextmanager
def skypact(*arguments: str, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "skypact.cli", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if match := re.search(r"https?://\S+", line):
            return match.group()
    assert process.stderr is not None
    raise AssertionError(process.stderr.read()[-2000:])


def first_frames(address: str, count: int, context: ssl.SSLContext | None = None) -> list[bytes]:
    frames = []
    with connect(address.replace("http", "ws", 1) + "/ws/picture", ssl=context) as stream:
        while len(frames) < count:
            frame = stream.recv(timeout=30)
            assert isinstance(frame, bytes)
            frames.append(frame)
            stream.send("ok")
    return frames


@pytest.fixture
def folder(tmp_path) -> Path:
    """A simulated recording."""
    scenario = msgspec.structs.replace(read_scenario("small"), duration_s=30)
    write_simulation(simulate(scenario, 1), tmp_path / "run")
    return tmp_path / "run"


def test_the_demo_serves_a_page_and_pictures_and_ends_by_itself(tmp_path):
    with skypact(
        "demo", "--headless", "--port", "0", "--for", "5", "--scenario", "small", cwd=tmp_path
    ) as demo:
        address = read_address(demo)
        with urllib.request.urlopen(address, timeout=30) as page:
            assert page.status == 200
            assert b"Skypact" in page.read()
        frames = first_frames(address, 2)
        assert all(frame.startswith(b"SKYP") for frame in frames)
        assert demo.wait(PATIENCE) == 0


def test_the_documented_configuration_runs_sends_and_ends_on_a_signal(tmp_path):
    text = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as user:
        user.bind(("127.0.0.1", 0))
        user.settimeout(60.0)
        text = text.replace("8700", str(user.getsockname()[1])).replace("port = 8000", "port = 0")
        text = text.replace("127.0.0.1:8601", "127.0.0.1:0").replace("239.255.10.1:8600", "239.255.10.1:0")
        (tmp_path / "centre.toml").write_text(text)
        with skypact("run", "centre.toml", cwd=tmp_path) as centre:
            assert read_address(centre).startswith("http://127.0.0.1:")
            assert user.recv(65_536)[0] == 65  # there is no track, yet the service tells that it lives
            centre.send_signal(signal.SIGTERM)
            assert centre.wait(60) == 0
            assert centre.stderr is not None
            assert "centre stopped" in centre.stderr.read()


def test_a_page_for_other_machines_is_served_with_a_certificate_of_its_own(tmp_path):
    (tmp_path / "centre.toml").write_text(
        '[centre]\nname = "ALPHA"\n'
        '[[sensor]]\nname = "one"\nsac = 1\nsic = 1\nlatitude_deg = 50\nlongitude_deg = 5\n'
        '[[input]]\nlisten = "127.0.0.1:0"\n'
        '[display]\nhost = "0.0.0.0"\nport = 0\n'
    )
    with skypact("run", "centre.toml", cwd=tmp_path) as centre:
        port = read_address(centre).rpartition(":")[2]
        context = ssl.create_default_context(cafile=str(tmp_path / "skypact-data" / "web-certificate.pem"))
        with urllib.request.urlopen(
            f"https://127.0.0.1:{port}/api/centre", context=context, timeout=30
        ) as page:
            assert msgspec.json.decode(page.read())["name"] == "ALPHA"
        assert first_frames(f"https://127.0.0.1:{port}", 1, context)[0].startswith(b"SKYP")
        centre.send_signal(signal.SIGINT)
        assert centre.wait(60) == 0


def test_a_recording_is_played_onto_a_page_at_the_speed_asked_for(tmp_path, folder):
    with skypact("replay", str(folder), "--port", "0", "--speed", "20", cwd=tmp_path) as replay:
        address = read_address(replay)
        times, tracks = [], 0
        deadline = time.monotonic() + 60.0
        while tracks == 0 and time.monotonic() < deadline:
            with urllib.request.urlopen(f"{address}/api/tracks", timeout=30) as answer:
                picture = msgspec.json.decode(answer.read())
            times.append(picture["time"])
            tracks = len(picture["tracks"])
            time.sleep(0.1)
        assert tracks > 0
        start = read_scenario("small").start.timestamp()
        assert 0 <= times[-1] - start <= 40
        replay.send_signal(signal.SIGTERM)
        assert replay.wait(60) == 0


def test_a_recording_is_sent_on_as_the_same_datagrams(tmp_path, folder):
    from skypact.asterix.framing import read_recording

    datagrams = read_recording(folder / "asterix.pcap").datagrams
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as user:
        user.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        user.bind(("127.0.0.1", 0))
        user.settimeout(1.0)
        to = f"127.0.0.1:{user.getsockname()[1]}"
        with skypact(
            "replay", str(folder), "--to", to, "--speed", "30", "--at", "10", cwd=tmp_path
        ) as replay:
            output, _ = replay.communicate(timeout=PATIENCE)
            assert replay.returncode == 0
        expected = int((datagrams.received >= datagrams.received[0] + 10).sum())
        assert f"sent {expected} datagrams" in output
        got = [user.recv(65_536) for _ in range(expected)]
    sent = {
        datagrams.buffer[begin : begin + length].tobytes()
        for begin, length in zip(datagrams.offset, datagrams.length, strict=True)
    }
    assert set(got) <= sent
    assert np.all([datagram[0] in (34, 48) for datagram in got])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.toml"], ["nowhere.toml"]),
        (["demo", "--scenario", "atlantis"], ["atlantis"]),
        (["replay", "nowhere.pcap"], ["nowhere.pcap"]),
        (["replay", ".", "--to", "somewhere"], ["somewhere"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, arguments, words):
    result = subprocess.run(
        [sys.executable, "-m", "skypact.cli", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 2
    line = result.stderr.strip().splitlines()[-1]
    assert all(word in line for word in words)
    assert "Traceback" not in result.stderr
