import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skypact.core.areas import AreaConfig, Box, Polygon, Strip, area_from_config, distances_to_line
from skypact.core.errors import BadInputError
from skypact.core.geodesy import ecef_from_geodetic
from skypact.core.units import DEGREE

GEODESIC = pyproj.Geod(ellps="WGS84")


@given(
    st.lists(st.tuples(st.floats(-80, 80), st.floats(-3, 3)), min_size=2, max_size=4, unique=True),
    st.lists(st.tuples(st.floats(-80, 80), st.floats(-3, 3)), min_size=1, max_size=5),
    st.floats(1, 500),
    st.sampled_from([0.0, 179.0, -179.0]),
)
def test_a_strip_holds_what_lies_near_enough_to_its_line(corners, places, within_km, middle):
    def wrapped(longitude):
        return (longitude + middle + 180.0) % 360.0 - 180.0

    strip = area_from_config(
        AreaConfig(line_deg=[(a, wrapped(b)) for a, b in corners], within_km=within_km), "area"
    )
    assert isinstance(strip, Strip)
    latitude, longitude = np.array(places).T
    inside = strip.contains(latitude * DEGREE, np.radians(wrapped(longitude)))
    shares = np.linspace(0.0, len(corners) - 1.0, 4000)
    line = [np.interp(shares, range(len(corners)), axis) for axis in np.array(corners).T]
    spacing = 111_700.0 * np.hypot(np.diff(line[0]), np.diff(line[1])).max()
    for n, (here, there) in enumerate(places):
        distance = GEODESIC.inv(line[1], line[0], np.full(4000, there), np.full(4000, here))[2].min()
        # Up to half a spacing from the nearest point of the twin's line, and chords are shorter than arcs.
        if abs(distance - within_km * 1000.0) > 0.6 * spacing + 0.002 * within_km * 1000.0 + 10.0:
            assert inside[n] == (distance < within_km * 1000.0)


def test_a_place_that_is_not_known_lies_in_no_area():
    nowhere = np.array([np.nan])
    areas = [
        Box(-1.0, -1.0, 1.0, 1.0),
        Polygon((0.0, 1.0, 1.0), (0.0, 0.0, 1.0)),
        Strip((0.0, 1.0), (0.0, 1.0), 1e6),
    ]
    for area in areas:
        assert not area.contains(nowhere, nowhere).any()


@pytest.mark.kernels
def test_the_distance_of_a_place_off_the_end_of_a_line_is_that_from_its_end():
    line = np.array([ecef_from_geodetic(0.0, 0.0, 0.0), ecef_from_geodetic(0.0, 0.001, 0.0)])
    distances = distances_to_line(np.array([0.0, 0.0]), np.array([0.002, 0.0005]), line, 10_000.0)
    assert distances == pytest.approx([6378.137, 0.0], abs=0.9)


@pytest.mark.kernels
def test_a_place_farther_than_the_limit_is_infinitely_far():
    line = np.array([ecef_from_geodetic(0.0, 0.0, 0.0), ecef_from_geodetic(0.0, 0.001, 0.0)])
    assert distances_to_line(np.array([0.1]), np.array([0.0]), line, 1000.0) == np.inf


@pytest.mark.parametrize(
    ("area", "words"),
    [
        (AreaConfig(within_km=3.0), "a strip needs"),
        (AreaConfig(line_deg=[(1.0, 2.0)], within_km=3.0), "fewer than two corners"),
        (AreaConfig(line_deg=[(1.0, 2.0), (2.0, 2.0)], within_km=3.0, south_deg=1.0), "more than one"),
        (AreaConfig(polygon_deg=[(1.0, 2.0), (2.0, 2.0)]), "fewer than three corners"),
        (AreaConfig(south_deg=2.0, north_deg=1.0), "south_deg is north"),
    ],
)
def test_an_area_that_is_not_one_whole_shape_is_refused(area, words):
    with pytest.raises(BadInputError, match=words):
        area_from_config(area, "area")
