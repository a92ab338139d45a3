import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.softplus, xp.asarray(3 * rng.standard_normal((4, 3))))
    check_backward(nn.Softplus(), xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.softplus), xp.asarray(rng.standard_normal((4, 3))))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    x, dy = 3 * rng.standard_normal((50, 7)), rng.standard_normal((50, 7))
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.softplus(given)
    expected.backward(torch.tensor(dy))
    y, backward = nn.softplus(x)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(backward(dy), given.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_an_empty_batch_and_any_number_of_axes_are_fine(xp, rng):
    check_backward(nn.softplus, xp.asarray(np.zeros((0, 3))))
    check_backward(nn.softplus, xp.asarray(rng.standard_normal((2, 3, 2))))
    check_backward(nn.softplus, xp.asarray(0.5))


def test_huge_and_infinite_numbers_neither_overflow_nor_lose_digits(xp):
    y, backward = nn.softplus(xp.asarray([-np.inf, -60.0, 0.0, 1000.0, np.inf]))
    assert xp.to_numpy(y) == pytest.approx([0.0, np.exp(-60.0), np.log(2.0), 1000.0, np.inf], rel=1e-6)
    assert xp.to_numpy(backward(xp.asarray([1.0] * 5))) == pytest.approx([0.0, np.exp(-60.0), 0.5, 1.0, 1.0], rel=1e-6)


def test_its_slope_is_the_sigmoid(xp, rng):
    x = xp.asarray(rng.standard_normal((4, 3)))
    dx = nn.softplus(x)[1](xp.asarray(np.ones((4, 3))))
    assert np.array_equal(xp.to_numpy(dx), xp.to_numpy(nn.sigmoid(x)[0]))  # the shared helper is the block, bit for bit


def test_the_layer_has_no_parameters(rng):
    assert nn.Softplus().init(rng, (3,)) == ({}, (3,))
    assert nn.Softplus() == nn.Softplus()
    assert hash(nn.Softplus()) == hash(nn.Softplus())
