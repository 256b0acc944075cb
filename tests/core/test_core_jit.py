import numpy as np
import pytest

from skypact.core.arrays import Floats1
from skypact.core.geodesy import enu_from_geodetic
from skypact.core.jit import kernel

pytestmark = pytest.mark.kernels


def test_a_kernel_takes_arrays_that_may_only_be_read():
    angles = np.zeros(2)
    angles.flags.writeable = False
    assert enu_from_geodetic(angles, angles, angles, (0.0, 0.0, 0.0)).shape == (2, 3)


def test_an_annotation_that_no_kernel_can_take_is_refused(monkeypatch):
    monkeypatch.setattr("numba.config.DISABLE_JIT", 0)

    def wrong(values: list[float]) -> float:
        return values[0]

    with pytest.raises(TypeError, match=r"skypact\.core\.arrays"):
        kernel(wrong)


def test_the_annotation_of_an_array_names_its_dimensions(monkeypatch):
    monkeypatch.setattr("numba.config.DISABLE_JIT", 0)

    def total(values: Floats1) -> float:
        return float(values.sum())

    assert "array(float64, 1d, C)" in str(kernel(total).signatures[0][0])  # type: ignore[attr-defined]
