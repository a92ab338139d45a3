import os

import numpy as np
import pytest

from arraynn.datasets import mnist
from arraynn.errors import DataError


def test_pixels_are_divided_by_255(small, tmp_path):
    x_train, y_train, x_test, y_test = mnist(small.put(tmp_path, small.arrays()))
    assert x_train.shape == (12, 784)
    assert x_test.shape == (3, 784)
    for x, y, pixels, labels in ((x_train, y_train, *small.arrays()[:2]), (x_test, y_test, *small.arrays()[2:])):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        np.testing.assert_array_equal(x, pixels.reshape(-1, 784).astype("f4") / np.float32(255))
        np.testing.assert_array_equal(y, labels)
        assert x.min() == 0
        assert x.max() == 1


def test_unflattened_images_are_the_same_rows(small, tmp_path):
    folder = small.put(tmp_path, small.arrays())
    flat, square = mnist(folder), mnist(folder, flatten=False)
    assert square[0].shape == (12, 28, 28)
    np.testing.assert_array_equal(square[0].reshape(12, 784), flat[0])


def test_a_folder_of_fashion_mnist_is_refused(small, tmp_path):
    with pytest.raises(DataError, match="holds fashion_mnist, not mnist"):
        mnist(small.put(tmp_path, small.arrays((9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 9))))


@pytest.mark.skipif(not os.environ.get("ARRAYNN_DATA"), reason="ARRAYNN_DATA names no folder with the MNIST files")
@pytest.mark.usefixtures("offline")
def test_the_real_files():
    x_train, y_train, x_test, y_test = mnist()
    assert x_train.shape == (60000, 784)
    assert x_test.shape == (10000, 784)
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert x_train.mean(dtype="f8") == pytest.approx(0.1306604762738429, abs=1e-7)  # as is widely quoted
    assert x_train.std(dtype="f8") == pytest.approx(0.3081078, abs=1e-6)
