import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skypact.core.errors import BadInputError
from skypact.core.text import callsign_from_text
from skypact.plots.model import PlotFlag, make_plots
from skypact.plots.parquet import fill_sigmas, read_plots, write_plots
from skypact.sensors.model import Sensor, make_sensor_table

SENSORS = make_sensor_table(
    [
        Sensor(name="alpha-1", latitude_deg=45.0, longitude_deg=-30.0, sigma_range_m=40.0),
        Sensor(name="alpha-2", kind="adsb"),
    ]
)


def some_plots():
    return make_plots(
        3,
        sensor=[0, 1, 0],
        time=[10.0, 10.5, 11.0],
        received=[10.1, 10.6, 11.1],
        range=[50e3, np.nan, 60e3],
        azimuth=[1.0, np.nan, 2.0],
        latitude=[np.nan, 0.8, np.nan],
        longitude=[np.nan, -0.5, np.nan],
        squawk=[0o7000, -1, 0],
        address=[-1, 0xABCDEF, -1],
        callsign=[0, callsign_from_text("TEST12"), 0],
        flags=[int(PlotFlag.SPI | PlotFlag.GARBLED), 0, 0],
    )


def test_a_plots_file_gives_back_what_was_written(tmp_path):
    plots = fill_sigmas(some_plots(), SENSORS)
    write_plots(tmp_path / "plots.parquet", plots, SENSORS)
    again = read_plots(tmp_path / "plots.parquet", SENSORS)
    for name in type(plots).__slots__:
        if name in {"latitude", "longitude"}:
            np.testing.assert_allclose(getattr(again, name), getattr(plots, name), rtol=1e-15)
        else:
            np.testing.assert_array_equal(getattr(again, name), getattr(plots, name))


def test_sigmas_that_a_source_does_not_give_are_the_sensors_own():
    filled = fill_sigmas(some_plots(), SENSORS)
    np.testing.assert_array_equal(filled.sigma_range, [40.0, np.nan, 40.0])
    assert filled.sigma_position[1] == SENSORS.sigma_position[1]


def test_plots_come_in_order_of_arrival_whatever_the_order_of_the_file(tmp_path):
    table = pa.table({"time": [3.0, 1.0, 2.0], "received": [3.0, 1.0, 2.0], "sensor": ["alpha-1"] * 3})
    pq.write_table(table, tmp_path / "plots.parquet")
    np.testing.assert_array_equal(read_plots(tmp_path / "plots.parquet", SENSORS).time, [1.0, 2.0, 3.0])


def test_a_plot_without_arrival_arrives_at_the_latest_detection_so_far(tmp_path):
    table = pa.table({"time": [1.0, 5.0, 3.0], "sensor": ["alpha-1"] * 3})
    pq.write_table(table, tmp_path / "plots.parquet")
    np.testing.assert_array_equal(read_plots(tmp_path / "plots.parquet", SENSORS).received, [1.0, 5.0, 5.0])


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pa.table({"time": [1.0]}), "lacks the column sensor"),
        (pa.table({"time": [1.0], "sensor": ["bravo-9"]}), "'bravo-9' is not in the sensor table"),
        (pa.table({"time": ["noon"], "sensor": ["alpha-1"]}), "column time holds no numbers"),
        (pa.table({"time": [1.0], "sensor": ["alpha-1"], "flags": ["odd"]}), "unknown plot flag 'odd'"),
    ],
)
def test_a_plots_file_that_cannot_be_used_says_why_in_one_line(tmp_path, table, says):
    pq.write_table(table, tmp_path / "plots.parquet")
    with pytest.raises(BadInputError, match=says) as caught:
        read_plots(tmp_path / "plots.parquet", SENSORS)
    assert "\n" not in str(caught.value)
