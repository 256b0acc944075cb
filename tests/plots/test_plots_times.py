import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_helpers import arrivals, columns_of, decoded_of, source

from skypact.asterix.model import Recording
from skypact.plots.times import TimeResolver, date_datagrams, nearest

DAY = 86_400.0
MIDNIGHT = 1_600_000_000 // 86_400 * 86_400.0


def recording_of(datagrams, time_of_day=None):
    count = len(datagrams)
    clock = np.full(count, np.nan) if time_of_day is None else np.array(time_of_day, dtype=np.float64)
    return Recording(framing="raw", datagrams=datagrams, time_of_day=clock, octets=100 * count)


def dated(columns, time_of_day=None, first_day=MIDNIGHT):
    datagrams = arrivals(*[np.nan] * len(columns))
    recording = recording_of(datagrams, time_of_day)
    return date_datagrams(recording, decoded_of(columns), first_day).received - first_day


def resolve(columns, received):
    return TimeResolver().resolve([columns], np.array(received))[0]


@pytest.mark.parametrize(
    ("time_of_day", "received", "expected"),
    [
        (86_399.5, 0.25, -0.5),  # a late record just after midnight is of the day before
        (0.25, 86_399.9, 86_400.25),  # a sensor's clock that runs ahead has begun the next day
        (100.0, 86_400.0 + 101.0, 86_400.0 + 100.0),
        (43_000.0, 0.0, 43_000.0),
    ],
)
def test_a_time_of_day_is_of_the_day_nearest_to_its_arrival(time_of_day, received, expected):
    columns = columns_of(48, [source() | {"140": time_of_day}])
    assert resolve(columns, [MIDNIGHT + received])[0] == MIDNIGHT + expected


@settings(max_examples=50, deadline=None)
@given(when=st.floats(0.0, 4.0 * DAY), delay=st.floats(-40_000.0, 40_000.0))
def test_any_time_is_found_again_within_half_a_day_of_its_arrival(when, delay):
    time = MIDNIGHT + round(when * 128) / 128
    assert nearest(np.array([time % DAY]), np.array([time + delay]), DAY)[0] == time


def test_a_record_without_time_has_none():
    columns = columns_of(48, [source() | {"040/RHO": 1.0}, source() | {"140": 5.0}])
    assert np.isnan(resolve(columns, [MIDNIGHT, MIDNIGHT])).tolist() == [True, False]


def truncated(time):
    return source() | {"020/TYP": 0, "141": time % DAY % 512.0}


@pytest.mark.parametrize("offset", [-250.0, -1.0, 0.0, 1.0, 250.0])
@pytest.mark.parametrize("service", [3.0, 45_826.0, 86_016.0, 86_390.0, 86_399.5])
def test_truncated_times_are_found_near_the_latest_service_message(service, offset):
    time = MIDNIGHT + service + offset
    # CAT001 of this radar arrives five minutes late; its CAT002 tells where it is.
    received = np.array([MIDNIGHT + service, time + 300.0])
    north = columns_of(2, [source() | {"000": 1, "030": service}], datagram=[0])
    plot = columns_of(1, [truncated(time)], datagram=[1])
    _, times = TimeResolver().resolve([north, plot], received)
    # A day is no whole number of turns: its last one lasts 384 s only, so that less is known there.
    if abs(offset) < 128.0 or 512.0 < service + offset < DAY - 512.0:
        assert times[0] == time
    assert abs(times[0] - time) % 128.0 == 0.0


def test_the_latest_service_message_is_remembered_from_call_to_call_and_by_radar():
    resolver = TimeResolver()
    late = 400.0  # s between detection and arrival: alone, the plots would be a turn late
    marks = [source(sic) | {"000": 1, "030": 1000.0 + 300.0 * sic} for sic in (1, 2)]
    resolver.resolve([columns_of(2, marks)], np.full(2, MIDNIGHT + 1500.0))
    plots = columns_of(1, [truncated(1310.0), truncated(1310.0) | {"010/SIC": 3}])
    times = resolver.resolve([plots], np.full(2, MIDNIGHT + 1310.0 + late))[0]
    assert times.tolist() == [MIDNIGHT + 1310.0, MIDNIGHT + 1310.0 + 512.0]


def test_without_times_of_arrival_the_latest_detection_so_far_stands_for_them():
    columns = columns_of(48, [source() | {"140": time} for time in (100.0, 101.0, 100.5, 103.0)])
    assert dated(columns).tolist() == [100.0, 101.0, 101.0, 103.0]


def test_a_recording_crosses_midnights_forwards():
    times = np.arange(0.0, 2.5 * DAY, 600.0) + 80_000.0
    columns = columns_of(48, [source() | {"140": time % DAY} for time in times])
    received = dated(columns)
    assert received.tolist() == times.tolist()
    assert resolve(columns, received + MIDNIGHT).tolist() == (times + MIDNIGHT).tolist()


def test_a_late_record_after_midnight_does_not_jump_a_day():
    times = [86_398.0, 86_399.0, 86_400.5, 86_399.5, 86_401.0]
    columns = columns_of(48, [source() | {"140": time % DAY} for time in times])
    received = dated(columns)
    assert received.tolist() == [86_398.0, 86_399.0, 86_400.5, 86_400.5, 86_401.0]
    assert resolve(columns, received + MIDNIGHT).tolist() == (np.array(times) + MIDNIGHT).tolist()


def test_a_clock_that_is_set_back_holds_the_arrivals_until_it_has_caught_up():
    times = [*range(100, 140), *range(110, 160)]
    columns = columns_of(48, [source() | {"140": float(time)} for time in times])
    received = dated(columns)
    assert (np.diff(received) >= 0.0).all()
    assert received[-1] == 159.0
    assert resolve(columns, received + MIDNIGHT).tolist() == (np.array(times) + MIDNIGHT).tolist()


def test_one_wrong_time_does_not_move_the_arrivals():
    times = [100.0 + n for n in range(50)]
    times[20] = 50_000.0
    columns = columns_of(48, [source() | {"140": time} for time in times])
    assert dated(columns)[20] == 119.0
    assert dated(columns)[-1] == 149.0


def test_datagrams_without_time_arrive_with_the_ones_before_them():
    rows = [source(), source() | {"140": 100.0}, source(), source() | {"140": 102.0}, source()]
    assert dated(columns_of(48, rows)).tolist() == [100.0, 100.0, 100.0, 102.0, 102.0]
    assert dated(columns_of(48, [source()])).tolist() == [0.0]


def test_a_recorders_clock_is_the_time_of_arrival_where_it_agrees_with_the_records():
    times = [86_398.0, 86_399.5, 86_401.0]
    columns = columns_of(48, [source() | {"140": time % DAY} for time in times])
    clock = [(time + 0.75) % DAY for time in times]
    assert dated(columns, clock).tolist() == [86_398.75, 86_400.25, 86_401.75]
    assert dated(columns, [time - 3600.0 for time in times]).tolist() == times


def test_nothing_but_truncated_times_is_counted_from_its_first_turn():
    columns = columns_of(1, [source() | {"141": time} for time in (500.0, 511.0, 2.0, 10.0)])
    assert dated(columns).tolist() == [500.0, 511.0, 514.0, 522.0]


def test_times_of_arrival_that_the_file_has_are_kept_and_gaps_in_them_filled():
    datagrams = arrivals(np.nan, MIDNIGHT + 1.0, np.nan, MIDNIGHT + 3.0)
    columns = columns_of(48, [source() | {"140": 50_000.0}] * 4)
    received = date_datagrams(recording_of(datagrams), decoded_of(columns)).received
    assert (received - MIDNIGHT).tolist() == [1.0, 1.0, 1.0, 3.0]
