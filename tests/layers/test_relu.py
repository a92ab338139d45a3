import numpy as np

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.relu, xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.relu), xp.asarray(rng.standard_normal((4, 3))))


def test_negative_numbers_become_zero(xp):
    y, _ = nn.relu(xp.asarray([-2.0, -0.0, 3.0]))
    assert xp.to_numpy(y).tolist() == [0.0, 0.0, 3.0]


def test_the_slope_at_the_kink_is_zero(xp):
    _, backward = nn.relu(xp.asarray([0.0, -0.0, 1.0]))
    assert xp.to_numpy(backward(xp.asarray([5.0, 6.0, 7.0]))).tolist() == [0.0, 0.0, 7.0]


def test_dy_passes_where_the_input_was_positive_whatever_its_own_sign(xp):
    # The seed's row 17 masked by dy: a negative dy on an active unit was lost, a positive one on a dead unit passed.
    _, backward = nn.relu(xp.asarray([1.0, 1.0, -1.0, -1.0]))
    assert xp.to_numpy(backward(xp.asarray([2.0, -2.0, 2.0, -2.0]))).tolist() == [2.0, -2.0, 0.0, 0.0]


def test_infinite_inputs_keep_their_slopes(xp):
    y, backward = nn.relu(xp.asarray([-np.inf, np.inf]))
    assert xp.to_numpy(y).tolist() == [0.0, np.inf]
    assert xp.to_numpy(backward(xp.asarray([1.0, 1.0]))).tolist() == [0.0, 1.0]


def test_an_empty_batch_and_any_number_of_axes_are_fine(xp, rng):
    check_backward(nn.relu, xp.asarray(np.zeros((0, 3))))
    check_backward(nn.relu, xp.asarray(rng.standard_normal((2, 3, 2))))
    check_backward(nn.relu, xp.asarray(0.5))


def test_the_layer_agrees_with_its_function(xp, rng):
    check_backward(nn.ReLU(), xp.asarray(rng.standard_normal((4, 3))))
    assert nn.ReLU().init(rng, (3,)) == ({}, (3,))
