"""Every public block and loss against the autodiff of PyTorch and JAX, in float64, to 1e-9."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import layers, losses
from arraynn.testing import check_against
from tests import every_loss

RNG = np.random.default_rng(0)
X, Y, W = RNG.standard_normal((3, 6, 4))
LABELS = np.asarray([0, 2, 1, 1, 3, 2])
HALVES = (RNG.uniform(size=(6, 4)) > 0.5).astype(float)
P = np.exp(X) / np.sum(np.exp(X), axis=1, keepdims=True)
T = np.exp(Y) / np.sum(np.exp(Y), axis=1, keepdims=True)
FOUR = RNG.standard_normal((3, 4))
FILTERS = RNG.standard_normal((3, 2, 6)), RNG.standard_normal(6)
SERIES, STEPS = RNG.standard_normal((2, 3, 4)), np.asarray([[1, 1, 0], [0, 1, 1]])
WEIGHT = np.asarray([1.0, 0.5, 0.0, 2.0, 1.5, 3.0])

# The arguments of every block, and what else it is called with: one entry or several. A block of one array that is
# not here is tried with one, a loss that is not here with outputs and targets that its dataclass tells.
BLOCKS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "average_pool1d": [((RNG.standard_normal((2, 5, 3)), 2), {"padding": "same"})],
    "average_pool2d": [((RNG.standard_normal((2, 5, 4, 3)), (3, 2)), {"strides": 2, "padding": 1})],
    "batch_norm": [
        ((X, *FOUR[:2], FOUR[2], FOUR[2] ** 2), {"training": True}),
        ((X, *FOUR[:2], FOUR[2], FOUR[2] ** 2), {"training": False}),
        ((X, *FOUR[:2], FOUR[2], FOUR[2] ** 2), {"training": True, "mask": np.asarray([1, 1, 0, 1, 0, 1])}),
    ],
    "conv1d": [((RNG.standard_normal((2, 7, 4)), *FILTERS[:2]), {"strides": 2, "padding": "same", "groups": 2})],
    "conv2d": [((RNG.standard_normal((2, 4, 3, 4)), FILTERS[0][None], FILTERS[1]), {"groups": 2, "padding": 1})],
    "dense": [
        ((X, RNG.standard_normal((4, 3)), RNG.standard_normal(3)), {}),
        ((RNG.standard_normal((2, 3, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)), {}),
    ],
    "dropout": [((X, 0.3, nn.Key(0)), {}), ((X, 0.3, None), {})],
    "elu": [((X,), {}), ((X, 0.5), {})],
    "embedding": [((LABELS, RNG.standard_normal((5, 3))), {})],
    "flatten": [((RNG.standard_normal((2, 3, 2)),), {})],
    "gelu": [((X,), {})],
    "global_average_pool": [((RNG.standard_normal((2, 3, 2, 4)),), {})],
    "global_max_pool": [((RNG.standard_normal((2, 3, 2, 4)),), {})],
    "group_norm": [((RNG.standard_normal((2, 3, 4)), *FOUR[:2], 2), {})],
    "gru": [
        ((SERIES, *(RNG.standard_normal(shape) for shape in ((4, 6), (2, 6), (6,), (2,)))), {}),
        ((SERIES, *(RNG.standard_normal(shape) for shape in ((4, 6), (2, 6), (6,), (2,)))), {"mask": STEPS}),
    ],
    "hard_sigmoid": [((3 * X,), {})],
    "identity": [((X,), {}), (((X, Y),), {})],
    "layer_norm": [((X, *FOUR[:2]), {})],
    "leaky_relu": [((X,), {}), ((X, 0.3), {})],
    "lstm": [
        ((SERIES, *(RNG.standard_normal(shape) for shape in ((4, 8), (2, 8), (8,)))), {"reverse": True}),
        ((SERIES, *(RNG.standard_normal(shape) for shape in ((4, 8), (2, 8), (8,)))), {"mask": STEPS}),
    ],
    "max_pool1d": [((RNG.standard_normal((2, 5, 3)), 2), {"padding": "same"})],
    "max_pool2d": [((RNG.standard_normal((2, 5, 4, 3)), (3, 2)), {"strides": 2, "padding": 1})],
    "permute": [((RNG.standard_normal((2, 3, 4)), (2, 1)), {})],
    "positional_embedding": [((RNG.standard_normal((2, 2, 4)), FOUR), {})],
    "relu": [((X,), {})],
    "reshape": [((X, (2, 2)), {})],
    "rms_norm": [((X, FOUR[0]), {})],
    "rnn": [((SERIES, *(RNG.standard_normal(shape) for shape in ((4, 2), (2, 2), (2,)))), {"mask": STEPS})],
    "scaled_dot_product_attention": [
        (tuple(RNG.standard_normal((3, 2, 3, 4))), {}),
        (
            tuple(RNG.standard_normal((3, 2, 3, 4))),
            {"causal": True, "mask": np.asarray([[1, 1, 0], [1, 1, 1], [0, 1, 1]])},
        ),
    ],
    "selu": [((X,), {})],
    "sigmoid": [((3 * X,), {})],
    "silu": [((3 * X,), {})],
    "softmax": [((X,), {})],
    "softplus": [((3 * X,), {})],
    "tanh": [((X,), {})],
    "binary_cross_entropy": [((P, HALVES), {}), ((P, T), {})],
    "cross_entropy": [((P, LABELS), {}), ((P, T), {})],
    "focal": [((X, HALVES), {}), ((X, HALVES), {"gamma": 1.5, "alpha": None})],
    "huber": [((X, Y), {}), ((X, Y), {"delta": 0.3})],
    "kl_divergence": [((X, T), {})],
    "mean_squared_error": [((X, Y), {}), ((X[:, 0], Y[:, 0]), {})],
    "quantile": [((X, Y), {}), ((X, Y), {"q": 0.9})],
    "sigmoid_cross_entropy": [((X, HALVES), {}), ((3 * X, T), {})],
    "softmax_cross_entropy": [
        *[((X, LABELS), {}), ((X, T), {}), ((X, LABELS), {"label_smoothing": 0.2}), ((X, LABELS), {"ignore_label": 1})]
    ],
}
NOT_BLOCKS = {"as_loss", "check_labels"}
PUBLIC = {
    name: getattr(package, name)
    for package in (layers, losses)
    for name in package.__all__
    if inspect.isfunction(getattr(package, name)) and name not in NOT_BLOCKS
}
for name, block in PUBLIC.items():
    needed = [one for one in inspect.signature(block).parameters.values() if one.default is one.empty]
    if [one.name for one in needed] == ["x"]:
        BLOCKS.setdefault(name, [((3 * X,), {})])
    elif name in losses.__all__:
        loss = losses.as_loss(block)
        data = every_loss.outputs(loss, RNG, (6, 4)), every_loss.targets(loss, RNG, (6, 4))
        BLOCKS.setdefault(name, [(data, {})])
WRT = {"batch_norm": ("x", "scale", "bias"), "embedding": ("x", "table")}
CASES = [pytest.param(name, *case, id=f"{name}-{i}") for name, cases in BLOCKS.items() for i, case in enumerate(cases)]
LOSSES = [case for case in CASES if case.values[0] in losses.__all__]


def trimmed(name: str) -> Any:
    """The block; of batch_norm, whose backward returns new statistics too, the gradients alone."""
    block = getattr(nn, name)
    if name != "batch_norm":
        return block

    def batch_norm(x: Any, scale: Any, bias: Any, mean: Any, variance: Any, **options: Any) -> Any:
        y, backward = block(x, scale, bias, mean, variance, **options)
        return y, lambda dy, need_dx=True: backward(dy, need_dx)[:3]

    return batch_norm


@pytest.fixture(params=["torch", "jax"])
def oracle(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    name: str = request.param
    return name


def test_every_public_block_is_tested():
    lacking = sorted(set(PUBLIC) - set(BLOCKS))
    assert not lacking, f"say in BLOCKS above with which arrays to try {', '.join(lacking)}"


@pytest.mark.parametrize(("name", "args", "options"), CASES)
def test_backward_equals_autodiff(oracle, name, args, options):
    check_against(trimmed(name), *args, oracle=oracle, wrt=WRT.get(name), **options)


@pytest.mark.parametrize(("name", "args", "options"), LOSSES)
def test_weighted_losses_equal_autodiff(oracle, name, args, options):
    check = partial(check_against, trimmed(name), *args, oracle=oracle, sample_weight=WEIGHT, **options)
    check()
    check(total=11.0)
