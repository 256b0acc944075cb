"""What we are shown that a partner sees: the very tracks that leave, and what of them is kept back."""

import msgspec
import numpy as np
import pytest
from federated import FederatedWorld
from numpy.testing import assert_allclose

from skypact.centre.partner_view import ViewPublisher, view_record
from skypact.display.frame import decode_frame
from skypact.display.hub import DisplayHub
from skypact.display.views import PartnerViews
from skypact.exchange import gateway as gateway_module
from skypact.exchange.engine import Outlet
from skypact.exchange.model import REPORT_COLUMNS, Rung, TrackReport
from skypact.exchange.reader import join_reports
from skypact.exchange.wire import Tracks, decode
from skypact.simulation.scenario import read_scenario
from skypact.simulation.world import FIRST_SAC, simulate

# Low ones at once and without names, high ones coarse and late; the rest stays here.
POLICY = """
label = "for BRAVO only"
[[tracks]]
name = "low"
ceiling_ft = 25000
withhold = ["callsign", "squawk", "velocity"]
[[tracks]]
name = "high"
floor_ft = 33000
coarsen = { position_m = 1000 }
delay_s = 7
[[plots]]
name = "one radar"
sensors = ["RADAR"]
"""


class Witness:
    """An outlet that keeps the tiles that leave, as the partner decodes them."""

    def __init__(self, inner: Outlet) -> None:
        self.inner = inner
        self.tiles: dict[int, TrackReport] = {}

    def put(self, subject: str, payload: bytes) -> None:
        message = decode(payload)
        if isinstance(message, Tracks):
            self.tiles[message.tile] = message.report
        self.inner.put(subject, payload)

    def clear(self) -> None:
        self.tiles.clear()
        self.inner.clear()

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@pytest.fixture(scope="module")
def simulation():
    return simulate(msgspec.structs.replace(read_scenario("standard"), duration_s=90), 3)


@pytest.fixture
def world(simulation, tmp_path):
    """Alpha gives Bravo by `POLICY`, and its pages are served from `views`."""
    radar = next(sensor.name for sensor in simulation.sensors.sensors if sensor.sac == FIRST_SAC)
    world = FederatedWorld(simulation, tmp_path, {("ALPHA", "BRAVO"): POLICY.replace("RADAR", radar)})
    yield world
    for member in world.members.values():
        member.federation.close()


def test_the_view_is_what_leaves_field_for_field(world, monkeypatch):
    # A centre of this world steps at a fifth of a real one's pace.
    monkeypatch.setattr(gateway_module, "TILES_A_STEP", 5 * gateway_module.TILES_A_STEP)
    federation = world.members["ALPHA"].federation
    gateway = federation.links["BRAVO"].gateway
    gateway.outlet = witness = Witness(gateway.outlet)
    world.run(60.0)
    while gateway._waiting:  # until all tiles of this picture have left
        world.run(0.1)
    view = federation.view("BRAVO")
    left = [tile for tile in witness.tiles.values() if len(tile)]
    assert view.rung is Rung.PLOTS and len(view.sensors) == 1
    assert len({tile.time for tile in left}) == 2  # of now, and of seven seconds ago
    got = join_reports(left)
    assert view.tracks.sensor_names == got.sensor_names
    assert 10 < len(got) == len(view.tracks) < view.of
    (order, same) = (np.lexsort(report.uid.T) for report in (view.tracks, got))
    for name in REPORT_COLUMNS:
        if name != "number_centre":
            shown, sent = getattr(view.tracks, name)[order], getattr(got, name)[same]
            # The wire has places and times in double precision, the rest in single.
            is_double = name in ("latitude", "longitude", "updated", "numbered")
            assert_allclose(shown, sent, rtol=1e-10 if is_double else 1e-5)


def test_a_page_is_shown_what_is_kept_back_and_nothing_of_it(world):
    alpha = world.members["ALPHA"]
    views = PartnerViews(DisplayHub())
    alpha.centre.on_picture.append(views.own.publish_picture)
    alpha.federation.on_given.append(ViewPublisher(views, alpha.federation.view).publish)
    world.run(30.0)
    with views.watch("BRAVO") as hub:
        assert hub.frame is None  # nothing of an earlier look
        world.run(2.0)
        view, own = alpha.federation.view("BRAVO"), alpha.pictures[-1]
        assert hub.picture is not None and hub.frame is not None
        assert hub.picture.time == own.time
        shown = decode_frame(hub.frame).columns
        assert len(hub.picture) == len(view.tracks) > 5
        assert (np.diff(shown["number"].astype(int)) > 0).all()
        low = np.array([name.withheld != () for name in hub.track_names().values()])
        assert low.any() and not low.all()
        for row, number in enumerate(hub.picture.number.tolist()):
            name = hub.track_names()[number]
            if "velocity" not in name.withheld:
                continue
            assert name.callsign is None and shown["squawk"][row] == 65_535 == shown["speed"][row]
            (ours,) = np.flatnonzero((own.uid == hub.picture.uid[row]).all(axis=1))
            # Not known is another thing than withheld.
            known = {"callsign"} if own.callsign[ours] else set()
            known |= {"squawk"} if own.squawk[ours] >= 0 else set()
            assert set(name.withheld) & {"callsign", "squawk"} == known
    assert views.watched() == {}


def test_on_a_lower_rung_than_tracks_the_view_is_empty_and_says_why(world):
    alpha = world.members["ALPHA"].federation
    world.run(20.0)
    assert len(alpha.view("BRAVO").tracks)
    alpha.suspend("BRAVO", Rung.ALERTS, "night shift", "by order", world.clock.now())
    record = view_record(alpha.view("BRAVO"))
    assert (record["tracks"], record["sensors"], record["rung"]) == ([], [], "alerts")
    assert record["why"] == "suspended: by order" and record["of"] > 50
    alpha.resume("BRAVO", "night shift", "", world.clock.now())
    world.run(2.0)
    assert view_record(alpha.view("BRAVO"))["tracks"]


def test_the_record_for_people_names_the_fields_that_are_kept_back(world):
    world.run(20.0)
    rows = view_record(world.members["ALPHA"].federation.view("BRAVO"))["tracks"]
    for row in rows:
        assert ("squawk" in row["withheld"]) <= (row["squawk"] is None)
    assert any(row["withheld"] == ["velocity", "squawk", "callsign"] for row in rows)
    assert any(row["withheld"] == [] and row["callsign"] for row in rows)


def test_tracks_that_only_partners_have_stand_in_the_picture_by_number(world):
    world.run(60.0)
    for member in world.members.values():
        for picture in member.pictures:
            assert (np.diff(picture.number) > 0).all()
