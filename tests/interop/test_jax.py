"""Blocks inside JAX's transformations."""

from __future__ import annotations

import numpy as np
import pytest

import arraynn as nn
from arraynn import interop, layers, tree

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.usefixtures("jax_x64")

ACTIVATIONS = [
    *(nn.relu, nn.sigmoid, nn.tanh, nn.softmax, layers.elu, layers.selu, layers.gelu, layers.silu, layers.softplus),
    *(layers.leaky_relu, layers.hard_sigmoid, layers.flatten, layers.identity),
]


def checked(function, *arguments):
    from jax.test_util import check_grads

    check_grads(function, arguments, order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("block", ACTIVATIONS, ids=lambda block: block.__name__)
def test_activations_agree_with_differences(block, rng):
    checked(interop.as_jax(block), rng.standard_normal((4, 3)))


def test_dense_agrees_with_differences_in_all_three_arguments(rng):
    checked(interop.as_jax(nn.dense), *(rng.standard_normal(shape) for shape in ((4, 3), (3, 2), (2,))))


def test_a_loss_and_its_integer_labels(rng):
    labels = np.asarray([0, 2, 1, 1])
    loss = interop.as_jax(nn.softmax_cross_entropy)
    logits = rng.standard_normal((4, 3))
    checked(lambda z: loss(z, labels, label_smoothing=0.1), logits)
    gradient = jax.jit(jax.grad(loss))(logits, labels)
    np.testing.assert_allclose(gradient, nn.softmax_cross_entropy(logits, labels)[1](), rtol=1e-12)


def test_a_whole_network_under_jit_and_vmap(rng):
    network = nn.Sequential(nn.Dense(5), nn.Tanh(), nn.Dropout(0.3), nn.Dense(2))
    params, _ = network.init(rng, (3,), "float64")
    function, x, key = interop.as_jax(network), rng.standard_normal((4, 3)), nn.Key(1)
    checked(lambda p: function(p, x, key), params)
    grads = jax.jit(jax.grad(lambda p: function(p, x, key).sum()))(params)
    y, backward = network(params, x, key)
    theirs = dict(tree.items(grads))
    for path, ours in tree.items(backward(np.ones_like(y))[1]):
        np.testing.assert_allclose(theirs[path], ours, rtol=1e-12)
    many = jax.vmap(lambda rows: function(params, rows))(np.stack([x, 2 * x]))
    np.testing.assert_allclose(many[1], network(params, 2 * x)[0], rtol=1e-12)


def test_batch_norm_statistics_get_no_gradient(rng):
    layer = nn.BatchNorm()
    params, _ = layer.init(rng, (3,), "float64")
    x = rng.standard_normal((4, 3))
    grads = jax.grad(lambda p: (interop.as_jax(layer)(p, x, nn.Key(0)) ** 2).sum())(params)
    assert np.any(grads["scale"])
    assert not np.any(grads["statistics"]["mean"])
