import numpy as np

from arraynn.datasets import circles


def test_without_noise_each_class_is_a_ring():
    x, y = circles(200, 4, noise=0, dtype="float64")
    np.testing.assert_allclose(np.hypot(*x.T), (y + 1) / 4)
    angles = np.arctan2(*x.T)
    assert angles.min() < -3
    assert angles.max() > 3


def test_noise_is_the_standard_deviation_of_a_coordinate():
    quiet, loud = (circles(1, 1, noise=noise, seed=3, dtype="float64")[0] for noise in (0, 0.5))
    rng = np.random.default_rng(3)
    rng.uniform(size=1)
    np.testing.assert_allclose((loud - quiet)[0], 0.5 * rng.standard_normal(2))
