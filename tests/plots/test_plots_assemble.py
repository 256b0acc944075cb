import numpy as np
import pytest
from record_helpers import arrivals, columns_of, decoded_of, source, table_of

from skypact.core.geodesy import geodetic_from_enu
from skypact.core.text import callsign_from_text, callsign_to_text
from skypact.core.units import DEGREE, FLIGHT_LEVEL, FOOT, NAUTICAL_MILE
from skypact.plots.assemble import PlotAssembler
from skypact.plots.infer import infer_sensors
from skypact.plots.model import COLUMNS, PlotFlag, join_plots

DAY = 1_600_000_000 // 86_400 * 86_400.0
PLOT = source() | {"140": 100.0, "020/TYP": 5, "040/RHO": 40.0, "040/THETA": 90.0}


def assemble(table, *records, received=None):
    count = max(len(columns) for columns in records)
    assembler = PlotAssembler(table)
    plots = assembler.assemble(decoded_of(*records), arrivals(*(received or [DAY + 101.0] * count)))
    return plots, dict(assembler.filtered)


def packed(text):
    value = callsign_from_text(text)
    return {"240/high": value >> 24, "240/low": value & 0xFFFFFF}


def test_a_mode_s_report_becomes_a_plot_in_si_units():
    full = PLOT | packed("BAW12") | {"070/V": 0, "070/MODE3A": 0o2345, "090/FL": 350.0, "220": 0x400123}
    plots, filtered = assemble(table_of("mode_s"), columns_of(48, [full]))
    assert filtered == {}
    assert plots.time[0] == DAY + 100.0
    assert plots.received[0] == DAY + 101.0
    assert plots.range[0] == pytest.approx(40 * NAUTICAL_MILE)
    assert plots.azimuth[0] == pytest.approx(90 * DEGREE)
    assert plots.altitude[0] == pytest.approx(350 * FLIGHT_LEVEL)
    assert plots.squawk[0] == 0o2345
    assert plots.address[0] == 0x400123
    assert callsign_to_text(plots.callsign[0]) == "BAW12"
    assert plots.flags[0] == 0
    assert plots.sensor[0] == 0
    assert np.isnan([plots.elevation[0], plots.height[0], plots.latitude[0], plots.range_rate[0]]).all()
    # The sensor's own sigmas.
    assert plots.sigma_range[0] == 50.0
    assert plots.sigma_azimuth[0] == pytest.approx(0.07 * DEGREE)


@pytest.mark.parametrize(
    ("items", "flag"),
    [
        ({"020/SIM": 1}, PlotFlag.SIMULATED),
        ({"020/TST": 1}, PlotFlag.TEST),
        ({"020/RAB": 1}, PlotFlag.TEST),
        ({"020/SPI": 1}, PlotFlag.SPI),
        ({"020/ME": 1}, PlotFlag.EMERGENCY),
        ({"070/MODE3A": 0o7700}, PlotFlag.EMERGENCY),
        ({"070/MODE3A": 0o7700, "070/G": 1}, PlotFlag.GARBLED),
        ({"070/MODE3A": 0o1000, "070/V": 1}, PlotFlag.GARBLED),
        ({"090/FL": 100.0, "090/G": 1}, PlotFlag.GARBLED),
        ({"090/G": 1}, PlotFlag(0)),
    ],
)
def test_flags_of_a_report_are_kept_with_its_values(items, flag):
    plots, _ = assemble(table_of("mode_s"), columns_of(48, [PLOT | items]))
    assert plots.flags[0] == flag
    if "070/MODE3A" in items:
        assert plots.squawk[0] == items["070/MODE3A"]


def test_addresses_that_no_aircraft_has_and_blank_callsigns_are_no_values():
    rows = [
        PLOT | {"220": 0},
        PLOT | {"220": 0xFFFFFF, "140": 101.0},
        PLOT | {"240/high": 0x820820, "240/low": 0x820820, "140": 98.0},
        PLOT | {"140": 99.0},
    ]
    plots, _ = assemble(table_of("mode_s"), columns_of(48, rows))
    assert plots.address.tolist() == [-1] * 4
    assert plots.callsign.tolist() == [0] * 4


def test_records_that_are_no_plots_are_counted_by_source_and_reason():
    rows = [
        PLOT,
        PLOT | {"020/TYP": 0},
        PLOT | {"010/SIC": 9},
        source() | {"140": 100.0, "020/TYP": 5},
        {"140": 100.0, "040/RHO": 1.0, "040/THETA": 1.0},
        PLOT | {"040/RHO": 200.0},
    ]
    plots, filtered = assemble(table_of({"range_max_km": 200.0}), columns_of(48, rows))
    assert len(plots) == 1
    assert filtered == {
        ("1/1", "no detection"): 1,
        ("1/9", "unknown source"): 1,
        ("1/1", "no position"): 1,
        ("?", "no source"): 1,
        ("1/1", "beyond the sensor's range"): 1,
    }


def test_a_range_that_the_table_does_not_state_is_no_limit():
    plots, _ = assemble(table_of("radar"), columns_of(48, [PLOT | {"040/RHO": 255.0}]))
    assert plots.range[0] == pytest.approx(255 * NAUTICAL_MILE)


@pytest.mark.parametrize("azimuth", [0.0, 45.0, 90.0, 200.0])
@pytest.mark.parametrize("elevation", [0.5, 5.0, 40.0])
def test_the_height_of_a_3d_radar_is_turned_back_into_its_elevation(azimuth, elevation):
    slant = 100_000.0 if elevation < 10.0 else 15_000.0
    across, up = slant * np.cos(elevation * DEGREE), slant * np.sin(elevation * DEGREE)
    enu = np.array([[across * np.sin(azimuth * DEGREE), across * np.cos(azimuth * DEGREE), up]])
    _, _, height = geodetic_from_enu(enu, (54.0 * DEGREE, 2.0 * DEGREE, 100.0))
    row = PLOT | {"040/RHO": slant / NAUTICAL_MILE, "040/THETA": azimuth, "110/3DH": height[0] / FOOT}
    plots, _ = assemble(table_of("radar_3d"), columns_of(48, [row]))
    # I048/110 is in steps of 25 ft, 040 in steps of 7 m.
    assert plots.elevation[0] == pytest.approx(elevation * DEGREE, abs=12.0 / slant)
    assert np.isnan(plots.height[0])


def test_an_impossible_height_gives_no_elevation():
    plots, _ = assemble(table_of("radar_3d"), columns_of(48, [PLOT | {"040/RHO": 0.5, "110/3DH": 90_000.0}]))
    assert np.isnan(plots.elevation[0])


def test_doppler_speed_is_a_range_rate_unless_doubtful():
    rows = [
        PLOT | {"120/CAL/D": 0, "120/CAL/CAL": -120},
        PLOT | {"120/CAL/D": 1, "120/CAL/CAL": 50, "140": 99.0},
    ]
    plots, _ = assemble(table_of("radar"), columns_of(48, rows))
    assert plots.range_rate[0] == -120.0
    assert np.isnan(plots.range_rate[1])


def test_plots_and_tracks_of_cat001_are_placed_by_their_own_scales():
    rows = [
        source() | {"020/TYP": 0, "020/SSRPSR": 2, "040/RHO": 40.0, "040/THETA": 90.0, "141": 100.0},
        source()
        | {"020/TYP": 1, "020/SSRPSR": 3, "042/X": -30.0, "042/Y": 40.0, "141": 100.5, "090/HGT": 100.0},
        source() | {"020/TYP": 1, "020/SSRPSR": 0, "042/X": -30.0, "042/Y": 40.0, "141": 100.5},
    ]
    plots, filtered = assemble(table_of("radar"), columns_of(1, rows))
    assert plots.range == pytest.approx([40 * NAUTICAL_MILE, 50 * NAUTICAL_MILE])
    assert plots.azimuth == pytest.approx([np.pi / 2, 2 * np.pi - np.arctan2(3, 4)])
    assert plots.time.tolist() == [DAY + 100.0, DAY + 100.5]
    assert plots.altitude[1] == pytest.approx(100 * FLIGHT_LEVEL)
    assert filtered == {("1/1", "no detection"): 1}


def test_ads_b_reports_are_ready_positions_with_their_own_accuracy():
    rows = [
        source()
        | {"131/LAT": 54.5, "131/LON": -1.25, "130/LAT": 10.0, "130/LON": 10.0, "071": 100.0}
        | {"140": 35_000.0, "145": 340.0, "080": 0x400123, "090/NACP": 10, "200/PS": 5},
        source() | {"130/LAT": -54.5, "130/LON": 179.0, "073": 100.5, "080": 0x400124},
    ]
    plots, _ = assemble(table_of("adsb"), columns_of(21, rows))
    assert plots.latitude == pytest.approx([54.5 * DEGREE, -54.5 * DEGREE])
    assert plots.longitude == pytest.approx([-1.25 * DEGREE, 179.0 * DEGREE])
    assert plots.height[0] == pytest.approx(35_000 * FOOT)
    assert plots.altitude[0] == pytest.approx(340 * FLIGHT_LEVEL)
    assert plots.time.tolist() == [DAY + 100.0, DAY + 100.5]
    assert plots.sigma_position == pytest.approx([10 / 2.4477, 30.0], rel=1e-3)
    assert plots.flags.tolist() == [PlotFlag.EMERGENCY, 0]


def test_ads_b_of_old_editions_is_read_by_its_own_items():
    row = source() | {"130/LAT": 38.77, "130/LON": -9.13, "030": 100.0, "080": 5, "070/MODE3A": 0o1234}
    plots, _ = assemble(table_of("adsb"), columns_of(21, [row], edition="0.26"))
    assert plots.latitude[0] == pytest.approx(38.77 * DEGREE, abs=1e-7)
    assert plots.time[0] == DAY + 100.0
    assert plots.squawk[0] == 0o1234


def test_multilateration_is_placed_by_latitude_or_by_metres_around_its_site():
    rows = [
        source() | {"140": 100.0, "041/LAT": 54.01, "041/LON": 2.01, "500/SDP/X": 3.0, "500/SDP/Y": 4.0},
        source() | {"140": 100.5, "042/X": 3_000.0, "042/Y": -4_000.0, "105": 1_000.0, "220": 7},
        source() | {"140": 100.5, "042/X": 3_000.0, "042/Y": -4_000.0, "170/CST": 1},
    ]
    plots, filtered = assemble(table_of("mlat"), columns_of(20, rows))
    assert plots.latitude[0] == pytest.approx(54.01 * DEGREE, abs=1e-7)
    assert plots.sigma_position == pytest.approx([np.sqrt(12.5), 50.0])
    latitude, longitude, _ = geodetic_from_enu(
        np.array([[3_000.0, -4_000.0, 0.0]]), (54.0 * DEGREE, 2.0 * DEGREE, 100.0)
    )
    assert (plots.latitude[1], plots.longitude[1]) == (latitude[0], longitude[0])
    assert plots.height[1] == pytest.approx(1_000 * FOOT, abs=1.0)
    assert filtered == {("1/1", "extrapolated"): 1}


def test_metres_around_an_unknown_site_are_counted_not_placed():
    table = table_of({"kind": "mlat", "latitude_deg": None, "longitude_deg": None})
    plots, filtered = assemble(table, columns_of(20, [source() | {"140": 100.0, "042/X": 1.0, "042/Y": 1.0}]))
    assert len(plots) == 0
    assert filtered == {("1/1", "x and y around a sensor without a site"): 1}


def test_a_surface_radar_gives_range_and_azimuth_and_multilateration_a_position():
    row = {"000": 1, "140": 100.0, "040/RHO": 2_000.0, "040/TH": 45.0, "042/X": 1_414.0, "042/Y": 1_414.0}
    rows = [
        source(1) | row,
        source(2) | row,
        source(1) | {"000": 2, "140": 100.0},
        source(2) | row | {"170/CST": 2},
    ]
    plots, filtered = assemble(table_of("psr", "mlat"), columns_of(10, rows))
    assert plots.range[0] == 2_000.0
    assert plots.azimuth[0] == pytest.approx(np.pi / 4)
    assert np.isnan(plots.latitude[0])
    assert np.isnan(plots.range[1])
    assert not np.isnan(plots.latitude[1])
    assert filtered == {("1/1", "no target report"): 1, ("1/2", "extrapolated"): 1}


def test_plots_of_all_categories_come_in_the_order_of_arrival():
    table = table_of("mode_s", "adsb")
    radar = columns_of(48, [PLOT | {"140": 100.0 + n} for n in range(3)], datagram=[0, 2, 4])
    report = source(2) | {"131/LAT": 54.0, "131/LON": 2.0}
    adsb = columns_of(21, [report | {"071": 99.0 + n} for n in range(2)], datagram=[1, 3])
    # The clock steps back by a second once: time of arrival never does.
    datagrams = arrivals(DAY + 101.0, DAY + 102.0, DAY + 101.0, DAY + 103.0, DAY + 104.0)
    plots = PlotAssembler(table).assemble(decoded_of(radar, adsb), datagrams)
    assert plots.sensor.tolist() == [0, 1, 0, 1, 0]
    assert plots.received.tolist() == [DAY + 101.0, DAY + 102.0, DAY + 102.0, DAY + 103.0, DAY + 104.0]


@pytest.mark.parametrize("is_cut", [False, True])
def test_copies_of_a_plot_on_a_second_line_are_dropped_and_counted(is_cut):
    rows = [PLOT, PLOT | {"040/THETA": 90.01}, PLOT, PLOT | {"140": 104.0}, PLOT]
    received = [DAY + 101.0, DAY + 101.0, DAY + 101.004, DAY + 105.0, DAY + 106.0]
    assembler = PlotAssembler(table_of("mode_s"))
    if is_cut:
        batches = [
            assembler.assemble(decoded_of(columns_of(48, [row])), arrivals(when))
            for row, when in zip(rows, received, strict=True)
        ]
        plots = join_plots(batches)
    else:
        plots = assembler.assemble(decoded_of(columns_of(48, rows)), arrivals(*received))
    # The last is the same again 5 s later: no copy but a radar that repeats itself.
    assert plots.time.tolist() == [DAY + 100.0, DAY + 100.0, DAY + 104.0, DAY + 100.0]
    assert dict(assembler.filtered) == {("1/1", "duplicate"): 1}


def test_equal_plots_in_one_datagram_are_two_plots():
    plots, filtered = assemble(table_of("mode_s"), columns_of(48, [PLOT, PLOT], datagram=[0, 0]))
    assert len(plots) == 2
    assert not filtered


def test_a_report_without_time_counts_as_made_when_it_arrived():
    row = {name: value for name, value in PLOT.items() if name != "140"}
    plots, _ = assemble(table_of("mode_s"), columns_of(48, [row]))
    assert plots.time[0] == DAY + 101.0


def test_no_records_give_no_plots():
    plots = PlotAssembler(table_of("mode_s")).assemble(decoded_of(), arrivals())
    assert len(plots) == 0


def test_real_plots_do_not_depend_on_how_the_recording_is_cut(recordings):
    from skypact.asterix.decode import decode_datagrams
    from skypact.asterix.model import Datagrams
    from skypact.centre.recordings import inferred_sensor_table, read_asterix, recorded_plots

    found = [
        read_asterix(recordings / f"asterix/{name}")
        for name in ("es_multiradar_8s.gps", "croatia_cat_034_048.pcap")
    ]
    for recorded in found:
        table = inferred_sensor_table([recorded])
        whole, filtered = recorded_plots([recorded], table)
        all_, assembler, batches = recorded.datagrams, PlotAssembler(table), []
        for start in range(0, len(all_), 37):
            part = slice(start, start + 37)
            datagrams = Datagrams(all_.buffer, all_.offset[part], all_.length[part], all_.received[part])
            batches.append(assembler.assemble(decode_datagrams(datagrams), datagrams))
        cut = join_plots(batches)
        for name in COLUMNS:
            assert np.array_equal(getattr(cut, name), getattr(whole, name), equal_nan=name != "sensor"), name
        assert dict(assembler.filtered) == dict(filtered)
    # Streams on two networks: nearly every plot of this capture came twice.
    assert 0.45 <= sum(n for (_, why), n in filtered.items() if why == "duplicate") / 128 <= 0.55


def test_sensors_are_inferred_with_kind_site_and_rotation(recordings):
    from skypact.centre.recordings import read_asterix

    found = read_asterix(recordings / "asterix/croatia_cat_034_048.pcap")
    sensors = {sensor.name: sensor for sensor in infer_sensors(found.decoded, found.datagrams)}
    radar = sensors["25/12"]
    assert radar.kind == "mode_s"
    assert (radar.latitude_deg, radar.longitude_deg) == pytest.approx((43.571, 16.406), abs=0.001)
    assert radar.height_m == 780.0
    assert radar.rotation_period_s == pytest.approx(4.945, abs=0.001)
    assert sensors["25/201"].kind == "radar_3d"


def test_a_rotation_period_comes_from_north_marks_where_no_message_tells_it():
    marks = [source() | {"000": 1, "030": 100.0 + 4.0 * n} for n in range(5)]
    sectors = [source() | {"000": 2, "030": 101.0, "020": 90.0}]
    columns = columns_of(34, marks + sectors)
    sensors = infer_sensors(decoded_of(columns), arrivals(*[DAY + 120.0] * 6))
    assert sensors[0].rotation_period_s == pytest.approx(4.0)
    assert sensors[0].kind == "radar"


def test_the_core_columns_hold_all_that_plots_are_made_of(recordings):
    from skypact.asterix.decode import decode_datagrams
    from skypact.centre.recordings import inferred_sensor_table, read_asterix

    for path in sorted((recordings / "asterix").rglob("*.*")):
        found = read_asterix(path)
        if not found.decoded.records or not infer_sensors(found.decoded, found.datagrams):
            continue
        table = inferred_sensor_table([found])
        core = decode_datagrams(found.datagrams, None, "core")
        full_plots = PlotAssembler(table).assemble(found.decoded, found.datagrams)
        core_plots = PlotAssembler(table).assemble(core, found.datagrams)
        for name in COLUMNS:
            left, right = getattr(core_plots, name), getattr(full_plots, name)
            assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f"), (path.name, name)
