import numpy as np
import pytest

from arraynn import datasets


def test_iris_is_fishers_table():
    x, y = datasets.iris()
    assert (x.shape, x.dtype, y.dtype) == ((150, 4), np.float32, np.int64)
    assert np.bincount(y).tolist() == [50, 50, 50]
    # the species' means of Fisher's table II
    means = [[5.006, 3.428, 1.462, 0.246], [5.936, 2.770, 4.260, 1.326], [6.588, 2.974, 5.552, 2.026]]
    np.testing.assert_allclose([x[y == k].mean(axis=0) for k in range(3)], means, rtol=1e-5)


def test_iris_is_scikit_learns():
    theirs = pytest.importorskip("sklearn.datasets").load_iris()
    x, y = datasets.iris()
    np.testing.assert_array_equal(x, theirs.data.astype(np.float32))
    np.testing.assert_array_equal(y, theirs.target)


def test_each_call_gives_new_arrays():
    x, y = datasets.iris()
    x[:] = y[:] = 0
    assert datasets.iris()[0].max() > 7
