from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers, lists

from skypact.centre.pipeline import LONGEST_SILENCE, Pipeline
from skypact.plots.model import make_plots


class Notebook:
    """Stands in for the tracker and notes what it was asked."""

    def __init__(self):
        self.batches = []
        self.log = []

    def process(self, plots):
        self.batches.append(plots.received.tolist())
        self.log.append(("batch", plots.received.tolist()))

    def picture(self, time):
        self.log.append(("picture", time))
        return time


def plots_at(received):
    return make_plots(len(received), received=received, time=received)


def run(received, cuts=()):
    notebook = Notebook()
    pipeline = Pipeline(notebook, period=1.0)
    edges = [0, *sorted(cuts), len(received)]
    for start, end in pairwise(edges):
        pipeline.feed(plots_at(received[start:end]))
    pipeline.finish()
    return notebook.log


@given(gaps=lists(floats(0.0, 0.4), min_size=1, max_size=30), cuts=lists(integers(0, 30), max_size=5))
@settings(max_examples=100)
def test_the_pictures_do_not_depend_on_how_the_plots_were_handed_over(gaps, cuts):
    received = 1000.0 + np.cumsum(gaps)
    whole = run(received)
    assert run(received, [min(cut, len(received)) for cut in cuts]) == whole
    batches = [value for kind, value in whole if kind == "batch"]
    assert [time for batch in batches for time in batch] == received.tolist()


@given(gaps=lists(floats(0.0, 0.4), min_size=1, max_size=30))
@settings(max_examples=100)
def test_a_picture_holds_the_batches_that_closed_up_to_its_time_and_no_plot_received_later(gaps):
    log = run(1000.0 + np.cumsum(gaps))
    last_picture = -np.inf
    for kind, value in log:
        if kind == "picture":
            last_picture = value
        else:
            assert value[0] + 0.05 > last_picture
    before = []
    for kind, value in log:
        if kind == "batch":
            before += value
        else:
            assert all(received <= value for received in before)


def test_a_live_centre_takes_pictures_though_no_plot_ever_came():
    pipeline = Pipeline(Notebook(), period=1.0)
    assert pipeline.advance(10.2) == []
    assert pipeline.advance(13.0) == [11.0, 12.0, 13.0]


def test_a_plot_from_a_time_that_has_passed_counts_as_arriving_now():
    notebook = Notebook()
    pipeline = Pipeline(notebook, period=1.0)
    pipeline.advance(20.0)
    pipeline.feed(plots_at([12.0, 12.5]))
    pipeline.advance(21.0)
    assert notebook.batches == [[20.0, 20.0]]


def test_one_wrong_time_does_not_ask_for_millions_of_pictures():
    log = run([1000.0, 1000.5, 1.7e9])
    assert len([entry for entry in log if entry[0] == "picture"]) < LONGEST_SILENCE


def test_time_that_passes_without_plots_closes_the_open_batch():
    notebook = Notebook()
    pipeline = Pipeline(notebook)
    pipeline.feed(plots_at([5.0]))
    assert notebook.batches == []
    pipeline.advance(5.05)
    assert notebook.batches == [[5.0]]
    assert pipeline.finish() == []


@pytest.mark.parametrize("period", [0.25, 0.5, 2.0, 5.0])
def test_pictures_stand_at_whole_multiples_of_the_period(period):
    pipeline = Pipeline(Notebook(), period)
    times = pipeline.feed(plots_at([101.3, 111.9])) + pipeline.finish()
    assert times == [period * k for k in range(int(np.ceil(101.3 / period)), int(times[-1] / period) + 1)]
