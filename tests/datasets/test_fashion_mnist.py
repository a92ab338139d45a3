import numpy as np
import pytest

from arraynn.datasets import fashion_mnist
from arraynn.errors import DataError

pytestmark = pytest.mark.usefixtures("nowhere")


def test_pixels_are_centred(small, tmp_path):
    x_train, y_train, x_test, y_test = fashion_mnist(small.put_packed(tmp_path, small.arrays()))
    assert x_train.shape == (12, 784)
    assert x_test.shape == (3, 784)
    for x, y, pixels, labels in ((x_train, y_train, *small.arrays()[:2]), (x_test, y_test, *small.arrays()[2:])):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        np.testing.assert_array_equal(x, (pixels.reshape(-1, 784).astype("f4") - 127.5) / 127.5)
        np.testing.assert_array_equal(y, labels)
        assert x.min() == -1
        assert x.max() == 1


def test_unflattened_images_are_the_same_rows(small, tmp_path):
    folder = small.put(tmp_path, small.arrays())
    assert fashion_mnist(folder, flatten=False)[2].shape == (3, 28, 28)


def test_a_folder_of_mnist_is_refused(small, tmp_path):
    """The two use the same file names: without a look at the labels, digits would pass for clothes."""
    with pytest.raises(DataError, match="holds mnist, not fashion_mnist"):
        fashion_mnist(small.put(tmp_path, small.arrays((5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5))))


def test_files_are_found_in_the_fashion_mnist_folder_only(small, tmp_path, monkeypatch, nowhere):
    small.put(tmp_path / "data", small.arrays([1] * 12))  # MNIST, by the meaning of that place
    small.put(nowhere / "fashion_mnist", small.arrays([2] * 12))
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path / "data"))
    assert fashion_mnist()[1][0] == 2
    small.put(tmp_path / "data" / "fashion_mnist", small.arrays([3] * 12))
    assert fashion_mnist()[1][0] == 3


def test_without_a_network_the_message_names_both_mirrors(nowhere):
    with pytest.raises(DataError) as caught:
        fashion_mnist()
    for part in ("eu-central-1.amazonaws.com", "raw.githubusercontent.com", str(nowhere / "fashion_mnist")):
        assert part in str(caught.value)
