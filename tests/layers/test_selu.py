import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.selu, xp.asarray(3 * rng.standard_normal((4, 3))))
    check_backward(nn.SELU(), xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.selu), xp.asarray(rng.standard_normal((4, 3))))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    x, dy = 3 * rng.standard_normal((50, 7)), rng.standard_normal((50, 7))
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.selu(given)
    expected.backward(torch.tensor(dy))
    y, backward = nn.selu(x)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(backward(dy), given.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_an_empty_batch_and_any_number_of_axes_are_fine(xp, rng):
    check_backward(nn.selu, xp.asarray(np.zeros((0, 3))))
    check_backward(nn.selu, xp.asarray(rng.standard_normal((2, 3, 2))))
    check_backward(nn.selu, xp.asarray(0.5))


def test_infinities_are_fine_and_the_kink_takes_the_negative_side(xp):
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    y, backward = nn.selu(xp.asarray([-np.inf, 0.0, 1000.0]))
    assert xp.to_numpy(y) == pytest.approx([-scale * alpha, 0.0, 1000 * scale], rel=1e-6)
    assert xp.to_numpy(backward(xp.asarray([1.0] * 3))) == pytest.approx([0.0, scale * alpha, scale], rel=1e-6)


def test_mean_0_and_variance_1_are_a_fixed_point(rng):
    y, _ = nn.selu(rng.standard_normal(400_000))
    assert np.mean(y) == pytest.approx(0.0, abs=0.01)
    assert np.var(y) == pytest.approx(1.0, abs=0.01)


def test_the_layer_has_no_parameters(rng):
    assert nn.SELU().init(rng, (3,)) == ({}, (3,))
    assert nn.SELU() == nn.SELU()
    assert hash(nn.SELU()) == hash(nn.SELU())
