"""Partners as people link them: by the command line, in processes of their own, over the real engine."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skypact.centre.demo import demo_folder

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
[exchange]
listen = "127.0.0.1:{port}"
address = "127.0.0.1:{port}"
"""


def skypact(*arguments: str, cwd: Path, good: bool = True) -> str:
    """What a command says."""
    result = subprocess.run(
        [sys.executable, "-m", "skypact.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode < 2) == good, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout + result.stderr


@pytest.fixture
def files(tmp_path) -> dict[str, str]:
    """The configurations of two centres with keys and partner files; their fingerprints by name."""
    fingerprints = {}
    for port, name in ((17_422, "ALPHA"), (17_423, "BRAVO")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "centre.toml").write_text(CONFIG.format(name=name, port=port))
        skypact("partner", "init", f"{name}/centre.toml", cwd=tmp_path)
        said = skypact("partner", "invite", f"{name}/centre.toml", "--out", f"{name}.partner", cwd=tmp_path)
        fingerprints[name] = said.strip().splitlines()[-1].strip()
    return fingerprints


def test_only_the_fingerprint_that_was_read_out_makes_a_partner(tmp_path, files):
    join = ("partner", "join", "ALPHA/centre.toml", "BRAVO.partner", "--fingerprint")
    said = skypact(*join, files["ALPHA"], cwd=tmp_path, good=False)
    assert "BRAVO" in said and files["BRAVO"] in said
    assert "BRAVO at 127.0.0.1:17423 is a partner of ALPHA" in skypact(*join, files["BRAVO"], cwd=tmp_path)


def test_a_stranger_under_a_partners_name_is_refused_and_a_renewed_file_is_taken(tmp_path, files):
    join = ("partner", "join", "ALPHA/centre.toml")
    skypact(*join, "BRAVO.partner", "--fingerprint", files["BRAVO"], cwd=tmp_path)
    skypact("partner", "renew", "BRAVO/centre.toml", "--out", "renewed.partner", cwd=tmp_path)
    skypact(*join, "renewed.partner", cwd=tmp_path)
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "centre.toml").write_text(CONFIG.format(name="BRAVO", port=17_424))
    skypact("partner", "init", "stranger/centre.toml", cwd=tmp_path)
    invite = ("partner", "invite", "stranger/centre.toml", "--out", "stranger.partner")
    fingerprint = skypact(*invite, cwd=tmp_path).strip().splitlines()[-1].strip()
    said = skypact(*join, "stranger.partner", "--fingerprint", fingerprint, cwd=tmp_path, good=False)
    assert "known with another key" in said


def test_without_keys_a_running_centre_or_an_exchange_a_command_says_what_to_do(tmp_path):
    (tmp_path / "alone.toml").write_text(CONFIG.format(name="ALPHA", port=17_425).split("[exchange]")[0])
    said = skypact("partner", "init", "alone.toml", cwd=tmp_path, good=False)
    assert "no [exchange]" in said
    (tmp_path / "centre.toml").write_text(CONFIG.format(name="ALPHA", port=17_425))
    assert "skypact run" in skypact("partner", "status", "centre.toml", cwd=tmp_path, good=False)
    assert "partners" in skypact("run", "centre.toml", cwd=tmp_path, good=False)


def state_of(config: Path, cwd: Path) -> dict:
    """How a centre's one partner stands."""
    return json.loads(skypact("partner", "status", str(config), "--json", cwd=cwd))[0]


def wait_for(config: Path, cwd: Path, **wanted: str) -> dict:
    """The state of a centre's partner once it is as wanted."""
    due = time.monotonic() + 60.0
    while True:
        state = state_of(config, cwd)
        if all(state[key] == value for key, value in wanted.items()):
            return state
        assert time.monotonic() < due, f"{wanted} did not come: {state}"
        time.sleep(0.5)


def part_a_shared_track(config: Path, cwd: Path) -> str:
    """Says that the tracks of both centres in one of the centre's tracks are two aircraft; its number."""
    due = time.monotonic() + 60.0
    while True:
        view = json.loads(skypact("partner", "view", str(config), "BRAVO", "--json", cwd=cwd))
        for track in view["tracks"]:
            command = [sys.executable, "-m", "skypact.cli", "correlation", "different", str(config)]
            parted = subprocess.run(
                [*command, track["joint"], "--reason", "seen as two"], capture_output=True
            )
            if parted.returncode == 0:
                return str(track["joint"])
        assert time.monotonic() < due, f"no track of both centres: {parted.stderr.decode()}"
        time.sleep(1.0)


def words(config: Path, cwd: Path) -> list[dict]:
    """What people said of tracks, as a centre shows it."""
    return json.loads(skypact("correlation", "status", str(config), "--json", cwd=cwd))


def test_the_demos_centres_link_are_cut_suspended_and_heal(tmp_path):
    demo = subprocess.Popen(
        [sys.executable, "-m", "skypact.cli", "demo", "--headless", "--port", "0", "--scenario", "small"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert demo.stdout is not None
        port = next(m[1] for line in demo.stdout if (m := re.search(r"demo cut --port (\d+)", line)))
        alpha, bravo = (demo_folder(int(port)) / name / "centre.toml" for name in ("alpha", "bravo"))
        for config in (alpha, bravo):
            wait_for(config, tmp_path, link="up", we_give="plots", they_give="plots")
        joint = part_a_shared_track(alpha, tmp_path)
        (word,) = words(alpha, tmp_path)
        assert (joint in word["joints"], word["is_one"], word["binds"]) == (True, False, True)
        assert "seen as two" in skypact("correlation", "status", str(alpha), cwd=tmp_path)
        due = time.monotonic() + 30.0
        while not (proposals := words(bravo, tmp_path)):
            assert time.monotonic() < due, "the word did not reach the partner"
            time.sleep(0.5)
        assert [(word["centre"], word["binds"]) for word in proposals] == [("ALPHA", False)]
        same = ("correlation", "same", str(alpha), "ALPHA-99999", "--reason", "x")
        assert "no such track" in skypact(*same, cwd=tmp_path, good=False)
        number = str(next(number for number in word["numbers"] if number))
        skypact("correlation", "release", str(alpha), number, "--reason", "clear now", cwd=tmp_path)
        assert words(alpha, tmp_path) == []
        skypact("demo", "cut", "--port", port, cwd=tmp_path)
        for config in (alpha, bravo):
            wait_for(config, tmp_path, link="down", we_give="alone")
        skypact("demo", "heal", "--port", port, cwd=tmp_path)
        for config in (alpha, bravo):
            wait_for(config, tmp_path, link="up", we_give="plots", they_give="plots")
        skypact("partner", "suspend", str(alpha), "BRAVO", "--reason", "by order", cwd=tmp_path)
        wait_for(bravo, tmp_path, they_give="alone")
        assert "0 of" in skypact("partner", "view", str(alpha), "BRAVO", cwd=tmp_path)
        skypact("partner", "resume", str(alpha), "BRAVO", cwd=tmp_path)
        state = wait_for(bravo, tmp_path, they_give="plots")
        assert state["journal_theirs"] >= 5
        skypact("exercise", "begin", str(alpha), "EAST-1", "--reason", "training", cwd=tmp_path)
        wait_for(bravo, tmp_path, mode="live", their_exercise="EAST-1")
        skypact("exercise", "begin", str(bravo), "EAST-1", "--reason", "training", cwd=tmp_path)
        wait_for(alpha, tmp_path, mode="exercise", exercise="EAST-1")
        said = json.loads(skypact("exercise", "status", str(bravo), "--json", cwd=tmp_path))
        on = {"mode": "exercise", "exercise": "EAST-1", "link": "up"}
        assert said == {"exercise": "EAST-1", "partners": {"ALPHA": on}}
        assert "on here" in skypact(
            "exercise", "begin", str(bravo), "B", "--reason", "x", cwd=tmp_path, good=False
        )
        skypact("exercise", "end", str(bravo), "EAST-1", cwd=tmp_path)
        wait_for(alpha, tmp_path, mode="live", exercise="")
        shown = skypact("journal", "show", str(alpha.parent / "data"), cwd=tmp_path)
        assert shown.count("  EXERCISE  ") == 4
        for kind in ("partner_joined", "link_up", "link_down", "suspended", "resumed", "tracks_separated"):
            assert kind in shown
        assert "proved" in skypact("journal", "verify", str(bravo.parent / "data"), cwd=tmp_path)
    finally:
        demo.terminate()
        assert demo.wait(60) == 0
        said, _ = demo.communicate()
    assert said.splitlines()[-2:] == ["the links are cut", "the links are healed"]
    assert not demo_folder(int(port)).exists()
