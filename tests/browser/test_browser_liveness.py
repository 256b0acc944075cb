"""Behaviours U4 and U24: a stopped picture can't be taken for a live one, and a slow page harms nobody."""

import pytest
from websockets.sync.client import connect

from skypact.benchmarks.scene import Publisher, Scene, served
from skypact.display import server as display_server
from skypact.display.frame import decode_frame
from skypact.display.hub import DisplayHub

pytestmark = pytest.mark.browser


def sequence(page):
    return page.evaluate("__app.status().sequence")


def test_a_stalled_feed_turns_stale_then_lost_and_a_restarted_centre_is_found_without_a_reload(stage):
    stage.serve(Scene(60)).play()
    page = stage.open()
    page.evaluate("window.loadedOnce = true")
    stage.feed.pause()
    page.wait("__app.status().liveness === 'stale'", 30)
    assert page.text("#liveness") == "STALE"
    assert "PICTURE STOPPED 00:0" in page.text("#stopped")
    assert "grayscale" in page.evaluate("getComputedStyle(document.querySelector('main .canvas')).filter")
    page.wait("__app.status().liveness === 'lost'", 30)
    assert page.text("#liveness") == "LOST"
    assert "PICTURE LOST 00:1" in page.text("#stopped")
    stage.feed.resume()
    page.wait("__app.status().liveness === 'live'", 30)
    assert page.evaluate("document.querySelector('#stopped')") is None
    assert len(page.evaluate("__app.tracks()")) == 60

    stage.stack.close()  # the centre ends, and another starts in its place
    page.wait("__app.status().liveness === 'stale'", 30)
    restarted = DisplayHub()
    port = int(stage.url.rsplit(":", 1)[1])
    with served(restarted, stage.scene.info, port=port), Publisher(restarted, Scene(7, seed=2), 0.5):
        page.wait("__app.status().liveness === 'live' && __app.tracks().length === 7", 60)
        page.wait("document.querySelector('#tracks').innerText === '7'")
    assert page.evaluate("window.loadedOnce") is True
    refused = [line for line in page.console() if "ERR_CONNECTION_REFUSED" not in line]
    assert refused == []
    stage.forgive(page)


def test_a_recorded_picture_is_named_as_such(stage):
    stage.serve(Scene(20, start=1_600_000_000.0)).play()
    page = stage.open()
    page.wait("document.querySelector('#liveness').innerText === 'RECORDED'")
    assert "picture of 2020-09-13 12:2" in page.text("header")


def test_a_page_that_hangs_is_dropped_and_gets_the_newest_afterwards_while_others_go_on(
    stage, monkeypatch, caplog
):
    stage.serve(Scene(60)).play()
    page = stage.open()
    monkeypatch.setattr(display_server, "PROGRESS_TIMEOUT", 2.0)
    caplog.clear()
    with connect(stage.url.replace("http", "ws") + "/ws/picture") as other:
        page.evaluate(
            "setTimeout(() => { const end = performance.now() + 4500; while (performance.now() < end) {} })"
        )
        begun, got = stage.feed.sequence, 0
        while "page dropped" not in caplog.text:
            got = decode_frame(other.recv(timeout=10)).sequence
            other.send(b"\0")
        assert got > begun
    newest = stage.feed.sequence
    page.wait(f"__app.status().sequence >= {newest}", 30)
