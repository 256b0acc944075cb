"""That no Python object and no step of Python is spent on a single record, plot or track."""

import gc
import sys

import numpy as np
import pytest

from skypact.asterix.decode import decode_datagrams
from skypact.asterix.encode import encode_records
from skypact.asterix.model import Datagrams
from skypact.core.units import NAUTICAL_MILE
from skypact.plots.assemble import PlotAssembler
from skypact.plots.model import PlotBatch, make_plots
from skypact.sensors.model import Sensor, make_sensor_table
from skypact.tracks.tracker import Tracker

FEW, MANY = 100, 3_000
SLACK = 60  # objects that differ from run to run
TURN = 4.0  # s


def most_objects(run) -> int:
    """Small blocks of Python's allocator that `run` held at most, seen at each call and return.

    The content of arrays is not among them; objects that live for the time of one call are,
    which a snapshot of what is left afterwards would miss.
    """
    most = 0

    def look(frame, event, argument):
        nonlocal most
        most = max(most, sys.getallocatedblocks())

    gc.collect()
    gc.disable()
    previous = sys.getprofile()
    before = sys.getallocatedblocks()
    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(previous)
        gc.enable()
    return most - before


def steps(run) -> int:
    """Instructions of Python that `run` takes."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(previous)
    return count


TABLE = make_sensor_table(
    [
        Sensor(
            name="one",
            kind="radar",
            sac=1,
            sic=1,
            latitude_deg=45.0,
            longitude_deg=-35.0,
            rotation_period_s=TURN,
        )
    ]
)


def datagrams(count: int) -> Datagrams:
    """Target reports of one radar at places of a grid, a hundred to a block."""
    places = np.arange(count)
    encoded = encode_records(
        48,
        {
            "010/SAC": np.full(count, 1.0),
            "010/SIC": np.full(count, 1.0),
            "140": 1000.0 + places / 8192.0,
            "020/TYP": np.full(count, 3.0),
            "040/RHO": 20.0 + places % 100,
            "040/THETA": (places // 100) * 3.6,
            "070/MODE3A": places % 4096,
            "090/FL": 50.0 + places % 300,
        },
    )
    return Datagrams(encoded.buffer, encoded.offset, encoded.length, np.full(len(encoded), 1_700_000_000.0))


def plots(count: int, turn: int) -> PlotBatch:
    """Targets at places of a grid, 2 NM and 3.6 degrees apart, seen in one turn."""
    places = np.arange(count)
    time = 1_700_000_000.0 + TURN * turn
    return make_plots(
        count,
        sensor=0,
        time=time,
        received=time + 0.1,
        range=(20.0 + 2.0 * (places % 100)) * NAUTICAL_MILE,
        azimuth=np.radians(3.6 * (places // 100)),
        altitude=9_000.0,
        squawk=places % 4096,
        sigma_range=70.0,
        sigma_azimuth=0.0014,
        sigma_altitude=10.0,
    )


def decode(count: int):
    """Decoding, with the columns in hand at its end."""
    given = datagrams(count)
    decode_datagrams(given)

    def run():
        assert sum(map(len, decode_datagrams(given).records)) == count

    return run


def assemble(count: int):
    """Plots of decoded records."""
    given = datagrams(count)
    decoded = decode_datagrams(given)
    PlotAssembler(TABLE).assemble(decoded, given)
    assembler = PlotAssembler(TABLE)

    def run():
        assert len(assembler.assemble(decoded, given)) == count

    return run


def track(count: int):
    """A turn of a radar that has seen the same targets for a while, and what comes out of it."""
    tracker = Tracker(TABLE)
    for turn in range(6):
        tracker.process(plots(count, turn))
        tracker.picture(1_700_000_000.0 + TURN * turn)
        tracker.take_outcomes()
    batch = plots(count, 6)
    kept = []

    def run():
        tracker.process(batch)
        kept.append(tracker.picture(1_700_000_000.0 + TURN * 6))
        kept.append(tracker.take_outcomes())
        assert len(kept[0]) > 0.9 * count

    return run


@pytest.mark.parametrize("stage", [decode, assemble, track])
def test_a_stage_makes_no_object_for_a_record_a_plot_or_a_track(stage):
    most_objects(stage(FEW))  # what is kept from the first run on
    few, many = most_objects(stage(FEW)), most_objects(stage(MANY))
    assert few > 0
    assert many < few + SLACK


@pytest.mark.parametrize("stage", [decode, assemble, track])
def test_a_stage_takes_no_step_of_python_for_a_record_a_plot_or_a_track(stage):
    few, many = steps(stage(FEW)), steps(stage(MANY))
    # Records are gathered by the chunk, of hundreds.
    assert many - few < 0.1 * (MANY - FEW)


def test_an_object_that_lives_for_one_call_is_seen():
    values = np.arange(1_000, 1_000 + MANY)
    assert most_objects(lambda: len(values.tolist())) >= MANY
    assert steps(lambda: sum(value for value in range(MANY))) >= MANY
