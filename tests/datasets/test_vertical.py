import numpy as np
import pytest

from arraynn.datasets import vertical
from arraynn.errors import DataError


def test_random_state_0_gives_the_books_stream():
    x, y = vertical(5, 3, seed=np.random.RandomState(0), dtype="float64")
    draws = np.random.RandomState(0).randn(3, 2, 5)  # for each class its first coordinates, then its second
    for row in range(15):
        c, i = divmod(row, 5)
        np.testing.assert_allclose(x[row], [0.1 * draws[c, 0, i] + c / 3, 0.1 * draws[c, 1, i] + 0.5], atol=1e-15)
        assert y[row] == c


def test_shapes_types_and_seeds():
    x, y = vertical()
    assert x.shape == (300, 2)
    assert x.dtype == np.float32
    assert y.shape == (300,)
    assert y.dtype == np.int64
    np.testing.assert_array_equal(x, vertical(seed=0)[0])
    assert not np.array_equal(x, vertical(seed=1)[0])


def test_class_means_lie_a_third_apart():
    x, y = vertical(2000, 3)
    for c in range(3):
        np.testing.assert_allclose(x[y == c].mean(axis=0), [c / 3, 0.5], atol=0.01)


@pytest.mark.parametrize("arguments", [{"samples": 0}, {"classes": 0}, {"seed": -1}, {"dtype": "int32"}])
def test_bad_values_are_refused(arguments):
    with pytest.raises(DataError, match=f"^{next(iter(arguments))} is"):
        vertical(**arguments)


def test_noise_is_the_width_of_a_cloud():
    np.testing.assert_array_equal(vertical(noise=0.1)[0], vertical()[0])
    np.testing.assert_allclose(vertical(2000, 1, noise=0.4)[0].std(axis=0), 0.4, rtol=0.1)
    with pytest.raises(DataError, match=r"^noise is"):
        vertical(noise=float("inf"))
