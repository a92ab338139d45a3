import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 3), (4,), (1, 2, 2, 2), (0, 3, 2)])
def test_backward_is_the_derivative(xp, rng, shape):
    check_backward(nn.flatten, xp.asarray(rng.standard_normal(shape)))


def test_the_last_axis_varies_fastest(xp):
    y, backward = nn.flatten(xp.asarray(np.arange(12.0).reshape(2, 2, 3)))
    assert xp.to_numpy(y).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert xp.to_numpy(backward(y)).tolist() == np.arange(12.0).reshape(2, 2, 3).tolist()


def test_integers_are_flattened_too(xp):
    y, _ = nn.flatten(xp.asarray(np.arange(8).reshape(2, 2, 2)))
    assert xp.to_numpy(y).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_an_empty_batch_keeps_its_columns(xp):
    y, backward = nn.flatten(xp.asarray(np.zeros((0, 3, 2))))
    assert tuple(y.shape) == (0, 6)
    assert tuple(backward(y).shape) == (0, 3, 2)


def test_init_returns_the_output_shape(xp, rng):
    assert nn.Flatten().init(rng, (3, 2)) == ({}, (6,))
    check_backward(nn.Flatten(), xp.asarray(rng.standard_normal((4, 3, 2))))
