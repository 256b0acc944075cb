import socket
import threading

import numpy as np
import pytest

from skypact.asterix.model import Datagrams
from skypact.centre.replay import (
    AFTER_END,
    RUN_UP,
    Playable,
    RecordingFeed,
    UdpPlayer,
    open_recording,
    parse_start,
)
from skypact.core.clock import SimulatedClock
from skypact.core.errors import BadInputError

START = 1_800_000_000.0 // 86_400 * 86_400 + 14 * 3600.0  # 14:00 UTC


def one_a_second(count: int) -> Datagrams:
    """Datagrams of one octet, their own number, a second apart."""
    places = np.arange(count, dtype=np.int64)
    return Datagrams(places.astype(np.uint8), places, np.ones(count, dtype=np.int64), START + places)


def taken(feed: RecordingFeed) -> list[int]:
    datagrams = feed.take().datagrams
    return [int(datagrams.buffer[place]) for place in datagrams.offset]


def test_a_recording_is_handed_out_as_its_time_passes():
    clock = SimulatedClock(5.0)
    feed = RecordingFeed(one_a_second(10), speed=2.0, clock=clock)
    feed.start()
    assert taken(feed) == [0]
    clock.time += 1.0
    assert taken(feed) == [1, 2]
    clock.time += 0.25
    assert taken(feed) == []
    assert feed.take().closed == START + 2.5
    clock.time += 100.0
    assert taken(feed) == [3, 4, 5, 6, 7, 8, 9]
    assert feed.has_ended
    assert feed.take().closed == START + 9.0 + AFTER_END


def test_playing_begins_with_the_minute_before_at_once():
    feed = RecordingFeed(one_a_second(200), begin=START + 150.0, clock=SimulatedClock())
    feed.start()
    assert taken(feed) == list(range(150 - int(RUN_UP), 151))


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("90.5", 90.5), ("14:01", 60.0), ("14:02:03.5", 123.5)]
)
def test_the_start_is_told_in_seconds_or_as_a_time_of_day(text, seconds):
    playable = Playable(one_a_second(200), None, True)
    assert parse_start(text, playable) == START + seconds


def test_a_time_of_day_before_the_first_record_is_of_the_next_day():
    late = one_a_second(200)
    late = Datagrams(late.buffer, late.offset, late.length, late.received + 9.99 * 3600)
    assert parse_start("00:00:10", Playable(late, None, True)) == START + 10 * 3600 + 10


@pytest.mark.parametrize("text", ["noon", "201", "-1", "13:00"])
def test_a_start_outside_of_the_recording_is_refused(text):
    with pytest.raises(BadInputError, match="--at"):
        parse_start(text, Playable(one_a_second(200), None, True))


def test_a_player_sends_all_in_order_and_stops_when_told():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as user:
        user.bind(("127.0.0.1", 0))
        user.settimeout(10.0)
        player = UdpPlayer(one_a_second(20), user.getsockname(), speed=1000.0, begin=START + 5.0)
        player.run(threading.Event())
        assert [user.recv(10)[0] for _ in range(player.sent)] == list(range(5, 20))
        stop = threading.Event()
        stop.set()
        stopped = UdpPlayer(one_a_second(20), user.getsockname())
        stopped.run(stop)
        assert stopped.sent == 0


def test_a_recording_that_does_not_tell_its_sites_asks_for_a_sensor_table(recordings):
    with pytest.raises(BadInputError, match=r"20/129.*--sensors"):
        open_recording(
            recordings / "asterix" / "bcn_radar_20_129_1h_cat048.ast", None, None, needs_sensors=True
        )


def test_a_recording_without_plots_can_only_be_sent_on(recordings):
    path = recordings / "asterix" / "croatia_cat_062_065.pcap"
    with pytest.raises(BadInputError, match="--to"):
        open_recording(path, None, None, needs_sensors=True)
    assert open_recording(path, None, None, needs_sensors=False).sensors is None


def test_a_radar_that_tells_its_site_is_played_without_a_sensor_table(recordings):
    playable = open_recording(
        recordings / "asterix" / "croatia_cat_034_048.pcap", None, None, needs_sensors=True
    )
    assert playable.sensors is not None
    assert all(sensor.has_site for sensor in playable.sensors.sensors)
    assert playable.is_dated
    assert (np.diff(playable.datagrams.received) >= 0).all()


def test_a_folder_without_a_recording_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"asterix\.pcap"):
        open_recording(tmp_path, None, None, needs_sensors=True)
