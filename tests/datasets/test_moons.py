import numpy as np

from arraynn.datasets import moons


def test_without_noise_the_classes_are_half_circles_around_their_centres():
    x, y = moons(100, noise=0, dtype="float64")
    centre = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.hypot(*(x - centre).T), 1)
    assert ((x - centre)[:, 1] * np.where(y == 0, 1, -1) >= -1e-12).all()
