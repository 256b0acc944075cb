"""What partners see of us on pages that ask for it: apart from our picture, and gone with the last look."""

import json

import msgspec
import pytest
from test_display_partners import BRAVO
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from skypact.benchmarks.scene import Scene, served
from skypact.display.frame import decode_frame
from skypact.display.hub import DisplayHub
from skypact.display.views import PartnerViews

VIEW = {"partner": "BRAVO", "tracks": 2, "of": 5}


@pytest.fixture
def scene():
    return Scene(5, start=1_700_000_000.0)


@pytest.fixture
def views(scene):
    """Our picture of five tracks, and BRAVO as a partner."""
    hub = DisplayHub()
    hub.publish_picture(scene.picture(1))
    hub.publish_health(scene.health())
    hub.publish_partners([BRAVO])
    return PartnerViews(hub)


def publish(hub, scene, sequence):
    """Two tracks, of which one comes without its callsign."""
    hub.publish_view(VIEW)
    hub.publish_picture(Scene(2, start=scene.start).picture(sequence), [("callsign",), ()])


def test_a_view_is_made_while_somebody_looks_and_nothing_of_it_is_kept(views, scene):
    assert views.watched() == {}
    with views.watch("BRAVO") as hub:
        with views.watch("BRAVO") as same:
            assert same is hub is not views.own
        publish(hub, scene, 1)
        assert views.watched() == {"BRAVO": hub}
    assert views.watched() == {}
    with views.watch("BRAVO") as later:
        assert later is not hub and later.frame is None and later.history() == []
        assert later.epoch != hub.epoch


def test_none_is_our_own_picture(views):
    with views.watch(None) as hub:
        assert hub is views.own
    assert views.watched() == {}


def test_a_page_that_shows_a_view_still_learns_how_sensors_and_partners_do(views, scene):
    with views.watch("BRAVO") as hub:
        assert hub.health == views.own.health and hub.partners == [BRAVO]
        down = msgspec.structs.replace(BRAVO, link="down")
        views.publish_partners([down])
        views.publish_health(scene.health(frozenset({"RADAR 1"})))
        assert hub.partners == views.own.partners == [down]
        assert hub.health == views.own.health != scene.health()


async def test_a_view_goes_over_the_same_streams_and_never_mixes_with_our_picture(views, scene):
    with served(views.own, scene.info, views=views) as url:
        address = url.replace("http", "ws")
        async with (
            connect(f"{address}/ws/picture?as=BRAVO") as pictures,
            connect(f"{address}/ws/events?as=BRAVO") as events,
            connect(f"{address}/ws/picture?") as ours,
        ):
            snapshot = json.loads(await events.recv())
            assert snapshot["data"]["tracks"] == [] and snapshot["data"]["view"] is None
            publish(views.watched()["BRAVO"], scene, 7)
            view, names, tracks = [json.loads(await events.recv()) for _ in range(3)]
            assert (view["kind"], view["data"]) == ("view", VIEW)
            assert (names["kind"], tracks["kind"]) == ("names", "tracks")
            assert [name.get("withheld", []) for name in tracks["data"]["changed"]] == [["callsign"], []]
            frames = [decode_frame(await pictures.recv())]
            if frames[0].flags:  # the trail comes first
                await pictures.send(b"")
                frames.append(decode_frame(await pictures.recv()))
            assert {len(frame.columns["number"]) for frame in frames} == {2}
            assert len(decode_frame(await ours.recv()).columns["number"]) == 5


@pytest.mark.parametrize("stream", ["picture", "events"])
async def test_there_is_no_view_of_somebody_who_is_no_partner(views, scene, stream):
    with served(views.own, scene.info, views=views) as url, pytest.raises(InvalidStatus, match="403"):
        async with connect(f"{url.replace('http', 'ws')}/ws/{stream}?as=NOBODY"):
            pass
