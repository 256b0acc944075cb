"""Measures the display: the server's frames, and the page in a real Chromium where there is one."""

import gzip
import time
from collections.abc import Callable
from statistics import median

from skypact.benchmarks.browser import Browser, BrowserPage, why_no_browser
from skypact.benchmarks.model import Figure
from skypact.benchmarks.scene import Publisher, Scene, served
from skypact.display.frame import encode_frame
from skypact.display.hub import DisplayHub
from skypact.display.server import STATIC

MANY = 10_000  # tracks
FEW = 300  # tracks of the first picture
UPDATES = 120
READY = "window.__app && __app.status().hasMap && __app.tracks().length > 0 && __app.labels().length > 0"

# Drawing is left out, so that a machine without graphics hardware measures the page's script alone.
NO_DRAWING = """for (const kind of ["Arrays", "Elements", "ArraysInstanced", "ElementsInstanced"])
  WebGL2RenderingContext.prototype["draw" + kind] = () => {};"""

# Notes how long no frame had come when the page's state changed.
WATCH_LIVENESS = """window.__seen = {};
setInterval(() => {
  const state = window.__app && __app.status().liveness;
  if (state && !(state in __seen)) __seen[state] = __app.status().silence;
}, 20);"""


def run() -> list[Figure]:
    """Figures of the server, and of the page when node, playwright-core and Chromium are there."""
    figures = [*_server_figures(), *_bundle_figures()]
    if not why_no_browser():
        with Browser() as browser:
            figures += _page_figures(browser)
            figures += _load_figures(browser)
    return figures


def _server_figures() -> list[Figure]:
    pictures = [Scene(MANY).picture(sequence) for sequence in range(2)]
    size = len(encode_frame(pictures[0], 0))
    encode = _median_time(lambda: encode_frame(pictures[0], 0), 30)
    hub = DisplayHub()
    hub.publish_picture(pictures[0])
    publish = _median_time(lambda: hub.publish_picture(pictures[1]), 30)
    return [
        Figure(name="frame of 10,000 tracks: bytes a track", value=size / MANY, unit="bytes", target="28"),
        Figure(name="frame of 10,000 tracks: encoding", value=encode * 1e3, unit="ms"),
        Figure(
            name="publishing 10,000 tracks to any number of pages",
            value=publish * 1e3,
            unit="ms",
            note="encoding and names; each page then gets the same bytes",
        ),
    ]


def _median_time(action: Callable[[], object], times: int) -> float:
    """Seconds."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        action()
        spent.append(time.perf_counter() - begun)
    return median(spent)


def _bundle_figures() -> list[Figure]:
    assets = STATIC / "assets"
    if not assets.exists():
        return []
    files = [path for path in assets.iterdir() if path.suffix in {".js", ".css", ".woff2"}]
    size = sum(len(gzip.compress(path.read_bytes())) for path in files)
    return [
        Figure(
            name="page: script, style and fonts, compressed",
            value=size / 1e6,
            unit="MB",
            target="below 1.2",
            note="map data not counted",
        )
    ]


def _page_figures(browser: Browser) -> list[Figure]:
    hub, scene = DisplayHub(), Scene(FEW)
    with served(hub, scene.info) as url, Publisher(hub, scene) as feed:
        page = browser.open(1280, 720, (WATCH_LIVENESS,))
        begun = time.perf_counter()
        page.goto(url)
        page.wait(READY, 120.0)
        first = time.perf_counter() - begun
        page.wait("__app.status().liveness === 'live'", 60.0)
        time.sleep(3.0)
        page.evaluate("__seen = {}")
        feed.pause()
        page.wait("'lost' in __seen", 60.0)
        feed.resume()
        seen = page.evaluate("__seen")
        page.close()
    return [
        Figure(
            name="page: first picture of 300 tracks after the address is opened",
            value=first,
            unit="s",
            target="below 5",
            note="Chromium draws in software",
        ),
        Figure(name="page: STALE after the last frame", value=seen["stale"], unit="s", target="below 3.5"),
        Figure(name="page: LOST after the last frame", value=seen["lost"], unit="s", target="below 10.5"),
    ]


def _load_figures(browser: Browser) -> list[Figure]:
    hub, scene = DisplayHub(), Scene(MANY, spread=6.0)
    with served(hub, scene.info) as url, Publisher(hub, scene, period=0.3):
        page = browser.open(1600, 900, (NO_DRAWING,))
        page.protocol("Performance.enable")
        page.goto(url)
        page.wait(READY, 120.0)
        _wait_for_updates(page, 10)
        before, first = _metrics(page), page.evaluate("__app.frameStats().count")
        _wait_for_updates(page, UPDATES)
        after, last = _metrics(page), page.evaluate("__app.frameStats().count")
        updates = page.evaluate("__app.frameStats().updates")[-UPDATES:]
        shown = page.evaluate("__app.status()")
        page.close()
    script = (after["ScriptDuration"] - before["ScriptDuration"]) / (last - first)
    growth = (after["JSHeapUsedSize"] - before["JSHeapUsedSize"]) / 1e6
    labels = f"{shown['labelsShown']} labels of {shown['labelsWanted']} in view"
    return [
        Figure(
            name="page: update of 10,000 tracks, median of the handler",
            value=median(update["total"] for update in updates),
            unit="ms",
            target="below 50",
            note=labels,
        ),
        Figure(
            name="page: all script for an update of 10,000 tracks, mean",
            value=script * 1e3,
            unit="ms",
            target="below 50",
            note="with what follows in the next frame: layers, table, panels; drawing stubbed",
        ),
        Figure(
            name=f"page: memory growth over {UPDATES} updates of 10,000 tracks",
            value=growth,
            unit="MB",
            target="below 10",
        ),
    ]


def _wait_for_updates(page: BrowserPage, more: int) -> None:
    wanted = int(page.evaluate("__app.frameStats().count")) + more
    page.wait(f"__app.frameStats().count >= {wanted}", 300.0)


def _metrics(page: BrowserPage) -> dict[str, float]:
    page.protocol("HeapProfiler.collectGarbage")
    metrics = page.protocol("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in metrics}
