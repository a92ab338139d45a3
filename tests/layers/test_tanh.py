import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.tanh, xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.tanh), xp.asarray(rng.standard_normal((4, 3))))


def test_values_are_the_tangent_and_slopes_its_derivative(xp):
    y, backward = nn.tanh(xp.asarray([0.0, 0.5]))
    precise = 1e-14 if xp.has_float64 else 1e-6
    assert xp.to_numpy(y) == pytest.approx([0.0, math.tanh(0.5)], rel=precise)
    assert xp.to_numpy(backward(xp.asarray([3.0, 3.0]))) == pytest.approx([3.0, 3 / math.cosh(0.5) ** 2], rel=precise)


def test_huge_and_infinite_inputs_saturate(xp):
    y, backward = nn.tanh(xp.asarray([-np.inf, -1000.0, 1000.0, np.inf]))
    assert xp.to_numpy(y).tolist() == [-1.0, -1.0, 1.0, 1.0]
    assert xp.to_numpy(backward(xp.asarray([1.0] * 4))).tolist() == [0.0] * 4


def test_an_empty_batch_is_fine(xp):
    check_backward(nn.tanh, xp.asarray(np.zeros((0, 3))))


def test_the_layer_agrees_with_its_function(xp, rng):
    check_backward(nn.Tanh(), xp.asarray(rng.standard_normal((4, 3))))
    assert nn.Tanh().init(rng, (3,)) == ({}, (3,))
