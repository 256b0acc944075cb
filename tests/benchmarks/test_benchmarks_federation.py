import numpy as np
import pytest

from skypact.benchmarks.federation import QUICK, run
from skypact.benchmarks.model import Figure


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return {figure.name: figure for figure in run(QUICK)}


def test_each_figure_of_the_exchange_is_a_positive_number(figures: dict[str, Figure]):
    assert len(figures) >= 25
    for figure in figures.values():
        assert np.isfinite(figure.value), figure.name
        assert figure.value > 0.0, figure.name
        assert figure.peer_value is None or figure.peer_value > 0.0


def test_no_median_is_above_its_99th_percentile(figures: dict[str, Figure]):
    medians = [name for name in figures if name.endswith(", p50")]
    assert len(medians) > 5
    for name in medians:
        assert figures[name].value <= figures[name.removesuffix("50") + "99"].value


def test_each_plot_of_a_partner_arrives_and_later_than_it_was_received(figures: dict[str, Figure]):
    whole = next(figure for name, figure in figures.items() if "to the updated track at the partner" in name)
    assert " 0 lost" in whole.note
    assert all(figure.value > 0.0 for name, figure in figures.items() if name.startswith("of it, "))
