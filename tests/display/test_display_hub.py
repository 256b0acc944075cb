import asyncio
import json
import threading
from dataclasses import replace

import numpy as np

from skypact.benchmarks.scene import Scene
from skypact.core.text import callsign_from_text
from skypact.display.frame import FrameFlag, decode_frame
from skypact.display.hub import EVENTS_KEPT, HISTORY_FRAMES, DisplayHub
from skypact.tracks.model import PICTURE_COLUMNS


def sent(events):
    return [json.loads(event.text) for event in events]


def rows_of(picture, rows):
    return replace(picture, **{name: getattr(picture, name)[rows] for name in PICTURE_COLUMNS})


def test_all_pages_get_the_same_bytes_object():
    hub = DisplayHub()
    hub.publish_picture(Scene(3).picture(1))
    assert hub.frame is hub.frame
    assert decode_frame(hub.frame).sequence == 1
    hub.publish_picture(Scene(3).picture(2))
    assert decode_frame(hub.frame).sequence == 2


def test_names_are_sent_once_and_again_when_they_change():
    hub, scene = DisplayHub(), Scene(3)
    hub.publish_picture(scene.picture(1))
    hub.publish_picture(scene.picture(2))
    changed = scene.picture(3)
    changed.callsign[1] = callsign_from_text("NEW1")
    hub.publish_picture(changed)
    names, first, second = sent(hub.events_after(hub.epoch, 0))
    assert (names["kind"], names["data"]) == ("names", list(scene.picture(1).sensor_names))
    assert first["data"]["changed"][0]["joint"] == "ALPHA-00001"
    assert first["data"]["changed"][0]["centres"] == ["ALPHA"]
    assert [name["number"] for name in first["data"]["changed"]] == [1, 2, 3]
    assert [(name["number"], name["callsign"]) for name in second["data"]["changed"]] == [(2, "NEW1")]


def test_an_ended_track_is_told_and_its_number_may_name_another():
    hub, scene = DisplayHub(), Scene(3)
    hub.publish_picture(scene.picture(1))
    hub.publish_picture(rows_of(scene.picture(2), np.array([0, 2])))
    (ended,) = sent(hub.events_after(hub.epoch, 2))
    assert ended["data"] == {"changed": [], "ended": [2]}
    assert set(hub.track_names()) == {1, 3}
    other = scene.picture(3)
    other.uid[1] = (77, 78)
    hub.publish_picture(other)
    (born,) = sent(hub.events_after(hub.epoch, 3))
    assert born["data"]["changed"][0]["uid"] == f"{77:016x}{78:016x}"


def test_events_are_in_order_and_resume_after_the_last_one_seen():
    hub = DisplayHub()
    ids = [hub.publish_event("note", {"n": n}) for n in range(5)]
    assert [event["id"] for event in sent(hub.events_after(hub.epoch, ids[1]))] == ids[2:]
    assert hub.events_after(hub.epoch, ids[-1]) == []


def test_a_page_that_fell_behind_or_knew_another_hub_starts_from_a_snapshot():
    hub, scene = DisplayHub(), Scene(2)
    hub.publish_picture(scene.picture(1))
    hub.publish_health(scene.health())
    for _ in range(EVENTS_KEPT + 5):
        last = hub.publish_event("note", None)
    for epoch, after in ((hub.epoch, 1), (hub.epoch + 1, last), (None, None), (hub.epoch, last + 9)):
        (snapshot,) = sent(hub.events_after(epoch, after))
        assert snapshot["kind"] == "snapshot"
        assert snapshot["id"] == last
        assert [track["number"] for track in snapshot["data"]["tracks"]] == [1, 2]
        assert len(snapshot["data"]["sensors"]) == 6


def test_the_log_of_events_is_bounded_in_size_too():
    hub = DisplayHub()
    for _ in range(20):
        last = hub.publish_event("note", "x" * 500_000)
    assert [event["kind"] for event in sent(hub.events_after(hub.epoch, last - 10))] == ["snapshot"]
    assert len(hub.events_after(hub.epoch, last - 5)) == 5
    hub.publish_event("note", "x" * 5_000_000)  # larger than all that is kept: told by a snapshot
    assert [event["kind"] for event in sent(hub.events_after(hub.epoch, last))] == ["snapshot"]


def test_only_the_newest_state_of_the_sensors_is_resent():
    hub, scene = DisplayHub(), Scene(0)
    for _ in range(10):
        hub.publish_health(scene.health())
    hub.publish_event("note", None)
    hub.publish_health(scene.health(frozenset({"RADAR 2"})))
    events = sent(hub.events_after(hub.epoch, 0))
    assert [event["kind"] for event in events] == ["note", "sensors"]
    assert [sensor["state"] for sensor in events[1]["data"]][:3] == ["fresh", "silent", "fresh"]


def test_pictures_for_trails_are_kept_at_their_period_and_dropped_when_time_goes_back():
    hub, scene = DisplayHub(history_period=8.0), Scene(2)
    for second in range(60):
        hub.publish_picture(scene.picture(second))
    frames = [decode_frame(frame) for frame in hub.history()]
    assert [frame.sequence for frame in frames] == [24, 32, 40, 48, 56]
    assert len(frames) == HISTORY_FRAMES
    assert all(frame.flags == FrameFlag.HISTORY for frame in frames)
    hub.publish_picture(scene.picture(3))
    assert [decode_frame(frame).sequence for frame in hub.history()] == [3]


async def test_a_picture_published_on_another_thread_wakes_the_page():
    hub = DisplayHub()
    subscriber = hub.subscribe()
    thread = threading.Thread(target=hub.publish_picture, args=(Scene(2).picture(1),))
    thread.start()
    await asyncio.wait_for(subscriber.fresh.wait(), 10)
    thread.join()
    hub.unsubscribe(subscriber)
    assert hub.pages == 0
