import numpy as np

from arraynn.datasets import xor


def test_without_noise_the_class_says_whether_signs_differ():
    x, y = xor(500, noise=0, dtype="float64")
    np.testing.assert_array_equal(np.sign(x[:, 0]) != np.sign(x[:, 1]), y == 1)
    quadrants = {tuple(signs) for signs in np.sign(x).tolist()}
    assert quadrants == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    assert np.abs(x).max() <= 1


def test_noise_moves_points_but_not_their_class():
    (quiet, y), (loud, same) = xor(2000, noise=0, dtype="float64"), xor(2000, noise=0.2, dtype="float64")
    np.testing.assert_array_equal(y, same)
    np.testing.assert_allclose((loud - quiet).std(axis=0), 0.2, rtol=0.1)
