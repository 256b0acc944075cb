"""The demo in two windows: Alpha's and Bravo's page, their link cut by the button, and healed."""

import json
import re
import subprocess
import sys
import threading
import time

import pytest

from skypact.centre.demo import demo_folder

pytestmark = pytest.mark.browser

PATIENCE = 400.0  # s; a first start ever compiles
JOINTS = "__app.tracks().map(track => track.joint)"
STRICT = """
label = "ALPHA, for BRAVO only"
rung = "tracks"
[[tracks]]
name = "upper airspace"
floor_ft = 25000
withhold = ["callsign"]
"""
READY = "window.__app && __app.status().hasMap && __app.tracks().length > 8"


@pytest.fixture
def addresses(page_folder, tmp_path):
    """Of the pages of a demo that runs in processes of its own."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "skypact.cli",
            "demo",
            "--headless",
            "--port",
            "0",
            "--scenario",
            "small",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ending = threading.Timer(PATIENCE, process.kill)  # so that no read waits for ever
    ending.start()
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert all(" is live at " in line for line in lines[1:]), process.stderr.read()[-2000:]
        yield [line.split()[-1] for line in lines[1:]]
        process.terminate()
        assert process.wait(60) == 0
    finally:
        ending.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for_one_picture(pages):
    """Wait until both pages show the same joint numbers, but for a track that one of them gets first, and one
    for each aircraft: those that tell no code have two until both centres have looked at them several times.
    """
    due = time.monotonic() + 150.0
    while True:
        alpha, bravo = (set(page.evaluate(JOINTS)) for page in pages)
        is_one_each = all(re.search(r"same number\s+100 %", page.text("#partners")) for page in pages)
        if len(alpha) > 8 and len(alpha ^ bravo) <= 1 and is_one_each:
            return alpha
        assert time.monotonic() < due, (alpha - bravo, bravo - alpha)
        time.sleep(0.5)


def suspend_and_resume(pages, address):
    """Alpha stops what Bravo gets, which both pages say, with the reason."""
    config = demo_folder(int(address.rsplit(":", 1)[1])) / "alpha" / "centre.toml"
    command = [sys.executable, "-m", "skypact.cli", "partner"]
    reason = ["--reason", "order of the day"]
    subprocess.run([*command, "suspend", str(config), "BRAVO", *reason], check=True, timeout=PATIENCE)
    for page, said in zip(pages, ("BRAVO SUSPENDED BY US", "SUSPENDED BY ALPHA"), strict=True):
        page.wait(f"document.querySelector('header').innerText.includes('{said}')", 30)
        page.wait("document.querySelector('#partners').innerText.includes('order of the day')", 30)
    subprocess.run([*command, "resume", str(config), "BRAVO", *reason], check=True, timeout=PATIENCE)
    for page in pages:
        page.wait("!document.querySelector('header').innerText.includes('SUSPENDED')", 30)


def names(page):
    """Joint number of each aircraft with a callsign."""
    shown = page.evaluate("__app.tracks().filter(track => track.callsign)")
    return {track["callsign"]: track["joint"] for track in shown}


def say_that_a_track_is_two_aircraft(pages):
    """On Alpha's page a person parts the tracks of both centres in one track; both pages show who said so."""
    alpha, bravo = pages
    for _ in range(alpha.evaluate("__app.tracks().length")):
        alpha.press("j")
        if "ALPHA, BRAVO" in alpha.text("#detail"):
            break
    selected = "__app.tracks().find(track => track.number === __app.selected())"
    joint = alpha.evaluate(f"{selected}.joint")
    alpha.click("#correlation summary")
    alpha.fill("#correlation [name=by]", "Kim")
    alpha.fill("#correlation [name=reason]", "seen as two")
    alpha.click("#correlation .different")
    alpha.wait("document.querySelector('#correlation').innerText.includes('Kept apart by hand by Kim')", 30)
    number = bravo.evaluate(f"__app.tracks().find(track => track.joint === '{joint}').number")
    bravo.evaluate(f"location.hash = 'at=45/-35/6&track={number}'")
    bravo.wait(
        "document.querySelector('#correlation')?.innerText.includes('ALPHA proposes: two aircraft')", 60
    )
    assert "Kim: seen as two" in bravo.text("#correlation")
    alpha.fill("#correlation [name=reason]", "clear now")
    alpha.click("#correlation .release")
    alpha.wait("!document.querySelector('#correlation').innerText.includes('by hand')", 30)
    bravo.wait("!document.querySelector('#correlation').innerText.includes('proposes')", 60)
    alpha.press("Escape")


def see_as_bravo_sees(page, address):
    """Look at Alpha's page with Bravo's eyes, after Alpha has come to withhold names and low traffic."""
    alpha = demo_folder(int(address.rsplit(":", 1)[1])) / "alpha"
    (alpha / "release" / "BRAVO.toml").write_text(STRICT)
    named = page.evaluate("__app.tracks().filter(track => track.callsign).map(track => track.callsign)")
    total = page.evaluate("__app.tracks().length")
    assert len(named) > 3
    page.evaluate("[...document.querySelectorAll('#partners .see')][0].click()")
    page.wait("__app.view()?.rung === 'tracks' && __app.tracks().length > 0", 30)
    page.wait("document.querySelector('#view').innerText.includes(`${__app.tracks().length} of `)", 30)
    text = page.text("body")
    assert "AS BRAVO SEES US" in text and "rung tracks" in text and "ALPHA, for BRAVO only" in text
    assert not any(callsign in text for callsign in named)
    assert "withheld" in page.text("aside.right")
    due = time.monotonic() + 30.0
    while True:  # a track may come or go between the two looks
        said = subprocess.run(
            [sys.executable, "-m", "skypact.cli", "partner", "view", "centre.toml", "BRAVO", "--json"],
            cwd=alpha,
            stdout=subprocess.PIPE,
            check=True,
            timeout=PATIENCE,
        )
        view = json.loads(said.stdout)
        shown = page.evaluate("__app.tracks()")
        if sorted(track["joint"] for track in view["tracks"]) == sorted(track["joint"] for track in shown):
            break
        assert time.monotonic() < due
    assert 0 < len(shown) < total
    assert {track["callsign"] for track in shown + view["tracks"]} == {None}
    assert all(track["level"] >= 249.9 for track in shown)
    assert page.evaluate("__app.status().liveness") == "live"
    page.press("b")
    page.wait("__app.view() === null && __app.tracks().some(track => track.callsign)", 30)
    page.wait(f"__app.tracks().length >= {total - 2}", 30)
    assert "AS BRAVO SEES US" not in page.text("body")


def test_two_pages_show_one_picture_go_on_alone_when_cut_and_agree_again(browser, addresses):
    pages = [browser.open(1280, 720) for _ in addresses]
    for page, address in zip(pages, addresses, strict=True):
        assert page.goto(address) == 200
    for page in pages:
        page.wait(READY, 90)
        page.wait("document.querySelector('#partners')?.innerText.includes('link up')", 60)
    before = wait_for_one_picture(pages)
    assert {joint.split("-")[0] for joint in before} <= {"ALPHA", "BRAVO"}
    numbers = names(pages[0])

    pages[0].evaluate("document.querySelector('#cut-link').click()")
    for page in pages:
        page.wait("document.querySelector('header').innerText.includes('LINK DOWN')", 60)
        assert "alone" in page.text("#partners")
        assert "does not answer" in page.text("#partners")
        sequence = page.evaluate("__app.status().sequence")
        page.wait(f"__app.status().sequence > {sequence + 1} && __app.status().liveness === 'live'", 30)

    pages[0].evaluate("document.querySelector('#heal-link').click()")
    for page in pages:
        page.wait("!document.querySelector('header').innerText.includes('LINK DOWN')", 60)
        page.wait("document.querySelector('#partners').innerText.includes('plots')", 60)
    after = wait_for_one_picture(pages)
    # Aircraft keep their numbers through the cut, also those that only the other side's radars saw.
    kept = [callsign for callsign in numbers if callsign in names(pages[0])]
    assert len(kept) > 3
    assert {callsign: names(pages[0])[callsign] for callsign in kept} == {c: numbers[c] for c in kept}
    assert len(before - after) <= 1, before - after  # a track may end meanwhile
    say_that_a_track_is_two_aircraft(pages)
    suspend_and_resume(pages, addresses[0])
    see_as_bravo_sees(pages[0], addresses[0])
    for page in pages:
        assert page.console() == []
        page.close()
