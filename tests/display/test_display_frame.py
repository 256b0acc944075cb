import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skypact.benchmarks.scene import Scene
from skypact.core.units import DEGREE
from skypact.display.frame import (
    ALTITUDE_UNIT,
    HEADER,
    NO_INT16,
    NO_UINT16,
    SPEED_UNIT,
    FrameFlag,
    TrackFlag,
    decode_frame,
    encode_frame,
    major_sigma,
)
from skypact.tracks.model import Identity, TargetKind


def test_a_frame_gives_back_the_picture_to_the_step_of_each_column():
    picture = Scene(50, start=1_700_000_000.0).picture(7)
    picture.identity[:3] = [Identity.FRIEND, Identity.SUSPECT, Identity.UNKNOWN]
    picture.kind[:2] = [TargetKind.BIRD, TargetKind.JET]
    frame = decode_frame(encode_frame(picture, epoch=99))
    assert (frame.sequence, frame.epoch, frame.time, frame.flags) == (7, 99, picture.time, 0)
    columns = frame.columns
    assert_array_equal(columns["number"], picture.number)
    assert_allclose(columns["longitude"] * 1e-7 * DEGREE, picture.longitude, atol=1e-9)
    assert_allclose(columns["latitude"] * 1e-7 * DEGREE, picture.latitude, atol=1e-9)
    speed = np.hypot(picture.velocity[:, 0], picture.velocity[:, 1])
    assert_allclose(columns["speed"] * SPEED_UNIT, speed, atol=SPEED_UNIT)
    heading = columns["heading"] * (2 * np.pi / 65_536)
    assert_allclose(np.sin(heading) * speed, picture.velocity[:, 0], atol=0.05)
    assert_allclose(np.cos(heading) * speed, picture.velocity[:, 1], atol=0.05)
    assert_allclose(columns["age"] * 0.25, picture.time - picture.updated, atol=0.13)
    assert_allclose(2.0 ** (columns["sigma"] / 16.0), major_sigma(picture.covariance), rtol=0.025)
    assert_array_equal(columns["identity"], picture.identity)
    assert_array_equal(columns["kind"], picture.kind)
    has_code = picture.squawk >= 0
    assert_array_equal(columns["squawk"][has_code], picture.squawk[has_code])
    assert np.all(columns["squawk"][~has_code] == NO_UINT16)
    bits = np.unpackbits(frame.sensors, axis=1, bitorder="little")[:, :6]
    assert_array_equal(bits @ (1 << np.arange(6)), picture.sensors[:, 0])


def test_flags_say_what_the_symbol_shows():
    picture = Scene(200).picture(1)
    frame = decode_frame(encode_frame(picture, 0))
    flags = frame.columns["flags"].astype(int)
    assert_array_equal((flags & TrackFlag.COASTING) != 0, picture.is_coasting)
    one = np.array([int(word).bit_count() == 1 for word in picture.sensors[:, 0]])
    assert_array_equal((flags & TrackFlag.SINGLE_SENSOR) != 0, one)
    geometric = np.isnan(picture.altitude)
    assert geometric.any()
    assert_array_equal((flags & TrackFlag.GEOMETRIC_ALTITUDE) != 0, geometric)
    assert not (flags & TrackFlag.SIMULATED).any()
    picture.is_simulated[7] = True
    flags = decode_frame(encode_frame(picture, 0)).columns["flags"].astype(int)
    assert np.flatnonzero(flags & TrackFlag.SIMULATED).tolist() == [7]
    assert_allclose(frame.columns["altitude"][geometric] * ALTITUDE_UNIT, picture.height[geometric], atol=4.0)


def test_no_value_and_values_out_of_range_are_marked_or_held_at_the_limit():
    picture = Scene(4).picture(1)
    picture.altitude[:] = picture.height[:] = np.nan
    picture.vertical_rate[:2] = np.nan
    picture.vertical_rate[2:] = 1e6
    picture.velocity[:, 0] = 1e6
    picture.covariance[:] = np.nan
    picture.updated[:] = picture.time - 1e6
    columns = decode_frame(encode_frame(picture, 0)).columns
    assert np.all(columns["altitude"] == NO_INT16)
    assert columns["vertical_rate"].tolist() == [NO_INT16, NO_INT16, 32_767, 32_767]
    assert np.all(columns["speed"] == NO_UINT16 - 1)
    assert np.all(columns["sigma"] == 255)
    assert np.all(columns["age"] == 255)


def test_a_velocity_that_is_not_known_is_no_standstill():
    picture = Scene(2).picture(1)
    picture.velocity[0] = np.nan
    columns = decode_frame(encode_frame(picture, epoch=1)).columns
    assert columns["speed"][0] == 65_535 > columns["speed"][1]
    assert columns["heading"][0] == 0


def test_an_empty_picture_has_a_frame():
    frame = decode_frame(encode_frame(Scene(0).picture(3), 1, FrameFlag.HISTORY))
    assert frame.flags == FrameFlag.HISTORY
    assert len(frame.columns["number"]) == 0


def test_bytes_that_are_no_frame_are_refused():
    good = encode_frame(Scene(2).picture(1), 0)
    cut = (b"", good[: HEADER.size - 1], good[:-1], good + b"\0")
    for bad in (*cut, b"X" + good[1:], good[:4] + b"\x09" + good[5:]):
        with pytest.raises(ValueError, match="frame"):
            decode_frame(bad)
