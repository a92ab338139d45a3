import numpy as np

from arraynn.datasets import blobs


def test_clouds_lie_evenly_on_the_unit_circle():
    x, y = blobs(2000, 5)
    for c in range(5):
        own = x[y == c]
        np.testing.assert_allclose(own.mean(axis=0), [np.sin(0.4 * np.pi * c), np.cos(0.4 * np.pi * c)], atol=0.02)
        np.testing.assert_allclose(own.std(axis=0), 0.2, rtol=0.1)
