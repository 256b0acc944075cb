"""A recorded file goes in by `skypact replay`, and its aircraft are on the page."""

import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from matplotlib.image import imread

from skypact.benchmarks.recorded import RADAR, RECORDING
from skypact.centre.recordings import read_asterix, recorded_plots
from skypact.core.units import FLIGHT_LEVEL
from skypact.plots.model import NO_ADDRESS
from skypact.sensors.model import make_sensor_table

pytestmark = pytest.mark.browser

AT, SPEED = 600, 20  # s into the recording, and its seconds in a second
WATCHED = 600  # s of the recording that the page may take to be looked at
PATIENCE = 400.0  # s; a first start ever compiles
UNKNOWN = np.array([0xFF, 0xE8, 0x73])
SENSORS = f"""
[[sensor]]
name = "{RADAR.name}"
kind = "{RADAR.kind}"
sac = {RADAR.sac}
sic = {RADAR.sic}
latitude_deg = {RADAR.latitude_deg}
longitude_deg = {RADAR.longitude_deg}
rotation_period_s = {RADAR.rotation_period_s}
"""


@pytest.fixture
def replayed(recordings, tmp_path):
    """The address of a page onto which the recording is played by a process of its own."""
    sensors = tmp_path / "sensors.toml"
    sensors.write_text(SENSORS)
    command = [sys.executable, "-u", "-m", "skypact.cli", "replay", str(recordings / RECORDING)]
    options = {"sensors": sensors, "port": 0, "at": AT, "speed": SPEED}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, *(word for name, value in options.items() for word in (f"--{name}", str(value)))],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    ending = threading.Timer(PATIENCE, process.kill)  # so that no read waits for ever
    ending.start()
    try:
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None, (tmp_path / "log").read_text()[-2000:]
        yield address.group()
        process.terminate()
        assert process.wait(20) == 0
    finally:
        ending.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


def share_of_symbols(page, path):
    """Of the pixels of the page, those in the colour of symbols."""
    page.screenshot(path)
    pixels = np.rint(imread(path)[:, :, :3] * 255.0)
    return np.mean(np.all(np.abs(pixels - UNKNOWN) <= 60, axis=2))


def test_the_aircraft_of_a_real_recording_that_is_replayed_are_on_the_page(
    browser, replayed, recordings, tmp_path
):
    plots, _ = recorded_plots([read_asterix(recordings / RECORDING)], make_sensor_table([RADAR]))
    since = plots.received - plots.received[0]
    window = plots.take((since > AT) & (since < AT + WATCHED) & (plots.address != NO_ADDRESS))
    addresses, counts = np.unique(window.address, return_counts=True)
    seen_longest = int(addresses[np.argmax(counts)])

    page = browser.open(1280, 720)
    assert page.goto(replayed) == 200
    page.wait("window.__app && __app.status().hasMap && __app.tracks().length > 20", 60)
    page.wait("__app.labels().length > 10 && document.querySelector('#liveness').innerText === 'RECORDED'")
    status = page.evaluate("__app.status()")
    assert status["shown"] == status["count"] <= len(addresses)
    assert int(page.text("#tracks")) > 20
    assert share_of_symbols(page, tmp_path / "page.png") > 0.0002

    page.press("/")
    page.type(f"{seen_longest:06X}")
    page.wait("document.querySelectorAll('#found [role=option]').length === 1")
    page.press("Enter")
    page.wait("__app.selected() !== null")
    detail = page.text("#detail").split("\n")
    assert f"{seen_longest:06X}" in detail
    assert RADAR.name in page.text("#detail")
    (track,) = page.evaluate("__app.tracks().filter(track => track.number === __app.selected())")
    levels = window.altitude[window.address == seen_longest] / FLIGHT_LEVEL
    assert np.nanmin(levels) - 5.0 <= track["level"] <= np.nanmax(levels) + 5.0
    assert page.console() == []
    assert page.foreign_requests() == []
    page.close()
