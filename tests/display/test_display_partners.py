"""Partners on the page's streams and in the REST interface, and the demo's cut."""

import msgspec
import pytest
from fastapi.testclient import TestClient

from skypact.benchmarks.scene import Scene
from skypact.core.errors import BadInputError
from skypact.display.hub import DisplayHub
from skypact.display.model import CentreInfo
from skypact.display.server import create_app
from skypact.exchange.model import CommonalityShares, PartnerState, TrackWord

BRAVO = PartnerState(
    name="BRAVO",
    link="up",
    since=1000.0,
    heard=1100.0,
    we_give="plots",
    we_give_why="",
    they_give="tracks",
    suspended=None,
    mode="live",
    tracks=12,
    report_age=0.5,
    bytes_out=1000.0,
    in_flight=10,
    gaps=0,
    refused=0,
    journal_ours=3,
    journal_theirs=4,
    commonality=CommonalityShares(held=10, number=1.0, state=0.9, identity=1.0, skew=None),
)


def events(hub: DisplayHub, after: int) -> list[dict]:
    return [msgspec.json.decode(event.text) for event in hub.events_after(hub.epoch, after)]


def test_only_the_newest_state_of_the_partners_is_sent_and_a_new_page_gets_it():
    hub = DisplayHub()
    hub.publish_partners([BRAVO])
    hub.publish_partners([msgspec.structs.replace(BRAVO, link="down")])
    (event,) = events(hub, 0)
    assert event["kind"] == "partners"
    assert event["data"][0]["link"] == "down"
    (snapshot,) = [msgspec.json.decode(e.text) for e in hub.events_after(None, None)]
    assert snapshot["data"]["partners"][0]["name"] == "BRAVO"


def test_sensors_that_partners_add_are_told_to_pages_that_are_open():
    hub, scene = DisplayHub(), Scene(2)
    hub.publish_picture(scene.picture(1))
    hub.publish_picture(scene.picture(2))
    assert [event["kind"] for event in events(hub, 0)].count("names") == 1


@pytest.mark.parametrize(
    ("origin", "status", "asked"), [(None, 204, [True]), ("http://evil.example", 403, [])]
)
def test_only_the_demos_own_page_may_cut_its_link(origin, status, asked):
    calls: list[bool] = []
    info = CentreInfo("ALPHA", Scene(1).sensors.reference, cut_link=calls.append)
    client = TestClient(create_app(DisplayHub(), info=info))
    headers = {} if origin is None else {"origin": origin}
    assert client.post("/api/demo/link?cut=true", headers=headers).status_code == status
    assert calls == asked
    assert client.get("/api/centre").json()["demo"] is True


def test_outside_of_the_demo_there_is_no_such_call():
    info = CentreInfo("ALPHA", Scene(1).sensors.reference)
    client = TestClient(create_app(DisplayHub(), info=info))
    assert client.post("/api/demo/link?cut=true").status_code in (404, 405)


def test_the_partners_are_told_to_programs():
    hub = DisplayHub()
    hub.publish_partners([BRAVO])
    client = TestClient(create_app(hub, info=CentreInfo("ALPHA", Scene(1).sensors.reference)))
    assert client.get("/api/partners").json() == [msgspec.to_builtins(BRAVO)]


WORD = TrackWord(
    numbers=(17, 40_000),
    joints=("ALPHA-00017", "BRAVO-00004"),
    is_one=True,
    binds=True,
    centre="ALPHA",
    by="Kim",
    reason="one transponder",
    said=1000.0,
)
JUDGEMENT = {
    "verdict": "same",
    "one": "ALPHA-00017",
    "other": "BRAVO-00004",
    "by": "Kim",
    "reason": "one transponder",
}


def test_what_people_said_of_tracks_is_told_when_it_changes_and_to_new_pages():
    hub = DisplayHub()
    for words in ([], [WORD], [WORD]):
        hub.publish_words(words)
    (event,) = events(hub, 0)
    assert (event["kind"], event["data"]) == ("words", [msgspec.json.decode(msgspec.json.encode(WORD))])
    (snapshot,) = [msgspec.json.decode(e.text) for e in hub.events_after(None, None)]
    assert snapshot["data"]["words"][0]["by"] == "Kim"
    client = TestClient(create_app(hub, info=CentreInfo("ALPHA", Scene(1).sensors.reference)))
    assert client.get("/api/correlations").json() == [msgspec.json.decode(msgspec.json.encode(WORD))]


def test_a_person_says_from_the_centres_own_page_what_two_tracks_are():
    said: list[tuple[str, dict[str, str]]] = []

    def judge(verdict: str, about: dict[str, str]) -> None:
        if not about["reason"]:
            raise BadInputError("it needs a name and a reason", "correlation")
        said.append((verdict, about))

    info = CentreInfo("ALPHA", Scene(1).sensors.reference, judge=judge)
    client = TestClient(create_app(DisplayHub(), info=info))
    assert client.get("/api/centre").json()["judged"] is True
    foreign = {"origin": "http://evil.example"}
    assert client.post("/api/correlations", json=JUDGEMENT, headers=foreign).status_code == 403
    assert client.post("/api/correlations", json=JUDGEMENT | {"verdict": "merge"}).status_code == 422
    refused = client.post("/api/correlations", json=JUDGEMENT | {"reason": ""})
    assert (refused.status_code, refused.json()) == (
        409,
        {"detail": "correlation: it needs a name and a reason"},
    )
    assert said == []
    assert client.post("/api/correlations", json=JUDGEMENT).status_code == 200
    assert said == [("same", {name: JUDGEMENT[name] for name in ("one", "other", "by", "reason")})]


def test_a_centre_without_partners_has_nothing_to_say_of_pairs():
    info = CentreInfo("ALPHA", Scene(1).sensors.reference)
    client = TestClient(create_app(DisplayHub(), info=info))
    assert client.post("/api/correlations", json=JUDGEMENT).status_code == 405
    assert client.get("/api/centre").json()["judged"] is False
