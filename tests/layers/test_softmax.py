import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.softmax, xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.softmax), xp.asarray(rng.standard_normal((4, 3))))


def test_rows_sum_to_one(xp, rng):
    y, _ = nn.softmax(xp.asarray(10 * rng.standard_normal((5, 7))))
    assert np.sum(xp.to_numpy(y), axis=1) == pytest.approx(np.ones(5), rel=1e-6)


def test_equal_inputs_have_equal_probabilities(xp):
    y, _ = nn.softmax(xp.asarray(np.full((2, 4), 1000.0)))
    assert xp.to_numpy(y).tolist() == [[0.25] * 4] * 2


def test_adding_a_number_to_a_row_changes_nothing(xp, rng):
    x = np.round(rng.standard_normal((3, 4)) * 8) / 8
    first, second = (xp.to_numpy(nn.softmax(xp.asarray(x + shift))[0]) for shift in (0.0, 64.0))
    assert np.array_equal(first, second)


def test_huge_logits_and_minus_infinity_give_zeros_and_ones(xp):
    y, backward = nn.softmax(xp.asarray([[1000.0, -1000.0, 0.0], [0.0, -np.inf, 0.0]]))
    assert xp.to_numpy(y).tolist() == [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]
    dx = xp.to_numpy(backward(xp.asarray([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])))
    assert dx.tolist() == [[0.0, 0.0, 0.0], [-0.5, 0.0, 0.5]]


def test_backward_is_the_product_with_the_whole_jacobian(xp, rng):
    x, dy = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    y, backward = nn.softmax(xp.asarray(x))
    y, dx = xp.to_numpy(y), xp.to_numpy(backward(xp.asarray(dy)))
    for i in range(2):
        jacobian = np.diag(y[i]) - np.outer(y[i], y[i])
        assert dx[i] == pytest.approx(jacobian @ dy[i], rel=1e-4, abs=1e-7)


def test_a_dy_equal_along_the_row_has_gradient_0(xp, rng):
    # y cannot leave the plane where its sum is 1
    _, backward = nn.softmax(xp.asarray(rng.standard_normal((4, 3))))
    assert np.max(np.abs(xp.to_numpy(backward(xp.asarray(np.full((4, 3), 2.0)))))) < 1e-6


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (4, 1), (2, 3, 2), (3,)])
def test_empty_batches_single_rows_and_other_shapes_are_fine(xp, rng, shape):
    check_backward(nn.softmax, xp.asarray(rng.standard_normal(shape)))


def test_the_layer_agrees_with_its_function(xp, rng):
    check_backward(nn.Softmax(), xp.asarray(rng.standard_normal((4, 3))))
    assert nn.Softmax().init(rng, (3,)) == ({}, (3,))
