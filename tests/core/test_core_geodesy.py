import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats
from numpy.testing import assert_allclose
from pyproj import Transformer

from skypact.core import geodesy

pytestmark = pytest.mark.kernels

to_ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
latitudes = floats(-np.pi / 2, np.pi / 2)
longitudes = floats(-np.pi, np.pi)
heights = floats(-10_000, 1_000_000)


@given(latitude=latitudes, longitude=longitudes, height=heights)
@settings(max_examples=200)
def test_earth_centred_positions_are_those_of_proj(latitude, longitude, height):
    ours = geodesy.ecef_from_geodetic(latitude, longitude, height)
    theirs = to_ecef.transform(longitude, latitude, height, radians=True)
    assert_allclose(ours, theirs, atol=1e-6)


@given(latitude=latitudes, longitude=longitudes, height=heights)
@settings(max_examples=200)
def test_the_way_to_earth_centred_and_back_ends_where_it_began(latitude, longitude, height):
    there = geodesy.ecef_from_geodetic(latitude, longitude, height)
    back = geodesy.geodetic_from_ecef(*there)
    again = geodesy.ecef_from_geodetic(*back)
    assert_allclose(again, there, atol=2e-5)


def test_a_position_on_the_axis_has_a_latitude_of_ninety_degrees():
    latitude, _, height = geodesy.geodetic_from_ecef(0.0, 0.0, -geodesy.SEMI_MINOR_AXIS - 5.0)
    assert latitude == -np.pi / 2
    assert height == pytest.approx(5.0)


@given(latitude=floats(-1.5, 1.5), longitude=longitudes)
@settings(max_examples=50)
def test_up_in_the_local_frame_is_height(latitude, longitude):
    reference = (latitude, longitude, 120.0)
    enu = geodesy.enu_from_geodetic(
        np.array([latitude]), np.array([longitude]), np.array([1120.0]), reference
    )
    assert_allclose(enu, [[0.0, 0.0, 1000.0]], atol=1e-6)


def test_the_local_frame_is_left_as_it_was_entered_a_continent_away():
    reference = (0.7, -0.5, 0.0)
    latitude, longitude, height = np.array([0.75, 0.4]), np.array([-0.2, -0.8]), np.array([9e3, 12e3])
    enu = geodesy.enu_from_geodetic(latitude, longitude, height, reference)
    back = geodesy.geodetic_from_enu(enu, reference)
    assert_allclose(back[0], latitude, atol=1e-11)
    assert_allclose(back[1], longitude, atol=1e-11)
    assert_allclose(back[2], height, atol=1e-4)
