"""What a partner sees of us on our page: nobody can take it for our picture, and alarms stand above it."""

import time

import pytest

from skypact.benchmarks.scene import Scene
from skypact.exchange.model import PartnerState

pytestmark = pytest.mark.browser

BRAVO = PartnerState(
    name="BRAVO",
    link="up",
    since=1000.0,
    heard=1100.0,
    we_give="tracks",
    we_give_why="capped by the release policy",
    they_give="plots",
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
    commonality=None,
)
SEEN, HAD = 12, 40


def publish(stage, sequence, emergencies=0):
    """Our picture, and what Bravo gets of it: some tracks, without codes and velocities, and one radar."""
    stage.publish(sequence)
    stage.hub.publish_partners([BRAVO])
    hub = stage.views.watched().get("BRAVO")
    if hub is None:
        return
    given = Scene(SEEN, start=stage.scene.start).picture(sequence)
    given.number[:] += 40_000
    given.callsign[::2] = given.address[::2] = 0
    given.squawk[:] = -1
    given.velocity[:] = float("nan")
    given.vertical_rate[:] = float("nan")
    hub.publish_view(
        {
            "partner": "BRAVO",
            "rung": "tracks",
            "why": "capped by the release policy",
            "label": "for BRAVO only",
            "sensors": ["RADAR 2"],
            "tracks": SEEN,
            "of": HAD,
            "emergencies": emergencies,
        }
    )
    kept = ("velocity", "squawk")
    hub.publish_picture(given, [kept if row % 2 else ("callsign", *kept) for row in range(SEEN)])


def look(stage, page):
    """Switch to Bravo's view, once the page knows of Bravo."""
    page.wait("document.querySelector('#partners .see')", 30)
    page.click("#partners .see")
    due = time.monotonic() + 30.0
    while not stage.views.watched().get("BRAVO", stage.hub).pages >= 2 or not stage.views.watched():
        assert time.monotonic() < due
        time.sleep(0.05)


@pytest.fixture
def page(stage):
    """Alpha's page with a track selected."""
    stage.serve(Scene(HAD, start=time.time()))
    publish(stage, 1)
    page = stage.open("#track=2")
    page.wait("document.querySelector('#detail strong')?.innerText")
    return page


def test_a_partners_view_is_marked_all_over_and_one_key_leads_back(stage, page):
    own = page.evaluate("__app.tracks()")
    look(stage, page)
    assert page.evaluate("__app.tracks()") == []  # nothing of ours is left meanwhile
    publish(stage, 2)
    page.wait(f"__app.tracks().length === {SEEN}")
    page.wait("document.querySelector('#view').innerText.includes('of')")
    assert f"AS BRAVO SEES US · {SEEN} of {HAD} tracks" in page.text("#view")
    assert "for BRAVO only" in page.text("#view")
    assert page.evaluate("document.title").startswith("AS BRAVO SEES US")
    page.wait("__app.selected() !== null")  # the same aircraft, under the number that Bravo knows
    assert page.text("#detail").count("withheld") == 4  # code, speed, course, climb
    assert "ALPHA-00002" in page.text("#detail")
    assert "####" in page.text("[role=grid]") and "----" not in page.text("[role=grid]")
    assert "RADAR 2" in page.text("aside.left") and "RADAR 1" not in page.text("aside.left")
    page.press("b")
    page.wait(f"__app.view() === null && __app.tracks().length === {HAD}")
    page.wait("__app.selected() === 2")
    back = page.evaluate("__app.tracks()")
    assert [track["callsign"] for track in back] == [track["callsign"] for track in own]
    assert "SEES US" not in page.text("body")


def test_a_page_opened_anew_shows_our_own_picture(stage, page):
    look(stage, page)
    publish(stage, 2)
    page.wait(f"__app.tracks().length === {SEEN}")
    page.reload()
    page.wait("window.__app && __app.tracks().length > 0", 60)
    assert page.evaluate("__app.view()") is None
    assert page.evaluate("__app.tracks().length") == HAD


def test_a_stopped_picture_and_emergencies_that_the_partner_does_not_get_stand_above_the_view(stage, page):
    look(stage, page)
    publish(stage, 2, emergencies=1)
    page.wait("document.querySelector('#view').innerText.includes('EMERGENCY')")
    assert "1 EMERGENCY CODE IN OUR PICTURE NOT SHOWN HERE" in page.text("#view")
    page.wait("__app.status().liveness === 'stale'", 20)
    assert "PICTURE STOPPED" in page.text("#stopped")
    page.click("#leave-view")
    page.wait("__app.view() === null")
