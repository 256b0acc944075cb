import numpy as np
import pytest

from skypact.asterix.model import MISSING, Datagrams, ErrorCount, RecordColumns
from skypact.sensors.health import HealthMonitor
from skypact.sensors.model import Sensor, SensorState, make_sensor_table

START = 1_800_000_000.0
SENSORS = make_sensor_table(
    [
        Sensor(
            name="north", kind="mode_s", sac=1, sic=1, latitude_deg=50, longitude_deg=5, rotation_period_s=4.0
        ),
        Sensor(
            name="south", kind="psr", sac=1, sic=2, latitude_deg=49, longitude_deg=5, rotation_period_s=12.0
        ),
        Sensor(name="dish", kind="adsb", sac=1, sic=3, latitude_deg=49, longitude_deg=5),
    ]
)
NAMES = ("010/SAC", "010/SIC", "000", "020", "030")


def note_plots(monitor: HealthMonitor, sensor: int, times: np.ndarray, delay: float = 0.2) -> None:
    monitor.note_plots(np.full(len(times), sensor, dtype=np.int32), times, times + delay)


def note_marks(
    monitor: HealthMonitor,
    times: np.ndarray,
    sic: int = 1,
    sectors: np.ndarray | None = None,
    category: int = 34,
) -> None:
    """North marks at `times`, or crossings of `sectors` where they are given."""
    count = len(times)
    kind = np.full(count, 1 if sectors is None else 2)
    sector = np.full(count, MISSING) if sectors is None else sectors
    time_of_day = np.round(times % 86_400 * 128)
    values = np.array([np.full(count, 1), np.full(count, sic), kind, sector, time_of_day], dtype=np.int32)
    scale = np.array([1.0, 1.0, 1.0, 360 / 256, 1 / 128])
    columns = RecordColumns(
        category, "1.29", NAMES, scale, ("",) * 5, values, np.arange(count, dtype=np.int32), np.arange(count)
    )
    empty = np.zeros(count, dtype=np.int64)
    monitor.note_service_messages([columns], Datagrams(np.zeros(1, np.uint8), empty, empty, times + 0.1))


def states(monitor: HealthMonitor, now: float) -> list[str]:
    return [health.state.value for health in monitor.report(now)]


def test_a_sensor_that_never_came_is_silent():
    assert states(HealthMonitor(SENSORS), START) == ["silent", "silent", "silent"]


def test_a_sensor_grows_stale_then_silent_in_turns_of_its_own_rotation():
    monitor = HealthMonitor(SENSORS)
    for sensor in range(3):
        note_plots(monitor, sensor, np.array([START]), delay=0.0)
    assert states(monitor, START + 1.0) == ["fresh", "fresh", "fresh"]
    assert states(monitor, START + 8.0) == ["stale", "fresh", "stale"]
    assert states(monitor, START + 20.0) == ["silent", "stale", "stale"]
    assert states(monitor, START + 50.0) == ["silent", "silent", "silent"]
    note_plots(monitor, 0, np.array([START + 50.0]), delay=0.0)
    assert states(monitor, START + 50.5) == ["fresh", "silent", "silent"]


def test_north_marks_alone_keep_a_radar_fresh_and_tell_its_rotation():
    monitor = HealthMonitor(SENSORS)
    note_marks(monitor, START + np.arange(10) * 4.1)
    health = monitor.report(START + 9 * 4.1 + 1.0)[0]
    assert health.state is SensorState.FRESH
    assert health.rotation_period == pytest.approx(4.1, abs=0.02)
    assert health.plots_total == 0


def test_a_copy_of_each_mark_on_a_second_line_and_a_lost_mark_do_not_change_the_rotation():
    monitor = HealthMonitor(SENSORS)
    times = np.delete(START + np.arange(12) * 4.1, 5)
    note_marks(monitor, np.sort(np.concatenate([times, times + 0.05])))
    assert monitor.report(START + 60.0)[0].rotation_period == pytest.approx(4.1, abs=0.02)


def test_sectors_tell_the_rotation_where_no_north_mark_comes():
    monitor = HealthMonitor(SENSORS)
    crossing = np.arange(3 * 32)
    note_marks(monitor, START + crossing * 12.0 / 32, sic=2, sectors=crossing % 32 * 8, category=2)
    assert monitor.report(START + 40.0)[1].rotation_period == pytest.approx(12.0, abs=0.05)


def test_marks_around_midnight_are_one_turn_apart():
    midnight = np.ceil(START / 86_400) * 86_400
    monitor = HealthMonitor(SENSORS)
    note_marks(monitor, midnight + np.arange(-3, 4) * 4.0)
    assert monitor.report(midnight + 14.0)[0].rotation_period == pytest.approx(4.0, abs=0.02)


def test_rate_and_clock_offset_are_of_the_last_minute():
    monitor = HealthMonitor(SENSORS)
    monitor.report(START)
    note_plots(monitor, 0, START + np.arange(0, 60, 0.1), delay=0.2)
    note_plots(monitor, 0, START + 100 + np.arange(0, 60, 0.5), delay=-1.5)
    health = monitor.report(START + 158.5)[0]
    assert health.plots_total == 720
    assert health.plots_per_second == pytest.approx(2.0, rel=0.05)
    assert health.clock_offset == pytest.approx(-1.5)
    assert monitor.report(START + 400.0)[0].clock_offset is None


def test_errors_are_counted_for_the_sensor_of_the_source():
    monitor = HealthMonitor(SENSORS)
    fault = ErrorCount(3, "30", 0, 0)
    monitor.note_errors({("1/2", "spare item"): fault, ("9/9", "spare item"): fault, ("", "no block"): fault})
    monitor.note_errors({("1/2", "spare item"): fault})
    assert [health.errors for health in monitor.report(START)] == [{}, {"spare item": 6}, {}]
    assert monitor.report(START)[1].errors_total == 6
    assert monitor.other_errors == {"spare item": 3, "no block": 3}


def test_service_messages_of_a_source_without_a_sensor_are_counted():
    monitor = HealthMonitor(SENSORS)
    note_marks(monitor, START + np.arange(3), sic=77)
    assert monitor.unknown_sources == {"1/77": 3}
