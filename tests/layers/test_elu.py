import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.elu, xp.asarray(3 * rng.standard_normal((4, 3))), 0.7)
    check_backward(nn.ELU(1.3), xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.elu), xp.asarray(rng.standard_normal((4, 3))))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    x, dy = 3 * rng.standard_normal((50, 7)), rng.standard_normal((50, 7))
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.elu(given, 0.7)
    expected.backward(torch.tensor(dy))
    y, backward = nn.elu(x, 0.7)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(backward(dy), given.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_an_empty_batch_and_any_number_of_axes_are_fine(xp, rng):
    check_backward(nn.elu, xp.asarray(np.zeros((0, 3))), 0.7)
    check_backward(nn.elu, xp.asarray(rng.standard_normal((2, 3, 2))), 0.7)
    check_backward(nn.elu, xp.asarray(0.5), 0.7)


def test_at_zero_the_slope_is_alpha_and_infinities_are_fine(xp):
    y, backward = nn.elu(xp.asarray([-np.inf, -1000.0, 0.0, 1000.0, np.inf]), 0.5)
    assert xp.to_numpy(y).tolist() == [-0.5, -0.5, 0.0, 1000.0, np.inf]
    assert xp.to_numpy(backward(xp.asarray([1.0] * 5))).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_small_negative_numbers_keep_their_digits(xp):
    y, _ = nn.elu(xp.asarray([-1e-20]))
    assert xp.to_numpy(y)[0] == pytest.approx(-1e-20, rel=1e-6)


def test_the_layer_has_no_parameters(rng):
    assert nn.ELU(1.3).init(rng, (3,)) == ({}, (3,))
    assert nn.ELU(1.3) == nn.ELU(1.3)
    assert hash(nn.ELU(1.3)) == hash(nn.ELU(1.3))


@pytest.mark.parametrize("alpha", [-0.1, float("inf"), float("nan")])
def test_alpha_is_finite_and_not_negative(alpha):
    with pytest.raises(ValueError, match="alpha must be a finite number of at least 0, got"):
        nn.ELU(alpha)
