import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.hard_sigmoid, xp.asarray(3 * rng.standard_normal((4, 3))))
    check_backward(nn.HardSigmoid(), xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.hard_sigmoid), xp.asarray(rng.standard_normal((4, 3))))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    x, dy = 3 * rng.standard_normal((50, 7)), rng.standard_normal((50, 7))
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.hardsigmoid(given)
    expected.backward(torch.tensor(dy))
    y, backward = nn.hard_sigmoid(x)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(backward(dy), given.grad.numpy(), rtol=1e-7)  # torch rounds 1/6 to float32


def test_an_empty_batch_and_any_number_of_axes_are_fine(xp, rng):
    check_backward(nn.hard_sigmoid, xp.asarray(np.zeros((0, 3))))
    check_backward(nn.hard_sigmoid, xp.asarray(rng.standard_normal((2, 3, 2))))
    check_backward(nn.hard_sigmoid, xp.asarray(0.5))


def test_the_slope_at_the_kinks_is_zero_and_infinities_are_fine(xp):
    y, backward = nn.hard_sigmoid(xp.asarray([-np.inf, -3.0, 0.0, 3.0, np.inf]))
    assert xp.to_numpy(y).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert xp.to_numpy(backward(xp.asarray([6.0] * 5))).tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_just_inside_the_kink_the_slope_is_that_of_the_line(xp):
    inside = np.nextafter(np.float32(3), np.float32(0))  # y rounds to 1 there
    _, backward = nn.hard_sigmoid(xp.asarray([inside], np.float32))
    assert xp.to_numpy(backward(xp.asarray([6.0], np.float32))).tolist() == [1.0]


def test_the_layer_has_no_parameters(rng):
    assert nn.HardSigmoid().init(rng, (3,)) == ({}, (3,))
    assert nn.HardSigmoid() == nn.HardSigmoid()
    assert hash(nn.HardSigmoid()) == hash(nn.HardSigmoid())
