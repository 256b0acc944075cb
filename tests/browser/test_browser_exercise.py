"""An exercise in two windows: begun by both sides, an inject of Alpha's on both pages, ended by Bravo."""

import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import msgspec
import pytest

from skypact.centre.demo import demo_folder
from skypact.simulation.live import LiveSender, parse_address
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import simulate

pytestmark = pytest.mark.browser

PATIENCE = 400.0  # s; a first start ever compiles
READY = "window.__app && __app.status().hasMap && __app.tracks().length > 8"
INJECTS = "__app.tracks().filter(track => track.simulated).length"
SHARED = "__app.tracks().filter(track => track.simulated && track.joint?.startsWith('ALPHA')).length"


def skypact(*arguments: str) -> str:
    command = [sys.executable, "-m", "skypact.cli", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def demo(page_folder, tmp_path):
    """Addresses of the pages of a demo in processes of its own, and the configurations of its centres."""
    command = [sys.executable, "-u", "-m", "skypact.cli", "demo", "--headless", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--scenario", "small"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ending = threading.Timer(PATIENCE, process.kill)  # so that no read waits for ever
    ending.start()
    try:
        assert process.stdout is not None
        pages, port = [], ""
        for line in process.stdout:
            if " is live at " in line:
                pages.append(line.split()[-1])
            if match := re.search(r"demo cut --port (\d+)", line):
                port = match[1]
            if len(pages) == 2 and port:
                break
        folder = demo_folder(int(port))
        yield pages, [folder / name / "centre.toml" for name in ("alpha", "bravo")]
        process.terminate()
        assert process.wait(60) == 0
    finally:
        ending.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


def injecting(config: Path) -> LiveSender:
    """Sends other traffic, flagged as simulated, to a centre whose radars are those of the demo."""
    listen = tomllib.loads(config.read_text())["input"][0]["listen"]
    scenario = msgspec.structs.replace(read_scenario("small"), simulated=True)
    return LiveSender(simulate(scenario, 77), [parse_address(listen)])


def test_an_exercise_shows_on_both_pages_and_its_injects_go_with_it(browser, demo):
    addresses, (alpha, bravo) = demo
    pages = [browser.open(1280, 720) for _ in addresses]
    for page, address in zip(pages, addresses, strict=True):
        assert page.goto(address) == 200
    for page in pages:
        page.wait(READY, 90)
        page.wait("document.querySelector('#partners')?.innerText.includes('link up')", 60)
        assert page.evaluate("document.querySelector('#exercise')") is None
    sender = injecting(alpha)
    sender.start()
    try:
        pages[0].wait(f"{INJECTS} > 2", 90)
        assert "SIMULATED TRACKS IN THE PICTURE" in pages[0].text("#exercise")
        assert pages[1].evaluate(INJECTS) == 0

        skypact("exercise", "begin", str(alpha), "EAST-1", "--reason", "training")
        pages[0].wait("document.querySelector('#exercise').innerText.includes('waiting for BRAVO')", 30)
        pages[1].wait("document.querySelector('#partners').innerText.includes('it began EAST-1')", 30)
        assert pages[1].evaluate("document.querySelector('#exercise')") is None
        assert "it has not begun it" in skypact("exercise", "status", str(alpha))

        skypact("exercise", "begin", str(bravo), "EAST-1", "--reason", "training")
        for page, other in zip(pages, ("BRAVO", "ALPHA"), strict=True):
            page.wait(f"document.querySelector('#exercise')?.innerText.includes('on with {other}')", 30)
            assert "EXERCISE EAST-1" in page.text("#exercise")
            assert "EXERCISE EAST-1" in page.text("#partners")
        pages[1].wait(f"{SHARED} > 2", 90)
        for page in pages:
            page.wait("document.querySelector('[role=grid]').innerText.includes(' SIM')", 30)
            page.evaluate("document.querySelector('.row.simulated').click()")
            page.wait("document.querySelector('#detail').innerText.includes('SIMULATED')", 30)

        skypact("exercise", "end", str(bravo), "EAST-1")
        pages[1].wait(f"{INJECTS} === 0 && document.querySelector('#exercise') === null", 30)
        pages[0].wait("!document.querySelector('#exercise').innerText.includes('EXERCISE')", 30)
        assert "no exercise is on here" in skypact("exercise", "status", str(alpha))
        shown = skypact("journal", "show", str(bravo.parent / "data"))
        assert re.search(r"ALPHA/\d+  exercise_began  EXERCISE  .*exercise=EAST-1", shown)
        assert re.search(r'ALPHA/\d+  exercise_ended  EXERCISE .* reason="ended by BRAVO"', shown)
    finally:
        sender.stop()
    for page in pages:
        assert page.console() == []
        page.close()
