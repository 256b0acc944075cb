import math
import time

import numpy as np
import pytest
from fastapi.testclient import TestClient

from skypact.benchmarks.scene import Scene
from skypact.display.hub import DisplayHub
from skypact.display.server import create_app
from skypact.tracks.model import Identity, TargetKind


@pytest.fixture
def scene():
    return Scene(5, start=1_700_000_000.0)


@pytest.fixture
def hub():
    return DisplayHub()


@pytest.fixture
def client(hub, scene, tmp_path):
    with TestClient(create_app(hub, info=scene.info, static=tmp_path)) as client:
        yield client


def test_the_tracks_of_the_latest_picture_are_in_the_rest_interface(client, hub, scene):
    assert client.get("/api/tracks").json() == {"time": None, "sequence": None, "tracks": []}
    picture = scene.picture(4)
    hub.publish_picture(picture)
    answer = client.get("/api/tracks").json()
    assert (answer["sequence"], answer["time"], len(answer["tracks"])) == (4, picture.time, 5)


def test_one_track_is_told_in_full(client, hub, scene):
    picture = scene.picture(4)
    picture.squawk[2], picture.address[2], picture.sensors[2] = 0o7421, 0xABC, 0b10001
    picture.altitude[2], picture.velocity[2] = 3048.0, (100.0, 0.0, 0.0)
    picture.covariance[2] = np.diag([400.0, 100.0, 4.0, 4.0])
    picture.identity[2], picture.kind[2] = Identity.ASSUMED_FRIEND, TargetKind.DRONE
    picture.is_simulated[2] = True
    hub.publish_picture(picture)
    track = client.get("/api/tracks/3").json()
    assert (track["identity"], track["kind"], track["simulated"]) == ("assumed friend", "drone", True)
    assert (track["number"], track["squawk"], track["address"]) == (3, "7421", "000ABC")
    assert track["sensors"] == ["RADAR 1", "RADAR 5"]
    assert track["flight_level"] == pytest.approx(100.0)
    assert (track["course_deg"], track["speed"]) == (pytest.approx(90.0), 100.0)
    assert track["latitude_deg"] == pytest.approx(math.degrees(picture.latitude[2]))
    assert track["age"] == pytest.approx(picture.time - picture.updated[2])
    accuracy = track["accuracy"]
    assert (accuracy["semi_major"], accuracy["semi_minor"]) == (pytest.approx(20.0), pytest.approx(10.0))
    assert accuracy["axis_deg"] == pytest.approx(90.0)


def test_what_is_not_known_of_a_track_is_null(client, hub, scene):
    picture = scene.picture(4)
    picture.squawk[0], picture.address[0], picture.callsign[0] = -1, -1, 0
    picture.altitude[0] = picture.vertical_rate[0] = np.nan
    picture.covariance[0] = np.nan
    hub.publish_picture(picture)
    track = client.get("/api/tracks/1").json()
    unknown = ("squawk", "address", "callsign", "altitude", "flight_level", "vertical_rate", "accuracy")
    assert [track[name] for name in unknown] == [None] * 7


@pytest.mark.parametrize("with_picture", [False, True])
def test_a_track_that_does_not_exist_is_a_clear_404(client, hub, scene, with_picture):
    if with_picture:
        hub.publish_picture(scene.picture(1))
    answer = client.get("/api/tracks/4711")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "no track 4711 in the latest picture"}


def test_sensors_come_with_site_and_state(client, hub, scene):
    before = client.get("/api/sensors").json()
    assert [sensor["name"] for sensor in before] == scene.sensors.names
    hub.publish_health(scene.health(frozenset({"RADAR 2"})))
    after = client.get("/api/sensors").json()
    assert [sensor["state"] for sensor in after][:2] == ["fresh", "silent"]
    assert after[0]["latitude_deg"] == 55.6
    assert after[0]["range_max"] == 300_000.0


def test_the_centre_says_its_name_and_clock(client):
    centre = client.get("/api/centre").json()
    assert centre["name"] == "Alpha"
    assert abs(centre["time"] - time.time()) < 60.0
    assert centre["sensor_names"][0] == "RADAR 1"


def test_the_interface_describes_itself_offline(client):
    schema = client.get("/api/openapi.json").json()
    assert set(schema["paths"]) == {
        "/api/tracks",
        "/api/tracks/{number}",
        "/api/sensors",
        "/api/partners",
        "/api/correlations",
        "/api/centre",
    }
    page = client.get("/api/docs").text
    assert "/api/tracks/{number}" in page
    assert "semi_major" in page
    assert "http:" not in page
    assert "https:" not in page
    assert client.get("/docs").status_code == 404
