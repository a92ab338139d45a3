import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.leaky_relu, xp.asarray(3 * rng.standard_normal((4, 3))), 0.3)
    check_backward(nn.LeakyReLU(0.2), xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.leaky_relu), xp.asarray(rng.standard_normal((4, 3))))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    x, dy = 3 * rng.standard_normal((50, 7)), rng.standard_normal((50, 7))
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.leaky_relu(given, 0.3)
    expected.backward(torch.tensor(dy))
    y, backward = nn.leaky_relu(x, 0.3)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(backward(dy), given.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_an_empty_batch_and_any_number_of_axes_are_fine(xp, rng):
    check_backward(nn.leaky_relu, xp.asarray(np.zeros((0, 3))), 0.3)
    check_backward(nn.leaky_relu, xp.asarray(rng.standard_normal((2, 3, 2))), 0.3)
    check_backward(nn.leaky_relu, xp.asarray(0.5), 0.3)


def test_the_slope_at_the_kink_is_that_of_the_negative_side(xp):
    y, backward = nn.leaky_relu(xp.asarray([0.0, -0.0, 2.0, -2.0]), 0.25)
    assert xp.to_numpy(y).tolist() == [0.0, 0.0, 2.0, -0.5]
    assert xp.to_numpy(backward(xp.asarray([8.0, 8.0, 8.0, 8.0]))).tolist() == [2.0, 2.0, 8.0, 2.0]


def test_infinite_inputs_stay_infinite(xp):
    y, backward = nn.leaky_relu(xp.asarray([-np.inf, np.inf]), 0.25)
    assert xp.to_numpy(y).tolist() == [-np.inf, np.inf]
    assert xp.to_numpy(backward(xp.asarray([1.0, 1.0]))).tolist() == [0.25, 1.0]


def test_slope_0_is_relu_and_slope_1_the_identity(xp, rng):
    x = xp.asarray(rng.standard_normal((4, 3)))
    assert np.array_equal(xp.to_numpy(nn.leaky_relu(x, 0.0)[0]), xp.to_numpy(nn.relu(x)[0]))
    assert np.array_equal(xp.to_numpy(nn.leaky_relu(x, 1.0)[0]), xp.to_numpy(x))


def test_the_layer_has_no_parameters(rng):
    assert nn.LeakyReLU(0.2).init(rng, (3,)) == ({}, (3,))
    assert nn.LeakyReLU(0.2) == nn.LeakyReLU(0.2)
    assert hash(nn.LeakyReLU(0.2)) == hash(nn.LeakyReLU(0.2))


@pytest.mark.parametrize("slope", [-0.1, 1.5, float("nan")])
def test_slope_lies_between_0_and_1(slope):
    with pytest.raises(ValueError, match=r"slope .* must lie in \[0, 1\], got"):
        nn.LeakyReLU(slope)
