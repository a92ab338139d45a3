"""One state, several backends: how far they may be apart after one pass, one update, twenty steps.

A sum's rounding error is measured against the sum of the absolute terms that make it; free runs are chaotic, so only
the first steps are compared. Masks are the same bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.training.clipping import clip

HIDDEN = nn.Dense(32, weight_regularizer=nn.L2(5e-4), bias_regularizer=nn.L2(5e-4))
NETWORK = nn.Sequential(HIDDEN, nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))
KEY = nn.Key(5)
OPTIMIZERS = [
    nn.SGD(0.5, momentum=0.9),
    nn.SGD(0.5, momentum=0.9, nesterov=True),
    nn.Adagrad(0.1),
    nn.RMSProp(0.05),
    nn.Adam(0.05),
]
LIMITS = {"float32": (1e-6, 1e-5, 1e-6), "float64": (1e-12, 1e-11, 1e-11)}  # loss, gradients, update


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def there(backend: str, dtype: str, request: pytest.FixtureRequest) -> Any:
    if backend == "jax" and dtype == "float64":
        request.getfixturevalue("jax_x64")
    return nn.backend(backend)


def start(dtype: str) -> tuple[Any, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Weights large enough for gradients of every size, and a weighted batch."""
    x, y = nn.datasets.spiral(100, 3)
    params, _ = NETWORK.init(np.random.default_rng(0), (2,), dtype)
    return params, (x.astype(dtype), y, np.random.default_rng(1).uniform(0.5, 2.0, 300).astype(dtype))


def moved(there: Any, nest: Any) -> Any:
    return tree.map(lambda leaf: there.asarray(leaf, copy=True), nest)


def close(got: Any, want: np.ndarray, scale: Any, limit: float) -> bool:
    return bool(np.all(np.abs(np.asarray(got, np.float64) - want) <= limit * scale))


def test_one_pass_agrees_within_the_rounding_of_its_sums(there, dtype):
    loss_limit, gradient_limit, _ = LIMITS[dtype]
    params, (x, y, w) = start(dtype)
    exact, here = tree.map(lambda p: p.astype(np.float64), params), moved(there, params)
    labels = there.asarray(y, there.index_dtype)
    with there.context():
        outputs, backward = NETWORK(here, there.asarray(x), KEY)
        loss, loss_backward = nn.softmax_cross_entropy(outputs, labels, sample_weight=there.asarray(w))
        _, grads = backward(loss_backward(), need_dx=False)
        got = tree.map(there.to_numpy, grads)

    # the same in float64 on the host, block by block, with the absolute terms of each gradient
    x, w = x.astype(np.float64), w.astype(np.float64)
    z1, first_backward = nn.dense(x, exact[0]["weight"], exact[0]["bias"])
    h, relu_backward = nn.relu(z1)
    dropped, dropout_backward = nn.dropout(h, 0.1, KEY.fold_in(2))
    z2, second_backward = nn.dense(dropped, exact[3]["weight"], exact[3]["bias"])
    reference, loss_backward = nn.softmax_cross_entropy(z2, y, sample_weight=w)
    dz2 = loss_backward()
    dh, dw2, db2 = second_backward(dz2)
    dz1 = relu_backward(dropout_backward(dh))
    _, dw1, db1 = first_backward(dz1)
    # p - t is itself a difference of numbers of at most 1
    terms2 = w[:, None] / np.sum(w) * (nn.softmax(z2)[0] + np.eye(3)[y])
    terms1 = relu_backward(dropout_backward(terms2 @ np.abs(exact[3]["weight"]).T))

    assert float(there.to_numpy(loss)) == pytest.approx(float(reference), rel=loss_limit)
    assert close(got[3]["weight"], dw2, np.abs(dropped).T @ terms2, gradient_limit)
    assert close(got[3]["bias"], db2, np.sum(terms2, axis=0), gradient_limit)
    assert close(got[0]["weight"], dw1, np.abs(x).T @ terms1, gradient_limit)
    assert close(got[0]["bias"], db1, np.sum(terms1, axis=0), gradient_limit)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_an_update_from_the_same_gradient_agrees(there, dtype, optimizer):
    rng = np.random.default_rng(2)
    params, _ = start(dtype)
    grads = [
        tree.map(lambda p: (rng.standard_normal(p.shape) * 10.0 ** rng.uniform(-6, 1)).astype(p.dtype), params)
    ] * 3
    here, own = moved(there, params), tree.map(np.copy, params)
    state, own_state = optimizer.init(here), optimizer.init(own)
    with there.context():
        for g in grads:
            before = tree.map(np.copy, own)
            here, state = optimizer.update(here, moved(there, clip(g, 1.0)), state)
            own, own_state = optimizer.update(own, clip(g, 1.0), own_state)
    for old, p, q in zip(*map(tree.leaves, (before, own, tree.map(lambda _, leaf: leaf, own, here))), strict=True):
        scale = np.maximum(np.abs(p), np.abs(p.astype(np.float64) - old))
        assert close(there.to_numpy(q), p, scale, 3 * LIMITS[dtype][2])  # three updates


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_masks_are_the_same_bits(backend, rate):
    there = nn.backend(backend)
    for shape in ((300, 64), (7, 3, 5), (1, 1)):
        mask = KEY.fold_in(3).keep(shape, rate, like=there.asarray(np.zeros(1, np.float32)))
        assert np.array_equal(there.to_numpy(mask), KEY.fold_in(3).keep(shape, rate, like=np.zeros(1)))


def test_the_first_twenty_losses_of_the_spiral_agree(backend):
    there, losses = nn.backend(backend), []
    network = nn.Sequential(nn.Dense(64, weight_regularizer=nn.L2(5e-4)), nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))
    optimizer = nn.Adam(nn.InverseTimeDecay(0.05, decay=5e-5))
    step = nn.make_train_step(network, nn.softmax_cross_entropy, optimizer)
    host, _ = network.init(np.random.default_rng(0), (2,))
    x, y = nn.datasets.spiral(100, 3)
    for place in (nn.backend("numpy"), there):
        batch = place.asarray(x), place.asarray(y, place.index_dtype), None
        params = moved(place, host)
        state = optimizer.init(params)
        values = []
        with place.context():
            for _ in range(20):
                params, state, logs = step(params, state, batch, nn.Key(0))
                values.append(float(logs["data_loss"]) + float(logs["penalty"]))
        losses.append(values)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[0][-1] < losses[0][0]
