"""Behaviours U1, U2, U3 and U6: the picture as the crew sees it."""

import gzip
import math
import time
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.image import imread

from skypact.benchmarks.scene import Scene
from skypact.core.units import DEGREE

pytestmark = pytest.mark.browser

LAND = np.array([0x16, 0x1D, 0x26])
UNKNOWN = np.array([0xFF, 0xE8, 0x73])
BUNDLE_MOST = 1_200_000  # bytes of script, style and fonts, compressed


def share_of_pixels(path, colour, tolerance):
    pixels = np.rint(imread(path)[:, :, :3] * 255.0)
    return np.mean(np.all(np.abs(pixels - colour) <= tolerance, axis=2))


def mercator(latitude, longitude, zoom):
    """Pixels east and south in web Mercator with tiles of 512 pixels."""
    scale = 512 * 2**zoom
    y = 0.5 - math.log(math.tan(math.pi / 4 + latitude / 2)) / (2 * math.pi)
    return np.array([longitude / (2 * math.pi) * scale, y * scale])


def boxes(labels):
    return np.array([[b["left"], b["top"], b["left"] + b["width"], b["top"] + b["height"]] for b in labels])


def overlapping_pairs(box):
    apart = (
        (box[:, None, 2] <= box[None, :, 0])
        | (box[:, None, 0] >= box[None, :, 2])
        | (box[:, None, 3] <= box[None, :, 1])
        | (box[:, None, 1] >= box[None, :, 3])
    )
    return int(np.triu(~apart, 1).sum())


def test_a_picture_of_300_tracks_appears_and_needs_nothing_from_beyond_this_machine(stage, tmp_path):
    stage.serve(Scene(300)).play(1.0)
    page = stage.open()
    page.wait("__app.labels().length > 20 && __app.land() > 0 && __app.status().liveness === 'live'")
    assert page.text("#tracks") == "300"
    tracks = {track["number"]: track for track in page.evaluate("__app.tracks()")}
    assert len(tracks) == 300
    picture = stage.hub.picture
    for row in (0, 20, 299):
        shown = tracks[int(picture.number[row])]
        assert shown["latitude"] == pytest.approx(picture.latitude[row] / DEGREE, abs=0.02)
        assert shown["longitude"] == pytest.approx(picture.longitude[row] / DEGREE, abs=0.02)
    time.sleep(1.0)  # the map draws what the land data brought
    page.screenshot(tmp_path / "page.png")
    assert share_of_pixels(tmp_path / "page.png", LAND, 3) > 0.01
    assert share_of_pixels(tmp_path / "page.png", UNKNOWN, 60) > 0.0005
    assert page.foreign_requests() == []
    assert page.console() == []


def test_the_bundle_is_small_and_milsymbol_is_apart(page_folder):
    files = [path for path in (page_folder / "assets").iterdir() if path.suffix in (".js", ".css", ".woff2")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < BUNDLE_MOST
    assert any(path.name.startswith("milsymbol") for path in files)
    index = (page_folder / "index.html").read_text()
    assert "milsymbol" not in index  # loaded after the page, not with it


def test_a_moving_track_moves_by_its_distance_on_the_map(stage):
    stage.serve(Scene(40, start=time.time()))
    stage.publish(1, 0.0)
    page = stage.open("#at=55.7/4.2/8")
    page.wait("__app.status().sequence === 1")
    before = {track: page.evaluate(f"__app.screenPos({track})") for track in (1, 7, 40)}
    for sequence in (2, 3, 4):
        stage.publish(sequence, 20.0 * (sequence - 1))
        page.wait(f"__app.status().sequence === {sequence}")
    assert page.text("#sequence") == "#4"
    first, last = stage.scene.picture(1, 0.0), stage.scene.picture(4, 60.0)
    for track, was in before.items():
        row = track - 1
        expected = mercator(last.latitude[row], last.longitude[row], 8)
        expected -= mercator(first.latitude[row], first.longitude[row], 8)
        now = page.evaluate(f"__app.screenPos({track})")
        assert np.hypot(*expected) > 10.0
        assert now["x"] - was["x"] == pytest.approx(expected[0], abs=2.0)
        assert now["y"] - was["y"] == pytest.approx(expected[1], abs=2.0)


def test_labels_of_a_crowd_neither_overlap_nor_jump_and_the_important_ones_are_shown(stage):
    scene = Scene(300, spread=0.6, start=time.time())
    stage.serve(scene)

    def publish(sequence):
        picture = scene.picture(sequence)
        picture.squawk[150] = 0o7700
        picture.squawk[151] = 0o7701
        stage.hub.publish_picture(picture)

    publish(1)
    page = stage.open("#at=55.7/4.2/7.4&track=42")
    page.wait("__app.labels().length > 20")
    slots = []
    for sequence in range(2, 8):
        publish(sequence)
        page.wait(f"__app.status().sequence === {sequence}")
        labels = page.evaluate("__app.labels()")
        assert overlapping_pairs(boxes(labels)) == 0
        shown = {label["id"] for label in labels}
        assert {42, 151} <= shown
        symbol = page.evaluate("__app.screenPos(42)")
        inside = (
            (boxes(labels)[:, 0] < symbol["x"] + 10)
            & (boxes(labels)[:, 2] > symbol["x"] - 10)
            & (boxes(labels)[:, 1] < symbol["y"] + 10)
            & (boxes(labels)[:, 3] > symbol["y"] - 10)
        )
        assert not inside.any()
        slots.append({label["id"]: label["slot"] for label in labels})
    for earlier, later in pairwise(slots):
        both = earlier.keys() & later.keys()
        assert sum(earlier[track] != later[track] for track in both) < 0.05 * len(both)
    status = page.evaluate("__app.status()")
    assert page.text("#labels") == f"{status['labelsShown']}/{status['labelsWanted']}"
    assert status["labelsShown"] < status["labelsWanted"] <= 300


def test_the_detail_of_a_simulated_track_says_so_as_long_as_it_is(stage):
    stage.serve(Scene(3))
    picture = stage.scene.picture(1)
    picture.is_simulated[1] = True
    stage.hub.publish_picture(picture)
    page = stage.open("#at=55.7/4.2/6&track=2")
    page.wait("document.querySelector('#detail .simulated')")
    assert page.text("#detail .simulated") == "SIMULATED"
    assert "pending" in page.text("#detail")
    stage.publish(2)
    page.wait("__app.status().sequence === 2 && !document.querySelector('#detail .simulated')")
