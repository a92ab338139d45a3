import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.gelu, xp.asarray(3 * rng.standard_normal((4, 3))))
    check_backward(nn.GELU(), xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.gelu), xp.asarray(rng.standard_normal((4, 3))))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    x, dy = 3 * rng.standard_normal((50, 7)), rng.standard_normal((50, 7))
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.gelu(given, approximate="tanh")
    expected.backward(torch.tensor(dy))
    y, backward = nn.gelu(x)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(backward(dy), given.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_an_empty_batch_and_any_number_of_axes_are_fine(xp, rng):
    check_backward(nn.gelu, xp.asarray(np.zeros((0, 3))))
    check_backward(nn.gelu, xp.asarray(rng.standard_normal((2, 3, 2))))
    check_backward(nn.gelu, xp.asarray(0.5))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_and_infinite_numbers_neither_overflow_nor_become_nan(xp, dtype):
    if dtype == np.float64 and not xp.has_float64:
        pytest.skip("no float64 here")
    large = np.finfo(dtype).max
    y, backward = nn.gelu(xp.asarray([-np.inf, -large, -50.0, 50.0, large, np.inf], dtype))
    assert xp.to_numpy(y).tolist() == [0.0, 0.0, 0.0, 50.0, large, np.inf]
    assert xp.to_numpy(backward(xp.asarray([1.0] * 6, dtype))).tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_it_is_near_the_exact_form(rng):
    from math import erf, sqrt

    x = np.linspace(-6, 6, 501)
    exact = np.asarray([v * (1 + erf(v / sqrt(2))) / 2 for v in x])
    assert np.max(np.abs(nn.gelu(x)[0] - exact)) < 5e-4


def test_the_layer_has_no_parameters(rng):
    assert nn.GELU().init(rng, (3,)) == ({}, (3,))
    assert nn.GELU() == nn.GELU()
    assert hash(nn.GELU()) == hash(nn.GELU())
