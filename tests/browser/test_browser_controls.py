"""Behaviour U12, and what the crew does: filters, selection, search, keys."""

import msgspec
import pytest

from skypact.benchmarks.scene import Scene

pytestmark = pytest.mark.browser
FIRST_VIEW = "#at=55.7/4.2/6"


@pytest.fixture(scope="module")
def opened(live):
    return live.open(FIRST_VIEW)


@pytest.fixture
def look(opened):
    """Goes to an address of the one page that all tests here share, and gives the page."""

    def look(address=FIRST_VIEW):
        opened.press("Escape")
        opened.press("Escape")
        opened.evaluate("location.hash = 'at=0/0/1'")
        opened.wait("__app.camera().zoom === 1")
        opened.evaluate(f"location.hash = '{address}'")
        opened.wait("__app.camera().zoom > 1 && __app.tracks().length > 0")
        return opened

    return look


def test_filters_apply_at_once_are_named_and_come_back_with_the_address(look):
    page = look()
    page.fill("#lowest", "200")
    page.fill("#highest", "300")
    levels = "__app.tracks().every(t => t.level === null || t.level >= 200 && t.level <= 300)"
    page.wait(f"__app.tracks().length < 40 && {levels}")
    assert "FILTER FL 200–300" in page.text("#filters")
    page.click("#show-coasting")
    page.wait("__app.tracks().every(t => !t.coasting)")
    assert "no coasting" in page.text("#filters")
    shown = page.evaluate("__app.status().filters")
    page.reload()
    page.wait("window.__app && __app.status().hasMap && __app.tracks().length > 0", 60)
    assert page.evaluate("__app.status().filters") == shown == ["FL 200–300", "no coasting"]
    assert page.evaluate(levels)
    page.click("#filters")
    page.wait("__app.tracks().length === 60")


def test_a_filter_can_not_hide_the_selected_track(live, look):
    page = look(FIRST_VIEW + "&track=11")
    page.fill("#text", "no such thing")
    page.wait("__app.tracks().length === 1")
    assert page.evaluate("__app.tracks()[0].number") == 11
    assert "59 hidden" in page.text("#filters")
    page.wait("__app.labels().length === 1 && __app.labels()[0].id === 11")


def test_a_level_that_is_none_changes_nothing(look):
    page = look()
    page.fill("#lowest", "9999")
    assert page.evaluate("__app.status().filters") == []
    assert page.evaluate("document.querySelector('#lowest').validity.valid") is False


def test_a_click_selects_and_tells_what_feeds_the_track(live, look):
    page = look("#at=55.7/4.2/7")
    page.wait("__app.labels().length > 0")
    number = page.evaluate("__app.labels()[0].id")
    box = page.evaluate("document.querySelector('main').getBoundingClientRect().toJSON()")
    at = page.evaluate(f"__app.screenPos({number})")
    page.click_at(box["x"] + at["x"], box["y"] + at["y"])
    page.wait("__app.selected() !== null")
    selected = page.evaluate("__app.selected()")
    picture = live.hub.picture
    fed = int(picture.sensors[selected - 1, 0])
    names = [name for bit, name in enumerate(picture.sensor_names) if fed >> bit & 1]
    detail = page.text("#detail")
    assert f"TRACK T{selected:04d}" in detail.upper()
    assert all(name in detail for name in names)
    page.press("Escape")
    page.wait("__app.selected() === null")


def test_a_track_is_found_and_selected_by_keyboard_alone(look):
    page = look()
    callsign = page.evaluate("__app.tracks().find(t => t.number === 23).callsign") or "T0023"
    page.press("/")
    page.type(callsign)
    page.wait("document.querySelectorAll('#found [role=option]').length > 0")
    page.press("Enter")
    page.wait("__app.selected() === 23")
    middle = page.evaluate("document.querySelector('main').getBoundingClientRect().toJSON()")
    at = page.evaluate("__app.screenPos(23)")
    assert at["x"] == pytest.approx(middle["width"] / 2, abs=20)
    page.press("j")
    page.wait("__app.selected() === 24")
    page.press("k")
    page.press("k")
    page.wait("__app.selected() === 22")


def test_keys_change_what_is_shown_and_help_lists_them(live, look):
    page = look("#at=55.7/4.2/6")
    page.press("l")
    page.press("l")
    page.wait("__app.labels().length <= 1")  # one may lie below the mouse
    page.press("l")
    page.wait("__app.labels().length > 1")
    page.press("+")
    page.wait("__app.camera().zoom === 6.5")
    page.press("ArrowRight")
    page.wait("__app.camera().longitude > 4.3")
    page.press("?")
    page.wait("document.querySelector('#keys')?.open")
    assert "next track of the table" in page.text("#keys")
    page.press("Escape")
    page.wait("document.querySelector('#keys') === null")


def test_a_followed_track_stays_in_the_middle(live, look):
    page = look("#at=55.7/4.2/10&track=5")
    page.press("f")
    page.wait("Math.abs(__app.screenPos(5).x - document.querySelector('main').clientWidth / 2) < 2")
    start = page.evaluate("__app.camera()")
    page.wait(f"__app.camera().longitude !== {start['longitude']}")
    assert page.evaluate("__app.screenPos(5).y - document.querySelector('main').clientHeight / 2") < 3


def test_a_silent_sensor_is_seen(live, look):
    page = look()
    page.wait("document.querySelector('#sensors').innerText === '6/6'")
    live.feed.silent = frozenset({"RADAR 4"})
    page.wait("document.querySelector('#sensors').innerText === '5/6'")
    assert "SILENT" in page.text("aside.left")
    live.feed.silent = frozenset()


def test_what_became_of_a_sensors_plots_is_told_and_a_high_refused_share_is_marked(stage):
    stage.serve(Scene(20))
    good, bad, *rest = stage.scene.health()
    bad = msgspec.structs.replace(
        bad,
        outcomes={"updated": 5600, "clutter": 900, "late": 3400},
        reasons={"older than sensor": 3400, "no second plot": 900},
        used_share=0.57,
        refused_share=0.34,
    )
    stage.hub.publish_picture(stage.scene.picture(1))
    stage.hub.publish_health([good, bad, *rest])
    page = stage.open()
    page.wait("document.querySelector('aside.left').innerText.includes('57 %')")
    assert page.text("aside.left").upper().count("REFUSED") == 1
    assert "REFUSED 34 %" in page.text("aside.left").upper()
    page.evaluate("document.querySelectorAll('aside.left td button')[1].focus()")
    page.press("Enter")
    page.wait("document.querySelector('aside.left .detail') !== null")
    told = page.text("aside.left .detail").split("\n")
    for name, count in (("updated", "5,600"), ("late", "3,400"), ("older than sensor", "3,400")):
        assert count in told[told.index(name) + 1 :]
    stage.hub.publish_health([good, msgspec.structs.replace(bad, refused_share=0.0), *rest])
    page.wait("!document.querySelector('aside.left tbody').innerText.toUpperCase().includes('▲')")


def test_a_selection_ends_with_its_aircraft_and_does_not_pass_to_another(live, look):
    page = look(FIRST_VIEW + "&track=2")
    page.wait("__app.selected() === 2")
    live.feed.pause()
    other = live.scene.picture(live.feed.sequence)
    other.uid[1] = (8, 8)
    live.hub.publish_picture(other)
    page.wait("__app.selected() === null")
    live.feed.resume()
