import numpy as np
import pytest
from hypothesis import given, settings

import arraynn as nn
from arraynn.testing import check_backward
from tests.layers.test_max_pool import against_torch, poolings

LAYERS = [
    (nn.AveragePool2D(), (4, 5, 2)),
    (nn.AveragePool2D((2, 3), strides=(2, 1)), (4, 5, 2)),
    (nn.AveragePool2D(3, strides=2, padding="same"), (4, 5, 2)),
    (nn.AveragePool1D(3, strides=2, padding=((1, 0),)), (6, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_backward_is_the_derivative(xp, rng, layer, shape):
    x = xp.asarray(rng.standard_normal((2, *shape)))
    check_backward(layer, x, limit=30)
    assert layer.init(rng, shape)[1] == tuple(layer({}, x)[0].shape[1:])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(poolings())
def test_it_agrees_with_torch(case):
    pools = nn.average_pool1d, nn.average_pool2d, ("avg_pool1d", "avg_pool2d")
    against_torch(*pools, case, lambda rng, shape: rng.standard_normal(shape), count_include_pad=False)


def test_padding_does_not_count(xp):
    y, _ = nn.average_pool2d(xp.asarray(np.full((1, 3, 3, 2), 5.0)), 2, padding="same")
    np.testing.assert_allclose(xp.to_numpy(y), 5)


def test_an_empty_batch_is_fine(xp):
    y, backward = nn.average_pool2d(xp.asarray(np.zeros((0, 4, 4, 3))), 2)
    assert (tuple(y.shape), tuple(backward(y).shape)) == ((0, 2, 2, 3), (0, 4, 4, 3))


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(nn.ShapeError, match=r"a window of \(3, 3\) is larger than the input \(N, 2, 8, 8\)"):
        nn.average_pool2d(np.zeros((1, 2, 8, 8)), 3)
    with pytest.raises(nn.ShapeError, match=r"padding must be less than the window, which is \(2,\), got"):
        nn.average_pool1d(np.zeros((1, 8, 1)), 2, padding=((0, 2),))
