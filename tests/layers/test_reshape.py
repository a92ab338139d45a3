import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(2, 6), (12,), (3, -1), (-1,), (1, 12, 1)])
@pytest.mark.parametrize("rows", [0, 2])
def test_backward_is_the_derivative(xp, rng, shape, rows):
    x = xp.asarray(rng.standard_normal((rows, 3, 4)))
    layer = nn.Reshape(shape)
    check_backward(layer, x)
    y, _ = layer({}, x)
    assert layer.init(rng, (3, 4))[1] == tuple(y.shape[1:])
    assert np.array_equal(xp.to_numpy(y).ravel(), xp.to_numpy(x).ravel())


def test_integers_stay_integers(xp):
    y, _ = nn.reshape(xp.asarray([[1, 2, 3, 4]]), (2, 2))
    assert xp.to_numpy(y).tolist() == [[[1, 2], [3, 4]]]


def test_inputs_that_do_not_fit_are_refused(rng):
    with pytest.raises(nn.ShapeError, match=r"input \(N, 3, 4\) has 12 numbers a row, .* the shape \(5, -1\)"):
        nn.reshape(np.zeros((2, 3, 4)), (5, -1))
    with pytest.raises(nn.ShapeError, match=r"cannot take the shape \(0, -1\)"):
        nn.Reshape((0, -1)).init(rng, (12,))
    for wrong in (12, [3, 4], (-1, -1), (-2, 6), (3.0, 4)):
        with pytest.raises(ValueError, match="shape must be a tuple of lengths"):
            nn.Reshape(wrong)
