import numpy as np

from arraynn.datasets import plane


def test_without_noise_y_is_the_mean_of_both_coordinates():
    x, y = plane(100, noise=0, dtype="float64")
    np.testing.assert_allclose(y[:, 0], (x[:, 0] + x[:, 1]) / 2)
    assert x.min() >= -1
    assert x.max() <= 1


def test_noise_is_on_y_alone():
    (x, y), (same, loud) = plane(2000, noise=0, dtype="float64"), plane(2000, noise=0.3, dtype="float64")
    np.testing.assert_array_equal(x, same)
    np.testing.assert_allclose((loud - y).std(), 0.3, rtol=0.1)
