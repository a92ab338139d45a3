"""Whole networks, written twice: here with arraynn's blocks, and with torch's own functions, which autograd
differentiates. Gradients agree to 1e-9 of the largest of each array, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree

torch = pytest.importorskip("torch")
F = torch.nn.functional

ACTIVATIONS = {
    nn.ReLU(): torch.relu,
    nn.Sigmoid(): torch.sigmoid,
    nn.Tanh(): torch.tanh,
    nn.Softmax(): lambda x: torch.softmax(x, dim=-1),
    nn.Identity(): lambda x: x,
    nn.LeakyReLU(0.1): lambda x: F.leaky_relu(x, 0.1),
    nn.ELU(): F.elu,
    nn.SELU(): F.selu,
    nn.GELU(): lambda x: F.gelu(x, approximate="tanh"),
    nn.SiLU(): F.silu,
    nn.Softplus(): F.softplus,
    nn.HardSigmoid(): lambda x: torch.clamp(x / 6 + 0.5, 0, 1),  # F.hardsigmoid's gradient has a 1/6 of float32
}
SEEN = {type(layer) for layer in ACTIVATIONS}
for name, kind in nn.layers.named_activations().items():  # of the others, those that torch calls alike
    if kind not in SEEN and hasattr(F, name):
        ACTIVATIONS[kind()] = getattr(F, name)


def weighted(rows: Any, w: Any) -> Any:
    """The mean over rows, weights divided by their sum."""
    rows = rows.reshape(rows.shape[0], -1).mean(dim=1)
    return (rows * w).sum() / w.sum()


# name: (the loss, torch's loss of each row from outputs and targets, its targets, a last activation it needs)
LOSSES: dict[str, tuple[Any, Any, str, Any]] = {
    "softmax_cross_entropy": (
        *(nn.softmax_cross_entropy, lambda y, t: F.cross_entropy(y, t, reduction="none"), "labels", None),
    ),
    "softmax_cross_entropy of distributions": (
        *(nn.softmax_cross_entropy, lambda y, t: F.cross_entropy(y, t, reduction="none"), "distributions", None),
    ),
    "smoothed": (
        nn.SoftmaxCrossEntropy(label_smoothing=0.1),
        lambda y, t: F.cross_entropy(y, t, reduction="none", label_smoothing=0.1),
        *("labels", None),
    ),
    "cross_entropy": (
        nn.cross_entropy,
        lambda y, t: F.nll_loss(torch.log(y), t, reduction="none"),
        "labels",
        nn.Softmax(),
    ),
    "sigmoid_cross_entropy": (
        *(
            nn.sigmoid_cross_entropy,
            lambda y, t: F.binary_cross_entropy_with_logits(y, t, reduction="none"),
            "binary",
            None,
        ),
    ),
    "binary_cross_entropy": (
        *(nn.binary_cross_entropy, lambda y, t: F.binary_cross_entropy(y, t, reduction="none"), "binary", nn.Sigmoid()),
    ),
    "mean_squared_error": (nn.mean_squared_error, lambda y, t: F.mse_loss(y, t, reduction="none"), "values", None),
    "mean_absolute_error": (nn.mean_absolute_error, lambda y, t: F.l1_loss(y, t, reduction="none"), "values", None),
    "huber": (nn.Huber(0.5), lambda y, t: F.huber_loss(y, t, reduction="none", delta=0.5), "values", None),
    "poisson": (nn.poisson, lambda y, t: F.poisson_nll_loss(y, t, reduction="none"), "counts", None),
}


def targets_for(kind: str, rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    if kind == "labels":
        return rng.integers(0, k, n)
    if kind == "values":
        return rng.standard_normal((n, k))
    if kind == "binary":
        return rng.integers(0, 2, (n, k)).astype(np.float64)
    if kind == "counts":
        return rng.poisson(2.0, (n, k)).astype(np.float64)
    drawn = rng.uniform(size=(n, k))
    return drawn / drawn.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_gradients_of_random_networks_equal_autograds(name, depth):
    loss, torch_rows, kind, last = LOSSES[name]
    rng = np.random.default_rng([depth, *name.encode()])
    # every activation has its turn: the network of each loss and depth starts at another place of the list
    turn = (4 * list(LOSSES).index(name) + depth) % len(ACTIVATIONS)
    activations = [list(ACTIVATIONS)[(turn + i) % len(ACTIVATIONS)] for i in range(depth - 1)]
    units = [int(u) for u in rng.integers(3, 8, depth)]
    stack: list[Any] = []
    for i, u in enumerate(units):
        stack.append(nn.Dense(u, weight_regularizer=nn.L1L2(0.01, 0.02), bias_regularizer=nn.L2(0.03)))
        stack += [activations[i]] if i < depth - 1 else [] if last is None else [last]
    network = nn.Sequential(*stack)
    x, t, w = rng.standard_normal((9, 5)), targets_for(kind, rng, 9, units[-1]), rng.uniform(0.1, 2.0, 9)
    params, _ = network.init(rng, (5,), "float64")
    params = tree.map(lambda p: p + 0.3 * rng.standard_normal(p.shape), params)

    y, backward = network(params, x)
    value, loss_backward = nn.losses.as_loss(loss)(y, t, sample_weight=w)
    penalty, penalty_backward = network.penalty(params)
    dx, grads = backward(loss_backward())
    grads = tree.add(grads, penalty_backward())

    theirs = tree.map(lambda p: torch.tensor(p, requires_grad=True), params)
    first = h = torch.tensor(x, requires_grad=True)
    total = torch.tensor(0.0, dtype=torch.float64)
    for layer, own in zip(stack, theirs, strict=True):
        if isinstance(layer, nn.Dense):
            h = F.linear(h, own["weight"].T, own["bias"])
            total = total + 0.01 * own["weight"].abs().sum() + 0.02 * own["weight"].square().sum()
            total = total + 0.03 * own["bias"].square().sum()
        else:
            h = ACTIVATIONS[layer](h)
    total = total + weighted(torch_rows(h, torch.tensor(t)), torch.tensor(w))
    total.backward()

    assert float(value) + float(penalty) == pytest.approx(float(total.detach()), rel=1e-12)
    pairs = [(first, dx), *zip(tree.leaves(theirs), tree.leaves(grads), strict=True)]
    for (their, own), path in zip(pairs, ["x", *tree.paths(params)], strict=True):
        expected = their.grad.numpy()
        assert np.max(np.abs(own - expected)) <= 1e-9 * np.max(np.abs(expected)), path


def test_every_activation_and_loss_was_drawn():
    lacking = set(nn.layers.named_activations().values()) - {type(layer) for layer in ACTIVATIONS}
    assert not lacking, f"say in ACTIVATIONS above what torch calls {', '.join(kind.__name__ for kind in lacking)}"
    tried = {
        (4 * i + depth + j) % len(ACTIVATIONS)
        for i in range(len(LOSSES))
        for depth in (2, 3, 4)
        for j in range(depth - 1)
    }
    assert tried == set(range(len(ACTIVATIONS)))
