import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.silu, xp.asarray(3 * rng.standard_normal((4, 3))))
    check_backward(nn.SiLU(), xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.silu), xp.asarray(rng.standard_normal((4, 3))))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    x, dy = 3 * rng.standard_normal((50, 7)), rng.standard_normal((50, 7))
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.silu(given)
    expected.backward(torch.tensor(dy))
    y, backward = nn.silu(x)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(backward(dy), given.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_an_empty_batch_and_any_number_of_axes_are_fine(xp, rng):
    check_backward(nn.silu, xp.asarray(np.zeros((0, 3))))
    check_backward(nn.silu, xp.asarray(rng.standard_normal((2, 3, 2))))
    check_backward(nn.silu, xp.asarray(0.5))


def test_huge_numbers_neither_overflow_nor_become_nan(xp):
    y, backward = nn.silu(xp.asarray([-1e30, -1000.0, 0.0, 1000.0, 1e30], np.float32))
    assert xp.to_numpy(y).tolist() == [0.0, 0.0, 0.0, 1000.0, float(np.float32(1e30))]
    assert xp.to_numpy(backward(xp.asarray([1.0] * 5, np.float32))).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_the_layer_has_no_parameters(rng):
    assert nn.SiLU().init(rng, (3,)) == ({}, (3,))
    assert nn.SiLU() == nn.SiLU()
    assert hash(nn.SiLU()) == hash(nn.SiLU())
