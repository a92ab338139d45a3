import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.sigmoid, xp.asarray(3 * rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.sigmoid), xp.asarray(rng.standard_normal((4, 3))))


def test_zero_gives_one_half_with_slope_one_quarter(xp):
    y, backward = nn.sigmoid(xp.asarray([0.0]))
    assert xp.to_numpy(y).tolist() == [0.5]
    assert xp.to_numpy(backward(xp.asarray([1.0]))).tolist() == [0.25]


def test_huge_and_infinite_inputs_saturate_without_overflow(xp):
    y, backward = nn.sigmoid(xp.asarray([-np.inf, -1000.0, 1000.0, np.inf]))
    assert xp.to_numpy(y).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert xp.to_numpy(backward(xp.asarray([1.0] * 4))).tolist() == [0.0] * 4


def test_small_values_keep_their_relative_precision(xp):
    x = [-10.0, -20.0, -40.0, -80.0]
    y = xp.to_numpy(nn.sigmoid(xp.asarray(x))[0])
    assert y == pytest.approx(
        [math.exp(v) / (1 + math.exp(v)) for v in x], abs=0, rel=1e-14 if xp.has_float64 else 1e-5
    )


def test_the_two_sides_add_up_to_one(xp, rng):
    x = rng.standard_normal(20)
    left, right = (xp.to_numpy(nn.sigmoid(xp.asarray(sign * x))[0]) for sign in (-1, 1))
    assert left + right == pytest.approx(np.ones(20), rel=1e-6)


def test_an_empty_batch_is_fine(xp):
    check_backward(nn.sigmoid, xp.asarray(np.zeros((0, 3))))


def test_the_layer_agrees_with_its_function(xp, rng):
    check_backward(nn.Sigmoid(), xp.asarray(rng.standard_normal((4, 3))))
    assert nn.Sigmoid().init(rng, (3,)) == ({}, (3,))
