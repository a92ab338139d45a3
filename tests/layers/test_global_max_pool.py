import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 3, 2, 4), (0, 3, 2), (1, 1, 1, 2)])
def test_backward_is_the_derivative(xp, rng, shape):
    x = xp.asarray(rng.permutation(math.prod(shape)).reshape(shape) / 8)
    check_backward(nn.GlobalMaxPool(), x)


def test_of_equal_numbers_the_first_has_the_gradient(xp):
    x = xp.asarray([[[1.0, 0.0], [1.0, 2.0], [0.0, 2.0]]])
    y, backward = nn.global_max_pool(x)
    assert xp.to_numpy(y).tolist() == [[1, 2]]
    assert xp.to_numpy(backward(xp.asarray([[3.0, 4.0]]))).tolist() == [[[3, 0], [0, 4], [0, 0]]]


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((3, 4, 5, 2))
    given = torch.tensor(x, requires_grad=True)
    expected = given.amax(dim=(1, 2))
    dy = rng.standard_normal((3, 2))
    expected.backward(torch.tensor(dy))
    y, backward = nn.global_max_pool(x)
    assert np.array_equal(y, expected.detach().numpy())
    assert np.array_equal(backward(dy), given.grad.numpy())
    assert nn.GlobalMaxPool().init(rng, (4, 5, 2))[1] == (2,)
