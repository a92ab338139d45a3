import numpy as np

import arraynn as nn
from arraynn.testing import check_backward


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.identity, xp.asarray(rng.standard_normal((4, 3))))


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    check_backward(twice(nn.identity), xp.asarray(rng.standard_normal((4, 3))))


def test_a_nest_passes_through(xp, rng):
    x = xp.asarray(rng.standard_normal((4, 3))), xp.asarray(rng.standard_normal((4, 2)))
    assert nn.identity(x)[0] is x
    check_backward(nn.identity, x)
    check_backward(nn.Identity(), x)


def test_an_empty_batch_is_fine(xp):
    check_backward(nn.identity, xp.asarray(np.zeros((0, 3))))


def test_the_layer_agrees_with_its_function(xp, rng):
    check_backward(nn.Identity(), xp.asarray(rng.standard_normal((4, 3))))
    assert nn.Identity().init(rng, (3,)) == ({}, (3,))
